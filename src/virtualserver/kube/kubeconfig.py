"""Credentials from a kubeconfig file: the server, its CA, and a client certificate or a token.

The official client package would read more (exec plugins, cloud providers' tokens), at 54 MB and half a second of
import time, which each of our processes would pay. So those entries are refused here, with an error that says what
works; the cluster mode may bring that package as an option. Passwords left Kubernetes in 1.19 and are refused too.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import ssl
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Credentials", "Kubeconfig", "KubeconfigError", "load_kubeconfig", "read_kubeconfig"]

E = TypeVar("E")

_REFUSED: Final = {
    "exec": "exec plugins are not supported: use a client certificate or a token",
    "auth-provider": "auth providers are not supported: use a client certificate or a token",
    "username": "passwords are not supported by Kubernetes any more: use a client certificate or a token",
    "password": "passwords are not supported by Kubernetes any more: use a client certificate or a token",
}


class _Cluster(msgspec.Struct, rename="kebab"):
    server: str | None = None
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool | None = None
    tls_server_name: str | None = None
    proxy_url: str | None = None


class _User(msgspec.Struct, rename="kebab"):
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    exec: Any = None
    auth_provider: Any = None
    username: str | None = None
    password: str | None = None


class _Context(msgspec.Struct):
    cluster: str | None = None
    user: str | None = None
    namespace: str | None = None


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: _Cluster | None = None


class _NamedUser(msgspec.Struct):
    name: str
    user: _User | None = None


class _NamedContext(msgspec.Struct):
    name: str
    context: _Context | None = None


class _File(msgspec.Struct, rename="kebab"):
    current_context: str | None = None
    clusters: list[_NamedCluster] | None = None
    contexts: list[_NamedContext] | None = None
    users: list[_NamedUser] | None = None


class KubeconfigError(Exception):
    """The kubeconfig cannot be used; the message names the file, the field and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach one API server, and as whom.

    Attributes:
        server: Its address without a trailing slash, such as ``https://127.0.0.1:6443``.
        tls: The TLS context with the server's CA and our certificate; None for plain ``http`` (tests only).
        token: A bearer token; ``""`` for none.
        token_file: Where the bearer token lies, read anew for each request, since it is rotated; None for none.
        tls_server_name: The name in the server's certificate, where it is not the address's; None otherwise.
        namespace: The context's namespace, ``default`` unless the file says otherwise.
    """

    server: str
    tls: ssl.SSLContext | None = None
    token: str = dataclasses.field(default="", repr=False)
    token_file: Path | None = None
    tls_server_name: str | None = None
    namespace: str = "default"

    def authorization(self) -> str | None:
        """Return the ``Authorization`` header, None where the client certificate says who we are.

        Raises:
            KubeconfigError: The token's file cannot be read.
        """
        token = _token(self.token, self.token_file)
        return f"Bearer {token}" if token else None


@dataclasses.dataclass(frozen=True, slots=True)
class Kubeconfig:
    """What a kubeconfig's current context says, with all that it names read, so that another process can be told.

    Attributes:
        server: As in `Credentials`.
        authority: The certificates (PEM) that may have signed the server's; None: those that the machine trusts.
        verifies: Whether the server's certificate is looked at at all.
        certificate: The user's certificate (PEM); None for none.
        key: Its key (PEM); None for none.
        token: As in `Credentials`.
        token_file: As in `Credentials`.
        tls_server_name: As in `Credentials`.
        namespace: As in `Credentials`.
    """

    server: str
    authority: bytes | None = None
    verifies: bool = True
    certificate: bytes | None = dataclasses.field(default=None, repr=False)
    key: bytes | None = dataclasses.field(default=None, repr=False)
    token: str = dataclasses.field(default="", repr=False)
    token_file: Path | None = None
    tls_server_name: str | None = None
    namespace: str = "default"

    def credentials(self) -> Credentials:
        """Return them, ready to connect with.

        Raises:
            ValueError: The certificates cannot be used.
        """
        return Credentials(
            server=self.server,
            tls=self._tls() if self.server.startswith("https://") else None,
            token=self.token,
            token_file=self.token_file,
            tls_server_name=self.tls_server_name,
            namespace=self.namespace,
        )

    def bearer(self) -> str:
        """Return the token as it is now, ``""`` for none.

        Raises:
            KubeconfigError: The token's file cannot be read.
        """
        return _token(self.token, self.token_file)

    def _tls(self) -> ssl.SSLContext:
        """Return a TLS context that trusts the cluster's CA only and shows the user's certificate."""
        try:
            tls = ssl.create_default_context(cadata=self.authority.decode("ascii") if self.authority else None)
            if not self.verifies:
                tls.check_hostname = False
                tls.verify_mode = ssl.CERT_NONE
            if self.certificate and self.key:
                # Python's ssl reads certificates from files only; this one is on no disk, and gone however we end.
                with os.fdopen(os.memfd_create("client-certificate"), "wb") as both:
                    both.write(self.certificate.rstrip() + b"\n" + self.key)
                    both.flush()
                    tls.load_cert_chain(f"/proc/self/fd/{both.fileno()}")
        except (ssl.SSLError, UnicodeDecodeError) as error:
            raise ValueError(f"the certificates cannot be used: {error}") from error
        return tls


def load_kubeconfig(path: Path) -> Credentials:
    """Read the credentials of a kubeconfig's current context.

    Args:
        path: As for `read_kubeconfig`.

    Raises:
        KubeconfigError: As `read_kubeconfig`.
    """
    try:
        return read_kubeconfig(path).credentials()
    except ValueError as error:
        raise KubeconfigError(f"{path}: {error}") from error


def read_kubeconfig(path: Path) -> Kubeconfig:
    """Read a kubeconfig's current context.

    Args:
        path: The file. Relative file names in it start at its folder, as kubectl has it.

    Raises:
        KubeconfigError: The file is missing or no kubeconfig, or needs what is not supported here.
    """
    try:
        document: Any = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise KubeconfigError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{path}: is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{path}: is no kubeconfig: it has no current-context; write one with `vs up`")
    try:
        config = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        raise KubeconfigError(f"{path}: is no kubeconfig: {error}: mend it, or see `kubectl config view`") from error
    # Of several of one name the first counts.
    named = config.current_context or ""
    context = _entry(
        path, "context", named, {one.name: one.context or _Context() for one in reversed(config.contexts or [])}
    )
    clusters = {one.name: one.cluster or _Cluster() for one in reversed(config.clusters or [])}
    cluster = _entry(path, "cluster", context.cluster or "", clusters)
    users = {one.name: one.user or _User() for one in reversed(config.users or [])}
    user = _entry(path, "user", context.user, users) if context.user else _User()
    for field, reason in _REFUSED.items():
        if getattr(user, field.replace("-", "_")):
            raise KubeconfigError(f"{path}: users[{context.user}].{field}: {reason}")
    if cluster.proxy_url:
        raise KubeconfigError(f"{path}: clusters[{context.cluster}].proxy-url: proxies are not supported: remove it")
    server = (cluster.server or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise KubeconfigError(f"{path}: clusters[{context.cluster}].server: {server!r} is no http(s) address")
    is_tls = server.startswith("https://")
    return Kubeconfig(
        server=server,
        authority=_material(path, cluster, "certificate-authority") if is_tls else None,
        verifies=not cluster.insecure_skip_tls_verify,
        certificate=_material(path, user, "client-certificate") if is_tls else None,
        key=_material(path, user, "client-key") if is_tls else None,
        token=user.token or "",
        token_file=path.parent / user.token_file if user.token_file else None,
        tls_server_name=cluster.tls_server_name or None,
        namespace=context.namespace or "default",
    )


def _entry(path: Path, kind: str, name: str, entries: Mapping[str, E]) -> E:
    """Return the named context, cluster or user."""
    if not name or name not in entries:
        raise KubeconfigError(f"{path}: {kind}s: there is no {name!r}; see `kubectl config view`")
    return entries[name]


def _token(token: str, file: Path | None) -> str:
    """Return a bearer token, that of the file where one is named."""
    if file is None:
        return token
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise KubeconfigError(f"{file}: the kubeconfig's tokenFile cannot be read: {reason}") from error


def _material(path: Path, entry: _Cluster | _User, field: str) -> bytes | None:
    """Return a certificate or key that the entry holds (``FIELD-data``) or names (``FIELD``)."""
    attribute = field.replace("-", "_")
    if data := getattr(entry, f"{attribute}_data"):
        try:
            return base64.b64decode(data, validate=True)
        except ValueError as error:
            raise KubeconfigError(f"{path}: {field}-data: is not base64: {error}") from error
    file: str | None = getattr(entry, attribute)
    if not file:
        return None
    try:
        return (path.parent / file).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise KubeconfigError(f"{path}: {field}: {file} cannot be read: {reason}") from error
