from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

from virtualserver.controlplane.supervisor import control

if TYPE_CHECKING:
    from pathlib import Path

COMPONENT = {"name": "etcd", "pid": 7, "version": "3", "ready": True, "restarts": 0, "last_error": ""}
REPORT = control.SupervisorReport(1, {"programs": "/bin"}, False, True, "", [control.ComponentReport(**COMPONENT)])  # pyright: ignore[reportArgumentType]


async def test_what_is_asked_arrives_and_the_answer_comes_back(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(do: control.Request) -> control.SupervisorReport:
        asked.append(do)
        return REPORT

    async with await control.serve(tmp_path / "socket", answer):
        assert await asyncio.to_thread(control.ask, tmp_path / "socket", "detach") == REPORT
    assert asked == ["detach"]
    assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o600


def test_where_nobody_listens_there_is_no_answer(tmp_path: Path) -> None:
    assert control.ask(tmp_path / "socket", "status") is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "socket"))
    assert control.ask(tmp_path / "socket", "status") is None


async def test_a_request_that_is_not_known_is_not_answered(tmp_path: Path) -> None:
    async with await control.serve(tmp_path / "socket", lambda do: REPORT):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
        writer.write(b'{"do": "dance"}\n')
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_the_answer_of_another_version_may_say_more(tmp_path: Path) -> None:
    answer = {
        **{"pid": 1, "version": "0.1.0", "settings": {"programs": "/bin"}, "stopping": False},
        **{"bootstrapped": True, "bootstrap_error": "", "components": [COMPONENT]},
    }

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert json.loads(await reader.readline()) == {"do": "status"}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async with await asyncio.start_unix_server(handle, tmp_path / "socket"):
        assert await asyncio.to_thread(control.ask, tmp_path / "socket", "status") == REPORT
