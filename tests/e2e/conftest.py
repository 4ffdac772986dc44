"""One running product for all end-to-end tests: an instance of its own, the tests' tiny image, a client outside."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.internet import Internet, internet
from e2e.machine import Machine, a_folder, a_machine
from e2e.product import Product
from harness import control_plane as plane
from harness.guest import image as guest_image

if TYPE_CHECKING:
    from collections.abc import Generator

IMAGE = "tiny"


@pytest.fixture(scope="session")
def product() -> Generator[Product]:
    """An instance started with ``vs up``, with the tests' image; stopped and purged at the end.

    While one works on the tests, ``VS_E2E=INSTANCE:STATE`` names one that runs already and is left running.
    """
    if named := os.environ.get("VS_E2E"):
        instance, _, state = named.partition(":")
        with closing(Product(instance, Path(state), programs=plane.programs().folder)) as running:
            yield running
        return
    with a_product("e2e") as running:
        yield running


@contextmanager
def a_product(name: str, *options: str) -> Generator[Product]:
    """Run one more instance, with the tests' image, while the context lasts; other test runs keep theirs.

    Args:
        name: The beginning of its name.
        *options: Of ``vs up``.
    """
    with a_folder() as state:
        product = Product(f"{name}-{os.getpid()}", state, programs=plane.programs().folder)
        try:
            product.vs("up", "--no-hello", *options)
            add_image(product)
            yield product
            if product.has_node:
                product.one_owner()
        finally:
            product.close()
            product.vs("down", "--purge", "--yes")


def add_image(product: Product) -> None:
    """Give a running product the tests' image."""
    image = guest_image.build()
    files = ["--kernel", str(image.kernel), "--initrd", str(image.initrd), "--command-line", image.command_line]
    product.vs("image", "add", str(image.disk), "--name", IMAGE, *files)


@pytest.fixture(scope="session")
def client() -> Generator[Internet]:
    """A client out there, on the other side of the host."""
    with internet(f"vsc{os.getpid()}") as out_there:
        yield out_there


@pytest.fixture
def machine() -> Generator[Machine]:
    """A machine on which nothing of ours is, with a client beyond its uplink."""
    with a_machine(f"vsm{os.getpid()}") as made:
        yield made
