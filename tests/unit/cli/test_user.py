"""What `vs user add` says of the namespace's quota; what it makes is in `tests/e2e/test_tenants.py`."""

from __future__ import annotations

import pytest

from virtualserver.cli import user


@pytest.mark.parametrize(("quota", "told"), [("1", "1 address"), ("16", "16 addresses"), ("few", "few addresses")])
def test_a_quota_is_told_as_people_say_it(quota: str, told: str) -> None:
    assert user.held_in_words(quota) == told
