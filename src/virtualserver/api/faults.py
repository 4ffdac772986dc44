"""What is wrong with a manifest, all of it at once, and the decoding that finds it."""

from __future__ import annotations

import difflib
import enum
import inspect
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

__all__ = ["Fault", "InvalidManifest", "convert", "without_nulls"]

T = TypeVar("T")


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: The field, as a user writes it: ``spec.network.tcp.ports[0]``.
        message: The value, the reason, and what to do.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidManifest(ValueError):
    """A manifest is not what its kind asks for.

    Attributes:
        faults: All that was found, in the order of the manifest's fields.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


def without_nulls(value: Any) -> Any:
    """Return a copy without the null properties, which the API server takes as absent."""
    if isinstance(value, Mapping):
        mapping = typing.cast("Mapping[str, Any]", value)
        return {key: without_nulls(item) for key, item in mapping.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(item) for item in typing.cast("Sequence[Any]", value)]
    return value


def convert(value: Any, type_: type[T], *, path: str = "") -> T:
    """Read JSON as a type.

    Args:
        value: JSON as Python holds it.
        type_: A Struct, or anything else that msgspec reads.
        path: Where the value stands, for the faults' paths.

    Raises:
        InvalidManifest: With every fault, not only the first.
    """
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        faults = list(_locate(value, type_, path)) or [Fault(path or "manifest", str(error))]
        raise InvalidManifest(faults) from None


def _locate(value: Any, type_: Any, path: str) -> Iterator[Fault]:
    """Yield what msgspec, which stops at the first, would refuse in each part of the value."""
    type_ = _option(type_, value)
    if inspect.isclass(type_) and issubclass(type_, msgspec.Struct) and isinstance(value, Mapping):
        mapping = typing.cast("Mapping[str, Any]", value)
        for field in msgspec.structs.fields(type_):
            inner = f"{path}.{field.encode_name}" if path else field.encode_name
            if field.encode_name in mapping:
                yield from _locate(mapping[field.encode_name], field.type, inner)
            elif field.required:
                yield Fault(inner, "is required: add it")
        if type_.__struct_config__.forbid_unknown_fields:
            known = [field.encode_name for field in msgspec.structs.fields(type_)]
            for key in mapping:
                if key not in known:
                    yield Fault(f"{path}.{key}" if path else str(key), _unknown(key, known))
    elif typing.get_origin(type_) is dict and isinstance(value, Mapping):
        key_type, value_type = typing.get_args(type_)
        for key, item in typing.cast("Mapping[Any, Any]", value).items():
            yield from _locate(key, key_type, f"{path}.{key}")
            yield from _locate(item, value_type, f"{path}.{key}")
    elif typing.get_origin(type_) is tuple and isinstance(value, (list, tuple)):
        for index, item in enumerate(typing.cast("Sequence[Any]", value)):
            yield from _locate(item, typing.get_args(type_)[0], f"{path}[{index}]")
    else:
        try:
            msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            yield Fault(path, _explain(value, type_, error))


def _option(type_: Any, value: Any) -> Any:
    """Return which type of a union a value is to be of, the union where that is not to be seen."""
    if typing.get_origin(type_) not in (typing.Union, types.UnionType):
        return type_
    options = [option for option in typing.get_args(type_) if option is not type(None)]
    if isinstance(value, Mapping):
        options = [option for option in options if typing.get_origin(option) is dict] or options
    return options[0] if len(options) == 1 else type_


def _unknown(key: object, known: Sequence[str]) -> str:
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(key).lower(), folded, n=1)
    listed = ", ".join(known)
    if near:
        return f"is not known: did you mean {folded[near[0]]}? (one of {listed})"
    return f"is not known: write one of {listed}"


def _explain(value: Any, type_: Any, error: msgspec.ValidationError) -> str:
    if inspect.isclass(type_) and issubclass(type_, enum.Enum):
        return f"{value!r} is not known: write one of {', '.join(str(member.value) for member in type_)}"
    reason = str(error).partition(" - at `")[0].replace("`", "")
    return f"{value!r} has the wrong type: {reason[0].lower()}{reason[1:]}"
