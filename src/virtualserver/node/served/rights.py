"""Whether somebody may still have what is open: kube-apiserver asks once, before it hands a request on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from virtualserver.kube.errors import ApiError

if TYPE_CHECKING:
    from aiohttp import web

    from virtualserver.kube.client import Client

__all__ = ["Rights"]

_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class Rights:
    """Asks kube-apiserver about others' rights. Source: Kubernetes, "Checking API access"."""

    def __init__(self, client: Client) -> None:
        """Name whom to ask."""
        self._client = client

    async def still_has(self, request: web.Request) -> bool:
        """Return whether whoever sent a request that was allowed would be allowed to send it now.

        Where the API server does not answer it goes on: it is asked again, and its restart ends nobody's console.

        Args:
            request: For a subresource, as kube-apiserver handed it on.
        """
        _, _, group, _, _, namespace, resource, name, subresource, *_ = request.path.split("/")
        spec = {
            "user": request.headers.get("X-Remote-User", ""),
            "groups": request.headers.getall("X-Remote-Group", []),
            "resourceAttributes": {
                "group": group,
                "resource": resource,
                "subresource": subresource,
                "namespace": namespace,
                "name": name,
                "verb": "get",
            },
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        try:
            answer = await self._client.request("POST", _REVIEWS, body=review)
        except ApiError:
            return True
        return bool(answer["status"]["allowed"])
