"""Files of a cloud-config that belong to its users: cloud-init writes files before it makes users, unless it is told.

A file whose owner does not exist yet ends cloud-init's work on all files after it, and one below a home that is not
there yet leaves a home that is root's. So such files get ``defer``, by which cloud-init writes them once users and
packages are there, before the commands of ``runcmd``. What the owner says of ``defer`` stands.
Source: cloud-init, "Write Files"; its older versions than 21.1 do not know ``defer``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["deferred", "is_deferred"]

_DEFAULT_USERS: Final = frozenset(
    "almalinux alpine arch centos cirros cloud-user debian ec2-user fedora opensuse rocky ubuntu".split()  # noqa: SIM905
)
"""What images call the user that cloud-init makes where no other is asked for."""


def deferred(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cloud-config whose files wait for the users that they belong to."""
    files = config.get("write_files")
    if not isinstance(files, list):
        return dict(config)
    accounts = frozenset(_accounts(config)) - {"", "root"}
    return {**config, "write_files": [_deferred(file, accounts) for file in cast("list[Any]", files)]}


def is_deferred(file: Any) -> bool:
    """Return whether a file waits for users, by whoever's wish."""
    return isinstance(file, dict) and cast("dict[str, Any]", file).get("defer") is True


def _deferred(file: Any, accounts: frozenset[str]) -> Any:
    if not isinstance(file, dict) or "defer" in file:
        return cast("Any", file)
    entry = cast("dict[str, Any]", file)
    owners = str(entry.get("owner") or "").split(":")
    place = str(entry.get("path") or "").split("/")
    home = place[2] if place[:2] == ["", "home"] and len(place) > 3 else ""
    return {**entry, "defer": True} if not accounts.isdisjoint([*owners, home]) else entry


def _accounts(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the users and groups that cloud-init makes."""
    users = config.get("users", ["default"])
    for user in [*_several(users), *_several(config.get("user"), inside=False), *_several(config.get("groups"))]:
        if isinstance(user, dict):
            entry = cast("dict[Any, Any]", user)
            # A group is a mapping from its name to its members.
            names = [entry["name"]] if "name" in entry else list(entry)
            yield from map(str, [*names, *_several(entry.get("groups")), entry.get("primary_group") or ""])
        elif user == "default":
            yield from _DEFAULT_USERS
        else:
            yield str(user)


def _several(value: Any, *, inside: bool = True) -> list[Any]:
    """Return what cloud-init takes for a list: itself, a text with commas, or the names of a mapping."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",")]
    if isinstance(value, dict) and not inside:
        return [cast("dict[str, Any]", value)]
    return list(cast("list[Any]", value)) if isinstance(value, (list, dict)) else []
