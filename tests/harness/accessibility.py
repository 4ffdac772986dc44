"""What axe, the checker of WCAG's rules, has against a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["faults_of"]

_BUILT: Final = (Path(__file__).parents[2] / "web", Path("/var/cache/virtualserver/.console/web"))
"""Where the pages may have been built, in the order in which it counts."""
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def faults_of(page: Page) -> list[Any]:
    """Return each rule of WCAG 2.2 AA that a page breaks as it is drawn now: its name, the elements, what is wrong."""
    axe = next(path for folder in _BUILT if (path := folder / "node_modules/axe-core/axe.min.js").exists())
    page.evaluate(axe.read_text())
    found = page.evaluate("(tags) => axe.run({ runOnly: tags })", _RULES)
    return [
        (one["id"], [node["html"] for node in one["nodes"]], one["nodes"][0]["failureSummary"])
        for one in found["violations"]
    ]
