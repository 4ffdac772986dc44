"""What comes of asking a port."""

from __future__ import annotations

import socket

from virtualserver.servers import show
from virtualserver.servers.page import Port


async def test_a_port_answers_or_says_why_not() -> None:
    """Fault 50: Ready stood there while nothing answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        ports = [Port("s", "127.0.0.1", "TCP", one.getsockname()[1]) for one in (listening, bound)]
        answers = [(await show.asked(port)).answer for port in ports]
    assert answers == [show.ANSWERS, show.REFUSED]
    assert "UDP" in (await show.asked(Port("s", "127.0.0.1", "UDP", 53))).answer
