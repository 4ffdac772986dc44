"""What the control plane's processes are told: argument vectors, environment, user; pure.

Every flag is there for a reason that was measured or that a document of upstream gives.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from virtualserver.controlplane import relay, sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from virtualserver.controlplane.options import Address, Options
    from virtualserver.installation.installation import Installation
    from virtualserver.installation.record import UidRange

__all__ = [
    "CONTROLLERS",
    "DATABASE_LIMIT",
    "ETCD_VERSION",
    "KUBERNETES_VERSION",
    "Component",
    "FileProbe",
    "UrlProbe",
    "table",
]

KUBERNETES_VERSION: Final = "v1.36.3"
"""The one Kubernetes release that this version of the project runs; ``tools/controlplane/go.mod`` says the same."""

ETCD_VERSION: Final = "3.6.8"
"""The etcd that this Kubernetes release requires."""

DATABASE_LIMIT: Final = 512 * 1024 * 1024
"""How many bytes etcd's database may have."""

# Groups that need pods or controllers which do not run here. Off together with the admission plugins that watch them:
# with the plugin on and its group off, /readyz stays 500 for ever. That of StorageClasses is on, for clients that list
# them; no claim gets a class by default, since a DataVolume says its own.
_GROUPS_OFF: Final = (
    "apps/v1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "policy/v1",
    "node.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "resource.k8s.io/v1",
    "certificates.k8s.io/v1",
)
_ADMISSION_OFF: Final = (
    "DefaultStorageClass",
    "RuntimeClass",
    "Priority",
    "StorageObjectInUseProtection",
    "PersistentVolumeClaimResize",
    "CertificateApproval",
    "CertificateSigning",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
)
CONTROLLERS: Final = (
    "garbage-collector-controller",  # what was made for a server goes with the server
    "namespace-controller",  # a namespace can be deleted
    "serviceaccount-controller",  # each namespace has the ServiceAccount `default`, which clients look for
    "root-ca-certificate-publisher-controller",  # who has a token finds the certificate to trust beside it
    "clusterrole-aggregation-controller",  # view, edit and admin hold for servers
    "resourcequota-controller",  # quotas count what is there, also after deletions
)
"""The few controllers that matter without pods: without any one of them something that users rely on stands still.

The one that writes tokens into Secrets (serviceaccount-token-controller) is not among them: who may create a Secret in
a namespace would be every ServiceAccount of it, in kube-system those of the controllers. `kubectl create token` gives
tokens that end.
"""

_PYTHON_NEEDS: Final = ("PYTHONPATH", "TZ")
"""What our own processes get of the supervisor's environment."""

_BARE: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}

_GO_NEEDS: Final = ("GOGC", "GOMEMLIMIT")
"""What the others get of it: how much memory they may take in exchange for processor time."""


@dataclasses.dataclass(frozen=True, slots=True)
class UrlProbe:
    """Ready when a GET with our client certificate answers 200.

    Attributes:
        url: An https URL on loopback.
        authority: The CA that signed the server's certificate.
        client: Certificate and key to show, as ``CLIENT.crt`` and ``CLIENT.key``.
    """

    url: str
    authority: Path
    client: Path


@dataclasses.dataclass(frozen=True, slots=True)
class FileProbe:
    """Ready when a file holds the process's PID.

    Attributes:
        path: The file that the process writes once it works.
    """

    path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Component:
    """One process that the supervisor keeps running.

    Attributes:
        name: One of `options.NAMES`.
        version: What `vs status` shows.
        argv: The program and its arguments.
        environment: All of its environment.
        uid: The user, and group, that it runs under.
        probe: How one sees that it is ready.
        after: Components that must be ready before it starts.
        database: A file that only one process may have open, None for most.
        loads_after: Where not empty: components after which the process is started already; it loads, does what needs
            nobody else, and begins its work when its standard input ends, which is when those in `after` are ready.
        pulse: The file by which one sees that its event loop turns; None where it has none.
    """

    name: str
    version: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    uid: int
    probe: UrlProbe | FileProbe
    after: tuple[str, ...] = ()
    database: Path | None = None
    loads_after: tuple[str, ...] = ()
    pulse: Path | None = None


class _Upstream(NamedTuple):
    """What the three upstream programs are told from; attributes as the arguments of `table`."""

    installation: Installation
    ports: Mapping[str, int]
    uids: UidRange
    programs: Path
    environment: Mapping[str, str]


def table(
    installation: Installation,
    *,
    options: Options,
    ports: Mapping[str, int],
    uids: UidRange,
    programs: Path,
    environment: Mapping[str, str],
    host: str,
) -> tuple[Component, ...]:
    """Return the components of an installation in the order in which they start.

    Args:
        installation: The installation's files.
        options: What its owner chose.
        ports: By `ports.NAMES`.
        uids: Its users.
        programs: The folder of etcd, kube-apiserver and kube-controller-manager.
        environment: The supervisor's environment, of which each gets what its language needs.
        host: This machine's name, for what is known beyond it.
    """
    upstream = _Upstream(installation, ports, uids, programs, _go_environment(environment))
    every = (
        _etcd(upstream),
        _kube_apiserver(upstream, options),
        _kube_controller_manager(upstream),
        _operator(installation, uids.operator, environment, host),
        _node(installation, environment),
        _console(installation, ports, uids.console, environment),
        *([_relay(installation, options.listen, ports, uids.relay)] if options.listen else []),
    )
    return tuple(component for component in every if component.name in options.components)


