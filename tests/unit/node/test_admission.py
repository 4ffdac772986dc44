"""Memory is promised once."""

from __future__ import annotations

from virtualserver.node import admission
from virtualserver.node.admission import OVERHEAD_BYTES, RESERVE_BYTES, Footprint

GIB = 1 << 30


def test_a_machine_fits_into_what_is_free_less_the_reserve() -> None:
    available = GIB + OVERHEAD_BYTES + RESERVE_BYTES
    assert admission.fault("one", GIB, available=available, admitted=[]) is None
    assert admission.fault("one", GIB, available=available - 1, admitted=[]) is not None


def test_what_a_running_guest_may_still_touch_is_not_free() -> None:
    running = Footprint(memory_bytes=4 * GIB, resident_bytes=GIB)
    assert admission.fault("one", GIB, available=4 * GIB, admitted=[running]) is not None
    assert admission.fault("one", GIB, available=6 * GIB, admitted=[running]) is None


def test_a_guest_that_uses_all_of_its_memory_promises_nothing_more() -> None:
    running = Footprint(memory_bytes=4 * GIB, resident_bytes=5 * GIB)
    assert admission.fault("one", GIB, available=2 * GIB, admitted=[running]) is None


def test_the_message_says_what_is_needed_what_is_free_and_what_to_do() -> None:
    message = admission.fault("Server ns/one", 8 * GIB, available=3 * GIB, admitted=[])
    assert message is not None
    assert "Server ns/one needs 8.1Gi of memory, 2.8Gi are free" in message
    assert "stop another server" in message


def test_a_process_that_is_gone_uses_nothing() -> None:
    assert admission.resident_bytes(None) == 0
    assert admission.resident_bytes(1 << 22) == 0
