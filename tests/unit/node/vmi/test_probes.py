"""Probes change their mind after their thresholds."""

from __future__ import annotations

import pytest

from virtualserver.node.vmi.probes import Tally, is_supported, request_of


def said(tally: Tally, results: str) -> str:
    return "".join("y" if tally.record(result == "+") or tally.passes else "n" for result in results)


@pytest.mark.parametrize(
    ("tally", "results", "states"),
    [
        (Tally(False), "-+", "ny"),
        (Tally(False, success_threshold=2), "+-++", "nnny"),
        (Tally(True, failure_threshold=3), "--+--+", "yyyyyy"),
    ],
)
def test_thresholds_count_results_in_a_row(tally: Tally, results: str, states: str) -> None:
    assert said(tally, results) == states


def test_the_change_itself_is_told_once() -> None:
    tally = Tally(True, failure_threshold=2)
    assert [tally.record(False) for _ in range(4)] == [False, True, False, False]
    assert tally.passes is False


def test_an_http_request_has_its_path_host_and_headers() -> None:
    get = {
        "path": "/healthz",
        "port": 80,
        "httpHeaders": [{"name": "Host", "value": "a.test"}, {"name": "X", "value": "1"}],
    }
    lines = request_of(get, "10.0.0.1").decode().split("\r\n")
    assert lines[0] == "GET /healthz HTTP/1.1"
    assert "Host: a.test" in lines
    assert "X: 1" in lines
    assert lines[-2:] == ["", ""]
    assert b"Host: 10.0.0.1" in request_of({"port": 80}, "10.0.0.1")


def test_only_network_probes_are_run() -> None:
    assert is_supported({"tcpSocket": {"port": 22}})
    assert not is_supported({"exec": {"command": ["true"]}})
    assert not is_supported({"guestAgentPing": {}})
