"""Where the control plane's programs come from.

Tests: ``tests/unit/controlplane/test_programs.py``, ``tests/integration/controlplane/test_programs.py``.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from virtualserver.controlplane import errors

if TYPE_CHECKING:
    from virtualserver.instance import Instance

__all__ = ["NAMES", "Origin", "Programs", "Progress", "find"]

NAMES: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
"""The programs of a control plane."""

Origin = Literal["named", "cache", "build", "official"]
"""Where programs come from."""

Progress = Callable[[str, float | None], None]
"""Told what is waited for, and the share that is done, 0..1, None where that is unknown."""


@dataclasses.dataclass(frozen=True, slots=True)
class Programs:
    """The programs of a control plane, all four.

    Attributes:
        folder: Where they lie.
        origin: Where they come from.
    """

    folder: Path
    origin: Origin

    @property
    def kubectl(self) -> Path:
        """The client."""
        return self.folder / "kubectl"


def find(instance: Instance, *, named: Path | None = None) -> Programs | None:
    """Return the programs that are there without a build or a download, None where there are none.

    Args:
        instance: Its root holds the cache.
        named: A folder that its owner names; None: the one that ``VS_CONTROLPLANE`` names, if any.

    Raises:
        ControlPlaneError: The named folder lacks a program.
    """
    named = named or (Path(os.environ["VS_CONTROLPLANE"]) if os.environ.get("VS_CONTROLPLANE") else None)
    if named:
        if missing := [name for name in NAMES if not os.access(named / name, os.X_OK)]:
            raise errors.ControlPlaneError(f"{named}: no executable {', '.join(missing)}")
        return Programs(named, "named")
    return None
