"""A kubectl that has claims of images and nothing else, for tests without an API server."""

from __future__ import annotations

from typing import Any

from virtualserver.api import names
from virtualserver.local.errors import LocalError

__all__ = ["Claims"]


class Claims:
    """A kubectl that has the claims of images, and remembers what was said of their making."""

    def __init__(self, **claims: dict[str, str]) -> None:
        self.claims = claims
        self.sizes: dict[str, str] = {}
        self.said: list[str] = []
        self.is_away = False

    def get(self, kind: str, name: str, *, namespace: str) -> dict[str, Any] | None:
        """Return a claim."""
        assert (kind, namespace) == ("pvc", names.IMAGE_NAMESPACE)
        annotations = self.claims.get(name)
        return None if annotations is None else {"metadata": {"name": name, "annotations": annotations}}

    def apply(self, manifests: list[dict[str, Any]]) -> None:
        """Make claims, or change their annotations, as ``kubectl apply`` does."""
        for manifest in manifests:
            metadata = manifest["metadata"]
            size = manifest["spec"]["resources"]["requests"]["storage"]
            assert self.sizes.get(metadata["name"], size) == size, "a claim's size stays"
            self.claims[metadata["name"]] = {**self.claims.get(metadata["name"], {}), **metadata["annotations"]}
            self.sizes[metadata["name"]] = size

    def run(self, verb: str, kind: str, name: str, *rest: str) -> str:
        """Annotate or delete a claim, or change its status."""
        assert kind == "pvc" and rest[:2] == ("-n", names.IMAGE_NAMESPACE)
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
