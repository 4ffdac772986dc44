"""What happens first to an installation that an earlier version of this program made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtualserver.installation import lock, migrations

if TYPE_CHECKING:
    from virtualserver.installation.installation import Installation
    from virtualserver.local.report import Report

__all__ = ["take_over"]


def take_over(installation: Installation, report: Report) -> None:
    """Bring the state folder of an earlier version to this program's; before that, nothing of it can be read.

    A folder of this version, or none, stays as it is.

    Args:
        installation: The installation, whether or not it runs: processes of the earlier version do not look again.
        report: Told whom we wait for.

    Raises:
        InstallationError: The state folder is newer than this program.
    """
    if migrations.is_older(installation.state):
        with lock.held(installation, report.once):
            migrations.migrate(installation.state)
