"""The Terraform module with the real provider against an API server and an operator; the node is played by hand."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.terraform_world import MODULE, Terraform, blocks_of_a_lost_answer
from virtualserver.api import names
from virtualserver.kube import kinds
from virtualserver.operator.kinds import VIRTUAL_SERVER, WAIT

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from harness.control_plane import ControlPlane
    from harness.operator_cluster import Cluster

pytestmark = pytest.mark.timeout(300)

ROOT = """\
terraform {
  required_providers {
    kubernetes = { source = "hashicorp/kubernetes" }
  }
}

provider "kubernetes" {}

variable "settings" {
  type    = any
  default = {}
}

module "server" {
  source               = "%(module)s"
  user_namespace       = "%(namespace)s"
  vs_name              = "web"
  vs_username          = "someone"
  vs_image             = "debian-12"
  vs_memory            = "512Mi"
  vs_root_storage      = "4Gi"
  vs_gpu_enable        = try(var.settings.gpu, false)
  vs_running           = try(var.settings.running, true)
  vs_tcp_ports         = []
  vs_udp_ports         = []
  vs_public_networking = false
  vs_mac_address       = try(var.settings.mac, null)
  vs_cloud_init        = try(var.settings.cloud_init, null)
  vs_ready_timeout     = try(var.settings.within, "2m")
  vs_stopped_timeout   = try(var.settings.within, "2m")
}

output "status" {
  value = module.server.status
}
"""


class Applies:
    """Terraform for one server, beside the loop that plays the node."""

    def __init__(self, terraform: Terraform) -> None:
        self.terraform = terraform

    async def apply(self, **settings: Any) -> str:
        """Apply, which must succeed."""
        return await asyncio.to_thread(self.terraform.apply, _settings(settings))

    async def refused(self, **settings: Any) -> str:
        """Apply, which must fail, and return its words."""
        return await asyncio.to_thread(self.terraform.refused, "apply", "-auto-approve", _settings(settings))

    async def nothing_to_do(self, **settings: Any) -> None:
        """Plan, and see that it is empty."""
        await asyncio.to_thread(self.terraform.assert_plan_is_empty, _settings(settings))


def _settings(values: dict[str, Any]) -> str:
    return f"-var=settings={json.dumps(values)}"


@pytest.fixture
def applies(real_provider: dict[str, str], control_plane: ControlPlane, cluster: Cluster, tmp_path: Path) -> Applies:
    """A root module with one server, initialised."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "main.tf").write_text(ROOT % {"module": MODULE, "namespace": cluster.namespace})
    terraform = Terraform(folder, {**real_provider, "KUBE_CONFIG_PATH": str(control_plane.kubeconfig)})
    terraform.init()
    return Applies(terraform)


async def with_node(cluster: Cluster, apply: Awaitable[str]) -> str:
    """Apply while the node starts the machine, and return what was said."""
    applying = asyncio.ensure_future(apply)
    await asyncio.gather(cluster.machine_runs(), applying)
    return applying.result()


async def server_of(cluster: Cluster) -> Any:
    """Return the server."""
    found = await cluster.get(VIRTUAL_SERVER, "web")
    assert found is not None
    return found


async def uids(cluster: Cluster) -> tuple[str, str]:
    """Return what must not be made anew: the server's UID, and its disk's."""
    disk = await cluster.object(kinds.DATA_VOLUME, "web")
    return (await server_of(cluster))["metadata"]["uid"], disk["metadata"]["uid"]


async def test_an_apply_waits_for_its_own_answer_and_the_plan_after_it_is_empty(
    cluster: Cluster, operator_process: Any, applies: Applies
) -> None:
    async with operator_process():
        await with_node(cluster, applies.apply())
        await applies.nothing_to_do()
        server = await server_of(cluster)
        key = server["metadata"]["annotations"][names.REVISION]
        assert server["status"]["settled"] == f"{key} Ready"
        before = await uids(cluster)
        said = await applies.apply(cloud_init="packages: [nginx]")
        assert "spec.cloudInit (packages): the guest was told at its first start" in " ".join(said.split())
        await applies.nothing_to_do(cloud_init="packages: [nginx]")
        assert (await server_of(cluster))["status"]["settled"] != f"{key} Ready"
        assert await uids(cluster) == before
        (wait,) = await cluster.client.list(WAIT, namespace=cluster.namespace)
        assert wait["metadata"]["ownerReferences"][0]["uid"] == before[0]


