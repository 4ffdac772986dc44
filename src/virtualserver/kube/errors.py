"""What an API server's refusals and failures mean to a controller.

ApiError                anything the server refused, or that kept it from answering
├── NotFound            404
├── Conflict            409: somebody else wrote first; read again and try again
│   └── AlreadyExists   409 on creation
├── Invalid             422, with every fault in ``causes``
├── Forbidden           403
├── Gone                410: the version or page asked for is compacted away; list again
└── Unavailable         no connection, time-out, 429, 500, 502, 503, 504: the same request may succeed later

"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "Unavailable",
    "error_from_response",
    "error_from_status",
]


class ApiError(Exception):
    """A request that the API server refused, or that did not reach it.

    Attributes:
        status: The HTTP status; 0 where there was no answer.
        reason: Kubernetes' machine-readable word, such as ``AlreadyExists``; ``""`` where the server gave none.
        message: The server's sentence, which names all faults at once.
        causes: (field path, message) of each fault of an invalid object, in the server's order; else empty.
        retry_after: Seconds that the server asks to wait before the next try; None where it does not say.
        request: The method and path, for people; ``""`` where unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        causes: tuple[tuple[str, str], ...] = (),
        retry_after: float | None = None,
        request: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after
        self.request = request

    def __str__(self) -> str:
        where = " ".join(part for part in (str(self.status or ""), self.reason) if part)
        about = ", ".join(part for part in (where, self.request) if part)
        return f"{self.message} ({about})" if about else self.message


class NotFound(ApiError):
    """404: there is no such object, namespace or kind."""


class Conflict(ApiError):
    """409: the object changed since it was read, or a precondition does not hold."""


class AlreadyExists(Conflict):
    """409 on creation: an object of this name exists."""


class Invalid(ApiError):
    """422: the object breaks its schema or a rule; ``causes`` has every fault."""


class Forbidden(ApiError):
    """403: our user may not do this, a quota is used up, or the namespace is being deleted."""


class Gone(ApiError):
    """410: the resource version or the page is older than the server's memory."""


class Unavailable(ApiError):
    """The server cannot be reached or is too busy; the same request may succeed later."""


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: Unavailable,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_from_status(
    status: Mapping[str, Any], *, code: int = 0, retry_after: float | None = None, request: str = ""
) -> ApiError:
    """Return the exception for a ``Status`` object, such as the one inside a watch's ERROR event.

    Args:
        status: The decoded ``meta/v1 Status``.
        code: The HTTP status of the answer, used where the object has none.
        retry_after: Seconds from the answer's ``Retry-After``; the object's own ``retryAfterSeconds`` comes second.
        request: The method and path, for people.
    """
    code = status.get("code") or code
    reason = status.get("reason") or ""
    details: dict[str, Any] = status.get("details") or {}
    causes = tuple((cause.get("field", ""), cause.get("message", "")) for cause in details.get("causes") or ())
    if retry_after is None and details.get("retryAfterSeconds"):
        retry_after = float(details["retryAfterSeconds"])
    kind = _kind(code, reason, causes)
    message = status.get("message") or f"the API server answered {code}"
    return kind(message, status=code, reason=reason, causes=causes, retry_after=retry_after, request=request)


def error_from_response(code: int, body: bytes, *, retry_after: str | None = None, request: str = "") -> ApiError:
    """Return the exception for an HTTP answer of 400 or above.

    Args:
        code: The HTTP status.
        body: The answer; a ``Status`` object, or text from something between us and the server.
        retry_after: The ``Retry-After`` header. Its date form, which Kubernetes never sends, is ignored.
        request: The method and path, for people.
    """
    seconds = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    try:
        status = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        status = {"message": body[:500].decode(errors="replace").strip()}
    if status.get("kind", "Status") != "Status":
        status = {}
    return error_from_status(status, code=code, retry_after=seconds, request=request)


def _kind(code: int, reason: str, causes: tuple[tuple[str, str], ...]) -> type[ApiError]:
    """Return the class of an error."""
    if reason == "AlreadyExists":
        return AlreadyExists
    if reason == "Expired":
        return Gone
    if code == 422 and causes and all(field == "metadata.uid" for field, _ in causes):
        # A write meant for one object found another one of its name. Where there is none the server answers 409.
        return Conflict
    return _BY_STATUS.get(code, ApiError)
