"""Authorities and certificates: what they say, when they are renewed, who may read the keys."""

from __future__ import annotations

import datetime
import os
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from virtualserver.controlplane import credentials, pki
from virtualserver.installation.installation import Installation

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
SERVER = pki.Certificate("server", "server", names=("127.0.0.1", "localhost"))


def authority(folder: Path, *, days: float = 0, name: str = "ca") -> pki.Authority:
    made = pki.Authority(folder, name, NOW + datetime.timedelta(days=days))
    made.ensure()
    return made


def issue(by: pki.Authority, wanted: pki.Certificate = SERVER) -> bool:
    return by.issue(wanted, by.folder / "it.crt", by.folder / "it.key", owner=os.geteuid())


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_certificate_says_what_was_asked_for(tmp_path: Path) -> None:
    by = authority(tmp_path)
    assert issue(by, pki.Certificate("alice", "client", organizations=("a", "b")))
    certificate = read(tmp_path / "it.crt")
    certificate.verify_directly_issued_by(read(by.certificate))
    assert certificate.subject.rfc4514_string() == "CN=alice,O=b,O=a"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use.dotted_string for use in usage] == ["1.3.6.1.5.5.7.3.2"]


def test_a_server_has_its_names_and_addresses(tmp_path: Path) -> None:
    issue(authority(tmp_path))
    names = read(tmp_path / "it.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"127.0.0.1", "localhost"}


def test_a_certificate_that_serves_stays(tmp_path: Path) -> None:
    issue(authority(tmp_path))
    before = (tmp_path / "it.crt").read_bytes()
    assert not issue(authority(tmp_path, days=200))
    assert (tmp_path / "it.crt").read_bytes() == before


@pytest.mark.parametrize(
    "wanted",
    [
        pki.Certificate("other", "server", names=SERVER.names),
        pki.Certificate("server", "both", names=SERVER.names),
        pki.Certificate("server", "server", names=(*SERVER.names, "10.96.0.1")),
        pki.Certificate("server", "server", organizations=("system:masters",), names=SERVER.names),
    ],
)
def test_a_certificate_that_says_something_else_is_replaced(tmp_path: Path, wanted: pki.Certificate) -> None:
    by = authority(tmp_path)
    issue(by)
    assert issue(by, wanted)


def test_a_certificate_near_its_end_is_renewed(tmp_path: Path) -> None:
    issue(authority(tmp_path))
    assert issue(authority(tmp_path, days=300))


def test_an_authority_near_its_end_is_renewed_with_all_it_signed(tmp_path: Path) -> None:
    issue(authority(tmp_path))
    late = pki.Authority(tmp_path, "ca", NOW + datetime.timedelta(days=3400))
    assert late.ensure()
    assert issue(late)
    read(tmp_path / "it.crt").verify_directly_issued_by(read(late.certificate))


def test_a_clock_that_was_ahead_at_the_first_start_and_is_set_right_leaves_the_authority_and_renews_the_rest(
    tmp_path: Path,
) -> None:
    """A brother of fault 33: the machine's clock moves too; nothing was valid until it was again what it had been."""
    ahead = authority(tmp_path, days=900)
    issue(ahead)
    assert not issue(authority(tmp_path, days=899.5))
    right = pki.Authority(tmp_path, "ca", NOW)
    before = right.certificate.read_bytes()
    assert not right.ensure()
    assert issue(right)
    assert right.certificate.read_bytes() == before
    for path in (right.certificate, tmp_path / "it.crt"):
        assert read(path).not_valid_before_utc <= NOW < read(path).not_valid_after_utc


def test_another_authoritys_certificate_is_replaced(tmp_path: Path) -> None:
    issue(authority(tmp_path, name="one"))
    assert issue(authority(tmp_path, name="two"))


def test_a_certificate_whose_key_is_lost_is_replaced(tmp_path: Path) -> None:
    by = authority(tmp_path)
    issue(by)
    (tmp_path / "it.key").unlink()
    assert issue(by)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    issue(authority(tmp_path))
    pki.ensure_key_pair(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.key")}
    assert modes == {"ca.key": 0o600, "it.key": 0o600, "sa.key": 0o600}


def test_the_key_pair_of_service_accounts_stays(tmp_path: Path) -> None:
    first = pki.ensure_key_pair(tmp_path)
    (tmp_path / "sa.pub").unlink()
    assert pki.ensure_key_pair(tmp_path) == first


def test_a_passing_certificate_is_of_the_administrator_for_so_long_and_on_no_disk(tmp_path: Path) -> None:
    installation = Installation.below(tmp_path, "one")
    installation.pki.mkdir(parents=True)
    by = authority(installation.pki)
    before = sorted(installation.pki.iterdir())
    certificate, key = credentials.passing(installation, now=NOW, lifetime=datetime.timedelta(hours=12))
    known = x509.load_pem_x509_certificate(certificate)
    known.verify_directly_issued_by(read(by.certificate))
    assert known.subject.rfc4514_string() == "CN=admin,O=system:masters"
    assert known.not_valid_after_utc == NOW + datetime.timedelta(hours=12)
    assert b"PRIVATE KEY" in key and sorted(installation.pki.iterdir()) == before
