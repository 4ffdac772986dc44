"""Times as the API writes them: RFC 3339 in UTC."""

from __future__ import annotations

import datetime

__all__ = ["micro_timestamp", "seconds_of", "timestamp"]


def timestamp(seconds: float) -> str:
    """Return a time in seconds since the epoch as the API writes it, in whole seconds."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(seconds: float) -> str:
    """Return a time in seconds since the epoch as a Lease holds it (``MicroTime``), with microseconds."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str) -> float:
    """Return the seconds since the epoch of a time that the API wrote."""
    return datetime.datetime.fromisoformat(text).timestamp()
