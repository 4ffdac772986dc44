"""The keys of a cloud-config that cloud-init knows.

Source: cloud-init's schema of cloud-config, version 22.4; what other versions read; its own settings.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KNOWN", "unknown"]

KNOWN: Final = frozenset(
    """
    allow_public_ssh_keys allow_userdata ansible apk_repos apt apt_http_proxy apt_https_proxy apt_mirror
    apt_mirror_search apt_pipelining apt_preserve_sources_list apt_proxy apt_reboot_if_required apt_sources apt_update
    apt_upgrade authkey_hash autoinstall bootcmd byobu_by_default ca-certs ca_certs chef chpasswd cloud_config_modules
    cloud_final_modules cloud_init_modules create_hostname_file datasource datasource_list debug def_log_file
    device_aliases disable_ec2_metadata disable_root disable_root_opts disk_setup drivers fan final_message fqdn
    fs_setup groups growpart grub-dpkg grub_dpkg hostname keyboard landscape launch-index locale locale_configfile
    log_cfgs lxd manage_etc_hosts manage_resolv_conf mcollective merge_how merge_type migrate mount_default_fields
    mounts network no_ssh_fingerprints ntp output package_reboot_if_required package_update package_upgrade packages
    password phone_home power_state prefer_fqdn_over_hostname preserve_hostname puppet random_seed reporting
    resize_rootfs resolv_conf rh_subscription rpi rsyslog runcmd salt_minion snap spacewalk ssh ssh_authorized_keys
    ssh_deletekeys ssh_fp_console_blacklist ssh_genkeytypes ssh_import_id ssh_key_console_blacklist ssh_keys
    ssh_publish_hostkeys ssh_pwauth ssh_quiet_keygen swap syslog_fix_perms system_info timezone ubuntu_advantage
    ubuntu_pro unverified_modules updates user users vendor_data vendor_data2 warnings wireguard write_files
    yum_repo_dir yum_repos zypper
    """.split()  # noqa: SIM905 - a list of so many words is read more easily so
)


def unknown(config: Mapping[Any, Any]) -> dict[str, str]:
    """Return the keys that have no effect, each with the known one that is most like it, ``""`` for none.

    Keys that begin with ``x-``, a dot or an underscore are people's own: they hold what aliases stand for.
    """
    strange = (str(key) for key in config if key not in KNOWN)
    return {
        key: next(iter(difflib.get_close_matches(key[:100], KNOWN, n=1, cutoff=0.7)), "")
        for key in strange
        if not key.startswith(("x-", ".", "_"))
    }
