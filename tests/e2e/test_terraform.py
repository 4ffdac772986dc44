"""The Terraform module with the real provider against one machine: apply, empty plan, change, import, destroy."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from e2e.conftest import IMAGE
from harness.terraform_world import EXAMPLES, MODULE, Terraform
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.internet import Internet
    from e2e.product import Product

pytestmark = pytest.mark.timeout(900)

Workspaces = Callable[[str], Terraform]
"""Makes a root module with one server of the name."""

ROOT = """\
terraform {
  required_providers {
    kubernetes = {
      source = "hashicorp/kubernetes"
    }
  }
}

provider "kubernetes" {}

variable "settings" {
  type    = any
  default = {}
}

module "server" {
  source           = "%(module)s"
  user_namespace   = try(var.settings.namespace, "default")
  vs_name          = "%(name)s"
  vs_username      = "someone"
  vs_image         = "%(image)s"
  vs_memory        = try(var.settings.memory, "96Mi")
  vs_cpu_count     = 1
  vs_root_storage  = "128Mi"
  vs_gpu_enable    = try(var.settings.gpu, false)
  vs_running       = try(var.settings.running, true)
  vs_tcp_ports     = try(var.settings.tcp, [22])
  vs_udp_ports     = []
  vs_annotations   = try(var.settings.annotations, {})
  vs_ready_timeout = try(var.settings.ready_timeout, "4m")

  vs_public_networking   = try(var.settings.public, true)
  vs_attach_loadbalancer = try(var.settings.attach, false)
  vs_generate_password   = !can(var.settings.password)
  vs_password            = try(var.settings.password, null)
  vs_force_conflicts     = try(var.settings.force, false)
}

output "server" {
  value = { for name, value in module.server : name => value if name != "vs_password" }
}

output "password" {
  value     = module.server.vs_password
  sensitive = true
}
"""


def settings(**values: Any) -> str:
    """Return the argument that sets the module's variables."""
    return f"-var=settings={json.dumps(values)}"


@pytest.fixture(scope="module")
def environment(real_provider: dict[str, str], product: Product) -> Iterator[dict[str, str]]:
    """Where Terraform finds the provider and the cluster; the image has the name that the examples use."""
    result = {**real_provider, "KUBE_CONFIG_PATH": str(product.folder / "kubeconfig")}
    product.vs("image", "alias", "vd-images/debian", IMAGE)
    yield result
    product.vs("image", "remove", "debian")


@pytest.fixture
def workspace(environment: dict[str, str], tmp_path: Path) -> Iterator[Workspaces]:
    """Make root modules with one server each; what they made is destroyed at the end."""
    made: list[Terraform] = []

    def make(name: str) -> Terraform:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "main.tf").write_text(ROOT % {"module": MODULE, "name": name, "image": IMAGE})
        terraform = Terraform(folder, environment)
        terraform.init()
        made.append(terraform)
        return terraform

    yield make
    for terraform in made:
        terraform.destroy()


def answers(client: Internet, address: str, port: int) -> None:
    """Wait until a port answers, as seen from outside."""
    eventually(lambda: client.probe("tcp", address, port)["result"] == "open", what=f"{address}:{port}", seconds=60)


def server_of(terraform: Terraform) -> dict[str, Any]:
    """Return the module's outputs."""
    return terraform.outputs()["server"]


def ready(product: Product, name: str) -> str:
    """Return the reason of Ready."""
    return str(product.condition(name).get("reason"))


