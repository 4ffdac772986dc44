"""Names that are agreements: the API's identity, and the keys and field managers that the parts meet by.

The meaning of every key, and who writes it, is in ``docs/architecture.md``.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "ADDRESS_ASSIGNED",
    "ADDRESS_QUOTA",
    "ADDRESS_TAKEN",
    "ALIAS_OF",
    "API_VERSION",
    "APPLIED",
    "ATTACH_LOAD_BALANCER",
    "BASE_IMAGE",
    "DATABASE",
    "DATABASE_FULL",
    "DATA_PLANE_READY",
    "DNS_LABEL",
    "DNS_SUBDOMAIN",
    "DOMAIN",
    "EDITS",
    "FIRST_START",
    "FLOWS_BOUNDED",
    "FULLY_APPLIED",
    "GROUP",
    "IMAGE",
    "IMAGE_ABANDONED",
    "IMAGE_MADE",
    "IMAGE_NAMESPACE",
    "IMAGE_PROGRESS",
    "INITIALIZE_RUNNING",
    "INSTANCE_TEMPLATE",
    "KEEP_DISK",
    "KEPT_FOR",
    "KIND",
    "LATEST_OBSERVED_API_VERSION",
    "LEAVES",
    "LIST_KIND",
    "MANAGED_BY_NODE",
    "METALLB_ADDRESS_POOL",
    "METALLB_ADDRESS_POOL_OLD",
    "METALLB_ALLOCATED_FROM",
    "METALLB_ALLOW_SHARED_IP",
    "METALLB_LOAD_BALANCER_IPS",
    "NAME",
    "NAME_LIMIT",
    "NETWORK_DATA",
    "NETWORK_DIFFERS",
    "NETWORK_GROUP",
    "NODE_FINALIZER",
    "NODE_MANAGER",
    "OPERATOR_MANAGER",
    "PLURAL",
    "PORTS_PUBLISHED",
    "RESOLVER_CUT",
    "REVISION",
    "RUN_STRATEGY",
    "SETTLE_WITHIN",
    "SINGULAR",
    "STORAGE_OBSERVED_API_VERSION",
    "TEMPLATE_LABELS",
    "UID",
    "USER",
    "USER_NAMESPACE",
    "VALID_UNTIL",
    "VERSION",
    "WAIT_KIND",
    "WAIT_PLURAL",
]

GROUP: Final = "virtualservers.coreweave.com"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "virtualservers.coreweave.com/v1alpha1"
KIND: Final = "VirtualServer"
LIST_KIND: Final = "VirtualServerList"
PLURAL: Final = "virtualservers"
SINGULAR: Final = "virtualserver"
WAIT_KIND: Final = "VirtualServerWait"
"""One client's wait for a VirtualServer: an object of its own, so that a wait that fails is nothing of the server's."""
WAIT_PLURAL: Final = "virtualserverwaits"

NETWORK_GROUP: Final = f"network.{GROUP}"
"""The API that the node serves of addresses and of the way to servers, in `VERSION`."""

NAME_LIMIT: Final = 59
"""Characters in a server's name: a DNS label less the ``-tcp`` of its Service."""

DOMAIN: Final = GROUP
"""The prefix of every label, annotation and condition of ours."""

