"""Requests to a Kubernetes API server: JSON in, JSON out, faults as exceptions.

Nothing is cached here; see ``reflector`` and ``store``. ``metadata.managedFields``, often half of an object, is dropped
from what is read unless asked for, and items of lists get the ``apiVersion`` and ``kind`` that the server leaves out.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Final

from virtualserver.kube import kubeconfig
from virtualserver.kube.connection import JSON, Connection
from virtualserver.kube.errors import Conflict, Gone, NotFound, error_from_status

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path
    from types import TracebackType

    from virtualserver.kube.objects import Manifest, Resource
    from virtualserver.kube.stream import Stream

__all__ = ["Client", "Listing", "WatchEvent"]

_MERGE_PATCH: Final = "application/merge-patch+json"
_APPLY_PATCH: Final = "application/apply-patch+yaml"  # JSON is YAML; servers before 1.32 know only this name.

_PAGE: Final = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """All objects of one kind at one moment.

    Attributes:
        items: The objects.
        resource_version: Where a watch goes on from.
    """

    items: list[Manifest]
    resource_version: str


@dataclasses.dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch.

    Attributes:
        type: ADDED, MODIFIED, DELETED or BOOKMARK (an object of which only the resource version counts).
        object: The object after the change; of a deleted one, as it was last.
    """

    type: str
    object: Manifest


