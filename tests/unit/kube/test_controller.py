from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from unit.kube.virtual_time import run
from virtualserver.host.pulse import Pulse
from virtualserver.kube.aside import Aside
from virtualserver.kube.controller import Controller, Oversight, Subject
from virtualserver.kube.errors import Conflict, Invalid, Unavailable
from virtualserver.kube.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from virtualserver.kube.objects import Manifest
    from virtualserver.kube.trouble import Trouble

Key = tuple[str, str]
A, B = ("n", "a"), ("n", "b")


async def for_a_while(controller: Controller[Key], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(controller.run(), seconds)


def test_a_key_is_never_reconciled_twice_at_a_time_but_several_keys_are() -> None:
    running: list[Key] = []
    most = 0
    passes: list[Key] = []
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> None:
        nonlocal most
        assert key not in running
        running.append(key)
        most = max(most, len(running))
        queue.add(A)
        await asyncio.sleep(1)
        running.remove(key)
        passes.append(key)

    controller = Controller(name="test", reconcile=reconcile, queue=queue)

    async def body() -> None:
        queue.add(A)
        queue.add(B)
        await for_a_while(controller, 3.5)

    run(body())
    assert most == 2
    assert passes.count(A) >= 3 and passes.count(B) == 1


def test_a_namespace_whose_passes_take_long_leaves_workers_to_others() -> None:
    """A tenant's objects of 35,000 annotations, for each of which a write took 34 s, held up all others for minutes."""
    began: dict[Key, float] = {}
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> None:
        began[key] = asyncio.get_running_loop().time()
        await asyncio.sleep(30.0 if key[0] == "crowd" else 0.1)

    async def body() -> None:
        controller = Controller(name="test", reconcile=reconcile, queue=queue, workers=4)
        for number in range(100):
            queue.add(("crowd", str(number)))
        asyncio.get_running_loop().call_later(5, queue.add, A)
        asyncio.get_running_loop().call_later(5, queue.add, B)
        await for_a_while(controller, 100)

    run(body())
    assert began[A] == began[B] == 5
    assert len(began) == 2 + 4 * 4, "and has as many workers as before itself"


@pytest.mark.parametrize("namespaces", [2, 12, 100])
def test_a_tenant_whose_namespaces_are_all_full_of_long_passes_holds_up_nobody(namespaces: int) -> None:
    """The bound of one namespace alone let two of them have all workers: for as long as their objects took."""
    asked = 60.3
    began: dict[Key, float] = {}
    at_once: Counter[str] = Counter()
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> None:
        began.setdefault(key, asyncio.get_running_loop().time())
        at_once[key[0]] += 1
        assert at_once[key[0]] <= 4
        await asyncio.sleep(30.0 if key[0] != "n" else 0.1)
        at_once[key[0]] -= 1

    async def body() -> None:
        controller = Controller(name="test", reconcile=reconcile, queue=queue, workers=4)
        for number in range(namespaces * 50):
            queue.add((f"crowd-{number % namespaces}", str(number)))
        # Among those that begin again at 60 s, when the second round of all of them ends.
        asyncio.get_running_loop().call_later(asked, queue.add, A)
        await for_a_while(controller, 100)

    run(body())
    # Half a second for each six whose turn comes before.
    assert began[A] - asked <= 0.5 * (namespaces / 6 + 1)


def test_what_nobody_waits_for_begins_once_a_pass_that_somebody_waits_for_ends_or_takes_long() -> None:
    began: dict[Key, float] = {}
    queue: Queue[Key] = Queue()
    lasts = {"quick": 0.2, "long": 30.0}

    async def reconcile(key: Key) -> None:
        began[key] = asyncio.get_running_loop().time()
        await asyncio.sleep(lasts.get(key[1], 0.1))

    async def body() -> None:
        loop = asyncio.get_running_loop()
        for at, name in ((0, "quick"), (10, "long")):
            loop.call_later(at, queue.add, ("n", name))
            loop.call_later(at + 0.1, lambda name=name: queue.add(("n", f"after {name}"), background=True))
        await for_a_while(Controller(name="test", reconcile=reconcile, queue=queue), 20)

    run(body())
    assert began["n", "after quick"] == pytest.approx(0.2)
    assert began["n", "after long"] == pytest.approx(10.5)


def test_a_failure_of_the_controller_itself_ends_it() -> None:
    class Unsayable(Exception):
        def __str__(self) -> str:
            raise NotImplementedError("no words")

    queue: Queue[Key] = Queue()

    async def reconcile(_: Key) -> None:
        raise Unsayable

    async def body() -> None:
        queue.add(A)
        await for_a_while(Controller(name="test", reconcile=reconcile, queue=queue), 1)

    with pytest.raises(NotImplementedError, match="no words"):
        run(body())


def test_a_pass_that_asks_for_it_comes_again_after_that_time() -> None:
    times: list[float] = []
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> float | None:
        times.append(asyncio.get_running_loop().time())
        return 30.0 if len(times) < 3 else None

    async def body() -> None:
        controller = Controller(name="test", reconcile=reconcile, queue=queue)
        queue.add(A)
        await for_a_while(controller, 1000)

    run(body())
    assert times == pytest.approx([0, 30, 60])


def failing(error: Exception, times: list[float], *, succeed_after: int = 1000) -> Controller[Key]:
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) <= succeed_after:
            raise error

    controller = Controller(name="servers", reconcile=reconcile, queue=queue)
    queue.add(A)
    return controller


