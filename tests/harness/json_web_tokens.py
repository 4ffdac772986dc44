"""Tokens that say something of themselves, and that nobody signed."""

from __future__ import annotations

import base64

__all__ = ["a_token"]


def a_token(claims: str) -> str:
    """Return a JSON Web Token with these claims, which need not be JSON."""
    return f"e30.{base64.urlsafe_b64encode(claims.encode()).decode().rstrip('=')}.c2lnbmF0dXJl"
