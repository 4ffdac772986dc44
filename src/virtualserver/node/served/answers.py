"""What the aggregated API answers: JSON, and a Kubernetes Status, which clients print, for each refusal."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

__all__ = ["content", "not_found", "refusal", "status", "vmi_not_running"]


def content(answer: dict[str, Any]) -> web.Response:
    """Return an answer of JSON."""
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def status(code: int, reason: str, message: str, *, name: str = "") -> web.Response:
    """Return an answer that is a Status.

    Args:
        code: The HTTP status, which the Status repeats.
        reason: Kubernetes' word for it; empty: none.
        message: For people; empty: none.
        name: The machine that it is about; empty: none.
    """
    text = _text(code, reason, message, name=name)
    return web.Response(status=code, text=text, content_type="application/json")


def refusal(kind: type[web.HTTPException], reason: str, message: str, *, name: str = "") -> web.HTTPException:
    """Return an exception to raise, whose answer is a Status; arguments as for `status`."""
    return kind(text=_text(kind.status_code, reason, message, name=name), content_type="application/json")


def not_found(kind: str, name: str) -> web.HTTPException:
    """Return the refusal that tells that an object is not there."""
    return refusal(web.HTTPNotFound, "NotFound", f'{kind}.kubevirt.io "{name}" not found', name=name)


def vmi_not_running(namespace: str, name: str) -> web.HTTPException:
    """Return the refusal that tells that a guest does not run, in KubeVirt's words."""
    message = f"Unable to connect to {namespace}/{name}: VMI is not running"
    return refusal(web.HTTPConflict, "Conflict", message, name=name)


def _text(code: int, reason: str, message: str, *, name: str = "") -> str:
    answer: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success" if code < 400 else "Failure",
        "code": code,
    }
    if message:
        answer["message"] = message
    if reason:
        answer["reason"] = reason
    if name:
        answer["details"] = {"name": name, "group": "kubevirt.io", "kind": "virtualmachine"}
    return msgspec.json.encode(answer).decode()
