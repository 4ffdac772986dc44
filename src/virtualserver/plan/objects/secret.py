"""The Secret that holds what the guest is told at its first start."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from virtualserver.plan import first_start, ownership
from virtualserver.plan.objects import network_data
from virtualserver.plan.outcome import Apply

if TYPE_CHECKING:
    from virtualserver.plan.situation import Situation

__all__ = ["SUFFIX", "secret"]

(SUFFIX,) = ownership.SUFFIXES["Secret"]
"""What follows the server's name in the Secret's."""


def secret(situation: Situation) -> list[Apply]:
    """Return the Secret; none while something in it is waited for or wrong."""
    server, text = situation.server, situation.user_data.text
    if text is None:
        return []
    texts = {"userdata": text}
    if network := network_data.network_data(situation):
        texts["networkdata"] = network
    return [
        Apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": ownership.metadata(
                    server, f"{server.name}{SUFFIX}", annotations=first_start.record(situation)
                ),
                "type": "Opaque",
                "data": {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()},
            }
        )
    ]
