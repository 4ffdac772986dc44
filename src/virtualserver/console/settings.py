"""What a console is told that is served for a cluster: a file of YAML, such as a ConfigMap's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import yarl

from virtualserver.api.faults import Fault, InvalidManifest, convert, without_nulls
from virtualserver.plan import bounded_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Settings", "SettingsError", "load"]

_ROOT: Final = "settings"


class SettingsError(Exception):
    """The settings cannot be used; the message names the file and every fault in it."""


class Settings(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """How a console is reached, and by what people sign in to it.

    Attributes:
        url: Where browsers find it, ``https://HOST`` or ``https://HOST:PORT``: the one name that it answers to.
        certificate: The file of its certificate, and of those that lead to its authority (PEM).
        key: The file of that one's key (PEM).
    """

    url: str
    certificate: str
    key: str


def load(file: Path) -> Settings:
    """Read the settings.

    Args:
        file: The file.

    Raises:
        SettingsError: It cannot be read, or something in it cannot be used.
    """
    try:
        settings = convert(without_nulls(bounded_yaml.load(file.read_text()) or {}), Settings, path=_ROOT)
        if faults := list(_faults(settings)):
            raise InvalidManifest(faults)
    except (OSError, UnicodeDecodeError, bounded_yaml.YAMLFault, InvalidManifest) as error:
        raise SettingsError(f"{file}: {error}") from error
    return settings


def _faults(settings: Settings) -> Iterator[Fault]:
    if not _is_origin(settings.url):
        yield Fault(
            f"{_ROOT}.url", f"{settings.url!r} is no address of a console: write https://HOST or https://HOST:PORT"
        )
    for field in ("certificate", "key"):
        yield from _file_faults(f"{_ROOT}.{field}", getattr(settings, field))


def _file_faults(path: str, file: str) -> Iterator[Fault]:
    try:
        Path(file).read_bytes()
    except OSError as error:
        yield Fault(path, f"{file!r} cannot be read ({error.strerror}): name a file that the console may read")


def _is_origin(text: str) -> bool:
    """Return whether a text is an https address as browsers write it in ``Origin``: no path, no default port."""
    try:
        url = yarl.URL(text)
        return url.scheme == "https" and bool(url.host) and text == str(url.origin())
    except ValueError:
        return False
