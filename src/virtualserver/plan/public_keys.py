"""Public keys, one a line, as sshd's AuthorizedKeysFile has them; and what people write in their place.

Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT"; RFC 4253, section 6.6.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple

__all__ = ["PublicKeys", "read"]

_QUOTED: Final = re.compile(r'"(?:\\.|[^"\\])*"')
_KEY: Final = re.compile(r"(?:^|[\s,])((?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+)\s+(\S+)")
_BLOCK: Final = re.compile(r"-{4,5} ?BEGIN ")
_NAMED: Final = 3
"""Lines that a message names."""


class PublicKeys(NamedTuple):
    """What a text holds.

    Attributes:
        lines: The keys, and what may be one to an sshd that knows more than we do.
        fault: Which lines are no public keys, and why; ``""``: none. It quotes nothing.
        has_private_key: Whether one was a private key, which is left out.
    """

    lines: tuple[str, ...]
    fault: str = ""
    has_private_key: bool = False


def read(text: str) -> PublicKeys:
    """Read a text; its byte order mark and carriage returns are none of it, nor are comments."""
    lines: list[str] = []
    faults: list[str] = []
    is_private = is_block = False
    for number, raw in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = raw.strip()
        if _BLOCK.match(line):
            is_block = True
            is_private |= "PRIVATE KEY" in line
            kind = "a private key" if "PRIVATE KEY" in line else "in another format"
            faults.append(f"line {number} begins what is {kind}")
        elif is_block:
            is_block = not line.startswith("----")
        elif line and not line.startswith("#"):
            lines.append(line)
            if why := _fault(line):
                faults.append(f"line {number} {why}")
    told = "; ".join(faults[:_NAMED]) + (f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else "")
    remedy = "write each public key as one whole line, as it stands in id_ed25519.pub"
    return PublicKeys(tuple(lines), f"{told}: {remedy}" if faults else "", is_private)


def _fault(line: str) -> str:
    found = _KEY.search(_QUOTED.sub('""', line))
    if found is None:
        return "is no public key"
    kind, encoded = found.groups()
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return "is a public key with characters that it cannot have"
    return "" if _is_whole(blob, kind) else "is a public key that is cut, or broken over lines"


def _is_whole(blob: bytes, kind: str) -> bool:
    """Return whether a key consists of whole strings, each after its length, of which the first is its kind."""
    if "-cert-" in kind:  # it has numbers between its strings
        return blob[4:].startswith(kind.encode())
    strings: list[bytes] = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            return False
        strings.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return len(strings) > 1 and strings[0] == kind.encode()
