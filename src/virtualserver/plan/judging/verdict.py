"""What a condition says, before it has a type and a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from virtualserver.api.conditions import ConditionStatus
    from virtualserver.api.reasons import Reason
    from virtualserver.plan.situation import Refusal

__all__ = ["Verdict", "refused"]


class Verdict(NamedTuple):
    """What a condition says."""

    status: ConditionStatus
    reason: Reason
    message: str


def refused(refusals: Sequence[Refusal]) -> Verdict | None:
    """Return the verdict on what is refused, with the gravest's reason and every message once; None for nothing."""
    if not refusals:
        return None
    gravest, *_ = refusals
    return Verdict("False", gravest.reason, "; ".join(dict.fromkeys(refusal.message for refusal in refusals)))
