"""``vs user``: what a person gets, what ends it, and that it may be killed at any moment, with a real API server."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import secrets
import stat
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from harness.reports import Unseen, quiet
from harness.tenant import Tenant
from harness.waiting import eventually
from virtualserver.cli import main
from virtualserver.controlplane import site
from virtualserver.local import users
from virtualserver.local.errors import LocalError, MissingError
from virtualserver.local.kubectl import Kubectl
from virtualserver.local.namespace_quota import share_gib
from virtualserver.plan.sites.quotas import AddressQuota, Quotas
from virtualserver.plan.sites.site import DISK_OVERCOMMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.control_plane import ControlPlane
    from virtualserver.installation.installation import Installation

SERVERS = "/apis/virtualservers.coreweave.com/v1alpha1/namespaces/{}/virtualservers"
SMALL = '{"spec": {"hard": {"services": "1", "services.nodeports": "10"}}}'
QUOTA = "virtualservers.coreweave.com/address-quota"


@pytest.fixture
def installation(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The running installation as the command line finds it."""
    monkeypatch.setenv("VS_CONTROLPLANE", str(control_plane.kubectl_path.parent))
    for name, value in control_plane.installation.environment().items():
        monkeypatch.setenv(name, value)
    return control_plane.installation


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """The name of a namespace that is not there yet."""
    name = f"users-{secrets.token_hex(3)}"
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def name(installation: Installation) -> Iterator[str]:
    """The name of a user, who is gone at the end."""
    user = f"ada-{secrets.token_hex(3)}"
    yield user
    try:
        users.revoke(installation, user, update=quiet)
        users.forget(installation, user, update=quiet)
    except MissingError:
        pass


UNSEEN = Unseen()


def add(installation: Installation, name: str, namespace: str, **asked: Any) -> Tenant:
    return Tenant(json.loads(users.add(installation, name, namespace=namespace, report=UNSEEN, **asked).kubeconfig))


def may(tenant: Tenant, path: str, status: int = 200, *, what: str) -> None:
    """Wait until a GET has the status: rights are in force a moment after they are written."""
    eventually(lambda: tenant.status("GET", path) == status, what=what, seconds=30)


def test_a_user_may_edit_one_namespace_and_nothing_else(
    control_plane: ControlPlane, installation: Installation, namespace: str, name: str
) -> None:
    with contextlib.closing(add(installation, name, namespace)) as ada:
        may(ada, SERVERS.format(namespace), what="the user to see the namespace")
        assert ada.status("GET", f"/api/v1/namespaces/{namespace}/secrets") == 200
        assert ada.namespace == namespace
        for path in (
            SERVERS.format("default"),
            "/apis/virtualservers.coreweave.com/v1alpha1/virtualservers",
            "/api/v1/namespaces",
            "/api/v1/namespaces/vs-users/serviceaccounts",
            f"/api/v1/namespaces/vs-users/secrets/{name}",
            "/api/v1/namespaces/vd-images/persistentvolumeclaims",
            "/api/v1/nodes",
            "/api/v1/events",
        ):
            assert ada.status("GET", path) == 403, path
        # What the namespace may hold is not its users' to say.
        patch = {"metadata": {"annotations": {QUOTA: "1000"}}}
        assert ada.status("PATCH", f"/api/v1/namespaces/{namespace}", patch) == 403
    live = json.loads(control_plane.kubectl("get", "namespace", namespace, "-o", "json"))
    assert live["metadata"]["annotations"][QUOTA] == "16"


def test_a_viewer_sees_servers_and_networks_and_no_secret(
    control_plane: ControlPlane, installation: Installation, namespace: str, name: str
) -> None:
    with contextlib.closing(add(installation, name, namespace, role="view")) as viewer:
        may(viewer, SERVERS.format(namespace), what="the user to see the namespace")
        networks = f"/apis/k8s.cni.cncf.io/v1/namespaces/{namespace}/network-attachment-definitions"
        may(viewer, networks, what="the networks, whose storage may just begin")
        assert viewer.status("GET", f"/api/v1/namespaces/{namespace}/secrets") == 403
        token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        assert viewer.status("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", token) == 403
    live = json.loads(control_plane.kubectl("get", "namespace", namespace, "-o", "json"))
    assert QUOTA not in live["metadata"].get("annotations", {}), "who takes no address limits nobody"


