"""Merge patches: what to send so that an object becomes what is wanted, and nothing else changes. Pure.

Source: RFC 7396.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["merge_patch"]


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Return the merge patch that makes ``before`` into ``after``; empty if they are equal.

    A null in ``after`` counts as an absent key. What ``after`` does not name goes, at every depth.

    Args:
        before: The JSON object as it is.
        after: The JSON object as it shall be.
        partial: ``after`` names some of the top-level fields: those it does not name stay as they are. Below them
            everything is named, so that a field of a nested object that is not named goes.
    """
    patch: dict[str, Any] = {}
    for key, old in before.items():
        if after.get(key) is None and old is not None and (key in after or not partial):
            patch[key] = None
    for key, new in after.items():
        old = before.get(key)
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            inner = merge_patch(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", new))
            if inner:
                patch[key] = inner
        elif new is not None and old != new:
            patch[key] = new
    return patch
