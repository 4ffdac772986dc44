"""A cloud-config: YAML mappings of several owners as one.

Mappings merge key by key, at every depth; lists are joined, ours first, repeats dropped; of two users of one name the
entries merge; in all other cases the other owner's value wins. So ``runcmd`` adds commands, ``users`` adds users, and
``hostname`` replaces the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NESTING", "dump", "load", "merge"]

NESTING: Final = 100
"""Levels of lists and mappings in each other: libyaml's loader ends the whole process where there are too many."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one: a large cloudInit must not hold up every other server."""


def load(text: str) -> dict[str, Any]:
    """Read a YAML mapping; an empty text is an empty one.

    Raises:
        yaml.YAMLError: The text is no YAML, or something other than a mapping.
        RecursionError: It is nested too deeply.
    """
    if not text:
        return {}
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > NESTING:
            raise RecursionError
    value = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is the safe loader
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise yaml.YAMLError("no mapping")
    return cast("dict[str, Any]", value)


def dump(config: Mapping[str, Any]) -> str:
    """Return a mapping as cloud-init reads it, with its first line."""
    return "#cloud-config\n" + yaml.dump(
        config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1 << 20
    )


def merge(ours: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return both mappings as one, by the rules in this module's docstring."""
    result = dict(ours)
    for key, value in theirs.items():
        result[key] = _merged(key, result[key], value) if key in result else value
    return result


def _merged(key: str, ours: Any, theirs: Any) -> Any:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return merge(cast("dict[str, Any]", ours), cast("dict[str, Any]", theirs))
    if isinstance(ours, list) and isinstance(theirs, list):
        mine, others = cast("list[Any]", ours), cast("list[Any]", theirs)
        return _merged_users(mine, others) if key == "users" else mine + [item for item in others if item not in mine]
    return theirs


def _merged_users(ours: list[Any], theirs: list[Any]) -> list[Any]:
    result = list(ours)
    places = {_user_name(user): place for place, user in enumerate(result)}
    for user in theirs:
        name = _user_name(user)
        if name is not None and name in places:
            result[places[name]] = merge(result[places[name]], user)
        elif user not in result:
            result.append(user)
    return result


def _user_name(user: Any) -> str | None:
    """Return the name of a user's entry; cloud-init also knows entries that are a text, such as ``default``."""
    name = cast("dict[str, Any]", user).get("name") if isinstance(user, dict) else None
    return name if isinstance(name, str) else None


def _represent_text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper: Any = type("_Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
"""Writes texts of several lines as blocks, as a reader would."""
_Dumper.add_representer(str, _represent_text)
