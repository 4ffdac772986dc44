"""MAC addresses that nobody chose: each follows from a name, so it stays when its machine is made again.

It follows from a secret of the installation too. From the name alone anybody could compute another's address and take
it, as versions before did; what they gave stays.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MacKey", "canonical", "unkeyed"]


@dataclasses.dataclass(frozen=True, slots=True)
class MacKey:
    """The secret under which addresses are derived, and the addresses that were given before there was one.

    Attributes:
        key: 32 secret bytes.
        recorded: By the UID of a VirtualServer or VirtualMachine: the address that it had in a version before.
    """

    key: bytes = dataclasses.field(repr=False)
    recorded: Mapping[str, str]

    @classmethod
    def decode(cls, text: str | bytes) -> MacKey:
        """Return what the file of the installation holds.

        Raises:
            ValueError: It is no such file.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            return cls(bytes.fromhex(content["key"]), dict(content["recorded"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"is no MAC key ({error}): restore it from a backup of the state folder") from None

    def of_server(self, namespace: str, name: str, *, uid: str, present: str | None = None) -> str:
        """Return the MAC address of a VirtualServer that names none: local, unicast, lower case with colons.

        Args:
            namespace: The server's; names repeat between namespaces.
            name: The server's.
            uid: The server's.
            present: The address that its VirtualMachine has now, None where there is none.

        Source: the seed, "Custom MAC addresses": persistent, derived from the Virtual Server's name.
        """
        return self._of(f"{namespace}/{name}", uid, present)

    def of_machine(self, uid: str) -> str:
        """Return the MAC address of a VirtualMachine that belongs to no server and names none."""
        return self._of(uid, uid, None)

    def of_vpc(self, namespace: str, name: str, vpc: str) -> str:
        """Return the MAC address of a machine's NIC on a VPC, the same as long as all three names are.

        Args:
            namespace: The machine's, and so the VPC's.
            name: The machine's, which is its server's.
            vpc: The VPC's.
        """
        # No server's text has two slashes, and no UID has one.
        return _address(hmac.digest(self.key, f"{namespace}/{name}/{vpc}".encode(), "sha256"))

    def bridge_of(self, namespace: str, vpc: str) -> str:
        """Return 12 hexadecimal digits that stand for a VPC, and that nobody can make another VPC have."""
        return hmac.digest(self.key, f"bridge {namespace}/{vpc}".encode(), "sha256").hex()[:12]

    def _of(self, text: str, uid: str, present: str | None) -> str:
        former = unkeyed(text)
        if former in (self.recorded.get(uid), present):
            return former
        return _address(hmac.digest(self.key, text.encode(), "sha256"))


def canonical(mac: str) -> str:
    """Return a MAC address, which may have dashes and capitals, in lower case with colons."""
    return mac.replace("-", ":").lower()


def unkeyed(text: str) -> str:
    """Return the address that versions without a key derived from a text."""
    return _address(hashlib.sha256(text.encode()).digest())


def _address(digest: bytes) -> str:
    octets = bytearray(digest[:6])
    octets[0] = octets[0] & 0b1111_1100 | 0b0000_0010
    return octets.hex(":")
