"""Shapes that no crowd has: a brigade from a few networks, from rented machines or from abroad; a machine by the clock.

Watched are *flows*: what is reported of a service in a country, of one kind. Of each a handful of sums is kept that
fade with ``MEMORY``, so that a second costs what arrives in it, not what has arrived. A flow is suspicious

* as ``concentrated``, when its reports come from too few networks: their effective number (Simpson's: the number of
  equally busy networks that would be as concentrated) lies below ``FEWEST`` and below n ** ``SPREAD`` of its n reports.
  Where all name the same problem, ``UNIFORM_FACTOR`` times as many networks are asked for;
* as ``hosting``, when at least ``FOREIGN`` of its reports come from hosting companies' networks;
* as ``misplaced``, when at least ``FOREIGN`` of them come from networks of another country than theirs (both only where
  the operator has given the lists, see :mod:`reports.intake.origin`);
* as ``regular``, when the local variation of the pauses between its reports lies below ``REGULAR``: the mean of
  3 ((a - b) / (a + b))² over pauses a and b that follow each other (Shinomoto, Shima and Tanji 2003, "Differences in
  spiking patterns among cortical neurons"). It is 0 by the clock and 1 where people arrive at random (a Poisson
  process), however often they do: measured by their mean the short pauses of a machine would pass for a crowd's for
  hours, because the long ones of the quiet hour before it are remembered.

Of a concentrated or regular flow only what comes beyond the first ``FREE`` reports of a network is set aside, of a
hosting or misplaced one only what comes from such networks: whoever else reports at the same time is counted, so that
nobody can hide a real outage behind a brigade, or close it with one. No shape takes a flow as a whole: which of its
reports a machine sent can be told by nothing but what each network sent, and one machine that reports ten times as
often as all people together makes any flow regular. The price is that a machine with hundreds of networks, a few
reports from each, is counted, by the clock or not: it looks like a crowd, network by network.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import F
from django.db.models.functions import Greatest, Least
from numpy.typing import NDArray

from reports import binary
from reports.binary import BigintArray, Cursor, Integers
from reports.intake.origin import HOSTING, MISPLACED
from reports.models import Quarantine, Region

SHAPES = ("concentrated", "hosting", "misplaced", "regular")
_CONCENTRATED, _HOSTING, _MISPLACED, _REGULAR = range(4)

MEMORY = timedelta(minutes=30)
"""After this time a report weighs a third in the sums of its flow."""
LEAST = 20
"""Reports within memory below which a flow has no shape yet."""
FEWEST = 6.0
SPREAD = 0.45
UNIFORM, UNIFORM_LEAST, UNIFORM_FACTOR = 0.97, 40, 1.5
"""Consecutive reports that name the same problem, as a share; how many of them it takes; and what follows."""
REGULAR, REGULAR_LEAST = 0.35, 60
"""Local variation; and how many reports it takes. Of a million simulated crowds of so many none lay below 0.44. A
machine by the clock stays below until people report a fifth as often as it does."""
FOREIGN = 0.5
"""Share of a flow from hosting networks, or from other countries', at which these are set aside: below it they are
people behind a VPN, who see the same outage."""
FREE = 3
"""Reports of one network about one service within the counting window that a concentrated or regular flow still
counts."""
TOGETHER = timedelta(minutes=30)
"""A flow that is suspicious again within this time goes on with the same quarantine."""
LONGEST_PAUSE = timedelta(minutes=30)
"""A longer pause is an end and a new beginning."""

_SECONDS = 1000.0


@dataclass(frozen=True)
class Flow:
    """Reports in order of time, as columns, each person's once: ``rank`` is the how-manieth of its network about its
    service within the counting window. ``at`` is in milliseconds since 1970, ``problem`` 0 where nobody said;
    ``origin`` has the bits of :mod:`reports.intake.origin`."""

    at: Integers
    service: Integers
    region: Integers
    kind: Integers
    problem: Integers
    rank: Integers
    origin: Integers


def examine(cursor: Cursor, flow: Flow) -> NDArray[np.int8]:
    """For each report 0, or 1 + the place in ``SHAPES`` of the shape that it is set aside for; remembers the flow."""
    verdict = np.zeros(len(flow.at), dtype=np.int8)
    if not len(flow.at):
        return verdict
    # One number for each flow: ids have 31 bits, a kind has one.
    name = flow.service << 32 | _countries(flow.region) << 1 | flow.kind
    order = np.argsort(name, kind="stable")
    names, first = np.unique(name[order], return_index=True)
    ends = np.append(first[1:], len(order))
    sums = _taken(cursor, names)
    sums.take(flow, order, first, ends)
    suspicious = sums.shapes()
    last = flow.at[order[ends - 1]]
    for place in np.flatnonzero(suspicious.any(axis=0) & (last >= sums.exempt_until)).tolist():
        rows = order[first[place] : ends[place]]
        for shape in np.flatnonzero(suspicious[:, place]).tolist():
            aside = rows[_concerned(flow, rows, shape) & (verdict[rows] == 0)]
            verdict[aside] = 1 + shape
            if len(aside):
                _set_aside(int(names[place]), SHAPES[shape], flow.at[aside], sums.figures(place))
    _remember(cursor, names, sums)
    return verdict


def _concerned(flow: Flow, rows: NDArray[np.intp], shape: int) -> NDArray[np.bool_]:
    """Which of these reports of a flow of this shape are set aside for it."""
    if shape in (_HOSTING, _MISPLACED):
        concerned: NDArray[np.bool_] = flow.origin[rows] & (HOSTING if shape == _HOSTING else MISPLACED) > 0
    else:
        concerned = flow.rank[rows] > FREE
    return concerned


def least_networks(reports: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """The effective number of networks that so many reports of a crowd come from at least."""
    asked: NDArray[np.float64] = np.maximum(FEWEST, reports**SPREAD)
    return asked


@dataclass
class _Sums:
    """What is kept of flows, fading, an element for each: reports, the squares of what each network sent (2 rank - 1
    summed over reports is n² summed over networks), terms of the local variation, pairs of reports that name a problem,
    how many of these pairs name the same, and how many reports came from hosting networks and from those of another
    country; and the last pause in seconds. 0 of a flow that is new.
    """

    at: NDArray[np.float64]
    reports: NDArray[np.float64]
    squares: NDArray[np.float64]
    variations: NDArray[np.float64]
    pairs: NDArray[np.float64]
    same: NDArray[np.float64]
    hosting: NDArray[np.float64]
    misplaced: NDArray[np.float64]
    last_pause: NDArray[np.float64]
    problem: NDArray[np.float64]
    exempt_until: NDArray[np.float64]

    def take(self, flow: Flow, order: NDArray[np.intp], first: NDArray[np.intp], ends: NDArray[np.intp]) -> None:
        """Adds the reports of a batch: ``order`` has them flow by flow, a flow's from its ``first`` to its ``ends``."""
        at = flow.at[order].astype(np.float64)
        last, known = at[ends - 1], self.at > 0
        faded = np.where(known, np.exp(-np.maximum(last - self.at, 0) / (MEMORY / timedelta(milliseconds=1))), 0.0)
        pause = np.diff(at, prepend=at[:1]) / _SECONDS
        pause[first] = np.where(known, at[first] - self.at, 0.0) / _SECONDS
        pause[(pause < 0) | (pause >= LONGEST_PAUSE.total_seconds())] = 0.0
        self.reports = self.reports * faded + (ends - first)
        # n fades, so n² fades twice.
        self.squares = self.squares * faded**2 + np.add.reduceat(2.0 * flow.rank[order] - 1, first)
        before = np.roll(pause, 1)
        before[first] = self.last_pause
        both = pause + before
        # Where no time passed nothing is told: as if by chance.
        local = np.divide(3 * np.square(pause - before), np.square(both), out=np.ones_like(both), where=both > 0)
        self.variations = self.variations * faded + np.add.reduceat(local, first)
        self.last_pause = pause[ends - 1]
        origin = flow.origin[order]
        self.hosting = self.hosting * faded + np.add.reduceat(origin & HOSTING > 0, first, dtype=np.int64)
        self.misplaced = self.misplaced * faded + np.add.reduceat(origin & MISPLACED > 0, first, dtype=np.int64)
        self._take_problems(flow.problem[order], np.repeat(np.arange(len(first)), ends - first), faded)
        self.at = np.maximum(self.at, last)

    def _take_problems(self, problem: Integers, of: NDArray[np.intp], faded: NDArray[np.float64]) -> None:
        rows = np.flatnonzero(problem)
        said, of = problem[rows], of[rows]
        opens = np.ones(len(rows), dtype=np.bool_)
        opens[1:] = of[1:] != of[:-1]
        before = np.empty(len(rows))
        before[1:] = said[:-1]
        before[opens] = self.problem[of[opens]]
        size = len(faded)
        self.pairs = self.pairs * faded + np.bincount(of[before != 0], minlength=size)
        self.same = self.same * faded + np.bincount(of[before == said], minlength=size)
        closes = np.append(opens[1:], True) if len(rows) else opens
        self.problem[of[closes]] = said[closes]

    def networks(self) -> NDArray[np.float64]:
        """The effective number of networks."""
        return self.reports**2 / np.maximum(self.squares, 1.0)

    def variation(self) -> NDArray[np.float64]:
        """The local variation of the pauses."""
        return self.variations / np.maximum(self.reports, 1.0)

    def needed(self) -> NDArray[np.float64]:
        """Effective networks that so many reports of a crowd come from at least."""
        asked = least_networks(self.reports)
        uniform = (self.pairs >= UNIFORM_LEAST) & (self.same >= UNIFORM * self.pairs)
        return np.where(uniform, asked * UNIFORM_FACTOR, asked)

    def shapes(self) -> NDArray[np.bool_]:
        """Whether a flow has a shape: a row for each of ``SHAPES``, a column for each flow."""
        concentrated = self.networks() < self.needed()
        foreign = [share >= FOREIGN * self.reports for share in (self.hosting, self.misplaced)]
        # Of either the same reports are set aside: one name for them is enough.
        regular = (self.reports >= REGULAR_LEAST) & (self.variation() < REGULAR) & ~concentrated
        found: NDArray[np.bool_] = np.stack([concentrated, *foreign, regular]) & (self.reports >= LEAST)
        return found

    def figures(self, place: int) -> dict[str, float]:
        """What an administrator is told of a flow."""
        return {
            "reports": round(float(self.reports[place]), 1),
            "networks": round(float(self.networks()[place]), 1),
            "networks_needed": round(float(self.needed()[place]), 1),
            "variation": round(float(self.variation()[place]), 2),
            "same_problem": round(float(self.same[place] / max(self.pairs[place], 1.0)), 2),
            "hosting": round(float(self.hosting[place] / self.reports[place]), 2),
            "misplaced": round(float(self.misplaced[place] / self.reports[place]), 2),
        }


