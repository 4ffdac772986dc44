"""A guest that sends what is not its own, and a guest that knocks at doors that are not open."""

from __future__ import annotations

import contextlib
import socket
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest

from harness import fabric_world as world
from harness.fabric_village import (
    EVERYBODY,
    FLOATING,
    MAC,
    MARK,
    NUMBERS,
    OTHER,
    OTHER_MAC,
    OWN,
    Village,
    a_village,
    arp,
    checksum,
    dhcp,
    ethernet,
    in_fragments,
    ipv4,
    ipv6,
    udp,
)
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey, PublishedPort, ServiceRules
from virtualserver.installation import ranges


@pytest.mark.parametrize("target", [OTHER, world.CLIENT_ADDRESS])
async def test_its_own_traffic_passes_whole_and_in_fragments(village: Village, target: str) -> None:
    assert village.arrives(ethernet(ipv4(udp(), source=OWN, target=target), target=village.gateway_mac))
    first, rest = udp(MARK + bytes(1000))[:512], udp(MARK + bytes(1000))[512:]
    village.liar.send(ethernet(ipv4(first, source=OWN, target=target, fragment=0x2000), target=village.gateway_mac))
    assert village.arrives(ethernet(ipv4(rest, source=OWN, target=target, fragment=64), target=village.gateway_mac))


@pytest.mark.parametrize("target", [OTHER, world.CLIENT_ADDRESS])
@pytest.mark.parametrize(
    "lie",
    ["another MAC", "a neighbour's MAC", "a neighbour's address", "an outside address", "no address", "the gateway's",
     "a neighbour's fragment", "the host's address"],
)  # fmt: skip
async def test_a_foreign_source_is_dropped(village: Village, lie: str, target: str) -> None:
    mac = {"another MAC": "52:54:00:00:00:77", "a neighbour's MAC": OTHER_MAC}.get(lie, MAC)
    source = {
        "a neighbour's address": OTHER,
        "a neighbour's fragment": OTHER,
        "an outside address": "8.8.4.4",
        "no address": "0.0.0.0",
        "the gateway's": "169.254.1.1",
        "the host's address": "198.19.0.1",
    }.get(lie, OWN)
    fragment = 64 if "fragment" in lie else 0
    packet = ipv4(udp(), source=source, target=target, fragment=fragment)
    assert not village.arrives(ethernet(packet, source=mac, target=village.gateway_mac))


async def test_a_guest_serves_no_dhcp_and_asks_in_its_own_name_only(village: Village) -> None:
    offer = udp(dhcp(2, operation=2) + MARK, source=67, target=68)
    for source, target in ((OWN, OTHER), (OWN, "255.255.255.255"), ("0.0.0.0", "255.255.255.255")):
        packet = ipv4(offer, source=source, target=target)
        assert not village.arrives(ethernet(packet, target=village.gateway_mac))
    assert not village.arrives(
        ethernet(ipv4(offer[:64] + MARK, source=OWN, target=OTHER, fragment=0x2000), target=village.gateway_mac)
    )
    assert village.victim.dhcp()
    lease = (await village.plane.leases())[OTHER_MAC]
    release = ipv4(udp(dhcp(7, mac=OTHER_MAC, ciaddr=OTHER), source=68, target=67), source=OWN, target="169.254.1.1")
    village.liar.send(ethernet(release, target=village.gateway_mac))
    discover = ipv4(udp(dhcp(1, mac=OTHER_MAC), source=68, target=67), source="0.0.0.0", target="255.255.255.255")
    for mac in (MAC, OTHER_MAC):
        village.liar.send(ethernet(discover, source=mac, target=EVERYBODY))
    assert village.liar.dhcp()
    assert (await village.plane.leases())[OTHER_MAC] == lease


