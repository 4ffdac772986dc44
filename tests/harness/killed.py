"""Runs a process of ours that SIGKILL ends right after a write.

``python -m harness.killed NAMESPACE COUNT MODULE ARGUMENT...``

The write is the COUNT-th one that succeeded since the process began, of those to objects of the namespace. Events are
not counted: they say what was done, and nothing follows from them.
"""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys
from typing import Any

from virtualserver.kube.connection import Connection


def main() -> None:
    namespace, count, module, *arguments = sys.argv[1:]
    counted = re.compile(rf"/namespaces/{namespace}/(?!events)")
    left = int(count)
    send = Connection.request

    async def request(self: Connection, method: str, path: str, **options: Any) -> dict[str, Any]:
        nonlocal left
        answer = await send(self, method, path, **options)
        if method != "GET" and counted.search(path):
            left -= 1
            if left == 0:
                print(f"killed after {method} {path}", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        return answer

    Connection.request = request
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
