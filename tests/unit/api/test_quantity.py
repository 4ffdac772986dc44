"""Quantities are read as Kubernetes reads them, exactly."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtualserver.api import quantity

BINARY = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
SUFFIXES = BINARY | {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8Gi", 8 * 2**30),
        ("1.5Gi", 3 * 2**29),
        (".5k", 500),
        ("5.", 5),
        ("+1", 1),
        ("-1", -1),
        ("1500m", Fraction(3, 2)),
        ("1u", Fraction(1, 10**6)),
        ("1n", Fraction(1, 10**9)),
        ("2e3", 2000),
        ("2E3", 2000),
        ("2e-1", Fraction(1, 5)),
        ("2E", 2 * 10**18),
        (8, 8),
    ],
)
def test_a_quantity_is_read_exactly(text: str | int, amount: Fraction | int) -> None:
    assert quantity.parse(text) == amount


@pytest.mark.parametrize(
    "text", ["", "8GB", "8 Gi", "gi", "1e", "1e1.5", ".", "1K", "٣", "1e19", "1e999999999", "1Gi\n"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(quantity.QuantityError, match=r"no quantity|out of range"):
        quantity.parse(text)


@given(st.integers(0, 10**6), st.sampled_from(sorted(SUFFIXES)))
def test_whole_amounts_of_any_unit_are_exact(count: int, suffix: str) -> None:
    assert quantity.parse(f"{count}{suffix}") == count * SUFFIXES[suffix]


def test_bytes_are_rounded_up() -> None:
    assert quantity.in_bytes("1100m") == 2
    assert quantity.in_bytes("1Ki") == 1024


@pytest.mark.parametrize("text", ["9" * 1_000_000, "1" * 1_000_000 + "x", "." + "1" * 5000, "1e" + "9" * 5000])
def test_what_is_as_long_as_a_manifest_is_refused_at_once(text: str) -> None:
    """Fault 12's kind: DataVolumes and VirtualMachines bound no quantity's length."""
    began = time.process_time()
    with pytest.raises(quantity.QuantityError, match="more than 64 characters"):
        quantity.parse(text)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        *((1024, "1024Mi"), ("8", "8Gi"), ("255", "255Gi"), ("256", "256Mi"), (8 << 30, ""), (0, ""), ("-8", "")),
        *(("8Gi", ""), ("1.5", ""), ("٣", ""), ("9" * 10_000, "")),
    ],
)
def test_a_number_without_its_unit_is_guessed_at(value: str | int, meant: str) -> None:
    assert quantity.meant(value) == meant
