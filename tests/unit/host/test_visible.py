from __future__ import annotations

import logging

import pytest

from virtualserver.host.visible import LogFormatter, visible

EVIL = {
    "\x1b[2Jgone": r"\x1b[2Jgone",
    "\x9b2J": r"\x9b2J",
    "\x7f\x08\r": r"\x7f\x08\r",
    "\x00\x07": r"\x00\x07",
    "a\u202eb\u2066c\u200bd\ufeff": r"a\u202eb\u2066c\u200bd\ufeff",
    "\u2028\u2029\n\t": r"\u2028\u2029\n\t",
    "\ud800": r"\ud800",
    "\U000e0041": r"\U000e0041",
    "Grüße, \xa0日本 🙂": "Grüße, \xa0日本 🙂",
    "": "",
}


@pytest.mark.parametrize(("text", "shown"), EVIL.items(), ids=ascii)
def test_what_has_no_face_is_shown_as_an_escape(text: str, shown: str) -> None:
    """Fault 7."""
    assert visible(text) == shown


def test_a_log_line_is_one_line_of_its_writer_and_does_nothing_to_a_terminal() -> None:
    """Fault 7's kind: names and errors of tenants are in the log, and administrators read it in a terminal."""
    record = logging.LogRecord("node", logging.ERROR, __file__, 1, "%s failed", ("\x1b]0;owned\x07",), None)
    assert LogFormatter().format(record).endswith(r"ERROR node: \x1b]0;owned\x07 failed")
