"""Passwords as crypt(5) has them, remembered: to hash one takes milliseconds, and a server may have 256."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from passlib.handlers.sha2_crypt import sha512_crypt

__all__ = ["LONGEST", "Password", "hashed", "is_known"]

LONGEST: Final = 511
"""Bytes of a password. Source: libxcrypt, ``CRYPT_MAX_PASSPHRASE_SIZE``: a guest's login refuses longer ones."""

_MOST: Final = 8192
"""Hashes that are remembered."""

_METHOD: Any = sha512_crypt
_SALT_CHARACTERS: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_known: dict[Password, str] = {}


class Password(NamedTuple):
    """A password of one user of one server."""

    uid: str
    username: str
    password: str


def is_known(password: Password) -> bool:
    """Return whether its hash is remembered, so that `hashed` takes no time."""
    return password in _known


def hashed(password: Password) -> str:
    """Return the password as crypt(5) has it; the salt is derived, so that the same input gives the same bytes.

    It differs between servers, between users and between passwords, which is all that a salt is for.
    """
    found = _known.get(password)
    if found is None:
        secret = hashlib.sha512(password.password.encode()).hexdigest()
        digest = hashlib.sha512("\0".join((password.uid, password.username, secret)).encode()).digest()
        salt = "".join(_SALT_CHARACTERS[octet % 64] for octet in digest[:16])
        found = str(_METHOD.using(salt=salt, rounds=5000).hash(password.password))
        while len(_known) >= _MOST:
            _known.pop(next(iter(_known)), None)
        _known[password] = found
    return found
