"""Everything that an article tells, as figures: gathered once, before a word is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any

import numpy as np
from django.db.models import Max, Q

from reports import clock, counts
from reports.detection.parameters import Parameters
from reports.incidents.timeline import EntryKind
from reports.models import Incident, RegionalOutage, Service, TimelineEntry
from reports.status import catalogue, figures, history, nesting, places, series, shares, snapshots
from reports.status.answers import (
    IncidentStatus,
    ProblemChoice,
    RegionalOutageStatus,
    RegionLink,
    ServiceLink,
)

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
# As long as no region goes down, the outage does not spread: what comes after such a pause is another wave.
WAVE_PAUSE = timedelta(minutes=15)
# A wave is a twentieth of the regions at least.
LEAST_OF_WAVE = 20
# Below this many usual reports, silence tells nothing about a service.
LEAST_USUAL = 1.0
MOST_ALTERNATIVES = 6
LONGEST_STEP = timedelta(days=1)


@dataclass(frozen=True)
class Kin:
    """Another incident, as far as an article names it."""

    ref: str
    service: ServiceLink
    onset_at: datetime
    over: bool
    back_at: datetime | None
    """When its last region was back, of those that we can tell of."""


@dataclass(frozen=True)
class Window:
    """Reports of a service in a region from ``start`` to ``end``, and how many are usual then."""

    service: ServiceLink
    region: RegionLink
    start: datetime
    end: datetime
    reports: int
    expected: float
    upper: float
    same_provider: bool = False
    echo: bool = False
    """Whether its reports rose, and that was found to follow the incident."""

    @property
    def step(self) -> timedelta:
        """With this step ``services/SLUG/counts/`` gives the same figures, in one number or a number a day."""
        return min(self.end - self.start, LONGEST_STEP)


@dataclass(frozen=True)
class Wave:
    """Regions that went down without a pause between them, the earliest first."""

    regions: tuple[RegionalOutageStatus, ...]

    @property
    def start(self) -> datetime:
        """When the first of them went down."""
        return self.regions[0].onset_at

    @property
    def end(self) -> datetime:
        """When the last of them did."""
        return self.regions[-1].onset_at


@dataclass(frozen=True)
class InCountry:
    """The outage in one country: ``regions`` are the smallest affected ones, ``reports`` hold nobody twice."""

    country: RegionLink
    regions: tuple[RegionalOutageStatus, ...]
    reports: int
    people: float

    @property
    def restored(self) -> tuple[RegionalOutageStatus, ...]:
        """Its regions that are back, the first one first."""
        return by_restoration(self.regions)


@dataclass(frozen=True)
class Problems:
    """What people said fails: ``said`` of them named one of ``named`` (most named first), ``silent`` none."""

    said: int
    silent: int
    named: tuple[tuple[ProblemChoice, int], ...]


@dataclass(frozen=True)
class Gap:
    """Minutes in which nobody at all was counted, though ``due`` reports about all services were usual."""

    start: datetime
    end: datetime
    due: float


@dataclass(frozen=True)
class Shares:
    """When half of the people affected, and 90 % of them, had been reached; ``None`` where they have not been."""

    half_at: datetime | None
    most_at: datetime | None
    share: float
    """Of the people affected, how many have been reached."""


@dataclass(frozen=True)
class Facts:
    """What an article may say. ``regions`` are the smallest affected ones, the earliest onset first."""

    incident: IncidentStatus
    as_of: datetime
    end: datetime
    """When the last region that we can tell of was back; of an incident that goes on, of what has been watched."""
    area: RegionLink
    """The smallest region that holds all of it: one region, one country, or the world."""
    regions: tuple[RegionalOutageStatus, ...]
    countries: tuple[InCountry, ...]
    """Most reports first."""
    people: float | None
    """Who lives where it was down; ``None`` where the world as a whole was decided on, and no part of it."""
    down: Shares
    back: Shares
    waves: tuple[Wave, ...]
    problems: Problems
    before: Window | None
    regions_at_detection: int
    confirmed_at: datetime | None
    closed_at: datetime | None
    """When it was rejected or merged."""
    kin: tuple[Kin, ...]
    """Of the same group."""
    cause: Kin | None
    """What it is an echo of, or what it was merged into."""
    upstream: tuple[str, str] | None
    """Name and ref of what failed beneath it, where that is suspected."""
    echoes: tuple[dict[str, Any], ...]
    siblings_watched: int
    alternatives: tuple[Window, ...]
    more_alternatives: int
    too_quiet: int
    """How many services would have been alternatives, were it not for too few usual reports."""
    gaps: tuple[Gap, ...]

    @property
    def over(self) -> bool:
        """Whether it goes on no more."""
        return self.incident.state == "resolved"

    @property
    def dated(self) -> tuple[RegionalOutageStatus, ...]:
        """Regions in the order of their onsets, without those in :attr:`early`."""
        return tuple(row for row in self.regions if row.onset_at >= self.incident.onset_at) or self.regions

    @property
    def early(self) -> tuple[RegionalOutageStatus, ...]:
        """Regions whose onset was estimated, from few reports, to lie before that of the whole."""
        return tuple(row for row in self.regions if row.onset_at < self.incident.onset_at)

    @property
    def restored(self) -> tuple[RegionalOutageStatus, ...]:
        """Regions that are back, the first one first."""
        return by_restoration(self.regions)

    @property
    def unknown(self) -> tuple[RegionalOutageStatus, ...]:
        """Regions from which too little is heard to say."""
        return tuple(row for row in self.regions if row.state == "unknown")

    @property
    def affected(self) -> tuple[RegionalOutageStatus, ...]:
        """Regions that are still down or coming back."""
        return tuple(row for row in self.regions if row.state in ("down", "recovering"))


def by_restoration(rows: Iterable[RegionalOutageStatus]) -> tuple[RegionalOutageStatus, ...]:
    """Those that are back, the first one first; of two at one instant, the larger."""
    back = [(row.restored_at, -(row.region.population or 0), row) for row in rows if row.restored_at]
    return tuple(row for _, _, row in sorted(back, key=lambda each: each[:2]))


def length(row: RegionalOutageStatus) -> timedelta:
    """How long a region that is back was down."""
    assert row.restored_at is not None
    return row.restored_at - row.onset_at


def middle(rows: Sequence[RegionalOutageStatus], key: Callable[[RegionalOutageStatus], timedelta]) -> timedelta:
    """The value of ``key`` that half of the rows do not exceed."""
    return median_low([key(row) for row in rows])


def half_back(rows: Sequence[RegionalOutageStatus]) -> timedelta | None:
    """Within how long half of all ``rows`` are known to have been back; ``None`` where fewer than half are."""
    lengths = sorted(length(row) for row in rows if row.restored_at)
    half = -(-len(rows) // 2)
    return lengths[half - 1] if half and len(lengths) >= half else None


def incident_problems(ref: str) -> Problems | None:
    """What people in the incident's regions said fails while it lasted; ``None`` for an unknown ref."""

    def counted() -> Problems | None:
        row = shares.with_kin(Incident.objects.filter(ref=ref)).prefetch_related("regions").first()
        return None if row is None else _problems(row)

    return snapshots.kept(("incident problems", ref), counted)


