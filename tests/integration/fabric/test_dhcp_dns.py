"""What a real DHCP client and a resolver are told, and what they are not."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import socket
import struct
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from harness import fabric_world as world
from harness import proc
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import DataPlaneState, LinkKey, Resolver, ServiceRules

DHCP_USER = 0x70000000 + 0x3FE_000
"""Beyond the numbers that installations take."""
GATEWAY = "169.254.1.1"


def ask(
    node: world.Node, name: str, *, server: str = GATEWAY, kind: int = 1, seconds: float = 5
) -> tuple[int, list[str]]:
    """Return the answer's code (0 NOERROR, 3 NXDOMAIN, 5 REFUSED) and its addresses."""
    query, answer = exchange(node, name, server=server, kind=kind, seconds=seconds)
    _, flags, _, count, _, _ = struct.unpack(">6H", answer[:12])
    position, addresses = len(query), list[str]()
    for _ in range(count):
        _, found, _, _, length = struct.unpack(">HHHIH", answer[position : position + 12])
        if found == 1:
            addresses.append(socket.inet_ntoa(answer[position + 12 : position + 16]))
        position += 12 + length
    return flags & 15, addresses


def exchange(node: world.Node, name: str, *, server: str, kind: int, seconds: float) -> tuple[bytes, bytes]:
    """Return what was asked and the answer, as they were on the wire."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    query = struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + question + struct.pack(">2H", kind, 1)
    with node.socket(socket.SOCK_DGRAM) as asking:
        asking.settimeout(seconds)
        asking.connect((server, 53))
        asking.send(query)
        return query, asking.recv(2000)


def eventually_asked(node: world.Node, name: str, expected: tuple[int, list[str]]) -> None:
    """Wait until an answer is the expected one; dnsmasq reads its files a moment after they are written."""
    world.eventually(lambda: ask(node, name) == expected, what=f"{name}: {expected}")


async def test_a_guest_is_told_its_address_gateway_routes_resolver_and_name(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2, configured=False)
    told = guest.dhcp()
    assert told is not None
    assert told["ip"] == "10.42.0.2"
    assert told["subnet"] == "255.255.255.255"
    assert told["router"] == GATEWAY
    assert told["staticroutes"] == f"{GATEWAY}/32 0.0.0.0 0.0.0.0/0 {GATEWAY}"
    assert told["dns"] == GATEWAY
    assert told["search"] == "team.svc.cluster.local svc.cluster.local"
    assert told["domain"] == "team.svc.cluster.local", "for who knows no search list"
    assert told["hostname"] == "guest-2"
    assert told["mtu"] == "1500"
    assert "broadcast" not in told
    assert told["msstaticroutes"] == told["staticroutes"]


async def test_two_guests_are_told_different_resolvers_and_one_without_resolver_none(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    own = Resolver((ip_address("192.0.2.53"), ip_address("192.0.2.54")), ("a.example",))
    await plane.set_link("guest-2", dataclasses.replace(world.a_link(2), resolver=own))
    await plane.set_link("guest-3", dataclasses.replace(world.a_link(3), resolver=Resolver((), ())))
    links = [world.a_link(number) for number in (2, 3)]
    guests = [world.Guest(f"r{n}", link.device, plane.open_tap(link.device), link.mac) for n, link in enumerate(links)]
    try:
        first, second = [guest.dhcp() for guest in guests]
        assert first is not None
        assert second is not None
        assert (first["dns"], first["search"]) == ("192.0.2.53 192.0.2.54", "a.example")
        assert "dns" not in second
        assert "search" not in second
        await plane.set_link("guest-3", dataclasses.replace(world.a_link(3), resolver=own))
        changed = guests[1].dhcp()
        assert changed is not None
        assert changed["dns"] == "192.0.2.53 192.0.2.54"
    finally:
        for guest in guests:
            guest.close()


async def test_attack_a_search_list_as_long_as_a_line_changes_nothing_of_a_neighbours_lease(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    neighbour = await make_guest(plane, 3, configured=False)
    attacker = await make_guest(plane, 2, configured=False)
    before = neighbour.dhcp()
    for digits, *others in (("26", "600"), ("121", "0.10.42.0", "99.0.0.0")):
        searches = (*(f"f{number:02}.{'x' * 59}" for number in range(15)), "y" * 33 + digits, *others)
        # What dnsmasq 2.90 would read as a line of its own, since it reads 1,024 characters at a time.
        assert f"tag:tap-2,option:domain-search,{','.join(searches)}"[1024:] == ",".join((digits, *others))
        own = Resolver((), searches)
        await plane.set_link("guest-2", dataclasses.replace(world.a_link(2), resolver=own))
        await asyncio.sleep(0.5)  # dnsmasq reads its files a moment after they are written
        told = attacker.dhcp()
        assert neighbour.dhcp() == before
        assert told is not None, "what it asked for is its own affair, and it has its lease"
        assert told["search"] == " ".join(searches[:14]), "as many as fit"


async def test_the_longest_resolver_leaves_room_for_all_else_in_a_message_of_576_bytes(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    """With 30 servers the guest had no routes, and with 60 no name server; nobody was told."""
    servers = tuple(ip_address(f"192.0.2.{number}") for number in range(1, 61))
    longest = tuple(letter * length for letter, length in zip("abcd", (62, 62, 62, 61), strict=True))
    named = dataclasses.replace(world.a_link(2), hostname="h" * 63, resolver=Resolver(servers, longest))
    await plane.set_link("guest-2", named)
    guest = world.Guest("long", named.device, plane.open_tap(named.device), named.mac)
    try:
        told = guest.dhcp(identifier="ff" + "ab" * 18)  # as long as systemd's
    finally:
        guest.close()
    assert told is not None
    assert told["search"] == " ".join(longest) and "domain" not in told
    assert told["hostname"] == "h" * 63
    assert told["dns"] == " ".join(map(str, servers[:13]))
    assert told["staticroutes"] == told["msstaticroutes"] == f"{GATEWAY}/32 0.0.0.0 0.0.0.0/0 {GATEWAY}"
    assert (told["router"], told["subnet"], told["mtu"]) == (GATEWAY, "255.255.255.255", "1500")


async def test_a_directly_attached_address_is_leased_like_any_other(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    public = await make_guest(plane, 2, "203.0.113.9", configured=False)
    private = await make_guest(plane, 3, "198.18.0.9", configured=False)
    for guest, address in ((public, "203.0.113.9"), (private, "198.18.0.9")):
        told = guest.dhcp()
        assert told is not None
        assert told["ip"] == address


async def test_leases_tell_when_they_were_taken_and_outlive_dnsmasq(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    before = time.time() - 1
    guest = await make_guest(plane, 2, configured=False)
    changes = plane.lease_changes()
    change = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    assert await plane.leases() == {}
    assert guest.dhcp()
    await asyncio.wait_for(change, 20)
    lease = (await plane.leases())[guest.mac]
    assert str(lease.address) == "10.42.0.2"
    assert before <= lease.taken <= time.time()
    supervision = asyncio.ensure_future(plane.supervise())
    first = await dnsmasq_pid(plane)
    os.kill(first, signal.SIGKILL)
    while await dnsmasq_pid(plane, required=False) in (first, 0):
        await asyncio.sleep(0.02)
    supervision.cancel()
    assert (await plane.leases())[guest.mac] == lease
    await asyncio.sleep(1.1)  # a lease's time is in whole seconds
    assert guest.dhcp()
    assert (await plane.leases())[guest.mac].taken > lease.taken
    await changes.aclose()  # type: ignore[attr-defined]


async def dnsmasq_pid(plane: DataPlane, *, required: bool = True) -> int:
    found = [int(item["detail"].removeprefix("pid ")) for item in await plane.inventory() if item["name"] == "dnsmasq"]
    assert found or not required
    return found[0] if found else 0


async def test_dnsmasq_has_a_number_of_its_own_and_few_of_roots_rights(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    """Fault 15: it ran as nobody, as any other program may; one that an earlier version started so is replaced."""
    guest = await make_guest(plane, 2, configured=False)
    assert guest.dhcp() is not None
    before = await dnsmasq_pid(plane)
    run = Path("/run/t1")
    later = DataPlane(installation="t1", identifier="0000a1", ranges=plane.ranges, run=run, dhcp_user=DHCP_USER)
    await later.start()
    pid = await dnsmasq_pid(later)
    assert pid != before
    status = proc.status_of(pid)
    assert (status["Uid"].split(), status["Gid"].split()) == ([str(DHCP_USER)] * 4, [str(DHCP_USER)] * 4)
    assert (status["Groups"], status["NoNewPrivs"]) == ("", "1")
    rights = 1 << 10 | 1 << 12  # CAP_NET_BIND_SERVICE, CAP_NET_ADMIN
    assert {int(status[f"Cap{kind}"], 16) for kind in ("Prm", "Eff", "Bnd")} == {rights}
    # No lease is lost, the same file is written on, and all else in the folder is root's.
    assert (await later.leases()).keys() == {guest.mac}
    assert guest.dhcp() is not None
    mode = run.stat()
    assert (mode.st_mode & 0o777, mode.st_uid, mode.st_gid) == (0o750, 0, DHCP_USER)
    assert {path.name for path in run.rglob("*") if path.stat().st_uid} == {"leases", "dnsmasq.log"}
    assert (run / "leases").stat().st_mode & 0o777 == 0o600


async def test_a_removed_guests_address_and_mac_serve_another_at_once(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2, configured=False)
    assert guest.dhcp()
    pid = await dnsmasq_pid(plane)
    await plane.remove_link("guest-2")
    assert await plane.leases() == {}
    # the same address for another MAC, and the same MAC with another address
    for number, changes in ((3, {"addresses": (ip_address("10.42.0.2"),)}), (4, {"mac": guest.mac})):
        link = dataclasses.replace(world.a_link(number), **changes)
        await plane.set_link(f"guest-{number}", link)
        other = world.Guest(f"next{number}", link.device, plane.open_tap(link.device), link.mac)
        try:
            told = other.dhcp()
            assert told is not None
            assert told["ip"] == str(link.addresses[0])
        finally:
            other.close()
    assert await dnsmasq_pid(plane) == pid


async def test_a_guest_that_is_not_known_gets_no_lease(plane: DataPlane, make_guest: world.MakeGuest) -> None:
    guest = await make_guest(plane, 2, configured=False)
    link = dataclasses.replace(world.a_link(2), mac="52:54:00:00:00:99")
    await plane.set_link("guest-2", link)
    assert guest.dhcp(tries=2) is None


async def test_names_of_services_resolve_to_guests_and_unknown_ones_do_not_exist(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    name = "web.team.svc.cluster.local"
    await plane.set_service("s1", ServiceRules(names={name: (ip_address("10.42.0.2"), ip_address("10.42.0.3"))}))
    await plane.set_service("s2", ServiceRules(names={"db.team.svc.cluster.local": (ip_address("10.96.0.9"),)}))
    eventually_asked(guest, "db.team.svc.cluster.local", (0, ["10.96.0.9"]))
    assert sorted(ask(guest, name)[1]) == ["10.42.0.2", "10.42.0.3"]
    assert ask(guest, "nobody.team.svc.cluster.local") == (3, [])
    for address in ("10.42.0.2", "10.42.0.3", "10.96.0.9"):
        reverse = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
        _, answer = exchange(guest, reverse, server=GATEWAY, kind=12, seconds=5)
        assert b"team" not in answer, "an address does not say whose it is"
        assert address.replace(".", "-").encode() in answer
    await plane.set_service("s1", ServiceRules(names={name: (ip_address("10.42.0.4"),)}))
    eventually_asked(guest, name, (0, ["10.42.0.4"]))
    await plane.remove_service("s1")
    eventually_asked(guest, name, (3, []))
    assert ask(guest, "db.team.svc.cluster.local") == (0, ["10.96.0.9"])


async def test_other_names_are_asked_of_the_machines_resolver_and_refused_where_it_has_none(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    resolvers = Path("/run/resolv.conf")
    resolvers.write_text("nameserver 127.0.0.53\n")
    world.sh("mount", "--bind", str(resolvers), "/etc/resolv.conf")
    await plane.synchronise(DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {}))
    eventually_asked(guest, "www.example.org", (5, []))
    folder = Path("/run/upstream")
    folder.mkdir()
    (folder / "conf").write_text(
        f"no-resolv\nno-hosts\nport=53\nlisten-address={world.CLIENT_ADDRESS}\nbind-interfaces\nuser=root\n"
        f"address=/www.example.org/192.0.2.80\npid-file={folder}/pid\n"
    )
    internet.run("dnsmasq", f"--conf-file={folder}/conf")
    try:
        resolvers.write_text(f"nameserver 127.0.0.1\nnameserver {world.CLIENT_ADDRESS}\n")
        await plane.synchronise(DataPlaneState({LinkKey("guest-2"): world.a_link(2)}, {}))
        eventually_asked(guest, "www.example.org", (0, ["192.0.2.80"]))
        assert ask(guest, "nobody.cluster.local") == (3, [])
    finally:
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
        world.sh("umount", "/etc/resolv.conf")


async def test_the_machines_resolver_is_followed_however_its_file_becomes_another(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    """Fault 33: replaced, a link that leads elsewhere, empty; and what the old one said is forgotten."""
    guest = await make_guest(plane, 2)
    for folder in ("/run/etc", "/run/resolvers"):
        Path(folder).mkdir()
    world.sh("cp", "-a", "/etc/.", "/run/etc")
    world.sh("mount", "--bind", "/run/etc", "/etc")
    servers = {"192.0.2.80": world.CLIENT_ADDRESS, "192.0.2.81": "100.64.7.3"}
    internet.run("ip", "address", "add", "100.64.7.3/24", "dev", "eth0")
    for answer, server in servers.items():
        Path(f"/run/resolvers/{answer}").write_text(f"nameserver {server}\n")
        Path(f"/run/resolvers/{answer}.conf").write_text(
            f"no-resolv\nno-hosts\nport=53\nlisten-address={server}\nbind-interfaces\nuser=root\nlocal-ttl=600\n"
            f"address=/example.org/{answer}\npid-file=/run/resolvers/{answer}.pid\n"
        )
        internet.run("dnsmasq", f"--conf-file=/run/resolvers/{answer}.conf")
    file = Path("/etc/resolv.conf")
    follower = world.Follower(plane)

    async def follows(expected: tuple[int, list[str]], name: str = "www.example.org") -> None:
        def is_answered() -> bool:
            try:
                return ask(guest, name, seconds=1) == expected
            except TimeoutError:  # of who was asked before
                return False

        began = time.monotonic()
        await asyncio.to_thread(world.eventually, is_answered, what=f"{name}: {expected}")
        assert world.is_in_time(time.monotonic() - began, within=5)

    try:
        file.unlink()
        file.write_text(f"nameserver {servers['192.0.2.80']}\n")
        await follows((0, ["192.0.2.80"]))
        Path("/etc/new").write_text(f"nameserver {servers['192.0.2.81']}\n")
        Path("/etc/new").rename(file)
        await follows((0, ["192.0.2.81"]))
        for answer in servers:
            Path("/etc/new").symlink_to(f"/run/resolvers/{answer}")
            Path("/etc/new").rename(file)
            await follows((0, [answer]))
        file.unlink()
        file.write_text("# nobody\n")
        await follower.until_adjusted("are none that guests reach now")
        await follows((5, []), "not-asked-yet.example.org")
        file.write_text(f"nameserver {servers['192.0.2.80']}\n")
        await follows((0, ["192.0.2.80"]))
        await follower.until_adjusted(f"are {servers['192.0.2.80']} now, before none that guests reach")
        assert follower.told == []
    finally:
        await follower.close()
        for answer in servers:
            os.kill(int(Path(f"/run/resolvers/{answer}.pid").read_text()), signal.SIGKILL)
        world.sh("umount", "/etc")


async def test_the_resolver_answers_guests_only(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    node = "198.19.0.2"
    internet.run("ip", "route", "add", "198.19.0.0/30", "via", world.HOST_ADDRESS)
    for asker in (internet, guest):
        with pytest.raises(OSError, match=r"."):
            ask(asker, "a.cluster.local", server=node, seconds=1)