def test_a_second_add_changes_role_and_quota_and_leaves_what_is_there(
    control_plane: ControlPlane, installation: Installation, namespace: str, name: str
) -> None:
    with contextlib.closing(add(installation, name, namespace)) as first:
        may(first, f"/api/v1/namespaces/{namespace}/secrets", what="the user to edit")
        secret = control_plane.kubectl("get", "secret", name, "-n", "vs-users", "-o", "jsonpath={.metadata.uid}")
        with contextlib.closing(add(installation, name, namespace, role="view", addresses=3)) as second:
            may(second, f"/api/v1/namespaces/{namespace}/secrets", 403, what="the user to lose edit")
            assert second.status("GET", SERVERS.format(namespace)) == 200
            assert first.status("GET", SERVERS.format(namespace)) == 200, "the first token is the same user's"
    assert secret == control_plane.kubectl("get", "secret", name, "-n", "vs-users", "-o", "jsonpath={.metadata.uid}")
    live = json.loads(control_plane.kubectl("get", "namespace", namespace, "-o", "json"))
    assert live["metadata"]["annotations"][QUOTA] == "3"
    users.add(installation, name, namespace=namespace, report=UNSEEN)
    live = json.loads(control_plane.kubectl("get", "namespace", namespace, "-o", "json"))
    assert live["metadata"]["annotations"][QUOTA] == "3", "the default is for namespaces that have none"


def test_attack_a_user_makes_so_many_services_and_no_more(
    control_plane: ControlPlane, installation: Installation, namespace: str, name: str
) -> None:
    services = f"/api/v1/namespaces/{namespace}/services"

    def a_service(called: str, ports: int = 1, **spec: Any) -> dict[str, Any]:
        numbered = [{"port": port, "name": f"p{port}"} for port in range(1, ports + 1)]
        return {"metadata": {"name": called}, "spec": {"ports": numbered, **spec}}

    def quota(*arguments: str) -> str:
        return control_plane.kubectl(*arguments, "-n", namespace)

    with contextlib.closing(add(installation, name, namespace)) as ada:
        may(ada, services, what="the user's rights are in force")
        assert ada.status("POST", services, a_service("first")) == 201
        hard = json.loads(quota("get", "resourcequota", "-o", "jsonpath={.items[*].spec.hard}"))
        told = os.statvfs(installation.state)
        disks = share_gib(int(told.f_blocks * told.f_frsize * DISK_OVERCOMMIT))
        assert hard == {"services": "2k", "services.nodeports": "2k", "requests.storage": f"{disks}Gi"}
        quota("patch", "resourcequota/virtualserver-services", "-p", SMALL)
        eventually(lambda: ada.status("POST", f"{services}?dryRun=All", a_service("more")) == 403)
        status, answer = ada.call("POST", services, a_service("more"))
        assert status == 403
        assert "exceeded quota: virtualserver-services" in answer["message"]
        assert ada.status("DELETE", f"/api/v1/namespaces/{namespace}/resourcequotas/virtualserver-services") == 403
        # Each port of a LoadBalancer has a node port, of which there are so many for all.
        quota("patch", "resourcequota/virtualserver-services", "-p", '{"spec": {"hard": {"services": "2"}}}')
        eventually(lambda: ada.status("POST", f"{services}?dryRun=All", a_service("more")) == 201)
        status, answer = ada.call("POST", services, a_service("more", 11, type="LoadBalancer"))
        assert (status, "requested: services.nodeports=11" in answer["message"]) == (403, True), answer

    # What an administrator says stays, under whatever name.
    add(installation, name, namespace).close()
    hard = json.loads(quota("get", "resourcequota", "-o", "jsonpath={.items[*].spec.hard}"))
    assert (hard["services"], hard["services.nodeports"]) == ("2", "10")
    quota("delete", "resourcequota", "virtualserver-services")
    quota("create", "quota", "virtualserver-services", "--hard=services=5")  # an earlier version's
    add(installation, name, namespace).close()
    assert json.loads(quota("get", "resourcequota", "-o", "jsonpath={.items[*].spec.hard}")) == {
        "services": "5",
        "services.nodeports": "2k",
    }
    quota("delete", "resourcequota", "virtualserver-services")
    quota("create", "quota", "own", "--hard=count/services=5")
    add(installation, name, namespace).close()
    assert quota("get", "resourcequota", "-o", "jsonpath={.items[*].metadata.name}") == "own"


