"""Which flows the kernel is asked for, what it tells of each, and the request that it forgets one."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address, ip_network

import pytest

from virtualserver.fabric.kernel.conntrack import Flow, Flows, deletion, flow_of, questions
from virtualserver.fabric.kernel.errors import KernelError

FAMILY = struct.pack("=BBH", 2, 0, 0)
# The original tuple of an SCTP flow: nested attributes, of which only its own kernel knows what they mean.
TUPLE = struct.pack("=HH", 4 + 12, 0x8000 | 1) + bytes(range(12))
STATUS = struct.pack("=HHI", 8, 3, 0)


def an_answer(*attributes: bytes) -> bytes:
    body = FAMILY + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), 0x0100, 2, 7, 9) + body


def test_a_flow_is_forgotten_by_its_tuple_as_it_came_and_by_no_filter() -> None:
    """Made anew, a tuple had the ports of TCP and UDP alone; beside a filter each took a walk through the table."""
    sent = deletion(an_answer(STATUS, TUPLE, STATUS))
    assert sent == struct.pack("=IHHII", 16 + 4 + 16, 0x0102, 0x005, 0, 0) + FAMILY + TUPLE


def test_an_answer_without_a_tuple_is_told() -> None:
    with pytest.raises(KernelError, match="without its addresses"):
        deletion(an_answer(STATUS))


def attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)


def a_tuple(kind: int, source: str, target: str, protocol: int, *ports: int) -> bytes:
    addresses = b"".join(attribute(1 + at, socket.inet_aton(one)) for at, one in enumerate((source, target)))
    numbers = b"".join(attribute(2 + at, struct.pack("!H", port)) for at, port in enumerate(ports))
    parts = attribute(0x8001, addresses) + attribute(0x8002, attribute(1, bytes([protocol])) + numbers)
    return attribute(0x8000 | kind, parts)


CLIENT, PUBLIC, GUEST, OTHER = map(ip_address, ("192.0.2.7", "203.0.113.7", "10.42.0.2", "10.42.0.3"))
TCP, ICMP = socket.IPPROTO_TCP, socket.IPPROTO_ICMP


@pytest.mark.parametrize(("protocol", "port"), [(TCP, ("tcp", 443)), (socket.IPPROTO_UDP, ("udp", 443)), (132, None)])
def test_a_flow_is_read_as_the_kernel_told_it(protocol: int, port: tuple[str, int] | None) -> None:
    there = a_tuple(1, "192.0.2.7", "203.0.113.7", protocol, 40000, 443)
    back = a_tuple(2, "10.42.0.2", "192.0.2.7", protocol, 8443, 40000)
    assert flow_of(an_answer(STATUS, there, back)) == Flow(CLIENT, PUBLIC, port, GUEST, CLIENT)
    with pytest.raises(KernelError, match="without its addresses"):
        flow_of(an_answer(there))


def test_a_ping_has_no_port() -> None:
    there = attribute(0x8001, attribute(0x8001, attribute(1, b"\xc0\0\2\7") + attribute(2, b"\xcb\0q\7")))
    back = a_tuple(2, "10.42.0.2", "192.0.2.7", ICMP)
    assert flow_of(an_answer(there, back)) == Flow(CLIENT, PUBLIC, None, GUEST, CLIENT)


FLOW = Flow(CLIENT, PUBLIC, ("tcp", 443), GUEST, CLIENT)


@pytest.mark.parametrize(
    ("flows", "is_one"),
    [
        pytest.param(Flows(), True, id="all"),
        pytest.param(Flows(by=CLIENT), True, id="by its opener"),
        pytest.param(Flows(by=GUEST), False, id="by another"),
        pytest.param(Flows(to=PUBLIC), True, id="any port"),
        pytest.param(Flows(to=PUBLIC, port=443), True, id="its port"),
        pytest.param(Flows(to=PUBLIC, port=444), False, id="another port"),
        pytest.param(Flows(to=PUBLIC, port=443, protocol="udp"), False, id="its port of another protocol"),
        pytest.param(Flows(to=PUBLIC, answered_by=GUEST), True, id="answered by its guest"),
        pytest.param(Flows(to=PUBLIC, answered_by=OTHER), False, id="answered by another"),
        pytest.param(Flows(answered_to=CLIENT), True, id="for its client"),
        pytest.param(Flows(answered_to=PUBLIC), False, id="for another"),
        pytest.param(Flows(to=PUBLIC, apart_from=(("tcp", 443),)), False, id="apart from its port"),
        pytest.param(Flows(to=PUBLIC, apart_from=(("udp", 443),)), True, id="apart from another"),
        pytest.param(Flows(to=PUBLIC, kept=(GUEST,)), False, id="its guest's are kept"),
        pytest.param(Flows(to=PUBLIC, kept=(OTHER,)), True, id="another's are kept"),
        pytest.param(Flows(to=PUBLIC, spared=(ip_network("192.0.2.0/24"),)), False, id="its client is spared"),
        pytest.param(Flows(to=PUBLIC, spared=(ip_network("10.0.0.0/8"),)), True, id="others are spared"),
    ],
)
def test_which_flows_are_meant(flows: Flows, is_one: bool) -> None:
    assert (FLOW in flows) is is_one


def test_the_ports_of_one_address_are_asked_for_at_once_and_one_alone_by_itself() -> None:
    """A Service may have some thousand ports, and each question is a walk through the table of the whole machine."""
    ports = [Flows(to=PUBLIC, port=port) for port in range(1, 3000)]
    alone = Flows(to=GUEST, port=22, kept=(OTHER,))
    asked = questions([*ports, alone, Flows(by=CLIENT)])
    assert asked == {
        Flows(to=PUBLIC): ports,
        Flows(to=GUEST, port=22): [alone],
        Flows(by=CLIENT): [Flows(by=CLIENT)],
    }
