"""How many disks fit, counted from the claims that are there and those that were granted since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from virtualserver.node.volumes.grants import OVERCOMMIT, Grants
from virtualserver.storage.space import Space

if TYPE_CHECKING:
    from virtualserver.kube.cache import Cache

GIB = 1 << 30
ROOM = Space(total=GIB, free=GIB)
BOUND = int(OVERCOMMIT * GIB)


class Claims:
    """A stand-in for the cache: some claims."""

    def __init__(self, *claims: dict[str, Any]) -> None:
        self._claims = claims

    def all(self, _kind: object) -> tuple[dict[str, Any], ...]:
        return self._claims


def a_claim(uid: str, capacity: str) -> dict[str, Any]:
    owner = {"uid": uid, "controller": True, "kind": "DataVolume", "apiVersion": "cdi.kubevirt.io/v1beta1", "name": uid}
    return {
        "metadata": {"name": uid, "namespace": "default", "ownerReferences": [owner]},
        "status": {"phase": "Bound", "capacity": {"storage": capacity}},
    }


def grants(*claims: dict[str, Any]) -> Grants:
    return Grants(cast("Cache", Claims(*claims)))


def test_what_was_granted_before_counts() -> None:
    counted = grants(a_claim("one", "4Gi"))
    assert "already" in counted.grant("two", BOUND - 3 * GIB, ROOM)
    assert counted.grant("two", BOUND - 4 * GIB, ROOM) == ""
    assert counted.grant("three", 1, ROOM)


def test_a_disk_that_is_there_is_not_counted_twice_and_only_its_growth_is_new() -> None:
    counted = grants(a_claim("one", "4Gi"))
    assert counted.grant("one", 4 * GIB, ROOM) == ""
    assert counted.grant("one", BOUND, ROOM) == ""
    assert counted.grant("one", BOUND + 1, ROOM)


def test_a_disk_that_is_gone_makes_room() -> None:
    counted = grants(a_claim("one", "4Gi"))
    assert counted.grant("two", BOUND, ROOM)
    counted.keep({"two"})
    assert counted.grant("two", BOUND, ROOM) == ""
