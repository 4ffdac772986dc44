"""What a token says of itself, as far as it is a JSON Web Token: read, never believed; the API server checks it. Pure.

Source: https://www.rfc-editor.org/rfc/rfc7519.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any, Final, cast

__all__ = ["claims_of", "end_of"]

_PARTS: Final = 3
_LATEST: Final = 1 << 62


def claims_of(token: str) -> dict[str, Any]:
    """Return a token's claims, none where it is no JSON Web Token."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        return {}
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(f"{parts[1]}==="))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", claims) if isinstance(claims, dict) else {}


def end_of(token: str) -> float:
    """Return when a token ends by its own word, in seconds since 1970; infinity where it says nothing."""
    end: Any = claims_of(token).get("exp")
    if type(end) is float:  # Python's reader takes NaN for a number, though it is none of JSON's
        return math.inf if math.isnan(end) else end
    return float(min(end, _LATEST)) if type(end) is int else math.inf
