"""A console's client that sends what a browser sends, or what an attacker would like to have it sent."""

from __future__ import annotations

import dataclasses
import http.client
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Browser", "ask", "connected", "let_in"]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """Return its text as JSON."""
        return json.loads(self.text)


@dataclasses.dataclass(frozen=True)
class Browser:
    """What a browser that is signed in sends, as an attacker would like to have it sent."""

    url: str
    place: str
    cookie: str
    token: str

    @property
    def host(self) -> str:
        """The name that it asks, with the port."""
        return urlsplit(self.url).netloc

    @property
    def servers(self) -> str:
        """The path of all VirtualServers."""
        return f"/{self.place}/k8s/apis/virtualservers.coreweave.com/v1alpha1/virtualservers"

    def ask(self, method: str, path: str, *, body: str = "", **headers: str) -> Answer:
        """Send a request of a page of ours; a header of ``""`` is left out."""
        sent = {
            "Host": self.host,
            "Origin": self.url,
            "Cookie": f"console={self.cookie}",
            "X-Console-Token": self.token,
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.url, method, path, body=body, headers={name: one for name, one in sent.items() if one})


def ask(url: str, method: str, path: str, *, headers: Mapping[str, str], body: str = "") -> Answer:
    """Send a request, with these headers and no others; whose certificate comes is not looked at."""
    address, tls = urlsplit(url), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    connection = (
        http.client.HTTPSConnection(address.netloc, timeout=20, context=tls)
        if address.scheme == "https"
        else http.client.HTTPConnection(address.netloc, timeout=20)
    )
    try:
        connection.request(method, path, body=body or None, headers=dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers), answer.read().decode())
    finally:
        connection.close()


def connected(browser: Browser) -> socket.socket:
    """Return a connection to send something on that no HTTP client sends."""
    host, _, port = browser.host.partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def let_in(url: str, answer: Answer, place: str) -> Browser:
    """Return the browser that an answer gave a session's cookie."""
    cookie = answer.headers["Set-Cookie"].partition("console=")[2].partition(";")[0]
    said = set(answer.headers["Set-Cookie"].split("; "))
    assert {"HttpOnly", "SameSite=Strict", f"Path=/{place}/"} <= said and ("Secure" in said) == url.startswith("https:")
    headers = {"Host": urlsplit(url).netloc, "Cookie": f"console={cookie}"}
    session = ask(url, "GET", f"/{place}/session", headers=headers)
    return Browser(url, place, cookie, session.json()["token"])
