"""Which networks an instance takes at its first start. (Signature agreed; the choice is fabric's.)"""

from __future__ import annotations

from collections.abc import Iterable

from virtualserver.fabric import state

__all__ = ["choose", "decode", "encode"]


def choose(
    taken: Iterable[state.Network],
    *,
    public: tuple[state.Network, ...] = (),
    private: tuple[state.Network, ...] = (),
) -> state.Ranges:
    """Choose ranges that are free of every network taken (host routes and other instances); pure.

    The first instance gets public 203.0.113.0/24 and private 198.18.0.0/24; pools that are named win.
    """
    raise NotImplementedError


def encode(ranges: state.Ranges) -> dict[str, object]:
    """Return what is recorded in the instance's record under ``ranges``."""
    raise NotImplementedError


def decode(recorded: dict[str, object]) -> state.Ranges:
    """Return the ranges that `encode` recorded."""
    raise NotImplementedError
