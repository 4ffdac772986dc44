"""Whose kubeconfig and key it is, and which key."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from virtualserver.local import caller
from virtualserver.local.errors import LocalError


def a_caller(home: Path) -> caller.Caller:
    return caller.Caller(name="ada", uid=os.getuid(), gid=os.getgid(), home=home)


def a_key(home: Path, name: str, line: str) -> None:
    (home / ".ssh").mkdir(exist_ok=True)
    (home / ".ssh" / name).write_text(line + "\n")


def test_without_sudo_the_caller_is_the_user_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert caller.Caller.find().uid == os.getuid()


def test_through_sudo_the_caller_is_who_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(nobody.pw_uid))
    found = caller.Caller.find()
    assert (found.name, found.uid, found.home) == ("nobody", nobody.pw_uid, Path(nobody.pw_dir))


def test_an_environment_variable_alone_makes_nobody_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setenv("SUDO_UID", "0")
    assert caller.Caller.find().uid == 1000


def test_the_callers_own_key_is_preferred_and_ed25519_first(tmp_path: Path) -> None:
    a_key(tmp_path, "id_rsa.pub", "ssh-rsa AAAArsa ada")
    a_key(tmp_path, "id_ed25519.pub", "ssh-ed25519 AAAAed ada")
    found = caller.ssh_key(a_caller(tmp_path), tmp_path / "state")
    assert found == caller.SshKey("ssh-ed25519 AAAAed ada", None, made=False)
    assert not (tmp_path / "state").exists()


def test_a_key_of_any_name_is_used_with_its_private_half(tmp_path: Path) -> None:
    a_key(tmp_path, "work.pub", "sk-ssh-ed25519@openssh.com AAAA ada")
    a_key(tmp_path, "work", "secret")
    found = caller.ssh_key(a_caller(tmp_path), tmp_path / "state")
    assert found.private == tmp_path / ".ssh" / "work"


@pytest.mark.parametrize("line", ["", "ssh-ed25519-cert-v01@openssh.com AAAA", "-----BEGIN PUBLIC KEY-----"])
def test_what_no_guest_lets_in_is_no_key(tmp_path: Path, line: str) -> None:
    a_key(tmp_path, "id_ed25519.pub", line)
    assert caller.ssh_key(a_caller(tmp_path), tmp_path / "state").made


def test_a_key_file_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "a.pub").write_bytes(b"ssh-rsa AAAA \xff\xfe")
    (tmp_path / ".ssh" / "b.pub").write_bytes(b"\x99\x01\x0d")
    assert caller.ssh_key(a_caller(tmp_path), tmp_path / "state").made
    a_key(tmp_path, "work.pub", "ssh-ed25519 AAAA ada")
    assert caller.ssh_key(a_caller(tmp_path), tmp_path / "state").public == "ssh-ed25519 AAAA ada"


def test_a_key_is_made_once_where_there_is_none(tmp_path: Path) -> None:
    first = caller.ssh_key(a_caller(tmp_path), tmp_path / "state")
    second = caller.ssh_key(a_caller(tmp_path), tmp_path / "state")
    assert first == second
    assert first.made
    assert first.public.startswith("ssh-ed25519 ")
    assert first.private is not None
    assert first.private.stat().st_mode & 0o777 == 0o600


def test_a_private_key_left_by_an_interrupted_run_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "id_ed25519").write_text("half a key")
    assert caller.ssh_key(a_caller(tmp_path), tmp_path / "state").public.startswith("ssh-ed25519 ")


def test_a_command_that_needs_root_says_how_to_become_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(LocalError, match="needs root") as raised:
        caller.require_root("vs up")
    assert "sudo" in raised.value.remedy