async def test_fault_24_udp_port_67_is_a_service_like_any_other_where_it_is_published_or_attached(
    village: Village, make_guest: world.MakeGuest
) -> None:
    published, attached = ip_address("203.0.113.7"), "203.0.113.9"
    port = PublishedPort(published, 67, "UDP", ip_address(OTHER), 67)
    await village.plane.set_service("web", ServiceRules(frozenset({port}), frozenset({published})))
    third = await make_guest(village.plane, 4, attached)
    for address in (str(published), attached):
        village.internet.run("ip", "route", "add", f"{address}/32", "via", world.HOST_ADDRESS)
    with village.victim.serving(67, protocol="udp"), third.serving(67, protocol="udp"):
        for address in (str(published), attached):
            assert village.internet.udp(address, 67) == world.CLIENT_ADDRESS
            assert village.liar.udp(address, 67) == OWN
        with pytest.raises(OSError, match="timed out"):
            village.liar.udp(OTHER, 67, seconds=0.3)
    assert village.victim.dhcp()


def a_release(*, decline: bool = False) -> bytes:
    """Return a message that gives another's address back, or says that somebody else has it."""
    body = dhcp(4 if decline else 7, mac=OTHER_MAC, ciaddr="0.0.0.0" if decline else OTHER)
    if decline:
        body = body[:-1] + bytes([50, 4]) + socket.inet_aton(OTHER) + b"\xff"
    return udp(body, source=68, target=67)


@pytest.mark.parametrize("decline", [False, True], ids=["release", "decline"])
@pytest.mark.parametrize("source", [OWN, OTHER, "0.0.0.0"])
async def test_fault_8_another_guests_lease_is_given_back_by_no_fragments(
    village: Village, source: str, decline: bool
) -> None:
    assert village.victim.dhcp()
    lease = (await village.plane.leases())[OTHER_MAC]
    message = a_release(decline=decline)
    target, mac = ("255.255.255.255", EVERYBODY) if source == "0.0.0.0" else ("169.254.1.1", village.gateway_mac)
    packets = [
        ipv4(message, source=source, target=target),
        ipv4(message, source=source, target=target, options=b"\1" * 40),  # what a rule loads lies 40 octets further
    ]
    for ends in ((8,), (16,), (40,), (48,), (240,), (8, 16, 48)):
        packets += in_fragments(message, *ends, source=source, target=target)
        packets += reversed(in_fragments(message, *ends, source=source, target=target))
    # a first part that looks like an honest message, and is overlapped by one that is none
    honest = udp(dhcp(1), source=68, target=67)
    for first, second in ((honest, message), (message, honest)):
        number = next(NUMBERS)
        for part, fragment in ((first[:64], 0x2000), (second[:48], 0x2000), (message[64:], 8)):
            packets.append(ipv4(part, source=source, target=target, number=number, fragment=fragment))
    # an address in the client's identifier instead of the card's own, and a relay's word for it
    for head in ((1, 1, 0, 0), (1, 1, 16, 0), (1, 0, 0, 0), (1, 1, 6, 1)):
        packets.append(ipv4(message[:8] + bytes(head) + message[12:], source=source, target=target))
    for packet in packets:
        village.liar.send(ethernet(packet, target=mac))
    assert village.liar.dhcp(), "what followed was heard"
    assert (await village.plane.leases())[OTHER_MAC] == lease
    assert village.victim.dhcp(), "the victim is given its address at once"


@pytest.mark.parametrize("field", ["relay", "address"])
async def test_a_dhcp_message_sends_its_answer_to_nobody_else(village: Village, field: str) -> None:
    inform = dhcp(8, ciaddr=OTHER if field == "address" else OWN)
    if field == "relay":
        inform = inform[:24] + socket.inet_aton(OTHER) + inform[28:]
    with village.ears() as (victim, _):
        packet = ipv4(udp(inform, source=68, target=67), source=OWN, target="169.254.1.1")
        village.liar.send(ethernet(packet, target=village.gateway_mac))
        assert village.liar.dhcp(), "what followed was answered"
        village.liar.send(ethernet(ipv4(udp(b"after"), source=OWN, target=OTHER), target=village.gateway_mac))
        assert not any(bytes.fromhex("63825363") in packet for packet in village.heard_until(victim, b"after"))


