"""How many addresses a namespace may have: one annotation of it, else what the site's file says."""

from __future__ import annotations

import pytest

from virtualserver.api import names
from virtualserver.node.services.quotas import quota_of
from virtualserver.plan.sites.quotas import AddressQuota, Quotas

DEFAULT = Quotas(AddressQuota(16))


@pytest.mark.parametrize(
    ("annotation", "site", "quota"),
    [
        pytest.param(None, Quotas(), None, id="no quota holds unless somebody sets one"),
        pytest.param(None, DEFAULT, 16, id="the site's"),
        pytest.param(None, Quotas(AddressQuota(16), {"shop": AddressQuota(20)}), 20, id="the site's for it"),
        pytest.param("5", DEFAULT, 5, id="smaller than the site's"),
        pytest.param("500", Quotas(AddressQuota(16), {"shop": AddressQuota(20)}), 500, id="the annotation wins"),
        pytest.param("0", Quotas(), 0, id="none"),
        *(pytest.param(text, DEFAULT, 0, id=f"fails closed: {text!r}") for text in ("", "many", "-1", "1.5", "٣")),
    ],
)
def test_fault_5_the_namespace_says_how_many_addresses_it_may_have(
    annotation: str | None, site: Quotas, quota: int | None
) -> None:
    annotations = {} if annotation is None else {names.ADDRESS_QUOTA: annotation}
    namespace = {"metadata": {"name": "shop", "annotations": annotations}}
    assert quota_of(namespace, site).of("public") == quota
