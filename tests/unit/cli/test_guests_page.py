"""The page of guests and images says how one brings an image, and README leads there (fault 59)."""

from __future__ import annotations

import re
from pathlib import Path

from virtualserver.cli import image

CHECKOUT = Path(__file__).parents[3]
PAGE = (CHECKOUT / "docs" / "guests.md").read_text()


def test_readme_leads_to_the_page() -> None:
    assert "docs/guests.md" in (CHECKOUT / "README.md").read_text()


def test_every_image_that_can_be_built_is_in_its_table() -> None:
    listed = re.findall(r"^\| `(\w+)` \| `vs image build", PAGE, re.MULTILINE)
    assert set(listed) == set(image.images.KINDS)


def test_an_image_of_ones_own_is_added_by_a_command_that_there_is_and_named_in_a_manifest() -> None:
    (line,) = re.findall(r"^vs image add (\S+) (--\w+)", PAGE, re.MULTILINE)
    assert line[1] in {option for parameter in image.add_command.params for option in parameter.opts}
    assert "storage.root.source.pvc: {namespace: vd-images" in PAGE
    assert "cirros" in PAGE and "it reads no cloud-config" in PAGE
