"""Bounds of a schema, said in our words: CEL rules in the place of ``required`` and ``enum``.

kube-apiserver checks no CEL rule of an object that lacks a required field or has an unknown word, so that people
learned of their mistakes in two rounds, the first of them in its words. As rules, all are told at once.
"""

from __future__ import annotations

from typing import Any, Final, cast

__all__ = ["worded"]

Schema = dict[str, Any]

_LONGEST_WORD: Final = 256
"""Characters of a word: far beyond every one that is known, since what is longer is refused before all rules."""
_MOST_ITEMS: Final = 256
"""Items of a list in which rules hold: kube-apiserver reckons what they may cost before it takes them."""
_RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import"}
    | {"in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"}
)
"""Words that CEL keeps for itself: as names of fields they stand between underscores."""


def worded(schema: Schema, path: str, *, repeated: bool = False) -> Schema:
    """Return a schema whose words and required fields are CEL rules, and whose descriptions say what they ask for.

    Args:
        schema: Structural, with types.
        path: The field as kubectl explain names it.
        repeated: Whether it lies in a list, so that the rules are reckoned once for each item that there may be.
    """
    schema = dict(schema)
    required: list[str] = schema.pop("required", [])
    rules = [_required(name, path) for name in required]
    if "properties" in schema:
        schema["properties"] = {
            name: _said(worded(field, f"{path}.{name}", repeated=repeated), "Required." if name in required else "")
            for name, field in schema["properties"].items()
        }
    if "items" in schema and schema["items"].get("type"):
        schema["items"] = worded(schema["items"], path, repeated=True)
        if _has_rules(schema["items"]):
            schema.setdefault("maxItems", _MOST_ITEMS)
    if "enum" in schema:
        words: list[str] = schema.pop("enum")
        rules.append(_enumeration(words, show=not repeated))
        schema = _said({"maxLength": _LONGEST_WORD} | schema, f"One of {', '.join(words)}.")
    if rules:
        schema["x-kubernetes-validations"] = [*rules, *schema.get("x-kubernetes-validations", [])]
    return schema


def _said(schema: Schema, sentence: str) -> Schema:
    """Return a schema whose description ends with a further sentence."""
    return schema | {"description": f"{schema.get('description', '')} {sentence}".strip()} if sentence else schema


def _required(name: str, path: str) -> Schema:
    """Return the rule that a field is there."""
    field = f"__{name}__" if name in _RESERVED else name
    return {
        "rule": f"has(self.{field})",
        "message": f"add it; kubectl explain {path}.{name} says what it is",
        "reason": "FieldValueRequired",
        "fieldPath": f".{name}",
    }


def _enumeration(words: list[str], *, show: bool) -> Schema:
    """Return the rule that a text is one of some words."""
    told = f"is not known: write one of {', '.join(words)}"
    rule: Schema = {"rule": f"self in [{', '.join(repr(word) for word in words)}]", "message": told}
    # A message with the value costs in a list as often as there may be items.
    return rule | {"messageExpression": f"'\"%s\" {told}'.format([self])"} if show else rule


def _has_rules(schema: Any) -> bool:
    """Return whether a rule holds somewhere in a schema."""
    if isinstance(schema, dict):
        fields = cast("Schema", schema)
        return "x-kubernetes-validations" in fields or any(map(_has_rules, fields.values()))
    return False
