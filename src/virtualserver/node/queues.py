"""The work that waits: for each controller of the node the keys that it is to look at.

The queues exist before the controllers. So whoever learns of a change says which keys it concerns, and needs to know no
controller; each queue has one controller that empties it.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from virtualserver.kube.objects import Key
from virtualserver.kube.queue import Queue

__all__ = ["Queues"]

_SWEEP: Final = "all"
_SWEEP_SECONDS: Final = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Queues:
    """Keys of objects that need a look.

    Attributes:
        vms: VirtualMachines.
        vmis: VirtualMachineInstances, whether they still exist or not.
        services: Services.
        volumes: DataVolumes, and claims that are images.
        sweep: One key, for what nobody holds any more.
    """

    vms: Queue[Key] = dataclasses.field(default_factory=Queue[Key])
    vmis: Queue[Key] = dataclasses.field(default_factory=Queue[Key])
    services: Queue[Key] = dataclasses.field(default_factory=Queue[Key])
    volumes: Queue[Key] = dataclasses.field(default_factory=Queue[Key])
    sweep: Queue[str] = dataclasses.field(default_factory=Queue[str])

    def sweep_soon(self) -> None:
        """Have a look at what can be freed, in a moment: several changes at a time need one look."""
        self.sweep.add(_SWEEP, after=_SWEEP_SECONDS)
