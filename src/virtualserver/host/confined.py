"""Becomes another program that has less to hope for: its own user, no capability, few of the kernel's doors.

``python -I -S confined.py UID PROGRAM ARGUMENT...``, as root. A script of its own, from the standard library alone,
because it runs before each component and is gone a moment later: the process is the program's from then on, with the
PID that it was started with. What is left to the program, and why by this list, is told in ``docs/adr/0012``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import Any, Final

__all__ = ["DENIED", "VERSION", "argv", "confine", "main"]

VERSION: Final = 1
"""Of what is taken away: processes that were confined otherwise, or not at all, are started again at an upgrade."""

DENIED: Final = {
    "to change what others see": (
        "mount umount2 pivot_root chroot mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick "
        "setns unshare swapon swapoff acct quotactl"
    ),
    "to look into other processes": (
        "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp perf_event_open lookup_dcookie"
    ),
    "to reach deep into the kernel": (
        "bpf userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key "
        "init_module finit_module delete_module kexec_load kexec_file_load iopl ioperm modify_ldt personality "
        "open_by_handle_at name_to_handle_at fanotify_init vhangup"
    ),
    "to change the machine": (
        "reboot syslog settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname nfsservctl"
    ),
    "nobody's any more": "uselib ustat sysfs _sysctl vserver create_module get_kernel_syms query_module",
}
"""System calls that no component needs, by what for: each is answered with EPERM."""

_NEW_NAMESPACES: Final = 0x7E020000
"""The flags of clone(2) that make namespaces: mount, cgroup, UTS, IPC, user, PID, network."""

_FAMILIES: Final = {1, 2, 10, 16}
"""The kinds of sockets that are left: unix, IPv4, IPv6, and netlink, by which libraries ask for addresses."""

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_EQUAL: Final = 4
_GREATER: Final = 6
_MASKED: Final = 7
_OPTIMIZE: Final = 8
_NO_NEW_PRIVILEGES: Final = 38
_DROP_BOUNDING: Final = 24
_CLEAR_AMBIENT: Final = (47, 4)


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def argv(user: int, program: tuple[str, ...]) -> list[str]:
    """Return the command line that becomes a program, confined, under a UID and GID: pure."""
    return [sys.executable, "-I", "-S", __file__, str(user), *program]


def confine(user: int) -> None:
    """Give up, for this process and all that come of it, what `argv` says; only root can."""
    libc = ctypes.CDLL(None, use_errno=True)

    def control(*arguments: int) -> None:
        if libc.prctl(*(ctypes.c_ulong(one) for one in (*arguments, 0, 0, 0, 0)[:5])):
            raise OSError(ctypes.get_errno(), f"prctl({arguments[0]})")

    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    for capability in range(last + 1):
        control(_DROP_BOUNDING, capability)
    control(*_CLEAR_AMBIENT)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    control(_NO_NEW_PRIVILEGES, 1)
    _filter()


def _filter() -> None:
    """Load the filter of system calls; libseccomp, which knows their numbers, is on every Debian with apt and QEMU."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))

    def check(result: int, what: str) -> None:
        if result < 0:
            raise OSError(-result, f"the filter of system calls: {what}")

    def deny(name: str, *comparisons: tuple[int, int, int, int], error: int = errno.EPERM) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        check(-errno.ENOSYS if number == -1 else 0, name)
        array: Any = (_Comparison * max(1, len(comparisons)))(*comparisons)
        action = ctypes.c_uint32(_ERRNO | error)
        check(library.seccomp_rule_add_array(context, action, number, len(comparisons), array), name)

    check(library.seccomp_attr_set(context, _OPTIMIZE, ctypes.c_uint32(2)), "its order")
    for names in DENIED.values():
        for name in names.split():
            deny(name)
    for bit in (1 << number for number in range(32) if _NEW_NAMESPACES & 1 << number):
        deny("clone", (0, _MASKED, bit, bit))
    # Its flags lie in memory, where no filter looks: C libraries then use clone, as on older kernels.
    deny("clone3", error=errno.ENOSYS)
    last = max(_FAMILIES)
    for family in set(range(last)) - _FAMILIES:
        deny("socket", (0, _EQUAL, family, 0))
    deny("socket", (0, _GREATER, last, 0))
    check(library.seccomp_load(context), "the kernel refuses it")
    library.seccomp_release(context)


def main() -> None:
    """Confine this process and become the program."""
    user, program = int(sys.argv[1]), sys.argv[2:]
    try:
        confine(user)
        os.execv(program[0], program)  # noqa: S606 - that is what it is for
    except OSError as error:
        sys.exit(f"{program[0]}: it cannot be started confined: {error}")


if __name__ == "__main__":
    main()
