"""What ``vs status`` says in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from virtualserver.cli.status import disks_in_words, folded, incidents, say_servers
from virtualserver.fabric.repairs import RecordedRepair
from virtualserver.local.inventory import Item
from virtualserver.local.status import AddressHolder, DisksFound, InstallationStatus, ServerFound

if TYPE_CHECKING:
    import pytest


def test_what_was_put_back_at_one_moment_is_one_line_with_what_came_first() -> None:
    flush = [
        RecordedRepair("2026-11-26T04:00:01Z", what, "namespace vs-a") for what in ("nftables rules", "guard", "tap")
    ]
    alone = RecordedRepair("2026-11-26T04:00:05Z", "route to 203.0.113.0/24", "host")
    assert incidents([*flush, alone]) == [
        "2026-11-26T04:00:01Z  namespace vs-a: nftables rules, and 2 more: missing or changed by somebody else",
        "2026-11-26T04:00:05Z  host: route to 203.0.113.0/24: missing or changed by somebody else",
    ]


def test_fault_57_servers_and_addresses_of_others_are_shown_and_many_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    servers = tuple(ServerFound("team", f"s{number:02}", "VirtualServerReady", "", "") for number in range(51))
    holders = (AddressHolder("203.0.113.9", "team/s00-tcp", "team/s00"), AddressHolder("203.0.113.10", "team/own", ""))
    found: Any = type("Found", (), {"servers": servers, "holders": holders})()
    say_servers(cast("InstallationStatus", found))
    shown = capsys.readouterr().out
    assert "team/s49" in shown and "team/s50" not in shown and "and 1 more: kubectl get vs -A" in shown
    assert "team/own" in shown and "203.0.113.9" not in shown


def test_fault_57_what_is_in_a_folder_or_namespace_is_counted() -> None:
    """90 lines for one server, most of them elements of maps."""
    inside = [Item("file", "/run/a/x", within="/run/a"), Item("file", "/run/a/y", within="/run/a")]
    namespace = [Item("namespace", "vs-a", "/run/netns/vs-a"), Item("tap", "tap1", within="vs-a")]
    items = [Item("file", "/run/a"), *inside, *namespace]
    assert folded([*items, Item("lease", "02:00:00:00:00:01", within="dnsmasq")]) == [
        ("file", "/run/a", "2 in it"),
        ("namespace", "vs-a", "/run/netns/vs-a; 1 in it"),
        ("lease", "02:00:00:00:00:01", ""),
    ]


def test_how_far_disks_are_promised_is_told_to_who_runs_the_machine() -> None:
    gib = 2**30
    assert disks_in_words(DisksFound(40 * gib, 1000 * gib, 100 * gib, 30 * gib)) == (
        "may grow to 40.0 GiB of 1000.0 GiB (disks.overcommit in site.yaml); 30.0 GiB of 100.0 GiB are free now"
    )