@pytest.mark.parametrize("target", [OTHER, world.CLIENT_ADDRESS])
async def test_large_datagrams_pass_the_guard_both_ways(village: Village, target: str) -> None:
    # fault 8: fragments are judged, not refused
    nodes = {OTHER: village.victim, world.CLIENT_ADDRESS: village.internet}
    village.liar.run("ping", "-c1", "-W9", "-s3000", target)
    with nodes[target].socket(socket.SOCK_DGRAM) as far, village.liar.socket(socket.SOCK_DGRAM) as near:
        far.bind(("0.0.0.0", 5001))
        sent = bytes(range(250)) * 32
        near.sendto(sent, (target, 5001))
        heard, peer = far.recvfrom(9000)
        assert heard == sent
        far.sendto(heard, peer)
        assert near.recv(9000) == sent


async def test_a_datagram_that_is_too_short_for_a_rule_goes_nowhere(village: Village) -> None:
    for length in range(8):
        short = ipv4(udp()[:length], source=OWN, target=OTHER)
        assert not village.arrives(ethernet(short + MARK, target=village.gateway_mac))
    for length in (0, 4, 12, 19):  # a TCP header has 20 octets
        head = struct.pack(">HHIIBBHHH", 5000, 5001, 1, 0, 0x50, 2, 1000, 0, 0)[:length]
        packet = ipv4(head, source=OWN, target=OTHER, protocol=6)
        assert not village.arrives(ethernet(packet + MARK, target=village.gateway_mac))


@pytest.mark.parametrize("kind", [3, 4, 5, 9, 11, 12])
async def test_an_icmp_error_about_anothers_flow_goes_nowhere(village: Village, kind: int) -> None:
    """A flow of the victim with the internet, which the liar knows the ports of."""
    with village.internet.serving(5001, protocol="udp"):
        village.victim.run("true")
        with village.victim.socket(socket.SOCK_DGRAM) as asking:
            asking.bind(("0.0.0.0", 5000))
            asking.connect((world.CLIENT_ADDRESS, 5001))
            asking.send(b"?")
            assert asking.recv(100)
            quoted = ipv4(udp(), source=OTHER, target=world.CLIENT_ADDRESS)[:48]
            answer = ipv4(udp(source=5001, target=5000), source=world.CLIENT_ADDRESS, target=OTHER)[:48]
            for about, target in ((quoted, OTHER), (answer, world.CLIENT_ADDRESS)):
                body = struct.pack(">BBHI", kind, 4 if kind == 3 else 0, 0, 0) + about + MARK
                body = body[:2] + struct.pack(">H", checksum(body + bytes(len(body) % 2))) + body[4:]
                packet = ipv4(body, source=OWN, target=target, protocol=1)
                assert not village.arrives(ethernet(packet, target=village.gateway_mac))


async def test_what_comes_in_parts_is_judged_whole_and_the_gateway_answers_none_of_it(village: Village) -> None:
    before = (await village.plane.traffic())["tap-2"].dropped
    offer = udp(dhcp(2, operation=2) + MARK, source=67, target=68)
    redirect = struct.pack(">BBH4s", 5, 1, 0, socket.inet_aton(OTHER)) + ipv4(MARK, source=OTHER, target=OTHER)
    question = udp(struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + b"\3www\3org\0" + struct.pack(">2H", 1, 1), target=53)
    renewal = udp(dhcp(3, ciaddr=OWN), source=68, target=67)
    for said, target, protocol in (
        (offer, OTHER, 17),
        (offer, "255.255.255.255", 17),
        (redirect, OTHER, 1),
        (redirect, "169.254.1.1", 1),
        (question, "169.254.1.1", 17),
        (renewal, "169.254.1.1", 17),
    ):
        number = next(NUMBERS)
        for part, fragment in ((said[:16], 0x2000), (said[16:], 2)):
            packet = ipv4(part, source=OWN, target=target, protocol=protocol, fragment=fragment, number=number)
            village.liar.send(ethernet(packet, target=village.gateway_mac))
    assert village.arrives(
        ethernet(ipv4(udp(b"after"), source=OWN, target=OTHER), target=village.gateway_mac), b"after"
    )
    after = (await village.plane.traffic())["tap-2"].dropped
    counted = {reason: after[reason] - before.get(reason, 0) for reason in after if reason != "ipv6"}
    assert counted == {"dhcp_server": 2, "icmp": 2, "host": 1, "dhcp": 1}
    assert village.victim.pings(OWN)


