"""What the guest is told at its first start: the cloud-config that a Secret holds for it.

Passwords leave this module hashed only, and no message holds what a Secret holds.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, cast

from virtualserver.api.faults import Fault
from virtualserver.plan import bounded_yaml, cloud_config, dns, passwords, references
from virtualserver.plan.references import Reference, Secrets, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from virtualserver.api.virtualserver import User, VirtualServer

__all__ = ["UserData", "passwords_of", "user_data_of"]

_SECRET_LIMIT: Final = 1024 * 1024
"""Bytes in a Secret. Source: Kubernetes, "Secrets"."""


@dataclasses.dataclass(frozen=True, slots=True)
class UserData:
    """What the guest is told, or why that cannot be said.

    Attributes:
        text: The cloud-config; None where anything below is there.
        network: The network configuration that the manifest's cloudInit has; None: it has none.
        missing: Each Secret, or key in one, that is waited for: its field, and what to do.
        bad_passwords: Passwords that no account can have.
        bad_cloud_init: What cannot be merged, or does not fit.
    """

    text: str | None = None
    network: str | None = None
    missing: tuple[str, ...] = ()
    bad_passwords: tuple[Fault, ...] = ()
    bad_cloud_init: tuple[Fault, ...] = ()


def user_data_of(server: VirtualServer, secrets: Secrets) -> UserData:
    """Return what the guest of a server is told.

    Args:
        server: As decoded.
        secrets: Those that exist of the Secrets that its manifest refers to, by name.
    """
    beyond = references.beyond(server, secrets, limit=_SECRET_LIMIT)
    if beyond is not None:
        message = f"with what the Secrets before it hold, Secret {beyond.name} does not fit in a Secret of 1 MiB"
        return UserData(bad_cloud_init=(Fault(beyond.path, f"{message}: let the guest fetch the rest itself"),))
    messages = (_missing(reference, secrets) for reference in references.references(server))
    missing = tuple(message for message in messages if message)
    bad_passwords = tuple(_password_faults(server, secrets))
    parts = (_part(server.spec.cloud_init, "spec.cloudInit"), _part_in_secret(server, secrets))
    bad_parts = tuple(part for part in parts if isinstance(part, Fault))
    if missing or bad_passwords or bad_parts:
        return UserData(missing=missing, bad_passwords=bad_passwords, bad_cloud_init=bad_parts)
    config = _asked_for(server, secrets)
    for part in parts:
        if not isinstance(part, Fault):
            config = cloud_config.merge(config, part)
    network = config.pop("network", None)
    if network is not None and not isinstance(network, dict):
        message = "network is no mapping: write cloud-init's network configuration, version 1 or 2"
        return UserData(bad_cloud_init=(Fault("spec.cloudInit", message),))
    text = cloud_config.dump(config)
    told = None if network is None else cloud_config.dump_plain(cast("dict[str, Any]", network))
    if len(text.encode()) + len((told or "").encode()) > _SECRET_LIMIT:
        message = "with the users it does not fit in a Secret of 1 MiB: let the guest fetch the rest itself"
        return UserData(bad_cloud_init=(Fault("spec.cloudInit", message),))
    return UserData(text, told)


def passwords_of(server: VirtualServer, secrets: Secrets) -> list[passwords.Password]:
    """Return the passwords that `user_data_of` hashes; whoever has little time hashes them before, one by one."""
    if references.beyond(server, secrets, limit=_SECRET_LIMIT) or any(_password_faults(server, secrets)):
        return []
    found = (
        passwords.Password(server.uid, user.username, _password(index, user, secrets))
        for index, user in enumerate(server.spec.users)
    )
    return [one for one in found if one.password]


def _missing(reference: Reference, secrets: Secrets) -> str:
    """Say what is waited for, ``""`` for nothing."""
    if reference.name not in secrets:
        return f"{reference.path}: waiting for Secret {reference.name} with the key {reference.key}: create it"
    if text_of(reference, secrets) is None:
        return f"{reference.path}: waiting for the key {reference.key} in Secret {reference.name}, as text: add it"
    return ""


def _password_faults(server: VirtualServer, secrets: Secrets) -> Iterator[Fault]:
    """Yield the passwords that no account can have; what they are is not said."""
    for index, user in enumerate(server.spec.users):
        password = _password(index, user, secrets)
        field = "password" if user.password else "passwordSecretRef"
        if "\0" in password:
            yield Fault(f"spec.users[{index}].{field}", "the password holds a NUL character: choose one without")
        if len(password.encode()) > passwords.LONGEST:
            message = (
                f"the password is longer than {passwords.LONGEST} bytes, so no login takes it: choose a shorter one"
            )
            yield Fault(f"spec.users[{index}].{field}", message)


def _part(text: str, path: str) -> Mapping[str, Any] | Fault:
    """Return a part of the owner's cloud-config, or what is wrong with it."""
    try:
        return cloud_config.load(text)
    except bounded_yaml.YAMLFault as fault:
        return Fault(path, f"{fault}: {fault.remedy}")


def _part_in_secret(server: VirtualServer, secrets: Secrets) -> Mapping[str, Any] | Fault:
    reference = references.cloud_init(server)
    try:
        return cloud_config.load(text_of(reference, secrets) or "")
    except bounded_yaml.YAMLFault as fault:
        # The API server would show what a message quotes to all who may read the server.
        key, name = (reference.key, reference.name) if reference else ("", "")
        path = reference.path if reference else "spec.cloudInitSecretRef"
        return Fault(path, f"the key {key} of Secret {name} {fault.outline}: {fault.remedy}")


def _asked_for(server: VirtualServer, secrets: Secrets) -> dict[str, Any]:
    """Return what the manifest asks for in fields of its own."""
    config: dict[str, Any] = {"hostname": server.name}
    users = [_user(server, index, user, secrets) for index, user in enumerate(server.spec.users)]
    if users:
        config["users"] = users
    if any("passwd" in user for user in users):
        config["ssh_pwauth"] = True
    hook = dns.resolver_hook(server.spec.network)
    if hook:
        config["write_files"] = [{"path": dns.HOOK_PATH, "permissions": "0755", "content": hook}]
        config["runcmd"] = [["sh", dns.HOOK_PATH]]
    return config


def _user(server: VirtualServer, index: int, user: User, secrets: Secrets) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": user.username, "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}
    password = _password(index, user, secrets)
    if password:
        entry["lock_passwd"] = False
        entry["passwd"] = passwords.hashed(passwords.Password(server.uid, user.username, password))
    keys = text_of(references.authorized_keys(index, user), secrets)
    lines = [line.strip() for text in (user.sshpublickey, keys) if text for line in text.splitlines()]
    authorized = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if authorized:
        entry["ssh_authorized_keys"] = authorized
    return entry


def _password(index: int, user: User, secrets: Secrets) -> str:
    """Return the password of either field, ``""`` for none; the end of a Secret's last line is none of it."""
    found = user.password or text_of(references.password(index, user), secrets)
    return (found or "").rstrip("\n")
