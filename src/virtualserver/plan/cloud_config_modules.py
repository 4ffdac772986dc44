"""Which of cloud-init's modules carries out which key of a cloud-config: an image may lack some.

An image of ours says by an annotation which modules it has. Of other images nothing is known, and nothing is said.
Source: cloud-init, "Module reference"; keys that no module reads alone are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.api import names
from virtualserver.kube import fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.kube.objects import Manifest

__all__ = ["MODULES", "modules_of", "without_effect"]

MODULES: Final = {
    "ansible": "ansible",
    "apk-configure": "apk_repos",
    "apt-configure": "apt apt_mirror apt_mirror_search apt_pipelining apt_preserve_sources_list apt_proxy apt_sources",
    "bootcmd": "bootcmd",
    "byobu": "byobu_by_default",
    "ca-certs": "ca-certs ca_certs",
    "chef": "chef",
    "disk_setup": "disk_setup fs_setup",
    "fan": "fan",
    "final-message": "final_message",
    "growpart": "growpart",
    "grub-dpkg": "grub-dpkg grub_dpkg",
    "keyboard": "keyboard",
    "landscape": "landscape",
    "locale": "locale locale_configfile",
    "lxd": "lxd",
    "mcollective": "mcollective",
    "mounts": "mounts mount_default_fields swap",
    "ntp": "ntp",
    "package-update-upgrade-install": (
        "packages package_update package_upgrade package_reboot_if_required apt_update apt_upgrade "
        "apt_reboot_if_required"
    ),
    "phone-home": "phone_home",
    "power-state-change": "power_state",
    "puppet": "puppet",
    "resizefs": "resize_rootfs",
    "resolv_conf": "manage_resolv_conf resolv_conf",
    "rh_subscription": "rh_subscription",
    "rsyslog": "rsyslog",
    "runcmd": "runcmd",
    "salt-minion": "salt_minion",
    "seed_random": "random_seed",
    "set-passwords": "chpasswd password ssh_pwauth",
    "set_hostname": "hostname fqdn preserve_hostname prefer_fqdn_over_hostname create_hostname_file",
    "snap": "snap",
    "spacewalk": "spacewalk",
    "ssh": "disable_root ssh ssh_authorized_keys ssh_deletekeys ssh_genkeytypes ssh_keys",
    "ssh-import-id": "ssh_import_id",
    "timezone": "timezone",
    "ubuntu-advantage": "ubuntu_advantage ubuntu_pro",
    "ubuntu-drivers": "drivers",
    "update_etc_hosts": "manage_etc_hosts",
    "users-groups": "groups user users",
    "wireguard": "wireguard",
    "write-files": "write_files",
    "yum-add-repo": "yum_repos yum_repo_dir",
    "zypper-add-repo": "zypper",
}
"""The keys of each module, as it is named in ``/etc/cloud/cloud.cfg``."""

_MODULE_OF: Final = {key: module for module, keys in MODULES.items() for key in keys.split()}


def modules_of(image: Manifest | None) -> frozenset[str] | None:
    """Return the modules that an image has, None where it does not say."""
    told = fields.annotations_of(image or {"metadata": {}}).get(names.CLOUD_INIT_MODULES)
    return None if told is None else frozenset(told.replace(",", " ").split())


def without_effect(keys: Iterable[str], modules: frozenset[str]) -> list[str]:
    """Return those of some keys that none of these modules carries out."""
    return [key for key in keys if key in _MODULE_OF and _MODULE_OF[key] not in modules]
