"""The process that keeps an installation's components running, and how `vs` talks to it."""

from virtualserver.controlplane.supervisor.supervisor import main, stop_all

__all__ = ["main", "stop_all"]
