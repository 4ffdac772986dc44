"""Fills a fresh API server with what the project needs. (First version.)"""

from __future__ import annotations

from virtualserver.controlplane.layout import Layout


def apply_all(layout: Layout, url: str) -> None:
    """Apply every manifest."""
