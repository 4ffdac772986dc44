"""Public keys, and what people take for them."""

from __future__ import annotations

import base64

import pytest

from virtualserver.plan.public_keys import read


def blob(*strings: bytes) -> str:
    return base64.b64encode(b"".join(len(one).to_bytes(4, "big") + one for one in strings)).decode()


ED25519 = f"ssh-ed25519 {blob(b'ssh-ed25519', bytes(32))} ada@work"
SK = f"sk-ssh-ed25519@openssh.com {blob(b'sk-ssh-ed25519@openssh.com', bytes(32), b'ssh:')}"
CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com " + blob(b"ssh-ed25519-cert-v01@openssh.com", bytes(9))[:-4]
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nZ2VoZWlt\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    "line",
    [
        ED25519,
        SK,
        CERTIFICATE,
        f'from="10.0.0.0/8",command="echo \\"ssh-rsa x\\"" {ED25519}',
        f"cert-authority,no-pty {ED25519}",
    ],
)
def test_what_sshd_takes_for_a_key_is_one(line: str) -> None:
    assert read(line) == ((line,), "", False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "line 1 is no public key"),
        ("~/.ssh/id_ed25519.pub", "line 1 is no public key"),
        (f"# mine\n{ED25519[:40]}", "line 2 is a public key that is cut, or broken over lines"),
        (f"{ED25519[:40]}\n{ED25519[40:]}", "line 1 is a public key that is cut, or broken over lines; line 2 is no"),
        ("ssh-rsa AAAA... ada", "line 1 is a public key with characters that it cannot have"),
        (f"ssh-rsa {blob(b'ssh-ed25519', bytes(32))}", "line 1 is a public key that is cut"),
        ("a\nb\nc\nd\ne", "and 2 more: write each public key as one whole line"),
        (
            "---- BEGIN SSH2 PUBLIC KEY ----\nZ2VoZWlt\n---- END SSH2 PUBLIC KEY ----",
            "line 1 begins what is in another",
        ),
    ],
)
def test_fault_22_what_is_no_key_is_named_by_its_line_and_never_quoted(text: str, words: str) -> None:
    found = read(text)
    assert words in found.fault and "Z2Vo" not in found.fault and not found.has_private_key


def test_fault_22_a_private_key_reaches_no_guest() -> None:
    found = read(f"{PRIVATE}\r\n{ED25519}\r\n")
    assert found.lines == (ED25519,) and found.has_private_key
    assert found.fault.startswith("line 1 begins what is a private key: write each public key")


def test_fault_22_what_editors_add_is_no_part_of_a_key() -> None:
    assert read(f"\ufeff{ED25519}\r\n{ED25519}\r\n") == ((ED25519, ED25519), "", False)
