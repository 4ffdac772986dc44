from __future__ import annotations

from virtualserver.console.codes import VALID_SECONDS, Codes
from virtualserver.kube.kubeconfig import Credentials

SOMEBODY = Credentials("https://127.0.0.1:6443")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_code_works_once() -> None:
    codes = Codes()
    code = codes.issue(SOMEBODY, user="ada")
    assert (codes.redeem(code), codes.redeem(code)) == (SOMEBODY, None)


def test_a_code_is_long_and_never_the_same() -> None:
    codes = Codes()
    made = {codes.issue(SOMEBODY, user=str(number)) for number in range(50)}
    assert len(made) == 50 and min(map(len, made)) >= 43


def test_a_code_ends_after_ten_minutes() -> None:
    clock = Clock()
    codes = Codes(clock=clock)
    early, late = codes.issue(SOMEBODY, user="ada"), codes.issue(SOMEBODY, user="ada")
    clock.now += VALID_SECONDS - 1
    assert codes.redeem(early) == SOMEBODY
    clock.now += 1
    assert codes.redeem(late) is None


def test_what_was_never_a_code_signs_nobody_in() -> None:
    assert Codes().redeem("") is None


def test_many_codes_of_one_user_end_that_ones_oldest_and_nobody_elses() -> None:
    codes = Codes()
    other = codes.issue(SOMEBODY, user="bob")
    first, second, *_ = [codes.issue(SOMEBODY, user="ada") for _ in range(9)]
    assert [codes.redeem(one) for one in (other, first, second)] == [SOMEBODY, None, SOMEBODY]


def test_many_codes_of_all_end_the_oldest() -> None:
    codes = Codes()
    first, second, *_ = [codes.issue(SOMEBODY, user=str(number)) for number in range(257)]
    assert (codes.redeem(first), codes.redeem(second)) == (None, SOMEBODY)
