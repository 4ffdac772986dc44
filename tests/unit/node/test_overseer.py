from __future__ import annotations

from typing import Any

import pytest

from virtualserver.kube import kinds
from virtualserver.kube.trouble import Trouble
from virtualserver.node.overseer import conditions_of


@pytest.mark.parametrize(
    ("resource", "type_", "status"),
    [
        (kinds.VIRTUAL_MACHINE, "Failure", "True"),
        (kinds.VIRTUAL_MACHINE_INSTANCE, "Synchronized", "False"),
        (kinds.SERVICE, "virtualservers.coreweave.com/PortsPublished", "False"),
        (kinds.DATA_VOLUME, "Ready", "False"),
    ],
)
def test_each_kind_says_by_a_condition_that_it_has_already_that_it_is_in_trouble(
    resource: Any, type_: str, status: str
) -> None:
    """Fault 13: on the node too nobody waits without a word."""
    live = {"metadata": {"name": "x"}, "status": {"conditions": [{"type": "Other", "status": "True"}]}}
    found = conditions_of(resource, live, Trouble("Error", "a fault"), now=0)
    told = {key: value for key, value in found[0].items() if key != "lastTransitionTime"}
    assert told == {"type": type_, "status": status, "reason": "Error", "message": "a fault"}
    assert found[1]["type"] == "Other"