def _flags(**values: object) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


def _go_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {**_BARE, **{name: environment[name] for name in _GO_NEEDS if name in environment}}


def _etcd(upstream: _Upstream) -> Component:
    installation, ports, uids, programs, environment = upstream
    pki, authority = installation.pki / "etcd", installation.pki / "etcd-ca.crt"
    client, peer = f"https://127.0.0.1:{ports['etcd']}", f"https://127.0.0.1:{ports['etcd-peer']}"
    flags = _flags(
        data_dir=installation.etcd_data,
        listen_client_urls=client,
        advertise_client_urls=client,
        listen_peer_urls=peer,
        initial_advertise_peer_urls=peer,
        initial_cluster=f"default={peer}",
        cert_file=pki / "server.crt",
        key_file=pki / "server.key",
        trusted_ca_file=authority,
        client_cert_auth="true",
        peer_cert_file=pki / "peer.crt",
        peer_key_file=pki / "peer.key",
        peer_trusted_ca_file=authority,
        peer_client_cert_auth="true",
        log_level="warn",
        snapshot_count=5000,
        quota_backend_bytes=DATABASE_LIMIT,
    )
    probe = UrlProbe(f"{client}/readyz", authority, installation.pki / "clients/etcd")
    return Component(
        "etcd",
        ETCD_VERSION,
        (str(programs / "etcd"), *flags),
        environment,
        uids.etcd,
        probe,
        database=installation.etcd_data / "member/snap/db",
    )


def _kube_apiserver(upstream: _Upstream, options: Options) -> Component:
    installation, ports, uids, programs, environment = upstream
    pki, port = installation.pki / "kube-apiserver", ports["kube-apiserver"]
    flags = [
        *_identity_flags(installation, pki),
        *_audit_flags(installation, pki),
        *_flags(
            etcd_servers=f"https://127.0.0.1:{ports['etcd']}",
            etcd_cafile=installation.pki / "etcd-ca.crt",
            etcd_certfile=pki / "etcd-client.crt",
            etcd_keyfile=pki / "etcd-client.key",
            bind_address=options.bind,
            # Without it kube-apiserver exits on a machine that has no default route.
            advertise_address="127.0.0.1" if ipaddress.ip_address(options.bind).is_unspecified else options.bind,
            endpoint_reconciler_type="none",
            secure_port=port,
            tls_cert_file=pki / "server.crt",
            tls_private_key_file=pki / "server.key",
            # Nobody listens there: a Service of a user gets them all the same, and they must not run out.
            service_node_port_range="1-65535",
            service_cluster_ip_range=",".join(str(network) for network in options.service_ranges),
            encryption_provider_config=pki / "encryption.json",
            # So many requests are carried out at once, shared out by manifests/fairness.yaml: enough for a machine's
            # few cores; with more of them, each would wait for the others' turns on the cores.
            max_requests_inflight=120,
            max_mutating_requests_inflight=60,
            # A watch takes 65 KB and ends when its client says so: with 100 of them in each of the relay's connections
            # whoever has a token could have some GB.
            http2_max_streams_per_connection=25,
            # Asked to end, it cuts open watches after 2 s instead of waiting a minute for them; clients come back.
            shutdown_send_retry_after="true",
            profiling="false",
            runtime_config=",".join(f"{group}=false" for group in _GROUPS_OFF),
            disable_admission_plugins=",".join(_ADMISSION_OFF),
        ),
    ]
    # The default of GOGC: 50 takes 16 % more processor time for each server that is made, to save some 25 MB.
    return Component(
        "kube-apiserver",
        KUBERNETES_VERSION,
        (str(programs / "kube-apiserver"), *flags),
        environment,
        uids.kube_apiserver,
        UrlProbe(
            f"https://127.0.0.1:{port}/readyz", installation.pki / "ca.crt", installation.pki / "clients/supervisor"
        ),
        after=("etcd",),
    )


def _audit_flags(installation: Installation, pki: Path) -> list[str]:
    """Return where kube-apiserver logs who did what: 30 days of it, at most 1 GB, of which 32 MB are not compressed."""
    return _flags(
        audit_policy_file=pki / "audit-policy.json",
        audit_log_path=installation.audit / "audit.log",
        audit_log_maxsize=32,
        audit_log_maxbackup=30,
        audit_log_compress="true",
        audit_log_maxage=30,
    )


