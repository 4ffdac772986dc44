from __future__ import annotations

from virtualserver.api.support.virtual_server import VIRTUAL_SERVER
from virtualserver.console.told import TOLD


def test_every_field_says_when_a_change_of_it_is_had() -> None:
    effects = {one["path"]: one["effect"] for one in TOLD["effects"]}
    assert len(effects) == len(VIRTUAL_SERVER)
    assert effects["spec.network.tcp.ports"] == "now"
    assert effects["spec.network.directAttachLoadBalancerIP"] == "nextStart"
    assert effects["spec.users[].username"] == "newMachine"


def test_the_words_of_what_to_do_next_are_those_of_the_command_line() -> None:
    assert TOLD["remedies"]["VirtualServerStopped"] == "vs start {name}{where}"