# --- What is remembered ----------------------------------------------------------------------------------------------

# Taken away and written anew rather than updated: a COPY costs a third. Nobody else sees that, since whoever writes
# them holds the drain's lock.
_TAKE = """
DELETE FROM reports_crowdshape AS held USING unnest(%s, %s, %s) AS wanted(service, region, kind)
WHERE held.service_id = wanted.service AND held.region_id = wanted.region AND held.kind = wanted.kind
RETURNING (held.service_id << 32) | (held.region_id << 1) | held.kind, extract(epoch FROM at)::float8 * 1000,
    reports, squares, variations, pairs, same, hosting, misplaced, last_pause, problem_key::float8,
    coalesce(extract(epoch FROM exempt_until)::float8 * 1000, 0)
"""
_FLOATS = ("reports", "squares", "variations", "pairs", "same", "hosting", "misplaced", "last_pause")
_FIELDS = ("at", *_FLOATS, "problem", "exempt_until")


def _key(names: Integers) -> tuple[Integers, Integers, Integers]:
    """Service, country and kind of flows."""
    return names >> 32, names >> 1 & 0x7FFF_FFFF, names & 1


def _taken(cursor: Cursor, names: Integers) -> _Sums:
    cursor.execute(_TAKE, [BigintArray(column) for column in _key(names)], binary=True)
    rows = cursor.fetchall()
    fields = np.zeros((len(_FIELDS), len(names)))
    if rows:
        # Exact: an instant in milliseconds has 41 bits, a float 53. The name has more, and stays an integer.
        held = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
        fields[:, np.searchsorted(names, held)] = np.array([row[1:] for row in rows]).T
        fields[0] = np.rint(fields[0])
    return _Sums(*fields)


