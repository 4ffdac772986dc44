"""cloud-init's other formats of user data, and what a guest is told that has several: a MIME message.

The first line says which format a text has, whatever YAML makes of it. What a guest's cloud-init can do beside a
cloud-config of ours travels as a part of its own; ours comes last, with a way to merge that lets the owner's values win
and adds to the owner's lists, so that no part drops a user of the manifest.
Source: cloud-init, "User data formats" and "Merging user data sections"; RFC 2046.
"""

from __future__ import annotations

import base64
import email.parser
import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Document", "Format", "document_of", "format_of", "message", "split"]

_MIME: Final = "mime"


class Format(NamedTuple):
    """One of the formats.

    Attributes:
        name: What such a text is, in words.
        linux: The MIME subtype by which a Linux guest's cloud-init takes it; ``""``: it does not.
        windows: The same of a Windows guest's cloudbase-init.
    """

    name: str
    linux: str = ""
    windows: str = ""


_FORMATS: Final = {
    "## template:": Format("a template", "jinja2"),
    "#include-once": Format("a list of addresses to include", "x-include-once-url"),
    "#include": Format("a list of addresses to include", "x-include-url"),
    "#cloud-config-archive": Format("a cloud-config archive", "cloud-config-archive"),
    "#cloud-config-jsonp": Format("a JSON patch of cloud-config"),
    "#cloud-boothook": Format("a boothook", "cloud-boothook", "cloud-boothook"),
    "#part-handler": Format("a part handler", "part-handler"),
    "#upstart-job": Format("an Upstart job"),
    "#!": Format("a script", "x-shellscript", "x-shellscript"),
    "#ps1": Format("a PowerShell script", windows="x-shellscript"),
    "rem cmd": Format("a batch file", windows="x-shellscript"),
    "content-type:": Format("a MIME message", _MIME, _MIME),
    "mime-version:": Format("a MIME message", _MIME, _MIME),
}
"""By how a text begins, in small letters."""

_HEAD: Final = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{}"\n'
_OURS: Final = 'Content-Disposition: attachment; filename="virtualserver.cfg"\n'
_MERGED: Final = "Merge-Type: list(prepend)+dict(no_replace,recurse_list)+str()\n"


class Document(NamedTuple):
    """A text of the owner's that travels as a part of its own.

    Attributes:
        text: From its first line on, without a byte order mark.
        subtype: Of the MIME type ``text``; ``mime``: the text is a MIME message itself.
    """

    text: str
    subtype: str

    @property
    def fault(self) -> str:
        """Why its parts would be lost, ``""`` where they are not."""
        if self.subtype != _MIME:
            return ""
        head = email.parser.HeaderParser().parsestr(self.text)
        boundary = head.get_boundary()
        if head.get_content_maintype() != "multipart" or (boundary and f"--{boundary}" in str(head.get_payload())):
            return ""
        return "is a MIME message whose parts are not told apart: write its boundary before each"


def format_of(text: str) -> Format | None:
    """Return which of cloud-init's other formats a text has, as its first line says; None: none of them."""
    begins = _trimmed(text)[:40].lower()
    return next((format for beginning, format in _FORMATS.items() if begins.startswith(beginning)), None)


def document_of(text: str, *, is_linux: bool) -> Document | None:
    """Return what of a text travels as a part of its own, None where it does not."""
    found = format_of(text) or Format("")
    subtype = found.linux if is_linux else found.windows
    return Document(_trimmed(text), subtype) if subtype else None


def message(config: str, documents: Sequence[Document]) -> str:
    """Return a cloud-config of ours and the owner's documents as one text; the same ones give the same text."""
    if not documents:
        return config
    parts = [*(_part(document) for document in documents), _OURS + _MERGED + _part(Document(config, "cloud-config"))]
    boundary = "=" * 8 + hashlib.sha256("".join(parts).encode()).hexdigest()[:32]
    return "".join([_HEAD.format(boundary), *(f"\n--{boundary}\n{part}" for part in parts), f"\n--{boundary}--\n"])


def split(text: str) -> tuple[str, str]:
    """Return the cloud-config of ours in what `message` returned, and all the rest of it, ``""`` for none."""
    begins, _, _ = _HEAD.partition("{}")
    if not text.startswith(begins):
        return text, ""
    boundary = text.removeprefix(begins).partition('"')[0]
    *others, ours, _ = text.split(f"\n--{boundary}")
    head, _, body = ours.partition("\n\n")
    config = base64.b64decode(body).decode() if "base64" in head else body
    return config, "".join(others[1:])


def _trimmed(text: str) -> str:
    """Return a text from its first line on: a script whose first bytes are others is none to the kernel."""
    return text.lstrip("\ufeff \t\r\n")


def _part(document: Document) -> str:
    """Return a document with its headers."""
    if document.subtype == _MIME:
        return document.text
    if document.text.isascii():
        return f"Content-Type: text/{document.subtype}\n\n{document.text}"
    encoded = base64.encodebytes(document.text.encode()).decode()
    head = f'Content-Type: text/{document.subtype}; charset="utf-8"\nContent-Transfer-Encoding: base64\n'
    return f"{head}\n{encoded}"
