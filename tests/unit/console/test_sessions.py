from __future__ import annotations

from virtualserver.console.sessions import LASTS_SECONDS, Sessions
from virtualserver.kube.kubeconfig import Credentials

SOMEBODY = Credentials("https://127.0.0.1:6443", token="its-token")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_found_by_its_place_and_its_cookie_together() -> None:
    sessions = Sessions()
    one, other = sessions.begin(SOMEBODY, user="a"), sessions.begin(SOMEBODY, user="b")
    assert sessions.find(one.place, cookie=one.cookie) is one
    assert sessions.find(one.place, cookie=other.cookie) is None
    assert sessions.find(other.place, cookie=one.cookie) is None
    assert sessions.find(one.place, cookie="") is None


def test_a_session_ends_with_its_time() -> None:
    clock = Clock()
    sessions = Sessions(clock=clock)
    session = sessions.begin(SOMEBODY, user="a")
    clock.now += LASTS_SECONDS - 1
    assert sessions.find(session.place, cookie=session.cookie) and sessions.remaining(session) == 1
    clock.now += 1
    assert sessions.find(session.place, cookie=session.cookie) is None


def test_a_session_that_was_ended_is_over() -> None:
    sessions = Sessions()
    session = sessions.begin(SOMEBODY, user="a")
    sessions.end(session)
    sessions.end(session)
    assert sessions.find(session.place, cookie=session.cookie) is None
    assert sessions.remaining(session) == 0


def test_many_sessions_of_one_user_end_that_ones_oldest_and_nobody_elses() -> None:
    sessions = Sessions()
    other = sessions.begin(SOMEBODY, user="bob")
    first, second, *_ = [sessions.begin(SOMEBODY, user="ada") for _ in range(33)]
    found = [sessions.find(one.place, cookie=one.cookie) for one in (other, first, second)]
    assert found == [other, None, second]
    assert [sessions.is_open(one.place) for one in (other, first, second)] == [True, False, True]


def test_many_sessions_of_all_end_the_oldest() -> None:
    sessions = Sessions()
    first, second, *_ = [sessions.begin(SOMEBODY, user=str(number)) for number in range(257)]
    assert sessions.find(first.place, cookie=first.cookie) is None
    assert sessions.find(second.place, cookie=second.cookie) is second


def test_nothing_secret_is_in_what_a_session_is_printed_as() -> None:
    session = Sessions().begin(SOMEBODY, user="a")
    assert not any(secret in repr(session) for secret in (session.cookie, session.token, "its-token"))


def test_a_session_may_be_shorter_than_others_and_never_longer() -> None:
    clock = Clock()
    sessions = Sessions(clock=clock)
    short, longest = (sessions.begin(SOMEBODY, user="a", seconds=seconds) for seconds in (60, 1e9))
    assert [sessions.remaining(one) for one in (short, longest)] == [60, LASTS_SECONDS]
    clock.now += 60
    assert sessions.find(short.place, cookie=short.cookie) is None
