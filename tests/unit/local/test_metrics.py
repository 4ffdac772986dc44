"""Figures for a monitoring system, and how they are written."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from virtualserver.fabric.kernel.drops import Traffic
from virtualserver.local.metrics import Family, Sample, Tap, exposition, families
from virtualserver.local.status import PoolUse


def an_object(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"namespace": "shop", "name": name, "uid": f"{kind}/{name}"}, **more}


def a_server(name: str, reason: str) -> dict[str, Any]:
    conditions = [{"type": "VirtualServerStarted", "reason": "Other"}, {"type": "Ready", "reason": reason}]
    return an_object("VirtualServer", name, status={"conditions": conditions})


def found(**changes: Any) -> list[str]:
    nothing: dict[str, Any] = {"components": {}, "objects": [], "pools": (), "taps": {}, "traffic": {}}
    text = exposition(families(**{**nothing, **changes}))
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_servers_are_counted_by_the_reason_of_their_ready() -> None:
    servers = [a_server("a", "VirtualServerReady"), a_server("b", "VirtualServerReady"), a_server("c", "Failed")]
    assert found(objects=[*servers, an_object("VirtualServer", "new")]) == [
        'virtualserver_servers{reason="Failed"} 1',
        'virtualserver_servers{reason="Unknown"} 1',
        'virtualserver_servers{reason="VirtualServerReady"} 2',
    ]


def test_what_was_dropped_stands_under_the_server_that_the_tap_is_for() -> None:
    traffic = {
        "tap1": Traffic(10, 1, 20, 2, {"arp": 3, "mac": 4}),
        "tap2": Traffic(0, 0, 0, 0, {}),
        "nic1": Traffic(5, 1, 6, 1, {"mac": 7}),
    }
    taps = {"tap1": Tap("VirtualMachine/web"), "nic1": Tap("VirtualMachine/web", "blue")}
    lines = found(objects=[an_object("VirtualMachine", "web")], taps=taps, traffic=traffic)
    labels = 'namespace="shop",server="web"'
    assert [line for line in lines if "shop" in line] == [
        f'virtualserver_guest_sent_bytes_total{{{labels},vpc="blue"}} 5',
        f"virtualserver_guest_sent_bytes_total{{{labels}}} 10",
        f'virtualserver_guest_received_bytes_total{{{labels},vpc="blue"}} 6',
        f"virtualserver_guest_received_bytes_total{{{labels}}} 20",
        f'virtualserver_guest_dropped_packets_total{{{labels},vpc="blue",reason="mac"}} 7',
        f'virtualserver_guest_dropped_packets_total{{{labels},reason="arp"}} 3',
        f'virtualserver_guest_dropped_packets_total{{{labels},reason="mac"}} 4',
    ]
    assert all("shop" in line for line in lines), "tap2 is nobody's: without a name, two such would have equal labels"


def test_guests_that_cannot_be_named_are_missing_so_that_no_series_stands_twice() -> None:
    traffic = {device: Traffic(1, 1, 2, 1, {"arp": 3}) for device in ("tap1", "tap2", "tap3")}
    taps = {"tap1": Tap("uid-1"), "tap2": Tap("uid-2")}
    series = [line.rpartition(" ")[0] for line in found(taps=taps, traffic=traffic)]
    assert sorted(series) == sorted(set(series))
    assert not series


def test_pools_and_components() -> None:
    pool = PoolUse("public", (ip_network("203.0.113.0/24"),), 253, 2)
    assert found(pools=(pool,), components={"etcd": True, "node": False}) == [
        'virtualserver_component_ready{component="etcd"} 1',
        'virtualserver_component_ready{component="node"} 0',
        'virtualserver_pool_addresses{pool="public"} 253',
        'virtualserver_pool_addresses_held{pool="public"} 2',
    ]


def test_the_format_is_prometheus() -> None:
    family = Family("x_total", "counter", "What it is.", (Sample({"a": 'q"\\\n'}, 12345678901), Sample({}, 0.5)))
    assert exposition([family, Family("none", "gauge", "Nothing.", ())]) == (
        '# HELP x_total What it is.\n# TYPE x_total counter\nx_total{a="q\\"\\\\\\n"} 12345678901\nx_total 0.5\n'
    )
