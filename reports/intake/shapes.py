"""Shapes that no crowd has: a brigade from a few networks, a machine that sends by the clock.

Watched are *flows*: what is reported of a service in a country, of one kind. Of each a handful of sums is kept that
fade with ``MEMORY``, so that a second costs what arrives in it, not what has arrived. A flow is suspicious

* as ``concentrated``, when its reports come from too few networks: their effective number (Simpson's: the number of
  equally busy networks that would be as concentrated) lies below ``FEWEST`` and below n ** ``SPREAD`` of its n reports.
  Where all name the same problem, ``UNIFORM_FACTOR`` times as many networks are asked for;
* as ``regular``, when the pauses between its reports vary less than ``REGULAR`` times their mean: people arrive at
  random, with pauses that vary as much as their mean (a Poisson process).

Of a concentrated flow only what comes beyond the first ``FREE`` reports of a network is set aside: whoever else reports
at the same time is counted, so that nobody can hide a real outage behind a brigade, or close it with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from django.db.models import F
from numpy.typing import NDArray

from reports.binary import BigintArray, Cursor, Integers
from reports.models import Quarantine, Region

SHAPES = ("concentrated", "regular")
_CONCENTRATED, _REGULAR = 1, 2

MEMORY = timedelta(minutes=30)
"""After this time a report weighs a third in the sums of its flow."""
LEAST = 20
"""Reports within memory below which a flow has no shape yet."""
FEWEST = 6.0
SPREAD = 0.45
UNIFORM, UNIFORM_LEAST, UNIFORM_FACTOR = 0.97, 40, 1.5
"""Consecutive reports that name the same problem, as a share; how many of them it takes; and what follows."""
REGULAR, REGULAR_LEAST = 0.35, 30
FREE = 3
"""Reports of one network about one service within the counting window that a concentrated flow still counts."""
TOGETHER = timedelta(minutes=30)
"""A flow that is suspicious again within this time goes on with the same quarantine."""
LONGEST_PAUSE = timedelta(minutes=30)
"""A longer pause is an end and a new beginning."""

_SECONDS = 1000.0


@dataclass(frozen=True)
class Flow:
    """Reports in order of time, as columns, each person's once: ``rank`` is the how-manieth of its network about its
    service within the counting window. ``at`` is in milliseconds since 1970, ``problem`` 0 where nobody said."""

    at: Integers
    service: Integers
    region: Integers
    kind: Integers
    problem: Integers
    rank: Integers


def examine(cursor: Cursor, flow: Flow) -> NDArray[np.int8]:
    """For each report 0, or 1 + the place in ``SHAPES`` of the shape that it is set aside for; remembers the flow."""
    verdict = np.zeros(len(flow.at), dtype=np.int8)
    if not len(flow.at):
        return verdict
    country = _countries(flow.region)
    keys, group = np.unique(np.stack((flow.service, country, flow.kind)), axis=1, return_inverse=True)
    group = group.reshape(-1)
    known = _remembered(cursor, keys)
    for place, rows in _groups(group):
        sums = known.get(tuple(keys[:, place].tolist()), _Sums())
        sums.take(flow, rows)
        shape = sums.shape()
        if shape and not sums.exempt(int(flow.at[rows[-1]])):
            aside = rows[flow.rank[rows] > FREE] if shape == _CONCENTRATED else rows
            verdict[aside] = shape
            if len(aside):
                _set_aside(keys[:, place], shape, flow.at[aside], sums)
        known[tuple(keys[:, place].tolist())] = sums
    _remember(cursor, keys, known)
    return verdict


@dataclass
class _Sums:
    """What is kept of a flow, fading: reports, the squares of what each network sent (2 rank - 1 summed over reports is
    n² summed over networks), pauses in seconds and their squares, pairs of reports that name a problem, and how many of
    these pairs name the same."""

    at: int = 0
    reports: float = 0.0
    squares: float = 0.0
    pauses: float = 0.0
    pause_squares: float = 0.0
    pairs: float = 0.0
    same: float = 0.0
    problem: int = 0
    exempt_until: int = 0

    def take(self, flow: Flow, rows: NDArray[np.intp]) -> None:
        at = flow.at[rows]
        faded = float(np.exp(-max(int(at[-1]) - self.at, 0) / (MEMORY / timedelta(milliseconds=1)))) if self.at else 0.0
        pauses = np.diff(at, prepend=self.at or at[0]) / _SECONDS
        pauses = pauses[(pauses >= 0) & (pauses < LONGEST_PAUSE.total_seconds())]
        said = flow.problem[rows][flow.problem[rows] != 0]
        named = np.concatenate(([self.problem], said)) if self.problem else said
        self.reports = self.reports * faded + len(rows)
        # n fades, so n² fades twice.
        self.squares = self.squares * faded**2 + float((2 * flow.rank[rows] - 1).sum())
        self.pauses = self.pauses * faded + float(pauses.sum())
        self.pause_squares = self.pause_squares * faded + float(np.square(pauses).sum())
        self.pairs = self.pairs * faded + max(len(named) - 1, 0)
        self.same = self.same * faded + float((named[1:] == named[:-1]).sum())
        self.problem = int(said[-1]) if len(said) else self.problem
        self.at = max(self.at, int(at[-1]))

    @property
    def networks(self) -> float:
        """The effective number of networks."""
        return float(self.reports**2 / max(self.squares, 1.0))

    @property
    def variation(self) -> float:
        """How much the pauses vary, by their mean."""
        mean = self.pauses / max(self.reports, 1.0)
        variance = max(self.pause_squares / max(self.reports, 1.0) - mean**2, 0.0)
        return float(np.sqrt(variance)) / mean if mean > 0 else 1.0

    @property
    def uniform(self) -> bool:
        return self.pairs >= UNIFORM_LEAST and self.same >= UNIFORM * self.pairs

    def needed(self) -> float:
        """Effective networks that so many reports of a crowd come from at least."""
        asked = max(FEWEST, float(self.reports**SPREAD))
        return asked * UNIFORM_FACTOR if self.uniform else asked

    def shape(self) -> int:
        if self.reports < LEAST:
            return 0
        if self.networks < self.needed():
            return _CONCENTRATED
        return _REGULAR if self.reports >= REGULAR_LEAST and self.variation < REGULAR else 0

    def exempt(self, at: int) -> bool:
        return at < self.exempt_until

    def figures(self) -> dict[str, float]:
        return {
            "reports": round(self.reports, 1),
            "networks": round(self.networks, 1),
            "networks_needed": round(self.needed(), 1),
            "variation": round(self.variation, 2),
            "same_problem": round(self.same / max(self.pairs, 1.0), 2),
        }


def _groups(group: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    order = np.argsort(group, kind="stable")
    edges = np.flatnonzero(np.diff(group[order], prepend=-1))
    for begin, end in zip(edges, np.append(edges[1:], len(order)), strict=True):
        yield int(group[order[begin]]), order[begin:end]


# --- What is remembered ----------------------------------------------------------------------------------------------

_READ = """
SELECT service_id, region_id, kind, (extract(epoch FROM at) * 1000)::bigint, reports, squares, pauses, pause_squares,
    pairs, same, problem_key, coalesce((extract(epoch FROM exempt_until) * 1000)::bigint, 0)
