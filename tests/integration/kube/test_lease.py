from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from harness.waiting import until
from integration.kube.gate import through_a_gate
from virtualserver.kube.lease import LEASES, Lease, LeaseLost

if TYPE_CHECKING:
    from harness.control_plane import ControlPlane
    from virtualserver.kube.client import Client

NAME = "test"


async def holder_of(client: Client, namespace: str) -> str:
    return (await client.get(LEASES, NAME, namespace=namespace))["spec"]["holderIdentity"]


async def test_one_holds_at_a_time_and_the_next_follows_when_it_is_released(client: Client, namespace: str) -> None:
    holding: list[str] = []
    turns: list[str] = []

    async def candidate(identity: str) -> None:
        async with Lease.hold(client, namespace=namespace, name=NAME, identity=identity, seconds=3):
            assert holding == []
            holding.append(identity)
            assert await holder_of(client, namespace) == identity
            await asyncio.sleep(0.5)
            holding.remove(identity)
            turns.append(identity)

    begun = asyncio.get_running_loop().time()
    await asyncio.gather(*(candidate(f"c{number}") for number in range(3)))
    assert sorted(turns) == ["c0", "c1", "c2"]
    assert asyncio.get_running_loop().time() - begun < 20
    lease = await client.get(LEASES, NAME, namespace=namespace)
    assert lease["spec"]["holderIdentity"] == ""
    assert lease["spec"]["leaseTransitions"] == 2


async def test_a_holder_that_died_is_succeeded_after_the_leases_duration_and_not_before(
    client: Client, namespace: str
) -> None:
    dead = Lease(client, namespace=namespace, name=NAME, identity="dead", seconds=2)
    await dead.acquire()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with Lease.hold(client, namespace=namespace, name=NAME, identity="heir", seconds=2):
        assert 2 <= loop.time() - begun < 30
        assert await holder_of(client, namespace) == "heir"


async def test_it_is_renewed_while_it_is_held(client: Client, namespace: str) -> None:
    async with Lease.hold(client, namespace=namespace, name=NAME, identity="me", seconds=1):
        first = (await client.get(LEASES, NAME, namespace=namespace))["spec"]
        other = Lease(client, namespace=namespace, name=NAME, identity="other", seconds=1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.acquire(), 3)
        now = (await client.get(LEASES, NAME, namespace=namespace))["spec"]
        assert now["renewTime"] > first["renewTime"]
        assert (now["holderIdentity"], now["leaseTransitions"], now["acquireTime"]) == ("me", 0, first["acquireTime"])


async def test_a_restarted_process_of_the_same_identity_goes_on_at_once(client: Client, namespace: str) -> None:
    await Lease(client, namespace=namespace, name=NAME, identity="me", seconds=600).acquire()
    async with asyncio.timeout(30), Lease.hold(client, namespace=namespace, name=NAME, identity="me", seconds=600):
        assert await holder_of(client, namespace) == "me"


async def hold_and_wait(client: Client, namespace: str, begun: asyncio.Event) -> None:
    async with Lease.hold(client, namespace=namespace, name=NAME, identity="me", seconds=2):
        begun.set()
        await asyncio.sleep(600)


async def test_the_body_is_cancelled_when_somebody_else_took_it(client: Client, namespace: str) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(hold_and_wait(client, namespace, begun))
    await asyncio.wait_for(begun.wait(), 30)
    patch: dict[str, Any] = {"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 600}}
    await client.patch(LEASES, NAME, patch, namespace=namespace, field_manager="thief")
    with pytest.raises(LeaseLost, match=f"{namespace}/test"):
        await asyncio.wait_for(task, 30)
    assert await holder_of(client, namespace) == "thief"


async def test_the_body_is_cancelled_before_others_may_begin_when_the_server_is_out_of_reach(
    client: Client, namespace: str, control_plane: ControlPlane
) -> None:
    async with through_a_gate(control_plane.kubeconfig) as (far, gate):
        begun = asyncio.Event()
        task = asyncio.create_task(hold_and_wait(far, namespace, begun))
        await asyncio.wait_for(begun.wait(), 30)
        gate.shut()
        heir = Lease(client, namespace=namespace, name=NAME, identity="heir", seconds=2)
        inheriting = asyncio.create_task(heir.acquire())
        await until(task.done, "the body ended")
        assert not inheriting.done(), "nobody may have begun before"
        with pytest.raises(LeaseLost):
            await task
        await asyncio.wait_for(inheriting, 30)


async def test_a_cancellation_from_outside_stays_one_and_releases_it(client: Client, namespace: str) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(hold_and_wait(client, namespace, begun))
    await asyncio.wait_for(begun.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await holder_of(client, namespace) == ""


async def test_an_error_of_the_body_is_passed_on_and_releases_it(client: Client, namespace: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with Lease.hold(client, namespace=namespace, name=NAME, identity="me", seconds=2):
            raise ZeroDivisionError
    assert await holder_of(client, namespace) == ""
