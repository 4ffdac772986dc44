"""A build of an image that ends in the midst: nothing of it stays in the way, and the next run does it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.manifests import a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from e2e.product import Product


def _users_of(folder: Path) -> list[str]:
    """Return the processes that work in a folder or were told of it."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line or (process / "cwd").readlink().is_relative_to(folder):
                found.append(f"{process.name}: {line}")
    return found


def _progress(product: Product) -> str:
    """Return what the image's claim says of its making, ``""`` where it says nothing or there is none."""
    annotations = product.get("pvc", "built", namespace="vd-images").get("metadata", {}).get("annotations", {})
    return annotations.get("virtualservers.coreweave.com/image-progress", "")


def test_a_build_of_an_image_that_is_interrupted_or_killed_is_done_by_the_next_run(product: Product) -> None:
    before = set(product.folder.iterdir())
    folder = product.folder / ".build"
    line = product.command("image", "build", "busybox", "--name", "built")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        left = set(folder.glob(".building*"))
        with subprocess.Popen(line, env=product.environment, stderr=subprocess.PIPE, text=True) as build:
            eventually(
                lambda left=left: {path.parent for path in folder.glob(".building*/*")} - left,
                what="the build to be under way",
            )
            assert _progress(product), "the API says that it is being made"
            build.send_signal(number)
            build.communicate(timeout=60)
        assert build.returncode == (130 if number is signal.SIGINT else -number)
        eventually(lambda: not _users_of(folder), what="what the build started to end", seconds=30)
        if number is signal.SIGINT:
            assert not product.get("pvc", "built", namespace="vd-images")
            assert set(product.folder.iterdir()) == before, "who can still clear up does"
        else:
            eventually(
                lambda: _progress(product) == "abandoned", what="the claim to say that nobody makes it", seconds=30
            )
    (told,) = product.get("pvc", "built", namespace="vd-images")["status"]["conditions"]
    assert told["reason"] == "Abandoned" and "vs image remove built" in told["message"]
    (listed,) = [one for one in json.loads(product.vs("image", "list", "-o", "json")) if one["name"] == "built"]
    assert (listed["progress"], listed["stored"], listed["digest"]) == ("abandoned", False, "")
    product.vs("image", "remove", "built")
    assert not product.get("pvc", "built", namespace="vd-images")
    product.vs("image", "build", "busybox", "--name", "built")
    try:
        claim = product.get("pvc", "built", namespace="vd-images")
        assert claim["status"]["phase"] == "Bound" and not claim["status"].get("conditions")
        assert not _progress(product)
        assert set(product.folder.iterdir()) == before
        product.apply(a_server("built", image="built", network={"public": False}))
        product.wait_ready("built")
    finally:
        product.delete("vs", "built")
        product.vs("image", "remove", "built")
