"""Make the tables of the Terraform module's README from its files.

``python tools/terraform_docs.py`` writes them; with ``--check`` it only says whether they are current.
It reads the form that ``terraform fmt`` gives: blocks begin at the start of a line, their arguments two spaces in.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE: Final = Path(__file__).parent.parent / "terraform"
README: Final = MODULE / "README.md"

_BLOCK: Final = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_ARGUMENT: Final = re.compile(r"^  (\w+) += (.*(?:\n(?:    .*|  [\])}]+,?))*)", re.MULTILINE)


class Block(NamedTuple):
    """A variable or an output.

    Attributes:
        kind: ``variable`` or ``output``.
        name: Its name.
        arguments: Its arguments as they are written.
    """

    kind: str
    name: str
    arguments: dict[str, str]


def blocks(text: str) -> Iterator[Block]:
    """Yield the variables and outputs of a file, in its order."""
    for kind, name, body in _BLOCK.findall(text):
        # What is inside a nested block is indented further and begins with the block's own line.
        arguments = dict(_ARGUMENT.findall(re.sub(r"(?ms)^  \w+ \{.*?^  \}$", "", body)))
        yield Block(kind, name, arguments)


def tables(files: list[Path]) -> dict[str, str]:
    """Return the README's tables by their names.

    Raises:
        ValueError: A variable or output has no description.
    """
    found = [block for file in files for block in blocks(file.read_text())]
    for block in found:
        if "description" not in block.arguments:
            raise ValueError(f"{block.kind} {block.name} has no description")
    inputs = ["| variable | type | default | |", "|---|---|---|---|"]
    outputs = ["| output | |", "|---|---|"]
    for block in found:
        told = _text(block.arguments["description"])
        if block.arguments.get("sensitive") == "true":
            told += " Sensitive."
        if block.kind == "output":
            outputs.append(f"| `{block.name}` | {told} |")
        else:
            default = block.arguments.get("default")
            shown = "required" if default is None else _code(default)
            inputs.append(f"| `{block.name}` | {_code(block.arguments['type'])} | {shown} | {told} |")
    return {"inputs": "\n".join(inputs), "outputs": "\n".join(outputs)}


def _text(written: str) -> str:
    return written.strip('"').replace('\\"', '"').replace("|", "\\|")


def _code(written: str) -> str:
    """Return a type or value on one line, as code."""
    line = re.sub(r"\s+", " ", re.sub(r"\n\s*", ", ", written))
    line = re.sub(r"([({\[]),", r"\1", re.sub(r",+ ([)}\]])", r" \1", line.replace(",,", ",")))
    return f"`{line}`"


def filled(readme: str, made: dict[str, str]) -> str:
    """Return the README with its tables.

    Raises:
        ValueError: The README has no place for a table.
    """
    for name, table in made.items():
        begin, end = f"<!-- {name}: made by tools/terraform_docs.py -->\n", f"<!-- end of {name} -->"
        head, found, rest = readme.partition(begin)
        _, closed, tail = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{README} has no place for the {name}")
        readme = f"{head}{begin}{table}\n{end}{tail}"
    return readme


def main() -> int:
    """Write or check the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the tables are current")
    options = parser.parse_args()
    before = README.read_text()
    after = filled(before, tables([*sorted(MODULE.glob("variables*.tf")), MODULE / "outputs.tf"]))
    if options.check:
        if before != after:
            print("terraform/README.md is not what its files say: python tools/terraform_docs.py")
        return int(before != after)
    README.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
