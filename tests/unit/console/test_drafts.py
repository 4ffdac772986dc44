from __future__ import annotations

from virtualserver.console.drafts import KEPT_SECONDS, LARGEST, MOST, Drafts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_text_is_given_back_to_its_user_alone() -> None:
    drafts = Drafts()
    drafts.keep("a", "new", "text")
    assert (drafts.find("a", "new"), drafts.find("b", "new"), drafts.find("a", "other")) == ("text", None, None)
    drafts.drop("b", "new")
    drafts.keep("a", "new", "later")
    assert drafts.find("a", "new") == "later"
    drafts.drop("a", "new")
    assert drafts.find("a", "new") is None


def test_a_text_is_kept_for_a_day() -> None:
    clock = Clock()
    drafts = Drafts(clock=clock)
    drafts.keep("a", "new", "text")
    clock.now += KEPT_SECONDS - 1
    assert drafts.find("a", "new") == "text"
    clock.now += 1
    assert drafts.find("a", "new") is None


def test_a_text_that_is_too_large_leaves_the_one_before() -> None:
    drafts = Drafts()
    assert drafts.keep("a", "new", "text")
    assert not drafts.keep("a", "new", "x" * (LARGEST + 1))
    assert drafts.find("a", "new") == "text"


def test_many_texts_of_a_user_end_the_oldest_and_nobody_elses() -> None:
    drafts = Drafts()
    drafts.keep("b", "new", "text")
    for number in range(MOST + 1):
        drafts.keep("a", str(number), "text")
    assert [drafts.find("a", name) for name in ("0", "1", str(MOST))] == [None, "text", "text"]
    assert drafts.find("b", "new") == "text"


def test_many_users_end_the_one_who_has_kept_nothing_for_longest() -> None:
    drafts = Drafts()
    for number in range(64):
        drafts.keep(str(number), "new", "text")
    drafts.keep("0", "new", "again")
    drafts.keep("one more", "new", "text")
    assert [drafts.find(user, "new") for user in ("0", "1", "2")] == ["again", None, "text"]
