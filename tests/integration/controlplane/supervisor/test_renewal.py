"""A control plane that runs for longer than its certificates are valid."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from harness import control_plane as plane
from harness.waiting import eventually
from virtualserver import controlplane
from virtualserver.controlplane import credentials, pki
from virtualserver.controlplane.supervisor import processes
from virtualserver.installation import users

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation


def write_as_of(installation: Installation, now: datetime.datetime) -> bool:
    """Write the credentials that a start at a time would have written."""
    settings = installation.record().controlplane
    assert settings
    options = controlplane.Options.decode(settings.options)
    return credentials.ensure(
        installation,
        users.recorded(installation),
        server=controlplane.status(installation).url,
        addresses=options.served,
        now=now,
    )


def begin(installation: Installation) -> None:
    """Start a supervisor as a start does, but one that is in a hurry."""
    hurried = (
        "from virtualserver.controlplane.supervisor import supervisor as it; "
        "it._RENEWAL_SECONDS = it._CLOCK_SECONDS; it.main()"
    )
    environment = {**os.environ, **installation.environment()}
    with installation.log("supervisor").open("ab") as log:
        subprocess.run([sys.executable, "-c", hurried], env=environment, stdout=log, stderr=log, check=True)


def test_certificates_past_their_date_are_renewed_without_a_start_by_anybody() -> None:
    with plane.an_installation("aged") as installation:
        running = plane.start(installation)
        now = datetime.datetime.now(datetime.UTC)
        assert not write_as_of(installation, now)
        for folder in ("etcd", "kube-apiserver", "kube-controller-manager", "clients", "node"):
            for certificate in (installation.pki / folder).glob("*.crt"):
                certificate.unlink()
        assert write_as_of(installation, now - pki.CERTIFICATE_LIFETIME - datetime.timedelta(days=1))
        before = {name: process.pid for name, process in processes.Records(installation.processes).all().items()}
        # A supervisor that looks at once, not after ten minutes.
        supervisor = controlplane.status(installation).supervisor_pid
        assert supervisor
        os.kill(supervisor, signal.SIGKILL)
        eventually(lambda: not controlplane.status(installation).running, what="the supervisor is gone")
        begin(installation)
        eventually(lambda: controlplane.status(installation).supervisor_pid not in (None, supervisor))

        def all_anew() -> bool:
            found = {name: process.pid for name, process in processes.Records(installation.processes).all().items()}
            return found.keys() == before.keys() and not set(found.values()) & set(before.values())

        eventually(all_anew, what="every component is started again")
        eventually(lambda: controlplane.status(installation).ready, what="all is ready")
        assert not write_as_of(installation, now)
        running.kubectl("get", "namespaces")
