"""How many of something there are, as people say it: pure. `tests/unit/host/test_counts.py` reads all messages."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, one: str, several: str = "") -> str:
    """Return a number with what is counted, such as ``1 address`` or ``2 addresses``.

    Args:
        count: How many, 0 or more.
        one: What a single one is called; more words may follow.
        several: What all other numbers of it are called; ``""``: the same with an ``s``.
    """
    return f"{count} {one if count == 1 else several or f'{one}s'}"
