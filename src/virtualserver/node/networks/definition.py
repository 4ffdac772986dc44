"""What a NetworkAttachmentDefinition asks for, as far as it is carried out here: pure.

A VPC is the definition's namespace and name; ``bridge`` in its configuration is only a name. What is not carried out is
named, never dropped in silence.
Source: the CNI specification 1.1, and the documentation of CNI's plugin bridge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from virtualserver.fabric.desired.entries import MTUS
from virtualserver.kube import fields

if TYPE_CHECKING:
    from virtualserver.kube.objects import Manifest

__all__ = ["DEFAULT_MTU", "DefinitionError", "mtu_of"]

DEFAULT_MTU: Final = 1500
"""Bytes, where the configuration names no MTU."""

_LONGEST: Final = 1 << 16
_HONOURED: Final = frozenset({"cniVersion", "name", "type", "bridge", "mtu", "macspoofchk"})
_PER_SERVER: Final = {
    "ipam": "a VPC has the addresses that its guests give it, by hand or by a DHCP server of their own",
    "vlan": "guests tag their frames themselves",
    "vlanTrunk": "guests tag their frames themselves",
    "isGateway": "the machine has no address on a VPC: run a server that is the gateway",
    "isDefaultGateway": "the machine has no address on a VPC: run a server that is the gateway",
    "ipMasq": "nothing is translated on a VPC: run a server that does it",
}
"""What to do instead of what is not carried out."""


class DefinitionError(Exception):
    """The definition cannot be carried out; the message names the keys and says what to do."""


def mtu_of(definition: Manifest) -> int:
    """Return the MTU of a VPC's NICs, in bytes, which is all that its definition decides.

    Raises:
        DefinitionError: It is no configuration of a bridge, or asks for more than that.
    """
    config = _plugin_of(_parsed(str(fields.mapping(definition, "spec").get("config") or "")))
    kind = config.get("type")
    if kind != "bridge":
        raise DefinitionError(f'spec.config: type {kind!r} is not carried out here: write "bridge"')
    # A key that asks for nothing (an empty ipam, a false isGateway) is as good as none.
    refused = sorted(key for key, value in config.items() if key not in _HONOURED and value)
    if refused:
        told = "; ".join(f"{key} ({_PER_SERVER[key]})" if key in _PER_SERVER else key for key in refused)
        raise DefinitionError(f"spec.config: not carried out here, so remove it: {told}")
    if config.get("macspoofchk", True) is not True:
        raise DefinitionError(
            "spec.config: macspoofchk cannot be switched off: a guest sends under its own MAC: leave it out"
        )
    mtu = config.get("mtu") or DEFAULT_MTU
    if not isinstance(mtu, int) or isinstance(mtu, bool) or not MTUS[0] <= mtu <= MTUS[1]:
        raise DefinitionError(f"spec.config: mtu {mtu!r}: write a number from {MTUS[0]} to {MTUS[1]}")
    return mtu


def _parsed(text: str) -> Mapping[str, Any]:
    if not text.strip():
        raise DefinitionError('spec.config is empty: write {"cniVersion": "0.3.1", "type": "bridge"}')
    if len(text) > _LONGEST:
        raise DefinitionError(f"spec.config has {len(text)} characters, {_LONGEST} are read")
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DefinitionError(f"spec.config is no JSON object: {error}") from None


def _plugin_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration of the one plugin that a list names, and one that is no list as it is."""
    if "plugins" not in config:
        return config
    plugins: Any = config["plugins"]
    if not isinstance(plugins, list) or len(cast("list[Any]", plugins)) != 1 or not isinstance(plugins[0], Mapping):
        raise DefinitionError("spec.config: plugins: name one plugin, the bridge")
    beside = {key: value for key, value in config.items() if key not in ("plugins", "disableCheck")}
    return {**beside, **cast("Mapping[str, Any]", plugins[0])}
