"""What an administrator has to see of an incident to judge it: read for many at once, in a fixed number of queries.

Nothing is decided or worded here: ``grounds`` says what speaks for an outage and what against, ``stakes`` what a wrong
call would cost, ``duty`` shows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db.models import Count, F, Max, Q, Window
from django.db.models.functions import RowNumber

from reports.audience import statuspage
from reports.detection.parameters import Parameters
from reports.detection.scope import Level, is_echo
from reports.incidents import timeline
from reports.incidents.stakes import Stakes, stakes
from reports.incidents.timeline import EntryKind
from reports.intake import shapes
from reports.models import (
    OPEN,
    Evidence,
    Incident,
    Quarantine,
    RegionalOutage,
    ServiceDependency,
    Severity,
    Subscription,
    TimelineEntry,
    Wish,
)
from reports.status import catalogue, confidence_basis, figures, history, outages, snapshots
from reports.status.answers import ConfidenceBasis, IncidentStatus

OVER = timedelta(days=3)
"""How long one that is over and that nobody judged is still listed."""
MOST_LISTED = 300
"""Incidents that are ordered and listed; the others are in the list of all."""
STRONGEST = 3
"""Rows of evidence that are told of each, those that chance explains least."""
_UNJUDGED = Q(rejected_at=None, merged_at=None, confirmed_at=None)
_REACH = {Severity.MINOR: 0, Severity.MAJOR: statuspage.MAJOR, Severity.CRITICAL: statuspage.CRITICAL}


# --- which wait, and in which order -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Waiting:
    """An incident that nobody has judged. ``mark`` is another one whenever something was decided or said about it."""

    incident: Incident
    mark: str
    stakes: Stakes
    states: Mapping[str, int]
    """How many regions are in which state, withdrawn ones left out."""
    places: tuple[str, ...]
    """The countries in which it is, or was, down, most people first."""

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.incident.resolved_at is None


def waiting(*, now: datetime) -> tuple[Waiting, ...]:
    """Incidents that wait for a judgement: the open ones, then those over in the last days; of each, first what it
    costs most people to leave. Five queries, however many they are."""
    rows = _rows(now)
    marks = _marks(rows)
    outages_of: dict[int, list[RegionalOutage]] = {row.pk: [] for row in rows}
    needed = ("incident_id", "region_code", "withdrawn_at", "restored_at", "unknown_at", "recovering_at")
    for outage in RegionalOutage.objects.filter(incident__in=outages_of, withdrawn_at=None).only(*needed):
        outages_of[outage.incident_id].append(outage)
    wishes = _wishes({row.service_id for row in rows})
    found = [_waiting(row, marks[row.pk], outages_of[row.pk], wishes.get(row.service_id, []), now) for row in rows]
    return tuple(sorted(found, key=lambda one: (not one.is_open, -one.stakes.if_left, -one.stakes.if_rejected)))


def marks(*, now: datetime) -> dict[int, str]:
    """The mark of each incident that waits, by id: another one where something changed. Two queries."""
    return _marks(_rows(now))


def _rows(now: datetime) -> list[Incident]:
    found = Incident.objects.filter(_UNJUDGED, Q(resolved_at=None) | Q(resolved_at__gte=now - OVER))
    # What is open is never cut off by what is over.
    newest = found.order_by(F("resolved_at").desc(nulls_first=True), "-detected_at")
    return list(newest.select_related("service__provider", "group", "echo_of__service")[:MOST_LISTED])


def _marks(rows: Sequence[Incident]) -> dict[int, str]:
    told = TimelineEntry.objects.filter(incident__in=rows).order_by().values_list("incident").annotate(Max("id"))
    newest = dict(told)
    return {row.pk: f"{newest.get(row.pk, 0)}.{row.revision}" for row in rows}


def _wishes(services: Collection[int]) -> dict[int, list[tuple[int | None, str, int]]]:
    """Of each service: where how many wish to be told of its outages, from which severity on."""
    rows = (
        Subscription.objects.filter(wish=Wish.OUTAGES, confirmed_at__isnull=False, service__in=services)
        .order_by()
        .values_list("service_id", "region__code", "severity")
        .annotate(Count("pk"))
    )
    found: dict[int, list[tuple[int | None, str, int]]] = {}
    for service, code, severity, number in rows:
        found.setdefault(service, []).append((catalogue.index_of(code), severity, number))
    return found


def _waiting(
    row: Incident,
    mark: str,
    regions: Sequence[RegionalOutage],
    wishes: Iterable[tuple[int | None, str, int]],
    now: datetime,
) -> Waiting:
    is_open = row.resolved_at is None
    states = {
        index: outage.state for outage in regions if (index := catalogue.index_of(outage.region_code)) is not None
    }
    ever = dict.fromkeys(states, "down")
    of_it = {region for region, state in states.items() if state in outages.AFFECTED} if is_open else set(ever)
    # Who reported lives somewhere, even where no region is named.
    residents = max(outages.people(states if is_open else ever), row.peak_reports)
    told = max((row.resolved_at or now) - row.detected_at, timedelta())
    return Waiting(
        incident=row,
        mark=mark,
        stakes=stakes(
            confidence=row.confidence,
            residents=residents,
            subscribers=_told_to(wishes, frozenset(ever), outages.people(ever)),
            told=told,
            is_open=is_open,
        ),
        states=Counter(outage.state for outage in regions),
        places=_places(of_it or set(ever)),
    )


def _told_to(wishes: Iterable[tuple[int | None, str, int]], down: frozenset[int], people: int) -> int:
    """Subscribers who have, or would have, a message: for a region that is down, lies in one, or holds one."""
    lineage = catalogue.tree().lineage
    above = {index for region in down for index in lineage[region].tolist()}
    return sum(
        number
        for region, severity, number in wishes
        if region is not None
        and people >= _REACH.get(Severity(severity), 0)
        and (region in above or not down.isdisjoint(lineage[region].tolist()))
    )


def _places(regions: Iterable[int]) -> tuple[str, ...]:
    links, lineage = catalogue.links(), catalogue.tree().lineage
    # The region right below the world that each lies in; the world itself where nothing narrower is known.
    countries = {next((i for i in reversed(lineage[region].tolist()) if i > 0), 0) for region in regions}
    ordered = sorted(countries, key=lambda index: (-(links[index].population or 0), links[index].english))
    return tuple(links[index].english for index in ordered if links[index].parent is not None) or (
        ("the world as a whole",) if countries else ()
    )


# --- the picture of each ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Networks:
    """How many networks the reports of one decision came from, and what a crowd of so many would show.

    ``least`` and ``most`` bound the number of equally busy networks that would be as concentrated (Simpson's), as far
    as the ``largest`` one alone tells; ``needed`` is how many of these the intake asks of a crowd.
    """

    observed: int
    networks: int
    largest: int | None
    needed: float

    @property
    def share(self) -> float | None:
        """Of the reports, the share of the network that sent the most."""
        return self.largest / self.observed if self.largest and self.observed else None

    @property
    def least(self) -> float:
        """Were all others as big as the largest."""
        return 1 / self.share if self.share else float(self.networks)

    @property
    def most(self) -> float:
        """Were all others as small as can be."""
        return min(1 / self.share**2, float(self.networks)) if self.share else float(self.networks)


@dataclass(frozen=True)
class Cause:
    """Another open outage of whose reports these may be an echo, in the last hour. ``noted``: detection says so."""

    service: str
    ref: str
    incident: int
    own: Level
    other: Level
    noted: bool

    @property
    def times(self) -> float:
        """How many times as many reports beyond the ordinary it has."""
        return self.other.excess / max(self.own.excess, 1.0)


@dataclass(frozen=True)
class LastHour:
    """Of the whole service: reports, with what was expected, and "works again" votes of the 60 minutes last seen."""

    level: Level
    working: int


@dataclass(frozen=True)
class Judged:
    """How many earlier incidents of the service were confirmed here, and how many rejected."""

    confirmed: int
    rejected: int


@dataclass(frozen=True, eq=False)
class Picture:
    """One incident with everything that a judgement needs."""

    waiting: Waiting
    told: IncidentStatus
    basis: ConfidenceBasis
    strongest: tuple[Evidence, ...]
    words: tuple[str, ...]
    """The strongest evidence, told as in the timeline."""
    notes: tuple[TimelineEntry, ...]
    """What detection noted of its scope, its group, its echoes and its cause."""
    networks: Networks | None
    last_hour: LastHour | None
    """Of one that goes on; ``None`` of one that is over."""
    causes: tuple[Cause, ...]
    set_aside: tuple[Quarantine, ...]
    """Flows of the same service that were set aside while it lasted, or just before."""
    judged: Judged

    @property
    def incident(self) -> Incident:
        """The row."""
        return self.waiting.incident


_NOTES = (EntryKind.SCOPE, EntryKind.GROUPED, EntryKind.ECHO, EntryKind.ECHO_OF)


def pictures(chosen: Sequence[Waiting]) -> tuple[Picture, ...]:
    """The picture of each, in the same order, with a number of queries that does not depend on how many."""
    if not chosen:
        return ()
    ids = [one.incident.pk for one in chosen]
    services = {one.incident.service_id for one in chosen}
    told = {status.ref: status for status in history.told(ids)}
    strongest = _strongest(ids)
    proofs = [evidence.pk for rows in strongest.values() for evidence in rows]
    entries = list(
        TimelineEntry.objects.filter(Q(evidence__in=proofs) | Q(incident__in=ids, kind__in=_NOTES)).select_related(
            "region", "evidence", "statement"
        )
    )
    words = {entry.evidence_id: timeline.text(entry) for entry in entries if entry.evidence_id}
    hours = _last_hours()
    causes = _causes([one.incident for one in chosen if one.is_open], hours)
    set_aside = _set_aside(services, min(one.incident.onset_at for one in chosen))
    judged = _judged(services)
    return tuple(
        Picture(
            waiting=one,
            told=told[one.incident.ref],
            basis=confidence_basis(one.incident.confidence),
            strongest=tuple(strongest.get(one.incident.pk, ())),
            words=tuple(words[row.pk] for row in strongest.get(one.incident.pk, ()) if row.pk in words),
            notes=tuple(e for e in entries if e.incident_id == one.incident.pk and e.kind in _NOTES),
            networks=_networks(strongest.get(one.incident.pk, ())),
            last_hour=hours.get(one.incident.service_id) if one.is_open else None,
            causes=tuple(causes.get(one.incident.pk, ())),
            set_aside=tuple(row for row in set_aside if _during(row, one.incident)),
            judged=judged.get(one.incident.service_id, Judged(0, 0)),
        )
        for one in chosen
    )


def _strongest(ids: Sequence[int]) -> dict[int, list[Evidence]]:
    # Those that a test against the ordinary stands behind: a decision without one has no probability.
    tested = Evidence.objects.filter(incident__in=ids, threshold__lt=0, decision__in=("opened", "reopened"))
    placed = tested.annotate(
        place=Window(RowNumber(), partition_by=F("incident"), order_by=[F("log10_p").asc(), F("id").asc()])
    )
    found: dict[int, list[Evidence]] = {}
    for row in placed.filter(place__lte=STRONGEST).select_related("region").order_by("log10_p", "id"):
        found.setdefault(row.incident_id, []).append(row)
    return found


def _networks(rows: Sequence[Evidence]) -> Networks | None:
    """By the biggest of these decisions whose networks are known; one that knows the largest before others."""
    known = [row for row in rows if row.networks and row.observed]
    if not known:
        return None
    best = max(known, key=lambda row: (row.largest_network is not None, row.observed))
    return Networks(
        observed=best.observed,
        networks=best.networks or 0,
        largest=best.largest_network,
        needed=max(shapes.FEWEST, best.observed**shapes.SPREAD),
    )


def _last_hours() -> dict[int, LastHour]:
    """Of every service by id: the hour that detection has seen last; none before it has seen any."""
    minute = snapshots.version().watched_minute
    if minute is None:
        return {}
    end = int(minute.timestamp()) // 60 + 1
    entries = catalogue.catalogue().entries
    ids, indices = (
        np.array(column, dtype=np.int64) for column in zip(*((e.id, e.index) for e in entries), strict=True)
    )
    reports, working = figures.hour(end).worldwide(ids)
    expected = figures.expectation().worldwide(indices, start=end - figures.HOUR_MINUTES, end=end)
    return {
        entry.id: LastHour(Level(int(reports[i]), float(expected[i])), int(working[i]))
        for i, entry in enumerate(entries)
    }


def _causes(rows: Sequence[Incident], hours: Mapping[int, LastHour]) -> dict[int, list[Cause]]:
    """Of each open incident (by id): other open ones whose far bigger rise explains it, by detection's own rule; the
    biggest first. What detection noted stands, whatever the figures are by now."""
    going_on = Incident.objects.filter(OPEN).select_related("service")
    others = list(going_on)
    needs = set(ServiceDependency.objects.values_list("service_id", "upstream_id"))
    parameters = Parameters()
    found: dict[int, list[Cause]] = {}
    for row in rows:
        own = hours.get(row.service_id)
        for other in others:
            theirs = hours.get(other.service_id)
            if other.pk == row.pk or own is None or theirs is None:
                continue
            noted = row.echo_of_id == other.pk
            related = (
                other.service.provider_id == row.service.provider_id or (row.service_id, other.service_id) in needs
            )
            bigger = theirs.level.excess > own.level.excess > 0
            if noted or (bigger and is_echo(own.level, theirs.level, siblings=related, parameters=parameters)):
                cause = Cause(other.service.name, other.ref, other.pk, own.level, theirs.level, noted)
                found.setdefault(row.pk, []).append(cause)
    for causes in found.values():
        causes.sort(key=lambda cause: (not cause.noted, -cause.other.excess))
    return found


def _set_aside(services: Collection[int], since: datetime) -> list[Quarantine]:
    rows = Quarantine.objects.filter(service__in=services, last_at__gte=since - shapes.TOGETHER)
    return list(rows.select_related("region").order_by("-reports", "id")[:MOST_LISTED])


def _during(row: Quarantine, incident: Incident) -> bool:
    begins = incident.onset_at - shapes.TOGETHER
    before_end = incident.resolved_at is None or row.began_at <= incident.resolved_at
    return row.service_id == incident.service_id and row.last_at >= begins and before_end


def _judged(services: Collection[int]) -> dict[int, Judged]:
    rows = (
        Incident.objects.filter(service__in=services, merged_at=None)
        .order_by()
        .values_list("service_id")
        .annotate(Count("confirmed_at"), Count("rejected_at"))
    )
    return {service: Judged(confirmed, rejected) for service, confirmed, rejected in rows}