class Client:
    """One user's connection to one API server; an async context manager that holds the connections.

    Every method raises ``ApiError`` or its subclasses; ``Unavailable`` where there was no answer at all. An answer that
    asks to be tried again (``Retry-After``) is, at most four times and never more than 30 s later each.

    Args:
        credentials: Whom to talk to, and as whom.
        user_agent: Names our program in the server's audit log.
        managed_fields: Keep ``metadata.managedFields`` of what is read.
    """

    def __init__(self, credentials: kubeconfig.Credentials, *, user_agent: str, managed_fields: bool = False) -> None:
        self._credentials = credentials
        self._connection = Connection(credentials, user_agent=user_agent)
        self._managed_fields = managed_fields

    @classmethod
    def from_kubeconfig(cls, path: Path, *, user_agent: str, managed_fields: bool = False) -> Client:
        """Return a client for the file's current context; nothing is connected yet.

        Raises:
            KubeconfigError: The file is missing, no kubeconfig, or needs what is not supported.
        """
        return cls(kubeconfig.load_kubeconfig(path), user_agent=user_agent, managed_fields=managed_fields)

    @property
    def namespace(self) -> str:
        """The namespace that the kubeconfig's context names, ``default`` unless it says otherwise."""
        return self._credentials.namespace

    async def __aenter__(self) -> Client:
        self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections, watches included; a closed client may be entered again."""
        await self._connection.close()

    async def get(self, resource: Resource, name: str, *, namespace: str = "") -> Manifest:
        """Return one object.

        Raises:
            NotFound: There is none.
        """
        return self._ingest(await self.request("GET", resource.path(namespace=namespace, name=name)))

    async def list(
        self, resource: Resource, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> list[Manifest]:
        """Return all objects of a kind, as they are now; no namespace means all namespaces."""
        listing = await self.snapshot(
            resource, namespace=namespace, label_selector=label_selector, field_selector=field_selector
        )
        return listing.items

    async def snapshot(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        page: int = _PAGE,
    ) -> Listing:
        """Return all objects of a kind at one moment, which is not before this call.

        Read in pages. Where the moment is compacted away before the last page is read (410), the whole is read anew
        in one piece, which cannot fail that way.

        Args:
            resource: The kind.
            namespace: ``""`` means all.
            label_selector: As ``kubectl -l`` has it.
            field_selector: As ``kubectl --field-selector`` has it.
            page: Objects in one answer; 0 means all.
        """
        path = resource.path(namespace=namespace)
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        query = {**selectors, "limit": str(page or ""), "continue": ""}
        items: list[Manifest] = []
        while True:
            try:
                answer = await self._connection.request("GET", path, query=query, accept=_accept(resource, "List"))
            except Gone:
                if not query["continue"]:
                    raise
                items, query = [], query | {"limit": "", "continue": ""}
                continue
            for item in answer.get("items") or ():
                items.append(self._ingest({"apiVersion": resource.api_version, "kind": resource.kind, **item}))
            metadata: dict[str, Any] = answer.get("metadata") or {}
            query["continue"] = metadata.get("continue") or ""
            if not query["continue"]:
                return Listing(items, metadata.get("resourceVersion") or "0")

    async def create(self, resource: Resource, manifest: Manifest, *, field_manager: str) -> Manifest:
        """Create an object and return it. Its namespace comes from the manifest.

        Raises:
            AlreadyExists: There is one of this name.
            Invalid: It breaks its schema or a rule.
        """
        path = resource.path(namespace=manifest["metadata"].get("namespace"))
        return self._ingest(await self.request("POST", path, query={"fieldManager": field_manager}, body=manifest))

    async def apply(
        self,
        resource: Resource,
        manifest: Manifest,
        *,
        field_manager: str,
        force: bool = True,
        subresource: str | None = None,
    ) -> Manifest:
        """Apply an object server-side: it is created or changed, and what the manager no longer names is removed.

        Args:
            resource: The kind.
            manifest: The fields that the manager wants to own. Its namespace and name address the object. With
                ``metadata.resourceVersion`` the write fails if the object changed since; with ``metadata.uid`` it fails
                if the object is another one by now, or gone.
            field_manager: Who owns these fields.
            force: Take fields from other managers rather than fail with ``Conflict``.
            subresource: Such as ``status``.

        Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/.
        """
        metadata = manifest["metadata"]
        path = resource.path(namespace=metadata.get("namespace"), name=metadata["name"], subresource=subresource)
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        return self._ingest(await self.request("PATCH", path, query=query, body=manifest, content_type=_APPLY_PATCH))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Manifest,
        *,
        namespace: str = "",
        subresource: str | None = None,
        field_manager: str,
    ) -> Manifest:
        """Change an object by a JSON merge patch (null removes, lists are replaced) and return it.

        With ``metadata.resourceVersion`` or ``metadata.uid`` in the patch, it fails with ``Conflict`` if the object
        changed since, or is another one.

        Source: RFC 7396.
        """
        path = resource.path(namespace=namespace, name=name, subresource=subresource)
        query = {"fieldManager": field_manager}
        return self._ingest(await self.request("PATCH", path, query=query, body=patch, content_type=_MERGE_PATCH))

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str = "",
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        """Delete an object; that it does not exist is success.

        Args:
            resource: The kind.
            name: The object's name.
            namespace: ``""`` for cluster-scoped kinds.
            uid: Delete this very object only; another one of its name is left alone, which is success too.
            propagation: ``Background``, ``Foreground`` or ``Orphan``: what becomes of the objects that it owns.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        with contextlib.suppress(NotFound):
            try:
                await self.request("DELETE", resource.path(namespace=namespace, name=name), body=options)
            except Conflict:
                there = await self.get(resource, name, namespace=namespace)
                if uid is None or there["metadata"]["uid"] == uid:
                    raise

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int,
        read_seconds: float,
    ) -> AsyncGenerator[WatchEvent]:
        """Yield what happens to objects of a kind after a resource version, until the server ends the stream.

        Args:
            resource: The kind.
            resource_version: From a listing or an earlier event.
            namespace: ``""`` means all.
            label_selector: As ``kubectl -l`` has it.
            field_selector: As ``kubectl --field-selector`` has it.
            timeout_seconds: After which the server ends the stream.
            read_seconds: After which a silent stream is given up as dead; servers send bookmarks about every minute.

        Raises:
            Gone: The version is compacted away, said by the answer or inside the stream.
            Unavailable: No connection, a silent or a cut one.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
        }
        path = resource.path(namespace=namespace)
        stream = self._connection.lines(path, query=query, read_seconds=read_seconds, accept=_accept(resource))
        async with contextlib.aclosing(stream) as lines:
            async for event in lines:
                if event["type"] == "ERROR":
                    raise error_from_status(event["object"], request=f"WATCH {path}")
                yield WatchEvent(event["type"], self._ingest(event["object"]))

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Send any request, such as a subresource's, and return the decoded answer as it is.

        Args:
            method: The HTTP method.
            path: Below the server's address, such as ``Resource.path`` returns.
            query: Parameters; empty ones are left out.
            body: Sent as JSON.
            content_type: Of the body.
            accept: Which form of the answer is asked for.

        Returns:
            The JSON object; ``{}`` for an answer without one.
        """
        return await self._connection.request(
            method, path, query=query, body=body, content_type=content_type, accept=accept
        )

    def stream(
        self, path: str, *, protocol: str, query: Mapping[str, str] | None = None
    ) -> contextlib.AbstractAsyncContextManager[Stream]:
        """Open a stream of bytes, such as a console's, which ends with the context; see `Connection.stream`."""
        return self._connection.stream(path, protocol=protocol, query=query)

    def _ingest(self, manifest: dict[str, Any]) -> Manifest:
        """Drop what nobody here reads."""
        if not self._managed_fields and "metadata" in manifest:
            manifest["metadata"].pop("managedFields", None)
        return manifest


def _accept(resource: Resource, form: str = "") -> str:
    """Return the form in which objects of a kind are watched, or listed (``List``)."""
    return f"{JSON};as=PartialObjectMetadata{form};g=meta.k8s.io;v=v1" if resource.is_metadata else JSON
