"""The secrets of an installation's control plane, written before it starts: keys, certificates, kubeconfigs.

Which component holds which right is said here, once.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from virtualserver.controlplane import errors, pki
from virtualserver.controlplane.pki import Certificate
from virtualserver.host.files import make_folder

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from virtualserver.installation.installation import Installation
    from virtualserver.installation.record import UidRange

__all__ = ["COMPONENTS_GROUP", "ENCRYPTED", "NODE_SERVICE", "ensure", "kubeconfig", "kubeconfig_with", "passing"]

COMPONENTS_GROUP = "virtualserver:components"
"""The group of our own components in the API."""

_ADMIN = Certificate("admin", "client", ("system:masters",))

NODE_SERVICE = "virtualserver-node.virtualserver-system.svc"
"""The name under which kube-apiserver asks the node for its aggregated API."""

ENCRYPTED = ("secrets", "virtualservers.virtualservers.coreweave.com")
"""The resources that are encrypted in etcd: the second may hold passwords."""


def ensure(
    installation: Installation,
    uids: UidRange,
    *,
    server: str,
    addresses: Iterable[str],
    now: datetime.datetime,
    admin: tuple[int, int] | None = None,
) -> bool:
    """Write every key, certificate and kubeconfig that is missing or near its end; what serves stays as it is.

    Args:
        installation: The installation's files.
        uids: Whose files they are.
        server: The API server's URL.
        addresses: Addresses at which the API server is reached, beside 127.0.0.1.
        now: The time.
        admin: UID and GID whose the administrator's kubeconfig is; None: whose it is already, else our own.

    Returns:
        Whether a certificate was written, so that whoever has read the one before has to read again.
    """
    folders = {
        "etcd": uids.etcd,
        "kube-apiserver": uids.kube_apiserver,
        "kube-controller-manager": uids.kube_controller_manager,
        "node": 0,
        "clients": 0,
    }
    make_folder(installation.pki, 0o755)
    make_folder(installation.kubeconfigs, 0o711)
    for name, owner in folders.items():
        _folder(installation.pki / name, owner)
    authorities = {name: pki.Authority(installation.pki, name, now) for name in ("ca", "etcd-ca", "front-proxy-ca")}
    written = [authority.ensure() for authority in authorities.values()]
    for authority, folder, name, wanted in _certificates(addresses):
        target = installation.pki / folder / name
        files = target.with_suffix(".crt"), target.with_suffix(".key")
        written.append(authorities[authority].issue(wanted, *files, owner=folders[folder]))
    _ensure_service_account_keys(installation, uids)
    _ensure_encryption_key(installation, uids.kube_apiserver)
    _ensure_kubeconfigs(installation, uids, server, admin or _admin(installation.kubeconfig))
    return any(written)


def passing(installation: Installation, *, now: datetime.datetime, lifetime: datetime.timedelta) -> tuple[bytes, bytes]:
    """Return a certificate of the administrator's and its key (PEM), for so long, written nowhere.

    Raises:
        OSError: The authority's key is not there, or not the caller's to read: root alone may.
    """
    return pki.Authority(installation.pki, "ca", now).sign(_ADMIN, lifetime)


def _admin(kubeconfig: Path) -> tuple[int, int]:
    """Return UID and GID whose the administrator's kubeconfig is, our own where there is none."""
    try:
        found = kubeconfig.stat()
    except FileNotFoundError:
        return os.geteuid(), os.getegid()
    return found.st_uid, found.st_gid


def _ensure_service_account_keys(installation: Installation, uids: UidRange) -> None:
    """Give kube-apiserver, which alone signs and checks the tokens of service accounts, its copy of a key pair."""
    private, public_key = pki.ensure_key_pair(installation.pki)
    _write_private(installation.pki / "kube-apiserver/sa.key", private, uids.kube_apiserver)
    _write_private(installation.pki / "kube-apiserver/sa.pub", public_key, uids.kube_apiserver)
    # An earlier version let kube-controller-manager sign too.
    (installation.pki / "kube-controller-manager/sa.key").unlink(missing_ok=True)


def kubeconfig(installation: Installation, user: str, *, server: str) -> str:
    """Return a kubeconfig for a user whose certificate lies in ``pki/clients``."""

    def encoded(kind: str) -> str:
        return base64.b64encode((installation.pki / "clients" / f"{user}.{kind}").read_bytes()).decode()

    credential = {"client-certificate-data": encoded("crt"), "client-key-data": encoded("key")}
    return kubeconfig_with(installation, user, credential, server=server)