NAME: Final = f"{DOMAIN}/name"
"""Label: the VirtualServer's name."""
UID: Final = f"{DOMAIN}/uid"
"""Label: the VirtualServer's UID; its Services select machines by it."""
APPLIED: Final = f"{DOMAIN}/applied"
"""Annotation of every child: the hash of the intent that was applied last."""
RUN_STRATEGY: Final = f"{DOMAIN}/run-strategy"
"""Annotation of the VirtualMachine: the VirtualServer's own value when the operator last wrote the machine's."""
INITIALIZE_RUNNING: Final = f"{DOMAIN}/initialize-running"
"""Annotation of the VirtualMachine, ``"false"`` while its VirtualServer does not ask that it starts: once that does, it
is a change."""
ATTACH_LOAD_BALANCER: Final = f"{DOMAIN}/attach-load-balancer"
"""Annotation of the machine's template: the Service whose addresses are the cluster NIC's own."""
NETWORK_DATA: Final = f"{DOMAIN}/network-data"
"""Annotation of the machine's template: a digest of the network configuration that the server's cloudInit has."""
KEEP_DISK: Final = f"{DOMAIN}/keep-disk"
"""Annotation of a VirtualServer: ``"true"`` keeps the root disk when the server is deleted."""
KEPT_FOR: Final = f"{DOMAIN}/kept-for"
"""Annotation of a DataVolume, from the operator alone: NAMESPACE/NAME of the servers that may have the disk when its
own is gone, and after another ``/`` the UID of the one that asked for it."""
LEAVES: Final = f"{DOMAIN}/leave-address"
"""Annotation of a Service: a load balancer address of a former network of its pool, which it gives up for another."""

REVISION: Final = f"{DOMAIN}/revision"
"""Annotation of a VirtualServer: any word; ``status.observedRevision`` repeats it once it speaks of that manifest."""
SETTLE_WITHIN: Final = f"{DOMAIN}/settle-within"
"""Annotation of a VirtualServer: how long a client waits (``10m``) until ``status.settled`` says how its manifest
ended; ``REVISION`` is the key of that."""
FIRST_START: Final = f"{DOMAIN}/first-start"
"""Annotation of the Secret that a guest's cloud-config is in: digests of what the guest was told at its first start."""
IMAGE: Final = f"{DOMAIN}/image"
"""Annotation of a PersistentVolumeClaim: the digest of the image that it stands for."""
IMAGE_PROGRESS: Final = f"{DOMAIN}/image-progress"
"""Annotation of a PersistentVolumeClaim while its image is being made: ``45% STEP``, or ``STEP`` where nobody knows how
much is done; `IMAGE_ABANDONED` where its maker is gone. Without `IMAGE` there is no image of the name yet."""
IMAGE_ABANDONED: Final = "abandoned"
"""Value of `IMAGE_PROGRESS`, from the node: nobody makes the image any more; `IMAGE_MADE` has the words."""
CLOUD_INIT_MODULES: Final = f"{DOMAIN}/cloud-init-modules"
"""Annotation of an image's PersistentVolumeClaim: the modules that its cloud-init has, with commas; none: unknown."""
BASE_IMAGE: Final = f"{DOMAIN}/base-image"
"""Annotation of a server's own PersistentVolumeClaim: the digest of the image that its disk started from."""
INSTANCE_TEMPLATE: Final = f"{DOMAIN}/template"
"""Annotation of a VirtualMachineInstance: the hash of the template that it was made from."""
TEMPLATE_LABELS: Final = f"{DOMAIN}/template-labels"
"""Annotation of a VirtualMachineInstance: the keys of the labels that it has from that template, with commas."""
NODE_FINALIZER: Final = f"{DOMAIN}/node"
"""Finalizer of a VirtualMachineInstance: the guest is still to be shut down and its link to be removed."""
ALIAS_OF: Final = f"{DOMAIN}/alias-of"
"""Annotation of a PersistentVolumeClaim: NAMESPACE/NAME of the image that it is another name of."""
ADDRESS_QUOTA: Final = f"{DOMAIN}/address-quota"
"""Annotation of a Namespace: how many addresses of each pool its Services may hold."""
DATABASE: Final = f"{DOMAIN}/database"
"""Annotation of the Namespace virtualserver-system, there while etcd's database is nearly full: how full it is."""
USER: Final = f"{DOMAIN}/user"
"""Label of what gives a person access: the person's name."""
EDITS: Final = f"{DOMAIN}/edits"
"""Annotation of a user's ServiceAccount: the namespaces that the user could ever edit, with commas between them."""
VALID_UNTIL: Final = f"{DOMAIN}/valid-until"
"""Annotation of the Secret that a user's tokens are bound to: when the last one ends, in RFC 3339."""

