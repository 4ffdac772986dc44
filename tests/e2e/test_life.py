"""``vs down`` leaves nothing on the machine, ``vs up`` goes on where it stopped, instances leave each other alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from e2e.conftest import add_image
from e2e.manifests import a_floating_service, a_server
from harness.waiting import eventually

if TYPE_CHECKING:
    from e2e.machine import Machine
    from e2e.product import Product

BY_UNIT = "starts the instance with this machine"
PORTS = {"public": True, "tcp": {"ports": [22]}}
FLOATING = PORTS | {"floatingIPs": ["lent"]}
ATTACHED = {"public": False, "directAttachLoadBalancerIP": True}


def _identity(product: Product, name: str) -> dict[str, Any]:
    found = product.get("vs", name)["status"]["network"]
    interfaces = product.get("vmi", name)["status"]["interfaces"]
    return {"network": found, "interfaces": [(one["name"], one["mac"], one["ipAddress"]) for one in interfaces]}


def test_down_leaves_nothing_and_what_ran_runs_again_as_it_was(machine: Machine) -> None:
    product = machine.product("life")
    before = machine.look(product.installation)
    product.vs("up", "--no-hello")
    add_image(product)
    product.apply(
        a_floating_service("lent"),
        a_server("ports", network=FLOATING),
        a_server("attached", network=ATTACHED),
        a_server("stopped", running=False, network=PORTS),
    )
    for name in ("ports", "attached"):
        product.wait_ready(name)
    product.wait_reason("stopped", "VirtualServerStopped")
    identities = {name: _identity(product, name) for name in ("ports", "attached")}
    lent = identities["ports"]["network"]["floatingIPs"]["lent"]
    assert machine.client.pings(lent)
    product.guest("ports").run("echo mine >/dev/vda; sync")
    during = machine.look(product.installation)
    product.one_owner()
    assert machine.unlisted(before, product.installation, product.inventory()) == {}, "fault 44: inventory knows all"
    for kind in ("links", "routes", "rules", "processes", "run", "settings"):
        assert during[kind] != before[kind], f"{kind} are as they were: what is compared has no meaning"

    product.vs("down")
    machine.is_as(before, product.installation)
    assert (product.folder / "disks").is_dir()
    assert not product.run_folder.parent.exists()

    product.vs("up", "--no-hello")
    for name, identity in identities.items():
        product.wait_ready(name)
        assert _identity(product, name) == identity
    assert product.guest("ports").run("head -c 4 /dev/vda") == "mine"
    address = identities["ports"]["network"]["externalIP"]
    eventually(lambda: machine.client.probe("tcp", address, 22)["result"] == "open", what="port 22 to answer")
    eventually(lambda: machine.client.pings(lent), what="the floating address to answer")
    assert product.condition("stopped")["reason"] == "VirtualServerStopped"
    assert not product.get("vmi", "stopped")
    product.one_owner()

    # Power is lost, and comes back: the unit that `vs enable` wrote would now run `vs up`.
    enabled = json.loads(product.vs("enable", "-o", "json"))
    assert {"kind": "file", "name": enabled["unit"], "detail": BY_UNIT, "within": ""} in product.inventory()
    product.kubectl("patch", "vs", "attached", "--type=merge", "-p", '{"spec":{"runStrategy":"Always"}}')
    eventually(lambda: product.get("vm", "attached")["spec"]["runStrategy"] == "Always", what="the strategy")
    machine.reboot(product)
    before = machine.look(product.installation)
    # The unit goes with the purge; the folder of systemd's that it is enabled in stays.
    before["configuration"] = [one for one in before["configuration"] if "virtualserver-life" not in one]
    product.vs("up", "--no-hello")
    for name, identity in identities.items():
        product.wait_ready(name)
        assert _identity(product, name) == identity, "addresses, MACs and their order are what they were"
    assert product.guest("ports").run("head -c 4 /dev/vda") == "mine"
    eventually(lambda: machine.client.probe("tcp", address, 22)["result"] == "open", what="port 22 after the reboot")
    eventually(lambda: machine.client.pings(lent), what="the floating address after the reboot")
    assert not product.get("vmi", "stopped"), "what did not run does not run"

    product.vs("disable")
    assert machine.attempt("test", "-e", enabled["unit"]).returncode, "it does not start with the machine any more"
    assert BY_UNIT not in json.dumps(product.inventory())
    product.vs("enable")

    refused = product.attempt("down", "--purge", stdin="n\n")
    assert refused.returncode != 0
    assert f"default/ports: {product.folder / 'disks'}/" in refused.stderr
    product.vs("down", "--purge", "--yes")
    machine.is_as(before, product.installation)
    assert not product.folder.exists()
    assert machine.attempt("test", "-e", enabled["unit"]).returncode, "a purge takes the unit along"


def test_one_instance_goes_and_the_other_stays_as_it_is(machine: Machine) -> None:
    empty = machine.look("side")
    first, second = (machine.product(name) for name in ("side-one", "side-two"))
    first.vs("up", "--no-hello")
    add_image(first)
    first.apply(a_server("ports", network=PORTS))
    address = first.wait_ready("ports")["status"]["network"]["externalIP"]
    alone = machine.look("side")
    second.vs("up", "--no-hello")
    add_image(second)
    second.apply(a_server("ports", network=PORTS))
    other = second.wait_ready("ports")["status"]["network"]["externalIP"]
    assert other != address
    for each in (address, other):
        assert machine.client.probe("tcp", each, 22)["result"] == "open"
    first.one_owner()
    second.one_owner()

    second.vs("down", "--purge", "--yes")
    machine.is_as(alone, "side")
    assert machine.client.probe("tcp", address, 22)["result"] == "open"
    assert machine.client.probe("tcp", other, 22)["result"] != "open"
    assert first.condition("ports")["status"] == "True"
    first.one_owner()
    first.vs("down", "--purge", "--yes")
    machine.is_as(empty, "side")
