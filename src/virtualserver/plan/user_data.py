"""What the guest is told at its first start: the cloud-config that a Secret holds for it.

Passwords leave this module hashed only, and no message holds what a Secret holds.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from virtualserver.api.faults import Fault
from virtualserver.api.virtualserver import OSType
from virtualserver.host.counts import counted
from virtualserver.kube import fields
from virtualserver.plan import (
    accounts,
    bounded_yaml,
    cloud_config,
    cloud_config_keys,
    cloud_config_modules,
    dns,
    files_of_users,
    formats,
    passwords,
    public_keys,
    references,
)
from virtualserver.plan.references import Reference, Secrets, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from virtualserver.api.virtualserver import User, VirtualServer

__all__ = ["UserData", "passwords_of", "user_data_of"]

_SECRET_LIMIT: Final = 1024 * 1024
"""Bytes in a Secret. Source: Kubernetes, "Secrets"."""
_NAMED: Final = 5
"""Repeated keys that messages name."""


@dataclasses.dataclass(frozen=True, slots=True)
class UserData:
    """What the guest is told, or why that cannot be said.

    Attributes:
        text: The cloud-config; None where anything below is there.
        network: The network configuration that the manifest's cloudInit has; None: it has none.
        missing: Each Secret, or key in one, that is waited for: its field, and what to do.
        bad_passwords: Passwords that no account can have.
        bad_cloud_init: What cannot be merged, or does not fit.
        doubtful: What would not mean what it says. Earlier versions let it pass: a server that has a machine keeps it.
        remarks: What has no effect, though the server runs without it.
    """

    text: str | None = None
    network: str | None = None
    missing: tuple[str, ...] = ()
    bad_passwords: tuple[Fault, ...] = ()
    bad_cloud_init: tuple[Fault, ...] = ()
    doubtful: tuple[Fault, ...] = ()
    remarks: tuple[Fault, ...] = ()


def user_data_of(server: VirtualServer, secrets: Secrets, *, modules: frozenset[str] | None = None) -> UserData:
    """Return what the guest of a server is told.

    Args:
        server: As decoded.
        secrets: Those that exist of the Secrets that its manifest refers to, by name.
        modules: What of cloud-init's modules its image has; None: nobody knows.
    """
    beyond = references.beyond(server, secrets, limit=_SECRET_LIMIT)
    if beyond is not None:
        message = f"with what the Secrets before it hold, Secret {beyond.name} does not fit in a Secret of 1 MiB"
        return UserData(bad_cloud_init=(Fault(beyond.path, f"{message}: let the guest fetch the rest itself"),))
    messages = (_missing(reference, secrets, server.namespace) for reference in references.references(server))
    missing = tuple(message for message in messages if message)
    bad_passwords = tuple(_password_faults(server, secrets))
    parts = [_Part.read(source, is_linux=_is_linux(server)) for source in _sources(server, secrets)]
    bad_parts = tuple(part.fault for part in parts if part.fault)
    if missing or bad_passwords or bad_parts:
        return UserData(missing=missing, bad_passwords=bad_passwords, bad_cloud_init=bad_parts)
    return _told(server, secrets, parts, modules)


def passwords_of(server: VirtualServer, secrets: Secrets) -> list[passwords.Password]:
    """Return the passwords that `user_data_of` hashes; whoever has little time hashes them before, one by one."""
    if references.beyond(server, secrets, limit=_SECRET_LIMIT) or any(_password_faults(server, secrets)):
        return []
    found = (
        passwords.Password(server.uid, name, _one_password(entries, secrets))
        for name, entries in _entries(server).items()
    )
    return [one for one in found if one.password]


def _told(server: VirtualServer, secrets: Secrets, parts: list[_Part], modules: frozenset[str] | None) -> UserData:
    """Return what the guest is told where all of it can be read."""
    config = _asked_for(server, secrets)
    for part in parts:
        config = cloud_config.merge(config, part.config)
    network = config.pop("network", None)
    if network is not None and not isinstance(network, dict):
        message = "network is no mapping: write cloud-init's network configuration, version 1 or 2"
        return UserData(bad_cloud_init=(Fault("spec.cloudInit", message),))
    documents = [part.document for part in parts if part.document]
    configs = [part for part in parts if part.is_config]
    text = formats.message(cloud_config.dump(files_of_users.deferred(config)), documents)
    told = None if network is None else cloud_config.dump_plain(cast("dict[str, Any]", network))
    if len(text.encode()) + len((told or "").encode()) > _SECRET_LIMIT:
        message = "with the users it does not fit in a Secret of 1 MiB: let the guest fetch the rest itself"
        return UserData(bad_cloud_init=(Fault("spec.cloudInit", message),))
    doubtful = (fault for part in parts for fault in part.doubtful)
    return UserData(
        text,
        told,
        doubtful=(
            *_name_faults(server),
            *_second_passwords(server, secrets),
            *_key_faults(server, secrets, private=True),
            *doubtful,
        ),
        remarks=(
            *_key_faults(server, secrets, private=False),
            *_unknown_keys(server, configs),
            *_idle_keys(server, configs, modules),
        ),
    )


def _missing(reference: Reference, secrets: Secrets, namespace: str) -> str:
    """Say what is waited for, ``""`` for nothing."""
    if reference.name not in secrets:
        command = f"kubectl create secret generic {reference.name} -n {namespace} --from-literal={reference.key}=…"
        return f"{reference.path}: waiting for Secret {reference.name} with the key {reference.key}: {command}"
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


class _Source(NamedTuple):
    """A part of the owner's cloud-config.

    Attributes:
        path: The field that has it, or refers to it.
        text: What it is.
        secret: Which key of which Secret holds it, in words; ``""``: the manifest, which may be quoted.
    """

    path: str
    text: str
    secret: str = ""

    def fault(self, told: str) -> Fault:
        return Fault(self.path, f"{self.secret} {told}".lstrip())


def _sources(server: VirtualServer, secrets: Secrets) -> Iterator[_Source]:
    yield _Source("spec.cloudInit", server.spec.cloud_init)
    if reference := references.cloud_init(server):
        words = f"the key {reference.key} of Secret {reference.name}"
        yield _Source(reference.path, text_of(reference, secrets) or "", words)


class _Part(NamedTuple):
    """What a part says, or why it cannot be read.

    Attributes:
        source: Where it stands.
        config: What is merged with ours.
        fault: Why it cannot be read.
        doubtful: What would be lost without a word.
        document: What travels beside ours instead, in another of cloud-init's formats.
        is_config: Whether it is a cloud-config, by its first line too.
    """

    source: _Source
    config: Mapping[str, Any]
    fault: Fault | None = None
    doubtful: tuple[Fault, ...] = ()
    document: formats.Document | None = None
    is_config: bool = False

    @classmethod
    def read(cls, source: _Source, *, is_linux: bool) -> _Part:
        document = formats.document_of(source.text, is_linux=is_linux)
        if document:
            return cls(source, {}, source.fault(document.fault) if document.fault else None, document=document)
        format = formats.format_of(source.text)
        reader = "a Linux guest's cloud-init" if is_linux else "a Windows guest's cloudbase-init"
        name = format.name if format else ""
        told = f"is {name}, as its first line says, which {reader} does not read"
        other = source.fault(f"{told}: write it as cloud-config")
        try:
            config = cloud_config.load(source.text)
        except bounded_yaml.YAMLFault as fault:
            # The API server would show what a message quotes to all who may read the server.
            told = fault.outline if source.secret else str(fault)
            return cls(source, {}, other if format else source.fault(f"{told}: {fault.remedy}"))
        doubtful = (other,) if format else tuple(_doubts(source, config))
        return cls(source, config, doubtful=doubtful, is_config=not format)


def _doubts(source: _Source, config: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what of a part would be lost without a word."""
    if "version" in fields.mapping(config, "ignition"):
        yield source.fault("is a configuration of Ignition, which cloud-init does not read: write it as cloud-config")
    if not config and source.text.strip() and not source.text.lstrip("\ufeff \n").startswith("#cloud-config"):
        yield source.fault("holds comments only: write keys and values, such as 'packages: [nginx]'")
    for one in bounded_yaml.repeated_keys(source.text)[:_NAMED]:
        key = "a key" if source.secret else f"the key {one.key[:100]!r}"
        yield source.fault(
            f"has {key} twice, in lines {one.first} and {one.again}, and the first is lost: write it once"
        )


