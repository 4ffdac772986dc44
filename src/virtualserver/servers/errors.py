"""Why something asked for a server was not done, in a way that a person can do something about.

Exception
└── ServerError
    ├── MissingServerError
    ├── StateError
    └── UnfinishedError
"""

from __future__ import annotations

__all__ = ["MissingServerError", "ServerError", "StateError", "UnfinishedError"]


class ServerError(Exception):
    """It was not done.

    Attributes:
        message: What was not done and why.
        remedy: What to do about it; ``""`` where the message says it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class MissingServerError(ServerError):
    """There is no such server."""


class StateError(ServerError):
    """The server is not in a state in which it can be done."""


class UnfinishedError(ServerError):
    """The time is over, but what was begun goes on."""
