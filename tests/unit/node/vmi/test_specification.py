"""What a VirtualMachineInstance asks for, and what is refused by name."""

from __future__ import annotations

import contextlib
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness.virtualservers import a_server, an_image
from virtualserver.node.objects import volume_claims
from virtualserver.node.vm.controller import vmi_of
from virtualserver.node.vmi.disks import CloudInit
from virtualserver.node.vmi.specification import NicWish, Unsupported, grace_seconds, wish_of
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator


def a_vmi(
    *, domain: dict[str, Any] | None = None, devices: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    standard: dict[str, Any] = {
        "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
        "interfaces": [{"name": "default", "bridge": {}, "macAddress": "A2-1F-EE-09-06-5D"}],
    }
    return {
        "metadata": {"name": "one", "namespace": "ns"},
        "spec": {
            "domain": {
                "cpu": {"cores": 2},
                "memory": {"guest": "1Gi"},
                "devices": {**standard, **(devices or {})},
                **(domain or {}),
            },
            "networks": [{"name": "default", "pod": {}}],
            "volumes": [{"name": "root", "dataVolume": {"name": "one"}}],
            **spec,
        },
    }


def test_a_plain_machine() -> None:
    wish = wish_of(a_vmi())
    assert (wish.cpus, wish.memory_bytes, wish.nics) == (2, 1 << 30, (NicWish("default", "a2:1f:ee:09:06:5d"),))
    (disk,) = wish.disks
    assert (disk.name, disk.claim, disk.source, disk.read_only) == ("root", "one", "dataVolume", False)
    assert wish.cloud_init is None


@pytest.mark.parametrize("name", ["../../other", "a/b", "", "A", "a" * 64, "a\n"])
def test_a_disk_whose_name_could_be_a_path_is_refused(name: str) -> None:
    volumes = [{"name": name, "ephemeral": {"persistentVolumeClaim": {"claimName": "one"}}}]
    with pytest.raises(Unsupported, match=r"spec\.domain\.devices\.disks\[.*no DNS label"):
        wish_of(a_vmi(devices={"disks": [{"name": name}]}, volumes=volumes))


def test_what_the_dhcp_server_cannot_tell_a_guest_is_refused() -> None:
    config = {"nameservers": ["192.0.2.53\n192.0.2.54"], "searches": ["a,b"]}
    with pytest.raises(Unsupported, match=r"dnsConfig\.nameservers\[0\].*dnsConfig\.searches\[0\].*spec\.hostname"):
        wish_of(a_vmi(dnsConfig=config, hostname="a,b"))


@pytest.mark.parametrize(
    ("mac", "words"),
    [
        ("zz", "is no MAC address"),
        ("01:00:5e:00:00:01", "address of a group"),
        ("00-00-00-00-00-00", "is no card's address"),
    ],
)
def test_what_no_nic_can_have_as_its_mac_is_refused(mac: str, words: str) -> None:
    interfaces: list[dict[str, Any]] = [{"name": "default", "bridge": {}, "macAddress": mac}]
    with pytest.raises(Unsupported, match=rf"interfaces\[default\]\.macAddress: '{mac}' .*{words}"):
        wish_of(a_vmi(devices={"interfaces": interfaces}))


def test_what_is_no_base64_is_refused_by_its_field() -> None:
    volumes = [{"name": "root", "cloudInitNoCloud": {"userDataBase64": "not so"}}]
    with pytest.raises(Unsupported, match=r"spec\.volumes\[root\]\.cloudInitNoCloud\.userDataBase64 is no base64"):
        wish_of(a_vmi(volumes=volumes))


def test_processors_are_multiplied() -> None:
    assert wish_of(a_vmi(domain={"cpu": {"cores": 2, "sockets": 3, "threads": 2}})).cpus == 12


@pytest.mark.parametrize(
    "domain",
    [
        {"memory": None, "resources": {"requests": {"memory": "512Mi"}}},
        {"memory": {}, "resources": {"limits": {"memory": "512Mi"}}},
    ],
)
def test_memory_may_stand_with_the_resources(domain: dict[str, Any]) -> None:
    assert wish_of(a_vmi(domain=domain)).memory_bytes == 512 << 20


def test_memory_is_whole_mebibytes() -> None:
    assert wish_of(a_vmi(domain={"memory": {"guest": "100000k"}})).memory_bytes == 96 << 20


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ({"cpu": {"cores": -1, "threads": -1}}, r"cpu\.cores: -1 is less than 1: .*cpu\.threads: -1 is less than 1"),
        ({"cpu": {"cores": 4294967296}}, r"cpu: cores x sockets x threads are 4294967296, 255 are allowed"),
        (
            {"cpu": {"cores": 16, "sockets": 4, "threads": 4}},
            r"cpu: cores x sockets x threads are 256, 255 are allowed",
        ),
        ({"memory": {"guest": "-1Gi"}}, r"memory\.guest: '-1Gi' is less than the 16Mi"),
        ({"memory": {"guest": 0}}, r"memory\.guest: 0 is less than the 16Mi"),
        (
            {"memory": {}, "resources": {"requests": {"memory": "1n"}}},
            r"resources\.requests\.memory: '1n' is less than",
        ),
        ({"memory": {"guest": "much"}}, r"memory\.guest: 'much' is no quantity"),
    ],
)
def test_numbers_that_no_machine_can_have_are_refused_by_their_fields(domain: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=rf"spec\.domain\.{words}"):
        wish_of(a_vmi(domain=domain))