async def test_an_icmp_error_about_its_own_datagram_arrives(village: Village) -> None:
    with village.victim.socket(socket.SOCK_DGRAM) as asking:
        asking.connect((OWN, 5999))
        asking.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            asking.recv(100)


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(arp(sender=OTHER), target=EVERYBODY, kind=0x0806),
        ethernet(arp(sender_mac=OTHER_MAC), target=EVERYBODY, kind=0x0806),
        ethernet(arp(), source=OTHER_MAC, target=EVERYBODY, kind=0x0806),
        ethernet(arp(sender="169.254.1.1", operation=2), target=EVERYBODY, kind=0x0806),
    ],
    ids=["sender address", "sender MAC", "frame MAC", "gateway's answer"],
)
async def test_a_lying_arp_packet_teaches_nobody_anything(village: Village, frame: bytes) -> None:
    def neighbours() -> str:
        shown = world.sh("nsenter", "--net=/run/netns/vs-t1", "ip", "-4", "neigh", "show")
        return "\n".join(sorted(" ".join(line.split()[:5]) for line in shown.splitlines()))

    before, heard = neighbours(), village.victim.run("ip", "neigh", "show")
    with village.liar.socket(socket.SOCK_RAW, socket.AF_PACKET, 0x0608) as ear:
        ear.bind(("eth0", 0x0806))
        village.liar.send(frame)
        assert village.arrives(ethernet(ipv4(udp(), source=OWN, target=OTHER), target=village.gateway_mac))
        ear.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                assert ear.recv(100)[20:22] != b"\0\2", "the lie was answered"
    assert neighbours() == before
    assert village.victim.run("ip", "neigh", "show").split()[:5] == heard.split()[:5]


async def test_an_address_probe_gets_no_answer_and_a_true_question_does(village: Village) -> None:
    with village.liar.socket(socket.SOCK_RAW, socket.AF_PACKET, 0x0608) as ear:
        ear.bind(("eth0", 0x0806))
        village.liar.send(ethernet(arp(sender="0.0.0.0", target=OWN), target=EVERYBODY, kind=0x0806))
        village.liar.send(ethernet(arp(), target=EVERYBODY, kind=0x0806))
        answer = ear.recv(100)
    assert answer[28:32] == socket.inet_aton("169.254.1.1")


async def test_no_ipv6_leaves_a_guest(village: Village) -> None:
    everybody = "33:33:00:00:00:01"
    advertisement = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + MARK
    neighbour = struct.pack(">BBHI", 136, 0, 0, 0x20000000) + socket.inet_pton(socket.AF_INET6, "fe80::3") + MARK
    frames = [
        ipv6(advertisement, source="fe80::2", target="ff02::1", following=58),
        ipv6(struct.pack(">BB6x", 58, 0) + advertisement, source="fe80::2", target="ff02::1", following=0),
        ipv6(struct.pack(">BBHI", 58, 0, 1, 7) + advertisement, source="fe80::2", target="ff02::1", following=44),
        ipv6(neighbour, source="fe80::2", target="ff02::1", following=58),
        ipv6(udp(source=547, target=546), source="fe80::2", target="ff02::1", following=17),
        ipv6(udp(), source="2001:db8::2", target="2001:db8::3", following=17),
    ]
    for packet in frames:
        for target in (everybody, village.gateway_mac):
            assert not village.arrives(ethernet(packet, target=target, kind=0x86DD))


