"""How many disks fit, counted from the claims that are there and those that were granted since (fault 43)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from virtualserver.node.volumes.grants import Grants, promised
from virtualserver.storage.space import Space

if TYPE_CHECKING:
    from virtualserver.kube.cache import Cache

GIB = 1 << 30
ROOM = Space(total=GIB, free=GIB)
OVERCOMMIT = 2.5
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


def grant(counted: Grants, uid: str, size: int) -> bool:
    return counted.grant(uid, size, ROOM, overcommit=OVERCOMMIT)


def test_what_was_granted_before_counts() -> None:
    counted = grants(a_claim("one", "1Gi"))
    assert not grant(counted, "two", BOUND - GIB + 1)
    assert grant(counted, "two", BOUND - GIB)
    assert not grant(counted, "three", 1)


def test_a_disk_that_is_there_is_not_counted_twice_and_only_its_growth_is_new() -> None:
    counted = grants(a_claim("one", "1Gi"))
    assert grant(counted, "one", GIB)
    assert grant(counted, "one", BOUND)
    assert not grant(counted, "one", BOUND + 1)


def test_a_disk_that_is_gone_makes_room() -> None:
    counted = grants(a_claim("one", "1Gi"))
    assert not grant(counted, "two", BOUND)
    counted.keep({"two"})
    assert grant(counted, "two", BOUND)


def test_another_bound_counts_from_the_next_disk_on_and_takes_nothing_away() -> None:
    counted = grants(a_claim("one", "2Gi"))
    assert not counted.grant("two", 1, ROOM, overcommit=2)
    assert counted.grant("one", 2 * GIB, ROOM, overcommit=0.5)
    assert counted.grant("two", GIB, ROOM, overcommit=3)


def test_attack_a_claim_that_names_a_disk_as_its_owner_takes_nothing_off_what_that_disk_counts() -> None:
    """One of a name that comes later in the list set the disk's share to 0."""
    real = a_claim("one", "2Gi")
    fake = {**real, "metadata": {**real["metadata"], "name": "zzz"}, "status": {"phase": "Pending"}}
    for claims in ((real, fake), (fake, real)):
        assert promised(claims) == {"one": 2 * GIB}
        assert not grant(grants(*claims), "two", GIB)
