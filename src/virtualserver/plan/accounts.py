"""Names of accounts in a Linux guest: which it can have, and what those need that it has itself.

Source: useradd(8) of Debian 12; Debian's base-passwd; cloud-init, "Users and Groups".
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["SYSTEM", "fault_of", "group_of"]

_LONGEST: Final = 32
_NAME: Final = re.compile(r"[^-+~\s:,/\x00-\x1f\x7f][^\s:,/\x00-\x1f\x7f]*")

SYSTEM: Final = frozenset(
    [
        "daemon",
        "bin",
        "sys",
        "sync",
        "games",
        "man",
        "lp",
        "mail",
        "news",
        "uucp",
        "proxy",
        "www-data",
        "backup",
        "list",
        "irc",
        "gnats",
        "nobody",
        "_apt",
        "sshd",
        "messagebus",
        "systemd-network",
        "systemd-timesync",
        "systemd-resolve",
    ]
)
"""Accounts that a guest has without a shell, so that nobody logs in with them: cloud-init leaves them as they are.

The CRD has the same list.
"""

_GROUPS: Final = frozenset(
    [
        "adm",
        "tty",
        "disk",
        "kmem",
        "dialout",
        "fax",
        "voice",
        "cdrom",
        "floppy",
        "tape",
        "sudo",
        "audio",
        "dip",
        "operator",
        "src",
        "shadow",
        "utmp",
        "video",
        "sasl",
        "plugdev",
        "staff",
        "users",
        "nogroup",
        "wheel",
        "docker",
        "lxd",
        "input",
        "kvm",
        "render",
        "crontab",
        "netdev",
        "systemd-journal",
    ]
)
"""Groups that a guest may have, whose names useradd refuses for an account unless it is told to use them."""


def fault_of(name: str) -> str:
    """Return why no account of a Linux guest can have a name; ``""``: it can."""
    if len(name.encode()) > _LONGEST:
        return f"has {len(name.encode())} bytes, and {_LONGEST} are allowed: choose a shorter name"
    if not _NAME.fullmatch(name) or name in (".", ".."):
        return (
            "is no name that an account can have: use letters, digits, dashes, dots and underscores, beginning with a "
            "letter or an underscore"
        )
    if name in SYSTEM:
        return "is an account of the guest's own system, with which nobody can log in: choose another name"
    return ""


def group_of(name: str) -> str | None:
    """Return the group that an account of this name has to be told to have, None where it gets its own."""
    return name if name in _GROUPS else None