def gather(ref: str) -> Facts | None:
    """The facts of the incident with this ref, or ``None``. Their number of queries does not grow with its regions."""
    row = Incident.objects.select_related("echo_of", "merged_into").filter(ref=ref).first()
    incident = history.incident(ref)
    if row is None or incident is None:
        return None
    rows = history.incident_regions(ref)
    links = [each.region for each in rows]
    smallest = {link.code for link in nesting.parts(links)}
    regions = tuple(sorted((each for each in rows if each.region.code in smallest), key=_by_onset))
    own = nesting.own_people(links, elsewhere=incident.told_elsewhere)
    everybody = sum(own.values()) if any(link.kind != "world" for link in links) else 0.0
    told = _told(row)
    over, back = incident.state == "resolved", by_restoration(regions)
    end = (back[-1].restored_at if over and back else row.resolved_at) or clock.instant_of(shares.span(row)[1])
    # An incident is closed when nobody follows its last silent region any more, which may be long after.
    first, last = shares.span(row)[0], -(-int(end.timestamp()) // 60)
    start, area = clock.instant_of(first), _area(regions)
    alternatives, too_quiet = _alternatives(
        incident, area, {link.code[:2] for link in links}, first, last, {echo.get("service") for echo in told.echoes}
    )
    cause = row.merged_into or row.echo_of
    return Facts(
        incident=incident,
        as_of=told.latest if over and told.latest else shares.watched_until(),
        end=end,
        area=area,
        regions=regions,
        countries=_countries(rows, smallest, own),
        people=everybody or None,
        down=_shares([(each.onset_at, own.get(each.region.code, 0.0)) for each in rows], everybody),
        back=_shares([(e.restored_at, own.get(e.region.code, 0.0)) for e in rows if e.restored_at], everybody),
        waves=_waves([each for each in regions if each.onset_at >= row.onset_at]),
        problems=incident_problems(ref) or Problems(0, 0, ()),
        before=_window(incident.service, area, start - HOUR, start),
        regions_at_detection=told.at_detection,
        confirmed_at=row.confirmed_at,
        closed_at=row.merged_at or row.rejected_at,
        # A part of it that is told by itself is no other service.
        kin=_kin(Incident.objects.filter(ref__in=incident.group_incidents).exclude(service=row.service_id)),
        cause=next(iter(_kin([cause])), None) if cause else None,
        upstream=told.upstream,
        echoes=told.echoes,
        siblings_watched=sum(
            entry.link.provider == incident.service.provider and entry.link.slug != incident.service.slug
            for entry in catalogue.catalogue().offered
        ),
        alternatives=tuple(alternatives[:MOST_ALTERNATIVES]),
        more_alternatives=len(alternatives[MOST_ALTERNATIVES:]),
        too_quiet=too_quiet,
        gaps=_gaps(first, last),
    )


def _by_onset(row: RegionalOutageStatus) -> tuple[datetime, float]:
    return row.onset_at, -(row.region.population or 0)


def _area(regions: Sequence[RegionalOutageStatus]) -> RegionLink:
    countries = {row.region.code[:2] for row in regions if row.region.kind != "world"}
    if len(regions) == 1:
        return regions[0].region
    found = places.region(next(iter(countries))) if len(countries) == 1 else None
    world = places.region("001")
    assert world is not None
    return found or world


@dataclass(frozen=True)
class _Told:
    """What only the timeline knows."""

    latest: datetime | None
    at_detection: int
    upstream: tuple[str, str] | None
    echoes: tuple[dict[str, Any], ...]


def _told(row: Incident) -> _Told:
    kinds = (EntryKind.DETECTED, EntryKind.SCOPE, EntryKind.ECHO)
    entries = list(TimelineEntry.objects.filter(incident=row, kind__in=[str(kind) for kind in kinds]))
    at_detection = [int(entry.facts.get("regions", 1)) for entry in entries if entry.kind == EntryKind.DETECTED]
    upstream = [entry.facts for entry in entries if entry.kind == EntryKind.SCOPE and "upstream" in entry.facts]
    return _Told(
        latest=TimelineEntry.objects.filter(incident=row).aggregate(latest=Max("recorded_at"))["latest"],
        at_detection=at_detection[0] if at_detection else 1,
        upstream=(upstream[-1]["name"], upstream[-1]["upstream"]) if upstream else None,
        echoes=tuple(entry.facts for entry in entries if entry.kind == EntryKind.ECHO),
    )


def _kin(rows: Iterable[Incident]) -> tuple[Kin, ...]:
    services = catalogue.catalogue().by_id
    chosen = sorted(rows, key=lambda row: row.ref)
    outages = RegionalOutage.objects.filter(incident__in=chosen, withdrawn_at=None).order_by()
    back = dict(outages.values_list("incident_id").annotate(Max("restored_at")))
    return tuple(
        Kin(
            ref=row.ref,
            service=services[row.service_id].link,
            onset_at=row.onset_at,
            over=bool(row.resolved_at or row.rejected_at or row.merged_at),
            back_at=back.get(row.pk),
        )
        for row in chosen
    )


def _countries(
    rows: Sequence[RegionalOutageStatus], smallest: set[str], own: dict[str, float]
) -> tuple[InCountry, ...]:
    codes = {row.region.code for row in rows}

    def topmost(row: RegionalOutageStatus) -> bool:
        above = row.region.parent
        while above is not None and above != "001":
            if above in codes:
                return False
            found = places.region(above)
            above = found.parent if found else None
        return True

    found = []
    for code in dict.fromkeys(row.region.code[:2] for row in rows if row.region.kind != "world"):
        country, inside = places.region(code), [row for row in rows if row.region.code[:2] == code]
        if country is not None:
            found.append(
                InCountry(
                    country=country,
                    regions=tuple(row for row in inside if row.region.code in smallest),
                    reports=sum(row.reports for row in inside if topmost(row)),
                    people=sum(own.get(row.region.code, 0.0) for row in inside),
                )
            )
    return tuple(sorted(found, key=lambda each: (-each.reports, -each.people, each.country.code)))


def _shares(reached: Iterable[tuple[datetime, float]], everybody: float) -> Shares:
    so_far, at = 0.0, {0.5: None, 0.9: None}  # type: tuple[float, dict[float, datetime | None]]
    for instant, people in sorted(reached):
        so_far += people
        for share in at:
            # A sum of people in another order may be off by a breath.
            if at[share] is None and everybody and so_far >= share * everybody - 1e-6:
                at[share] = instant
    return Shares(half_at=at[0.5], most_at=at[0.9], share=so_far / everybody if everybody else 0.0)


def _waves(regions: Sequence[RegionalOutageStatus]) -> tuple[Wave, ...]:
    waves: list[list[RegionalOutageStatus]] = []
    for row in regions:
        if waves and row.onset_at - waves[-1][-1].onset_at < WAVE_PAUSE:
            waves[-1].append(row)
        else:
            waves.append([row])
    # Stragglers are no wave.
    return tuple(Wave(tuple(rows)) for rows in waves if len(rows) * LEAST_OF_WAVE >= len(regions))


def _problems(row: Incident) -> Problems:
    """What people in the incident's regions said fails while it lasted."""
    known = catalogue.catalogue()
    found: Counter[int | None] = Counter()
    for share in shares.shares([row])[row.pk]:
        start, end = clock.instant_of(share.start), clock.instant_of(share.end)
        inside = known.ids_of(share.inside)
        found.update(counts.by_problem(row.service_id, inside, start=start, end=end))
    commonest = sorted(found.items(), key=lambda each: (-each[1], each[0] or 0))
    choices = known.problems.get(known.by_id[row.service_id].link.category, {})
    named = [(choices[number], n) for number, n in commonest if number is not None and number in choices]
    said = sum(n for _, n in named)
    return Problems(said=said, silent=sum(found.values()) - said, named=tuple(named))


def _window(service: ServiceLink, area: RegionLink, start: datetime, end: datetime) -> Window | None:
    found = series.service_counts(service.slug, region=area.code, start=start, end=end, step=end - start)
    if found is None or not found.baseline_version:
        return None
    return Window(service, area, start, end, found.reports[0], found.expected[0], found.upper[0])


def _alternatives(
    incident: IncidentStatus, area: RegionLink, countries: set[str], first: int, last: int, echoes: set[Any]
) -> tuple[list[Window], int]:
    """Services of the same provider or category that showed no outage, the provider's first, then the busiest."""
    service, known = incident.service, catalogue.catalogue()
    region = catalogue.index_of(area.code)
    expectation = figures.expectation()
    start, end = clock.instant_of(first), clock.instant_of(last)
    if region is None or not expectation.version or end <= start:
        return [], 0
    offered = dict(Service.objects.filter(retired_at=None).values_list("pk", "countries"))
    went_down = Incident.objects.filter(rejected_at=None, merged_at=None, onset_at__lt=end).filter(
        Q(resolved_at=None) | Q(resolved_at__gt=start)
    )
    down = set(went_down.values_list("service_id", flat=True))
    candidates = [
        entry
        for entry in known.offered
        if entry.link.slug != service.slug
        and (entry.link.provider == service.provider or entry.link.category == service.category)
        and entry.id not in down
        and (not offered.get(entry.id) or countries & set(offered[entry.id]))
    ]
    if not candidates:
        return [], 0
    totals = counts.totals([entry.id for entry in candidates], known.ids_within(region), start=start, end=end)
    reports = dict(zip(totals.service_id.tolist(), totals.reports.tolist(), strict=True))
    step = min(last - first, LONGEST_STEP // MINUTE)
    found, too_quiet = [], 0
    for entry in candidates:
        expected, upper = expectation.steps(entry.index, region, start=first, end=last, step=step)
        usual, heard = round(float(expected.sum()), 3), int(reports.get(entry.id, 0))
        echo = heard > upper.sum()
        if echo and entry.link.slug not in echoes:
            continue
        if usual < LEAST_USUAL:
            too_quiet += 1
            continue
        same = entry.link.provider == service.provider
        found.append(Window(entry.link, area, start, end, heard, usual, float(upper.sum()), same, echo))
    return sorted(found, key=lambda each: (not each.same_provider, -each.expected, each.service.slug)), too_quiet


def _gaps(first: int, last: int) -> tuple[Gap, ...]:
    """Stretches in which nobody about anything was counted, though the detector would have called them a gap."""
    silent = counts.silent_minutes(first, last)
    runs: list[list[int]] = []
    for minute in silent:
        if runs and minute == runs[-1][1]:
            runs[-1][1] = minute + 1
        else:
            runs.append([minute, minute + 1])
    expectation, services = figures.expectation(), catalogue.catalogue().offered
    if not runs or not expectation.version or not services:
        return ()
    indices = np.array([entry.index for entry in services], dtype=np.int64)
    found = []
    for start, end in runs:
        due = float(expectation.worldwide(indices, start=start, end=end).sum())
        if due >= Parameters().gap_expected:
            found.append(Gap(clock.instant_of(start), clock.instant_of(end), due))
    return tuple(found)
