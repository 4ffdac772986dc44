"""What is left to a process that was confined, tried from inside, and what is not in its way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from virtualserver.host import confined

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="to become another user needs root")

USER = 0x70000000 + 0x3FF_FFF
"""At the end of the ranges that installations take: nobody's."""

_TRY = """
import ctypes, errno, os, socket, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def tried(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def call(name, *arguments):
    if libc[name](*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
for what in {tries}:
    print(tried(eval("lambda: " + what)))
"""


def tried(*tries: str) -> list[str]:
    """Return how each of these calls ended in a confined process: ``done``, or the error's name."""
    line = confined.argv(USER, ("/usr/bin/python3", "-c", _TRY.format(tries=list(tries))))
    return subprocess.run(line, check=True, capture_output=True, text=True, cwd="/").stdout.split()


def test_it_makes_no_namespace_and_looks_into_nobody() -> None:
    """Fault 15; a user namespace is what a process without rights begins an attack on the kernel with."""
    tries = [
        "call('unshare', 0x10000000)",
        "call('setns', 0, 0)",
        "call('mount', b'tmpfs', b'/mnt', b'tmpfs', 0, None)",
        "call('ptrace', 0, 0, 0, 0)",
        "call('personality', 0x40000)",
        "call('process_vm_readv', os.getpid(), None, 0, None, 0, 0)",
        "socket.socket(17, 3)",  # packets
        "socket.socket(40, 1)",  # the host of a virtual machine
        "socket.socket(38, 5)",  # the kernel's cryptography
        "os.setuid(0)",
    ]
    assert tried(*tries) == ["EPERM"] * len(tries)


def test_it_works_as_programs_do() -> None:
    tries = [
        "socket.create_server(('127.0.0.1', 0)).close()",
        "socket.socket(16, 3).close()",
        "threading.Thread(target=print).start()",
        "subprocess.run(['true'], check=True)",
        "os.fork() or os._exit(0)",
    ]
    assert tried(*tries) == ["done"] * len(tries)


def test_a_program_that_is_not_there_is_named() -> None:
    done = subprocess.run(confined.argv(USER, ("/no/such",)), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "/no/such: it cannot be started confined: [Errno 2]" in done.stderr


def test_it_is_the_process_that_was_started() -> None:
    with subprocess.Popen(confined.argv(USER, ("/bin/sh", "-c", "echo $$; id -u; id -G")), stdout=-1, text=True) as it:
        assert it.communicate()[0].split() == [str(it.pid), str(USER), str(USER)]


def test_the_list_names_each_call_once() -> None:
    names = " ".join(confined.DENIED.values()).split()
    assert len(names) == len(set(names)) > 50
    assert Path(confined.__file__).read_text().count("import virtualserver") == 0
    assert sys.executable in confined.argv(1, ())
