"""The real kube-apiserver with our definitions and policy in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.api_server import Server, connected, own_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.control_plane import ControlPlane


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane) -> Iterator[Server]:
    """The API server and a namespace of this module's own."""
    with connected(control_plane) as rest, own_namespace(rest) as server:
        yield server
