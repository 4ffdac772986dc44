"""What held up a process is left alone by the next: until it changes, or for a time that doubles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from virtualserver.kube.aside import FIRST_SECONDS, LAST_SECONDS, Aside, mark_of

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0
WORK = "virtualserver m/x"


def an_object(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x", "namespace": "m", "uid": "1", "resourceVersion": "7"}, "spec": spec}


def a_process(folder: Path, *, held: str | None = None, now: float = NOW) -> Aside:
    if held is not None:
        (folder / "held").write_text(held)
    return Aside(folder, now=lambda: now)


def test_what_held_up_the_process_before_waits_and_others_do_not(tmp_path: Path) -> None:
    aside = a_process(tmp_path, held=WORK)
    found = aside.trouble(WORK, an_object())
    assert found and found[0].reason == "SetAside" and found[1] == FIRST_SECONDS
    assert "08:10 UTC" in found[0].message
    assert aside.trouble("virtualserver m/y", an_object()) is None
    assert not (tmp_path / "held").exists()


def test_it_goes_on_waiting_in_a_process_that_is_started_for_another_reason(tmp_path: Path) -> None:
    a_process(tmp_path, held=WORK).trouble(WORK, an_object())
    found = a_process(tmp_path, now=NOW + 60).trouble(WORK, an_object())
    assert found and found[1] == FIRST_SECONDS - 60


def test_a_change_ends_the_wait_and_a_status_is_none(tmp_path: Path) -> None:
    aside = a_process(tmp_path, held=WORK)
    assert aside.trouble(WORK, an_object(cloudInit="slow"))
    told = an_object(cloudInit="slow")
    told["metadata"]["resourceVersion"], told["status"] = "8", {"conditions": []}
    assert aside.trouble(WORK, told)
    assert aside.trouble(WORK, an_object(cloudInit="mended")) is None
    marked = an_object(cloudInit="slow")
    marked["metadata"]["annotations"] = {"a": "b"}
    assert mark_of(marked) != mark_of(an_object(cloudInit="slow"))


def test_each_further_end_doubles_the_wait_up_to_hours(tmp_path: Path) -> None:
    waits: list[float] = []
    for _ in range(8):
        found = a_process(tmp_path, held=WORK).trouble(WORK, an_object())
        assert found
        waits.append(found[1])
    assert waits[:3] == [600, 1200, 2400] and waits[-1] == LAST_SECONDS


def test_the_wait_ends_by_itself_and_a_clock_that_jumps_back_prolongs_it_by_hours_at_most(tmp_path: Path) -> None:
    a_process(tmp_path, held=WORK)
    assert a_process(tmp_path, now=NOW + 601).trouble(WORK, an_object()) is None
    found = a_process(tmp_path, now=NOW - 1e8).trouble(WORK, an_object())
    assert found and found[1] == LAST_SECONDS


def test_a_look_that_comes_to_its_end_is_forgotten_and_so_is_an_object_that_is_gone(tmp_path: Path) -> None:
    aside = a_process(tmp_path, held=WORK)
    assert aside.trouble(WORK, None) is None
    aside.over(WORK)
    assert a_process(tmp_path).trouble(WORK, an_object()) is None


def test_a_note_without_a_name_and_a_record_that_cannot_be_read_set_nothing_aside(tmp_path: Path) -> None:
    assert a_process(tmp_path, held="").trouble("", an_object()) is None
    (tmp_path / "aside.json").write_text("{")
    assert a_process(tmp_path).trouble(WORK, an_object()) is None
    (tmp_path / "aside.json").write_text(json.dumps({"version": 2, "objects": {WORK: {"times": 1, "until": 2e9}}}))
    assert a_process(tmp_path).trouble(WORK, an_object()) is None
