"""A node with its control plane, shared by the tests of this folder.

Each test has a namespace of its own, or takes over the one guest of its module.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from harness.node_world import NodeWorld, a_machine, a_namespace, a_node, a_volume

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running_node() -> Iterator[NodeWorld]:
    if os.geteuid() != 0:
        pytest.skip("the node needs root")
    with a_node() as world:
        yield world


@pytest.fixture
def node(running_node: NodeWorld) -> Iterator[NodeWorld]:
    with a_namespace(running_node) as namespace:
        running_node.namespace = namespace
        yield running_node


@pytest.fixture(scope="module")
def kept_guest(running_node: NodeWorld) -> Iterator[str]:
    """The namespace of the guest ``one``, which the tests of a module hand on: a boot takes seconds of a processor."""
    with a_namespace(running_node) as namespace:
        running_node.namespace = namespace
        running_node.apply(a_volume("one"), a_machine("one"))
        yield namespace


@pytest.fixture
def running(running_node: NodeWorld, kept_guest: str) -> Iterator[NodeWorld]:
    """A node whose guest ``one`` runs and answers, with no Service in its namespace."""
    running_node.namespace = kept_guest
    if running_node.status("vm", "one").get("printableStatus") == "Stopped":
        running_node.ask("one", "start")
    running_node.wait_printable("one", "Running")
    running_node.wait_taken("one")
    running_node.guest("one")
    yield running_node
    running_node.namespace = kept_guest
    running_node.delete("service", "--all")
