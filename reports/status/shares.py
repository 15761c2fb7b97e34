"""Which incident a report is one of, where an administrator told an outage as several: of one, and nobody twice.

A whole keeps the row of its country or of the world when a region is split off, and would reach that region as well.
Each region is the one's that has the nearest row to it, for as long as that one lasted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet
from numpy.typing import NDArray

from reports import clock
from reports.models import Incident, RegionalOutage
from reports.status import catalogue, outages, snapshots


@dataclass(frozen=True, eq=False)
class Share:
    """Regions whose reports in the minutes ``[start, end)`` are the incident's, as a mask over all regions; and those
    that it would reach as well, but others tell of.
    """

    start: int
    end: int
    inside: NDArray[np.bool_]
    taken: NDArray[np.bool_]


@dataclass
class Kin:
    """An incident that was merged or split, the ids of those it was merged with, split from or split into, and the
    codes of its own regions.
    """

    incident: Incident
    near: set[int] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)


def watched_until() -> datetime:
    """The end of what detection has seen: reports of an open incident are counted up to here."""
    minute = snapshots.version().watched_minute
    return minute + timedelta(minutes=1) if minute else datetime(1970, 1, 1, tzinfo=UTC)


def ended_at(row: Incident) -> datetime | None:
    """When the incident was resolved, or else rejected or merged; ``None`` while it goes on."""
    return row.resolved_at or row.rejected_at or row.merged_at


def span(row: Incident) -> tuple[int, int]:
    """The minutes ``[start, end)`` that the incident lasted, or has lasted so far."""
    end = max(ended_at(row) or watched_until(), row.onset_at)
    return clock.minute_of(row.onset_at), -(-int(end.timestamp()) // 60)


def with_kin(rows: QuerySet[Incident]) -> QuerySet[Incident]:
    """The incidents, each knowing whether it was ever merged or split: most were not, and ask for nothing further."""
    return rows.annotate(has_kin=_has_kin())


def _has_kin() -> Q:
    other = Incident.objects.filter(Q(split_from=OuterRef("pk")) | Q(merged_into=OuterRef("pk"))).order_by()
    return Q(Exists(other)) | Q(split_from__isnull=False) | Q(merged_into__isnull=False)


def counted_rows(row: Incident) -> list[RegionalOutage]:
    """The regions that the incident's figures are of.

    The engine withdraws every region of what an administrator rejected; what was reported of it stays reported.
    """
    return [outage for outage in row.regions.all() if _counts(outage.withdrawn_at, row.rejected_at)]


def _counts(withdrawn_at: datetime | None, rejected_at: datetime | None) -> bool:
    return withdrawn_at is None or (rejected_at is not None and withdrawn_at >= rejected_at)


def families(rows: Sequence[Incident]) -> Mapping[int, Kin]:
    """What was merged or split of the services of those rows that were, by id: ``rows`` of :func:`with_kin`.

    One query at most.
    """
    services = {row.service_id for row in rows if vars(row)["has_kin"]}
    return _kin(Q(service__in=services)) if services else {}


def shares(rows: Sequence[Incident], known: Mapping[int, Kin] | None = None) -> dict[int, list[Share]]:
    """What is whose, by id of incident: ``rows`` of :func:`with_kin` with their regions, and their :func:`families`."""
    known = families(rows) if known is None else known
    return {row.pk: list(_shares(row, counted_rows(row), known)) for row in rows}


def shares_of(row: Incident, regions: Iterable[RegionalOutage]) -> list[Share]:
    """The same of one incident whose ``regions`` are at hand."""
    return list(_shares(row, regions, families([row])))


def _shares(row: Incident, regions: Iterable[RegionalOutage], known: Mapping[int, Kin]) -> Iterator[Share]:
    start, end = span(row)
    # What was merged into another is told there; whatever it told itself stays on its page.
    others = [] if row.merged_at else _others(row, known)
    spans = {one.incident.pk: span(one.incident) for one in others}
    bounds = {bound for each in spans.values() for bound in each if start < bound < end}
    mine = _indices(outage.region_code for outage in regions)
    reached = outages.reach(mine) >= 0
    for first, last in pairwise([start, *sorted(bounds), end]):
        living = [one for one in others if spans[one.incident.pk][0] <= first < spans[one.incident.pk][1]]
        theirs = _indices({code for one in living for code in one.codes})
        inside = np.isin(outages.reach(np.union1d(mine, theirs)), mine) if len(theirs) else reached
        yield Share(first, last, inside, reached & ~inside)


def elsewhere(row: Incident, known: Mapping[int, Kin]) -> set[str]:
    """The regions (codes) that others of its :func:`families` tell, now or in the end: neither merged nor rejected.

    None where it was merged itself: whatever it told stays on its page.
    """
    others = [] if row.merged_at else _others(row, known)
    return {code for one in others if not one.incident.rejected_at for code in one.codes}


def people(own: Iterable[str], elsewhere: Iterable[str] = ()) -> int:
    """How many live in the regions of an incident (codes), nobody twice; in those told ``elsewhere``, another's do."""
    # What is another's is as if it were back within a country that is down.
    states = dict.fromkeys(_indices(elsewhere).tolist(), "restored") | dict.fromkeys(_indices(own).tolist(), "down")
    return outages.people(states)


def people_beside_others() -> dict[int, int]:
    """:func:`people` of every incident beside which another one tells regions, by id. In one query."""
    # Where nothing was ever split off, one of a family tells all of it.
    known = _kin(Q(service__in=Incident.objects.filter(split_from__isnull=False).order_by().values("service")))
    beside = {pk: elsewhere(one.incident, known) for pk, one in known.items()}
    return {pk: people(known[pk].codes, codes) for pk, codes in beside.items() if codes}


def _indices(codes: Iterable[str]) -> NDArray[np.int64]:
    known = (catalogue.index_of(code) for code in codes)
    return np.array([index for index in known if index is not None], dtype=np.int64)


def _kin(which: Q) -> dict[int, Kin]:
    """All of these incidents that were ever merged or split, with the regions that each tells of."""
    known: dict[int, Kin] = {}
    kin = Incident.objects.filter(_has_kin(), which).order_by()
    # One row for each region, and for an incident without any: those that gave theirs away join the others.
    told = kin.values_list(
        "pk",
        "merged_into_id",
        "split_from_id",
        "onset_at",
        "resolved_at",
        "rejected_at",
        "merged_at",
        "regions__region_code",
        "regions__withdrawn_at",
    )
    for pk, merged_into, split_from, onset_at, resolved_at, rejected_at, merged_at, code, withdrawn_at in told:
        if pk not in known:
            known[pk] = Kin(
                Incident(
                    pk=pk, onset_at=onset_at, resolved_at=resolved_at, rejected_at=rejected_at, merged_at=merged_at
                )
            )
        one = known[pk]
        one.near |= {other for other in (merged_into, split_from) if other is not None}
        if code is not None and _counts(withdrawn_at, rejected_at):
            one.codes.add(code)
    for pk, one in known.items():
        # Only incidents of one service are ever merged by the desk; others share no report.
        one.near &= set(known)
        for other in one.near:
            known[other].near.add(pk)
    return known


def _others(row: Incident, known: Mapping[int, Kin]) -> list[Kin]:
    """The rest of the family that tells of regions of its own."""
    family: set[int] = set()
    near = {row.pk} & set(known)
    while near:
        family |= near
        near = {other for one in near for other in known[one].near} - family
    return [known[pk] for pk in sorted(family - {row.pk}) if not known[pk].incident.merged_at]
