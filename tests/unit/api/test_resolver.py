"""Which words a guest's resolver can be told."""

from __future__ import annotations

import pytest

from virtualserver.api import resolver


def test_addresses_and_domains_are_all_right() -> None:
    config = {"nameservers": ["192.0.2.53", "2001:db8::53"], "searches": ["example.org", "a.b.", "_tcp.x", "."]}
    assert list(resolver.faults(config, path="spec.dnsConfig")) == []
    assert list(resolver.faults({"nameservers": None, "searches": None}, path="spec.dnsConfig")) == []


@pytest.mark.parametrize(
    "text", ["", "one", "192.0.2.53\n192.0.2.54", "192.0.2.53,192.0.2.54", "fe80::1%x\noption:router,6.6.6.6"]
)
def test_what_is_no_address_is_named(text: str) -> None:
    (fault,) = resolver.faults({"nameservers": ["192.0.2.53", text]}, path="spec.dnsConfig")
    assert fault.path == "spec.dnsConfig.nameservers[1]"
    assert fault.message.startswith(repr(text))


@pytest.mark.parametrize("text", ["", "a,b", "a b", "a\noption:router,192.0.2.1", "a..b", "-a", "a.b.\n", "x" * 64])
def test_what_is_no_domain_is_named(text: str) -> None:
    (fault,) = resolver.faults({"searches": ["example.org", text]}, path="spec.dnsConfig")
    assert fault.path == "spec.dnsConfig.searches[1]"
    assert fault.message.startswith(repr(text))
