"""What takes the network in an image of a Debian release: ifupdown with dhclient in Debian 12, systemd-networkd later.

cloud-init writes the files of either from the server's network configuration. No start waits for a network card that
it calls optional, as those on VPCs are.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IFUPDOWN", "NETWORKD", "RELEASES", "ImageNetwork", "of_release"]


@dataclasses.dataclass(frozen=True, slots=True)
class ImageNetwork:
    """One way to take the network.

    Attributes:
        packages: What it takes beside those of every image.
        files: Path -> text; those in a folder ``sbin`` are programs.
        enabled: Units that start.
        masked: Units that must not start.
        command_line: What the kernel is told besides.
        resolver: Where ``/etc/resolv.conf`` leads; ``""``: it is a file that the DHCP client writes.
    """

    packages: tuple[str, ...]
    files: Mapping[str, str]
    enabled: tuple[str, ...]
    masked: tuple[str, ...] = ()
    command_line: str = ""
    resolver: str = ""


_ETC: Final = "etc/systemd/system"
_CLOUD_INIT: Final = "etc/cloud/cloud.cfg.d/10-network.cfg"

IFUPDOWN: Final = ImageNetwork(
    packages=("ifupdown", "isc-dhcp-client"),
    files={
        _CLOUD_INIT: "system_info: {network: {renderers: [eni]}}\n",
        "etc/network/interfaces": "auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n",
        f"{_ETC}/optional-cards-marked.service": """\
# cloud-init gives network cards that nobody shall wait for a metric, and ifupdown has a word of ours for them.
[Unit]
DefaultDependencies=no
After=cloud-init-local.service
Before=networking.service
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/mark-optional-cards
[Install]
WantedBy=networking.service
""",
        f"{_ETC}/optional-cards.service": """\
[Unit]
After=networking.service
[Service]
ExecStart=/sbin/ifup --all --allow=optional
RemainAfterExit=yes
[Install]
WantedBy=multi-user.target
""",
        "usr/local/sbin/mark-optional-cards": """\
#!/bin/sh
file=/etc/network/interfaces.d/50-cloud-init
[ -f "$file" ] || exit 0
for card in $(awk '$1 == "iface" { card = $2 } $1 == "metric" && $2 >= 1000 { print card }' "$file"); do
  sed -i "s/^auto $card$/allow-optional $card/" "$file"
done
""",
        "etc/dhcp/dhclient-enter-hooks.d/optional-cards": """\
# A card with a metric takes the resolver over where no other card has a default route only.
if [ -n "$IF_METRIC" ] && ip -4 route show default | grep -qv " metric "; then
  make_resolv_conf() { :; }
fi
""",
    },
    enabled=("optional-cards-marked.service", "optional-cards.service"),
    masked=("ifupdown-wait-online.service", "systemd-networkd-wait-online.service"),
)
"""Network cards on VPCs, which may be silent, come up beside the start, and no name server from there takes over."""

NETWORKD: Final = ImageNetwork(
    packages=("systemd-resolved",),
    files={
        _CLOUD_INIT: "system_info: {network: {renderers: [networkd]}}\n",
        f"{_ETC}/systemd-networkd-wait-online.service.d/optional-cards.conf": """\
# Without a card that is waited for, it would wait two minutes for any of them.
[Service]
ExecCondition=/usr/local/sbin/is-a-card-waited-for
""",
        "usr/local/sbin/is-a-card-waited-for": """\
#!/bin/sh
grep -L '^RequiredForOnline=no$' /etc/systemd/network/10-cloud-init-*.network 2>/dev/null | grep -q .
""",
    },
    enabled=("systemd-networkd.service", "systemd-resolved.service"),
    # cloud-init looks its own configuration up by the kernel's names, and knows the search list of eth0 only.
    command_line="net.ifnames=0",
    resolver="../run/systemd/resolve/stub-resolv.conf",
)
"""systemd waits for the cards that are not optional, and systemd-resolved keeps each card's name servers apart."""


RELEASES: Final = {"bookworm": IFUPDOWN, "trixie": NETWORKD}
"""The releases that an image can be asked for by name."""


def of_release(codename: str) -> ImageNetwork:
    """Return what an image of a Debian release takes its network with; a newer one as the newest that is known."""
    return RELEASES.get(codename, NETWORKD)
