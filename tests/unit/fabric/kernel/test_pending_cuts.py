"""What is to be cut outlives the process that wrote it down."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest

from virtualserver.fabric.kernel.conntrack import Flows
from virtualserver.fabric.kernel.pending_cuts import PendingCuts

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC, GUEST = ip_address("203.0.113.7"), ip_address("10.42.0.2")
FLOWS = (
    Flows(to=PUBLIC, protocol="udp", port=53, kept=(GUEST,)),
    Flows(
        to=PUBLIC, answered_by=ip_address("10.42.0.3"), spared=(ip_network("10.0.0.0/8"),), apart_from=(("tcp", 22),)
    ),
    Flows(by=PUBLIC),
    Flows(answered_to=PUBLIC),
)


def test_the_next_process_reads_what_is_to_be_cut_and_nothing_once_it_is(tmp_path: Path) -> None:
    file = tmp_path / "pending-cuts.json"
    PendingCuts(file).keep(FLOWS)
    assert PendingCuts(file).flows == FLOWS
    PendingCuts(file).keep(())
    assert not file.exists() and PendingCuts(file).flows == ()


def test_a_second_write_of_the_same_is_none(tmp_path: Path) -> None:
    file = tmp_path / "pending-cuts.json"
    pending = PendingCuts(file)
    pending.keep(FLOWS)
    before = file.stat()
    pending.keep(list(FLOWS))
    assert file.stat() == before


def test_where_nothing_can_be_written_they_are_cut_by_this_process_at_least(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pending = PendingCuts(tmp_path / "gone" / "pending-cuts.json")
    pending.keep(FLOWS)
    assert pending.flows == FLOWS
    assert "would go on if this process died now" in caplog.text
    pending.forget()
    assert pending.flows == ()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"version":1}',
        '{"version":2,"flows":[]}',
        '{"version":1,"flows":[{}]}',
        '{"version":1,"flows":[{"by":"x"}]}',
        '{"version":1,"flows":[{"by":1,"to":null,"answered_by":null,"answered_to":null,"spared":7}]}',
    ],
)
def test_where_it_cannot_be_read_all_flows_end_and_a_line_says_why(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "pending-cuts.json"
    file.write_text(content)
    assert PendingCuts(file).flows == (Flows(),)
    assert str(file) in caplog.text and "all flows end" in caplog.text
