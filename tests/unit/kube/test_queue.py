from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from unit.kube.virtual_time import VirtualTimeLoop, run
from virtualserver.kube.queue import Queue

Key = tuple[str, str]


def test_a_key_added_twice_is_handed_out_once() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        queue.add("a")
        queue.add("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert len(queue) == 0

    run(body())


def test_keys_come_in_the_order_in_which_they_were_added() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        for key in "cab":
            queue.add(key)
        assert [await queue.get() for _ in range(3)] == ["c", "a", "b"]

    run(body())


def test_a_namespace_with_thousands_of_keys_holds_up_nobody_elses() -> None:
    """Fault 12's kind: not one object, but very many, between another tenant and its turn."""

    async def body() -> None:
        queue: Queue[tuple[str, str]] = Queue()
        for number in range(5000):
            queue.add(("crowd", f"{number}"))
        queue.add(("a", "x"))
        queue.add(("b", "y"))
        first = [await queue.get() for _ in range(4)]
        assert first == [("crowd", "0"), ("a", "x"), ("b", "y"), ("crowd", "1")]
        queue.add(("a", "z"))
        assert [await queue.get() for _ in range(2)] == [("crowd", "2"), ("a", "z")]
        assert len(queue) == 4997

    run(body())


def test_a_namespace_that_has_as_many_workers_as_it_may_have_waits_and_keeps_its_turn() -> None:
    """Also where its keys come again at once, fail, or were to wait in the background."""

    async def body() -> None:
        queue: Queue[Key] = Queue()
        for name in "xyz":
            queue.add(("crowd", name))
        taken = [await queue.get(most=2) for _ in range(2)]
        queue.add(taken[0])
        queue.retry(("crowd", "again"))
        queue.add(("a", "x"), background=True)
        assert await queue.get(most=2) == ("a", "x"), "what users wait for in a busy namespace holds it back no longer"
        waiting = asyncio.create_task(queue.get(most=2))
        await asyncio.sleep(1)
        assert not waiting.done()
        queue.done(taken[0])
        assert await waiting == ("crowd", "z")
        queue.done(taken[1])
        assert await queue.get(most=2) == ("crowd", "again")
        queue.done(("crowd", "z"))
        assert await queue.get(most=2) == taken[0]

    run(body())


def test_a_key_added_while_it_is_worked_on_comes_back_afterwards_and_not_before() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        queue.add("a")
        await queue.get()
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert await queue.get() == "a"

    run(body())


def test_a_key_that_is_worked_on_has_news_once_somebody_waits_for_it_and_until_it_is_handed_out_again() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        queue.add("a")
        await queue.get()
        queue.add("a", background=True)
        assert not queue.has_news("a")
        queue.add("a")
        queue.add("a", background=True)
        assert queue.has_news("a")
        queue.done("a")
        assert await queue.get() == "a"
        assert not queue.has_news("a")

    run(body())


def test_background_keys_wait_for_the_others_and_are_promoted() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        queue.add("resync", background=True)
        queue.add("promoted", background=True)
        queue.add("user")
        queue.add("promoted")
        queue.add("user", background=True)
        assert [await queue.get() for _ in range(3)] == ["user", "promoted", "resync"]
        assert len(queue) == 0

    run(body())


def test_the_background_waits_for_what_is_worked_on_too_but_gets_one_turn_in_five() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        for name in "abcdef":
            queue.add(name)
        queue.add("disk", background=True)
        queue.add("image", background=True)
        assert [await queue.get(behind=2) for _ in range(6)] == ["a", "b", "c", "d", "disk", "e"]
        assert await queue.get(behind=2) == "f"
        last = asyncio.create_task(queue.get(behind=2))
        for name in "abcde":
            queue.done(name)
        await asyncio.sleep(1)
        assert not last.done(), "f is worked on"
        queue.slow("f")
        assert await last == "image"

    run(body())


def test_so_many_of_the_background_are_worked_on_at_a_time_but_for_slow_ones() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        for name in "abcd":
            queue.add(name, background=True)
        taken = [await queue.get(behind=2) for _ in range(2)]
        third = asyncio.create_task(queue.get(behind=2))
        await asyncio.sleep(1)
        assert not third.done()
        queue.done(taken[0])
        assert await third == "c"
        queue.slow(taken[1])
        assert await queue.get(behind=2) == "d"

    run(body())


def test_a_key_that_users_wait_for_stays_so_when_a_resync_adds_it_during_its_pass() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        queue.add("a")
        await queue.get()
        queue.add("a")
        queue.add("a", background=True)
        queue.add("other", background=True)
        queue.done("a")
        assert await queue.get() == "a"

    run(body())


def test_a_delayed_key_comes_at_its_time_and_the_earliest_delay_counts() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        queue.add("a", after=30)
        queue.add("a", after=10)
        queue.add("a", after=20)
        assert await queue.get() == "a"
        assert asyncio.get_running_loop().time() == pytest.approx(10)
        queue.done("a")
        queue.add("end", after=100)
        assert await queue.get() == "end", "the later delays are gone"

    run(body())


def test_a_delay_does_not_hold_back_a_key_that_is_added_now() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        queue.add("a", after=1000)
        queue.add("a")
        assert await queue.get() == "a"
        assert asyncio.get_running_loop().time() == 0

    run(body())


def test_retries_double_from_five_milliseconds_up_to_a_minute_and_forget_begins_anew() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        delays = [queue.retry("a") for _ in range(20)]
        assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
        assert delays[-1] == 60
        assert queue.retry("a", longest=5) == 5
        assert queue.retry("b") == 0.005
        queue.forget("a")
        assert queue.retry("a") == 0.005

    run(body())


def test_a_cancelled_worker_takes_no_key_with_it() -> None:
    async def body() -> None:
        queue: Queue[str] = Queue()
        first = asyncio.create_task(queue.get())
        second = asyncio.create_task(queue.get())
        await asyncio.sleep(1)
        queue.add("a")
        first.cancel()
        assert await second == "a"

    run(body())


class QueueRules(RuleBasedStateMachine):
    """No key is lost, none is worked on twice at a time, none waits twice, whatever happens in whatever order."""

    keys = st.sampled_from([("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")])

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.queue: Queue[Key] = Queue()
        self.ready: set[Key] = set()
        self.working: set[Key] = set()
        self.again: set[Key] = set()
        self.due: dict[Key, float] = {}

    def teardown(self) -> None:
        self.loop.close()

    def on_loop(self, function: Any, *args: Any, **options: Any) -> Any:
        async def call() -> Any:
            return function(*args, **options)

        return self.loop.run_until_complete(call())

    async def got(self, most: int | None, behind: int | None) -> Key | None:
        """Return what the queue hands out at once, None where it would wait."""
        task = asyncio.create_task(self.queue.get(most=most, behind=behind))
        await asyncio.sleep(0)
        if task.done():
            return task.result()
        task.cancel()
        return None

    def model_add(self, key: Key) -> None:
        (self.again if key in self.working else self.ready).add(key)

    @rule(key=keys, background=st.booleans())
    def add(self, key: Key, background: bool) -> None:
        self.on_loop(self.queue.add, key, background=background)
        self.model_add(key)

    @rule(key=keys, after=st.floats(0.1, 100))
    def add_later(self, key: Key, after: float) -> None:
        due = self.loop.time() + after
        self.on_loop(self.queue.add, key, after=after)
        self.due[key] = min(due, self.due.get(key, due))

    @rule(seconds=st.floats(0.1, 50))
    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        now = self.loop.time() + 1e-9  # asyncio counts what is due within its clock's resolution as due
        for key in [key for key, due in self.due.items() if due < now]:
            del self.due[key]
            self.model_add(key)

    @rule(most=st.sampled_from([1, None]), behind=st.sampled_from([1, None]))
    def get(self, most: int | None, behind: int | None) -> None:
        allowed = {key for key in self.ready if most is None or key[0] not in {one[0] for one in self.working}}
        key = self.loop.run_until_complete(self.got(most, behind))
        if key is None:
            assert not allowed or (behind and self.working), "who waits alone waits for nothing"
            return
        assert key in allowed
        assert key not in self.working
        self.ready.discard(key)
        self.working.add(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.on_loop(self.queue.done, key)
        self.working.discard(key)
        if key in self.again:
            self.again.discard(key)
            self.ready.add(key)

    @invariant()
    def has_as_many_as_it_should(self) -> None:
        assert len(self.queue) == len(self.ready)


SHORT = settings(max_examples=60, stateful_step_count=30, deadline=None)
QueueRules.TestCase.settings = settings() if settings.get_current_profile_name() == "soak" else SHORT
TestQueueRules = QueueRules.TestCase
