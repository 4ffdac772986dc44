"""The control plane's programs: found in a folder or the cache, built with Go, or fetched as upstream's release."""

from virtualserver.controlplane.programs.origins import Programs, find, obtain, plan_of

__all__ = ["Programs", "find", "obtain", "plan_of"]
