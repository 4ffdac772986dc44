"""Settings of the kernel that the data plane needs, in the namespace and in the host: which, read and written.

A reader of ``/proc/sys/net`` sees the settings of the network namespace in which the calling thread is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.names import BRIDGE_PREFIX, PORT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NAMESPACE",
    "differ_inside",
    "differing",
    "of_bridge",
    "of_host_end",
    "of_link",
    "of_node_end",
    "of_tap",
    "write",
]

_FOLDER: Final = "/proc/sys"
_QUIET: Final = {
    name: "0" for name in ("send_redirects", "accept_redirects", "accept_source_route", "arp_ignore", "log_martians")
}


_TAPS_A_LOOK: Final = 32
"""So many taps' settings are read a second: some kilobytes of ``/proc``, whatever the number of guests."""

TIMEOUTS: Final[Mapping[str, int]] = {"established": 7440, "time_wait": 10, "close": 5}
"""Seconds for which the kernel keeps a TCP flow that is silent, by its state. Source: RFC 5382, REQ-5, for the first,
which is longer than the two hours of a silent connection's keep-alive."""


def _of_device(device: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"net/ipv4/conf/{device}/{name}": value for name, value in values.items()}


NAMESPACE: Final[Mapping[str, str]] = {
    "net/ipv4/ip_forward": "1",
    # What counts is a combination of "all" and the device's own value; new taps take theirs from "default".
    **_of_device("all", _QUIET | {"rp_filter": "0", "proxy_arp": "0"}),
    **_of_device("default", _QUIET | {"rp_filter": "1", "proxy_arp": "1"}),
    # The way back of a packet is looked up with its mark, without which nothing is routed.
    "net/ipv4/conf/all/src_valid_mark": "1",
    "net/ipv4/neigh/default/proxy_delay": "0",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    # A late segment is no reason to leave it untranslated.
    "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
    **{f"net/netfilter/nf_conntrack_tcp_timeout_{state}": str(seconds) for state, seconds in TIMEOUTS.items()},
    # What goes from guest to guest on a VPC is none of the rules for routed packets, and fills no table of flows.
    **{f"net/bridge/bridge-nf-call-{table}": "0" for table in ("iptables", "ip6tables", "arptables")},
    # Fragments that wait for others: their memory is one for all guests.
    "net/ipv4/ipfrag_time": "2",
    "net/ipv4/ipfrag_high_thresh": str(128 << 20),
}
"""Those of the namespace as a whole, by their paths below ``/proc/sys``."""


def of_node_end(device: str) -> dict[str, str]:
    """Return the settings of the namespace's end of the veth pair, which may be there before `NAMESPACE` is written."""
    return _of_device(device, _QUIET | {"forwarding": "1", "rp_filter": "1", "proxy_arp": "0", "arp_notify": "1"})


def of_host_end(device: str) -> dict[str, str]:
    """Return the settings of the host's end of the veth pair."""
    return _of_device(device, {"forwarding": "1", "accept_redirects": "0", "arp_notify": "1"}) | {
        f"net/ipv6/conf/{device}/disable_ipv6": "1"
    }


def of_tap(device: str) -> dict[str, str]:
    """Return the settings of a tap.

    By ``arp_notify`` the guest hears of the gateway's hardware address whenever the tap goes up or gets another one.
    """
    return _of_device(device, _QUIET | {"forwarding": "1", "rp_filter": "1", "proxy_arp": "1", "arp_notify": "1"})


def of_bridge(device: str) -> dict[str, str]:
    """Return the settings of a VPC's bridge: the namespace neither routes nor answers there, whatever the rules say."""
    return _of_device(device, {"forwarding": "0", "proxy_arp": "0", "arp_ignore": "8"})


def of_link(device: str) -> dict[str, str]:
    """Return the settings of a link of the namespace, by its name."""
    if device.startswith(PORT_PREFIX):
        return {}  # a port hands every frame to its bridge
    return of_bridge(device) if device.startswith(BRIDGE_PREFIX) else of_tap(device)


def differing(wanted: Mapping[str, str]) -> list[str]:
    """Return the settings that have another value; those that this kernel lacks are left out."""
    return [name for name, value in wanted.items() if _read(name) not in (None, value)]


def differ_inside(node_end: str, turn: int) -> bool:
    """Return whether a setting of the namespace has another value; of its taps, one part is looked at each turn.

    Args:
        node_end: The namespace's end of the veth pair.
        turn: How often this was asked before.
    """
    names = [name for name in _devices() if name not in (node_end, "lo")]
    first = turn * _TAPS_A_LOOK % max(len(names), 1)
    wanted = {**NAMESPACE, **of_node_end(node_end)}
    for name in (names[first:] + names[:first])[:_TAPS_A_LOOK]:
        wanted |= of_link(name)
    return bool(differing(wanted))


def write(wanted: Mapping[str, str]) -> list[str]:
    """Write those settings that have another value, and return them in words."""
    names = differing(wanted)
    for name in names:
        with open(f"{_FOLDER}/{name}", "w") as file:
            file.write(wanted[name])
    return [f"setting {name.replace('/', '.')}" for name in names]


def _read(name: str) -> str | None:
    """Return a setting's value, None where there is none; in a third of the time that a `Path` takes."""
    try:
        descriptor = os.open(f"{_FOLDER}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, 100).decode().strip()
    except OSError:  # its link has just gone
        return None
    finally:
        os.close(descriptor)


def _devices() -> list[str]:
    """Return the links that have settings, sorted."""
    return sorted({*os.listdir(f"{_FOLDER}/net/ipv4/conf")} - {"all", "default"})
