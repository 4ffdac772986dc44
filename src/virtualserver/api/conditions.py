"""The conditions of a VirtualServer's status: their types and their order, which is part of the contract."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from virtualserver.api.explained import Explained, Word

__all__ = ["EPOCH", "Condition", "ConditionStatus", "ConditionType"]

ConditionStatus = Literal["True", "False", "Unknown"]

EPOCH: Final = "1970-01-01T00:00:00Z"
"""The time in the status that the API server itself gives to a new object: a schema's default is a constant."""


class ConditionType(Explained):
    """The types, in the order in which a status holds them: clients read them by position.

    Source: the published CRD's printer columns, which name conditions 0 and 3.
    """

    READY = Word("Ready", "The whole: the machine runs, and its addresses and ports carry packets.")
    SERVICES_READY = Word("ServicesReady", "Every Service of the server exists and has its address.")
    VIRTUAL_MACHINE_READY = Word("VirtualMachineReady", "The VirtualMachine exists and takes start and stop commands.")
    VIRTUAL_SERVER_STARTED = Word("VirtualServerStarted", "True while the machine runs, False when it is stopped.")
    FULLY_APPLIED = Word("FullyApplied", "Everything that the manifest asks for is honoured as it stands now.")


class Condition(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """One condition, as in metav1.Condition.

    Attributes:
        type: A ConditionType, or a type that a newer version wrote.
        status: ``True``, ``False`` or ``Unknown``.
        reason: One word; a Reason.
        message: A sentence for people.
        last_transition_time: RFC 3339, when ``status`` changed last.
        observed_generation: The generation of the manifest that this says something about, 0 for none.
    """

    type: str
    status: ConditionStatus
    reason: str = ""
    message: str = ""
    last_transition_time: str = EPOCH
    observed_generation: int = 0
