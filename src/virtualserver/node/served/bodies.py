"""What clients send with a request: the options of KubeVirt's verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from virtualserver.node.served import answers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["grace_seconds", "is_dry_run", "read"]


async def read(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that a request has, empty where it has none.

    Raises:
        HTTPBadRequest: It is no such object.
    """
    text = await request.read()
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"the body is no JSON object: {error}; send {{}} or nothing"
        raise answers.refusal(web.HTTPBadRequest, "BadRequest", message) from None


def is_dry_run(body: Mapping[str, Any]) -> bool:
    """Return whether a client only wants to know whether something would be accepted."""
    return body.get("dryRun") == ["All"]


def grace_seconds(body: Mapping[str, Any], field: str) -> int | None:
    """Return the grace period in a body, None where it has none.

    Raises:
        HTTPBadRequest: It is no number of seconds.
    """
    value = body.get(field)
    if value is None or (type(value) is int and 0 <= value < 1 << 31):
        return value
    raise answers.refusal(
        web.HTTPBadRequest, "BadRequest", f"{field}: {value!r}: write a number of seconds, or nothing"
    )
