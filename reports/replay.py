"""Sends a scenario through the very code that real reports go through, with its clock passed in.

The weeks before the day are written as counts; from the first report of the day on, everything is submitted, drained
and watched as always. Up to ``watch_from`` as fast as the machine can; then at a chosen speed, while the site's own
tasks do their work and people look on. It may be stopped at any time and goes on where it was: each report has an id
of its own, so sending one again changes nothing.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import transaction
from django.db.models import F

from reports import clock, counts, regions, scenarios
from reports.incidents import statements, watch
from reports.intake import drain, submission
from reports.models import OPEN, Incident, Region, ScenarioClock, Service, Statement
from reports.scenarios import Area, Drawn, Scenario, ServiceShare

# How much of the scenario is sent, drained and watched at a time before people look on.
STEP = timedelta(minutes=10)
# How far ahead of the site's clock reports are sent while people look on, and how often, in real time.
AHEAD = timedelta(seconds=4)
BEAT = timedelta(seconds=1)

Progress = Callable[[str, datetime, int], None]
"""Is told the phase (``history``, ``catching up``, ``live``, ``done``), the scenario's time and the reports sent."""


@dataclass(frozen=True)
class Cast:
    """The scenario's services and regions, and the slugs and codes that the drawn indices stand for."""

    services: tuple[ServiceShare, ...]
    areas: tuple[Area, ...]


def play(scenario: Scenario, *, speed: float, progress: Progress) -> None:
    """Plays ``scenario`` from where it stands to its end, then leaves the clock standing there.

    After ``watch_from`` the scenario runs ``speed`` times as fast as real time, and drain and watch are left to the
    site's tasks; with ``speed`` 0 it runs as fast as it can to the end and does their work itself.
    """
    cast = _cast()
    if not ScenarioClock.objects.filter(scenario=scenario.slug).exists():
        progress("history", scenario.start, 0)
        load_history(scenario, cast)
    day = scenarios.draw_day(scenario, services=cast.services, areas=cast.areas)
    at = ScenarioClock.objects.get(scenario=scenario.slug).scenario_at
    unwatched = scenario.end if speed == 0 else scenario.watch_from
    while at < unwatched:
        until = min(at + STEP, unwatched)
        sent = send(scenario, cast, day, start=at, end=until)
        _set_clock(scenario, at=until, sent_until=until, speed=0)
        drain_all(now=until)
        _watch_all(now=until)
        _speak(scenario, until=until)
        at = until
        progress("catching up", at, sent)
    if at < scenario.end:
        _play_live(scenario, cast, day, at=at, speed=speed, progress=progress)
    _set_clock(scenario, at=scenario.end, sent_until=scenario.end, speed=0)
    progress("done", scenario.end, len(day.second))


