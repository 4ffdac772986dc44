"""Make the pictures of docs/images whose text is in a file of the same name: recordings of a terminal, and drawings.

``python tools/terminal_pictures.py`` makes NAME.svg from each NAME.txt; with ``--check`` it only says whether they are
current. ``--record NAME`` first runs the commands of the recording (the lines that begin with ``$``) in a shell that
can reach an instance, and puts what they print in the place of what they printed before.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

FOLDER: Final = Path(__file__).parent.parent / "docs" / "images"

_PROMPT: Final = "$ "
_COLUMN, _LINE, _MARGIN = 8.4, 19, 16
_SIZE: Final = 14
_MOST_COLUMNS: Final = 118


def picture(text: str) -> str:
    """Return a text as an SVG: the first line is its title, ``$`` in front of a line makes it a command that was typed.

    Args:
        text: Title, an empty line, and the lines to show; a recording has commands in them, a drawing none.
    """
    title, _, shown = text.partition("\n\n")
    lines = shown.rstrip("\n").split("\n")
    is_recording = any(line.startswith(_PROMPT) for line in lines)
    width = round(2 * _MARGIN + _COLUMN * max(map(len, lines)))
    height = 2 * _MARGIN + _LINE * len(lines)
    ground, ink = ("#1d2430", "#e4e8ee") if is_recording else ("#ffffff", "#1b1b1b")
    rows = [_row(line, _MARGIN + _LINE * number + _SIZE) for number, line in enumerate(lines)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t">',
            f'  <title id="t">{escape(title)}</title>',
            f"  <style>text {{ font: {_SIZE}px monospace; fill: {ink}; white-space: pre }}",
            "    .typed { fill: #8fd18f }</style>",
            f'  <rect width="{width}" height="{height}" rx="8" fill="{ground}"/>',
            *rows,
            "</svg>\n",
        ]
    )


def _row(line: str, y: int) -> str:
    """Return a line, drawn as wide as its letters count, whatever font there is."""
    kind = ' class="typed"' if line.startswith(_PROMPT) else ""
    length = f' textLength="{_COLUMN * len(line):.0f}"' if line else ""
    return f'  <text x="{_MARGIN}" y="{y}"{length}{kind}>{escape(line)}</text>'


def recorded(text: str) -> str:
    """Return a recording with what its commands print now."""
    title, _, shown = text.partition("\n\n")
    lines: list[str] = []
    for command in (line for line in shown.splitlines() if line.startswith(_PROMPT)):
        done = subprocess.run(["sh", "-c", f"{command.removeprefix(_PROMPT)} 2>&1"], stdout=subprocess.PIPE, text=True)
        lines += [command, *(_cut(line) for line in done.stdout.rstrip("\n").split("\n"))]
    return f"{title}\n\n" + "\n".join(lines) + "\n"


def _cut(line: str) -> str:
    """Return a line as far as the picture is wide."""
    line = line.rstrip()
    return line if len(line) <= _MOST_COLUMNS else line[: _MOST_COLUMNS - 1] + "…"


def main() -> int:
    """Make the pictures, or look whether they are current; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; status 1 where a picture is not current")
    parser.add_argument("--record", metavar="NAME", help="run the commands of this recording again first")
    options = parser.parse_args()
    if options.record:
        source = FOLDER / f"{options.record}.txt"
        source.write_text(recorded(source.read_text()))
    stale: list[str] = []
    for source in sorted(FOLDER.glob("*.txt")):
        target, made = source.with_suffix(".svg"), picture(source.read_text())
        if not target.exists() or target.read_text() != made:
            stale.append(target.name)
            if not options.check:
                target.write_text(made)
    if options.check and stale:
        print(f"{', '.join(stale)}: not current: python tools/terminal_pictures.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