def test_the_examples_run_as_they_are(
    product: Product, client: Internet, environment: dict[str, str], tmp_path: Path
) -> None:
    """The first is the Terraform tab of the networking page, as printed."""
    copy = tmp_path / "terraform"
    shutil.copytree(MODULE, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    examples = {name: Terraform(copy / "examples" / name, environment) for name in EXAMPLES}

    def on_all(do: Callable[[Terraform], Any]) -> dict[str, Any]:
        with ThreadPoolExecutor(len(examples)) as pool:
            return dict(zip(examples, pool.map(do, examples.values()), strict=True))

    on_all(Terraform.init)
    try:
        on_all(Terraform.apply)
        on_all(Terraform.assert_plan_is_empty)
        addresses = on_all(Terraform.outputs)
        answers(client, addresses["basic"]["address"], 22)
        answers(client, addresses["private"]["address"], 22)
        answers(client, addresses["direct-attach"]["address"], 22)
        answers(client, addresses["fleet"]["addresses"]["web"], 22)
        floating = addresses["floating"]["floating_ips"]
        assert list(floating) == ["web-address"]
        answers(client, floating["web-address"], 22)
        answers(client, addresses["vpc"]["address"], 22)
        assert [len(product.get("vmi", name)["spec"]["networks"]) for name in ("firewall", "inside")] == [2, 1]
        assert product.condition("inside")["status"] == "True"
        assert addresses["headless"]["address"] == product.get("vs", "headless")["status"]["network"]["internalIP"]
        given = ["-var=vs_attach_loadbalancer=true"]
        refused = examples["basic"].refused("plan", *given)
        assert "vs_tcp_ports and vs_udp_ports must be empty: set both to []" in refused
    finally:
        on_all(Terraform.destroy)
    made = {"basic", "private", "direct-attach", "headless", "fleet-web", "fleet-database", "floating"}
    made |= {"firewall", "inside"}
    left = {item["metadata"]["name"] for kind in ("vs", "secret") for item in product.objects(kind)}
    assert not left & (made | {f"{name}-generated-password" for name in made})
    assert not product.get("service", "web-address") and not product.objects("network-attachment-definitions")


def test_changes_take_effect_and_the_plan_after_each_is_empty(
    product: Product, client: Internet, workspace: Workspaces
) -> None:
    terraform = workspace("changing")

    def change(**values: Any) -> dict[str, Any]:
        said = terraform.apply(settings(**values))
        terraform.assert_plan_is_empty(settings(**values))
        return {**server_of(terraform), "said": said}

    public = change(tcp=[22])
    uid = product.get("vs", "changing")["metadata"]["uid"]
    answers(client, public["vs_network"], 22)
    password = terraform.outputs()["password"]
    assert len(password) == 39, "Vs- and a UUID"
    assert password not in public["said"] + json.dumps(public)

    more = change(tcp=[22, 80])
    assert more["external_ip"] == public["external_ip"]
    ports = product.get("service", "changing-tcp")["spec"]["ports"]
    assert [port["port"] for port in ports] == [22, 80]

    private = change(tcp=[22], public=False)
    assert private["external_ip"] != public["external_ip"], "the address of the old pool is not taken for the new one"
    answers(client, private["vs_network"], 22)

    attached = change(tcp=[], attach=True)
    assert "RestartRequired" in attached["said"]
    assert "vs restart changing" in " ".join(attached["said"].split())
    product.power("changing", "restart")
    product.wait_ready("changing")
    attached = change(tcp=[], attach=True)
    assert attached["status"]["ready"]
    assert attached["internal_ip"] == attached["external_ip"]
    answers(client, attached["vs_network"], 22)

    change(tcp=[22])
    product.power("changing", "restart")
    product.wait_ready("changing")
    back = change(tcp=[22])
    assert back["status"]["ready"]
    assert back["internal_ip"] != back["external_ip"]
    answers(client, back["vs_network"], 22)
    assert product.get("vs", "changing")["metadata"]["uid"] == uid, "no change makes the server anew"
    assert terraform.outputs()["password"] == password, "a password is generated once"


def test_a_server_that_was_stopped_by_hand_hangs_no_apply(product: Product, workspace: Workspaces) -> None:
    terraform = workspace("stopped")
    terraform.apply()
    product.power("stopped", "stop")
    product.wait_reason("stopped", "VirtualServerStopped")
    said = terraform.apply(settings(tcp=[22, 80]))
    assert "vs start stopped" in " ".join(said.split()), "a warning says that it is left, and how to start it"
    assert ready(product, "stopped") == "VirtualServerStopped", "it is not started again either"
    terraform.assert_plan_is_empty(settings(tcp=[22, 80]))

    terraform.apply(settings(running=False))
    said = terraform.assert_plan_is_empty(settings(running=False))
    assert "Warning" not in said, "a server that is to be stopped is as it is wished"
    terraform.apply(settings())
    terraform.assert_plan_is_empty(settings())
    assert ready(product, "stopped") == "VirtualServerReady"
    uid = product.get("vs", "stopped")["metadata"]["uid"]
    terraform.apply("-replace=module.server.kubernetes_manifest.virtualserver", settings())
    assert product.get("vs", "stopped")["metadata"]["uid"] != uid
    assert ready(product, "stopped") == "VirtualServerReady", "one that is replaced is waited for, its guest's end too"
    terraform.apply(settings(running=False))
    assert product.condition("stopped", "VirtualServerStarted")["status"] == "False"

    product.power("stopped", "start")
    product.wait_ready("stopped")
    said = terraform.apply(settings(running=False, tcp=[22, 80]))
    assert "is left as it is: VirtualServerReady" in " ".join(said.split()), "one that was started by hand neither"


def test_what_is_refused_is_said_at_once_and_can_be_mended(product: Product, workspace: Workspaces) -> None:
    terraform = workspace("refused")
    said = terraform.refused("apply", "-auto-approve", settings(gpu=True, running=False))
    assert "NotSupportedYet" in said
    assert "vs_gpu_enable = false" in said
    uid = product.get("vs", "refused")["metadata"]["uid"]
    terraform.apply(settings(running=False))
    assert product.get("vs", "refused")["metadata"]["uid"] == uid
    terraform.refused("apply", "-auto-approve", settings(gpu=True, running=False))
    terraform.destroy()
    assert product.get("vs", "refused") == {}, "also a refused server can be destroyed"


def test_fault_28_what_nobody_can_carry_out_is_said_in_seconds_and_costs_no_server(
    product: Product, workspace: Workspaces
) -> None:
    terraform = workspace("waiting")
    # The disk is made first, which is not what is measured.
    terraform.apply(settings(running=False))
    disk = product.get("dv", "waiting")["metadata"]["uid"]
    uid = product.get("vs", "waiting")["metadata"]["uid"]
    started = time.monotonic()
    said = terraform.refused("apply", "-auto-approve", settings(memory="900Gi"))
    assert "MemoryExceedsMachine: spec.resources.memory: " in said
    assert "asks for 900Gi of memory, and this machine could give" in said
    assert time.monotonic() - started < 15
    terraform.apply(settings(running=False))
    assert product.get("vs", "waiting")["metadata"]["uid"] == uid
    assert product.get("dv", "waiting")["metadata"]["uid"] == disk


def test_fault_28_a_quota_is_told_in_its_words(product: Product, workspace: Workspaces) -> None:
    product.kubectl("create", "namespace", "small")
    try:
        product.kubectl("create", "quota", "disks", "-n", "small", "--hard=persistentvolumeclaims=0")
        terraform = workspace("bounded")
        started = time.monotonic()
        said = terraform.refused("apply", "-auto-approve", settings(namespace="small"))
        assert "DiskRefused: the root disk cannot be made: " in said
        assert "exceeded quota: disks" in said
        assert time.monotonic() - started < 20
        terraform.run("destroy", "-no-color", "-input=false", "-auto-approve", settings(namespace="small"))
    finally:
        product.delete("namespace", "small")


def test_a_server_that_kubectl_made_is_imported(product: Product, workspace: Workspaces) -> None:
    terraform = workspace("imported")
    product.apply(halted_manifest("imported"))
    uid = product.get("vs", "imported")["metadata"]["uid"]
    address = "module.server.kubernetes_manifest.virtualserver"
    identity = "apiVersion=virtualservers.coreweave.com/v1alpha1,kind=VirtualServer,namespace=default,name=imported"
    terraform.run("import", "-no-color", "-input=false", settings(running=False), address, identity)
    # What an imported server has and the module does not set stays as it is, so the password is still there.
    wanted = settings(running=False, force=True)
    assert "remove the password" in terraform.refused("apply", "-auto-approve", wanted)
    patch = '[{"op": "remove", "path": "/spec/users/0/password"}]'
    product.kubectl("patch", "vs", "imported", "--type=json", "-p", patch)
    terraform.apply(wanted)
    terraform.assert_plan_is_empty(wanted)
    assert product.get("vs", "imported")["metadata"]["uid"] == uid


def halted_manifest(name: str) -> dict[str, Any]:
    """Return a server as somebody wrote it without Terraform, with an inline password as the old module sent it."""
    return {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "initializeRunning": False,
            "region": "ORD1",
            "os": {"type": "linux"},
            "resources": {"cpu": {"count": 1}, "memory": "96Mi"},
            "storage": {
                "root": {
                    "size": "128Mi",
                    "storageClassName": "block-nvme-ord1",
                    "source": {"pvc": {"namespace": "vd-images", "name": IMAGE}},
                }
            },
            "users": [{"username": "someone", "password": "correct horse"}],
            "network": {"public": True, "tcp": {"ports": [22]}},
        },
    }


