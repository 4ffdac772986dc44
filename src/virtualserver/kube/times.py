"""Times as the API writes them: RFC 3339 in UTC, whole seconds."""

from __future__ import annotations

import datetime

__all__ = ["seconds_of", "timestamp"]


def timestamp(seconds: float) -> str:
    """Return a time in seconds since the epoch as the API writes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text: str) -> float:
    """Return the seconds since the epoch of a time that the API wrote."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
