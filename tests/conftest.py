"""Fixtures that tests of several parts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import control_plane as plane

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def control_plane() -> Iterator[plane.ControlPlane]:
    """A real kube-apiserver with its etcd and controllers, shared by the whole session: use namespaces of your own."""
    with plane.an_instance() as instance:
        yield plane.start(instance)
