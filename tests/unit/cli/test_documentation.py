"""What the documentation names exists, and what users meet is documented."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import click
import pytest

from virtualserver.api.reasons import Reason
from virtualserver.cli import main, up

CHECKOUT = Path(__file__).parents[3]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CHANGELOG.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
GOOD = {
    Reason.TERMINATING,
    Reason.VIRTUAL_SERVER_READY,
    Reason.VIRTUAL_SERVER_STARTED,
    Reason.SERVICES_CREATED,
    Reason.WAITING_FOR_SERVICES,
    Reason.SERVICES_READY,
    Reason.VIRTUAL_MACHINE_READY,
    Reason.SECRET_CREATED,
    Reason.ROOT_DISK_RESIZE_IN_PROGRESS,
    Reason.DEFINITION_DEPRECATED,
    Reason.ERROR,
}
"""Reasons after which nobody asks what to do."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


_DELETIONS = re.compile(
    r"kubectl delete (?:vs|virtualservers?|namespace|ns|-f)\b|terraform destroy|vs delete|make purge"
)


def test_fault_48_beside_every_deletion_stands_what_becomes_of_the_disk() -> None:
    pages = [*PAGES, *(CHECKOUT / "examples").rglob("*"), *(CHECKOUT / "terraform").rglob("*.md")]
    lines = [(page, line) for page in pages if page.is_file() for line in page.read_text().splitlines()]
    silent = [f"{page.name}: {line}" for page, line in lines if _DELETIONS.search(line) and "disk" not in line]
    assert silent == []


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^```.*?^```$", "", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text())
    local = [(page.parent / target if target else page, anchor) for target, anchor in targets if "://" not in target]
    assert [f"{target}#{anchor}" for target, anchor in local if anchor not in anchors(target)] == []


def test_no_two_decisions_have_one_number() -> None:
    numbers = Counter(int(path.name[:4]) for path in (CHECKOUT / "docs/adr").glob("*.md"))
    assert [number for number, times in numbers.items() if times > 1] == []
    for path in (CHECKOUT / "docs/adr").glob("*.md"):
        assert path.read_text().startswith(f"# {int(path.name[:4])}. "), path.name


@pytest.mark.parametrize("page", ["README.md", "docs/network-modes.md"])
def test_every_example_is_named_with_what_to_expect_of_it(page: str) -> None:
    rows = [line for line in (CHECKOUT / page).read_text().splitlines() if line.startswith("|")]
    # `vs up` applies hello, and so the README begins with it.
    names = {path.name for path in (CHECKOUT / "examples").glob("*.yaml")} - {"hello.yaml"}
    assert [name for name in sorted(names) if not any(f"examples/{name})" in row for row in rows)] == []


def test_troubleshooting_has_every_reason_that_asks_for_something() -> None:
    text = (CHECKOUT / "docs" / "troubleshooting.md").read_text()
    assert [reason.value for reason in Reason if reason not in GOOD and f"`{reason.value}`" not in text] == []


def test_the_command_line_page_has_every_command_and_every_option_of_up() -> None:
    text = (CHECKOUT / "docs" / "cli.md").read_text()
    names = main.vs.list_commands(click.Context(main.vs))
    assert [name for name in names if f"`vs {name}" not in text] == []
    options = {option for parameter in up.command.params for option in parameter.opts if option.startswith("--")}
    assert sorted(option for option in options - {"--output", "--hello"} if option not in text) == []


def test_every_make_target_is_in_the_help_and_in_the_documentation() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    helped = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    documented = "\n".join(page.read_text() for page in PAGES)
    assert phony == helped
    assert [target for target in phony - {"help"} if f"make {target}" not in documented] == []


def test_every_test_that_the_code_and_the_documentation_name_exists() -> None:
    sources = [path for folder in ("src", "tests") for path in (CHECKOUT / folder).rglob("*.py")]
    named = {
        (page.name, name) for page in [*PAGES, *sources] for name in re.findall(r"tests/[\w/]+\.py\b", page.read_text())
    }
    assert sorted((where, name) for where, name in named if not (CHECKOUT / name).is_file()) == []
