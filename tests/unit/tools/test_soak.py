"""What ``make soak`` lives."""

from __future__ import annotations

import re
from pathlib import Path

import run_soak

CHECKOUT = Path(__file__).parents[3]


def test_it_lives_every_state_machine_of_the_unit_tests() -> None:
    found = {
        str(path.relative_to(CHECKOUT))
        for path in (CHECKOUT / "tests" / "unit").rglob("test_*.py")
        if re.search(r"^class \w+\(RuleBasedStateMachine\)", path.read_text(), re.MULTILINE)
    }
    assert found == set(run_soak.FILES)
    assert all('== "soak"' in (CHECKOUT / name).read_text() for name in found), "it lives as the profile says"