def test_a_namespace_whose_quota_site_yaml_says_is_given_no_other(
    control_plane: ControlPlane,
    installation: Installation,
    namespace: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quotas = Quotas(namespaces={namespace: AddressQuota(each=4)})
    found = dataclasses.replace(site.look(installation).site, quotas=quotas)

    def look(_installation: Installation) -> site.SiteFound:
        return site.SiteFound(found)

    monkeypatch.setattr(site, "look", look)
    assert users.add(installation, name, namespace=namespace, report=UNSEEN).addresses == ""
    live = json.loads(control_plane.kubectl("get", "namespace", namespace, "-o", "json"))
    assert QUOTA not in live["metadata"].get("annotations", {})


def test_a_removed_user_is_refused_and_what_the_user_left_is_named_and_ends(
    control_plane: ControlPlane, installation: Installation, namespace: str, name: str
) -> None:
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    with contextlib.closing(add(installation, name, namespace)) as ada:
        may(ada, f"{accounts}/default", what="the namespace's own ServiceAccount")
        made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "left", "labels": {"a": "b"}}}
        assert ada.status("POST", accounts, made) == 201
        wanted: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        status, answer = ada.call("POST", f"{accounts}/left/token", wanted)
        assert status == 201
        token = answer["status"]["token"]
        # kube-apiserver alone gives tokens for 136 years, whatever the user's own time is.
        for days, expected in ((30, 201), (31, 403)):
            longer = {**wanted, "spec": {"expirationSeconds": days * 24 * 3600}}
            status, answer = ada.call("POST", f"{accounts}/left/token", longer)
            assert (status, expected == 201 or "ends after 30 days" in answer["message"]) == (expected, True), answer
        control_plane.kubectl("create", "token", "left", "-n", namespace, "--duration=8760h")
        control_plane.kubectl(
            "create", "rolebinding", "ci", "--clusterrole=view", f"--serviceaccount={namespace}:left", "-n", namespace
        )
        eventually(lambda: ada.status("GET", SERVERS.format(namespace), token=token) == 200, what="the token it made")

        revoked = users.revoke(installation, name, update=quiet)
        began = datetime.datetime.now(datetime.UTC)
        assert {(one.name, one.roles) for one in revoked.accounts} == {("default", ()), ("left", ("view",))}
        assert revoked.rights == ()
        eventually(lambda: ada.status("GET", "/version") == 401, what="the token to be refused", seconds=30)
        assert datetime.datetime.now(datetime.UTC) - began < datetime.timedelta(seconds=20)
        assert ada.status("GET", SERVERS.format(namespace), token=token) == 200, "what the user left goes on"

        users.forget(installation, name, ending=revoked.accounts, update=quiet)
        eventually(
            lambda: ada.status("GET", SERVERS.format(namespace), token=token) == 401, what="the other to be refused"
        )
    live = json.loads(control_plane.kubectl("get", "serviceaccount", "left", "-n", namespace, "-o", "json"))
    assert live["metadata"]["labels"] == {"a": "b"}, "made anew as it was"
    assert name not in {user.name for user in users.listed(installation)}
    assert "NotFound" in control_plane.kubectl("get", "secret", name, "-n", "vs-users", check=False)
    with pytest.raises(MissingError):
        users.revoke(installation, name, update=quiet)