FROM reports_crowdshape
WHERE (service_id, region_id, kind) IN (SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]))
"""
_WRITE = """
INSERT INTO reports_crowdshape (service_id, region_id, kind, at, reports, squares, pauses, pause_squares, pairs, same,
    problem_key)
SELECT s, r, k, to_timestamp(a / 1000.0), n, q, p, pq, pr, sm, pk
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::float8[], %s::float8[], %s::float8[],
    %s::float8[], %s::float8[], %s::float8[], %s::bigint[]) AS t(s, r, k, a, n, q, p, pq, pr, sm, pk)
ON CONFLICT (service_id, region_id, kind) DO UPDATE SET (at, reports, squares, pauses, pause_squares, pairs, same,
    problem_key) = (EXCLUDED.at, EXCLUDED.reports, EXCLUDED.squares, EXCLUDED.pauses, EXCLUDED.pause_squares,
    EXCLUDED.pairs, EXCLUDED.same, EXCLUDED.problem_key)
"""

_Key = tuple[int, ...]


def _remembered(cursor: Cursor, keys: Integers) -> dict[_Key, _Sums]:
    cursor.execute(_READ, [BigintArray(column) for column in keys])
    return {tuple(row[:3]): _Sums(*row[3:]) for row in cursor}


def _remember(cursor: Cursor, keys: Integers, sums: dict[_Key, _Sums]) -> None:
    told = [sums[tuple(key)] for key in keys.T.tolist()]
    cursor.execute(
        _WRITE,
        [
            *(BigintArray(column) for column in keys),
            BigintArray(np.array([s.at for s in told], dtype=np.int64)),
            *([getattr(s, name) for s in told] for name in _FLOATS),
            BigintArray(np.array([s.problem for s in told], dtype=np.int64)),
        ],
    )


_FLOATS = ("reports", "squares", "pauses", "pause_squares", "pairs", "same")


def _set_aside(key: Integers, shape: int, at: Integers, sums: _Sums) -> None:
    """Notes the quarantine: a new one, or the one that goes on."""
    service, region, kind = key.tolist()
    first, last = (datetime.fromtimestamp(int(ms) / 1000, tz=UTC) for ms in (at.min(), at.max()))
    same = Quarantine.objects.filter(
        service_id=service,
        region_id=region,
        kind=kind,
        shape=SHAPES[shape - 1],
        released_at=None,
        last_at__gte=first - TOGETHER,
    )
    figures = sums.figures()
    if not same.update(last_at=last, reports=F("reports") + len(at), figures=figures):
        Quarantine.objects.create(
            service_id=service,
            region_id=region,
            kind=kind,
            shape=SHAPES[shape - 1],
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
