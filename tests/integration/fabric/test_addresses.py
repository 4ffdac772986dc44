"""What each network mode is in packets: published ports, direct attach, neither."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from harness import fabric_world as world
from virtualserver.fabric.dataplane import DataPlane
from virtualserver.fabric.desired.state import (
    GATEWAY_PORTS,
    Address,
    DataPlaneState,
    LinkKey,
    PublishedPort,
    ServiceRules,
)
from virtualserver.installation import ranges

PUBLIC = "203.0.113.7"
PRIVATE = "198.18.0.7"
CLUSTER = "10.96.0.7"


def published(
    address: str, port: int, target: str, protocol: str = "TCP", target_port: int | None = None
) -> PublishedPort:
    return PublishedPort(ip_address(address), port, protocol, ip_address(target), target_port or port)  # type: ignore[arg-type]


def announced(address: str, *ports: PublishedPort) -> ServiceRules:
    return ServiceRules(ports=frozenset(ports), announced=frozenset({ip_address(address)}))


@pytest.mark.parametrize("address", [PUBLIC, PRIVATE])
async def test_a_published_port_answers_a_client_and_the_guest_sees_the_clients_own_address(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, address: str
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("tcp", announced(address, published(address, 22, "10.42.0.2", target_port=2222)))
    await plane.set_service("udp", announced(address, published(address, 3389, "10.42.0.2", "UDP")))
    internet.run("ip", "route", "add", f"{address}/32", "via", world.HOST_ADDRESS)
    with guest.serving(2222), guest.serving(3389, protocol="udp"):
        assert internet.tcp(address, 22) == world.CLIENT_ADDRESS
        assert internet.udp(address, 3389) == world.CLIENT_ADDRESS


async def test_a_port_that_is_not_published_is_refused_and_ping_is_not_answered(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("tcp", announced(PUBLIC, published(PUBLIC, 22, "10.42.0.2")))
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    with guest.serving(22), guest.serving(23), guest.serving(22, protocol="udp"):
        assert internet.tcp(PUBLIC, 22)
        with pytest.raises(ConnectionRefusedError):
            internet.tcp(PUBLIC, 23)
        with pytest.raises(ConnectionRefusedError):
            internet.udp(PUBLIC, 22)
        assert not internet.pings(PUBLIC, seconds=1)


@pytest.mark.parametrize("address", [PUBLIC, PRIVATE])
async def test_a_directly_attached_address_answers_ping_and_any_port_and_is_the_guests_source(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, address: str
) -> None:
    guest = await make_guest(plane, 2, address)
    neighbour = await make_guest(plane, 3)
    internet.run("ip", "route", "add", f"{address}/32", "via", world.HOST_ADDRESS)
    with guest.serving(9), guest.serving(65000, protocol="udp"), neighbour.serving(80):
        assert internet.pings(address)
        assert internet.tcp(address, 9) == world.CLIENT_ADDRESS
        assert internet.udp(address, 65000) == world.CLIENT_ADDRESS
        assert neighbour.tcp(address, 9) == "10.42.0.3"
        assert guest.tcp("10.42.0.3", 80) == address


async def test_what_a_guest_sends_out_is_translated_to_the_machines_address(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest, attached = await make_guest(plane, 2), await make_guest(plane, 3, PUBLIC)
    with internet.serving(80), internet.serving(53, protocol="udp"):
        for each in (
            guest,
            attached,
        ):  # nobody beyond routes the test networks, so an attached address is translated too
            assert each.tcp(world.CLIENT_ADDRESS, 80) == world.HOST_ADDRESS
            assert each.udp(world.CLIENT_ADDRESS, 53) == world.HOST_ADDRESS
            assert each.pings(world.CLIENT_ADDRESS)


async def test_attack_a_guest_that_sends_from_every_low_port_takes_none_of_another(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    """Of the kind of faults 9 and 10: clients of NTP send from port 123, and all guests leave under one address."""
    guests = [await make_guest(plane, 2), await make_guest(plane, 3), await make_guest(plane, 4, PUBLIC)]

    def asks(guest: world.Node, port: int) -> int:
        """Return the source port that the server sees."""
        with guest.socket(socket.SOCK_DGRAM) as asking:
            asking.bind(("", port))
            asking.sendto(b"?", (world.CLIENT_ADDRESS, 123))
        server.settimeout(5)
        return server.recvfrom(100)[1][1]

    with internet.socket(socket.SOCK_DGRAM) as server:
        server.bind((world.CLIENT_ADDRESS, 123))
        assert min(asks(guests[0], port) for port in range(1, 512) if port != 67) >= 1024  # 67 is of DHCP servers
        for guest in guests:
            assert asks(guest, 123) >= 1024
        # what the gateway asks for all of them leaves from the ports above
        assert 1024 <= asks(guests[0], 60_000) < GATEWAY_PORTS
        # of the ports between each keeps its own, unless a low one was given it
        assert any(asks(guests[0], port) == port for port in (30_000, 30_001, 30_002))


async def test_on_this_machine_an_attached_address_is_the_source_that_others_see(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    attached, guest = await make_guest(plane, 3, PUBLIC), await make_guest(plane, 2)
    client = world.Node("beside")
    world.sh("ip", "link", "add", "beside0", "type", "veth", "peer", "name", "eth0", "netns", "beside")
    world.sh("ip", "address", "add", "192.168.77.1/24", "dev", "beside0")
    world.sh("ip", "link", "set", "beside0", "up")
    world.sh("sysctl", "-qw", "net.ipv4.conf.beside0.forwarding=1")
    client.run("ip", "address", "add", "192.168.77.2/24", "dev", "eth0")
    client.run("ip", "link", "set", "eth0", "up")
    client.run("ip", "route", "add", "default", "via", "192.168.77.1")
    with client.serving(80), attached.serving(22):
        assert attached.tcp("192.168.77.2", 80) == PUBLIC
        assert guest.tcp("192.168.77.2", 80) == "192.168.77.1"
        assert client.tcp(PUBLIC, 22) == "192.168.77.2"


async def test_pools_that_the_network_beyond_routes_are_not_translated(
    internet: world.Node, make_guest: world.MakeGuest
) -> None:
    chosen = ranges.choose(await ranges.networks_in_use())
    chosen = dataclasses.replace(chosen, routed=chosen.public["public"])
    plane = DataPlane(installation="t1", identifier="0000a1", ranges=chosen, run=Path("/run/t1"))
    await plane.start()
    try:
        attached, guest = await make_guest(plane, 3, PUBLIC), await make_guest(plane, 2)
        internet.run("ip", "route", "add", "203.0.113.0/24", "via", world.HOST_ADDRESS)
        with internet.serving(80):
            assert attached.tcp(world.CLIENT_ADDRESS, 80) == PUBLIC
            assert guest.tcp(world.CLIENT_ADDRESS, 80) == world.HOST_ADDRESS
    finally:
        await plane.stop()


async def test_a_guest_reaches_its_own_published_port_and_another_guests(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest, other = await make_guest(plane, 2), await make_guest(plane, 3)
    await plane.set_service("tcp", announced(PUBLIC, published(PUBLIC, 22, "10.42.0.2")))
    with guest.serving(22):
        assert guest.tcp(PUBLIC, 22) == "169.254.1.1"
        assert other.tcp(PUBLIC, 22) == "10.42.0.3"
        with pytest.raises(ConnectionRefusedError):
            other.tcp(PUBLIC, 23)


async def test_a_cluster_address_answers_guests_and_nobody_else(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest, other = await make_guest(plane, 2), await make_guest(plane, 3)
    await plane.set_service("tcp", ServiceRules(frozenset({published(CLUSTER, 80, "10.42.0.2", target_port=8080)})))
    for router, target in ((internet, world.HOST_ADDRESS),):
        router.run("ip", "route", "add", "10.0.0.0/8", "via", target)
    world.sh("ip", "route", "add", "10.0.0.0/8", "via", "198.19.0.2")  # even where a person routes them there
    with guest.serving(8080):
        assert other.tcp(CLUSTER, 80) == "10.42.0.3"
        assert guest.tcp(CLUSTER, 80)
        for address, port in ((CLUSTER, 80), ("10.42.0.2", 8080)):
            with pytest.raises(OSError, match=r"."):
                internet.tcp(address, port, seconds=1)
            with pytest.raises(OSError, match=r"."):
                socket.create_connection((address, port), timeout=1)


async def test_a_host_process_reaches_a_published_port_and_an_attached_address(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest, attached = await make_guest(plane, 2), await make_guest(plane, 3, PRIVATE)
    await plane.set_service("tcp", announced(PUBLIC, published(PUBLIC, 22, "10.42.0.2")))
    with guest.serving(22), attached.serving(23):
        for address, port in ((PUBLIC, 22), (PRIVATE, 23)):
            with socket.create_connection((address, port), timeout=5) as connection:
                assert connection.recv(100).decode() == "198.19.0.1"


async def test_an_address_of_a_pool_that_nobody_has_is_unreachable_at_once(
    internet: world.Node, plane: DataPlane
) -> None:
    internet.run("ip", "route", "add", "203.0.113.0/24", "via", world.HOST_ADDRESS)
    with pytest.raises(OSError, match="No route to host"):
        internet.tcp("203.0.113.99", 22, seconds=3)


async def test_taking_a_port_away_cuts_its_flows_and_no_others(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    both = announced(PUBLIC, published(PUBLIC, 22, "10.42.0.2"), published(PUBLIC, 80, "10.42.0.2"))
    await plane.set_service("tcp", both)
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    with guest.serving(22), guest.serving(80):
        with internet.connect(PUBLIC, 22) as cut, internet.connect(PUBLIC, 80) as kept:
            for connection in (cut, kept):
                assert connection.recv(100)
            await plane.set_service("tcp", announced(PUBLIC, published(PUBLIC, 80, "10.42.0.2")))
            kept.sendall(b"still here")
            assert kept.recv(100) == b"still here"
            cut.sendall(b"gone")
            with pytest.raises(ConnectionResetError):
                cut.recv(100)
        with pytest.raises(ConnectionRefusedError):
            internet.tcp(PUBLIC, 22)


async def test_fault_34_a_port_that_is_withheld_takes_no_new_connections_and_open_ones_live_until_it_goes(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    tcp = {published(PUBLIC, port, "10.42.0.2") for port in (22, 80)}
    udp = published(PUBLIC, 53, "10.42.0.2", "UDP")
    ready = announced(PUBLIC, *tcp, udp)
    unready = dataclasses.replace(announced(PUBLIC), withheld=ready.ports)
    await plane.set_service("one", ready)
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    with (
        guest.serving(22),
        guest.serving(80),
        guest.serving(53, protocol="udp"),
        internet.connect(PUBLIC, 22) as one,
        internet.connect(PUBLIC, 80) as other,
        internet.socket(socket.SOCK_DGRAM) as asking,
    ):
        asking.connect((PUBLIC, 53))

        def all_live() -> bool:
            one.sendall(b"1")
            other.sendall(b"2")
            asking.send(b"?")
            return (one.recv(1), other.recv(1), bool(asking.recv(100))) == (b"1", b"2", True)

        assert one.recv(100)
        assert other.recv(100)
        assert all_live()
        assert await plane.set_service("one", unready)
        assert all_live()
        for port in (22, 80):
            with pytest.raises(ConnectionRefusedError):
                internet.tcp(PUBLIC, port)
        # Over a restart of the node too, which reads what is there.
        links = {LinkKey("guest-2"): world.a_link(2)}
        assert await plane.synchronise(DataPlaneState(links, {"one": unready})) == 0
        assert all_live()
        await plane.set_service("one", ready)
        assert all_live()
        assert internet.tcp(PUBLIC, 22)
        await plane.set_service("one", unready)
        await plane.set_service("one", dataclasses.replace(unready, withheld=frozenset({udp})))
        assert world.is_reset(one)


async def test_fault_34_a_connection_stays_with_its_guest_while_new_ones_go_to_another_and_ends_with_it(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    first, second = await make_guest(plane, 2), await make_guest(plane, 3)
    await plane.set_service("tcp", announced(PUBLIC, published(PUBLIC, 22, "10.42.0.2")))
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    with first.serving(22), internet.connect(PUBLIC, 22) as connection:
        assert connection.recv(100)
        await plane.set_service("tcp", announced(PUBLIC, published(PUBLIC, 22, "10.42.0.3")))
        connection.sendall(b"still here")
        assert connection.recv(100) == b"still here"
        with second.serving(22):
            assert internet.tcp(PUBLIC, 22)
        await plane.remove_link("guest-2")
        connection.sendall(b"gone")
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


async def test_a_port_that_moves_to_another_guest_takes_new_connections_there(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    first, second = await make_guest(plane, 2), await make_guest(plane, 3)
    await plane.set_service("udp", announced(PUBLIC, published(PUBLIC, 53, "10.42.0.2", "UDP")))
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    with internet.socket(socket.SOCK_DGRAM) as client:
        client.connect((PUBLIC, 53))
        with first.serving(53, protocol="udp"):
            client.send(b"?")
            assert client.recv(100)
        await plane.set_service("udp", announced(PUBLIC, published(PUBLIC, 53, "10.42.0.3", "UDP")))
        with second.serving(53, protocol="udp"):
            client.send(b"?")
            assert client.recv(100)


async def test_two_services_share_an_address_and_the_second_keeps_it(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest = await make_guest(plane, 2)
    await plane.set_service("tcp", announced(PUBLIC, published(PUBLIC, 22, "10.42.0.2")))
    await plane.set_service("udp", announced(PUBLIC, published(PUBLIC, 22, "10.42.0.2", "UDP")))
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    await plane.remove_service("tcp")
    with guest.serving(22, protocol="udp"):
        assert internet.udp(PUBLIC, 22)
    with pytest.raises(ConnectionRefusedError):
        internet.tcp(PUBLIC, 22)
    await plane.remove_service("udp")
    with pytest.raises(OSError, match="No route to host"):
        internet.tcp(PUBLIC, 22)


async def test_both_ends_of_a_flow_to_a_removed_cluster_port_are_told(
    plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    guest, client = await make_guest(plane, 2), await make_guest(plane, 3)
    await plane.set_service("tcp", ServiceRules(frozenset({published(CLUSTER, 80, "10.42.0.2")})))
    with guest.listening(80) as listener, client.connect(CLUSTER, 80) as flow:
        served, _ = listener.accept()
        with served:
            await plane.remove_service("tcp")
            for end in (flow, served):
                end.settimeout(5)
                end.sendall(b"gone")
                with pytest.raises(ConnectionResetError):
                    end.recv(100)


@pytest.mark.parametrize("speaks_first", ["client", "server"])
async def test_a_connection_to_an_attached_address_outlives_a_flush_of_the_flows(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest, speaks_first: str
) -> None:
    guest, neighbour, third = await make_guest(plane, 2, PUBLIC), await make_guest(plane, 3), await make_guest(plane, 4)
    internet.run("ip", "route", "add", f"{PUBLIC}/32", "via", world.HOST_ADDRESS)
    with contextlib.ExitStack() as stack:
        ends: list[tuple[socket.socket, socket.socket]] = []
        for port, (client, server, address) in enumerate(
            (
                (internet, guest, PUBLIC),
                (neighbour, guest, PUBLIC),
                (guest, internet, world.CLIENT_ADDRESS),
                (guest, neighbour, "10.42.0.3"),
                (third, neighbour, "10.42.0.3"),
            ),
            start=22,
        ):
            with server.listening(port) as listener:
                opened = stack.enter_context(client.connect(address, port))
                ends.append((opened, stack.enter_context(listener.accept()[0])))
        world.forget_flows("vs-t1")
        for opened, served in ends:
            first, second = (opened, served) if speaks_first == "client" else (served, opened)
            for end in (first, second):
                end.settimeout(10)
            first.sendall(b"there?")
            assert second.recv(100) == b"there?"
            second.sendall(b"here")
            assert first.recv(100) == b"here"


async def test_fault_11_guests_of_other_groups_reach_load_balancer_addresses_only(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    server, friend, stranger = [await make_guest(plane, number) for number in (2, 3, 4)]
    attached = await make_guest(plane, 5, "203.0.113.9")
    for number, group in ((2, 7), (3, 7), (4, 8)):
        await plane.set_link(f"guest-{number}", world.a_link(number, group=group))
    await plane.set_link("guest-5", world.a_link(5, "203.0.113.9", group=8))
    ports = frozenset({published(PUBLIC, 22, "10.42.0.2"), published(CLUSTER, 22, "10.42.0.2")})
    await plane.set_service("tcp", ServiceRules(ports, frozenset({ip_address(PUBLIC)})))
    with server.serving(22), attached.serving(22), internet.serving(22):
        assert friend.tcp("10.42.0.2", 22) == "10.42.0.3"
        for guest in (stranger, attached):
            with pytest.raises(TimeoutError):
                guest.tcp("10.42.0.2", 22, seconds=1)
            assert not guest.pings("10.42.0.2", seconds=1)
            for address in (PUBLIC, CLUSTER):
                assert guest.tcp(address, 22)
        for guest in (friend, stranger):
            assert guest.tcp("203.0.113.9", 22)
            assert guest.tcp(world.CLIENT_ADDRESS, 22)
        with friend.connect("10.42.0.2", 22) as opened, friend.connect(PUBLIC, 22) as published_one:
            for connection in (opened, published_one):
                assert connection.recv(100)
            await plane.set_link("guest-2", world.a_link(2, group=9))
            opened.sendall(b"still?")
            with pytest.raises(ConnectionResetError):
                opened.recv(100)
            published_one.sendall(b"still?")
            assert published_one.recv(100) == b"still?"


async def test_an_address_that_is_still_answered_for_becomes_a_guests_own_and_back(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    address = ip_address("203.0.113.9")
    internet.run("ip", "route", "add", f"{address}/32", "via", world.HOST_ADDRESS)
    announced = ServiceRules(announced=frozenset({address}))
    await plane.set_service("web", announced)
    guest = await make_guest(plane, 3, str(address))
    with guest.serving(22):
        # Two want the route for a moment, where the machine's start and the Service's change come at once.
        await plane.set_service("web", ServiceRules())
        assert internet.tcp(str(address), 22), "the guest's own"
        await plane.set_service("web", announced)
        await plane.remove_link("guest-3")
        assert routes_to(address) == ["local"]
        await plane.remove_service("web")
        assert routes_to(address) == []


async def test_a_second_route_to_an_address_is_taken_away(
    internet: world.Node, plane: DataPlane, make_guest: world.MakeGuest
) -> None:
    address = ip_address("203.0.113.9")
    internet.run("ip", "route", "add", f"{address}/32", "via", world.HOST_ADDRESS)
    guest = await make_guest(plane, 3, str(address))
    add = ("ip", "route", "add", "local", str(address), "dev", "lo", "table", "local", "proto", "static")
    world.sh("nsenter", "--net=/run/netns/vs-t1", *add)
    links = {LinkKey("guest-3"): world.a_link(3, str(address))}
    assert await plane.synchronise(DataPlaneState(links, {})) > 0
    assert routes_to(address) == ["unicast"]
    with guest.serving(22):
        assert internet.tcp(str(address), 22)
    assert await plane.synchronise(DataPlaneState(links, {})) == 0


def routes_to(address: Address) -> list[str]:
    """Return the kinds of our routes to one address, in all tables."""
    shown = world.sh("nsenter", "--net=/run/netns/vs-t1", "ip", "-j", "-d", "route", "show", "table", "all")
    return [route["type"] for route in json.loads(shown) if route["dst"] == str(address)]
