"""How long work says what it waits for."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Update"]

Update = Callable[[str, float | None], None]
"""Called with what is being waited for, in words, and the share that is done (0 to 1, None where unknown)."""
