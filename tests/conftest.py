"""Fixtures that tests of several parts share."""

from __future__ import annotations

from collections.abc import Iterator

import control_plane as plane
import pytest


@pytest.fixture(scope="session")
def control_plane() -> Iterator[plane.ControlPlane]:
    """A real kube-apiserver with its etcd and controllers, shared by the whole session: use namespaces of your own."""
    with plane.an_instance() as instance:
        yield plane.start(instance)
