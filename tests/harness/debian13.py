"""The image of Debian 13 that the product builds, kept between runs as long as what builds it stays the same."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from harness.guest.image import CACHE
from virtualserver.storage import builds
from virtualserver.storage.builds import BuiltImage, debian

__all__ = ["image"]

_RELEASE = "trixie"
_SOURCES = ("__init__.py", "cpio.py", "kernel.py", "debian.py", "debian_network.py", "debian.init", "debian.cloud.cfg")


def image() -> BuiltImage:
    """Return the image, built where the cache has none of the same builder; its packages may be older then."""
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(resources.files(builds).joinpath(name).read_bytes())
    kept = CACHE / f"debian-{_RELEASE}-image-{digest.hexdigest()[:16]}"
    with (CACHE / "lock-debian").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            for old in CACHE.glob(f"debian-{_RELEASE}-*"):
                shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                asyncio.run(debian.build(Path(folder), release=_RELEASE, progress=lambda _step, _done: None))
                Path(folder, "debian").rename(kept)
    line = debian.command_line(_RELEASE)
    return BuiltImage(kept / "disk.qcow2", kept / "kernel", kept / "initrd", line, name="debian-13", description="")
