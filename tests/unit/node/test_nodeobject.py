"""The Node says what the host has, and says it once."""

from __future__ import annotations

from typing import Any

from virtualserver.kube.patch import merge_patch
from virtualserver.machines import memory
from virtualserver.node import nodeobject

GIB = 1 << 30


def status(live: dict[str, Any], *, now: float = 1000.0) -> dict[str, Any]:
    return nodeobject.status_of(live, cpus=4, memory_bytes=8 * GIB, accelerator="tcg", now=now)


def test_guests_may_have_all_but_what_the_host_needs() -> None:
    told = status({})
    assert told["capacity"] == {"cpu": "4", "memory": f"{8 * GIB >> 10}Ki"}
    assert told["allocatable"] == {"cpu": "4", "memory": f"{8 * GIB - memory.RESERVE_BYTES >> 10}Ki"}


def test_it_is_ready_and_says_how_guests_run() -> None:
    (ready,) = status({})["conditions"]
    assert (ready["type"], ready["status"]) == ("Ready", "True")
    assert ready["message"].endswith("runs guests with tcg")


def test_a_second_look_later_changes_nothing() -> None:
    told = status({})
    assert merge_patch(told, status({"status": told}, now=2000.0), partial=True) == {}


def test_what_others_say_of_the_host_stays() -> None:
    full = {"type": "virtualservers.coreweave.com/DatabaseFull", "status": "True", "message": "by the supervisor"}
    assert full in status({"status": {"conditions": [full]}})["conditions"]


def test_a_host_name_becomes_a_name_that_kubernetes_takes() -> None:
    name = nodeobject.node_name()
    assert name == name.lower() and "_" not in name and name.strip("-.") == name
