"""What the real cloud-init reads in the user data that we write."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from harness import cloud_init
from harness.planned_seed import planned_seed
from harness.virtualservers import a_secret, a_server
from virtualserver.plan.user_data import user_data_of

ADA: dict[str, Any] = {"username": "ada", "sshpublickey": "ssh-ed25519 A"}
SCRIPT = "#!/bin/sh\necho grüße: value\n"


def told(text: str, secret: str = "") -> cloud_init.Told:
    """Return what a guest does with a `cloudInit`, and with one by a Secret, beside the manifest's user."""
    spec: dict[str, Any] = {
        "cloudInit": text,
        "users": [ADA],
        **({"cloudInitSecretRef": {"name": "setup"}} if secret else {}),
    }
    found = user_data_of(a_server(**spec), {"setup": a_secret("setup", userdata=secret)})
    assert found.text is not None and not found.doubtful, found
    return cloud_init.read(found.text)


CONFIG = "hostname: mine\nusers: [{name: eve}]\nruncmd: [[one]]\n"
ARCHIVE = "#cloud-config-archive\n" + yaml.safe_dump(
    [{"type": "text/cloud-config", "content": CONFIG}, {"type": "text/x-shellscript", "content": "#!/bin/sh\n"}]
)
MIME = (
    'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="their own"\n\n'
    "--their own\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n"
    f"--their own\nContent-Type: text/cloud-config\n\n{CONFIG}--their own--\n"
)


@pytest.mark.parametrize("text", [SCRIPT, f"\ufeff\n{SCRIPT}"])
def test_fault_18_a_script_is_run_as_it_is_and_the_users_are_made(text: str) -> None:
    """canonical/cloud-init#3170: one letter that is not ASCII, and the script was not run."""
    found = told(text, "packages: [nginx]")
    assert found.files == [SCRIPT]
    assert [user["name"] for user in found.config["users"]] == ["ada"]
    assert (found.config["hostname"], found.config["packages"]) == ("web", ["nginx"])


@pytest.mark.parametrize("text", [ARCHIVE, MIME], ids=["an archive", "a MIME message"])
def test_fault_18_parts_win_over_ours_and_drop_no_user(text: str) -> None:
    """canonical/lxd#15015: keys that were added made `users`, which replaced those of the other part."""
    found = told(text, "runcmd: [[two]]")
    assert [script.strip() for script in found.files] == ["#!/bin/sh"]
    assert [user["name"] for user in found.config["users"]] == ["ada", "eve"]
    assert found.config["hostname"] == "mine"
    assert found.config["runcmd"] == [["two"], ["one"]]


def test_a_script_with_the_line_ends_of_windows_is_run() -> None:
    """canonical/cloud-init#2183: ``/bin/bash^M`` was looked for."""
    assert told(SCRIPT.replace("\n", "\r\n")).files == [SCRIPT]


def test_fault_18_a_boothook_is_run() -> None:
    found = told("#cloud-boothook\n#!/bin/sh\nkey: value\n")
    assert found.files == ["#!/bin/sh\nkey: value\n"]
    assert [user["name"] for user in found.config["users"]] == ["ada"]


def test_fault_19_files_of_users_are_written_after_the_users_are_made() -> None:
    text = "write_files: [{path: /etc/a}, {path: /srv/b, owner: 'ada:ada'}, {path: /home/ada/c}]"
    config = yaml.safe_load(user_data_of(a_server(cloudInit=text, users=[ADA]), {}).text or "")
    assert cloud_init.deferral(config) == [["/etc/a"], ["/srv/b", "/home/ada/c"]]


CARDS = ("02:00:00:00:00:01", "02:00:00:00:00:0b")


def written(renderer: str, *names: str) -> str:
    """Return what a renderer writes for a guest with a card on the cluster network and one on a VPC."""
    seed = planned_seed(a_server(network={"vpcs": [{"name": "blue"}]}), mac=CARDS[0], vpc_macs={"blue": CARDS[1]})
    files = cloud_init.rendered(yaml.safe_load(seed["networkdata"]), renderer, dict(zip(CARDS, names, strict=True)))
    return "\n".join(text for path, text in files.items() if "/rules.d/" not in path)


@pytest.mark.parametrize("names", [("eth0", "eth1"), ("ens3", "ens4")])
def test_ifupdown_asks_for_dhcp_on_the_cards_that_the_kernel_has(names: tuple[str, str]) -> None:
    """A configuration that does not fit its cards leaves a guest without network."""
    cards = (
        f"auto {names[0]}\niface {names[0]} inet dhcp\n\nauto {names[1]}\niface {names[1]} inet dhcp\n    metric 1001\n"
    )
    assert cards in written("eni", *names)


@pytest.mark.parametrize("renderer", ["netplan", "networkd"])
def test_what_systemd_networkd_is_told_has_the_search_list(renderer: str) -> None:
    found = written(renderer, "eth0", "eth1")
    assert ("use-domains: 'true'" if renderer == "netplan" else "UseDomains=true") in found
    assert ("use-dns: false" if renderer == "netplan" else "UseDNS=False") in found
    assert ("route-metric: 1001" if renderer == "netplan" else "RouteMetric=1001") in found, "of the VPC's card"
    if renderer == "networkd":  # which looks for the kernel's names; the address comes all the same
        other = written(renderer, "ens3", "ens4")
        assert "DHCP=ipv4" in other and "UseDomains" not in other
