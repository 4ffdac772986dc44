"""Guests are stopped all at once within a limit. That nothing is left on the host is tests/e2e's matter."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from virtualserver.local import down
from virtualserver.machines.machine import Ended, EndReason, MachineState, Running

if TYPE_CHECKING:
    from virtualserver.machines.hypervisor import Hypervisor


class Guest:
    """A machine that ends a while after its power button was pressed, or never."""

    def __init__(self, name: str, *, takes: float | None, ended: bool = False) -> None:
        self.identifier = name
        self.spec = SimpleNamespace(name=f"default/{name}")
        self.was_switched_off = False
        self.was_dismissed = False
        self.pressed: float | None = None
        self._takes = takes
        self._ended = ended

    @property
    def state(self) -> MachineState:
        over = self._takes is not None and self.pressed is not None and time.monotonic() - self.pressed >= self._takes
        return Ended(EndReason.QUIT, "") if over or self._ended or self.was_switched_off else Running()

    def dismiss(self) -> None:
        self.was_dismissed = self.pressed is None and not self.was_switched_off

    async def power_down(self) -> None:
        self.pressed = self.pressed or time.monotonic()

    async def quit(self) -> None:
        self.was_switched_off = True


class Machines:
    """All guests, as the hypervisor finds them."""

    def __init__(self, *guests: Guest) -> None:
        self.guests = guests
        self.discarded: set[str] = set()
        self.is_closed = False

    async def adopt(self) -> dict[str, Any]:
        return {guest.identifier: guest for guest in self.guests}

    async def discard(self, identifier: str) -> None:
        self.discarded.add(identifier)

    async def close(self) -> None:
        self.is_closed = True


def nobody(_text: str, _share: float | None) -> None:
    """Is told what is waited for."""


async def stop(machines: Machines, *, grace: float) -> list[str]:
    said: list[str] = []
    await down.stop_machines(cast("Hypervisor", machines), lambda text, share: said.append(text), grace)
    return said


async def test_all_guests_are_asked_at_once_and_given_time() -> None:
    guests = [Guest(f"g{number}", takes=0.3) for number in range(5)]
    machines = Machines(*guests)
    said = await stop(machines, grace=30)
    assert not any(guest.was_switched_off for guest in guests)
    pressed = [guest.pressed for guest in guests if guest.pressed is not None]
    assert len(pressed) == 5
    assert max(pressed) - min(pressed) < 0.2
    assert said[0].startswith("5 still shutting down (default/g0, default/g1, default/g2 …); switched off in 30 s")
    assert machines.discarded == {"g0", "g1", "g2", "g3", "g4"}
    assert machines.is_closed


async def test_a_guest_that_does_not_listen_is_switched_off_after_the_limit() -> None:
    deaf, quick = Guest("deaf", takes=None), Guest("quick", takes=0.0)
    switched_off = await down.stop_machines(cast("Hypervisor", Machines(deaf, quick)), nobody, 0.3)
    assert switched_off == ["default/deaf"]
    assert deaf.was_dismissed and quick.was_dismissed, "written down before it is done"
    assert deaf.was_switched_off
    assert not quick.was_switched_off


async def test_a_guest_that_had_ended_is_left_for_the_node_to_report() -> None:
    machines = Machines(Guest("over", takes=None, ended=True), Guest("on", takes=0.0))
    await stop(machines, grace=30)
    assert machines.discarded == {"on"}