def load_history(scenario: Scenario, cast: Cast) -> int:
    """Writes the ordinary weeks before the day as counts, once, and fits the baseline. Returns how many reports."""
    services = dict(Service.objects.values_list("slug", "id"))
    ids = dict(Region.objects.values_list("code", "id"))
    service_id = np.array([services[service.slug] for service in cast.services])
    region_id = np.array([ids[area.code] for area in cast.areas])
    written = 0

    def ordinary() -> Iterator[counts.Additions]:
        nonlocal written
        for drawn in scenarios.draw_history(scenario, services=cast.services, areas=cast.areas):
            cells = np.stack([drawn.second // 60, service_id[drawn.service], region_id[drawn.region]])
            (minute, service, region), reports = np.unique(cells, axis=1, return_counts=True)
            written += len(drawn.second)
            yield counts.Additions.down(minute, service, region, reports)

    with transaction.atomic():
        counts.copy_history(ordinary())
        watch.refit(now=scenario.start)
        # In the same transaction: the clock's row is also the mark that the history is there, and fitted.
        _set_clock(scenario, at=scenario.start, sent_until=scenario.start, speed=0)
    return written


def send(scenario: Scenario, cast: Cast, day: Drawn, *, start: datetime, end: datetime) -> int:
    """Submits the reports of ``[start, end)`` and returns how many they were. Sending them again changes nothing."""
    low, high = (int(i) for i in np.searchsorted(day.second, [start.timestamp(), end.timestamp()]))
    submission.submit_many(_posts(scenario, cast, day, low, high))
    return high - low


def _posts(scenario: Scenario, cast: Cast, day: Drawn, low: int, high: int) -> Iterator[submission.Post]:
    for i in range(low, high):
        problem = int(day.problem[i])
        person = int(day.person[i])
        yield submission.Post(
            data={
                "service": cast.services[day.service[i]].slug,
                "region": cast.areas[day.region[i]].code,
                "kind": "working" if day.working[i] else "down",
                "problem": day.problems[problem] if problem >= 0 else None,
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scenario.slug}/{i}")),
            },
            address=_address(person),
            received_at=datetime.fromtimestamp(int(day.second[i]), UTC),
        )


def _address(person: int) -> str:
    """A documentation address (RFC 3849) for each person, a /64, sixteen of them in a network.

    Neighbours by number report at the same time; the multiplication (odd, so that nobody shares) sends them apart.
    """
    scattered = person * 0x9E3B5 & 0xFFFFF
    return f"2001:db8:{scattered >> 4:x}:{scattered & 0xF:x}::1"


def drain_all(*, now: datetime) -> None:
    """Drains until the inbox is empty, or another drain is at it."""
    while drain.drain(now=now).blocks:
        pass


def _watch_all(*, now: datetime) -> None:
    """Watches up to ``now``, whether here or in the site's own task."""
    while (result := watch.watch(now=now)).busy or result.waiting or result.behind:
        drain_all(now=now)
        time.sleep(0.01)


def _play_live(scenario: Scenario, cast: Cast, day: Drawn, *, at: datetime, speed: float, progress: Progress) -> None:
    sent_until = at
    began, real = at, time.monotonic()
    while at < scenario.end:
        ahead = min(at + AHEAD * speed, scenario.end)
        sent = send(scenario, cast, day, start=sent_until, end=ahead) if ahead > sent_until else 0
        sent_until = max(ahead, sent_until)
        _set_clock(scenario, at=at, sent_until=sent_until, speed=speed)
        _speak(scenario, until=at)
        progress("live", at, sent)
        time.sleep(BEAT.total_seconds())
        at = min(began + timedelta(seconds=time.monotonic() - real) * speed, sent_until)


def _set_clock(scenario: Scenario, *, at: datetime, sent_until: datetime, speed: float) -> None:
    clock.set_scenario(
        scenario.slug,
        scenario_at=at,
        sent_until=sent_until,
        speed=speed,
        volume_scale=scenario.volume_scale,
    )


def _speak(scenario: Scenario, *, until: datetime) -> None:
    """Enters the provider's statements of the scenario that are due and find an open incident, each once."""
    for said in scenario.statements:
        if said.said_at > until:
            continue
        going_on = Incident.objects.filter(OPEN, service__slug=said.service, onset_at__lte=said.said_at)
        # Of one that was split the original.
        incident = going_on.order_by(F("split_from").asc(nulls_first=True)).first()
        text = f"{said.text} ({said.source})"
        if incident and not Statement.objects.filter(incident__service__slug=said.service, text=text).exists():
            statements.add_statement(
                incident.id, meaning=said.meaning, text=text, said_at=said.said_at, by=None, now=until
            )


def _cast() -> Cast:
    tree = regions.tree()
    parents = {region.parent for region in tree.values()}
    return Cast(
        services=tuple(
            ServiceShare(slug=slug, weight=weight, countries=tuple(countries))
            for slug, weight, countries in Service.objects.filter(retired_at=None)
            .order_by("slug")
            .values_list("slug", "modelled_weight", "countries")
        ),
        areas=tuple(
            Area(
                code=region.code,
                country=region.code[:2],
                population=region.population or 0,
                utc_offset_minutes=regions.utc_offset_minutes(region.code),
            )
            for region in tree.values()
            if region.code not in parents
        ),
    )
