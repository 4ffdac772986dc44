"""The API as a user meets it: kubectl as the administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from control_plane import ControlPlane


def test_kubectl_works_as_administrator(control_plane: ControlPlane) -> None:
    assert control_plane.kubectl("auth", "can-i", "*", "*") == "yes\n"
    assert "default" in control_plane.kubectl("get", "namespaces")
