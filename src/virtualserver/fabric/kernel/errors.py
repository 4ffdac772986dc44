"""What the kernel refuses."""

from __future__ import annotations

__all__ = ["KernelError"]


class KernelError(Exception):
    """The kernel refused a change or a question; the message says which one, and the kernel's reason."""
