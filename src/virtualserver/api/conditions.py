"""The conditions of a VirtualServer's status: their types and their order, which is part of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from virtualserver.api.explained import Explained, Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["EPOCH", "MOST_LETTERS", "Condition", "ConditionStatus", "ConditionType", "brief", "in_full", "is_cut"]

ConditionStatus = Literal["True", "False", "Unknown"]

EPOCH: Final = "1970-01-01T00:00:00Z"
"""The time in the status that the API server itself gives to a new object: a schema's default is a constant."""

MOST_LETTERS: Final = 100
"""Of Ready's message: in `kubectl get vs` it stands between other columns."""

_CUT: Final = " …"
_FEWEST_LETTERS: Final = 60
_ENDS: Final = ("; ", ": ", ", ", " (")
"""Where a message may end: after a fault and before its remedy, between the items of a list, before a remark."""


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


def brief(message: str) -> str:
    """Return the first thing that matters of a message, in 100 letters at most; what is left out is marked."""
    if len(message) <= MOST_LETTERS:
        return message
    most = MOST_LETTERS - len(_CUT)
    cut = max(message.rfind(end, _FEWEST_LETTERS, most + len(end)) for end in _ENDS)
    if cut < 0:
        cut = message.rfind(" ", _FEWEST_LETTERS, most + 1)
    return message[: cut if cut > 0 else most] + _CUT


def is_cut(message: str) -> bool:
    """Return whether a message is the beginning of a longer one."""
    return message.endswith(_CUT)


def in_full(conditions: Iterable[Mapping[str, Any]]) -> str:
    """Return what a server's Ready says; where that is cut, what FullyApplied says, which begins with all of it.

    Args:
        conditions: Of a status, as JSON.
    """
    messages = {condition.get("type"): str(condition.get("message", "")) for condition in conditions}
    ready = messages.get(ConditionType.READY, "")
    return messages.get(ConditionType.FULLY_APPLIED, ready) if is_cut(ready) else ready
