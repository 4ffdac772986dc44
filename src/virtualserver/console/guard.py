"""What is let in, judged by what a browser says of a request; and what browsers are told of each answer: pure.

A page of another site can make a browser send us anything, with cookies; a name of its own may lead to our address
(DNS rebinding). Both show: in ``Host``, in ``Origin``, in ``Sec-Fetch-Site``, and in what such a page cannot know.

Source: https://owasp.org/www-community/attacks/csrf, https://fetch.spec.whatwg.org/#origin-header,
https://www.w3.org/TR/fetch-metadata/, https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

import dataclasses
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "HEADERS",
    "OF_TERMINALS",
    "OF_TLS",
    "PROOF_HEADER",
    "PROOF_PROTOCOL",
    "RELAYED",
    "Asked",
    "is_token",
    "refusal",
]

PROOF_HEADER: Final = "X-Console-Token"
PROOF_PROTOCOL: Final = "console-token."
"""Begins the websocket subprotocol that shows the token: a page can give a websocket no headers."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)

HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer that does not say otherwise itself."""

OF_TLS: Final[dict[str, str]] = {"Strict-Transport-Security": "max-age=31536000"}
"""Of every answer that came by TLS, besides: no browser asks this name without it any more."""

OF_TERMINALS: Final[Mapping[str, str]] = {
    # The terminal emulator writes its styles into the page itself; its scripts are files as all others.
    "Content-Security-Policy": "; ".join(_POLICY).replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
}
"""Of the page that shows consoles, and of no other."""

RELAYED: Final[Mapping[str, str]] = {
    # Whatever the API server says in a tenant's words: should it ever be shown as a page, it can do nothing.
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Of every answer that is the API server's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What a browser says of a request.

    Attributes:
        method: The HTTP method.
        host: ``Host``.
        origin: ``Origin``; ``""`` where it has none.
        site: ``Sec-Fetch-Site``; ``""`` where it has none.
        is_socket: Whether it asks for a websocket.
        enters: Whether it comes from outside by its nature: a link that signs in, or the page itself.
    """

    method: str
    host: str
    origin: str = ""
    site: str = ""
    is_socket: bool = False
    enters: bool = False


def refusal(asked: Asked, *, origins: Collection[str]) -> str:
    """Return why a request is refused, ``""`` where it is not.

    Args:
        asked: What the browser says of it.
        origins: The addresses that lead here, such as ``https://console.example.org``.
    """
    ours = next((origin for origin in origins if origin.partition("://")[2] == asked.host), "")
    if not ours:
        return f"Host: {asked.host!r} is no name of this console: use the link as it was printed"
    if asked.origin and asked.origin != ours:
        return f"Origin: {asked.origin!r} is another site's page"
    if not asked.origin and (asked.is_socket or asked.method not in _SAFE):
        return "Origin: is missing, and every browser names it here"
    if asked.site not in ("", "same-origin", "none") and not asked.enters:
        return f"Sec-Fetch-Site: {asked.site!r}: another site's page asks"
    return ""


def is_token(shown: str, token: str) -> bool:
    """Return whether what was shown is the session's token, or its cookie."""
    # A header's bytes that are no UTF-8 come as lone surrogates.
    return hmac.compare_digest(shown.encode(errors="surrogateescape"), token.encode())
