"""A kubectl that has claims of images and nothing else, for tests without an API server."""

from __future__ import annotations

from typing import Any

from virtualserver.api import names
from virtualserver.local.errors import LocalError

__all__ = ["Claims"]


def _key(name: str, namespace: str) -> str:
    return name if namespace == names.IMAGE_NAMESPACE else f"{namespace}/{name}"


class Claims:
    """A kubectl that has the claims of images, and remembers what was said of their making.

    Attributes:
        claims: Their annotations by name, of other namespaces than that of images by ``NAMESPACE/NAME``.
        sizes: What they ask for.
        said: How far an image was, each time it was said.
        is_away: Whether nobody answers.
    """

    def __init__(self, **claims: dict[str, str]) -> None:
        self.claims = claims
        self.sizes: dict[str, str] = {}
        self.said: list[str] = []
        self.is_away = False

    def get(self, kind: str, name: str, *, namespace: str) -> dict[str, Any] | None:
        """Return a claim."""
        assert kind == "pvc"
        annotations = self.claims.get(_key(name, namespace))
        return None if annotations is None else {"metadata": {"name": name, "annotations": annotations}}

    def apply(self, manifests: list[dict[str, Any]]) -> None:
        """Make claims, or change their annotations, as ``kubectl apply`` does."""
        for manifest in manifests:
            if manifest["kind"] != "PersistentVolumeClaim":
                continue
            metadata = manifest["metadata"]
            key = _key(metadata["name"], metadata["namespace"])
            size = manifest["spec"]["resources"]["requests"]["storage"]
            assert self.sizes.get(key, size) == size, "a claim's size stays"
            self.claims[key] = {**self.claims.get(key, {}), **metadata["annotations"]}
            self.sizes[key] = size

    def run(self, verb: str, kind: str, name: str, *rest: str) -> str:
        """Annotate or delete a claim, or change its status."""
        if kind == "namespace":
            return f"namespace/{name}"
        assert kind == "pvc" and rest[0] == "-n"
        name = _key(name, rest[1])
        if self.is_away:
            raise LocalError("kubectl: no answer")
        if verb == "delete":
            del self.claims[name]
            self.sizes.pop(name, None)
            return ""
        if verb == "patch":
            assert rest[2] == "--subresource=status" and name in self.claims
            return ""
        assert verb == "annotate"
        key, _, value = rest[2].partition("=")
        if value:
            self.claims[name][key] = value
            self.said.append(value)
        else:
            del self.claims[name][key.removesuffix("-")]
        return ""

    def list(self, kind: str) -> list[dict[str, Any]]:
        """Return the claims of all namespaces."""
        assert kind == "pvc"
        found: list[dict[str, Any]] = []
        for key, said in self.claims.items():
            namespace, _, name = key.rpartition("/")
            metadata = {"name": name, "namespace": namespace or names.IMAGE_NAMESPACE, "annotations": {**said}}
            found.append({"metadata": metadata})
        return found