def _identity_flags(installation: Installation, pki: Path) -> list[str]:
    """Return by what kube-apiserver knows who asks, and shows who it is to aggregated APIs."""
    return _flags(
        client_ca_file=installation.pki / "ca.crt",
        anonymous_auth="false",
        authorization_mode="RBAC",
        service_account_issuer="https://kubernetes.default.svc",  # no port in it: tokens outlive a change of the port
        service_account_key_file=pki / "sa.pub",
        service_account_signing_key_file=pki / "sa.key",
        requestheader_client_ca_file=installation.pki / "front-proxy-ca.crt",
        requestheader_allowed_names="front-proxy-client",
        requestheader_username_headers="X-Remote-User",
        requestheader_group_headers="X-Remote-Group",
        requestheader_extra_headers_prefix="X-Remote-Extra-",
        proxy_client_cert_file=pki / "front-proxy.crt",
        proxy_client_key_file=pki / "front-proxy.key",
    )


def _kube_controller_manager(upstream: _Upstream) -> Component:
    installation, ports, uids, programs, environment = upstream
    pki, port = installation.pki / "kube-controller-manager", ports["kube-controller-manager"]
    flags = _flags(
        kubeconfig=pki / "kubeconfig",
        authentication_kubeconfig=pki / "kubeconfig",
        authorization_kubeconfig=pki / "kubeconfig",
        bind_address="127.0.0.1",
        secure_port=port,
        tls_cert_file=pki / "server.crt",
        tls_private_key_file=pki / "server.key",
        root_ca_file=installation.pki / "ca.crt",
        use_service_account_credentials="true",
        client_ca_file=installation.pki / "ca.crt",
        requestheader_client_ca_file=installation.pki / "front-proxy-ca.crt",
        leader_elect="false",
        profiling="false",
        controllers=",".join(CONTROLLERS),
        # It follows kinds that are defined after its start only 30 s later, and does not look again at the quotas that
        # were waiting for them: by default they stay without a figure, and refuse everything, for five minutes.
        resource_quota_sync_period="30s",
        # Its default of 20 requests a second makes the deletion of many servers wait for itself, not for the machine.
        kube_api_qps=400,
        kube_api_burst=800,
    )
    return Component(
        "kube-controller-manager",
        KUBERNETES_VERSION,
        (str(programs / "kube-controller-manager"), *flags),
        environment,
        uids.kube_controller_manager,
        UrlProbe(
            f"https://127.0.0.1:{port}/healthz", installation.pki / "ca.crt", installation.pki / "clients/supervisor"
        ),
        after=("kube-apiserver",),
    )


def _operator(installation: Installation, uid: int, environment: Mapping[str, str], host: str) -> Component:
    ready = installation.ready("operator")
    flags = _flags(
        kubeconfig=installation.kubeconfigs / "operator",
        site=installation.effective_site,
        mac_key=installation.operator_mac_key,
        ready_file=ready,
        identity=f"{host}:{ready.parent}",
    )
    return _ours("operator", flags, uid, ready, {key: environment[key] for key in _PYTHON_NEEDS if key in environment})


def _node(installation: Installation, environment: Mapping[str, str]) -> Component:
    passed = (*_PYTHON_NEEDS, "VS_STATE", "VS_LOG_LEVEL")
    needed = {key: environment[key] for key in passed if key in environment}
    flags = ["--instance", installation.name]
    if recorded := installation.record().ranges:
        needed["VS_NETWORKS"] = recorded.digest  # it reads them at its start only
    return _ours("node", flags, 0, installation.ready("node"), {"VS_INSTANCE": installation.name, **needed})


def _console(
    installation: Installation, ports: Mapping[str, int], uid: int, environment: Mapping[str, str]
) -> Component:
    ready = installation.ready("console")
    flags = _flags(
        port=ports["console"],
        server=f"https://127.0.0.1:{ports['kube-apiserver']}",
        authority=installation.pki / "ca.crt",
        site=installation.effective_site,
        socket=installation.console_socket,
        ready_file=ready,
    )
    return _ours("console", flags, uid, ready, {key: environment[key] for key in _PYTHON_NEEDS if key in environment})


def _relay(installation: Installation, listen: Address, ports: Mapping[str, int], uid: int) -> Component:
    ready = installation.ready("relay")
    flags = _flags(listen=listen, port=ports["kube-apiserver"], ready_file=ready)
    # By its path, and nothing of the environment: it is a program of the standard library.
    argv = (sys.executable, "-I", str(Path(relay.__file__)), *flags)
    return Component("relay", sources.version(), argv, _BARE, uid, FileProbe(ready), after=("kube-apiserver",))


def _ours(name: str, flags: Sequence[str], uid: int, ready: Path, environment: Mapping[str, str]) -> Component:
    """Return a component that is a process of this package's Python."""
    return Component(
        name,
        sources.version(),
        (sys.executable, "-m", f"virtualserver.{name}", *flags, "--wait"),
        {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            **environment,
        },
        uid,
        FileProbe(ready),
        after=("kube-apiserver", "bootstrap"),
        loads_after=("etcd",),  # while kube-apiserver loads
        pulse=ready.with_name("pulse"),
    )
