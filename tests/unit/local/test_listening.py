"""Which addresses the API server can be opened on, and what its certificate says then."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from virtualserver.fabric.kernel import foreign
from virtualserver.local import listening
from virtualserver.local.errors import LocalError

PRESENT = {
    ip_address("127.0.0.1"): "lo",
    ip_address("192.0.2.7"): "eth0",
    ip_address("2001:db8::7"): "eth0",
    ip_address("fe80::7"): "eth0",
    ip_address("169.254.9.1"): "vsh-abcdef",
    ip_address("10.9.0.1"): "vsh-abcdef",
}


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("192.0.2.7", ""),
        ("2001:db8::7", ""),
        ("192.0.2.8", "no address of this machine"),
        ("0.0.0.0", "every address"),
        ("::", "every address"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("fe80::7", "one link only"),
        ("10.9.0.1", "link to guests (vsh-abcdef)"),
    ],
)
def test_only_an_address_that_others_can_reach_is_listened_on(address: str, words: str) -> None:
    fault = listening.fault(ip_address(address), PRESENT)
    assert words in fault if words else fault == ""


def test_a_refusal_names_the_addresses_that_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "addresses", lambda: PRESENT)
    with pytest.raises(LocalError, match=r"--listen 192\.0\.2\.8: it is no address of this machine\.") as refused:
        listening.check(ip_address("192.0.2.8"))
    assert refused.value.remedy == "This machine has: 192.0.2.7 (eth0), 2001:db8::7 (eth0)."


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("MyHost", ("192.0.2.7", "myhost")),
        ("a.b-c", ("192.0.2.7", "a.b-c")),
        ("no_name", ("192.0.2.7",)),
        ("", ("192.0.2.7",)),
    ],
)
def test_the_certificate_says_the_address_and_a_name_that_can_be_one(
    host: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert listening.names_for(ip_address("192.0.2.7")) == names
    assert listening.names_for(None) == ()
