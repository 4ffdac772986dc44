"""Which annotations of a VirtualServer its machine and its Services get: an allow-list, never a deny-list.

Any other annotation could claim what is not the owner's: another tenant's address, another pool, a network of the site.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

from virtualserver.api import names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["AllowedAnnotations", "faults", "kept_back"]

_MACHINES: Final = ("cni.projectcalico.org/ipv4pools",)
_SERVICES: Final = (
    "external-dns.alpha.kubernetes.io/hostname",
    "service.beta.kubernetes.io/load-balancer-source-ranges",
)
_RESERVED: Final = (names.DOMAIN, "metallb.io", "metallb.universe.tf", "kubevirt.io", "kubectl.kubernetes.io")
"""Domains of keys that operator and node write and read themselves, with all below them."""

_DIRECTED: Final = (
    "cni.projectcalico.org",
    "external-dns.alpha.kubernetes.io",
    "k8s.v1.cni.cncf.io",
    "metallb.io",
    "metallb.universe.tf",
    "ovn.kubernetes.io",
    "service.beta.kubernetes.io",
)
"""Domains of keys that nobody writes but for a Service or a machine."""

_WHOLE_DOMAIN: Final = "*"
_PART: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = r"(?=.{1,253}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/"
_ALLOWED: Final = re.compile(rf"({_DOMAIN})?{_PART}|{_DOMAIN}\*")


@dataclasses.dataclass(frozen=True, slots=True)
class AllowedAnnotations:
    """The annotations that are passed on; ``DOMAIN/*`` stands for all of a domain.

    Attributes:
        machines: Those that a VirtualMachine's template, and so the instance, gets.
        services: Those that load balancer Services get. The headless one gets none: its addresses are others, so that
            a name in such an annotation would mean both.
    """

    machines: tuple[str, ...] = _MACHINES
    services: tuple[str, ...] = _SERVICES

    def of_machine(self, annotations: Mapping[str, str]) -> dict[str, str]:
        """Return those of a server's annotations that its machine gets."""
        return _passed(annotations, self.machines)

    def of_services(self, annotations: Mapping[str, str]) -> dict[str, str]:
        """Return those of a server's annotations that its load balancer Services get."""
        return _passed(annotations, self.services)


def kept_back(annotations: Mapping[str, str], allowed: AllowedAnnotations) -> list[str]:
    """Return the keys that are meant for a Service or a machine and reach none, sorted."""
    passed = allowed.of_machine(annotations).keys() | allowed.of_services(annotations).keys()
    return sorted(key for key, value in annotations.items() if value and _is_of(key, _DIRECTED) and key not in passed)


def faults(allowed: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield what an allow-list cannot say: the place in it, and value, reason and remedy."""
    seen: set[str] = set()
    for index, key in enumerate(allowed):
        if not _ALLOWED.fullmatch(key):
            yield index, f"{key!r} is no annotation's key: write DOMAIN/NAME, or DOMAIN/* for all of a domain"
        elif _is_of(key, _RESERVED):
            yield index, f"{key!r} is a key that operator and node write themselves: leave it out"
        if key in seen:
            yield index, f"{key!r} is there twice: remove one"
        seen.add(key)


def _passed(annotations: Mapping[str, str], allowed: Collection[str]) -> dict[str, str]:
    return {
        key: value
        for key, value in annotations.items()
        if value and not _is_of(key, _RESERVED) and (key in allowed or f"{_domain(key)}/{_WHOLE_DOMAIN}" in allowed)
    }


def _is_of(key: str, domains: Collection[str]) -> bool:
    """Return whether a key is of one of these domains, or of one below them."""
    return any(_domain(key) == domain or _domain(key).endswith(f".{domain}") for domain in domains)


def _domain(key: str) -> str:
    return key.rpartition("/")[0]
