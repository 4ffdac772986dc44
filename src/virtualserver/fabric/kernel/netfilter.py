"""nftables, and the flows that the kernel tracks, of one network namespace: a conversation that is kept.

nftables are spoken to through libnftables in this process: the rules' language and its errors without a program in
between. docs/adr/0009-netlink.md has what was measured.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import re
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from virtualserver.fabric.kernel import spreading
from virtualserver.fabric.kernel.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

__all__ = ["Netfilter", "refused_element", "rules_of"]

_JSON: Final = 1 << 4
_STATELESS: Final = 1 << 2
_TERSE: Final = 1 << 11
_PROTOCOL: Final = 12
_GET_GENERATION: Final = 10 << 8 | 16
_REQUEST: Final = 1
_LENGTH: Final = 2000
"""How much of what the kernel said is shown; a refused transaction may be long."""
_NO_SUCH: Final = "No such file or directory"
_TURN: Final = threading.RLock()
"""Held while libnftables works: it keeps the names of links for all contexts of a process in one list without a lock.
Two threads at once end the process, or take one namespace's names for another's. Source: measured with 1.0.6."""


class Netfilter:
    """A conversation about the namespace of the thread that opens it; one thread at a time may change things by it.

    It is worth keeping: where elements were deleted a moment ago, the kernel ends a conversation only after an RCU
    grace period, 16 ms. It keeps its namespace alive, so it must be closed before the namespace is to go.
    """

    def __init__(self) -> None:
        """Open it.

        Raises:
            KernelError: libnftables is not installed.
        """
        self._context: int | None = None
        self._library = _library()
        with _TURN:
            self._context = self._library.nft_ctx_new(0)
            self._library.nft_ctx_buffer_output(self._context)
            self._library.nft_ctx_buffer_error(self._context)
        self._printed = (-1, "")
        """The generation that was printed last, and what was printed."""
        self._left = -1
        """The generation that is known to be as we left it."""
        self._stood = -1
        """The generation in which our rules, elements aside, were last seen to stand as we loaded them."""
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _PROTOCOL)
        """For requests that are not nft's."""

    def close(self) -> None:
        """End it."""
        with _TURN:
            if self._context is not None:
                self._library.nft_ctx_free(self._context)
                self._context = None
                self.socket.close()

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def load(self, commands: Iterable[str]) -> None:
        """Carry out commands of nft's language as one transaction: all of them or none.

        Args:
            commands: One a member; a command may have several lines.

        Raises:
            KernelError: The kernel refused one of them; the message names the element.
        """
        before = self.generation()
        # On one line the columns of an error point to the element, whichever command it is in.
        failed, _, said = self._run(";".join(commands), 0)
        if failed:
            element = refused_element(said)
            reason = said.splitlines()[0].rpartition(": ")[2] if element else "; ".join(said.splitlines())[:_LENGTH]
            raise KernelError(f"nftables refused {element or 'a change'}: {reason}")
        after = self.generation()
        if after - before <= 1:  # nobody was in between
            self._left = after if before == self._left else self._left
            self._stood = after if before == self._stood else self._stood

    def rules(self, tables: Iterable[tuple[str, str]]) -> str:
        """Return tables, by family and name, as nft prints them without elements; ``""`` for absent ones."""
        return "".join([self._listed(f"list table {family} {name}", _STATELESS | _TERSE) for family, name in tables])

    def tables(self) -> str:
        """Return all tables with their elements, as nft prints them; read anew only where the generation is another."""
        generation = self.generation()
        if self._printed[0] != generation:
            self._printed = (generation, self._listed("list ruleset", _STATELESS))
        return self._printed[1]

    def listing(self) -> dict[str, Any]:
        """Return all tables in the words of ``nft -j list ruleset``."""
        return msgspec.json.decode(self._listed("list ruleset", _JSON) or b'{"nftables": []}', type=dict[str, Any])

    def asked(self, question: str) -> str:
        """Return what nft prints of elements that are asked for by name, ``""`` where one of them is not there."""
        return self._listed(question, _STATELESS)

    def members(self, family: str, table: str, name: str) -> frozenset[str]:
        """Return the keys, each of one field, of a set whose elements are counted; none where there is no such set."""
        listed = self._listed(f"list set {family} {table} {name}", _JSON)
        found = msgspec.json.decode(listed or '{"nftables": []}', type=dict[str, list[dict[str, Any]]])
        # Each has a time and a counter, so that it is an object of its own.
        elements: list[dict[str, Any]] = [
            one for part in found["nftables"] for one in part.get("set", {}).get("elem", ())
        ]
        return frozenset(str(one["elem"]["val"]) for one in elements)

    def counts(self, family: str, table: str, name: str) -> dict[tuple[str, int], int]:
        """Return the packets that a set has counted, by the two fields of its keys: a link's name, and a number.

        A link that is gone has a number for a name.
        """
        listed = self._listed(f"list set {family} {table} {name}", _JSON)
        found = msgspec.json.decode(listed or '{"nftables": []}', type=dict[str, list[dict[str, Any]]])
        elements = [one["elem"] for part in found["nftables"] for one in part.get("set", {}).get("elem", ())]
        return {
            (str(device), int(str(number), 0)): int(one["counter"]["packets"])
            for one in elements
            for device, number in [one["val"]["concat"]]
        }

    def generation(self) -> int:
        """Return the number of the ruleset's generation.

        Each transaction that changes something, of whoever, raises it by one; a refused one does not.
        """
        self.socket.send(struct.pack("=IHHIIBBH", 20, _GET_GENERATION, _REQUEST, 0, 0, 0, 0, 0))
        answer = self.socket.recv(4096)
        # A netlink header of 16 bytes, one of nfnetlink of 4, and NFTA_GEN_ID as the first attribute.
        return int.from_bytes(answer[24:28], "big")

    def stand(self, generation: int) -> None:
        """Note that our rules, elements aside, were as we loaded them in a generation."""
        self._stood = generation

    def trust(self, generation: int) -> None:
        """Take a generation, whose elements were just read, for as we left it, if our rules stood in it."""
        if generation == self._stood:
            self._left = generation

    def is_as_left(self) -> bool:
        """Return whether nobody else has changed the ruleset since it was trusted."""
        return self.generation() == self._left

    def _listed(self, command: str, flags: int) -> str:
        failed, output, said = self._run(command, flags)
        if failed and _NO_SUCH in said:
            return ""
        if failed:
            raise KernelError(f"nftables: {command}: {'; '.join(said.splitlines())[:_LENGTH]}")
        return output

    def _run(self, text: str, flags: int) -> tuple[bool, str, str]:
        """Run commands; return whether they failed, the output and the errors."""
        with _TURN:
            if self._context is None:
                raise KernelError("nftables: the conversation was ended, since its namespace is to go")
            self._library.nft_ctx_output_set_flags(self._context, flags)
            failed = self._library.nft_run_cmd_from_buffer(self._context, text.encode()) != 0
            output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
            said: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        return failed, output.decode(errors="replace"), said.decode(errors="replace")


def rules_of(text: str, tables: Iterable[tuple[str, str]]) -> str:
    """Return some tables, by family and name, of what nft prints, without elements and what they lead to; pure."""
    sections = re.split(r"^(?=table )", text, flags=re.MULTILINE)
    wanted = [f"table {family} {name} {{" for family, name in tables]
    found = [section for begin in wanted for section in sections if section.startswith(begin)]
    return spreading.without(re.sub(r"\n\t\telements = \{[^}]*\}", "", "".join(found)))


def refused_element(said: str) -> str:
    """Return the element below which an error of libnftables has its carets, ``""`` where there is none; pure."""
    lines = said.splitlines()
    for line, marks in itertools.pairwise(lines):
        found = re.fullmatch(r"\s*(\^+)\s*", marks)
        if found and len(line) >= found.end(1) and " element " in line[: found.start(1)]:
            return line[found.start(1) : found.end(1)].strip()
    return ""


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
