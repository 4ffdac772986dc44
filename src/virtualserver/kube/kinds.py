"""The kinds of the Kubernetes API that operator and node read or write."""

from __future__ import annotations

from typing import Final

from virtualserver.kube.objects import Resource

__all__ = [
    "API_SERVICE",
    "CUSTOM_RESOURCE_DEFINITION",
    "DATA_VOLUME",
    "ENDPOINT_SLICE",
    "NAMESPACE",
    "NETWORK_ATTACHMENT_DEFINITION",
    "NODE",
    "PERSISTENT_VOLUME_CLAIM",
    "RESOURCE_QUOTA",
    "SECRET",
    "SECRET_METADATA",
    "SERVICE",
    "VIRTUAL_MACHINE",
    "VIRTUAL_MACHINE_INSTANCE",
]

VIRTUAL_MACHINE: Final = Resource("kubevirt.io", "v1", "virtualmachines", "VirtualMachine")
VIRTUAL_MACHINE_INSTANCE: Final = Resource("kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance")
DATA_VOLUME: Final = Resource("cdi.kubevirt.io", "v1beta1", "datavolumes", "DataVolume")
SERVICE: Final = Resource("", "v1", "services", "Service")
RESOURCE_QUOTA: Final = Resource("", "v1", "resourcequotas", "ResourceQuota")
SECRET: Final = Resource("", "v1", "secrets", "Secret")
SECRET_METADATA: Final = Resource("", "v1", "secrets", "PartialObjectMetadata")
"""Secrets without what they hold; see `Resource.is_metadata`."""
PERSISTENT_VOLUME_CLAIM: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
ENDPOINT_SLICE: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
NETWORK_ATTACHMENT_DEFINITION: Final = Resource(
    "k8s.cni.cncf.io", "v1", "network-attachment-definitions", "NetworkAttachmentDefinition"
)
NAMESPACE: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODE: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
API_SERVICE: Final = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
CUSTOM_RESOURCE_DEFINITION: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