def start(make: Controller[Key], seconds: float) -> Awaitable[None]:
    return for_a_while(make, seconds)


def test_conflicts_are_tried_again_at_once_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    times: list[float] = []

    async def body() -> None:
        await start(failing(Conflict("somebody was faster", status=409), times, succeed_after=3), 10)

    run(body())
    assert len(times) == 4 and times[-1] < 0.05
    assert caplog.records == []


def test_conflicts_that_do_not_end_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        await start(failing(Conflict("the name is taken", status=409), []), 100)

    run(body())
    assert [record.getMessage() for record in caplog.records] == [
        "servers n/a failed, next try in 1.28 s: Conflict: the name is taken (409)"
    ]


def test_a_failure_is_logged_once_with_its_key_and_reason_and_tried_ever_more_slowly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times: list[float] = []

    async def body() -> None:
        await start(failing(Invalid("spec.a: is wrong", status=422, reason="Invalid"), times), 1000)

    run(body())
    assert [record.getMessage() for record in caplog.records] == [
        "servers n/a failed, next try in 0.005 s: Invalid: spec.a: is wrong (422 Invalid)"
    ]
    assert caplog.records[0].exc_info is None
    assert times[-1] - times[-2] == pytest.approx(60)


def test_while_the_server_is_away_keys_are_tried_every_five_seconds(caplog: pytest.LogCaptureFixture) -> None:
    times: list[float] = []

    async def body() -> None:
        await start(failing(Unavailable("no answer"), times), 100)

    run(body())
    assert times[-1] - times[-2] == pytest.approx(5)
    assert len(caplog.records) == 1


def test_a_fault_of_ours_is_logged_with_its_traceback_and_does_not_end_the_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times: list[float] = []

    async def body() -> None:
        await start(failing(ZeroDivisionError("oops"), times, succeed_after=1), 10)

    run(body())
    assert len(times) == 2
    assert caplog.records[0].exc_info is not None


def test_after_a_success_the_next_failure_is_told_and_starts_with_the_shortest_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes = iter([RuntimeError("x"), RuntimeError("x"), None, RuntimeError("x"), None])
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> float | None:
        outcome = next(outcomes)
        if outcome:
            raise outcome
        return 10.0

    async def body() -> None:
        controller = Controller(name="test", reconcile=reconcile, queue=queue)
        queue.add(A)
        await for_a_while(controller, 15)

    run(body())
    assert ["next try in 0.005 s" in record.getMessage() for record in caplog.records] == [True, True]


def test_a_resync_looks_at_all_keys_behind_those_that_users_wait_for() -> None:
    passes: list[tuple[float, Key]] = []
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> None:
        passes.append((asyncio.get_running_loop().time(), key))

    async def body() -> None:
        controller = Controller(
            name="test", reconcile=reconcile, queue=queue, resync_seconds=60, all_keys=lambda: [A, B]
        )
        await for_a_while(controller, 130)

    run(body())
    assert passes == [(60, A), (60, B), (120, A), (120, B)]


