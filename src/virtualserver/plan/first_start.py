"""What a guest was told at its first start, and what of that a manifest has changed since: no later start brings it.

cloud-init makes users, keys and files once for each instance. To tell it of another instance would make it do all of
that again, with new host keys and every command of ``runcmd``, in a guest that somebody uses: so a change is named.
The Secret keeps a digest of each thing that was told, from the pass on that sees the machine run. A network
configuration is none of it: our images take it at every start (`storage/builds/debian.cloud.cfg`).
"""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from virtualserver.api import names
from virtualserver.kube import fields
from virtualserver.plan import bounded_yaml, cloud_config, dns, files_of_users, formats, ownership

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from virtualserver.api.virtualserver import User
    from virtualserver.plan.situation import Situation

__all__ = ["changed", "record", "told"]

_ALL: Final = "all"
_USER: Final = "user/"
_KEY: Final = "key/"
_HOOK: Final = "hook"
_OF_USERS: Final = {
    "ssh_authorized_keys": ("sshpublickey", "sshPublicKeysSecretRef"),
    "passwd": ("password", "passwordSecretRef"),
}
"""What of a user's entry a field of its own gives, and that field: in the manifest itself, or by a Secret."""
_EVERY_START: Final = ("bootcmd", "growpart", "resize_rootfs", "final_message")
"""What cloud-init does at every start. Source: its documentation, "Module frequency"."""
_MOST: Final = 1000
_LONGEST: Final = 64


def record(situation: Situation) -> dict[str, str]:
    """Return the annotations of the Secret that say what the guest was told, ``{}`` before its first start."""
    found = told(situation)
    return {names.FIRST_START: msgspec.json.encode(found, order="sorted").decode()} if found else {}


def told(situation: Situation) -> dict[str, str]:
    """Return digests of what the guest was told at its first start; ``{}`` where it has not started, or forgets it."""
    live = situation.children.get("Secret", f"{situation.server.name}{ownership.SUFFIXES['Secret'][0]}")
    if live is None or situation.server.spec.storage.root.ephemeral:
        return {}
    try:
        return msgspec.json.decode(fields.annotations_of(live).get(names.FIRST_START, ""), type=dict[str, str])
    except msgspec.DecodeError:
        pass
    if fields.status_of(situation.instance or {}).get("phase") not in ("Running", "Succeeded", "Failed"):
        return {}
    try:
        text = base64.b64decode(str(fields.mapping(live, "data").get("userdata", ""))).decode()
    except ValueError:
        return {}
    return dict(_digests(text)) if text else {}


def changed(situation: Situation) -> list[str]:
    """Return the manifest's fields that say now something else than the guest was told at its first start."""
    before, text = told(situation), situation.user_data.text
    if not before or text is None or before.get(_ALL) == _digest(text):
        return []
    return list(_fields(situation, before, _digests(text)))


def _fields(situation: Situation, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    differing = [key for key in {**now, **before} if now.get(key) != before.get(key)]
    spec = situation.server.spec
    for index, user in enumerate(spec.users):
        key, path = f"{_USER}{user.username}", f"spec.users[{index}]"
        if key in differing:
            yield path
            continue
        for part, (field, reference) in _OF_USERS.items():
            if f"{key}/{part}" in differing:
                yield f"{path}.{reference if _is_by_secret(user, part) else field}"
    mine = {user.username for user in spec.users}
    others = {key.split("/")[1] for key in differing if key.startswith(_USER)} - mine
    if gone := sorted(name for name in others if f"{_USER}{name}" not in now):
        yield "spec.users" if spec.cloud_init_secret_ref else f"spec.users (without {', '.join(gone)})"
    if _HOOK in differing:
        yield "spec.network.dnsConfig.options"
    keys = [key.removeprefix(_KEY) for key in differing if key.startswith(_KEY)]
    keys += ["users"] if len(others) > len(gone) else []
    if not keys:
        return
    named = [key for key in keys if key and (f"{_KEY}{key}" in now or key == "users")]
    if spec.cloud_init_secret_ref is not None:
        # What stands in a Secret is named to nobody.
        yield "spec.cloudInitSecretRef"
    else:
        yield f"spec.cloudInit ({', '.join(named[:10])})" if named else "spec.cloudInit"


def _is_by_secret(user: User, part: str) -> bool:
    """Return whether only a Secret gives a part of a user's entry."""
    if part == "passwd":
        return user.password_secret_ref is not None and not user.password
    return user.ssh_public_keys_secret_ref is not None and not user.sshpublickey


@functools.lru_cache(maxsize=256)
def _digests(text: str) -> Mapping[str, str]:
    """Return a digest of each thing that a cloud-config of ours says."""
    told, documents = formats.split(text)
    try:
        config = cloud_config.load(told)
    except bounded_yaml.YAMLFault:
        return {_ALL: _digest(text)}
    found = {_ALL: _digest(text)}
    others: list[Any] = []
    entries = config.get("users")
    for entry in cast("list[Any]", entries) if isinstance(entries, list) else []:
        name = cast("dict[str, Any]", entry).get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or "/" in name or len(name) > _LONGEST or len(found) > _MOST:
            others.append(entry)
            continue
        parts = cast("dict[str, Any]", entry)
        # Whether there is a password decides on lock_passwd: that is no difference of its own.
        own = {key: value for key, value in parts.items() if key not in (*_OF_USERS, "lock_passwd")}
        found[f"{_USER}{name}"] = _digest(own)
        found |= {f"{_USER}{name}/{part}": _digest(parts[part]) for part in _OF_USERS if part in parts}
    rest = {key: value for key, value in config.items() if key not in ("users", "ssh_pwauth", *_EVERY_START)}
    if others:
        rest["users"] = others
    if files := _list(rest, "write_files"):
        rest["write_files"] = [_at_any_time(file) for file in files]
    hook = [one for one in _list(rest, "write_files") if _is_hook(one)]
    if hook:
        found[_HOOK] = _digest(hook)
        rest["write_files"] = [one for one in _list(rest, "write_files") if one not in hook]
        rest["runcmd"] = [one for one in _list(rest, "runcmd") if one != ["sh", dns.HOOK_PATH]]
        rest = {key: value for key, value in rest.items() if value or key not in ("write_files", "runcmd")}
    short = {key: value for key, value in rest.items() if len(key) <= _LONGEST} if len(rest) <= _MOST else {}
    found |= {f"{_KEY}{key}": _digest(value) for key, value in short.items()}
    unnamed = {key: value for key, value in rest.items() if key not in short}
    if unnamed or documents:
        found[_KEY] = _digest((unnamed, documents) if documents else unnamed)
    return found


def _at_any_time(file: Any) -> Any:
    """Return a file without when it is written, which an earlier version left to cloud-init."""
    return {key: value for key, value in file.items() if key != "defer"} if files_of_users.is_deferred(file) else file


def _is_hook(file: Any) -> bool:
    return isinstance(file, dict) and cast("dict[str, Any]", file).get("path") == dns.HOOK_PATH


def _list(config: Mapping[str, Any], key: str) -> list[Any]:
    value = config.get(key)
    return cast("list[Any]", value) if isinstance(value, list) else []


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]
