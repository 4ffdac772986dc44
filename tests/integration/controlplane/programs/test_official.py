"""The official release, from a local server that stands for the site; the real site is never asked."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import tarfile
import threading
from typing import TYPE_CHECKING

import pytest

from virtualserver.controlplane import errors
from virtualserver.controlplane.components import KUBERNETES_VERSION
from virtualserver.controlplane.programs import official

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kubectl")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server's address, and the folder of the release on it."""
    release = tmp_path / "site" / KUBERNETES_VERSION
    release.mkdir(parents=True)
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", release
        server.shutdown()
        thread.join()


def publish(release: Path, programs: tuple[str, ...] = PROGRAMS) -> dict[str, str]:
    """Put a release on the site and return its sums."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in programs:
            member = tarfile.TarInfo(f"kubernetes/server/bin/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    for name in official.SHA512:
        (release / name).write_bytes(content.getvalue())
    return dict.fromkeys(official.SHA512, hashlib.sha512(content.getvalue()).hexdigest())


def fetch(folder: Path, site: str, sums: dict[str, str]) -> list[str]:
    folder.mkdir()
    told: list[str] = []
    official.fetch(folder, progress=lambda what, share: told.append(what), site=site, sums=sums)
    return told


def test_the_release_is_fetched_and_unpacked(site: tuple[str, Path], tmp_path: Path) -> None:
    told = fetch(tmp_path / "programs", site[0], publish(site[1]))
    found = {path.name: path.read_text() for path in (tmp_path / "programs").iterdir()}
    assert found == {name: name for name in PROGRAMS}
    assert all(path.stat().st_mode & 0o111 for path in (tmp_path / "programs").iterdir())
    assert "downloading" in told[0]


def test_a_file_that_is_not_the_released_one_is_not_used(site: tuple[str, Path], tmp_path: Path) -> None:
    publish(site[1])
    with pytest.raises(errors.ControlPlaneError, match="is not the released file"):
        fetch(tmp_path / "programs", site[0], dict(official.SHA512))
    assert list((tmp_path / "programs").iterdir()) == []


def test_a_release_that_lacks_a_program_is_refused(site: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(errors.ControlPlaneError, match="holds no kubectl"):
        fetch(tmp_path / "programs", site[0], publish(site[1], PROGRAMS[:2]))


def test_no_answer_says_what_else_to_do(site: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(errors.ControlPlaneError, match=r"cannot be downloaded.*without --official"):
        fetch(tmp_path / "programs", site[0], dict(official.SHA512))
