"""The present: what is down now, the state of each service, and the maps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
from django.db.models import Q

from reports import clock, counts
from reports.detection.baseline import Baseline
from reports.models import Incident
from reports.status import catalogue, echoes, figures, health, nesting, outages, snapshots
from reports.status.answers import (
    CountryState,
    HomeStatus,
    MapStatus,
    ProblemChoice,
    RegionLink,
    RegionState,
    ServiceLink,
    ServiceStatus,
)
from reports.status.catalogue import Entry
from reports.status.history import told
from reports.status.outages import SEVERITY
from reports.status.shares import watched_until

RECENT = timedelta(days=1)
WORLD = 0
"""The index of the world in the tree of regions."""
MOST_REPORTED = 12
MOST_RESOLVED = 30
MOST_PROBLEMS = 5
WEEK = 7 * 1440
# Where fewer reports an hour are usual, no outage could be told from an ordinary hour.
ENOUGH_TO_SAY = 0.5


@dataclass(frozen=True, eq=False)
class Ongoing:
    """An incident as the present sees it: its regions (indices) with their state and since when.

    A region that was withdrawn is ``normal``: it does not take its country's state again.
    """

    ref: str
    onset_at: datetime
    resolved: bool
    echo_of: ServiceLink | None
    regions: Mapping[int, tuple[str, datetime]]

    @property
    def state(self) -> str:
        """The state of the service that this incident makes."""
        states = {state for state, _ in self.regions.values()}
        if "down" in states:
            return "down"
        # Some regions back, the incident not yet over: recovering, whatever stays unknown.
        if states & {"recovering", "restored"}:
            return "recovering"
        return "unknown" if "unknown" in states else "normal"


@dataclass(frozen=True, eq=False)
class Picture:
    """Everything that the answers about one minute are made of."""

    minute: int
    stale: bool
    hour: figures.Hour
    ongoing: Mapping[int, Ongoing]
    """Open incidents by the id of their service; what was split off is part of the original again."""
    recent: Mapping[int, Ongoing]
    """The last incident resolved within a day, of services that have no open one."""
    resolved: tuple[int, ...]
    """Ids of the incidents resolved within a day, the latest first."""
    echoes: Mapping[int, int]
    """Services of which an open incident notes that their rise follows it, with that incident's service (ids)."""

    @property
    def at(self) -> datetime:
        """The instant the picture stands for."""
        return clock.instant_of(self.minute)


def picture(minute: int) -> Picture:
    """The picture of the present minute."""
    return snapshots.kept(("picture", minute), lambda: _paint(minute), minute=minute)


def _paint(minute: int) -> Picture:
    at = clock.instant_of(minute)
    rows = (
        Incident.objects.filter(rejected_at=None, merged_at=None)
        .filter(Q(resolved_at=None) | Q(resolved_at__gt=at - RECENT))
        .select_related("echo_of", "split_from__split_from__split_from")
        .order_by("-resolved_at", "-id")
    )
    courses = outages.courses(row.pk for row in rows)
    services = catalogue.catalogue().by_id
    region_index = catalogue.index_of
    ongoing: dict[int, Ongoing] = {}
    recent: dict[int, Ongoing] = {}
    resolved: list[int] = []
    latest: dict[int, int] = {}

    def together(told: dict[int, Ongoing], row: Incident, found: Ongoing) -> None:
        before = told.get(row.service_id)
        told[row.service_id] = found if before is None else _united(before, found, lead=row.split_from_id is None)

    for row in rows:
        regions: dict[int, tuple[str, datetime]] = {}
        for course in courses[row.pk]:
            index = region_index(course.outage.region_code)
            if index is None:
                continue
            history = outages.changes(course)
            regions[index] = (history[-1][1], history[-1][0]) if history else ("normal", course.outage.onset_at)
        echoed = services.get(row.echo_of.service_id) if row.echo_of else None
        found = Ongoing(
            ref=row.ref,
            onset_at=row.onset_at,
            resolved=row.resolved_at is not None,
            echo_of=echoed.link if echoed else None,
            regions=regions,
        )
        if row.resolved_at is None:
            together(ongoing, row, found)
        else:
            resolved.append(row.pk)
            # The last one of the service, and what was told apart from it or it from that.
            if latest.setdefault(row.service_id, _whole(row)) == _whole(row):
                together(recent, row, found)
    return Picture(
        minute=minute,
        stale=health.is_stale(at),
        hour=figures.hour(minute),
        ongoing=ongoing,
        recent={service: found for service, found in recent.items() if service not in ongoing},
        resolved=tuple(resolved),
        echoes=echoes.noted({row.pk: row.service_id for row in rows if row.resolved_at is None}),
    )


