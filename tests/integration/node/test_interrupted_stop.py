"""What a stop of the instance that was killed half way leaves, and what the node makes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from harness.node_world import a_machine, a_service, a_volume
from virtualserver.local import down
from virtualserver.machines.hypervisor import Hypervisor

if TYPE_CHECKING:
    from harness.node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


async def _press_all_buttons_and_die(node: NodeWorld) -> None:
    """Do what ``vs down`` does to the guests, until it says that it waits for them."""

    class Killed(BaseException):
        """Stands for a signal that cannot be caught."""

    def told(words: str, _share: float | None) -> None:
        raise Killed(words)

    installation = node.installation
    machines = Hypervisor(
        machines=installation.state / "machines", run=installation.run / "machines", installation=installation.name
    )
    with pytest.raises(Killed):
        await down.stop_machines(machines, told, 60)


STRATEGIES = {"one": "RerunOnFailure", "two": "Manual"}


@pytest.mark.parametrize("ends", ["before the node is back", "when the node is back"])
def test_guests_whose_buttons_were_pressed_run_again(node: NodeWorld, ends: str) -> None:
    for name, strategy in STRATEGIES.items():
        node.apply(a_service(f"{name}-tcp", selects=name), a_volume(name), a_machine(name, strategy=strategy))
    node.eventually(lambda: '"code":202' in node.ask("two", "start"))
    for name in STRATEGIES:
        node.wait_printable(name, "Running")
        node.wait_taken(name)
    addresses = [node.address_of(f"{name}-tcp") for name in STRATEGIES]
    before = {name: node.get("vmi", name)["metadata"]["uid"] for name in STRATEGIES}
    first = {name: node.qemu_pid(name) for name in STRATEGIES}
    guests = [node.guest(name) for name in STRATEGIES]
    if ends == "when the node is back":
        # Guests that take their time: they hear the button, and act on it later.
        for guest in guests:
            guest.run("for p in $(pidof acpid); do kill -STOP $p; done")
    node.stop_node()
    asyncio.run(_press_all_buttons_and_die(node))
    if ends == "before the node is back":
        for address in addresses:
            node.eventually(lambda address=address: not node.answers(address, 22), what="the guest to go down")
    node.start_node()
    if ends == "when the node is back":
        assert {name: node.qemu_pid(name) for name in STRATEGIES} == first, "they were adopted as they were"
        for guest in guests:
            guest.run("(sleep 0.5; poweroff) >/dev/null 2>&1 &")
    for name in STRATEGIES:
        node.eventually(
            lambda name=name: _pid(node, name) not in (0, first[name]),
            what=lambda name=name: f"another QEMU: {node.status('vmi', name)} {node.log[-2000:]}",
        )
    for name in STRATEGIES:
        node.wait_printable(name, "Running")
        node.wait_taken(name)
        assert node.get("vmi", name)["metadata"]["uid"] == before[name]
        # From here on a power off is the guest's own will again.
        node.guest(name).run("(sleep 0.5; poweroff) >/dev/null 2>&1 &")
    for name in STRATEGIES:
        node.wait_printable(name, "Stopped")


def _pid(node: NodeWorld, name: str) -> int:
    try:
        return node.qemu_pid(name)
    except AssertionError:
        return 0
