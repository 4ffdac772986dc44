"""The request that the kernel forgets a flow."""

from __future__ import annotations

import struct

import pytest

from virtualserver.fabric.kernel.conntrack import deletion
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