async def test_a_frame_with_a_vlan_tag_goes_nowhere(village: Village) -> None:
    tagged = struct.pack(">HH", 5, 0x0800) + ipv4(udp(), source=OTHER, target=world.CLIENT_ADDRESS)
    assert not village.arrives(ethernet(tagged, target=village.gateway_mac, kind=0x8100))


async def test_attack_frames_of_no_kind_that_a_guest_needs_and_packets_in_packets_go_nowhere(village: Village) -> None:
    """Another's address inside of what has the own one outside, and all that switches and routers say to each other."""
    inner = ipv4(udp(), source=OTHER, target=world.CLIENT_ADDRESS)
    own = ipv4(udp(), source=OWN, target=world.CLIENT_ADDRESS)
    kinds = {"802.3": 0x0040, "802.1ad": 0x88A8, "MPLS": 0x8847, "PPPoE": 0x8864, "LLDP": 0x88CC, "EAPOL": 0x888E,
             "pause": 0x8808, "Wake-on-LAN": 0x0842, "RARP": 0x8035}  # fmt: skip
    for kind in kinds.values():
        for target in (village.gateway_mac, EVERYBODY, "01:80:c2:00:00:00"):
            assert not village.arrives(ethernet(inner, target=target, kind=kind)), (kind, target)
            assert not village.arrives(ethernet(own, target=target, kind=kind)), (kind, target)
    # Nobody takes the outer one off: to the gateway, which is no end of a tunnel.
    for protocol, head in ((4, b""), (47, bytes.fromhex("00000800")), (41, b""), (50, bytes(8)), (94, b"")):
        packet = ipv4(head + inner, source=OWN, target="169.254.1.1", protocol=protocol)
        assert not village.arrives(ethernet(packet, target=village.gateway_mac)), protocol
    # Nor is a datagram to many, or one that says it is longer, shorter or older than it is, passed on.
    for target in ("224.0.0.1", "224.0.0.251", "239.255.255.250", "255.255.255.255", "127.0.0.1", "0.0.0.0", OWN):
        packet = ipv4(udp(), source=OWN, target=target)
        assert not village.arrives(ethernet(packet, target=village.gateway_mac)), target
        assert not village.arrives(ethernet(packet, target=EVERYBODY)), target
    for at, value in ((0, 0x44), (0, 0x55), (0, 0x4F), (2, 0xFF), (8, 0), (8, 1), (10, own[10] ^ 1)):
        broken = own[:at] + bytes([value]) + own[at + 1 :]
        assert not village.arrives(ethernet(broken, target=village.gateway_mac)), (at, value)


async def test_the_door_is_closed_before_a_tap_has_an_address(village: Village) -> None:
    inside = ("nsenter", "--net=/run/netns/vs-t1")
    world.sh(*inside, "ip", "tuntap", "add", "dev", "unknown0", "mode", "tap", "vnet_hdr")
    world.sh(*inside, "ip", "link", "set", "unknown0", "up")
    stranger = world.Guest("stranger", "unknown0", village.plane.open_tap("unknown0"), MAC)
    try:
        village.liar, honest = stranger, village.liar
        mac = world.sh(*inside, "ip", "-o", "link", "show", "unknown0").split("link/ether ")[1].split()[0]
        with village.ears() as (victim, _):
            stranger.send(ethernet(ipv4(udp(), source=OWN, target=OTHER), target=mac))
            after = ipv4(udp(b"after"), source=OWN, target=OTHER)
            honest.send(ethernet(after, target=village.gateway_mac))
            assert not any(MARK in packet for packet in village.heard_until(victim, b"after"))
    finally:
        stranger.close()


