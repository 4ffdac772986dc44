"""How many addresses a namespace may have: one annotation of it, else the default."""

from __future__ import annotations

import pytest

from virtualserver.api import names
from virtualserver.node.services.quotas import quota_of


@pytest.mark.parametrize(
    ("annotation", "default", "quota"),
    [
        pytest.param(None, None, None, id="no quota holds unless somebody sets one"),
        pytest.param(None, 16, 16, id="the default"),
        pytest.param("5", 16, 5, id="smaller than the default"),
        pytest.param("500", 16, 500, id="larger than the default"),
        pytest.param("0", None, 0, id="none"),
        *(pytest.param(text, 16, 0, id=f"fails closed: {text!r}") for text in ("", "many", "-1", "1.5", "٣")),
    ],
)
def test_fault_5_the_namespace_says_how_many_addresses_it_may_have(
    annotation: str | None, default: int | None, quota: int | None
) -> None:
    annotations = {} if annotation is None else {names.ADDRESS_QUOTA: annotation}
    assert quota_of({"metadata": {"name": "shop", "annotations": annotations}}, default=default) == quota
