"""The table of kinds: what the operator and the refusals read from it is what the objects' modules do."""

from __future__ import annotations

import pytest

from harness import situations
from virtualserver.kube import kinds
from virtualserver.plan.objects.table import KINDS, ChildKind

EXAMPLES = situations.examples()
NAMES = {kind.resource.kind: set(kind.names("web")) for kind in KINDS}


@pytest.mark.parametrize("folder", situations.folders())
def test_every_planned_object_is_of_a_kind_and_name_that_the_operator_follows(folder: str) -> None:
    for manifest in EXAMPLES[folder].objects.values():
        if "remove" not in manifest and manifest["kind"] != "EndpointSlice":  # named after its Service
            assert manifest["metadata"]["name"] in NAMES[manifest["kind"]]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource.kind)
def test_an_objects_name_leads_back_to_its_server(kind: ChildKind) -> None:
    for name in kind.names("web"):
        assert "web" in kind.servers(name)
    assert kind.servers("elsewhere") in ((), ("elsewhere",))


def test_a_name_may_be_of_several_servers() -> None:
    (service,) = (kind for kind in KINDS if kind.resource is kinds.SERVICE)
    assert set(service.servers("web-tcp")) == {"web", "web-tcp"}