def _unknown_keys(server: VirtualServer, configs: Sequence[_Part]) -> Iterator[Fault]:
    """Yield the parts with keys that the cloud-init of a Linux guest passes over without a word."""
    for source, config, *_ in configs if _is_linux(server) else ():
        found = cloud_config_keys.unknown(config)
        if found and source.secret:
            yield source.fault(f"has {counted(len(found), 'key')} that cloud-init does not know: no effect")
        elif found:
            some = [f"{key[:100]!r}{f' (did you mean {like}?)' if like else ''}" for key, like in found.items()]
            told = ", ".join(some[:_NAMED]) + (f" and {len(some) - _NAMED} more" if len(some) > _NAMED else "")
            yield source.fault(f"cloud-init knows no key {told}: it has no effect")


def _idle_keys(server: VirtualServer, configs: Sequence[_Part], modules: frozenset[str] | None) -> Iterator[Fault]:
    """Yield what no module of the image's cloud-init carries out."""
    if modules is None:
        return
    if server.spec.users and cloud_config_modules.without_effect(["users"], modules):
        yield Fault("spec.users", "the image's cloud-init makes no users: take another image")
    for source, config, *_ in configs:
        idle = cloud_config_modules.without_effect(config, modules)
        if idle:
            what = counted(len(idle), "key") if source.secret else ", ".join(idle[:_NAMED])
            yield source.fault(f"has {what}, for which the image's cloud-init has no module: it has no effect")