def _whole(row: Incident) -> int:
    """The incident that this one is a part of, or itself; a part of a part is the first one's."""
    while row.split_from is not None:
        row = row.split_from
    return row.pk


def _united(one: Ongoing, other: Ongoing, *, lead: bool) -> Ongoing:
    """Two parts of one outage as the present shows them: under the ref of the original where that is one of them."""
    head, rest = (other, one) if lead else (one, other)
    return replace(
        head,
        onset_at=min(one.onset_at, other.onset_at),
        regions={**rest.regions, **head.regions},
    )


# --- services ---------------------------------------------------------------------------------------------------------


def statuses(minute: int) -> Mapping[str, ServiceStatus]:
    """Every service on offer by slug, in the order of names, without its problems."""
    return snapshots.kept(("statuses", minute), lambda: _statuses(picture(minute)), minute=minute)


def regional_statuses(minute: int, region: int) -> Mapping[str, ServiceStatus]:
    """The same for one region (its index) instead of the world."""

    def within() -> Mapping[str, ServiceStatus]:
        offered, now = catalogue.catalogue().offered, picture(minute)
        worldwide = statuses(minute)
        services = np.array([entry.index for entry in offered], dtype=np.int64)
        start = minute - figures.HOUR_MINUTES
        expected = figures.expectation().of_services(services, region, start=start, end=minute).tolist()
        return {
            entry.link.slug: _within(worldwide[entry.link.slug], entry, region, now, expected=level)
            for entry, level in zip(offered, expected, strict=True)
        }

    return snapshots.kept(("statuses", minute, region), within, minute=minute)


def _statuses(now: Picture) -> Mapping[str, ServiceStatus]:
    entries = catalogue.catalogue().offered
    ids = np.array([entry.id for entry in entries], dtype=np.int64)
    reports, working = now.hour.worldwide(ids)
    indices = np.array([entry.index for entry in entries], dtype=np.int64)
    expected = figures.expectation().worldwide(indices, start=now.minute - figures.HOUR_MINUTES, end=now.minute)
    levels = {entry.id: (int(reports[position]), float(expected[position])) for position, entry in enumerate(entries)}
    causes = echoes.causes(entries, levels, now.ongoing, noted=now.echoes)
    return {
        entry.link.slug: _status(
            entry,
            now,
            reports=levels[entry.id][0],
            working=int(working[position]),
            expected=levels[entry.id][1],
            echo_of=causes.get(entry.id),
        )
        for position, entry in enumerate(entries)
    }


def _status(
    entry: Entry, now: Picture, *, reports: int, working: int, expected: float, echo_of: ServiceLink | None
) -> ServiceStatus:
    incident = now.ongoing.get(entry.id)
    told_of = incident or now.recent.get(entry.id)
    regions = _region_states(entry, told_of.regions, hour=now.hour) if told_of else {}
    down = {} if incident is None else {i: r for i, r in regions.items() if r.state not in ("restored", "normal")}
    restored = {i: r for i, r in regions.items() if r.state == "restored"}
    silent = {} if incident else {i: r for i, r in regions.items() if r.state == "unknown"}
    state = incident.state if incident else "normal"
    if state == "normal" and now.stale:
        # Nobody has looked: silence is never normal.
        state = "unknown"
    return ServiceStatus(
        link=entry.link,
        state=state,
        since=incident.onset_at if incident else None,
        regions_down=sum(region.state == "down" for region in down.values()),
        people_affected=outages.people({i: state for i, (state, _) in incident.regions.items()}) if incident else 0,
        reports_last_hour=reports,
        baseline_last_hour=expected,
        working_last_hour=working,
        incident=incident.ref if incident else None,
        down=_by_people(down.values()),
        restored=_by_people(restored.values()),
        silent=_by_people(silent.values()),
        countries=_countries(entry, {**down, **restored, **silent}, hour=now.hour),
        echo_of=incident.echo_of if incident else echo_of,
    )


def _countries(entry: Entry, regions: Mapping[int, RegionState], *, hour: figures.Hour) -> tuple[CountryState, ...]:
    # Of 250 services few have any, and an expectation is not for nothing.
    if not regions:
        return ()
    countries = np.unique(catalogue.tree().country[np.array(sorted(regions), dtype=np.int64)])
    reports, _ = hour.of(entry.id)
    start = hour.end_minute - figures.HOUR_MINUTES
    expected = figures.expectation().within(entry.index, countries, start=start, end=hour.end_minute)
    levels = {country: (int(reports[country]), float(expected[i])) for i, country in enumerate(countries.tolist())}
    return nesting.by_country(regions, levels)