async def test_fault_28_an_operator_that_answers_nobody_costs_no_server(
    cluster: Cluster, operator_process: Any, applies: Applies
) -> None:
    said = await applies.refused(within="1s")
    assert "timed out waiting" in said
    uid = (await server_of(cluster))["metadata"]["uid"]
    async with operator_process():
        disk = (await cluster.object(kinds.DATA_VOLUME, "web"))["metadata"]["uid"]
        await with_node(cluster, applies.apply())
        assert await uids(cluster) == (uid, disk)
        await applies.nothing_to_do()


async def test_fault_28_what_only_somebody_can_mend_fails_in_seconds_in_the_operators_words(
    cluster: Cluster, operator_process: Any, applies: Applies
) -> None:
    async with operator_process():
        await cluster.create("other", network={"macAddress": "02:00:00:00:00:07"})
        await cluster.object(kinds.VIRTUAL_MACHINE, "other")
        started = time.monotonic()
        said = await applies.refused(mac="02:00:00:00:00:07")
        assert "MACAddressTaken: spec.network.macAddress" in said
        assert time.monotonic() - started < 15
        uid = (await server_of(cluster))["metadata"]["uid"]
        # It is tried again, and answered anew.
        assert "MACAddressTaken" in await applies.refused(mac="02:00:00:00:00:07")
        await cluster.client.delete(VIRTUAL_SERVER, "other", namespace=cluster.namespace)
        await with_node(cluster, applies.apply(mac="02:00:00:00:00:07"))
        assert (await server_of(cluster))["metadata"]["uid"] == uid
        await applies.nothing_to_do(mac="02:00:00:00:00:07")


async def test_a_server_that_takes_longer_is_told_of_and_waited_for_again(
    cluster: Cluster, operator_process: Any, applies: Applies
) -> None:
    async with operator_process():
        said = await applies.refused(within="2s")
        assert "is not ready after 2s, and goes on by itself" in said
        before = await uids(cluster)
        await with_node(cluster, applies.apply(within="2s"))
        assert await uids(cluster) == before


async def test_an_apply_that_was_cut_off_goes_on(cluster: Cluster, operator_process: Any, applies: Applies) -> None:
    said = await applies.refused(within="1s")
    assert "timed out waiting" in said
    # As if the answer to the creation of the wait had been lost.
    await asyncio.to_thread(applies.terraform.run, "state", "rm", "module.server.kubernetes_manifest.wait[0]")
    async with operator_process():
        uid = (await server_of(cluster))["metadata"]["uid"]
        await with_node(cluster, applies.apply())
        assert (await server_of(cluster))["metadata"]["uid"] == uid
        await applies.nothing_to_do()


async def test_fault_28_a_server_that_the_state_lacks_is_taken_over_by_the_blocks_of_the_page(
    cluster: Cluster, operator_process: Any, applies: Applies
) -> None:
    """The answer to the request that made the server was lost."""
    lost = (f"module.server.kubernetes_manifest.{name}" for name in ("virtualserver", "wait[0]"))
    async with operator_process():
        await with_node(cluster, applies.apply())
        before = await uids(cluster)
        await asyncio.to_thread(applies.terraform.run, "state", "rm", *lost)
        assert "already exists" in await applies.refused()
        blocks = blocks_of_a_lost_answer().replace("default", cluster.namespace)
        (applies.terraform.folder / "taken_over.tf").write_text(blocks)
        await applies.apply()
        assert await uids(cluster) == before
        await applies.nothing_to_do()


async def test_a_server_that_is_to_be_stopped_settles_as_stopped(
    cluster: Cluster, operator_process: Any, applies: Applies
) -> None:
    async with operator_process():
        applying = asyncio.ensure_future(applies.apply(running=False))
        await cluster.machine_is_stopped()
        await applying
        assert (await server_of(cluster))["status"]["settled"].endswith(" Stopped")
        await applies.nothing_to_do(running=False)