def _asked_for(server: VirtualServer, secrets: Secrets) -> dict[str, Any]:
    """Return what the manifest asks for in fields of its own."""
    config: dict[str, Any] = {"hostname": server.name}
    users = [_user(server, name, entries, secrets) for name, entries in _entries(server).items()]
    # A user that cannot be made ends cloud-init's work on all after it.
    users.sort(key=lambda user: _is_linux(server) and bool(accounts.fault_of(user["name"])))
    if users:
        config["users"] = users
    if any("passwd" in user for user in users):
        config["ssh_pwauth"] = True
    hook = dns.resolver_hook(server.spec.network)
    if hook:
        config["write_files"] = [{"path": dns.HOOK_PATH, "permissions": "0755", "content": hook}]
        config["runcmd"] = [["sh", dns.HOOK_PATH]]
    return config


def _entries(server: VirtualServer) -> dict[str, list[tuple[int, User]]]:
    """Return the entries of each name with their places: cloud-init passes over what a second one of a name says."""
    found: dict[str, list[tuple[int, User]]] = {}
    for index, user in enumerate(server.spec.users):
        found.setdefault(user.username, []).append((index, user))
    return found


def _user(server: VirtualServer, name: str, entries: Sequence[tuple[int, User]], secrets: Secrets) -> dict[str, Any]:
    """Return a user with the keys of all entries of its name."""
    entry: dict[str, Any] = {"name": name, "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}
    if _is_linux(server) and (group := accounts.group_of(name)):
        entry |= {"primary_group": group, "groups": [group]}  # cloud-init makes it only where it is among the groups
    password = _one_password(entries, secrets)
    if password:
        entry["lock_passwd"] = False
        entry["passwd"] = passwords.hashed(passwords.Password(server.uid, name, password))
    texts = (source.text for index, user in entries for source in _keys(index, user, secrets))
    authorized = list(dict.fromkeys(line for text in texts for line in public_keys.read(text).lines))
    if authorized:
        entry["ssh_authorized_keys"] = authorized
    return entry


def _one_password(entries: Sequence[tuple[int, User]], secrets: Secrets) -> str:
    """Return the first password among the entries of a name, which cloud-init took too; ``""`` for none."""
    return next(filter(None, (_password(index, user, secrets) for index, user in entries)), "")


def _password(index: int, user: User, secrets: Secrets) -> str:
    """Return the password of either field, ``""`` for none.

    The end of a Secret's last line is none of it, nor is the byte order mark of an editor.
    """
    found = user.password or text_of(references.password(index, user), secrets)
    return (found or "").removeprefix("\ufeff").rstrip("\r\n")


def _keys(index: int, user: User, secrets: Secrets) -> Iterator[_Source]:
    """Yield the texts that hold a user's public keys."""
    yield _Source(f"spec.users[{index}].sshpublickey", user.sshpublickey or "")
    if reference := references.authorized_keys(index, user):
        words = f"the key {reference.key} of Secret {reference.name}:"
        yield _Source(reference.path, text_of(reference, secrets) or "", words)


def _is_linux(server: VirtualServer) -> bool:
    return server.spec.os.type is OSType.LINUX


def _name_faults(server: VirtualServer) -> Iterator[Fault]:
    """Yield the names that no account of the guest can have."""
    for index, user in enumerate(server.spec.users if _is_linux(server) else ()):
        if why := accounts.fault_of(user.username):
            yield Fault(f"spec.users[{index}].username", f"{user.username[:100]!r} {why}")


def _second_passwords(server: VirtualServer, secrets: Secrets) -> Iterator[Fault]:
    """Yield the passwords beside which the same user has another one; what they are is not said."""
    for name, entries in _entries(server).items():
        given = [(index, user, word) for index, user in entries if (word := _password(index, user, secrets))]
        for index, user, password in given[1:]:
            first, _, counts = given[0]
            if password != counts:
                field = "password" if user.password else "passwordSecretRef"
                message = (
                    f"{name[:100]!r} has another password in spec.users[{first}], which counts: remove one of them"
                )
                yield Fault(f"spec.users[{index}].{field}", message)


def _key_faults(server: VirtualServer, secrets: Secrets, *, private: bool) -> Iterator[Fault]:
    """Yield the texts that hold something other than public keys, either with private keys among them or without."""
    for index, user in enumerate(server.spec.users):
        for source in _keys(index, user, secrets):
            found = public_keys.read(source.text)
            if found.fault and found.has_private_key == private:
                yield source.fault(found.fault)
