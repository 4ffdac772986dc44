"""Credentials from a kubeconfig file: the server, its CA, and a client certificate or a token.

The official client package would read more (exec plugins, cloud providers' tokens), at 54 MB and half a second of
import time, which each of our processes would pay. So those entries are refused here, with an error that says what
works; the cluster mode may bring that package as an option. Passwords left Kubernetes in 1.19 and are refused too.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import os
import ssl
from typing import TYPE_CHECKING, Any, Final, cast

import yaml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Credentials", "Kubeconfig", "KubeconfigError", "load_kubeconfig", "read_kubeconfig"]

_REFUSED: Final = {
    "exec": "exec plugins are not supported: use a client certificate or a token",
    "auth-provider": "auth providers are not supported: use a client certificate or a token",
    "username": "passwords are not supported by Kubernetes any more: use a client certificate or a token",
    "password": "passwords are not supported by Kubernetes any more: use a client certificate or a token",
}


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
    config = cast("dict[str, Any]", document)
    context = _entry(path, config, "context", config.get("current-context") or "")
    cluster = _entry(path, config, "cluster", context.get("cluster") or "")
    user = _entry(path, config, "user", context["user"]) if context.get("user") else {}
    for field, reason in _REFUSED.items():
        if user.get(field):
            raise KubeconfigError(f"{path}: users[{context['user']}].{field}: {reason}")
    if cluster.get("proxy-url"):
        raise KubeconfigError(f"{path}: clusters[{context['cluster']}].proxy-url: proxies are not supported: remove it")
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise KubeconfigError(f"{path}: clusters[{context['cluster']}].server: {server!r} is no http(s) address")
    token_file = user.get("tokenFile")
    is_tls = server.startswith("https://")
    return Kubeconfig(
        server=server,
        authority=_material(path, cluster, "certificate-authority") if is_tls else None,
        verifies=not cluster.get("insecure-skip-tls-verify"),
        certificate=_material(path, user, "client-certificate") if is_tls else None,
        key=_material(path, user, "client-key") if is_tls else None,
        token=user.get("token") or "",
        token_file=path.parent / token_file if token_file else None,
        tls_server_name=cluster.get("tls-server-name") or None,
        namespace=context.get("namespace") or "default",
    )


def _entry(path: Path, config: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """Return the named context, cluster or user."""
    for entry in config.get(f"{kind}s") or ():
        if name and entry.get("name") == name:
            return entry.get(kind) or {}
    raise KubeconfigError(f"{path}: {kind}s: there is no {name!r}; see `kubectl config view`")


def _token(token: str, file: Path | None) -> str:
    """Return a bearer token, that of the file where one is named."""
    if file is None:
        return token
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise KubeconfigError(f"{file}: the kubeconfig's tokenFile cannot be read: {reason}") from error


def _material(path: Path, entry: dict[str, Any], field: str) -> bytes | None:
    """Return a certificate or key that the entry holds (``FIELD-data``) or names (``FIELD``)."""
    if data := entry.get(f"{field}-data"):
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, TypeError) as error:
            raise KubeconfigError(f"{path}: {field}-data: is not base64: {error}") from error
    if not entry.get(field):
        return None
    try:
        return (path.parent / entry[field]).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"{path}: {field}: {entry[field]} cannot be read: {error.strerror}") from error
