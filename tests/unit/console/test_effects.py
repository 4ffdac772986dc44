from __future__ import annotations

from virtualserver.api.support.virtual_server import VIRTUAL_SERVER
from virtualserver.console.effects import EFFECTS


def test_every_field_says_when_a_change_of_it_is_had() -> None:
    effects = {one["path"]: one["effect"] for one in EFFECTS}
    assert len(effects) == len(VIRTUAL_SERVER)
    assert effects["spec.network.tcp.ports"] == "now"
    assert effects["spec.network.directAttachLoadBalancerIP"] == "nextStart"
    assert effects["spec.users[].username"] == "newMachine"