def test_a_number_of_0_processors_stands_for_nothing() -> None:
    assert wish_of(a_vmi(domain={"cpu": {"cores": 0, "sockets": 2, "threads": 0}})).cpus == 2


def test_missing_memory_is_named() -> None:
    with pytest.raises(Unsupported, match=r"spec\.domain\.memory\.guest"):
        wish_of(a_vmi(domain={"memory": {}}))


def test_firmware_and_old_devices() -> None:
    firmware = {"uuid": "u", "serial": "s", "bootloader": {"efi": {"secureBoot": False}}}
    wish = wish_of(a_vmi(domain={"firmware": firmware}, devices={"useVirtioTransitional": True}))
    assert (wish.uefi, wish.uuid, wish.serial, wish.virtio_transitional) == (True, "u", "s", True)


def test_disks_stand_in_boot_order() -> None:
    disks: list[dict[str, Any]] = [
        {"name": "b", "disk": {}, "bootOrder": 2},
        {"name": "c", "disk": {"readonly": True}},
        {"name": "a", "bootOrder": 1},
        {"name": "d", "cdrom": {}},
    ]
    volumes = [
        {"name": "a", "dataVolume": {"name": "a"}},
        {"name": "b", "ephemeral": {"persistentVolumeClaim": {"claimName": "image"}}},
        {"name": "c", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "d", "dataVolume": {"name": "d"}},
    ]
    wish = wish_of(a_vmi(devices={"disks": disks}, volumes=volumes))
    assert [(disk.name, disk.claim, disk.source, disk.read_only) for disk in wish.disks] == [
        ("a", "a", "dataVolume", False),
        ("b", "image", "ephemeral", False),
        ("c", "c", "persistentVolumeClaim", True),
        ("d", "d", "dataVolume", True),
    ]


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"secretRef": {"name": "s"}}, CloudInit("s", None, None)),
        ({"userData": "#cloud-config"}, CloudInit(None, "#cloud-config", None)),
        ({"secretRef": {"name": "s"}, "networkData": "version: 2"}, CloudInit("s", None, "version: 2")),
        ({"userData": "u", "networkDataSecretRef": {"name": "n"}}, CloudInit(None, "u", None, "n")),
    ],
)
def test_cloud_init_is_no_disk(volume: dict[str, Any], expected: CloudInit) -> None:
    disks = [{"name": "root"}, {"name": "seed"}]
    volumes = [{"name": "root", "dataVolume": {"name": "one"}}, {"name": "seed", "cloudInitNoCloud": volume}]
    wish = wish_of(a_vmi(devices={"disks": disks}, volumes=volumes))
    assert [disk.name for disk in wish.disks] == ["root"]
    assert wish.cloud_init == expected


