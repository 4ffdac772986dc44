"""The resolver part of a machine: the DNS policy and configuration, in the words that pods have for them.

Kubernetes (on one machine the node) turns them into what the guest is told by DHCP: the policy's nameservers and
searches first, the configuration's after them, repeats dropped. What DHCP cannot carry, the options, is written into
the guest by cloud-init.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from virtualserver.api.virtualserver import Network

__all__ = ["HOOK_PATH", "machine_fields", "options", "resolver_hook"]

HOOK_PATH: Final = "/etc/dhcp/dhclient-exit-hooks.d/virtualserver-resolver-options"
"""Where dhclient looks for what it shall do after each lease."""


def machine_fields(network: Network) -> dict[str, Any]:
    """Return ``dnsPolicy`` and, where there is any, ``dnsConfig`` of the machine's template."""
    config = {key: value for key, value in network.dns_config.items() if value}
    fields: dict[str, Any] = {"dnsPolicy": network.dns_policy.value}
    if config:
        fields["dnsConfig"] = config
    return fields


def options(network: Network) -> tuple[str, ...]:
    """Return the resolver options as ``resolv.conf`` writes them: ``ndots:2``, ``edns0``."""
    given: list[Mapping[str, Any]] = network.dns_config.get("options") or []
    return tuple(
        f"{option['name']}:{option['value']}" if option.get("value") not in (None, "") else str(option["name"])
        for option in given
        if option.get("name")
    )


def resolver_hook(network: Network) -> str:
    """Return the script that sets the resolver options, ``""`` where there are none.

    dhclient reads it as a part of its own script after each lease, so it must neither exit nor change the shell; run
    by itself it does the same.
    """
    wanted = options(network)
    if not wanted:
        return ""
    line = "options " + " ".join(_quotable(option) for option in wanted)
    return (
        "# Sets the options of spec.network.dnsConfig: DHCP has no way to carry them.\n"
        "virtualserver_resolver=$(grep -v '^options ' /etc/resolv.conf)\n"
        f"printf '%s\\n{line}\\n' \"$virtualserver_resolver\" > /etc/resolv.conf\n"
    )


def _quotable(option: str) -> str:
    """Return an option without what would end the quoted text: no option of a resolver has such characters."""
    return "".join(character for character in option if character.isalnum() or character in ":-_.")
