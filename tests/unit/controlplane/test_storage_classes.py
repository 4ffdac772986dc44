"""The site's storage classes as objects. With a real API server: test_api."""

from __future__ import annotations

import pytest

from virtualserver.controlplane import storage_classes

DEFAULT = "storageclass.kubernetes.io/is-default-class"


@pytest.mark.parametrize(
    ("classes", "default"),
    [({"local"}, "local"), ({"fast", "local"}, "local"), ({"slow", "fast"}, "fast"), (set[str](), None)],
)
def test_one_of_the_sites_storage_classes_is_the_default(classes: set[str], default: str | None) -> None:
    """Fault 54: there was no StorageClass, so clients that look for one found none."""
    made = storage_classes.manifests(classes)
    assert [one["metadata"]["name"] for one in made] == sorted(classes)
    marked = [one["metadata"]["name"] for one in made if one["metadata"]["annotations"][DEFAULT] == "true"]
    assert marked == ([default] if default else [])


def test_a_name_that_no_object_can_have_is_left_out() -> None:
    (made,) = storage_classes.manifests({"A fast one", "slow"})
    assert made["metadata"]["name"] == "slow"
    assert made["metadata"]["annotations"][DEFAULT] == "true"
