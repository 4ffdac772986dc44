"""nftables through libnftables in this process: the rules' language and its errors without a program in between.

A context speaks to the network namespace of the thread that makes it. docs/adr/0009-netlink.md has what was measured.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import re
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec

from virtualserver.fabric.kernel.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["generation", "listing", "load", "refused_element", "rules"]

_JSON: Final = 1 << 4
_STATELESS_AND_TERSE: Final = 1 << 1 | 1 << 11
_NETFILTER: Final = 12
_GET_GENERATION: Final = 10 << 8 | 16
_LENGTH: Final = 2000
"""How much of what the kernel said is shown; a refused transaction may be long."""
_NO_SUCH: Final = "No such file or directory"


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        raise KernelError(f"{error}: install it (`vs doctor` names the package)") from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype = ctypes.c_char_p
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


def load(commands: Iterable[str]) -> None:
    """Carry out commands of nft's language as one transaction: all of them or none.

    Args:
        commands: One a member; a command may have several lines.

    Raises:
        KernelError: The kernel refused one of them; the message names the element.
    """
    # On one line the columns of an error point to the element, whichever command it is in.
    text = ";".join(commands)
    failed, _, said = _run(text, 0)
    if failed:
        element = refused_element(said)
        reason = said.splitlines()[0].rpartition(": ")[2] if element else "; ".join(said.splitlines())[:_LENGTH]
        raise KernelError(f"nftables refused {element or 'a change'}: {reason}")


def rules(tables: Iterable[tuple[str, str]]) -> str:
    """Return tables, by family and name, as nft prints them without elements and counters; ``""`` for absent ones."""
    return "".join([_listed(f"list table {family} {name}", _STATELESS_AND_TERSE) for family, name in tables])


def listing() -> dict[str, Any]:
    """Return all tables of the network namespace with their elements, as ``nft -j list ruleset`` does."""
    return msgspec.json.decode(_listed("list ruleset", _JSON) or '{"nftables": []}', type=dict[str, Any])


def generation() -> int:
    """Return the number of the ruleset's generation: each transaction that changes something, of whoever, raises it."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER) as opened:
        opened.send(struct.pack("=IHHIIBBH", 20, _GET_GENERATION, 1, 1, 0, 0, 0, 0))
        answer = opened.recv(4096)
    # A netlink header of 16 bytes, one of nfnetlink of 4, and NFTA_GEN_ID as the first attribute.
    return int.from_bytes(answer[24:28], "big")


def refused_element(said: str) -> str:
    """Return the element below which an error of libnftables has its carets, ``""`` where there is none; pure."""
    lines = said.splitlines()
    for line, marks in itertools.pairwise(lines):
        found = re.fullmatch(r"\s*(\^+)\s*", marks)
        if found and len(line) >= found.end(1) and " element " in line[: found.start(1)]:
            return line[found.start(1) : found.end(1)].strip()
    return ""


def _listed(command: str, flags: int) -> str:
    failed, output, said = _run(command, flags)
    if failed and _NO_SUCH in said:
        return ""
    if failed:
        raise KernelError(f"nftables: {command}: {'; '.join(said.splitlines())[:_LENGTH]}")
    return output


def _run(text: str, flags: int) -> tuple[bool, str, str]:
    """Run commands in a context of their own; return whether they failed, the output and the errors."""
    library = _library()
    context = library.nft_ctx_new(0)
    try:
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        library.nft_ctx_output_set_flags(context, flags)
        failed = library.nft_run_cmd_from_buffer(context, text.encode()) != 0
        output: bytes = library.nft_ctx_get_output_buffer(context)
        said: bytes = library.nft_ctx_get_error_buffer(context)
    finally:
        library.nft_ctx_free(context)
    return failed, output.decode(errors="replace"), said.decode(errors="replace")
