"""A node with its control plane, shared by the tests of this folder; each test has a namespace of its own."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from harness.node_world import NodeWorld, a_node

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
    running_node.namespace = f"test-{uuid.uuid4().hex[:6]}"
    running_node.api.kubectl("create", "namespace", running_node.namespace)
    try:
        yield running_node
    finally:
        # What the node has to do with is awaited; the namespace itself takes five seconds more for nothing.
        running_node.delete("vm,vmi,dv,service", "--all")
        running_node.api.kubectl("delete", "namespace", running_node.namespace, "--wait=false")
