"""Writes the NoCloud seed: the small ISO by which cloud-init is told who the guest is.

Its content is what the server's owner wrote, hashed passwords included, so that only the machine's user may read it.
Source: cloud-init's documentation, ``reference/datasources/nocloud``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from virtualserver.machines.launch import environment

__all__ = ["SeedError", "remove_unfinished", "write_seed"]

_LABEL: Final = "cidata"
_UNFINISHED: Final = ".seed-"
"""How the folders begin in which seeds are made."""
# Any fixed moment will do: the same content is to give the same bytes.
_MOMENT_EPOCH: Final = 1_577_836_800


class SeedError(Exception):
    """The seed could not be written; the message says why and what to do."""


def write_seed(
    path: Path, *, user_data: str | bytes, meta_data: str, network_config: str | bytes | None, user: int
) -> None:
    """Write the ISO in place of what was there; the same content gives the same bytes.

    Args:
        path: The file; its folder exists and the machine's user can enter it.
        user_data: ``#cloud-config`` and so on, or bytes that cloud-init unpacks (gzip); may be empty.
        meta_data: YAML or JSON with ``instance-id`` and ``local-hostname``.
        network_config: Network configuration version 1 or 2; None: cloud-init's default, DHCP.
        user: UID and GID that may read it, alone.

    Raises:
        SeedError: xorriso is missing or failed, or the file cannot be written.
    """
    content: dict[str, str | bytes] = {"meta-data": meta_data, "user-data": user_data}
    if network_config is not None:
        content["network-config"] = network_config
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=_UNFINISHED) as folder:
            files = Path(folder, "files")
            files.mkdir()
            for name, text in content.items():
                (files / name).write_bytes(text.encode() if isinstance(text, str) else text)
                os.utime(files / name, (_MOMENT_EPOCH, _MOMENT_EPOCH))
            os.utime(files, (_MOMENT_EPOCH, _MOMENT_EPOCH))
            iso = Path(folder, "seed.iso")
            _xorriso(files, iso)
            iso.chmod(0o600)
            os.chown(iso, user, user)
            iso.replace(path)
    except OSError as error:
        raise SeedError(f"{path}: cannot be written: {error.strerror}: see that its file system has room") from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote seeds to a folder; nobody may write there now."""
    for left in folder.glob(f"{_UNFINISHED}*"):
        # A program that the process had started may still write to it; then the next one removes it.
        shutil.rmtree(left, ignore_errors=True)


def _xorriso(files: Path, iso: Path) -> None:
    """Make the ISO: names as they are by Rock Ridge and Joliet, every date the same."""
    arguments = ["-as", "mkisofs", "-quiet", "-volid", _LABEL, "-joliet", "-rational-rock", "-o", str(iso), str(files)]
    try:
        done = subprocess.run(
            ["xorriso", "-no_rc", *arguments],
            env=environment(os.environ) | {"SOURCE_DATE_EPOCH": str(_MOMENT_EPOCH)},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise SeedError(
            "xorriso is not on PATH: install it with `apt-get install --no-install-recommends xorriso`"
        ) from None
    if done.returncode:
        raise SeedError(f"{iso.name}: xorriso failed: {done.stderr.strip()}")
