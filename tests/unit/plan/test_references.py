"""Which keys of Secrets a manifest refers to, and what they hold."""

from __future__ import annotations

from typing import Any

import pytest

from harness.virtualservers import a_secret, a_server
from virtualserver.plan.references import Reference, references, text_of


def test_every_reference_is_named_with_its_field_and_its_key() -> None:
    users = [
        {"username": "a", "sshPublicKeysSecretRef": {"name": "s"}, "passwordSecretRef": {"name": "s", "key": "k"}},
        {"username": "b", "passwordSecretRef": {"name": "t"}},
    ]
    assert references(a_server(users=users, cloudInitSecretRef={"name": "u"})) == (
        Reference("spec.users[0].passwordSecretRef", "s", "k"),
        Reference("spec.users[0].sshPublicKeysSecretRef", "s", "authorized_keys"),
        Reference("spec.users[1].passwordSecretRef", "t", "password"),
        Reference("spec.cloudInitSecretRef", "u", "userdata"),
    )


def test_the_text_of_a_key_is_read() -> None:
    secrets = {"s": a_secret("s", k="text\n")}
    assert text_of(Reference("a", "s", "k"), secrets) == "text\n"
    assert text_of(Reference("a", "s", "other"), secrets) is None
    assert text_of(Reference("a", "t", "k"), secrets) is None
    assert text_of(None, secrets) is None


@pytest.mark.parametrize("data", [{"k": "no base64!"}, {"k": "/w=="}, {}, None])
def test_what_is_no_text_counts_as_absent(data: Any) -> None:
    assert text_of(Reference("a", "s", "k"), {"s": {**a_secret("s"), "data": data}}) is None
