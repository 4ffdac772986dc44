"""The installation's own certificate authorities, keys and certificates.

Three authorities, because each is a different right: the cluster's (who is who in the API), etcd's (who may read the
database) and the front proxy's (who may say "this request is from alice" to an aggregated API). Every private key lies
in a folder that only its user can enter.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import os
from typing import TYPE_CHECKING, Final, Literal

from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from virtualserver.host.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["AUTHORITY_LIFETIME", "CERTIFICATE_LIFETIME", "Authority", "Certificate", "Usage", "ensure_key_pair"]

AUTHORITY_LIFETIME: Final = datetime.timedelta(days=3650)
"""How long an authority is valid."""

CERTIFICATE_LIFETIME: Final = datetime.timedelta(days=365)
"""How long a certificate is valid; it is renewed at a start when less than a quarter of that is left."""

_BACKDATED: Final = datetime.timedelta(days=1)
"""Clocks differ, those of virtual machines jump, and a machine whose clock has local time is hours ahead at first."""

_AUTHORITY_BACKDATED: Final = datetime.timedelta(days=10950)
"""Of an authority, which users' kubeconfigs hold: whatever the clock says at the first start, it stays."""

Usage = Literal["server", "client", "both"]
"""What a certificate may prove: a server's name, a client's, or both."""

_USAGES: Final = {
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "both": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
}


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate should say.

    Attributes:
        common_name: The user's name, or a server's.
        organizations: The user's groups.
        usage: What it may be used for.
        names: DNS names and addresses of a server.
    """

    common_name: str
    usage: Usage
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in a folder.

    Attributes:
        folder: Holds ``NAME.crt`` (anybody may read it) and ``NAME.key``.
        name: The authority's name, such as ``etcd-ca``.
        now: The time at which it works.
    """

    folder: Path
    name: str
    now: datetime.datetime

    @property
    def certificate(self) -> Path:
        """The authority's certificate, for everybody who must trust it."""
        return self.folder / f"{self.name}.crt"

    def ensure(self) -> bool:
        """Make the authority unless it exists and is valid for as long as a new certificate; return whether it is new.

        A new authority makes every certificate of the old one invalid: `issue` then replaces them.
        """
        if self.certificate.exists() and (self.folder / f"{self.name}.key").exists():
            known = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            if known.not_valid_after_utc - self.now > CERTIFICATE_LIFETIME:
                return False
        key = ec.generate_private_key(ec.SECP256R1())
        # The serial is part of the name: two authorities of one name with different keys confuse clients that cache.
        name = _name(f"virtualserver {self.name} {self.now:%Y%m%d%H%M%S}", ())
        begin = self.now - _AUTHORITY_BACKDATED
        builder = _builder(name, name, key.public_key(), begin, self.now + AUTHORITY_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        write_private(self.folder / f"{self.name}.key", _pem(key))
        write_atomically(
            self.certificate,
            builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            mode=0o644,
        )
        return True

    def issue(self, wanted: Certificate, certificate: Path, key: Path, *, owner: int) -> bool:
        """Write a certificate and its key, unless those that are there still serve.

        Args:
            wanted: What the certificate should say.
            certificate: Its file; anybody who reaches it may read it.
            key: Its private key: mode 0600.
            owner: The UID that reads the key.

        Returns:
            Whether a new certificate was written: none was there, it is another authority's, says something else, is
            not valid yet, or less than a quarter of its life is left.
        """
        if self._serves(wanted, certificate, key):
            return False
        signed, private = self.sign(wanted, CERTIFICATE_LIFETIME)
        key.unlink(missing_ok=True)  # a key and a certificate that do not match must never lie side by side
        write_atomically(certificate, signed, mode=0o644)
        write_private(key, private, owner=owner)
        return True

    def sign(self, wanted: Certificate, lifetime: datetime.timedelta) -> tuple[bytes, bytes]:
        """Return a certificate and its key (PEM) that are written nowhere.

        Args:
            wanted: What the certificate should say.
            lifetime: How long it is valid from now on; not longer than the authority in any case.
        """
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signer = serialization.load_pem_private_key((self.folder / f"{self.name}.key").read_bytes(), password=None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101 - we wrote it
        pair = ec.generate_private_key(ec.SECP256R1())
        end = min(self.now + lifetime, authority.not_valid_after_utc)
        subject = _name(wanted.common_name, wanted.organizations)
        builder = _builder(subject, authority.subject, pair.public_key(), self.now - _BACKDATED, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(_USAGES[wanted.usage]), critical=False)
        if wanted.names:
            builder = builder.add_extension(_alternative_names(wanted.names), critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _pem(pair)

    def _serves(self, wanted: Certificate, certificate: Path, key: Path) -> bool:
        if not (certificate.exists() and key.exists()):
            return False
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        try:
            known.verify_directly_issued_by(authority)
        except (ValueError, TypeError, exceptions.InvalidSignature):
            return False
        left = known.not_valid_after_utc - self.now
        names: set[str] = set()
        usages: set[x509.ObjectIdentifier] = set()
        for extension in known.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                names = {str(name.value) for name in extension.value}
            elif isinstance(extension.value, x509.ExtendedKeyUsage):
                usages = set(extension.value)
        return (
            left > CERTIFICATE_LIFETIME / 4
            and known.not_valid_before_utc <= self.now
            and known.subject == _name(wanted.common_name, wanted.organizations)
            and names == set(wanted.names)
            and usages == set(_USAGES[wanted.usage])
        )


def ensure_key_pair(folder: Path) -> tuple[bytes, bytes]:
    """Return a private key and its public key as PEM, made in the folder at the first call: ``sa.key``, ``sa.pub``."""
    private, public = folder / "sa.key", folder / "sa.pub"
    if not private.exists():
        write_private(private, _pem(ec.generate_private_key(ec.SECP256R1())))
        public.unlink(missing_ok=True)
    if not public.exists():
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
        encoded = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_atomically(public, encoded, mode=0o644)
    return private.read_bytes(), public.read_bytes()


def write_private(path: Path, content: bytes | str, *, owner: int | None = None) -> None:
    """Write a file of mode 0600 that belongs to a UID (None: to ourselves)."""
    write_atomically(path, content, mode=0o600)
    if owner is not None and owner != path.stat().st_uid:
        os.chown(path, owner, owner)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _name(common_name: str, organizations: Iterable[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, value) for value in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(names: Iterable[str]) -> x509.SubjectAlternativeName:
    known: list[x509.GeneralName] = []
    for name in names:
        try:
            known.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            known.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(known)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
