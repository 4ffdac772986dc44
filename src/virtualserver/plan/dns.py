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

_NAME: Final = "virtualserver-resolver-options"

HOOK_PATH: Final = f"/etc/dhcp/dhclient-exit-hooks.d/{_NAME}"
"""Where dhclient looks for what it shall do after each lease."""

_HOOK: Final = r"""# Sets the options of spec.network.dnsConfig: DHCP has no way to carry them.
if ! grep -qxF 'options {options}' /etc/resolv.conf; then
  virtualserver_resolver=$(grep -v '^options ' /etc/resolv.conf)
  printf '%s\noptions {options}\n' "$virtualserver_resolver" > /etc/resolv.conf
fi
if [ -d /run/systemd/resolve ] && [ ! -e {unit}.path ]; then
  printf '[Path]\nPathChanged=/run/systemd/resolve/stub-resolv.conf\n' > {unit}.path
  printf '[Install]\nWantedBy=multi-user.target\n' >> {unit}.path
  printf '[Unit]\nAfter=systemd-resolved.service\n[Service]\nType=oneshot\nExecStart=/bin/sh {hook}\n' > {unit}.service
  printf '[Install]\nWantedBy=multi-user.target\n' >> {unit}.service
  systemctl daemon-reload
  systemctl enable --now {name}.path {name}.service
fi
"""
"""Writes only what is not there, so that it is not called by what it writes itself."""


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
    by itself it does the same. systemd-resolved writes the file anew at every start and lease: there the script, which
    is run once, has systemd run it again whenever the file has changed.
    """
    wanted = options(network)
    if not wanted:
        return ""
    return _HOOK.format(
        options=" ".join(_quotable(option) for option in wanted),
        hook=HOOK_PATH,
        name=_NAME,
        unit=f"/etc/systemd/system/{_NAME}",
    )


def _quotable(option: str) -> str:
    """Return an option without what would end the quoted text: no option of a resolver has such characters."""
    return "".join(character for character in option if character.isalnum() or character in ":-_.")