def _region_states(
    entry: Entry, states: Mapping[int, tuple[str, datetime]], *, hour: figures.Hour
) -> dict[int, RegionState]:
    regions = np.array(sorted(states), dtype=np.int64)
    links = catalogue.links()
    reports, _ = hour.of(entry.id)
    start = hour.end_minute - figures.HOUR_MINUTES
    expected = figures.expectation().within(entry.index, regions, start=start, end=hour.end_minute)
    return {
        region: RegionState(
            region=links[region],
            state=states[region][0],
            since=states[region][1],
            reports=int(reports[region]),
            expected=float(expected[position]),
        )
        for position, region in enumerate(regions.tolist())
    }


def _by_people(regions: Iterable[RegionState]) -> tuple[RegionState, ...]:
    return tuple(sorted(regions, key=lambda state: (-(state.region.population or 0), state.region.code)))


def services(
    *,
    now: datetime,
    category: str | None = None,
    provider: str | None = None,
    state: str | None = None,
    region: str | None = None,
    search: str | None = None,
    slugs: Collection[str] | None = None,
) -> tuple[ServiceStatus, ...]:
    """The services on offer that fit, by name; those of a search, the likeliest first.

    With a ``region``, the present of each in that region, by which ``state`` is asked too; none for an unknown region.
    """
    minute = clock.minute_of(now)
    index = catalogue.index_of(region) if region is not None else WORLD
    if index is None:
        return ()
    found = statuses(minute) if index == WORLD else regional_statuses(minute, index)
    entries = catalogue.catalogue().offered
    if search is not None:
        entries = catalogue.ranked(search, entries)
    chosen = (found[entry.link.slug] for entry in entries)
    return tuple(
        status
        for status in chosen
        if (slugs is None or status.link.slug in slugs)
        and (category is None or status.link.category == category)
        and (provider is None or status.link.provider == provider)
        and (state is None or status.state == state)
    )


def service_status(slug: str, *, now: datetime, region: str | None = None) -> ServiceStatus | None:
    """The present of one service, or of one region of it; ``None`` for a service or region nobody knows.

    Of a region, ``state`` is what was decided for it or for a region above; else the worst of the regions in it. What
    was silent when an outage ended stays unknown for as long as the others are told to be back from it.
    """
    minute = clock.minute_of(now)
    entry = catalogue.catalogue().service(slug)
    index = catalogue.index_of(region) if region is not None else 0
    if entry is None or index is None:
        return None
    return snapshots.kept(("service", slug, index), lambda: _whole_status(entry, index, picture(minute)), minute=minute)


def _whole_status(entry: Entry, region: int, now: Picture) -> ServiceStatus:
    status = statuses(now.minute)[entry.link.slug]
    if region != 0:
        status = _within(status, entry, region, now)
    return replace(status, problems=_problems(entry, region, now.minute))


def _within(
    status: ServiceStatus, entry: Entry, region: int, now: Picture, *, expected: float | None = None
) -> ServiceStatus:
    """The service in a region; ``expected`` are the reports of its last hour, where somebody knows them already."""
    incident, decided = now.ongoing.get(entry.id), None
    told_of = incident or now.recent.get(entry.id)
    lineage, links = catalogue.tree().lineage, catalogue.links()
    inside = _codes_inside(region)
    states = {i: state for i, state in told_of.regions.items() if links[i].code in inside} if told_of else {}
    state, since = "normal", None
    if told_of:
        # That it is down in the world as a whole says that it is down somewhere, not here.
        decided = next((i for i in lineage[region].tolist() if i > 0 and i in told_of.regions), None)
        if decided is not None:
            state, since = told_of.regions[decided]
        elif states:
            state, since = min(states.values(), key=lambda pair: (SEVERITY[pair[0]], pair[1]))
        if decided is not None and decided != region:
            states = {region: (state, since), **states} if since else states
    regions = _region_states(entry, states, hour=now.hour)
    if decided is not None and decided != region and region in regions:
        regions[region] = replace(regions[region], covered_by=links[decided].code)
    reports, working = now.hour.of(entry.id)
    if expected is None:
        start, here = now.minute - figures.HOUR_MINUTES, np.array([region], dtype=np.int64)
        expected = float(figures.expectation().within(entry.index, here, start=start, end=now.minute)[0])
    if incident is None and state != "unknown":
        # What was back when it was over is as ever; what was not heard by then has not been heard to be back since.
        state, since = "normal", None
    if state == "normal":
        # Beside an outage elsewhere, the silence of a place that is always silent says nothing.
        quiet = incident is not None and decided is None and expected < ENOUGH_TO_SAY
        state, since = ("unknown" if now.stale or quiet else "normal"), None
    down = [r for r in regions.values() if r.state not in ("restored", "normal")]
    restored = [r for r in regions.values() if r.state == "restored"]
    silent: list[RegionState] = []
    if incident is None:
        down, silent = [], [r for r in regions.values() if r.state == "unknown"]
        restored = [r for r in status.restored if r.region.code in inside]
    return replace(
        status,
        state=state,
        since=since if incident else None,
        regions_down=sum(r.state == "down" for r in down),
        people_affected=outages.people({i: state for i, (state, _) in states.items()}) if incident else 0,
        reports_last_hour=int(reports[region]),
        baseline_last_hour=expected,
        working_last_hour=int(working[region]),
        incident=incident.ref if incident and (down or restored or since) else None,
        down=_by_people(down),
        restored=_by_people(restored),
        silent=_by_people(silent),
        countries=(),
    )


