"""Records of components that others forget while we read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtualserver.controlplane.supervisor.logs import last_line
from virtualserver.controlplane.supervisor.processes import Records
from virtualserver.installation import record


@pytest.fixture
def seen_but_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file be there when it is looked for and gone when it is read."""

    def there(_: Path) -> bool:
        return True

    monkeypatch.setattr(Path, "exists", there)


@pytest.mark.usefixtures("seen_but_gone")
def test_a_record_that_goes_away_while_it_is_read_is_of_no_process(tmp_path: Path) -> None:
    """`vs down` lists the records while the supervisor, which ends too, forgets its components."""
    (tmp_path / "etcd.json").symlink_to(tmp_path / "gone")

    assert Records(tmp_path).all() == {}


@pytest.mark.usefixtures("seen_but_gone")
def test_a_log_that_goes_away_while_it_is_read_says_nothing(tmp_path: Path) -> None:
    assert last_line(tmp_path / "etcd.log") == ""


@pytest.mark.usefixtures("seen_but_gone")
def test_a_record_of_an_installation_that_is_purged_meanwhile_is_empty(tmp_path: Path) -> None:
    assert record.read(tmp_path / "installation.json") == record.Record()
