"""What the guest is told at its first start: the ``#cloud-config`` that a Secret holds for it.

How the owner's ``cloudInit`` is merged with what the manifest asks for: mappings merge key by key, at every depth;
lists are joined, ours first, repeats dropped; of two users of one name the entries merge; in all other cases the
owner's value wins. So ``runcmd`` adds commands, ``users`` adds users, and ``hostname`` replaces the name.

Passwords leave this module hashed only, and no message holds what a Secret holds.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import yaml
from passlib.handlers.sha2_crypt import sha512_crypt

from virtualserver.api import validation
from virtualserver.api.faults import Fault
from virtualserver.kube import fields
from virtualserver.plan import dns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from virtualserver.api.virtualserver import SecretKey, User, VirtualServer
    from virtualserver.kube.objects import Manifest

    Secrets = Mapping[str, Manifest]
    """The Secrets that exist of those that a manifest refers to, by name."""

__all__ = ["Reference", "UserData", "merge", "references", "user_data_of"]

_SECRET_LIMIT: Final = 1024 * 1024
"""Bytes in a Secret. Source: Kubernetes, "Secrets"."""

_PASSWORD_LIMIT: Final = 4096
"""Bytes of a password: what is hashed at most."""

_NESTING: Final = 100
"""Levels of lists and mappings in each other: libyaml's loader ends the whole process where there are too many."""

_DEFAULT_KEYS: Final = {"passwordSecretRef": "password", "sshPublicKeysSecretRef": "authorized_keys"}
_CLOUD_INIT_KEY: Final = "userdata"

_METHOD: Any = sha512_crypt
_SALT_CHARACTERS: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Reference(NamedTuple):
    """A key of a Secret that the manifest refers to.

    Attributes:
        path: The field that refers.
        name: The Secret's name.
        key: The key in it.
    """

    path: str
    name: str
    key: str


@dataclasses.dataclass(frozen=True, slots=True)
class UserData:
    """What the guest is told, or why that cannot be said.

    Attributes:
        text: The cloud-config; None where anything below is there.
        missing: Each Secret, or key in one, that is waited for: its field, and what to do.
        bad_passwords: Passwords that no account can have.
        bad_cloud_init: What cannot be merged, or does not fit.
    """

    text: str | None = None
    missing: tuple[str, ...] = ()
    bad_passwords: tuple[Fault, ...] = ()
    bad_cloud_init: tuple[Fault, ...] = ()


def user_data_of(server: VirtualServer, secrets: Secrets) -> UserData:
    """Return what the guest of a server is told.

    Args:
        server: As decoded.
        secrets: Those that exist of the Secrets that its manifest refers to, by name.
    """
    messages = (_missing(reference, secrets) for reference in references(server))
    missing = tuple(message for message in messages if message)
    passwords = tuple(_password_faults(server, secrets))
    cloud_init = tuple(_cloud_init_faults(server, secrets))
    if missing or passwords or cloud_init:
        return UserData(None, missing, passwords, cloud_init)
    text = _text_of(server, secrets)
    if len(text.encode()) > _SECRET_LIMIT:
        message = "with the users it does not fit in a Secret of 1 MiB: let the guest fetch the rest itself"
        return UserData(bad_cloud_init=(Fault("spec.cloudInit", message),))
    return UserData(text)


def references(server: VirtualServer) -> tuple[Reference, ...]:
    """Return every Secret's key that the manifest refers to, in the order of its fields."""
    return tuple(_references(server))


def _references(server: VirtualServer) -> Iterator[Reference]:
    for index, user in enumerate(server.spec.users):
        for field, given in (
            ("passwordSecretRef", user.password_secret_ref),
            ("sshPublicKeysSecretRef", user.ssh_public_keys_secret_ref),
        ):
            if given:
                yield Reference(f"spec.users[{index}].{field}", given.name, given.key or _DEFAULT_KEYS[field])
    given = server.spec.cloud_init_secret_ref
    if given:
        yield Reference("spec.cloudInitSecretRef", given.name, given.key or _CLOUD_INIT_KEY)


def _missing(reference: Reference, secrets: Secrets) -> str:
    """Say what is waited for, ``""`` for nothing."""
    found = secrets.get(reference.name)
    if found is None:
        return f"{reference.path}: waiting for Secret {reference.name} with the key {reference.key}: create it"
    if _text(found, reference.key) is None:
        return f"{reference.path}: waiting for the key {reference.key} in Secret {reference.name}, as text: add it"
    return ""


def _cloud_init_faults(server: VirtualServer, secrets: Secrets) -> Iterator[Fault]:
    if server.spec.cloud_init:
        fault = _mapping_fault(server.spec.cloud_init, "spec.cloudInit")
        if fault:
            yield fault
    given = server.spec.cloud_init_secret_ref
    text = _resolve(given, _CLOUD_INIT_KEY, secrets)
    if given and text and _mapping_fault(text, "spec.cloudInitSecretRef"):
        # What is wrong may quote the Secret, so only where it stands is said.
        message = f"the key {given.key or _CLOUD_INIT_KEY} of Secret {given.name} is no YAML mapping: correct it"
        yield Fault("spec.cloudInitSecretRef", message)


