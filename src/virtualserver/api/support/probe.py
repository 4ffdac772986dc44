"""The fields of a probe: the same ones in a VirtualServer and in a machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from virtualserver.api.support.field import Effect, Field, Limit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PROBE_HANDLERS", "at", "is_asked_from_outside", "probe_fields"]

PROBE_HANDLERS: Final = ("httpGet", "tcpSocket")
"""What can be asked from outside the guest, in the order in which the first one given counts."""
_INSIDE: Final = ("exec", "guestAgentPing")
"""What would be asked inside it, where nobody of ours is."""
_TIMING: Final = ("failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds")


def is_asked_from_outside(probe: Mapping[str, Any]) -> bool:
    """Return whether a probe can be made; what cannot be made neither holds up nor ends a guest."""
    return any(probe.get(handler) for handler in PROBE_HANDLERS)


def probe_fields(path: str, *, alone: Callable[[Mapping[str, Any]], bool], template: str = "") -> tuple[Field, ...]:
    """Return the fields of a probe.

    Args:
        path: Where it stands.
        alone: Whether a manifest's machine has no NIC on the cluster network, from where probes are made.
        template: As of `Field`.
    """

    def probe_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        return at(manifest, path) or {}

    def has_handler(manifest: Mapping[str, Any]) -> bool:
        return any(handler in probe_of(manifest) for handler in (*PROBE_HANDLERS, *_INSIDE))

    nobody = Limit(
        path,
        lambda manifest: bool(probe_of(manifest)) and (alone(manifest) or not has_handler(manifest)),
        "the machine has no NIC on the cluster network, or the probe asks for nothing",
    )
    http_host = Limit(
        f"the address in {path}.httpGet.host",
        lambda manifest: bool(at(probe_of(manifest), "httpGet.host")),
        "the guest itself is asked, with this name as `Host`",
    )
    tcp_host = Limit(
        f"{path}.tcpSocket.host",
        lambda manifest: bool(at(probe_of(manifest), "tcpSocket.host")),
        "the guest itself is asked",
    )
    second = Limit(
        f"{path}.tcpSocket",
        lambda manifest: all(probe_of(manifest).get(handler) for handler in PROBE_HANDLERS),
        "beside `httpGet`",
    )
    return (
        Field(path, Effect.NEXT_START, "asked from outside the guest", limits=(nobody,), template=template),
        *(Field(f"{path}.{name}", Effect.NEXT_START) for name in _TIMING),
        *(Field(f"{path}.{handler}", Effect.NAMED, even_empty=True) for handler in _INSIDE),
        Field(f"{path}.httpGet", Effect.NEXT_START, limits=(http_host,)),
        Field(f"{path}.tcpSocket", Effect.NEXT_START, limits=(tcp_host, second)),
    )


def at(manifest: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a path, without lists, of a manifest; None for nothing."""
    value: Any = manifest
    for key in path.split("."):
        value = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
    return value
