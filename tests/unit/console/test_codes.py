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
    code = codes.issue(SOMEBODY)
    assert (codes.redeem(code), codes.redeem(code)) == (SOMEBODY, None)


def test_a_code_is_long_and_never_the_same() -> None:
    codes = Codes()
    codes = {codes.issue(SOMEBODY) for _ in range(50)}
    assert len(codes) == 50 and min(map(len, codes)) >= 43


def test_a_code_ends_after_ten_minutes() -> None:
    clock = Clock()
    codes = Codes(clock=clock)
    early, late = codes.issue(SOMEBODY), codes.issue(SOMEBODY)
    clock.now += VALID_SECONDS - 1
    assert codes.redeem(early) == SOMEBODY
    clock.now += 1
    assert codes.redeem(late) is None


def test_what_was_never_a_code_signs_nobody_in() -> None:
    assert Codes().redeem("") is None


def test_many_codes_end_the_oldest() -> None:
    codes = Codes()
    first, second, *_ = [codes.issue(SOMEBODY) for _ in range(65)]
    assert (codes.redeem(first), codes.redeem(second)) == (None, SOMEBODY)
