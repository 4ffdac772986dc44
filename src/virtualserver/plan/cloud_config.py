"""A cloud-config: YAML mappings of several owners as one.

Mappings merge key by key, at every depth; lists are joined, ours first, repeats dropped; of two users of one name the
entries merge, and users in cloud-init's other forms are added too; in all other cases the other owner's value wins. So
``runcmd`` adds commands, ``users`` adds users, and ``hostname`` replaces the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import yaml

from virtualserver.plan import bounded_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["dump", "dump_plain", "load", "merge"]


def load(text: str) -> dict[str, Any]:
    """Read a YAML mapping; an empty text is an empty one.

    Raises:
        bounded_yaml.YAMLFault: The text is no YAML, goes beyond a bound, or says something other than a mapping.
    """
    value = bounded_yaml.load(text)
    if value is None:
        return {}
    if not isinstance(value, dict):
        remedy = "write keys and values, such as 'packages: [nginx]'"
        raise bounded_yaml.YAMLFault(f"is no YAML mapping but {type(value).__name__}", None, remedy=remedy)
    return cast("dict[str, Any]", value)


def dump(config: Mapping[str, Any]) -> str:
    """Return a mapping as cloud-init reads it, with its first line."""
    return "#cloud-config\n" + dump_plain(config)


def dump_plain(config: Mapping[str, Any]) -> str:
    """Return a mapping as cloud-init reads a network configuration."""
    return yaml.dump(
        config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1 << 20
    )


def merge(ours: dict[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return both mappings as one, by the rules in this module's docstring."""
    result = dict(ours)
    for key, value in theirs.items():
        result[key] = _merged(key, result[key], value) if key in result else value
    return result


def _merged(key: str, ours: Any, theirs: Any) -> Any:
    if key == "users" and isinstance(ours, list):
        return _merged_users(cast("list[Any]", ours), _listed(theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return merge(cast("dict[str, Any]", ours), cast("dict[str, Any]", theirs))
    if isinstance(ours, list) and isinstance(theirs, list):
        mine, others = cast("list[Any]", ours), cast("list[Any]", theirs)
        return _joined(mine, others)
    return theirs


def _listed(users: Any) -> list[Any]:
    """Return users in any of cloud-init's forms as a list: a mapping by name, a text with commas, nothing at all."""
    if isinstance(users, dict):
        by_name = cast("dict[Any, Any]", users)
        return [
            {"name": name, **cast("dict[str, Any]", entry)} if isinstance(entry, dict) else {"name": name}
            for name, entry in by_name.items()
            if entry or entry is None
        ]
    if isinstance(users, str):
        return [name.strip() for name in users.split(",") if name.strip()]
    return cast("list[Any]", users) if isinstance(users, list) else []


def _joined(ours: list[Any], theirs: list[Any]) -> list[Any]:
    """Return both lists as one; what ours has of theirs is not repeated."""
    present = {_likeness(item) for item in ours}
    return ours + [item for item in theirs if _likeness(item) not in present]


def _merged_users(ours: list[Any], theirs: list[Any]) -> list[Any]:
    result = list(ours)
    places = {_user_name(user): place for place, user in enumerate(result)}
    others: dict[tuple[str, str], Any] = {}
    for user in theirs:
        name = _user_name(user)
        if name is not None and name in places:
            result[places[name]] = merge(result[places[name]], user)
        else:
            others.setdefault(_likeness(user), user)
    return result + list(others.values())


def _likeness(value: Any) -> tuple[str, str]:
    """Return what equal values have in common, and no others: to compare each item with each takes minutes."""
    return type(value).__name__, value if isinstance(value, str) else _spelled(value)


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return "{" + ", ".join(sorted(f"{_spelled(key)}: {_spelled(item)}" for key, item in pairs)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_spelled(item) for item in cast("list[Any]", value)) + "]"
    return repr(value)


def _user_name(user: Any) -> str | None:
    """Return the name of a user's entry; cloud-init also knows entries that are a text, such as ``default``."""
    name = cast("dict[str, Any]", user).get("name") if isinstance(user, dict) else None
    return name if isinstance(name, str) else None


def _represent_text(dumper: Any, value: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper: Any = type("_Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
"""Writes texts of several lines as blocks, as a reader would."""
_Dumper.add_representer(str, _represent_text)