def _password_faults(server: VirtualServer, secrets: Secrets) -> Iterator[Fault]:
    """Yield the passwords that no account can have; what they are is not said."""
    for index, user in enumerate(server.spec.users):
        password = _password(user, secrets)
        field = "password" if user.password else "passwordSecretRef"
        if "\0" in password:
            yield Fault(f"spec.users[{index}].{field}", "the password holds a NUL character: choose one without")
        if len(password.encode()) > _PASSWORD_LIMIT:
            message = f"the password is longer than {_PASSWORD_LIMIT} bytes: choose a shorter one"
            yield Fault(f"spec.users[{index}].{field}", message)


def _mapping_fault(text: str, path: str) -> Fault | None:
    try:
        _load(text)
    except yaml.YAMLError:
        return validation.cloud_init_fault(text, path=path) or Fault(path, "is no YAML mapping: correct it")
    except RecursionError:
        return Fault(path, f"is nested deeper than {_NESTING} levels: write it flatter")
    except ValueError as error:
        return Fault(path, f"has a value that cannot be read ({type(error).__name__}): correct it")
    return None


def _text_of(server: VirtualServer, secrets: Secrets) -> str:
    """Return the cloud-config of a server with which nothing is wrong."""
    config: dict[str, Any] = {"hostname": server.name}
    users = [_user(server, user, secrets) for user in server.spec.users]
    if users:
        config["users"] = users
    if any("passwd" in user for user in users):
        config["ssh_pwauth"] = True
    hook = dns.resolver_hook(server.spec.network)
    if hook:
        config["write_files"] = [{"path": dns.HOOK_PATH, "permissions": "0755", "content": hook}]
        config["runcmd"] = [["sh", dns.HOOK_PATH]]
    config = merge(config, _load(server.spec.cloud_init))
    config = merge(config, _load(_resolve(server.spec.cloud_init_secret_ref, _CLOUD_INIT_KEY, secrets) or ""))
    return "#cloud-config\n" + yaml.dump(
        config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1 << 20
    )


def _user(server: VirtualServer, user: User, secrets: Secrets) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": user.username, "sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}
    password = _password(user, secrets)
    if password:
        entry["lock_passwd"] = False
        entry["passwd"] = _hashed(server.uid, user.username, password)
    keys = _resolve(user.ssh_public_keys_secret_ref, _DEFAULT_KEYS["sshPublicKeysSecretRef"], secrets)
    lines = [line.strip() for text in (user.sshpublickey, keys) if text for line in text.splitlines()]
    authorized = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if authorized:
        entry["ssh_authorized_keys"] = authorized
    return entry


def _password(user: User, secrets: Secrets) -> str:
    """Return the password of either field, ``""`` for none; the end of a Secret's last line is none of it."""
    found = user.password or _resolve(user.password_secret_ref, _DEFAULT_KEYS["passwordSecretRef"], secrets)
    return (found or "").rstrip("\n")


@functools.lru_cache(maxsize=1024)
def _hashed(uid: str, username: str, password: str) -> str:
    """Return the password as crypt(5) has it; the salt is derived, so that the same input gives the same bytes.

    It differs between servers, between users and between passwords, which is all that a salt is for.
    """
    digest = hashlib.sha512("\0".join((uid, username, hashlib.sha512(password.encode()).hexdigest())).encode()).digest()
    salt = "".join(_SALT_CHARACTERS[octet % 64] for octet in digest[:16])
    return str(_METHOD.using(salt=salt, rounds=5000).hash(password))


def _resolve(reference: SecretKey | None, default_key: str, secrets: Secrets) -> str | None:
    """Return the text that a reference names, None where there is no reference or no such text."""
    if reference is None:
        return None
    found = secrets.get(reference.name)
    return None if found is None else _text(found, reference.key or default_key)


def _text(found: Manifest, key: str) -> str | None:
    encoded = fields.mapping(found, "data").get(key)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def merge(ours: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return both mappings as one, by the rules in this module's docstring."""
    result = dict(ours)
    for key, value in theirs.items():
        result[key] = _merged(key, result[key], value) if key in result else value
    return result


def _merged(key: str, ours: Any, theirs: Any) -> Any:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return merge(cast("dict[str, Any]", ours), cast("dict[str, Any]", theirs))
    if isinstance(ours, list) and isinstance(theirs, list):
        mine, others = cast("list[Any]", ours), cast("list[Any]", theirs)
        return _merged_users(mine, others) if key == "users" else mine + [item for item in others if item not in mine]
    return theirs


def _merged_users(ours: list[Any], theirs: list[Any]) -> list[Any]:
    result = list(ours)
    places = {_user_name(user): place for place, user in enumerate(result)}
    for user in theirs:
        name = _user_name(user)
        if name is not None and name in places:
            result[places[name]] = merge(result[places[name]], user)
        elif user not in result:
            result.append(user)
    return result


def _user_name(user: Any) -> str | None:
    """Return the name of a user's entry; cloud-init also knows entries that are a text, such as ``default``."""
    name = cast("dict[str, Any]", user).get("name") if isinstance(user, dict) else None
    return name if isinstance(name, str) else None


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one: a large cloudInit must not hold up every other server."""


def _load(text: str) -> dict[str, Any]:
    """Read a YAML mapping; an empty text is an empty one.

    Raises:
        yaml.YAMLError: The text is no YAML, or something other than a mapping.
        RecursionError: It is nested too deeply.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _NESTING:
            raise RecursionError
    value = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is the safe loader
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise yaml.YAMLError("no mapping")
    return cast("dict[str, Any]", value)


def _represent_text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper: Any = type("_Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
"""Writes texts of several lines as blocks, as a reader would."""
_Dumper.add_representer(str, _represent_text)