@pytest.mark.parametrize("attached", [False, True])
async def test_a_guest_reaches_no_port_of_the_host_by_any_of_its_addresses(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, attached: bool
) -> None:
    guest = await make_guest(plane, 2, "203.0.113.9" if attached else None)
    world.sh("ip", "link", "add", "docker9", "type", "bridge")
    world.sh("ip", "address", "add", "172.30.0.1/24", "dev", "docker9")
    world.sh("ip", "link", "set", "docker9", "up")
    server = socket.create_server(("0.0.0.0", 6443))
    with server, internet.serving(6443):
        internet.connect(world.HOST_ADDRESS, 6443).close()
        assert guest.tcp(world.CLIENT_ADDRESS, 6443) == world.HOST_ADDRESS
        for address in (world.HOST_ADDRESS, "198.19.0.1", "172.30.0.1", "198.19.0.2", "169.254.1.1", "127.0.0.1"):
            with pytest.raises(OSError, match=r"."):
                guest.tcp(address, 6443, seconds=0.7)
        # not even where the host publishes a port of its own by DNAT, as Docker does
        world.sh("nft", "add table ip nat9")
        world.sh("nft", "add chain ip nat9 pre { type nat hook prerouting priority dstnat; }")
        world.sh("nft", f"add rule ip nat9 pre ip daddr {world.HOST_ADDRESS} tcp dport 8443 dnat to 100.64.7.2:6443")
        with pytest.raises(OSError, match=r"."):
            guest.tcp(world.HOST_ADDRESS, 8443, seconds=0.7)