def test_the_state_of_the_old_module_is_taken_over(product: Product, workspace: Workspaces) -> None:
    terraform = workspace("old")
    manifest = halted_manifest("old")
    # As the old provider did.
    apply = ["apply", "--server-side", "--field-manager=Terraform", "-f", "-"]
    product.kubectl(*apply, stdin=yaml.safe_dump(manifest))
    live = product.get("vs", "old")
    (terraform.folder / "terraform.tfstate").write_text(json.dumps(old_state(manifest, live)))
    replaced = ["hashicorp/kubernetes-alpha", "hashicorp/kubernetes"]
    terraform.run("state", "replace-provider", "-auto-approve", *replaced)
    terraform.run("state", "rm", "module.server.random_string.vs_generate_password")
    wanted = settings(running=False, force=True, password="correct horse")
    said = terraform.apply(wanted)
    assert "2 added, 1 changed, 0 destroyed" in said, said
    terraform.assert_plan_is_empty(wanted)
    now = product.get("vs", "old")
    assert now["metadata"]["uid"] == live["metadata"]["uid"]
    assert "correct horse" not in json.dumps(now), "the password moved to a Secret"
    assert terraform.outputs()["password"] == "correct horse"


def old_state(manifest: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """Return what the published module left: its address, its provider, and beside it the generated password."""
    spec = {**manifest["spec"], "network": live["spec"]["network"]}
    metadata = {"name": manifest["metadata"]["name"], "namespace": manifest["metadata"]["namespace"]}
    sent = {**manifest, "metadata": metadata}
    attributes = {
        "manifest": {"value": sent, "type": kind_of(sent)},
        "object": {"value": {**sent, "spec": spec}, "type": kind_of({**sent, "spec": spec})},
        "wait_for": None,
    }
    server: dict[str, Any] = {
        "module": "module.server",
        "mode": "managed",
        "type": "kubernetes_manifest",
        "name": "virtualserver",
        "provider": 'provider["registry.terraform.io/hashicorp/kubernetes-alpha"]',
        "instances": [{"schema_version": 0, "attributes": attributes, "dependencies": []}],
    }
    password = {
        "module": "module.server",
        "mode": "managed",
        "type": "random_string",
        "name": "vs_generate_password",
        "provider": 'provider["registry.terraform.io/hashicorp/random"]',
        "instances": [{"index_key": 0, "schema_version": 1, "attributes": {"result": "correct horse", "length": 16}}],
    }
    return {
        "version": 4,
        "terraform_version": "0.14.11",
        "serial": 3,
        "lineage": "3f1e0c52-7a53-4c07-9d54-0a4f6d8b1c11",
        "outputs": {},
        "resources": [server, password],
    }


def kind_of(value: Any) -> Any:
    """Return the type of a value as Terraform's state writes it beside a dynamic value."""
    if isinstance(value, dict):
        return ["object", {key: kind_of(one) for key, one in cast("dict[str, Any]", value).items()}]
    if isinstance(value, list):
        return ["tuple", [kind_of(one) for one in cast("list[Any]", value)]]
    return "bool" if isinstance(value, bool) else "number" if isinstance(value, int) else "string"


def test_a_tenant_needs_no_more_than_edit_and_to_read_definitions(
    product: Product, workspace: Workspaces, tmp_path: Path
) -> None:
    product.kubectl("create", "namespace", "tenant")
    try:
        product.kubectl("create", "serviceaccount", "deployer", "-n", "tenant")
        subject = "--serviceaccount=tenant:deployer"
        product.kubectl("create", "rolebinding", "deployer", "-n", "tenant", "--clusterrole=edit", subject)
        terraform = workspace("tenant-vs")
        administrator = terraform.environment["KUBE_CONFIG_PATH"]
        terraform.environment["KUBE_CONFIG_PATH"] = str(tenant_kubeconfig(product, tmp_path))
        wanted = settings(namespace="tenant", running=False)
        refused = terraform.refused("apply", "-auto-approve", wanted)
        assert 'cannot list resource "customresourcedefinitions"' in refused
        reader = "--clusterrole=virtualserver:crd-reader"
        product.kubectl("create", "clusterrolebinding", "tenant-crd-reader", reader, subject)
        eventually(
            lambda: (
                product.try_kubectl(
                    "auth", "can-i", "list", "crd", "--as=system:serviceaccount:tenant:deployer"
                ).stdout.strip()
                == "yes"
            ),
            what="the binding to take effect",
        )
        terraform.apply(wanted)
        terraform.assert_plan_is_empty(wanted)
        terraform.run("destroy", "-no-color", "-input=false", "-auto-approve", wanted)
        terraform.environment["KUBE_CONFIG_PATH"] = administrator
    finally:
        product.delete("clusterrolebinding", "tenant-crd-reader")
        product.delete("namespace", "tenant")


def tenant_kubeconfig(product: Product, folder: Path) -> Path:
    """Write the kubeconfig of the namespace's service account."""
    config = yaml.safe_load((product.folder / "kubeconfig").read_text())
    token = product.kubectl("create", "token", "deployer", "-n", "tenant").strip()
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
