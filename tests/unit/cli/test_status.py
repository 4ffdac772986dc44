"""What ``vs status`` says in lines."""

from __future__ import annotations

from virtualserver.cli.status import incidents
from virtualserver.fabric.repairs import RecordedRepair


def test_what_was_put_back_at_one_moment_is_one_line_with_what_came_first() -> None:
    flush = [
        RecordedRepair("2026-11-26T04:00:01Z", what, "namespace vs-a") for what in ("nftables rules", "guard", "tap")
    ]
    alone = RecordedRepair("2026-11-26T04:00:05Z", "route to 203.0.113.0/24", "host")
    assert incidents([*flush, alone]) == [
        "2026-11-26T04:00:01Z  namespace vs-a: nftables rules, and 2 more: missing or changed by somebody else",
        "2026-11-26T04:00:05Z  host: route to 203.0.113.0/24: missing or changed by somebody else",
    ]
