"""Runs a process of ours that SIGKILL ends right after a write.

``python -m harness.killed NAMESPACE COUNT MODULE ARGUMENT...``

The write is the COUNT-th one that succeeded since the process began, of those to objects of the namespace and those to
the node's allocations (claims.sqlite). Events are not counted: they say what was done, and nothing follows from them.
"""

from __future__ import annotations

import os
import re
import runpy
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

from virtualserver.kube.connection import Connection
from virtualserver.node.allocation import allocations

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD = "killed after a record"
"""What the process says last where that was the write."""


def main() -> None:
    namespace, count, module, *arguments = sys.argv[1:]
    left = int(count)

    def wrote(what: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            print(what, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    follow_api(namespace, wrote)
    follow_records(wrote)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def follow_api(namespace: str, wrote: Callable[[str], None]) -> None:
    """Tell of each request that has changed an object of a namespace."""
    counted = re.compile(rf"/namespaces/{namespace}/(?!events)")
    send = Connection.request

    async def request(self: Connection, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = await send(self, method, path, **options)
        if method != "GET" and counted.search(path):
            wrote(f"killed after {method} {path}")
        return answer

    Connection.request = request


def follow_records(wrote: Callable[[str], None]) -> None:
    """Tell of each change of the allocations that is on the disk."""

    class Records(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            before = self.total_changes
            cursor = super().execute(sql, *parameters)
            if sql == "COMMIT" or (self.total_changes > before and not self.in_transaction):
                wrote(f"{RECORD}: {sql}")
            return cursor

    class Sqlite3:
        def __getattr__(self, name: str) -> Any:
            return getattr(sqlite3, name)

        def connect(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
            return sqlite3.connect(*arguments, **options, factory=Records)

    setattr(allocations, "sqlite3", Sqlite3())  # noqa: B010 - a stand-in has another type


if __name__ == "__main__":
    main()
