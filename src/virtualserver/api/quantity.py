"""Kubernetes quantities (``8Gi``, ``1500m``, ``2e3``), read exactly.

Source: the Kubernetes API reference, "Quantity".
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final

__all__ = ["QuantityError", "in_bytes", "meant", "parse"]

_FORM: Final = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+|)", re.ASCII)
_SCALE: Final = {
    "": Fraction(1),
    **{suffix + "i": Fraction(1024) ** (power + 1) for power, suffix in enumerate("KMGTPE")},
    **{suffix: Fraction(1000) ** (power - 3) for power, suffix in enumerate("num")},
    **{suffix: Fraction(1000) ** (power + 1) for power, suffix in enumerate("kMGTPE")},
}
_LONGEST: Final = 64
"""Characters of a quantity, as in the CRD; the time that longer ones take to read grows with their square."""
_NO_LONGER_GIBIBYTES: Final = 256
_NO_LONGER_MEBIBYTES: Final = 1 << 24
"""Numbers without a unit that are more are bytes, rather."""
_MAX_EXPONENT: Final = 18
"""Beyond an exa (10**18) every amount is out of range, and reading ``1e999999999`` must not fill the memory."""


class QuantityError(ValueError):
    """The text is no quantity; the message says what one looks like."""


def parse(value: str | int) -> Fraction:
    """Return the exact amount that a quantity stands for.

    Args:
        value: As in a manifest: text, or a whole number.

    Raises:
        QuantityError: The text is no quantity.
    """
    text = str(value)
    if len(text) > _LONGEST:
        raise QuantityError(f"has more than {_LONGEST} characters: write a number with a unit, such as 8Gi")
    match = _FORM.fullmatch(text)
    if match is None:
        raise QuantityError(f"{value!r} is no quantity: write a number with a unit, such as 8Gi")
    sign, digits, suffix = match.groups()
    amount = Fraction(digits) * _scale(value, suffix)
    return -amount if sign == "-" else amount


def _scale(value: str | int, suffix: str) -> Fraction:
    if suffix in _SCALE:
        return _SCALE[suffix]
    exponent = int(suffix[1:])
    if abs(exponent) > _MAX_EXPONENT:
        raise QuantityError(
            f"{value!r} is out of range: the exponent lies between -{_MAX_EXPONENT} and {_MAX_EXPONENT}"
        )
    return Fraction(10) ** exponent


def meant(value: str | int) -> str:
    """Return the amount that somebody means who left a size's unit out, such as ``8Gi``; ``""`` for no guess."""
    text = str(value)
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text[:_LONGEST]) < _NO_LONGER_MEBIBYTES:
        return ""
    return f"{text}{'Gi' if int(text) < _NO_LONGER_GIBIBYTES else 'Mi'}"


def in_bytes(value: str | int) -> int:
    """Return a quantity as a whole number, rounded up.

    Raises:
        QuantityError: The text is no quantity.
    """
    return math.ceil(parse(value))