@lru_cache(maxsize=256)
def _codes_inside(region: int) -> frozenset[str]:
    """The codes of a region and of all that lies in it."""
    codes = catalogue.codes()
    return frozenset(codes[i] for i in np.flatnonzero((catalogue.tree().lineage == region).any(axis=1)).tolist())


def _problems(entry: Entry, region: int, minute: int) -> tuple[tuple[ProblemChoice, int], ...]:
    known = catalogue.catalogue()
    end = clock.instant_of(minute)
    found = counts.by_problem(
        entry.id,
        None if region == 0 else known.ids_within(region),
        start=end - timedelta(minutes=figures.HOUR_MINUTES),
        end=end,
    )
    choices = known.problems.get(entry.link.category, {})
    named = [(choices[key], reports) for key, reports in found.items() if key is not None and key in choices]
    return tuple(named[:MOST_PROBLEMS])


def siblings(slug: str, *, now: datetime) -> tuple[ServiceStatus, ...]:
    """The other services of the same provider, by name; none for an unknown service."""
    entry = catalogue.catalogue().service(slug)
    if entry is None:
        return ()
    return tuple(status for status in services(now=now, provider=entry.link.provider) if status.link.slug != slug)


def search(text: str, *, limit: int = 10) -> tuple[ServiceLink, ...]:
    """Services that ``text`` may mean: by name, alias or provider, accents and small slips forgiven."""
    entries = catalogue.ranked(text, catalogue.catalogue().offered)
    return tuple(entry.link for entry in entries[:limit])


def reporting_countries(slug: str) -> tuple[RegionLink, ...]:
    """Countries from which people report on a service often enough to hear of an outage: one report a week or more,
    by the baseline in force. Those of one fit stay the same, whatever happens. By name; none for an unknown service."""
    entry = catalogue.catalogue().service(slug)
    fit = figures.expectation().fit
    if entry is None or fit is None:
        return ()
    token = (figures.expectation().version, catalogue.catalogue().digest)
    return snapshots.held(f"countries of {slug}", token, lambda: _reporting(entry.index, fit))


def _reporting(service: int, fit: Baseline) -> tuple[RegionLink, ...]:
    countries = [(index, link) for index, link in enumerate(catalogue.links()) if link.kind == "country"]
    indices = np.array([index for index, _ in countries], dtype=np.int64)
    level, _strength = fit.levels(np.full(len(indices), service, dtype=np.int64), indices)
    heard = [link for (_, link), a_minute in zip(countries, level.tolist(), strict=True) if a_minute * WEEK >= 1]
    return tuple(sorted(heard, key=lambda link: link.name))


def problem_choices(slug: str) -> tuple[ProblemChoice, ...]:
    """What can fail in this service, in order; none for an unknown service."""
    known = catalogue.catalogue()
    entry = known.service(slug)
    return tuple(known.problems.get(entry.link.category, {}).values()) if entry else ()


# --- home and maps ----------------------------------------------------------------------------------------------------


def home(*, now: datetime) -> HomeStatus:
    """What is down, what came back within a day, and what else is reported most."""
    minute = clock.minute_of(now)
    return snapshots.kept(("home",), lambda: _home(picture(minute)), minute=minute)


