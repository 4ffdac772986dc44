from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
import yaml

from virtualserver.api import virtualserver
from virtualserver.console.planned import MOST, planned
from virtualserver.plan import passwords

if TYPE_CHECKING:
    from pathlib import Path


def a_server(**network: Any) -> dict[str, Any]:
    return {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "metadata": {"name": "web", "namespace": "shop", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "os": {"type": "linux"},
            "resources": {"memory": "1Gi"},
            "storage": {"root": {"size": "4Gi", "storageClassName": "local", "source": {"blank": {}}}},
            "users": [{"username": "ada", "password": "secret"}],
            "network": network,
        },
    }


def test_what_would_be_made_is_shown_without_whose_it_is() -> None:
    objects = {one["kind"]: one for one in planned(a_server(tcp={"ports": [22]}), site=None)}
    assert {"VirtualMachine", "Service", "DataVolume"} <= objects.keys()
    assert not any(key in one["metadata"] for one in objects.values() for key in ("ownerReferences", "labels"))


def test_no_password_is_shown() -> None:
    assert "secret" not in str(planned(a_server(), site=None)).replace("secretRef", "")


def test_the_sites_pools_are_those_of_its_profile(tmp_path: Path) -> None:
    server = a_server(public=False, tcp={"ports": [22]})
    pools = [
        one["metadata"]["annotations"]["metallb.io/address-pool"]
        for site in (None, tmp_path / "missing")
        for one in planned(server, site=site)
        if one["kind"] == "Service"
    ]
    assert pools == ["private", "private"]


def test_what_is_no_server_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="spec"):
        planned({"kind": "VirtualServer", "metadata": {"name": "a", "namespace": "b"}}, site=None)


def test_attack_thousands_of_users_or_networks_that_no_api_server_stores_take_no_time_of_the_console(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is signed in sends any text: each user with a password took two milliseconds."""
    monkeypatch.setattr(passwords, "hashed", Mock(side_effect=AssertionError("nothing shows a password")))
    users = [{"username": f"u{number}", "password": "p"} for number in range(256)]
    server = a_server()
    assert planned({**server, "spec": {**server["spec"], "users": users}}, site=None)
    with pytest.raises(ValueError, match=r"spec\.users: 257 are given, 256 are allowed"):
        planned({**server, "spec": {**server["spec"], "users": [*users, users[0]]}}, site=None)
    monkeypatch.setattr(virtualserver, "decode", Mock(side_effect=AssertionError("it was bounded before")))
    for field, items in (("vpcs", [{"name": "v"}]), ("floatingIPs", ["v"])):
        with pytest.raises(ValueError, match=rf"spec\.network\.{field}: 10000 are given, \d+ are allowed"):
            planned(a_server(**{field: items * 10_000}), site=None)


def test_the_bounds_of_lists_are_those_of_the_schema() -> None:
    text = resources.files("virtualserver").joinpath("api/manifests/virtualserver.yaml").read_text()
    schema = yaml.safe_load(text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for path, most in MOST.items():
        field = schema
        for name in path.split("."):
            field = field["properties"][name]
        assert field["maxItems"] == most, path
