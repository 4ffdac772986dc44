"""Fetches upstream's release instead of building it, for those who ask for it.

Tested against a local server only: the real site was never asked by a test.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tarfile
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from virtualserver.controlplane import errors
from virtualserver.controlplane.components import KUBERNETES_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from virtualserver.host.progress import Update

__all__ = ["SHA512", "fetch"]

_SITE: Final = "https://dl.k8s.io"

SHA512: Final = {
    "kubernetes-server-linux-amd64.tar.gz": (
        "b0fc15554233d9dcf7284bca259bc238aa89003dc2d821f7074f385f3825dead"
        "854ae175482ccb5632a0930ffc1d3c0eff1cda2ada972fba9a5d46033a8b1e52"
    ),
    "kubernetes-server-linux-arm64.tar.gz": (
        "65c78d6893d683fc5e7f232f8638243886c8b1b7dbe055746ae7d38fdf801645"
        "6b1710ce4fc1133127880a65aed9492f737995694462baad13495a7f3d9ef0c5"
    ),
}
"""SHA-512 of v1.36.3, by file.

Source: upstream's CHANGELOG-1.36, as shipped in the Go module k8s.io/kubernetes v1.36.4.
"""

_WANTED: Final = ("kube-apiserver", "kube-controller-manager", "kubectl")


def fetch(folder: Path, *, progress: Update, site: str | None = None, sums: Mapping[str, str] = SHA512) -> None:
    """Download the release and put its three programs into a folder; etcd is no part of it.

    Args:
        folder: An existing folder.
        progress: Told what is waited for, with the share that is done.
        site: Where releases lie; None: what ``VS_RELEASE_SITE`` names, else upstream's own site.
        sums: SHA-512 in hexadecimal by file.

    Raises:
        ControlPlaneError: No release for this processor, no answer, or a file that is not the released one.
    """
    processor = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    name = f"kubernetes-server-linux-{processor}.tar.gz"
    if name not in sums:
        raise errors.ControlPlaneError(f"no sum is known of {name}: build the programs instead (without --official)")
    url = f"{site or os.environ.get('VS_RELEASE_SITE') or _SITE}/{KUBERNETES_VERSION}/{name}"
    archive = folder / name
    try:
        found = _download(url, archive, progress)
        if found != sums[name]:
            raise errors.ControlPlaneError(
                f"{url} is not the released file: its SHA-512 is {found}, released was {sums[name]}; nothing of it "
                "is used. A proxy may have answered instead: try again elsewhere, or build (without --official)"
            )
        progress("unpacking", None)
        _unpack(archive, folder, url)
    finally:
        archive.unlink(missing_ok=True)


def _download(url: str, target: Path, progress: Update) -> str:
    """Download a file and return its SHA-512."""
    content = hashlib.sha512()
    told = 0.0
    try:
        with urllib.request.urlopen(url, timeout=60) as response, target.open("wb") as file:  # noqa: S310 - our own URL
            size = int(response.headers.get("Content-Length") or 0)
            done = 0
            while chunk := response.read(1 << 20):
                content.update(chunk)
                file.write(chunk)
                done += len(chunk)
                if time.monotonic() - told > 0.5:
                    told = time.monotonic()
                    progress(f"downloading {url} ({done >> 20} MB)", done / size if size else None)
    except (OSError, urllib.error.URLError) as error:
        raise errors.ControlPlaneError(
            f"{url} cannot be downloaded: {error}; try again, or build the programs (without --official)"
        ) from None
    return content.hexdigest()


def _unpack(archive: Path, folder: Path, url: str) -> None:
    with tarfile.open(archive) as content:
        for name in _WANTED:
            try:
                member = content.extractfile(f"kubernetes/server/bin/{name}")
            except KeyError:
                member = None
            if member is None:
                raise errors.ControlPlaneError(f"{url} holds no {name}: build the programs (without --official)")
            with member, (folder / name).open("wb") as file:
                shutil.copyfileobj(member, file)
            (folder / name).chmod(0o755)