SEED = "spec.volumes[seed].cloudInitNoCloud"
ONE = {"name": "root", "dataVolume": {"name": "one"}}


def with_seed(source: dict[str, Any]) -> dict[str, Any]:
    """Return a machine with a seed of cloud-init."""
    disks = [{"name": "root"}, {"name": "seed"}]
    return a_vmi(devices={"disks": disks}, volumes=[ONE, {"name": "seed", "cloudInitNoCloud": source}])


def with_root(volume: dict[str, Any]) -> dict[str, Any]:
    """Return a machine with one disk, which is made of a volume."""
    return a_vmi(volumes=[{"name": "root", **volume}])


@pytest.mark.parametrize(
    ("vmi", "told"),
    [
        (
            a_vmi(
                devices={"disks": [{"name": "a"}, {"name": "b"}]},
                volumes=[{"name": name, "cloudInitNoCloud": {"userData": name}} for name in ("a", "b")],
            ),
            "spec.volumes: a, b are all for cloud-init, which reads one: remove the others",
        ),
        (
            with_seed({"userData": "u", "secretRef": {"name": "s"}}),
            f"{SEED}: userData and secretRef exclude each other: remove all but one",
        ),
        (
            with_seed({"userData": "u", "userDataBase64": "dQ=="}),
            f"{SEED}: userData and userDataBase64 exclude each other: remove all but one",
        ),
        (
            with_seed({"userDataBase64": "dQ==", "secretRef": {"name": "s"}}),
            f"{SEED}: userDataBase64 and secretRef exclude each other: remove all but one",
        ),
        (
            with_seed(
                {"networkData": "n", "networkDataBase64": "bg==", "networkDataSecretRef": {"name": "s"}},
            ),
            f"{SEED}: networkData and networkDataBase64 and networkDataSecretRef exclude each other: "
            "remove all but one",
        ),
        (with_seed({"secretRef": {}}), f"{SEED}.secretRef.name is missing: name the Secret"),
        (
            with_seed({"userData": "u", "networkDataSecretRef": {"name": ""}}),
            f"{SEED}.networkDataSecretRef.name is missing: name the Secret",
        ),
        (
            with_root({"dataVolume": {"name": "one"}, "persistentVolumeClaim": {"claimName": "two"}}),
            "spec.volumes[root]: dataVolume and persistentVolumeClaim exclude each other: remove all but one",
        ),
        (with_root({}), "spec.volumes[root]: no source: use dataVolume or persistentVolumeClaim"),
        (
            with_root({"ephemeral": {}}),
            "spec.volumes[root].ephemeral.persistentVolumeClaim.claimName is missing: name the claim",
        ),
        (
            with_root({"ephemeral": {"persistentVolumeClaim": {"claimName": ""}}}),
            "spec.volumes[root].ephemeral.persistentVolumeClaim.claimName is missing: name the claim",
        ),
        (
            with_root({"persistentVolumeClaim": {"claimName": ""}}),
            "spec.volumes[root].persistentVolumeClaim.claimName is missing: name the claim",
        ),
        (with_root({"dataVolume": {"name": ""}}), "spec.volumes[root].dataVolume.name is missing: name the DataVolume"),
        (
            a_vmi(volumes=[ONE, {"name": "root", "dataVolume": {"name": "two"}}]),
            "spec.volumes has more than one entry root: name each once",
        ),
        (
            a_vmi(devices={"disks": [{"name": "root"}, {"name": "root", "bootOrder": 1}]}),
            "spec.domain.devices.disks has more than one entry root: name each once",
        ),
        (
            a_vmi(
                devices={"disks": [{"name": "root", "bootOrder": 1}, {"name": "two", "bootOrder": 1}]},
                volumes=[ONE, {"name": "two", "dataVolume": {"name": "two"}}],
            ),
            "spec.domain.devices.disks has more than one entry with bootOrder 1: give each another",
        ),
        (
            a_vmi(networks=[{"name": "default", "pod": {}, "multus": {"networkName": "blue"}}]),
            "spec.networks[default]: pod and multus exclude each other: remove one, or make it two networks",
        ),
        (
            a_vmi(domain={"firmware": {"bootloader": {"bios": {}, "efi": {}}}}),
            "spec.domain.firmware.bootloader: bios and efi exclude each other: remove one",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_by_its_field(vmi: dict[str, Any], told: str) -> None:
    """One half won, and the other was lost without a word."""
    with pytest.raises(Unsupported) as failure:
        wish_of(vmi)
    assert str(failure.value) == f"this machine cannot be run here: {told}"


def test_an_empty_field_beside_another_form_of_it_asks_for_nothing() -> None:
    asked = {"userData": "", "userDataBase64": "", "secretRef": {"name": "s"}, "networkData": ""}
    assert wish_of(with_seed(asked)).cloud_init == CloudInit("s", "", "")


def test_a_volume_that_the_guest_does_not_see_contradicts_nothing() -> None:
    """`FullyApplied` names it."""
    unseen: dict[str, Any] = {
        "name": "b",
        "cloudInitNoCloud": {"userData": "u", "secretRef": {}},
        "dataVolume": {"name": "x"},
    }
    assert len(wish_of(a_vmi(volumes=[ONE, unseen])).disks) == 1


def least(schema: dict[str, Any]) -> Any:
    """Return the smallest value that a schema takes; what has a name is called root."""
    fields = schema.get("properties", {})
    if schema.get("type") == "array":
        return [least(schema["items"])]
    if schema.get("type") == "object":
        return {name: "root" if name == "name" else least(fields[name]) for name in schema.get("required", ())}
    by_type = {"integer": 0, "boolean": False, "string": schema.get("enum", [""])[0]}
    return by_type.get(schema.get("type", ""), "")


def values(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield values of a schema, each with one field of all that are in it, that field being the smallest."""
    yield least(schema)
    if schema.get("type") == "array":
        yield []
        yield from ([item] for item in values(schema["items"]))
    for name, field in schema.get("properties", {}).items():
        if name != "name":
            yield from ({**least(schema), name: value} for value in values(field))


def test_no_machine_that_the_api_takes_is_a_fault_of_ours() -> None:
    """`ephemeral: {}` was one: KubeVirt's schema asks for less than its machines need."""
    text = resources.files("virtualserver").joinpath("node/manifests/virtualmachineinstance.yaml").read_text()
    version = yaml.load(text, yaml.CSafeLoader)["spec"]["versions"][0]
    machine = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    domain = machine["properties"]["domain"]
    standard = a_vmi(devices={"interfaces": [{"name": "root"}]}, networks=[{"name": "root", "pod": {}}], volumes=[ONE])[
        "spec"
    ]
    tried = [{**standard, key: value} for key in machine["properties"] for value in values(machine["properties"][key])]
    for key, field in domain["properties"].items():
        tried += [{**standard, "domain": {**standard["domain"], key: value}} for value in values(field)]
    devices = domain["properties"]["devices"]["properties"]
    for key in devices:
        for value in values(devices[key]):
            tried.append(a_vmi(devices={key: value})["spec"] | {"volumes": standard["volumes"]})
    assert len(tried) > 300
    for one in tried:
        with contextlib.suppress(Unsupported):
            wish_of({"metadata": {"name": "one", "namespace": "ns"}, "spec": one})
        volume_claims(one)


def test_all_that_is_not_supported_is_named_at_once() -> None:
    devices = {"gpus": [{"name": "g"}], "filesystems": [{"name": "f"}], "disks": [{"name": "gone"}, {"name": "root"}]}
    with pytest.raises(Unsupported) as failure:
        wish_of(
            a_vmi(
                devices=devices,
                networks=[{"name": "vpc", "multus": {}}],
                volumes=[{"name": "root", "hostDisk": {"path": "/"}}, {"name": "other", "containerDisk": {}}],
            )
        )
    assert "volumes[1].containerDisk is not supported: use dataVolume" in str(failure.value)
    for field in ("devices.gpus", "devices.filesystems", "networks[vpc]", "disks[gone]", "volumes[root].hostDisk"):
        assert field in str(failure.value)


@pytest.mark.parametrize(
    ("domain", "count"),
    [
        ({"resources": {"requests": {"cpu": "1500m", "memory": "1Gi"}, "limits": {"cpu": 4}}}, 2),
        ({"resources": {"limits": {"cpu": 4}}}, 4),
        ({"cpu": {"model": "host-passthrough"}, "resources": {"requests": {"cpu": "100m"}}}, 1),
        ({"cpu": {"sockets": 3}, "resources": {"requests": {"cpu": 8}}}, 3),
        ({}, 1),
    ],
)
def test_processors_are_those_of_the_resources_where_there_is_no_topology(domain: dict[str, Any], count: int) -> None:
    assert wish_of(a_vmi(domain={"cpu": {}, **domain})).cpus == count


def test_what_is_no_number_of_processors_is_named() -> None:
    with pytest.raises(Unsupported, match=r"spec\.domain\.resources\.requests\.cpu: 'all' is no quantity"):
        wish_of(a_vmi(domain={"cpu": {}, "resources": {"requests": {"cpu": "all"}}}))


def test_the_grace_period_is_kubevirts_unless_said() -> None:
    assert grace_seconds(a_vmi()) == 30
    assert grace_seconds(a_vmi(terminationGracePeriodSeconds=0)) == 0


def test_a_nic_is_found_by_the_name_of_its_network() -> None:
    mac: dict[str, Any] = {"name": "lan", "bridge": {}, "macAddress": "02:00:00:00:00:0A"}
    wish = wish_of(a_vmi(devices={"interfaces": [mac]}, networks=[{"name": "lan", "pod": {}}]))
    assert wish.nics == (NicWish("lan", "02:00:00:00:00:0a"),)
    with pytest.raises(Unsupported, match=r"interfaces\[lan\] has no network of its name"):
        wish_of(a_vmi(devices={"interfaces": [mac]}))


def test_a_machine_has_the_cluster_nic_unless_it_says_otherwise() -> None:
    assert wish_of(a_vmi(devices={"interfaces": []})).nics == (NicWish("default", None),)
    alone: dict[str, Any] = {"interfaces": [], "autoattachPodInterface": False}
    assert wish_of(a_vmi(devices=alone, networks=[])).nics == ()


POD: dict[str, Any] = {"name": "default", "pod": {}}
BLUE: dict[str, Any] = {"name": "blue", "multus": {"networkName": "blue"}}
DETACHED: dict[str, Any] = {"autoattachPodInterface": False}


@pytest.mark.parametrize(
    ("devices", "networks", "missed"),
    [
        ({}, [POD], ""),
        ({}, [POD, BLUE], "blue"),
        (DETACHED, [{**POD, "name": "lan"}], "lan"),
        (DETACHED, [BLUE], "blue"),
        (DETACHED, [], ""),
    ],
)
def test_a_machine_without_interfaces_has_no_network_that_it_does_not_see(
    devices: dict[str, Any], networks: list[dict[str, Any]], missed: str
) -> None:
    """It ran with the cluster's network card only, and KubeVirt refuses it."""
    vmi = a_vmi(devices={"interfaces": [], **devices}, networks=networks)
    if not missed:
        assert len(wish_of(vmi).nics) == (0 if devices else 1)
        return
    with pytest.raises(Unsupported) as failure:
        wish_of(vmi)
    told = f"spec.networks[{missed}] has no interface of its name in spec.domain.devices.interfaces: name both alike"
    assert str(failure.value) == f"this machine cannot be run here: {told}"


@pytest.mark.parametrize(
    ("network", "nics"),
    [
        ({"disableK8sNetworking": True}, 0),
        ({"disableK8sNetworking": True, "vpcs": [{"name": "blue"}]}, 1),
        ({"public": False}, 1),
        ({"public": False, "vpcs": [{"name": "blue"}, {"name": "red"}]}, 3),
    ],
)
def test_the_machine_of_a_server_has_the_network_cards_that_it_asks_for(network: dict[str, Any], nics: int) -> None:
    macs = {"blue": "02:00:00:00:00:01", "red": "02:00:00:00:00:02"}
    surroundings = Surroundings(source=an_image(), vpc_macs=macs)
    plan = planning.plan(a_server(network=network), Children.of([]), surroundings, Site())
    planned = [dict(apply.manifest) for stage in plan.stages for apply in stage]
    vm = next(manifest for manifest in planned if manifest["kind"] == "VirtualMachine")
    vmi = vmi_of({**vm, "metadata": {**vm["metadata"], "uid": "u"}})
    assert len(wish_of(vmi).nics) == nics


def on_vpcs(*vpcs: str, devices: dict[str, Any] | None = None, **multus: object) -> dict[str, Any]:
    """Return what a machine on VPCs has in its specification."""
    interfaces: list[dict[str, Any]] = [{"name": f"vpc-{place}", "bridge": {}} for place in range(len(vpcs))]
    networks = [{"name": f"vpc-{place}", "multus": {"networkName": vpc, **multus}} for place, vpc in enumerate(vpcs)]
    return {"devices": devices or {"interfaces": interfaces}, "networks": networks}


def test_a_machine_has_its_nics_in_the_order_of_its_interfaces() -> None:
    asked = on_vpcs("blue", "ns/red")
    asked["devices"]["interfaces"].insert(1, {"name": "lan", "masquerade": {}})
    asked["networks"].append({"name": "lan", "pod": {}})
    nics = wish_of(a_vmi(**asked)).nics
    assert nics == (NicWish("vpc-0", None, "blue"), NicWish("lan", None), NicWish("vpc-1", None, "red"))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (on_vpcs("other/blue"), "other/blue is in another namespace"),
        (on_vpcs("other/ns/blue"), "other/ns/blue is in another namespace"),
        (on_vpcs("ns/../blue"), "in another namespace"),
        (on_vpcs("ns/"), "is no name of a NetworkAttachmentDefinition"),
        (on_vpcs("blue@eth0"), "is no name of a NetworkAttachmentDefinition"),
        (on_vpcs("blue", "ns/blue"), "has blue more than once"),
        (on_vpcs(*(f"vpc-{number}" for number in range(11))), "has 11 multus networks: use 10 at most"),
        (on_vpcs("blue", default=True), r"multus\.default is not supported"),
        (on_vpcs("blue", devices={"interfaces": [{"name": "vpc-0", "sriov": {}}]}), "write bridge: {}"),
        (on_vpcs("blue", devices={"interfaces": []}), "has no interface of its name"),
        (on_vpcs("blue", "red", devices=on_vpcs("blue")["devices"]), "has no interface of its name"),
    ],
)
def test_a_machine_joins_vpcs_of_its_own_namespace_only_and_each_once(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        wish_of(a_vmi(**asked))


def test_no_network_and_no_interface_has_a_name_twice() -> None:
    asked = on_vpcs("blue")
    asked["devices"]["interfaces"] *= 2
    asked["networks"] += [{"name": "vpc-0", "pod": {}}, {"name": "lan", "pod": {}}]
    with pytest.raises(Unsupported, match=r"more than one entry vpc-0") as failure:
        wish_of(a_vmi(**asked))
    assert "more than one pod network" in str(failure.value)
