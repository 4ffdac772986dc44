"""Networks on the command line, and those of other instances."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING

import click
import pytest

from virtualserver.cli import networks
from virtualserver.fabric import ranges
from virtualserver.instance import Instance

if TYPE_CHECKING:
    from pathlib import Path


def an_instance(root: Path, name: str) -> Instance:
    return Instance(name=name, root=root, run_root=root / ".run")


def test_the_ranges_of_other_instances_are_taken_and_ones_own_are_not(tmp_path: Path) -> None:
    first = ranges.choose([])
    other = an_instance(tmp_path, "other")
    other.remember("ranges", ranges.encode(first))
    an_instance(tmp_path, "mine").remember("ranges", ranges.encode(ranges.choose(networks.all_of(first))))
    found = networks.of_other_instances(an_instance(tmp_path, "mine"))
    assert found == {"other": networks.all_of(first)}
    assert ipaddress.ip_network("203.0.113.0/24") in found["other"]


def test_an_instance_that_never_started_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "instance.json").write_text(json.dumps({"identifier": "0a1b2c"}))
    assert networks.of_other_instances(an_instance(tmp_path, "mine")) == {}


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.0/33", "public", ""])
def test_what_is_no_network_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"192\.0\.2\.0/24"):
        networks.NETWORK.convert(text, None, None)


def test_both_families_are_networks() -> None:
    assert networks.NETWORK.convert("2001:db8::/64", None, None) == ipaddress.ip_network("2001:db8::/64")
