"""How much a browser loads before it shows a page, packed as it travels where somebody packs it."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

from virtualserver.console.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Iterable

_KIB = 1024
_LIST = 60 * _KIB
_EDIT = 220 * _KIB


def packed(pages: Pages, names: Iterable[str]) -> int:
    return sum(len(gzip.compress(pages.files[name], 9)) for name in names)


def test_the_list_and_the_editor_are_small() -> None:
    pages = Pages.carried()
    at_once = set(re.findall(r"/assets/([\w.-]+)", pages.files["index.html"].decode()))
    waiting = ("terminal", "serial", "graphical", "Picture", "Addresses", "Images", "Events", "SignedOut")
    opened = {name for name in pages.files if name.startswith(waiting)}
    assert {name.partition("-")[0] for name in opened} >= set(waiting), "which wait to be opened"
    assert packed(pages, at_once | {"index.html"}) < _LIST
    assert packed(pages, pages.files.keys() - opened) < _EDIT
