"""What to do next about a condition whose message does not say it: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NEXT", "remedy"]

_LESS_ADDRESSES: Final = (
    "delete what holds an address (vs delete NAME, kubectl delete service NAME{where}), or ask an administrator"
)
NEXT: Final[Mapping[str, str]] = {
    Reason.VIRTUAL_SERVER_STOPPED: "vs start {name}{where}",
    Reason.VIRTUAL_MACHINE_INSTANCE_SHUTDOWN: "vs start {name}{where}; runStrategy: Always starts it by itself",
    Reason.RESTART_REQUIRED: "vs restart {name}{where}",
    Reason.ROOT_DISK_RESIZE_IN_PROGRESS: "vs restart {name}{where}",
    Reason.PROVISIONING: "wait; kubectl describe datavolume {name}{where} says how far the disk is",
    Reason.WAITING_FOR_GUEST: "wait while it boots; what it says: vs logs {name}{where}",
    Reason.PROBE_FAILING: "look in the guest whether what is asked for listens: vs ssh {name}{where} -- ss -ltn",
    Reason.FAILED: "mend what is named; it is tried again by itself",
    Reason.POOL_EXHAUSTED: _LESS_ADDRESSES,
    Reason.ADDRESS_QUOTA_EXCEEDED: _LESS_ADDRESSES,
    Reason.INSUFFICIENT_MEMORY: "stop another server (vs stop NAME), or ask for less in spec.resources.memory",
    Reason.MEMORY_EXCEEDS_MACHINE: "ask for less in spec.resources.memory",
    Reason.FIRST_START_ONLY: "make the change in the guest too: vs ssh {name}{where}. Or make the server anew on its "
    "disk: vs delete {name}{where} --keep-disk, and apply the manifest",
    Reason.PARTLY_APPLIED: "take what is named out of the manifest, or leave it for a cluster",
    Reason.NOT_SUPPORTED_YET: "take what is named out of the manifest",
    Reason.INVALID_SPEC: "mend the named field",
    Reason.INVALID_CLOUD_INIT: "mend the named line",
    Reason.MAC_ADDRESS_TAKEN: "choose another in spec.network.macAddress, or leave it out",
    Reason.WAITING_FOR_SECRET: "make the Secret in the server's namespace",
    Reason.WAITING_FOR_NETWORK: "make the VPC, or take it off the list",
}
"""By reason; ``{name}`` and ``{where}`` stand for the server's name and the option that names its namespace."""


def remedy(reason: str, message: str, *, name: str, where: str) -> str:
    """Return what a person does next, ``""`` where the message has the command, or nothing is to be done.

    Args:
        reason: Of the condition.
        message: Of the condition.
        name: The server's.
        where: The option that names its namespace, with a space before it; ``""`` for none.
    """
    if ": vs " in message:
        return ""
    return NEXT.get(reason, "").format(name=name, where=where)
