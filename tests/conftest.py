"""Fixtures that tests of several parts share."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import hypothesis
import pytest

from harness import control_plane as plane
from harness import terraform_world

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# A shell that starts the tests in the background may have SIGINT ignored, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how loaded the machine is, and nothing of what is tested.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.register_profile(
    "soak", deadline=None, max_examples=200, stateful_step_count=100, report_multiple_bugs=False, database=None
)
"""What `make soak` lives: longer lives, and more of them; its seed says all, so that nothing is kept."""
hypothesis.settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the test of mutated objects live with another seed, and longer."""
    parser.addoption("--seed", type=int, default=0, help="of the mutated objects (0)")
    parser.addoption("--seconds", type=float, default=60.0, help="how long objects are mutated (60)")


@pytest.fixture(scope="session")
def control_plane() -> Iterator[plane.ControlPlane]:
    """A real kube-apiserver with its etcd and controllers, shared by the whole session: use namespaces of your own."""
    with plane.an_installation() as instance:
        yield plane.start(instance)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of Terraform here and not in their fixtures: what is missing is then one line for all of them."""
    names: list[str] = getattr(item, "fixturenames", [])
    if "real_provider" in names:
        terraform_world.real_provider()
    elif "mocked_provider" in names:
        terraform_world.program()


@runtime_checkable
class World(Protocol):
    """What of a test's fixtures runs a node."""

    @property
    def has_node(self) -> bool:
        """Whether a node runs in it now."""
        ...

    def one_owner(self) -> None:
        """Fail where an address, MAC, tap or user number has not one owner everywhere."""
        ...


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """After every test that has a running node: whatever the test did, an address has one owner."""
    result = yield
    fixtures: dict[str, object] = getattr(item, "funcargs", {})
    for world in fixtures.values():
        if isinstance(world, World) and world.has_node:
            world.one_owner()
    return result


@pytest.fixture(scope="session")
def real_provider() -> dict[str, str]:
    """The environment in which Terraform finds the real provider."""
    return terraform_world.real_provider()


@pytest.fixture(scope="session")
def mocked_provider() -> Iterator[dict[str, str]]:
    """The environment in which the stand-in takes the provider's place."""
    with terraform_world.standin() as environment:
        yield environment
