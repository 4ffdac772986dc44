"""The commands of the documentation's pages, so that tests run what people copy."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["commands"]

_DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str) -> dict[str, list[str]]:
    """Return the shell commands of a page of docs: heading -> its blocks, in their order."""
    found: dict[str, list[str]] = {}
    for chapter in re.split(r"(?m)^## ", (_DOCS / page).read_text())[1:]:
        if blocks := re.findall(r"(?ms)^```sh\n(.*?)^```$", chapter):
            found[chapter.partition("\n")[0]] = blocks
    return found
