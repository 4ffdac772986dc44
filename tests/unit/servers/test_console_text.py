"""A console's bytes as lines of text."""

from __future__ import annotations

import pytest

from virtualserver.servers.console_text import ConsoleText


@pytest.mark.parametrize(
    ("written", "lines", "rest"),
    [
        (b"one\r\ntwo\r\n", ["one", "two"], ""),
        (
            b"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh\x1b[0m.\r\nweb login: ",
            ["[  OK  ] Started ssh."],
            "web login: ",
        ),
        (b"\x1b]0;title\x07\x1b(B\x1b[?25l\x1b[2Jx\n", ["x"], ""),
        (b" 10%\r 50%\r100%\r\n", ["100%"], ""),
        ("grün\n".encode() + b"\xff\n", ["grün", "\ufffd"], ""),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_lines_are_what_a_terminal_shows_at_last(written: bytes, lines: list[str], rest: str, size: int) -> None:
    text = ConsoleText()
    pieces = [written[index : index + size] for index in range(0, len(written), size)]
    assert [line for piece in pieces for line in text.feed(piece)] == lines
    assert text.rest() == rest
