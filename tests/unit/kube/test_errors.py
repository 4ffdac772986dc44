from __future__ import annotations

from typing import Any

import msgspec
import pytest

from virtualserver.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unavailable,
    error_from_response,
    error_from_status,
)


def a_status(code: int, reason: str, **details: Any) -> bytes:
    return msgspec.json.encode(
        {"kind": "Status", "code": code, "reason": reason, "message": f"it is {reason}", "details": details}
    )


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", ApiError),
        (401, "Unauthorized", ApiError),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Gone", Gone),
        (410, "Expired", Gone),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", Unavailable),
        (500, "InternalError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (504, "Timeout", Unavailable),
    ],
)
def test_each_refusal_has_its_class(code: int, reason: str, kind: type[ApiError]) -> None:
    error = error_from_response(code, a_status(code, reason), request="GET /api/v1/pods")
    assert type(error) is kind
    assert (error.status, error.reason, error.message) == (code, reason, f"it is {reason}")
    assert str(error) == f"it is {reason} ({code} {reason}, GET /api/v1/pods)"


def test_an_invalid_object_names_all_its_faults() -> None:
    causes = [{"field": "spec.a", "message": "Required value"}, {"field": "spec.b", "message": "Too long"}]
    error = error_from_response(422, a_status(422, "Invalid", causes=causes))
    assert error.causes == (("spec.a", "Required value"), ("spec.b", "Too long"))


def test_a_write_that_met_another_object_of_its_name_is_a_conflict() -> None:
    causes = [{"field": "metadata.uid", "message": "field is immutable"}] * 2
    assert type(error_from_response(422, a_status(422, "Invalid", causes=causes))) is Conflict
    causes.append({"field": "spec.a", "message": "Required value"})
    assert type(error_from_response(422, a_status(422, "Invalid", causes=causes))) is Invalid


def test_the_wait_that_a_server_asks_for_comes_from_the_header_or_the_body() -> None:
    assert error_from_response(429, a_status(429, "TooManyRequests"), retry_after="7").retry_after == 7
    assert error_from_response(429, a_status(429, "TooManyRequests", retryAfterSeconds=3)).retry_after == 3
    assert error_from_response(500, a_status(500, "InternalError")).retry_after is None
    assert error_from_response(503, b"", retry_after="Fri, 31 Dec 1999 23:59:59 GMT").retry_after is None


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"404 page not found\n", b"\xff\xfe", b'{"kind": "Pod", "message": "x"}']
)
def test_an_answer_that_is_no_status_is_an_error_all_the_same(body: bytes) -> None:
    error = error_from_response(404, body, request="GET /nowhere")
    assert type(error) is NotFound
    assert error.message
    assert "404" in str(error) and "GET /nowhere" in str(error)


def test_an_error_inside_a_watch_is_told_by_its_own_code() -> None:
    error = error_from_status({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    assert type(error) is Gone
