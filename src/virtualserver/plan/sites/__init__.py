"""Where a server runs: what the site writes into objects, which conditions it waits for, what it cannot do."""

from virtualserver.plan.sites.profile import dump, load

__all__ = ["dump", "load"]
