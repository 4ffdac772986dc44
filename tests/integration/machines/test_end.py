"""Ends of many machines at once, as `vs down` brings them about: nobody hears of what is no fault (fault 42).

And one that somebody has stopped. What plays QEMU is a program that speaks QMP and ends in the ways that matter; twenty
guests would take minutes here.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from virtualserver.machines.ends import Ended, Running
from virtualserver.machines.files import Files
from virtualserver.machines.machine import CONSOLE_BYTES, Machine
from virtualserver.machines.spec import MachineSpec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SPEAKS_QMP = """
import json, os, socket, sys, time
folder, how = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(folder + "/qmp.sock")
server.listen()
boot = open("/proc/sys/kernel/random/boot_id").read()
with open(folder + "/process.new", "w") as file:
    file.write(boot + open("/proc/self/stat").read())
os.rename(folder + "/process.new", folder + "/process")
while True:
    connection, _ = server.accept()
    send = lambda **message: connection.sendall(json.dumps(message).encode() + b"\\n")
    send(QMP={"version": {"qemu": {"micro": 0, "minor": 0, "major": 9}, "package": ""}, "capabilities": []})
    text = ""
    while data := connection.recv(65536):
        text += data.decode()
        try:
            asked = json.loads(text)
        except ValueError:
            continue
        text, reply = "", {"id": asked["id"]} if "id" in asked else {}
        if asked["execute"] in ("quit", "system_powerdown"):
            if how == "answers":
                send(**reply, **{"return": {}})
            if how == "lingers":
                connection.shutdown(socket.SHUT_RDWR)
                time.sleep(0.3)
            os._exit(0)
        send(**reply, **{"return": {"status": "running", "running": True}})
"""
WAYS = ("answers", "goes without an answer", "lingers")


def _start(folder: Path, how: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-SEc", SPEAKS_QMP, str(folder), how])


@contextlib.asynccontextmanager
async def machines(count: int, how: str) -> AsyncGenerator[list[Machine]]:
    """Start machines that end in a way, and watch them."""
    with tempfile.TemporaryDirectory(prefix="vsm-") as root:
        folders = [Path(root, str(number)) for number in range(count)]
        children: list[subprocess.Popen[bytes]] = []
        found: list[Machine] = []
        try:
            for folder in folders:
                folder.mkdir()
                children.append(_start(folder, how))
            async with asyncio.timeout(60):
                while not all((folder / "process").exists() for folder in folders):
                    await asyncio.sleep(0.01)
            for folder in folders:
                spec = MachineSpec(
                    identifier=folder.name, name="a/b", cpus=1, memory_bytes=1, accelerator="tcg", user=1
                )
                found.append(Machine(spec, Files(machine=folder, run=folder), group=None))
                found[-1].watch()
            assert all(await asyncio.gather(*(machine.settle(60) for machine in found)))
            assert all(isinstance(machine.state, Running) for machine in found)
            yield found
        finally:
            for machine in found:
                await machine.close()
            for child in children:
                child.kill()
                child.wait()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("command", ["quit", "power_down"])
async def test_fault_42_a_machine_that_ends_has_taken_what_ended_it(
    how: str, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    caplog.set_level(logging.INFO)
    async with machines(10, how) as found:
        await asyncio.gather(*(getattr(machine, command)() for machine in found))
        async with asyncio.timeout(60):
            for machine in found:
                async for state in machine.changes():
                    del state
        assert all(isinstance(machine.state, Ended) for machine in found)
    gc.collect()
    await asyncio.sleep(0)
    assert caplog.messages == []
    assert unheard == []


async def test_who_stops_qemu_itself_is_seen_and_it_is_told_until_it_goes_on() -> None:
    async with machines(1, "answers") as (machine,):
        assert machine.pid

        async def says(words: str) -> None:
            async with asyncio.timeout(60):
                async for state in machine.changes():
                    if isinstance(state, Running) and (words in state.message if words else not state.message):
                        break

        os.kill(machine.pid, signal.SIGSTOP)
        await says("stopped on the host (SIGSTOP)")
        os.kill(machine.pid, signal.SIGCONT)
        await says("")


async def test_a_machine_that_was_stopped_is_adopted_at_once_and_ends() -> None:
    async with machines(1, "answers") as (machine,):
        assert machine.pid
        os.kill(machine.pid, signal.SIGSTOP)
        files = machine._files  # pyright: ignore[reportPrivateUsage]
        successor = Machine(machine.spec, files, group=None)
        successor.watch()
        try:
            assert await successor.settle(30)
            assert isinstance(successor.state, Running) and "SIGSTOP" in successor.state.message
            async with asyncio.timeout(60):
                await successor.quit()
            assert isinstance(successor.state, Ended)
        finally:
            await successor.close()


async def test_what_a_guest_has_qemu_complain_of_does_not_fill_the_disk() -> None:
    """A brother of fault 43: no disk of the guest's grows by it, so it was not the guest that stood still."""
    async with machines(1, "answers") as (machine,):
        before, console = machine.console_logs
        with machine.log.open("ab") as complains, console.open("ab") as says:
            complains.write(b"virtio: zero sized buffers are not allowed\n" * 100_000)
            says.write(b"[    0.000000] Linux version\n" * 100_000)
        async with asyncio.timeout(60):
            while machine.log.stat().st_size > 1 << 20 or console.stat().st_size > CONSOLE_BYTES:
                await asyncio.sleep(0.02)
        assert machine.log.with_name("qemu.log.1").stat().st_size == 1 << 20
        assert before.stat().st_size == CONSOLE_BYTES
