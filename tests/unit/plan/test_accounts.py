"""Which names an account can have."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from virtualserver.plan.accounts import SYSTEM, fault_of, group_of


@pytest.mark.parametrize("name", ["ada", "Ada", "ada.lovelace", "_x", "ada-1", "root", "admin", "ä", "a" * 32, "ada$"])
def test_names_that_accounts_have(name: str) -> None:
    assert fault_of(name) == "" and group_of(name) is None


@pytest.mark.parametrize("name", ["a b", "ada:x", "a" * 40, "ä" * 17, "-x", "ada\n", "a,b", "a/b", "..", "\x07", "~a"])
def test_fault_21_names_that_no_account_can_have_are_refused(name: str) -> None:
    assert fault_of(name)


def test_fault_21_a_system_account_is_named_and_a_groups_name_works() -> None:
    assert "account of the guest's own system" in fault_of("backup")
    for name in ("operator", "staff", "sudo"):
        assert fault_of(name) == "" and group_of(name) == name


def test_fault_21_the_rule_at_apply_knows_the_same_system_accounts() -> None:
    text = resources.files("virtualserver").joinpath("api/manifests/virtualserver.yaml").read_text()
    (names,) = set(re.findall(r"u\.username in \[([^]]*)\]", re.sub(r"\s+", " ", text.replace("''", "'"))))
    assert {name.strip(" '") for name in names.split(",")} == SYSTEM | {".", ".."}