ADDRESS_TAKEN: Final = f"{DOMAIN}/AddressTaken"
"""Condition of a VirtualMachineInstance: the guest took its address since this start."""
DATA_PLANE_READY: Final = f"{DOMAIN}/DataPlaneReady"
"""Condition of a VirtualMachineInstance: its addresses and ports are in the data plane."""
FLOWS_BOUNDED: Final = f"{DOMAIN}/FlowsBounded"
"""Condition of a VirtualMachineInstance, there while it is True: its guest had as many flows as it may have, or opened
them as fast as it may, within the last minute, and others were dropped."""
NETWORK_DIFFERS: Final = f"{DOMAIN}/NetworkDiffers"
"""Condition of a VirtualMachineInstance, there while it is True: a VPC that it is on was deleted, or is another now."""
RESOLVER_CUT: Final = f"{DOMAIN}/ResolverCut"
"""Condition of a VirtualMachineInstance, there while it is True: DHCP has no room for all of its resolver."""
DATABASE_FULL: Final = f"{DOMAIN}/DatabaseFull"
"""Condition of a Node: whether etcd's database is nearly full, and which namespaces hold most."""
IMAGE_MADE: Final = f"{DOMAIN}/ImageMade"
"""Condition of an image's PersistentVolumeClaim, there while it is False: whoever made the image is gone."""
ADDRESS_ASSIGNED: Final = f"{DOMAIN}/AddressAssigned"
"""Condition of a Service: whether a load balancer address was granted, and why not."""
PORTS_PUBLISHED: Final = f"{DOMAIN}/PortsPublished"
"""Condition of a Service: False where a port of it cannot be published, or leads to nobody, and why."""
FULLY_APPLIED: Final = f"{DOMAIN}/FullyApplied"
"""Condition of a Service, VirtualMachine or DataVolume of a user's own, there while it is False: fields of it have no
effect here, and the message names them."""

FLOATS: Final = f"{DOMAIN}/Floats"
"""Condition of a Service, there while all traffic to its address goes to the guest of a server that claims it."""

OPERATOR_MANAGER: Final = "virtualserver-operator"
"""Field manager of everything that the operator writes."""
NODE_MANAGER: Final = "virtualserver-node"
"""Field manager of everything that the node writes."""
MANAGED_BY_NODE: Final = NODE_MANAGER
"""Value of the label ``endpointslice.kubernetes.io/managed-by`` on the node's EndpointSlices."""

MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
"""Label of an EndpointSlice: who made it and looks after it."""

DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A part of a DNS name, as namespaces and many other objects are called. Source: RFC 1123."""

DNS_SUBDOMAIN: Final = re.compile(rf"(?=.{{1,253}}$){DNS_LABEL.pattern}(\.{DNS_LABEL.pattern})*")
"""A DNS name, as NetworkAttachmentDefinitions are called. Source: RFC 1123."""

IMAGE_NAMESPACE: Final = "vd-images"
"""The namespace in which images are PersistentVolumeClaims."""
USER_NAMESPACE: Final = "vs-users"
"""The namespace of users' ServiceAccounts, in which no user has rights."""

METALLB_ADDRESS_POOL: Final = "metallb.io/address-pool"
METALLB_ADDRESS_POOL_OLD: Final = "metallb.universe.tf/address-pool"
METALLB_ALLOCATED_FROM: Final = "metallb.io/ip-allocated-from-pool"
"""Annotation of a Service, from whoever grants addresses: the pool that the address in its status is from."""
METALLB_ALLOW_SHARED_IP: Final = "metallb.io/allow-shared-ip"
METALLB_LOAD_BALANCER_IPS: Final = "metallb.io/loadBalancerIPs"
LATEST_OBSERVED_API_VERSION: Final = "kubevirt.io/latest-observed-api-version"
STORAGE_OBSERVED_API_VERSION: Final = "kubevirt.io/storage-observed-api-version"
