"""Networks on the command line."""

from __future__ import annotations

import ipaddress

import click
import pytest

from virtualserver.cli import networks


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.0/33", "public", ""])
def test_what_is_no_network_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"192\.0\.2\.0/24"):
        networks.NETWORK.convert(text, None, None)


def test_both_families_are_networks() -> None:
    assert networks.NETWORK.convert("2001:db8::/64", None, None) == ipaddress.ip_network("2001:db8::/64")
