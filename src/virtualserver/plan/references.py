"""Keys of Secrets that a manifest refers to, and the texts that they hold."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from virtualserver.kube import fields
from virtualserver.kube.objects import Manifest

if TYPE_CHECKING:
    from virtualserver.api.virtualserver import SecretKey, User, VirtualServer

__all__ = ["Reference", "Secrets", "authorized_keys", "beyond", "cloud_init", "password", "references", "text_of"]

Secrets = Mapping[str, Manifest]
"""The Secrets that exist of those that a manifest refers to, by name."""


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


def references(server: VirtualServer) -> tuple[Reference, ...]:
    """Return every Secret's key that the manifest refers to, in the order of its fields."""
    of_users = (
        reference
        for index, user in enumerate(server.spec.users)
        for reference in (password(index, user), authorized_keys(index, user))
    )
    return tuple(reference for reference in (*of_users, cloud_init(server)) if reference is not None)


def password(index: int, user: User) -> Reference | None:
    """Return where the password of a user is, None where the manifest names no Secret for it."""
    return _reference(f"spec.users[{index}].passwordSecretRef", user.password_secret_ref, "password")


def authorized_keys(index: int, user: User) -> Reference | None:
    """Return where the public keys of a user are, None where the manifest names no Secret for them."""
    path = f"spec.users[{index}].sshPublicKeysSecretRef"
    return _reference(path, user.ssh_public_keys_secret_ref, "authorized_keys")


def cloud_init(server: VirtualServer) -> Reference | None:
    """Return where the second part of the owner's cloud-config is, None where the manifest names no Secret for it."""
    return _reference("spec.cloudInitSecretRef", server.spec.cloud_init_secret_ref, "userdata")


def beyond(server: VirtualServer, secrets: Secrets, *, limit: int) -> Reference | None:
    """Return the reference with which all that the manifest refers to, each time it does, has more bytes than a limit.

    None where it all fits. Nothing is decoded for it.
    """
    total = 0
    for reference in references(server):
        total += len(fields.mapping(secrets.get(reference.name, {}), "data").get(reference.key) or "") * 3 // 4
        if total > limit:
            return reference
    return None


def text_of(reference: Reference | None, secrets: Secrets) -> str | None:
    """Return the text that a reference names, None where there is no reference, no such key, or no text in it."""
    found = secrets.get(reference.name) if reference else None
    encoded = fields.mapping(found, "data").get(reference.key) if reference and found else None
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _reference(path: str, given: SecretKey | None, default_key: str) -> Reference | None:
    return None if given is None else Reference(path, given.name, given.key or default_key)
