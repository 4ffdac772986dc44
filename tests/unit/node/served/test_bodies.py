"""What clients send with a request."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from virtualserver.node.served import bodies


@pytest.mark.parametrize("value", [None, 0, 30])
def test_a_grace_period_is_a_number_of_seconds(value: int | None) -> None:
    assert bodies.grace_seconds({"gracePeriod": value}, "gracePeriod") == value


@pytest.mark.parametrize("value", [-1, "0", True, 1.5, 1 << 31])
def test_anything_else_is_refused_with_its_field(value: Any) -> None:
    with pytest.raises(web.HTTPBadRequest) as refused:
        bodies.grace_seconds({"gracePeriod": value}, "gracePeriod")
    assert "gracePeriod" in (refused.value.text or "")


def test_only_a_dry_run_of_all_stages_is_one() -> None:
    assert bodies.is_dry_run({"dryRun": ["All"]})
    assert not bodies.is_dry_run({})
