"""The pictures of the documentation show what their texts say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

PROGRAM = Path(__file__).parents[3] / "tools" / "terminal_pictures.py"


def load() -> Any:
    specification = importlib.util.spec_from_file_location("terminal_pictures", PROGRAM)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


pictures = load()


def test_the_committed_pictures_are_current() -> None:
    sources = sorted(pictures.FOLDER.glob("*.txt"))
    assert sources
    stale = [path for path in sources if path.with_suffix(".svg").read_text() != pictures.picture(path.read_text())]
    assert stale == []


def test_a_picture_has_each_line_as_text_and_its_title_for_who_cannot_see_it() -> None:
    drawn = ElementTree.fromstring(pictures.picture("What <it> is\n\n$ echo '<&>'\n<&>\n"))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["$ echo '<&>'", "<&>"]
    assert drawn.findtext("{http://www.w3.org/2000/svg}title") == "What <it> is"


def test_a_recording_is_what_its_commands_print_now() -> None:
    assert pictures.recorded("Title\n\n$ printf 'a\\nb\\n'\nold\n") == "Title\n\n$ printf 'a\\nb\\n'\na\nb\n"
