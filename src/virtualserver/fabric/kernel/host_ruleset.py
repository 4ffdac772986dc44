"""The nftables rules of the host: one table of ours beside whatever else is there; pure.

It leads what is for a pool to the namespace, hides what nobody beyond routes, and keeps the machine's own rights from
guests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.fabric.desired.names import LINK_PREFIX
from virtualserver.fabric.kernel.ruleset import LEAST_PORT, VERSION, listed
from virtualserver.fabric.kernel.settings import TIMEOUTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.fabric.desired.state import Address, Ranges

__all__ = ["host_ports", "host_rules"]

_HOST: Final = """\
table inet {table} {{
  ct timeout guests {{ protocol tcp; l3proto ip; policy = {{ {timeouts} }}; }}
  chain from_guests {{ type filter hook prerouting priority -150; }}
  chain from_guest {{ }}
  chain own_source {{ }}
  chain to_machine {{ }}
  chain to_guest {{ }}
  chain input {{ type filter hook input priority -10; }}
  chain forward {{ type filter hook forward priority -10; }}
  chain translate_source {{ type nat hook postrouting priority srcnat; }}
}}
flush table inet {table}
table inet {table} {{
  chain from_guests {{
    # before any DNAT of the host's, so that no published port of the machine is a way around
    iifname "{device}" goto from_guest
  }}
  chain from_guest {{
    ip saddr {{ {sources} }} goto own_source
    drop
  }}
  chain own_source {{
    ct state established,related accept
    # the machine's own table is to hold no flow of theirs longer than the namespace's does
    ct state new meta l4proto tcp ct timeout set "guests"
    fib daddr type unicast accept
    drop
  }}
  chain input {{
    iifname "{device}" goto to_machine
  }}
  chain to_machine {{
    ct state established,related accept
    drop
  }}
  chain forward {{
    ct state established,related accept
    oifname "{device}" goto to_guest
  }}
  chain to_guest {{
    ct state new meta l4proto tcp ct timeout set "guests"
    ip daddr {{ {pools} }} accept{called}
    drop
  }}
  chain translate_source {{
    ip saddr {node} oifname != "{links}" masquerade{masquerade}
  }}
}}
"""

_HOST_PORTS: Final = """\
table inet {table} {{
  # after the host's own, so that what another program leads elsewhere stays its
  chain called {{ type nat hook prerouting priority -90; }}
  chain called_by_machine {{ type nat hook output priority -90; }}
}}
flush chain inet {table} called
flush chain inet {table} called_by_machine
"""

_HOST_PORTS_LEAD: Final = """\
table inet {table} {{
  # a published port of the machine's own address is the namespace's; no other port is touched
  chain called {{
    ip daddr {own} meta l4proto . th dport {{ {ports} }} dnat ip to {node}
  }}
  chain called_by_machine {{
    ip daddr {own} meta l4proto . th dport {{ {ports} }} dnat ip to {node}
  }}
}}
"""


def host_rules(table: str, device: str, ranges: Ranges, uplinks: Iterable[str]) -> str:
    """Return the commands that make the one table in the host so.

    Args:
        table: Its name.
        device: The host's end of the veth pair.
        ranges: The installation's networks.
        uplinks: The links with a default route; there, pools that nobody beyond routes are masqueraded.
    """
    pools = ranges.pools(VERSION)
    names = ", ".join(f'"{name}"' for name in sorted(uplinks))
    hidden = listed(pool for pool in pools if pool not in ranges.routed)
    leaves = f"ip saddr {{ {hidden} }} oifname {{ {names} }}"
    low = f"\n    meta l4proto {{ tcp, udp }} {leaves} masquerade to :{LEAST_PORT}-65535"
    extra = f"{low}\n    {leaves} masquerade" if hidden and names else ""
    node = ranges.node_end(VERSION).ip
    return _HOST.format(
        table=table,
        device=device,
        sources=f"{node}, {listed(pools)}",
        pools=listed(pools),
        node=node,
        masquerade=extra,
        called=f"\n    ip daddr {node} ct status dnat accept" if ranges.host else "",
        links=f"{LINK_PREFIX}*",
        timeouts=listed(f"{state} : {seconds}" for state, seconds in TIMEOUTS.items()),
    )


def host_ports(table: str, ranges: Ranges, own: Address | None, ports: Iterable[tuple[str, int]]) -> str:
    """Return the commands, to follow `host_rules`, by which ports of the machine's own address lead to the namespace.

    Args:
        table: The name of the host's table.
        ranges: The installation's networks.
        own: The machine's own address; None: it has none, and nothing leads anywhere.
        ports: Protocol, in lower case, and number of each.
    """
    listed = ", ".join(f"{protocol} . {port}" for protocol, port in sorted(ports))
    text = _HOST_PORTS.format(table=table)
    if own is None or not listed:
        return text
    return text + _HOST_PORTS_LEAD.format(table=table, own=own, ports=listed, node=ranges.node_end(VERSION).ip)
