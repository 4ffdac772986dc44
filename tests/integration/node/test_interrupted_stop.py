"""What a stop of the instance that was killed half way leaves, and what the node makes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from node_world import a_machine, a_service, a_volume
from virtualserver.cli import down
from virtualserver.node.hypervisor import Hypervisor

if TYPE_CHECKING:
    from node_world import NodeWorld

pytestmark = pytest.mark.timeout(600)


async def _press_all_buttons_and_die(node: NodeWorld) -> None:
    """Do what ``vs down`` does to the guests, until it says that it waits for them."""

    class Killed(BaseException):
        """Stands for a signal that cannot be caught."""

    def told(words: str, _share: float | None) -> None:
        raise Killed(words)

    instance = node.instance
    machines = Hypervisor(machines=instance.state / "machines", run=instance.run / "machines", instance=instance.name)
    with pytest.raises(Killed):
        await down.stop_machines(machines, told, 60)


@pytest.mark.parametrize("strategy", ["RerunOnFailure", "Manual"])
@pytest.mark.parametrize("ends", ["before the node is back", "when the node is back"])
def test_guests_whose_buttons_were_pressed_run_again(node: NodeWorld, strategy: str, ends: str) -> None:
    node.apply(a_service("one-tcp", selects="one"), a_volume("one"), a_machine("one", strategy=strategy))
    if strategy == "Manual":
        node.eventually(lambda: '"code":202' in node.ask("one", "start"))
    node.wait_printable("one", "Running")
    node.wait_taken("one")
    address = node.address_of("one-tcp")
    guest, before, first = node.guest("one"), node.get("vmi", "one"), node.qemu_pid("one")
    if ends == "when the node is back":
        # A guest that takes its time: it hears the button, and acts on it later.
        guest.run("for p in $(pidof acpid); do kill -STOP $p; done")
    node.stop_node()
    asyncio.run(_press_all_buttons_and_die(node))
    if ends == "before the node is back":
        node.eventually(lambda: not node.answers(address, 22), what="the guest to go down")
    node.start_node()
    if ends == "when the node is back":
        assert node.qemu_pid("one") == first, "it was adopted as it was"
        guest.run("(sleep 0.5; poweroff) >/dev/null 2>&1 &")

    node.eventually(
        lambda: _pid(node) not in (0, first),
        what=lambda: f"another QEMU: {node.status('vmi', 'one')} {node.log[-2000:]}",
    )
    node.wait_printable("one", "Running")
    node.wait_taken("one")
    assert node.get("vmi", "one")["metadata"]["uid"] == before["metadata"]["uid"]
    # From here on a power off is the guest's own will again.
    node.guest("one").run("(sleep 0.5; poweroff) >/dev/null 2>&1 &")
    node.wait_printable("one", "Stopped")


def _pid(node: NodeWorld) -> int:
    try:
        return node.qemu_pid("one")
    except AssertionError:
        return 0
