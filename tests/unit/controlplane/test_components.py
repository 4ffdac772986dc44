"""What the processes are told."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import msgspec
import pytest

from virtualserver.controlplane import components
from virtualserver.controlplane.options import NAMES, Options
from virtualserver.controlplane.programs import gobuild
from virtualserver.installation.installation import Installation
from virtualserver.installation.record import RecordedOptions, UidRange

INSTALLATION = Installation("one", Path("/vs"), Path("/vs/.run"))
PORTS = {"etcd": 1, "etcd-peer": 2, "kube-apiserver": 3, "kube-controller-manager": 4, "console": 5}


def a_table(**chosen: object) -> dict[str, components.Component]:
    table = components.table(
        INSTALLATION,
        options=Options(**chosen),  # pyright: ignore[reportArgumentType]
        ports=PORTS,
        uids=UidRange(1000, 4096),
        programs=Path("/bin"),
        environment={"PYTHONPATH": "/src", "HOME": "/root", "SECRET": "x", "GOGC": "400"},
        host="myhost",
    )
    return {component.name: component for component in table}


def test_all_start_in_order_under_users_of_their_own() -> None:
    table = a_table(listen=ipaddress.ip_address("192.0.2.7"))
    assert tuple(table) == NAMES
    assert [component.uid for component in table.values()] == [1000, 1001, 1002, 1003, 0, 1006, 1005]


@pytest.mark.parametrize("component", a_table().values(), ids=lambda component: component.name)
def test_nothing_waits_for_what_starts_after_it(component: components.Component) -> None:
    before = (*NAMES[: NAMES.index(component.name)], "bootstrap")
    assert set(component.after) <= set(before)


def test_etcd_asks_clients_and_peers_for_certificates() -> None:
    argv = a_table()["etcd"].argv
    assert {"--client-cert-auth=true", "--peer-client-cert-auth=true"} <= set(argv)
    assert not [argument for argument in argv if "http://" in argument]


def test_admission_plugins_go_with_the_groups_that_they_watch() -> None:
    argv = " ".join(a_table()["kube-apiserver"].argv)
    for group, plugin in (("node", "RuntimeClass"), ("scheduling", "Priority")):
        assert f"{group}.k8s.io/v1=false" in argv
        assert re.search(f"--disable-admission-plugins=.*\\b{plugin}\\b", argv)


def test_the_api_server_has_the_ranges_and_the_address_that_were_chosen() -> None:
    ranges = (ipaddress.ip_network("10.97.0.0/16"), ipaddress.ip_network("fd00::/112"))
    argv = a_table(service_ranges=ranges, bind="0.0.0.0")["kube-apiserver"].argv
    assert "--service-cluster-ip-range=10.97.0.0/16,fd00::/112" in argv
    assert {"--bind-address=0.0.0.0", "--advertise-address=127.0.0.1"} <= set(argv)


def test_many_objects_are_deleted_as_fast_as_the_machine_can() -> None:
    """Fault 41: its default of 20 requests a second made 1,000 servers wait for minutes."""
    assert "--kube-api-qps=400" in a_table()["kube-controller-manager"].argv


def test_quotas_and_deletions_have_their_controllers() -> None:
    controllers = next(flag for flag in a_table()["kube-controller-manager"].argv if flag.startswith("--controllers="))
    for name in ("resourcequota", "namespace", "garbage-collector", "clusterrole-aggregation"):
        assert f"{name}-controller" in controllers


def test_our_processes_get_only_what_they_need_of_the_environment() -> None:
    node = a_table()["node"].environment
    assert node["PYTHONPATH"] == "/src"
    assert node["VS_INSTANCE"] == "one"
    assert not {"HOME", "SECRET"} & set(node)


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver", "kube-controller-manager"])
def test_go_is_told_how_much_memory_it_may_take_for_less_processor_time(name: str) -> None:
    environment = dict(a_table()[name].environment)
    assert environment.pop("GOGC") == "400"
    assert environment == {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}


def test_the_operator_is_told_all_that_it_knows_of_its_place() -> None:
    operator = a_table()["operator"]
    assert not [name for name in operator.environment if name.startswith("VS_")]
    assert operator.argv[3:] == (
        "--kubeconfig=/vs/one/kubeconfigs/operator",
        "--site=/vs/one/effective-site.yaml",
        "--mac-key=/vs/.run/one/operator/mac-key.json",
        "--ready-file=/vs/.run/one/operator/ready",
        "--identity=myhost:/vs/.run/one/operator",
        "--wait",
    )


def test_the_console_is_told_where_it_is_and_of_whom_it_asks() -> None:
    console = a_table()["console"]
    assert console.environment.keys() & {"VS_INSTANCE", "VS_STATE", "SECRET"} == set()
    assert console.argv[3:] == (
        "--port=5",
        "--server=https://127.0.0.1:3",
        "--authority=/vs/one/pki/ca.crt",
        "--site=/vs/one/effective-site.yaml",
        "--socket=/vs/.run/one/links/console",
        "--ready-file=/vs/.run/one/console/ready",
        "--wait",
    )


def test_the_control_plane_alone_can_be_asked_for() -> None:
    assert tuple(a_table(components=frozenset({"etcd", "kube-apiserver"}))) == ("etcd", "kube-apiserver")


def test_nobody_listens_beyond_loopback_unless_an_address_was_chosen() -> None:
    assert "relay" not in a_table()
    chosen = a_table(listen=ipaddress.ip_address("192.0.2.7"))
    assert {"--listen=192.0.2.7", "--port=3"} <= set(chosen["relay"].argv)
    assert chosen["kube-apiserver"] == a_table()["kube-apiserver"], "which stays on loopback"


def test_options_survive_the_record() -> None:
    listen = ipaddress.ip_address("192.0.2.7")
    options = Options(bind="10.0.0.1", components=frozenset({"etcd"}), listen=listen, names=("myhost",))
    recorded = msgspec.json.decode(msgspec.json.encode(options.encode()), type=RecordedOptions)
    assert Options.decode(recorded) == options
    before = {"service_ranges": ["10.96.0.0/16"], "bind": "127.0.0.1", "components": []}
    assert Options.decode(msgspec.convert(before, RecordedOptions)).listen is None


def test_the_versions_are_those_that_are_built() -> None:
    module = (gobuild.sources() / "go.mod").read_text()
    assert f"k8s.io/kubernetes {components.KUBERNETES_VERSION}\n" in module
    assert f"go.etcd.io/etcd/server/v3 v{components.ETCD_VERSION}\n" in module


def test_our_own_processes_load_while_kube_apiserver_does_and_begin_when_everything_is_applied() -> None:
    for name in ("operator", "node"):
        component = a_table()[name]
        assert component.loads_after == ("etcd",)
        assert component.after == ("kube-apiserver", "bootstrap")
        assert component.argv[-1] == "--wait"