def _home(now: Picture) -> HomeStatus:
    every = statuses(now.minute).values()
    down = sorted(
        (status for status in every if status.incident),
        key=lambda status: (-status.people_affected, -status.reports_last_hour, status.link.name),
    )
    reported = sorted(
        (status for status in every if not status.incident and status.reports_last_hour),
        key=lambda status: (-status.reports_last_hour, status.link.name),
    )
    return HomeStatus(
        at=now.at,
        version=snapshots.digest(down, now.resolved, reported[:MOST_REPORTED], now.stale),
        down=tuple(down),
        recently_resolved=told(now.resolved[:MOST_RESOLVED]),
        most_reported=tuple(reported[:MOST_REPORTED]),
        services_watched=len(every),
        reports_last_hour=sum(status.reports_last_hour for status in every),
        watched_until=watched_until() if snapshots.version().watched_minute else None,
    )


def world_map(*, now: datetime) -> MapStatus:
    """Every region in which any service is not normal, with the worst of them.

    A service down in the world as a whole is somewhere down, not everywhere: that colours no region.
    """
    minute = clock.minute_of(now)
    return snapshots.kept(("world map",), lambda: _world_map(picture(minute)), minute=minute)


def _world_map(now: Picture) -> MapStatus:
    worst: dict[str, RegionState] = {}
    known = catalogue.catalogue()
    for service_id, incident in now.ongoing.items():
        entry = known.by_id[service_id]
        for state in _covered(entry, incident.regions, hour=now.hour):
            shown = worst.get(state.region.code)
            if state.region.kind == "world" or state.covered_by == "001":
                continue
            if shown is None or _worse(state) < _worse(shown):
                worst[state.region.code] = replace(state, service=entry.link)
    return _map(now.at, worst.values())


def _worse(state: RegionState) -> tuple[int, int]:
    return SEVERITY[state.state], -state.reports


def service_map(slug: str, *, at: datetime | None = None, now: datetime) -> MapStatus | None:
    """Every region of a service that is not normal, now or at a past ``at``; ``None`` for an unknown service.

    The past is told by what is known today: onsets and restorations at their estimated instants.
    """
    minute = clock.minute_of(now)
    entry = catalogue.catalogue().service(slug)
    if entry is None:
        return None
    if at is None or at >= now:
        return snapshots.kept(("map", slug), lambda: _present_map(entry, picture(minute)), minute=minute)
    return snapshots.kept(("map", slug, at), lambda: _past_map(entry, at))


def _present_map(entry: Entry, now: Picture) -> MapStatus:
    incident = now.ongoing.get(entry.id)
    return _map(now.at, _covered(entry, incident.regions, hour=now.hour) if incident else ())


def _past_map(entry: Entry, at: datetime) -> MapStatus:
    incidents = Incident.objects.filter(service=entry.id, rejected_at=None, merged_at=None, onset_at__lte=at).filter(
        Q(resolved_at=None) | Q(resolved_at__gt=at)
    )
    numbers = list(incidents.order_by("onset_at", "id").values_list("pk", flat=True))
    if not numbers:
        return _map(at, ())
    states: dict[int, tuple[str, datetime]] = {}
    courses = outages.courses(numbers)
    for number in numbers:
        noticed = outages.told_changes(number)
        for course in courses[number]:
            index = catalogue.index_of(course.outage.region_code)
            change = outages.state_at(outages.changes(course, noticed.get(course.outage.region_id, ())), at)
            if index is not None and change is not None:
                states[index] = (change[1], change[0])
    hour = figures.read_hour(clock.minute_of(at), service_id=entry.id)
    return _map(at, _covered(entry, states, hour=hour))


def _covered(entry: Entry, rows: Mapping[int, tuple[str, datetime]], *, hour: figures.Hour) -> tuple[RegionState, ...]:
    """The regions that are not normal: those decided on, and those below that take their state."""
    nearest = outages.reach(np.array(sorted(rows), dtype=np.int64))
    states = {region: rows[row] for region, row in enumerate(nearest.tolist()) if row >= 0 and rows[row][0] != "normal"}
    links = catalogue.links()
    return tuple(
        replace(state, covered_by=None if nearest[region] == region else links[int(nearest[region])].code)
        for region, state in _region_states(entry, states, hour=hour).items()
    )


def _map(at: datetime, regions: Iterable[RegionState]) -> MapStatus:
    shown = tuple(sorted(regions, key=lambda state: state.region.code))
    return MapStatus(at=at, version=snapshots.digest(shown), regions=shown)
