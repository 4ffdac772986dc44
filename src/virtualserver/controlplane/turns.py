"""Gives each user a level of priority in kube-apiserver that no other user's requests can fill.

kube-apiserver carries out so many requests of a level at once and queues the rest; a request whose answer its client
does not read holds its place for a minute. So users do not share a level: what one holds, none of the others misses.
Source: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from virtualserver.api import names
from virtualserver.controlplane import bootstrap
from virtualserver.controlplane.rest import Rest
from virtualserver.kube.fields import annotations_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from virtualserver.installation.installation import Installation

__all__ = ["KINDS", "give_all", "manifests", "name_of"]

_API_VERSION: Final = "flowcontrol.apiserver.k8s.io/v1"
_SHARES: Final = 20
"""Of the 395 that others have besides users: a few requests at once."""
_EVERYTHING: Final = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}

KINDS: Final = "flowschema,prioritylevelconfiguration"
"""What there is of each user, as kubectl names it."""


def name_of(user: str) -> str:
    """Return what the objects of a user are called."""
    return f"virtualserver-user-{user}"


def manifests(user: str, *, edits: Iterable[str]) -> list[dict[str, Any]]:
    """Return what gives a user a level: pure.

    Args:
        user: The user's name.
        edits: The namespaces that the user could ever edit, and so make tokens for their ServiceAccounts: they count as
            the user.
    """
    metadata = {"name": name_of(user), "labels": {names.USER: user}}
    limited = {
        "nominalConcurrencyShares": _SHARES,
        "lendablePercent": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Queue", "queuing": {"queues": 8, "handSize": 2, "queueLengthLimit": 50}},
    }
    account = {"kind": "ServiceAccount", "serviceAccount": {"namespace": names.USER_NAMESPACE, "name": user}}
    others = [{"kind": "Group", "group": {"name": f"system:serviceaccounts:{one}"}} for one in edits]
    return [
        {
            "apiVersion": _API_VERSION,
            "kind": "PriorityLevelConfiguration",
            "metadata": metadata,
            "spec": {"type": "Limited", "limited": limited},
        },
        {
            "apiVersion": _API_VERSION,
            "kind": "FlowSchema",
            "metadata": metadata,
            "spec": {
                # Just behind our own: Kubernetes' begin at 100.
                "matchingPrecedence": 3,
                "priorityLevelConfiguration": {"name": metadata["name"]},
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [{"subjects": [account, *others], **_EVERYTHING}],
            },
        },
    ]


def give_all(installation: Installation, url: str) -> None:
    """Give every user there is a level, as the administrator: earlier versions made users without one.

    Raises:
        RestError: The API server refuses.
        OSError: It does not answer.
    """
    with Rest.as_administrator(installation, url, timeout_seconds=60) as server:
        path = f"/api/v1/namespaces/{names.USER_NAMESPACE}/serviceaccounts?labelSelector={names.USER}"
        for account in server.call("GET", path)["items"]:
            edits = [one for one in annotations_of(account).get(names.EDITS, "").split(",") if one]
            for manifest in manifests(account["metadata"]["name"], edits=edits):
                bootstrap.write(server, manifest)
