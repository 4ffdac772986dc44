"""What tenants write reaches an administrator's terminal as text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from virtualserver import cli
from virtualserver.api import names
from virtualserver.cli import image, output
from virtualserver.cli.failures import CommandFailure
from virtualserver.cli.progress import StepPrinter
from virtualserver.local import images
from virtualserver.storage.images import Image

if TYPE_CHECKING:
    from collections.abc import Callable

EVIL = "\x1b[2J\u202e\x9b"
SHOWN = r"\x1b[2J\u202e\x9b"


def step(text: str) -> None:
    printer = StepPrinter()
    with printer.step(text) as update:
        update(text, None)
    printer.say(text)


def table(text: str) -> None:
    output.table(("A",), [(text,)])


def headed(text: str) -> None:
    output.say(text, heading="ok", colour="green")


def on_standard_error(text: str) -> None:
    output.say(text, err=True)


def failure(text: str) -> None:
    CommandFailure(text, remedy=text).show()


@pytest.mark.parametrize("write", [table, output.say, headed, on_standard_error, failure, step])
def test_control_characters_are_shown_escaped_wherever_people_read(
    write: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Fault 7."""
    write(EVIL)
    written = capsys.readouterr()
    assert SHOWN in written.out + written.err and EVIL not in written.out + written.err


def test_what_programs_read_is_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.as_json({"name": EVIL})
    output.data(EVIL)
    written = capsys.readouterr().out
    assert json.loads(written.removesuffix(EVIL)) == {"name": EVIL}


def test_nothing_but_output_and_the_moving_line_writes_to_the_terminal() -> None:
    """Fault 7: one place, so that no command forgets it."""
    sources = {path.name: path.read_text() for path in Path(cli.__file__).parent.glob("*.py")}
    writers = {name for name, text in sources.items() if re.search(r"click\.s?echo|(?<!_)print\(", text)}
    assert writers == {"output.py", "progress.py"}


def a_claim(name: str, namespace: str, **annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "annotations": annotations}}


def test_a_claim_that_only_says_so_is_no_image_and_no_other_name_of_one() -> None:
    """Fault 7: the truth is the store and the namespace of images, not an annotation."""
    stored = {"sha256:aa": Image.__new__(Image), "sha256:old": Image.__new__(Image)}
    marked: Any = {names.IMAGE: "sha256:aa"}
    other: Any = {**marked, names.ALIAS_OF: "vd-images/debian"}
    claims = [
        a_claim("debian", "vd-images", **marked),
        a_claim("lost", "vd-images", **{names.IMAGE: "sha256:bb"}),
        a_claim("ubuntu", "images", **other),
        a_claim("older", "images", **{**other, names.IMAGE: "sha256:old"}),
        a_claim(EVIL, "m", **marked),
        a_claim("forged", "m", **{names.IMAGE: "sha256:cc", names.ALIAS_OF: "vd-images/debian"}),
        a_claim("lost-too", "m", **{names.IMAGE: "sha256:bb", names.ALIAS_OF: "vd-images/lost"}),
        a_claim("of-nothing", "m", **{**marked, names.ALIAS_OF: EVIL}),
        a_claim("disk", "m"),
    ]
    assert [f"{one.namespace}/{one.name}" for one in images.named_by(claims, stored)] == [
        "vd-images/debian",
        "vd-images/lost",
        "images/ubuntu",
        "images/older",
    ]


def test_claims_of_every_namespace_that_the_site_has_for_images_are_images() -> None:
    stored = {"sha256:aa": Image.__new__(Image)}
    marked: Any = {names.IMAGE: "sha256:aa"}
    other: Any = {**marked, names.ALIAS_OF: "golden/debian"}
    claims = [a_claim("debian", "golden", **marked), a_claim("b", "m", **other), a_claim("disk", "golden")]
    assert images.named_by(claims, stored) == []
    found = images.named_by(claims, stored, namespaces={"vd-images", "golden"})
    assert [f"{one.namespace}/{one.name}" for one in found] == ["golden/debian", "m/b"]


def test_the_list_of_images_shows_names_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    named = images.NamedImage("debian", "vd-images", f"sha256:{EVIL}", EVIL, None)
    image._show([named], "text")  # pyright: ignore[reportPrivateUsage]
    assert EVIL not in capsys.readouterr().out


def test_images_that_are_being_made_are_listed_with_how_far_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    claims = [
        a_claim("debian", "vd-images", **{names.IMAGE_PROGRESS: "45% installing"}),
        a_claim("busybox", "vd-images", **{names.IMAGE: "sha256:aa", names.IMAGE_PROGRESS: "begins"}),
        a_claim("left", "vd-images", **{names.IMAGE_PROGRESS: names.IMAGE_ABANDONED}),
        a_claim("forged", "m", **{names.IMAGE_PROGRESS: "45% installing"}),
    ]
    found = images.named_by(claims, {})
    image._show(found, "text")  # pyright: ignore[reportPrivateUsage]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("BEING MADE") and len(lines) == 4
    assert lines[1].split() == ["debian", "vd-images", "45%", "installing"]
    assert "missing in the store" in lines[2] and lines[2].endswith("begins")
    assert lines[3].endswith("abandoned: make it again, or vs image remove left")
    image._show(found, "json")  # pyright: ignore[reportPrivateUsage]
    told = json.loads(capsys.readouterr().out)
    assert [one["progress"] for one in told] == ["45% installing", "begins", "abandoned"]


def test_fault_57_a_small_image_has_its_size_in_mebibytes() -> None:
    assert [image.size_in_words(size) for size in (1, 44 << 20, 2 << 30)] == ["1 MiB", "44 MiB", "2.0 GiB"]
