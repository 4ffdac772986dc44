"""A user who writes large objects again and again does not end everybody's writes, with a real etcd of a small size."""

from __future__ import annotations

import base64
import contextlib
import datetime
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from harness import control_plane as plane
from harness.waiting import eventually
from virtualserver.controlplane import components, credentials, pki
from virtualserver.controlplane.database import Database, DatabaseSize, is_tight
from virtualserver.controlplane.options import Options
from virtualserver.controlplane.rest import Rest, RestError
from virtualserver.installation import ports
from virtualserver.installation.installation import Installation
from virtualserver.installation.record import UidRange

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 24 << 20
KEY = base64.b64encode(b"/registry/configmaps/thief/large").decode()


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Installation]:
    """An etcd of our flags, but of a small greatest size."""
    installation = Installation.below(tmp_path, "one")
    installation.create()
    uids = UidRange(os.getuid(), 4096)
    chosen = ports.recorded(installation)
    credentials.ensure(installation, uids, server="", addresses=(), now=datetime.datetime.now(datetime.UTC))
    installation.etcd_data.mkdir(mode=0o700)
    [component] = components.table(
        installation,
        options=Options(components=frozenset({"etcd"})),
        ports=chosen,
        uids=uids,
        programs=plane.programs().folder,
        environment={},
        host="here",
    )
    argv = [argument for argument in component.argv if "quota" not in argument]
    with installation.log("etcd").open("ab") as log:
        process = subprocess.Popen(
            [*argv, f"--quota-backend-bytes={LIMIT}"], env=dict(component.environment), stdout=log, stderr=log
        )
    try:
        yield installation
    finally:
        process.kill()
        process.wait()


def a_user(installation: Installation) -> Rest:
    url = f"https://127.0.0.1:{installation.record().ports['etcd']}"
    return Rest(url, authority=installation.pki / "etcd-ca.crt", client=installation.pki / "clients/etcd")


def a_database(installation: Installation) -> Database:
    url = f"https://127.0.0.1:{installation.record().ports['etcd']}"
    authority, client = installation.pki / "etcd-ca.crt", installation.pki / "clients/etcd"
    return Database(url, authority=authority, client=client, limit=LIMIT)


def test_former_states_go_before_they_fill_the_database_and_the_alarm_with_them(etcd: Installation) -> None:
    user = a_user(etcd)
    value = base64.b64encode(os.urandom(1 << 20)).decode()

    def write() -> bool:
        with contextlib.suppress(OSError):  # it has just been started
            user.call("POST", "/v3/kv/put", {"key": KEY, "value": value})
            return True
        return False

    def fill() -> None:
        for _ in range(100):
            write()

    eventually(write, what="etcd to answer")
    with pytest.raises(RestError, match="database space exceeded"):
        fill()
    with pytest.raises(RestError, match="database space exceeded"):
        write()
    with contextlib.closing(a_database(etcd)) as database:
        assert database.look().alarms
        assert database.make_room(database.look()) is not None
        assert database.look().size < LIMIT // 4
        assert database.make_room(database.look()) is None, "there is room"
        went = 0
        for _ in range(40):
            assert write()
            went += database.make_room(database.look()) is not None
        assert 1 < went < 20
        assert not database.look().alarms
    user.close()


def test_a_certificate_that_was_renewed_is_shown_without_a_start(etcd: Installation) -> None:
    """A supervisor keeps its `Database` for longer than a certificate is valid."""

    def write(now: datetime.datetime) -> None:
        (etcd.pki / "clients/etcd.crt").unlink()
        uids = UidRange(os.getuid(), 4096)
        assert credentials.ensure(etcd, uids, server="", addresses=(), now=now)

    def answers() -> bool:
        with contextlib.suppress(OSError):  # it has just been started
            return database.look().size > 0
        return False

    now = datetime.datetime.now(datetime.UTC)
    with contextlib.closing(a_database(etcd)) as database:
        eventually(answers, what="etcd to answer")
        database.close()  # as when etcd is started again
        write(now - pki.CERTIFICATE_LIFETIME - datetime.timedelta(days=1))
        with pytest.raises(OSError):  # noqa: PT011 - TLS says it in several ways
            database.look()
        write(now)
        assert database.look().size


def test_what_is_in_use_is_not_looked_through_again_and_again() -> None:
    def a_space(size: int, *alarms: dict[str, str]) -> DatabaseSize:
        return DatabaseSize(100, size, 1, alarms)

    assert not is_tight(a_space(40), limit=100, before=0)
    assert is_tight(a_space(41), limit=100, before=0)
    assert not is_tight(a_space(75), limit=100, before=70)
    assert is_tight(a_space(81), limit=100, before=70)
    assert is_tight(a_space(10, {"alarm": "NOSPACE"}), limit=100, before=70)