def _remember(cursor: Cursor, names: Integers, sums: _Sums) -> None:
    for exempt in (False, True):
        rows = np.flatnonzero((sums.exempt_until > 0) == exempt)
        if not len(rows):
            continue
        service, region, kind = _key(names[rows])
        until = np.rint(sums.exempt_until[rows]).astype(np.int64) * 1000
        columns: list[tuple[str, str, NDArray[Any] | None]] = [
            ("service_id", "bigint", service),
            ("region_id", "bigint", region),
            ("kind", "smallint", kind),
            ("at", "timestamptz", sums.at[rows].astype(np.int64) * 1000),
            *((name, "float", getattr(sums, name)[rows]) for name in _FLOATS),
            ("problem_key", "integer", sums.problem[rows].astype(np.int64)),
            ("exempt_until", "timestamptz", until) if exempt else ("exempt_until", "null", None),
        ]
        binary.copy_in(cursor, "reports_crowdshape", columns, rows=len(rows))


def _set_aside(name: int, shape: str, at: Integers, figures: dict[str, float]) -> None:
    """Notes the quarantine: a new one, or the one that goes on."""
    service, region, kind = (int(column[0]) for column in _key(np.array([name])))
    first, last = (datetime.fromtimestamp(int(ms) / 1000, tz=UTC) for ms in (at.min(), at.max()))
    same = (
        Quarantine.objects.filter(
            service_id=service,
            region_id=region,
            kind=kind,
            shape=shape,
            released_at=None,
            last_at__gte=first - TOGETHER,
            began_at__lte=last + TOGETHER,
        )
        .order_by("-last_at")
        .values_list("pk", flat=True)
        .first()
    )
    # Either end: what comes late out of the inbox belongs to it too, and must be found when it is released.
    if same:
        Quarantine.objects.filter(pk=same).update(
            began_at=Least("began_at", first),
            last_at=Greatest("last_at", last),
            reports=F("reports") + len(at),
            figures=figures,
        )
    else:
        Quarantine.objects.create(
            service_id=service,
            region_id=region,
            kind=kind,
            shape=shape,
            began_at=first,
            last_at=last,
            reports=len(at),
            figures=figures,
        )


# --- Countries -------------------------------------------------------------------------------------------------------

# Region -> the region right below the world that it lies in. Regions keep their ids and parents for ever.
_country_of: dict[int, int] = {}


def _countries(region: Integers) -> Integers:
    unique, place = np.unique(region, return_inverse=True)
    if any(one not in _country_of for one in unique.tolist()):
        _read_countries()
    # A region that was deleted since stands for itself.
    return np.array([_country_of.get(one, one) for one in unique.tolist()], dtype=np.int64)[place]


def _read_countries() -> None:
    parent = dict(Region.objects.values_list("id", "parent_id"))
    for region in parent:
        country = region
        while (above := parent[country]) is not None and parent[above] is not None:
            country = above
        _country_of[region] = country
