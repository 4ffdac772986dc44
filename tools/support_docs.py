"""Make docs/support.md from the tables of `virtualserver.api.support`.

``python tools/support_docs.py`` writes it; with ``--check`` it only says whether it is current.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from virtualserver.api.support.data_volume import DATA_VOLUME, PERSISTENT_VOLUME_CLAIM
from virtualserver.api.support.field import Effect
from virtualserver.api.support.service import NETWORK_POLICY, SERVICE
from virtualserver.api.support.virtual_machine import VIRTUAL_MACHINE
from virtualserver.api.support.virtual_server import VIRTUAL_SERVER

if TYPE_CHECKING:
    from virtualserver.api.support.field import Field, Limit, Table

PAGE: Final = Path(__file__).parent.parent / "docs" / "support.md"


class Chapter(NamedTuple):
    """One kind.

    Attributes:
        kind: Its name, and the chapter's.
        told: What is to be known of all its fields.
        table: Its fields.
    """

    kind: str
    told: str
    table: Table


_PARTLY: Final = (
    "What has no effect is named in the condition `virtualservers.coreweave.com/FullyApplied`, which is there only "
    "then, and by an Event `PartlyApplied`. "
)

CHAPTERS: Final = (
    Chapter(
        "VirtualServer",
        "What is not in force is named in the condition `FullyApplied`, with the reasons `PartlyApplied`, "
        "`RestartRequired` or `FirstStartOnly`; what stands in the way of the whole server in `Ready` too "
        "(`NotSupportedYet`), and so what it asks for and does not get before something changes (`ImageNotFound`, "
        "`PoolExhausted`, `InsufficientMemory`). A value that is refused is so where it is new or changed.",
        VIRTUAL_SERVER,
    ),
    Chapter("Service", _PARTLY, SERVICE),
    Chapter(
        "VirtualMachine",
        f"One that somebody makes, and no VirtualServer. {_PARTLY}What a machine waits for stands in `Failure` "
        "(`NotSupportedYet`), also where it contradicts itself, as by two sources of a volume. An instance has what is "
        "below `spec.template.spec` in its own `spec`.",
        VIRTUAL_MACHINE,
    ),
    Chapter(
        "DataVolume", f"{_PARTLY}One that waits says so in `Ready`, with the reason `SourceNotSupported`.", DATA_VOLUME
    ),
    Chapter(
        "PersistentVolumeClaim",
        "One that is no image's and no DataVolume's says so in the same condition, with the reason `NotSupportedYet`.",
        PERSISTENT_VOLUME_CLAIM,
    ),
    Chapter("NetworkPolicy", "What is there stays, and is not carried out either.", NETWORK_POLICY),
)

_HEAD: Final = """\
<!-- Made by tools/support_docs.py from src/virtualserver/api/support: change that. -->
# What becomes of each field
Nothing that a manifest asks for is ignored without a word on one machine: each field is carried out, refused at apply,
or named in a condition. A line counts for all fields below it that have none of their own.
On a cluster KubeVirt, CDI and MetalLB decide instead.
"""
_PATH: Final = re.compile(r"spec\.[\w.\[\]]+")
_SHORT: Final = {
    Effect.NOW: "now",
    Effect.NEXT_START: "next start",
    Effect.NEW_MACHINE: "new object only",
    Effect.NAMED: "named",
    Effect.OBSTACLE: "waits",
    Effect.REFUSED: "refused",
    Effect.NONE: "no effect",
}


def page() -> str:
    """Return the whole page."""
    lines = [_HEAD, "| word | |", "|---|---|", *(f"| {word} | {effect.value} |" for effect, word in _SHORT.items())]
    for chapter in CHAPTERS:
        lines += [
            "",
            f"## {chapter.kind}",
            *filter(None, [chapter.told.strip()]),
            "",
            "| field | | what to know |",
            "|---|---|---|",
        ]
        lines += [f"| `{field.path}` | {_SHORT[field.effect]} | {_cell(field)} |" for field in chapter.table]
    return "\n".join(lines) + "\n"


def _cell(field: Field) -> str:
    """Return what is to be known of a field."""
    limits = [f"no effect: {_limit(field, limit)}" for limit in field.limits]
    usual = [f"`{str(value).lower() if value is True else value}`" for value in field.usual if value]
    unnamed = f"{' and '.join(usual)} asks for nothing" if usual else ""
    told = [field.note, unnamed, *limits, f"refused: {field.refused}" if field.refused else ""]
    return "; ".join(filter(None, told)).replace("|", "\\|")


def _limit(field: Field, limit: Limit) -> str:
    """Return what of a field has no effect, and when."""
    if limit.words == field.path:
        return limit.when
    words = _PATH.sub(lambda path: f"`{path[0]}`", limit.words)
    return f"{words} ({limit.when})"


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the page is current")
    made = page()
    if not parser.parse_args().check:
        PAGE.write_text(made)
        return 0
    is_current = PAGE.exists() and PAGE.read_text() == made
    if not is_current:
        print("docs/support.md is not what the tables say: python tools/support_docs.py")
    return int(not is_current)


if __name__ == "__main__":
    sys.exit(main())
