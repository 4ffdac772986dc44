"""The console's process, as the supervisor starts it, and the links that `vs ui` asks it for."""

from __future__ import annotations

import stat
import urllib.request
from typing import TYPE_CHECKING

import pytest

from harness.console import a_console_process, a_port
from virtualserver.console.links import LinkError, link_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.control_plane import ControlPlane


@pytest.fixture
def links(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Path]:
    """The socket of a console that runs."""
    with a_console_process(control_plane, tmp_path, port=a_port(), socket=tmp_path / "links"):
        yield tmp_path / "links"


def test_a_kubeconfig_gets_a_link_that_signs_in(control_plane: ControlPlane, links: Path) -> None:
    link = link_of(links, control_plane.kubeconfig, namespace="default")
    assert link
    with urllib.request.urlopen(link) as answer:
        assert answer.status == 200 and "/sign-in/" not in answer.url


def test_everybody_on_the_machine_may_ask(links: Path) -> None:
    assert stat.S_IMODE(links.stat().st_mode) == 0o666


def test_who_is_not_known_gets_none(control_plane: ControlPlane, links: Path, tmp_path: Path) -> None:
    config = control_plane.kubeconfig.read_text()
    unknown = tmp_path / "unknown"
    unknown.write_text("\n".join(line for line in config.splitlines() if "client-" not in line) + "\n")
    with pytest.raises(LinkError, match="does not know you"):
        link_of(links, unknown, namespace="default")


def test_a_kubeconfig_of_another_cluster_is_not_told_to_this_one(
    control_plane: ControlPlane, links: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text(control_plane.kubeconfig.read_text().replace(control_plane.url, "https://192.0.2.1:6443"))
    assert link_of(links, other, namespace="default") is None


def test_where_no_console_is_there_is_no_link(control_plane: ControlPlane, tmp_path: Path) -> None:
    assert link_of(tmp_path / "nothing", control_plane.kubeconfig, namespace="default") is None
