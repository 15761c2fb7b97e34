"""Outlines of regions for drawings that need no script: SVG path data by code."""

from __future__ import annotations

from collections.abc import Mapping

from reports import regions as tree

WORLD_VIEW_BOX = tree.WORLD_VIEW_BOX


def world_outline() -> Mapping[str, str]:
    """Every country, in :data:`WORLD_VIEW_BOX`."""
    return tree.world_outline("country")


def region_outline() -> Mapping[str, str]:
    """Every region that a map draws, in :data:`WORLD_VIEW_BOX`."""
    return tree.world_outline("region")


def country_outline(country: str) -> tuple[str, Mapping[str, str]] | None:
    """The ``viewBox`` of one country's drawing and its regions; ``None`` for a code that is no country."""
    try:
        return tree.country_outline(country)
    except KeyError:
        return None
