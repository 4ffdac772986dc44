"""What the API is told of an image while it is being made, however that ends."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.claims import Claims
from virtualserver.api import names
from virtualserver.local import making
from virtualserver.local.errors import LocalError
from virtualserver.storage.images import ImageStore

if TYPE_CHECKING:
    from pathlib import Path

    from virtualserver.local.kubectl import Kubectl


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def claimed(claims: Claims, store: ImageStore) -> Any:
    return making.claimed(cast("Kubectl", claims), store, "debian")


def test_a_new_image_has_a_claim_that_says_so_until_it_is_made(store: ImageStore) -> None:
    claims = Claims()
    with claimed(claims, store):
        assert claims.claims["debian"] == {names.IMAGE_PROGRESS: "0% begins"}
        assert store.is_being_made("debian") and not store.is_being_made("busybox")
        # As `images` does it: the image's own claim in the place of this one.
        claims.claims["debian"] = {names.IMAGE: "sha256:aa"}
    assert claims.claims == {"debian": {names.IMAGE: "sha256:aa"}}
    assert not store.is_being_made("debian")


@pytest.mark.parametrize("end", [LocalError("no"), KeyboardInterrupt()])
def test_an_image_that_is_not_made_leaves_no_claim(store: ImageStore, end: BaseException) -> None:
    claims = Claims()
    with pytest.raises(type(end)), claimed(claims, store):
        raise end
    assert claims.claims == {}
    assert not store.is_being_made("debian")


@pytest.mark.parametrize("end", [None, LocalError("no")])
def test_an_image_that_is_made_anew_is_there_all_the_while(store: ImageStore, end: LocalError | None) -> None:
    claims = Claims(debian={names.IMAGE: "sha256:aa"})
    with contextlib.suppress(LocalError), claimed(claims, store):
        assert claims.claims["debian"] == {names.IMAGE: "sha256:aa", names.IMAGE_PROGRESS: "0% begins"}
        if end:
            raise end
    assert claims.claims == {"debian": {names.IMAGE: "sha256:aa"}}


def test_what_somebody_left_who_was_killed_is_taken_over(store: ImageStore) -> None:
    claims = Claims(debian={names.IMAGE_PROGRESS: names.IMAGE_ABANDONED})
    with claimed(claims, store):
        assert claims.claims["debian"] == {names.IMAGE_PROGRESS: "0% begins"}


def test_an_error_is_told_where_the_api_is_gone_in_the_end(store: ImageStore) -> None:
    claims, failure = Claims(), LocalError("the build failed")

    def build() -> None:
        with claimed(claims, store):
            claims.is_away = True
            raise failure

    with pytest.raises(LocalError, match="the build failed"):
        build()
    assert making.is_unfinished(claims.get("pvc", "debian", namespace=names.IMAGE_NAMESPACE)), "the node says so"
    assert not store.is_being_made("debian")


def test_steps_are_told_at_once_and_written_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_WRITE_SECONDS", 0.2)
    claims, steps = Claims(debian={}), list[tuple[str, float | None]]()

    def update(text: str, share: float | None = None) -> None:
        steps.append((text, share))

    with making.telling(cast("Kubectl", claims), "debian", update) as tell:
        for percent in range(46):
            tell("installing", percent / 100)
        time.sleep(0.5)
        claims.is_away = True
        tell("packing", None)
        time.sleep(0.5)
    assert steps == [*(("installing", percent / 100) for percent in range(46)), ("packing", None)]
    assert claims.said == ["45% installing"], "what did not change is not written again, and what fails ends nothing"


def test_a_step_of_unknown_length_has_no_share() -> None:
    assert [making.progress_of("packing", share) for share in (None, 0.0, 0.456, 1.0)] == [
        *("packing", "0% packing", "46% packing", "100% packing")
    ]