def kubeconfig_with(
    installation: Installation, user: str, credential: Mapping[str, str], *, server: str, namespace: str = ""
) -> str:
    """Return a kubeconfig: JSON, which is YAML too.

    Args:
        installation: Whose API server and authority it names.
        user: The name of the user in it.
        credential: What the user shows, by the keys of a kubeconfig.
        server: The API server's URL.
        namespace: What commands mean that name none; ``""``: as kubectl does without it. Where it is given, user and
            context are named after both, so that several files can be used together.
    """
    cluster = "virtualserver" if installation.name == "default" else f"virtualserver-{installation.name}"
    entry = f"{user}@{cluster}" if namespace else user
    context = entry if namespace else cluster
    authority = base64.b64encode((installation.pki / "ca.crt").read_bytes()).decode()
    meant = {"cluster": cluster, "user": entry, **({"namespace": namespace} if namespace else {})}
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": entry, "user": dict(credential)}],
        "contexts": [{"name": context, "context": meant}],
        "current-context": context,
    }
    return json.dumps(content, indent=2) + "\n"


def _ensure_kubeconfigs(installation: Installation, uids: UidRange, server: str, admin: tuple[int, int]) -> None:
    readers = {
        installation.kubeconfig: ("admin", admin),
        installation.kubeconfigs / "operator": ("operator", (uids.operator, uids.operator)),
        installation.kubeconfigs / "node": ("node", (0, 0)),
        installation.kubeconfigs / "supervisor": ("supervisor", (0, 0)),
        installation.pki / "kube-controller-manager/kubeconfig": (
            "kube-controller-manager",
            (uids.kube_controller_manager, uids.kube_controller_manager),
        ),
    }
    for path, (user, owner) in readers.items():
        content = kubeconfig(installation, user, server=server)
        if not path.exists() or path.read_text() != content:
            pki.write_private(path, content)
        if (path.stat().st_uid, path.stat().st_gid) != owner:
            os.chown(path, *owner)


def _certificates(addresses: Iterable[str]) -> list[tuple[str, str, str, Certificate]]:
    """Return (authority, folder, name, what it says) of every certificate."""
    local = ("127.0.0.1", "localhost")
    kubernetes = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    served = tuple(dict.fromkeys((*local, *kubernetes, *addresses)))
    group = (COMPONENTS_GROUP,)
    clients = {
        "admin": _ADMIN,
        "kube-controller-manager": Certificate("system:kube-controller-manager", "client"),
        "operator": Certificate("virtualserver:operator", "client", group),
        "node": Certificate("virtualserver:node", "client", group),
        "supervisor": Certificate("virtualserver:supervisor", "client", group),
    }
    manager = ("kube-controller-manager", *local)
    return [
        # etcd's JSON gateway shows the server's certificate as a client's: to itself.
        ("etcd-ca", "etcd", "server", Certificate("etcd", "both", names=local)),
        ("etcd-ca", "etcd", "peer", Certificate("etcd-peer", "both", names=local)),
        ("etcd-ca", "kube-apiserver", "etcd-client", Certificate("kube-apiserver", "client")),
        ("etcd-ca", "clients", "etcd", Certificate("supervisor", "client")),
        ("ca", "kube-apiserver", "server", Certificate("kube-apiserver", "server", names=served)),
        ("front-proxy-ca", "kube-apiserver", "front-proxy", Certificate("front-proxy-client", "client")),
        ("ca", "kube-controller-manager", "server", Certificate(manager[0], "server", names=manager)),
        ("ca", "node", "serving", Certificate("virtualserver-node", "server", names=(NODE_SERVICE, *local))),
        *(("ca", "clients", name, wanted) for name, wanted in clients.items()),
    ]


def _ensure_encryption_key(installation: Installation, owner: int) -> None:
    path = installation.pki / "kube-apiserver/encryption.json"
    if path.exists():
        return
    if (installation.etcd_data / "member").exists():
        raise errors.ControlPlaneError(
            f"{path} is missing, but {installation.etcd_data} holds data that was encrypted with it: "
            "restore the file from a backup of the state folder, or begin anew with `vs down --purge`"
        )
    key = {"name": "key1", "secret": base64.b64encode(secrets.token_bytes(32)).decode()}
    content: dict[str, Any] = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        # identity last: what was written before a resource was listed here can still be read.
        "resources": [{"resources": list(ENCRYPTED), "providers": [{"secretbox": {"keys": [key]}}, {"identity": {}}]}],
    }
    pki.write_private(path, json.dumps(content, indent=2), owner=owner)


def _folder(path: Path, owner: int) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != owner:
        os.chown(path, owner, owner)


def _write_private(path: Path, content: bytes, owner: int) -> None:
    if not path.exists() or path.read_bytes() != content:
        pki.write_private(path, content, owner=owner)
