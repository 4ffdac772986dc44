"""Who has the installation's name, in words."""

from __future__ import annotations

from pathlib import Path

from virtualserver.fabric.orphans import Orphan, refusal

RUN = Path("/run/virtualserver/default")
OURS = "/usr/sbin/dnsmasq --conf-file=/run/virtualserver/default/fabric/dnsmasq.conf"
THEIRS = "/usr/sbin/dnsmasq --conf-file=/tmp/x/.run/default/fabric/dnsmasq.conf"


def test_what_a_lost_state_folder_left_is_ended_by_down() -> None:
    text = refusal("default", RUN, Orphan("vsh-0000a1", {7: OURS}))
    assert "vs-default hangs on link vsh-0000a1" in text
    assert "PID 7 (dnsmasq)" in text
    assert text.endswith("end them: vs down")


def test_an_installation_of_the_same_name_elsewhere_is_left_alone() -> None:
    text = refusal("default", RUN, Orphan("vsh-0000a1", {7: OURS, 8: THEIRS}))
    assert "PID 8 (dnsmasq)" in text
    assert "PID 7" not in text
    assert text.endswith("VS_INSTANCE=NAME vs up")
    assert "\n" not in text
    assert len(text) < 400, "a log's last line is cut where it is quoted"