async def test_a_guest_reaches_no_link_local_service_of_the_machines_network(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    internet.run("ip", "address", "add", "169.254.169.254/32", "dev", "lo")
    world.sh("ip", "route", "add", "169.254.169.254", "via", world.CLIENT_ADDRESS)
    with internet.serving(80):
        socket.create_connection(("169.254.169.254", 80), timeout=5).close()
        with pytest.raises(OSError, match=r"."):
            guest.tcp("169.254.169.254", 80, seconds=0.7)


async def test_two_installations_side_by_side_see_each_other_as_any_client(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    chosen = ranges.choose(await ranges.networks_in_use())
    other = DataPlane(installation="t2", identifier="0000a2", ranges=chosen, run=Path("/run/t2"))
    pool, (link,) = chosen.public["public"][0], chosen.link
    assert str(pool) == "198.51.100.0/24"
    await other.start()
    try:
        guest, theirs = await make_guest(plane, 2), await make_guest(other, 3)
        attached = await make_guest(other, 4, str(pool[9]))
        port = PublishedPort(pool[7], 22, "TCP", ip_address("10.42.0.3"), 22)
        await other.set_service("s", ServiceRules(frozenset({port}), frozenset({port.address})))
        with theirs.serving(22), attached.serving(22), guest.serving(22):
            assert guest.tcp(str(pool[7]), 22) == "198.19.0.2"
            assert guest.tcp(str(pool[9]), 22) == "198.19.0.2"
            for address in (str(link[2]), str(link[1]), "10.42.0.3"):
                with pytest.raises(OSError, match=r"."):
                    guest.tcp(address, 22, seconds=0.7)
                assert not guest.pings(address, seconds=1)
            await other.stop()
            with pytest.raises(OSError, match=r"."):
                guest.tcp(str(pool[7]), 22, seconds=0.7)
        with internet.serving(80):  # what both needed of the host is still there
            assert guest.tcp(world.CLIENT_ADDRESS, 80) == world.HOST_ADDRESS
        assert await plane.synchronise(DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {})) == 0
    finally:
        await other.stop()


def lies(gateway: str, own: str) -> dict[str, list[bytes]]:
    """Return frames of the liar's that are dropped, whole and in fragments, by the reason that each is counted for."""
    message = udp(MARK + bytes(1000))
    offer = udp(dhcp(2, operation=2), source=67, target=68)
    release = udp(dhcp(7, mac=OTHER_MAC, ciaddr=OTHER), source=68, target=67)
    advertisement = struct.pack(">BBHIII", 134, 0, 0, 0, 0, 0)
    redirect = struct.pack(">BBH4s", 5, 1, 0, socket.inet_aton(OTHER)) + ipv4(b"", source=OTHER, target=OTHER)[:20]

    def framed(*packets: bytes, source: str = MAC) -> list[bytes]:
        return [ethernet(packet, source=source, target=gateway) for packet in packets]

    tagged = struct.pack(">HH", 5, 0x0800) + ipv4(udp(), source=own, target=OTHER)
    return {
        "mac": framed(
            ipv4(udp(), source=own, target=OTHER),
            *in_fragments(message, 512, source=own, target=OTHER),
            source="52:54:00:00:00:77",
        ),
        "address": framed(
            ipv4(udp(), source=OTHER, target=world.CLIENT_ADDRESS),
            *in_fragments(message, 512, source="8.8.4.4", target=OTHER),
            ipv4(udp(), source=FLOATING if own == OWN else OWN, target=world.CLIENT_ADDRESS),
        ),
        "dhcp_server": framed(ipv4(offer, source=own, target=OTHER)),
        "dhcp": framed(ipv4(release, source=own, target="169.254.1.1")),
        "icmp": framed(ipv4(redirect, source=own, target=OTHER, protocol=1)),
        "host": framed(
            *(ipv4(udp(), source=own, target=target) for target in ("169.254.1.1", "198.19.0.1", "169.254.169.254"))
        ),
        "arp": [
            ethernet(arp(sender=OTHER), target=EVERYBODY, kind=0x0806),
            ethernet(arp(sender=OTHER, target=OTHER, operation=2), target=EVERYBODY, kind=0x0806),  # gratuitous
            ethernet(arp(sender="169.254.1.1", operation=2), target=EVERYBODY, kind=0x0806),
        ],
        "ipv6": [
            ethernet(packet, target="33:33:00:00:00:01", kind=0x86DD)
            for packet in (
                ipv6(advertisement, source="fe80::2", target="ff02::1", following=58),
                ipv6(udp(), source="fe80::2", target="ff02::1", following=17),
            )
        ],
        "frame": [ethernet(tagged, target=gateway, kind=0x8100)],
        "protocol": [ethernet(MARK + bytes(60), target=gateway, kind=0x88B5)],
    }


@pytest.mark.parametrize("card", ["translated", "floating", "attached"])
async def test_what_is_dropped_is_counted_by_its_reason_and_for_its_guest_alone(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, card: str
) -> None:
    village = await a_village(plane, make_guest, internet, card)
    own = village.own
    frames = lies(village.gateway_mac, own)
    before = await village.plane.traffic()
    assert set(before["tap-2"].dropped) <= {"ipv6"}, "the guest itself only speaks of the protocol that nobody has here"
    for sent in frames.values():
        for frame in sent:
            village.liar.send(frame)
    wanted = {reason: len(sent) for reason, sent in frames.items() if reason != "ipv6"}
    now = (await village.plane.traffic())["tap-2"].dropped
    assert now.pop("ipv6") >= len(frames["ipv6"]) + before["tap-2"].dropped.get("ipv6", 0)
    assert now == wanted
    honest = [
        ipv4(udp(), source=own, target=OTHER),
        *in_fragments(udp(MARK + bytes(1000)), 512, source=own, target=OTHER),
    ]
    for packet in honest:
        village.liar.send(ethernet(packet, target=village.gateway_mac))
    assert village.arrives(ethernet(ipv4(udp(), source=own, target=OTHER), target=village.gateway_mac))
    after = await village.plane.traffic()
    then = {reason: packets for reason, packets in after["tap-2"].dropped.items() if reason != "ipv6"}
    assert then == wanted, "its own passes, whole and in fragments, and is not counted"
    assert after["tap-2"].sent_packets > before["tap-2"].sent_packets
    assert set(after["tap-3"].dropped) <= {"ipv6"}, "what one guest did is not the other's"
