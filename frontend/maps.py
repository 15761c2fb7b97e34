"""What the map in the browser is told: which regions are in which state, and where its boundaries lie."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from frontend import words
from frontend.places import WORLD
from reports import formats
from reports.status.answers import RegionState


def by_the_world(state: RegionState) -> bool:
    """Whether a region is coloured only because the service is down in the world as a whole."""
    return state.covered_by == WORLD


def states(regions: Sequence[RegionState], *, with_service: bool = False) -> dict[str, list[str]]:
    """For ``present-map.js``: code to state and a line of words."""
    found = {}
    for state in regions:
        if by_the_world(state):
            continue
        line = f"{words.state_name(state.state)}; {_reports(state.reports)}"
        if with_service and state.service:
            line = f"{state.service.name}: {line}"
        found[state.region.code] = [state.state, line]
    return found


def _reports(number: int) -> str:
    """Roughly: an exact number would be another one in every region each minute, and a region's page has it."""
    if not number:
        return _("no reports in the last hour")
    digits = 10 ** (len(str(number)) - 1)
    least = next(step * digits for step in (5, 2, 1) if step * digits <= number)
    return ngettext(
        "at least {number} report in the last hour", "at least {number} reports in the last hour", least
    ).format(number=words.count(least))


def files(codes: Iterable[str]) -> dict[str, object]:
    """The addresses of the boundaries that the map of these regions needs."""
    listed = [code for code in codes if code != WORLD]
    divided = sorted({code[:2] for code in listed if len(code) > 2})
    folder = "frontend/regions"
    return {
        "countries": static(f"{folder}/countries-110.topo.json"),
        "regions": static(f"{folder}/regions-z4.topo.json"),
        "names": static(f"{folder}/regions-meta.json") if formats.language() == "en" else reverse("region-names"),
        "wide": len({code[:2] for code in listed}) != 1,
        "fine": json.dumps({code: static(f"{folder}/by-country/{code}.topo.json") for code in divided}),
    }
