"""The page of whoever is on duty: what waits for a judgement, what a wrong one would cost, and what to judge it by.

Judging itself is done by the acts of ``reports.admin.incidents``: the cards send to their addresses and come back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseNotModified
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import parse_etags

from reports import clock, formats
from reports.admin.grounds import (
    Ground,
    Grounds,
    against,
    crowd,
    grounds,
    hours,
    kept,
    made_of,
    people,
    percent,
    set_aside_because,
    totals,
)
from reports.admin.pictures import MOST_LISTED, OVER, Picture, Waiting, marks, pictures, waiting
from reports.incidents import timeline
from reports.incidents.stakes import LOOKING
from reports.incidents.timeline import EntryKind
from reports.models import OPEN, Incident, Quarantine, TimelineEntry
from reports.status import health, outages
from reports.status.answers import SiblingFigures
from reports.status.snapshots import digest

# The stubs are generic where Django's classes are not.
if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Incident]
else:
    _ModelAdmin = admin.ModelAdmin

MOST_CARDS = 30
"""Incidents with a picture; the others are rows below. What is judged makes room."""
ASK_AGAIN_SECONDS = 12
REASONS = (
    "The reports came from too few networks to be a crowd.",
    "The reports are about another service.",
    "Maintenance that had been announced.",
    "People were many, and it worked: an event, no outage.",
)
"""What a rejection most often is for. Public, like any reason."""


def urls(desk: _ModelAdmin) -> list[URLPattern]:
    """The page, and the question whether it is still what it was."""
    view = desk.admin_site.admin_view
    return [
        path("duty/", view(_page_of(desk)), name="reports_incident_duty"),
        path("duty/changes.json", view(_changes_of(desk)), name="reports_incident_duty_changes"),
    ]


def number_waiting() -> int:
    """How many open incidents nobody has judged."""
    return Incident.objects.filter(OPEN, confirmed_at=None).count()


@dataclass(frozen=True, eq=False)
class Card:
    """One incident as it is shown: its picture, and what is said of it."""

    place: int
    picture: Picture
    grounds: Grounds
    left: str
    rejected: str
    made_of: str
    told_for: str
    kept: str
    crowd: str
    notes: tuple[str, ...]
    siblings: tuple[Ground, ...]
    set_aside: tuple[str, ...]
    confidence: str
    states: tuple[tuple[str, int], ...]
    """The worst first."""
    places: str
    totals: str

    @property
    def waiting(self) -> Waiting:
        """What it is ordered by."""
        return self.picture.waiting

    @property
    def incident(self) -> Incident:
        """The row."""
        return self.picture.incident


@dataclass(frozen=True, eq=False)
class Row:
    """One incident for which there is no room for a card."""

    place: int
    waiting: Waiting
    left: str
    residents: str
    confidence: str

    @property
    def incident(self) -> Incident:
        """The row."""
        return self.waiting.incident


def _page_of(desk: _ModelAdmin) -> Callable[[HttpRequest], HttpResponse]:
    def duty(request: HttpRequest) -> HttpResponse:
        _may_look(desk, request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        now = clock.now()
        found = waiting(now=now)
        shown = pictures(found[:MOST_CARDS])
        context = {
            **desk.admin_site.each_context(request),
            "opts": desk.opts,
            "title": "On duty",
            "now": now,
            "cards": [_card(place, picture) for place, picture in enumerate(shown, start=1)],
            "rows": [_row(place, one) for place, one in enumerate(found[MOST_CARDS:], start=MOST_CARDS + 1)],
            "open_number": sum(one.is_open for one in found),
            "over_number": sum(not one.is_open for one in found),
            "over_days": OVER.days,
            "cut_off": len(found) == MOST_LISTED,
            "may_judge": request.user.has_perm("reports.change_incident"),
            "reasons": REASONS,
            "looking": f"{100 * LOOKING:.0f} %",
            "health": health.readiness(now=now),
            "watched": health.counted_until(),
            "judged": _judged_last(),
            "changes": reverse("admin:reports_incident_duty_changes"),
            "ask_again": ASK_AGAIN_SECONDS,
        }
        return TemplateResponse(request, "admin/reports/duty.html", context)

    return duty


def _changes_of(desk: _ModelAdmin) -> Callable[[HttpRequest], HttpResponse]:
    def changes(request: HttpRequest) -> HttpResponse:
        """The mark of each incident that waits, by id; 304 where they are those of the tag that is sent along."""
        _may_look(desk, request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        body = json.dumps({"incidents": marks(now=clock.now())}, sort_keys=True)
        tag = f'"{digest(body)}"'
        # Compressed on its way it is another one, but says the same.
        sent = {each.removeprefix("W/") for each in parse_etags(request.headers.get("If-None-Match", ""))}
        if tag in sent:
            return HttpResponseNotModified(headers={"ETag": tag})
        return HttpResponse(body, content_type="application/json", headers={"ETag": tag})

    # A page that asks by itself does not keep anybody signed in (outagemap.middleware.AdminIdle).
    changes.unattended = True  # type: ignore[attr-defined]
    return changes


def _may_look(desk: _ModelAdmin, request: HttpRequest) -> None:
    if not desk.has_view_permission(request):
        raise PermissionDenied


def _card(place: int, picture: Picture) -> Card:
    found = picture.waiting.stakes
    return Card(
        place=place,
        picture=picture,
        grounds=grounds(picture),
        left=people(found.if_left),
        rejected=people(found.if_rejected),
        made_of=made_of(found),
        told_for=hours(found.told),
        kept=kept(picture),
        crowd=crowd(picture.networks),
        notes=tuple(timeline.text(entry) for entry in picture.notes),
        siblings=tuple(_sibling(sibling) for sibling in picture.told.siblings),
        set_aside=tuple(_flow(row) for row in picture.set_aside),
        confidence=percent(picture.incident.confidence),
        states=tuple(sorted(picture.waiting.states.items(), key=lambda one: outages.SEVERITY[one[0]])),
        places=formats.listed(_first(picture.waiting.places)),
        totals=totals(picture),
    )


def _row(place: int, one: Waiting) -> Row:
    return Row(
        place=place,
        waiting=one,
        left=people(one.stakes.if_left),
        residents=f"{one.stakes.residents:,}",
        confidence=percent(one.incident.confidence),
    )


def _first(names: Sequence[str], most: int = 4) -> list[str]:
    """Some names, and how many more there are."""
    return [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]


def _sibling(sibling: SiblingFigures) -> Ground:
    told = against(sibling.observed, sibling.window_minutes, sibling.expected)
    return Ground(f"{sibling.service.name}: {sibling.state}", told)


def _flow(row: Quarantine) -> str:
    why = set_aside_because(row.shape)
    released = ", released since" if row.released_at else ""
    return f"{row.reports:,} “{row.get_kind_display()}” in {row.region.name}, {why}{released}"


def _judged_last() -> TimelineEntry | None:
    """The last judgement of an administrator."""
    kinds = (EntryKind.CONFIRMED, EntryKind.REJECTED)
    judged = TimelineEntry.objects.filter(actor__isnull=False, kind__in=kinds).select_related(
        "incident__service", "actor"
    )
    return judged.order_by("-id").first()
