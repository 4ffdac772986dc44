"""Each fault that was found in this product is found again by its number: in a test's name, id or docstring."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parents[1]

FAULTS: Final = {
    1: "a machine that bears the UID of another's server got its address, tap and user number",
    2: "two machines on one Service had one address",
    3: "a machine ran on after its owner was gone, and its address was given away",
    4: "the address of a Service that was going was another's at once",
    5: "one namespace took all addresses",
    6: "messages named whose an address or a MAC is",
    7: "text of tenants reached the terminal raw, and any claim was an image by its own word",
    8: "fragments passed the guard of DHCP",
    9: "one guest filled the connection table",
    10: "one guest kept the resolver from all others",
    11: "guests of all tenants were open to each other, without a way to say otherwise",
    12: "one manifest stopped the operator for everybody",
    13: "a value that raises left a server without a word for ever",
    14: "proposed commands had a tenant's text in them; words that no field knows were accepted",
    15: "who had the operator's key was the cluster's administrator",
    16: "source ranges were accepted, and everybody got in",
    17: "what a guest hears at its first start only was said to be applied",
    18: "cloudInit in another format than cloud-config was lost",
    19: "files of users ended cloud-init's work, or left homes to root",
    20: "the Debian image did nothing of much that cloudInit asks for, without a word",
    21: "one impossible user name locked all users out",
    22: "what is no public key went among the keys",
    23: "a Secret that changed was not followed",
    24: "UDP port 67 was published, and its answers dropped",
    25: "fields were accepted without effect and without a word",
    26: "why an object was refused stood in a log only",
    27: "a slice of somebody else's left a Service without its address",
    28: "a failed apply replaced the server at the next one",
    29: "faults of a manifest came in two rounds, in words of the schema",
    30: "the reason was wider than any screen",
    31: "a firewall's reload opened the host to guests, for good",
    32: "a data plane that was half taken away could not be made again",
    33: "another resolver, default route, uplink or MTU of the host was not followed",
    34: "a probe that failed once reset all open connections",
    35: "a restart of kube-apiserver took a minute, and the operator ended with it",
    36: "a guest that declined its address had none for ten minutes",
    37: "what is no disk became an image",
    38: "the holes of a sparse disk were read",
    39: "Services found no machine by the labels that clients rely on, and nothing said so",
    40: "the documented default folder was another installation than none named",
    41: "many servers were deleted slowly",
    42: "a stop of many guests told of commands that QEMU did not take",
    43: "a guest that filled its disk ended the control plane",
    44: "what an earlier installation left was in no inventory",
    45: "while the node stood still no namespace could be deleted",
    46: "a VirtualMachine with dataVolumeTemplates was refused",
    47: "a kept disk could not be used again",
    48: "a server was deleted with its disk, without a word of it",
    49: "there was no stop, start, console, ssh or log for who has kubectl alone",
    50: "a server was ready, and nobody said which of its ports answer",
    51: "a wish to start that came later had no effect",
    52: "from other computers a server was not reached, and nobody said why",
    53: "what waits for a restart was not told",
    54: "any storage class, and memory without its unit, were taken",
    55: "a misspelt image was met by the wrong advice",
    56: "headless beside ports had no effect",
    57: "vs status knew no server, and a small image had no size",
    58: "a server became ready twice, and a purge did not say what stays",
    59: "the pages ended after the first server",
}
"""What was seen, by number."""

_LAST: Final = 59
"""There are no more faults than these."""

_NUMBERS: Final = re.compile(r"\bfaults?[ _](\d+(?:(?:, | and |_and_)\d+)*)", re.IGNORECASE)


def _numbers(text: str) -> Iterator[int]:
    for match in _NUMBERS.finditer(text.replace("_", " ")):
        yield from map(int, re.findall(r"\d+", match[1]))


def _named(file: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, where) of each fault that a test of a file names; helpers and comments do not count."""
    module = ast.parse(file.read_text())
    tests = [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    if tests:
        for number in _numbers(ast.get_docstring(module) or ""):
            yield number, file.name
    for test in tests:
        ids = [
            node.value
            for decorator in test.decorator_list
            for node in ast.walk(decorator)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for number in _numbers("\n".join([test.name, ast.get_docstring(test) or "", *ids])):
            yield number, f"{file.name}::{test.name}"


@pytest.fixture(scope="module")
def named() -> dict[int, set[str]]:
    found: defaultdict[int, set[str]] = defaultdict(set)
    for file in TESTS.rglob("test_*.py"):
        if file != Path(__file__):
            for number, where in _named(file):
                found[number].add(where)
    return dict(found)


@pytest.mark.parametrize("number", FAULTS, ids=lambda number: f"fault {number}")
def test_a_fault_is_found_by_its_number(named: dict[int, set[str]], number: int) -> None:
    assert number in named, f"no test says that it shows fault {number}: {FAULTS[number]}"


def test_no_test_names_a_fault_that_there_is_not(named: dict[int, set[str]]) -> None:
    assert {number: where for number, where in named.items() if not 1 <= number <= _LAST} == {}