def test_what_others_bound_to_the_user_is_listed_and_named_at_the_end(
    control_plane: ControlPlane, installation: Installation, namespace: str, name: str
) -> None:
    users.add(installation, name, namespace=namespace, report=UNSEEN)
    account = f"--serviceaccount=vs-users:{name}"
    control_plane.kubectl("create", "rolebinding", "theirs", "--clusterrole=view", account, "-n", namespace)
    [user] = [user for user in users.listed(installation) if user.name == name]
    assert [(right.role, right.is_ours) for right in user.rights] == [("edit", True), ("view", False)]
    left = users.revoke(installation, name, update=quiet).rights
    assert [right.binding for right in left] == ["theirs"]


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_killed_before_any_write_and_run_again_it_comes_to_the_same(
    installation: Installation, namespace: str, name: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Kubectl.run
    left = 0

    def killed(self: Kubectl, *arguments: str, stdin: str = "") -> str:
        nonlocal left
        left -= arguments[0] != "get"
        if left < 0:
            raise KeyboardInterrupt
        return run(self, *arguments, stdin=stdin)

    def act() -> None:
        if verb == "add":
            users.add(installation, name, namespace=namespace, report=UNSEEN)
        else:
            left_over = users.revoke(installation, name, update=quiet)
            users.forget(installation, name, ending=left_over.accounts, update=quiet)

    if verb == "remove":
        users.add(installation, name, namespace=namespace, report=UNSEEN)
    kills = 0
    while True:
        left = kills
        with monkeypatch.context() as patched:
            patched.setattr(Kubectl, "run", killed)
            try:
                act()
                break
            except KeyboardInterrupt:
                kills += 1
    assert kills >= 3
    known = {user.name: user for user in users.listed(installation)}
    if verb == "add":
        assert [right.role for right in known[name].rights] == ["edit"]
        with contextlib.closing(add(installation, name, namespace)) as ada:
            may(ada, SERVERS.format(namespace), what="the user to see the namespace")
    else:
        assert name not in known
        with pytest.raises(MissingError):
            act()


@pytest.mark.parametrize(
    ("user", "namespace", "words"),
    [
        ("Ada", "team", "user 'Ada' is no name"),
        ("ada", "no/space", "namespace 'no/space' is no name"),
        ("default", "team", "each namespace has"),
        ("ada", "kube-system", "the installation's own"),
        ("ada", "vs-users", "the installation's own"),
    ],
)
def test_names_that_cannot_be_are_refused_before_anything_is_made(
    installation: Installation, user: str, namespace: str, words: str
) -> None:
    with pytest.raises(LocalError, match=words):
        users.add(installation, user, namespace=namespace, report=UNSEEN)


def test_the_command_writes_a_kubeconfig_for_its_owner_alone(
    installation: Installation, namespace: str, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "ada.kubeconfig"
    options = ["user", "add", name, "--namespace", namespace, "--role", "view"]
    done = CliRunner().invoke(main.vs, [*options, "-o", str(file), "--valid", "12h"])
    assert done.exit_code == 0, done.stderr
    assert f"{file}: the kubeconfig of {name}. It is valid until " in done.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    printed = CliRunner().invoke(main.vs, options)
    assert json.loads(printed.stdout)["current-context"] == json.loads(file.read_bytes())["current-context"]
    assert "is on standard output" in printed.stderr
    assert f"There is no namespace {namespace} yet: making it." in done.stderr and "making it" not in printed.stderr
    file.write_text("mine")
    refused = CliRunner().invoke(main.vs, [*options, "-o", str(file)])
    assert (refused.exit_code, file.read_text()) == (4, "mine")

    listed = json.loads(CliRunner().invoke(main.vs, ["user", "list", "-o", "json"]).stdout)
    [user] = [user for user in listed if user["name"] == name]
    ends = datetime.datetime.fromisoformat(user["expires"]) - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=364) < ends < datetime.timedelta(days=366), "the last one that was given"
    removed = CliRunner().invoke(main.vs, ["user", "remove", name, "-o", "json"])
    assert json.loads(removed.stdout) == {"user": name, "accounts": [], "left": []}
    assert CliRunner().invoke(main.vs, ["user", "remove", name]).exit_code == 3