def test_cancelling_lets_running_passes_end_and_begins_no_new_one() -> None:
    ended: list[Key] = []
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> None:
        await asyncio.sleep(2)
        ended.append(key)

    async def body() -> None:
        controller = Controller(name="test", reconcile=reconcile, queue=queue, workers=1)
        queue.add(A)
        queue.add(B)
        await for_a_while(controller, 1)

    run(body())
    assert ended == [A]


def test_cancelling_ends_a_pass_that_hangs_after_the_grace() -> None:
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> None:
        await asyncio.sleep(10_000)

    async def body() -> float:
        controller = Controller(name="test", reconcile=reconcile, queue=queue, grace_seconds=5)
        queue.add(A)
        await for_a_while(controller, 1)
        return asyncio.get_running_loop().time()

    assert run(body()) == pytest.approx(6)


def test_the_log_names_keys_that_are_no_tuples_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    queue: Queue[str] = Queue()

    async def reconcile(key: str) -> None:
        raise RuntimeError("x")

    async def body() -> None:
        controller = Controller(name="test", reconcile=reconcile, queue=queue)
        queue.add("all")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(controller.run(), 1)

    run(body())
    assert caplog.records[0].getMessage().startswith("test all failed")


def a_subject(told: list[tuple[Key, Trouble]], manifest: Manifest) -> Subject[Key]:
    async def tell(key: Key, trouble: Trouble) -> None:
        told.append((key, trouble))
        raise Unavailable("the server is away")

    return Subject(find=lambda _: manifest, tell=tell)


def test_a_fault_of_ours_is_told_on_the_object_with_the_number_that_the_log_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fault 13: no traceback without a condition; and one that cannot be written ends nothing."""
    told: list[tuple[Key, Trouble]] = []
    queue: Queue[Key] = Queue()

    async def reconcile(_: Key) -> float | None:
        raise AttributeError("geheim")

    async def body() -> None:
        subject = a_subject(told, {"metadata": {}})
        queue.add(A)
        await for_a_while(Controller(name="servers", reconcile=reconcile, queue=queue, subject=subject), 100)

    run(body())
    assert len(told) > 10 and len(set(told)) == 1
    key, trouble = told[0]
    assert key == A and trouble.reason == "Error" and "geheim" not in trouble.message
    number = trouble.message.partition("number ")[2][:8]
    assert [record.getMessage() for record in caplog.records if "next try" in record.getMessage()] == [
        f"servers n/a failed (fault {number}), next try in 0.005 s: AttributeError: geheim"
    ]


def test_what_the_api_server_refuses_is_no_fault_of_ours() -> None:
    told: list[tuple[Key, Trouble]] = []
    queue: Queue[Key] = Queue()

    async def reconcile(_: Key) -> float | None:
        raise Invalid("spec.a: is wrong", status=422)

    async def body() -> None:
        queue.add(A)
        subject = a_subject(told, {"metadata": {}})
        await for_a_while(Controller(name="servers", reconcile=reconcile, queue=queue, subject=subject), 10)

    run(body())
    assert told == []


def test_an_object_that_held_up_the_process_before_is_left_alone_and_told_so(tmp_path: Path) -> None:
    """Fault 12: what stands still once does not do so again and again."""
    (tmp_path / "held").write_text("servers n/a")
    told: list[tuple[Key, Trouble]] = []
    looked: list[Key] = []
    queue: Queue[Key] = Queue()

    async def reconcile(key: Key) -> float | None:
        looked.append(key)
        return None

    async def body() -> None:
        controller = Controller(
            name="servers",
            reconcile=reconcile,
            queue=queue,
            subject=a_subject(told, {"metadata": {"uid": "1"}}),
            oversight=Oversight(Pulse(tmp_path / "pulse"), Aside(tmp_path)),
        )
        queue.add(A)
        queue.add(B)
        await for_a_while(controller, 5)

    run(body())
    assert looked == [B]
    assert [(key, trouble.reason) for key, trouble in told] == [(A, "SetAside")]
