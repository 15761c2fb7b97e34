"""The last two hours of counts of the cells that have any, at every level of the region tree.

Only cells with a report in the last ``SPAN`` minutes, and cells that are kept for an open outage, own a row; so memory
and work follow the active cells, not the catalogue. A window sum over all rows is one matrix product.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from reports.detection.arrays import sums_by
from reports.detection.baseline import BIN_MINUTES, WEEK_BINS, Baseline
from reports.detection.decisions import FloatArray, IntArray, MinuteCounts
from reports.detection.parameters import WINDOWS, Parameters
from reports.detection.tree import Tree

SPAN = 128
"""Minutes kept: the longest window and a little more; a power of two, so that a minute's column is ``minute & 127``."""
LAG_FROM, LAG_UNTIL = 105, 15
"""The slow factor compares the counts of the minutes [t - 105, t - 15) with what was expected."""
SEGMENT = 10
"""Minutes for which one value of the slow factor holds."""
SEGMENTS = 16
_SEEN = (SPAN + SEGMENT - 1) // SEGMENT + 1
_NODES = 7
"""Half-hour values of a profile needed to cover SPAN minutes, whatever the phase."""
_MONDAY = 3 * 1440

Float32Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True)
class Minute:
    """One minute of the exact cells, as it came: what a saved state holds and an outage's history is filled from."""

    minute: int
    cells: IntArray
    reports: IntArray
    working: IntArray
    networks: IntArray | None = None
    service_networks: IntArray | None = None
    working_networks: IntArray | None = None


@dataclass(frozen=True)
class Told:
    """One field of the minutes kept, one after the other: ``at`` is the position of the minute in them, ``last`` that
    of the latest one in which the field was recorded, -1 where it was in none."""

    at: IntArray
    service: IntArray
    region: IntArray
    values: IntArray
    last: int


def _ring_weights() -> Float32Array:
    """(phase, column, window): 1 where the column lies in the window that ends with the phase's minute.

    The last entry of the window axis is the span that the slow factor looks at.
    """
    age = (np.arange(SPAN)[:, None] - np.arange(SPAN)[None, :]) % SPAN
    windows = [age < w for w in WINDOWS] + [(age >= LAG_UNTIL) & (age < LAG_FROM)]
    return np.stack(windows, axis=2).astype(np.float32)


_RING_WEIGHTS = _ring_weights()


class Recent:
    """Rows of recent counts. ``services`` counts the pseudo service that stands for all of them."""

    def __init__(self, tree: Tree, baseline: Baseline, parameters: Parameters) -> None:
        self.tree = tree
        self.parameters = parameters
        self.regions = len(tree.country)
        self.services = len(baseline.topology.services) + 1
        self.row_of = np.full(self.services * self.regions, -1, dtype=np.int32)
        self.minutes: deque[Minute] = deque(maxlen=SPAN)
        self._told: dict[str, Told] = {}
        self.used = 0
        self._allocate(256)
        self.adopt(baseline)

    def _allocate(self, capacity: int) -> None:
        self.counts = np.zeros((capacity, SPAN), dtype=np.float32)
        self.factors = np.ones((capacity, SEGMENTS), dtype=np.float32)
        self.cell = np.zeros(capacity, dtype=np.int64)
        self.last = np.zeros(capacity, dtype=np.int64)
        self.level = np.zeros(capacity)
        self.strength = np.zeros(capacity)
        self.profile = np.zeros(capacity, dtype=np.int64)
        self.group = np.zeros(capacity, dtype=np.int64)
        self.held_until = np.zeros(capacity, dtype=np.int64)
        self.tail_from = np.zeros(capacity, dtype=np.int64)
        self.tail_size = np.zeros(capacity)
        self.closed_at = np.full(capacity, -(10**9), dtype=np.int64)

    _ARRAYS = (
        "counts",
        "factors",
        "cell",
        "last",
        "level",
        "strength",
        "profile",
        "group",
        "held_until",
        "tail_from",
        "tail_size",
        "closed_at",
    )

    def adopt(self, baseline: Baseline) -> None:
        """Use a new fit from the next minute on."""
        self.baseline = baseline
        rows = len(baseline.profiles)
        self._stride = WEEK_BINS + _NODES
        self._profiles = np.ascontiguousarray(
            np.concatenate([baseline.profiles, baseline.profiles[:, :_NODES]], axis=1)
        ).ravel()
        assert self._profiles.size == rows * self._stride
        self.dispersion = baseline.dispersion
        if self.used:
            self._describe(np.arange(self.used))

    def _describe(self, rows: IntArray) -> None:
        """Fill in what the baseline knows of the cells in ``rows``."""
        service, region = np.divmod(self.cell[rows], self.regions)
        level, strength = self.baseline.levels(service, region)
        self.level[rows] = level
        self.strength[rows] = strength
        self.profile[rows] = self.baseline.rows(service, region) * self._stride

    def ensure(self, cells: IntArray) -> IntArray:
        """The rows of ``cells`` (unique, and with their countries and world among them or present), new where
        needed.
        """
        rows = self.row_of[cells]
        fresh = cells[rows < 0]
        if len(fresh):
            needed = self.used + len(fresh)
            if needed > len(self.cell):
                self._grow(max(needed, 2 * len(self.cell)))
            new = np.arange(self.used, needed)
            self.used = needed
            self.row_of[fresh] = new
            self.cell[new] = fresh
            self.counts[new] = 0
            self.factors[new] = 1.0
            self.held_until[new] = 0
            self.tail_size[new] = 0
            self.closed_at[new] = -(10**9)
            self._describe(new)
            service, region = np.divmod(fresh, self.regions)
            self.group[new] = self.row_of[service * self.regions + self.tree.country[region]]
            rows = self.row_of[cells]
        return rows.astype(np.int64)

    def _grow(self, capacity: int) -> None:
        for name in self._ARRAYS:
            old = getattr(self, name)
            new = np.zeros((capacity, *old.shape[1:]), dtype=old.dtype)
            new[: self.used] = old[: self.used]
            setattr(self, name, new)

    def forget(self, minute: int, kept: Iterable[int]) -> None:
        """Release the rows that had no report for ``SPAN`` minutes, except those of the cells in ``kept``."""
        stay = self.last[: self.used] > minute - SPAN
        stay |= self.held_until[: self.used] > minute
        stay |= self.closed_at[: self.used] > minute - self.parameters.cooling_minutes
        kept_rows = self.row_of[np.fromiter(kept, dtype=np.int64)]
        stay[kept_rows[kept_rows >= 0]] = True
        # A row's country must stay with it.
        stay[self.group[: self.used][stay]] = True
        if stay.all():
            return
        old = np.flatnonzero(stay)
        moved = np.full(self.used, -1, dtype=np.int64)
        moved[old] = np.arange(len(old))
        self.row_of[self.cell[: self.used]] = -1
        for name in self._ARRAYS:
            array = getattr(self, name)
            array[: len(old)] = array[old]
        self.used = len(old)
        self.group[: self.used] = moved[self.group[: self.used]]
        self.row_of[self.cell[: self.used]] = np.arange(self.used)

    def spread(self, cells: IntArray, values: IntArray) -> tuple[IntArray, FloatArray]:
        """Counts of exact cells as totals of all cells above them, those of all services together included; sorted."""
        service, region = np.divmod(cells, self.regions)
        lineage = self.tree.lineage[region]
        here = lineage >= 0
        own = (service[:, None] * self.regions + lineage)[here]
        every = ((self.services - 1) * self.regions + lineage)[here]
        repeated = np.broadcast_to(values[:, None], lineage.shape)[here]
        keys = np.concatenate([own, every])
        unique, index = np.unique(keys, return_inverse=True)
        return unique, sums_by(index, np.concatenate([repeated, repeated]), len(unique))

    def add(self, counts: MinuteCounts) -> tuple[IntArray, FloatArray]:
        """Take in one minute; the rows of all cells with a ``down`` report in it, and their totals."""
        minute = counts.minute
        column = minute % SPAN
        self.counts[: self.used, column] = 0
        cells = counts.service * self.regions + counts.region
        self.minutes.append(
            Minute(
                minute,
                cells,
                counts.reports,
                counts.working,
                counts.networks,
                counts.service_networks,
                counts.working_networks,
            )
        )
        self._told.clear()
        if minute % SEGMENT == 0:
            self._turn(minute)
        reported = counts.reports > 0
        if not reported.all():
            cells = cells[reported]
        if not len(cells):
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        touched, totals = self.spread(cells, counts.reports[reported])
        rows = self.ensure(touched)
        self.counts[rows, column] = totals
        self.last[rows] = minute
        return rows, totals

    def told(self, name: str) -> Told:
        """The field ``name`` of the minutes kept: gathered once a minute, as an outage of a thousand regions asks for
        it thousands of times."""
        if name not in self._told:
            values = [getattr(past, name) for past in self.minutes]
            known = [at for at, column in enumerate(values) if column is not None]
            none = [np.zeros(0, dtype=np.int64)]
            cells = np.concatenate([self.minutes[at].cells for at in known] or none)
            service, region = np.divmod(cells, self.regions)
            self._told[name] = Told(
                at=np.repeat(np.array(known, dtype=np.int64), [len(values[at]) for at in known]),
                service=service,
                region=region,
                values=np.concatenate([values[at] for at in known] or none),
                last=known[-1] if known else -1,
            )
        return self._told[name]

    def sums(self, rows: IntArray, minute: int) -> Float32Array:
        """Reports of ``rows`` in each window ending with ``minute``, (rows x windows + 1); exact below 2**24."""
        sums: Float32Array = self.counts[rows] @ _RING_WEIGHTS[minute % SPAN]
        return sums

    def expected(self, rows: IntArray, minute: int) -> FloatArray:
        """Expected reports of ``rows`` in the same windows, (rows x windows + 1), the slow factor included."""
        weights, overlap, base = self._weights(minute)
        service_region = self.cell[rows] % self.regions
        start = (base + self.tree.bins_east[service_region]) % WEEK_BINS + self.profile[rows]
        nodes = self._profiles[start[:, None] + np.arange(_NODES)]
        segment = minute // SEGMENT
        columns = (segment - np.arange(_SEEN)) % SEGMENTS
        factors = self.factors[self.group[rows]][:, columns]
        result: FloatArray = ((nodes @ weights) * factors) @ overlap * self.level[rows, None]
        return result

    def slow_factors(self, row: int, minute: int, minutes: int) -> FloatArray:
        """The slow factor of a row in each segment that the last ``minutes`` (at most SPAN) touch, newest first."""
        segments = minute // SEGMENT - np.arange(minute // SEGMENT - (minute - minutes + 1) // SEGMENT + 1)
        factors: FloatArray = self.factors[self.group[row], segments % SEGMENTS]
        return factors

    def course(self, row: int, minute: int, minutes: int) -> FloatArray:
        """Expected reports of one row in each of the last ``minutes``, oldest first, at the present slow factor."""
        east = self.tree.bins_east[self.cell[row] % self.regions]
        at = np.arange(minute - minutes + 1, minute + 1)
        position = (at + _MONDAY + 0.5) / BIN_MINUTES - 0.5 + east
        node = np.floor(position).astype(np.int64)
        rest = position - node
        start = node % WEEK_BINS + self.profile[row]
        profile = self._profiles[start] * (1 - rest) + self._profiles[start + 1] * rest
        factor = self.factors[self.group[row], (minute // SEGMENT) % SEGMENTS]
        course: FloatArray = profile * (self.level[row] * factor)
        return course

    def ordered(self, row: int, minute: int, minutes: int) -> FloatArray:
        """Reports of one row in each of the last ``minutes`` (at most SPAN), oldest first."""
        columns = np.arange(minute - minutes + 1, minute + 1) % SPAN
        ordered: FloatArray = self.counts[row, columns].astype(np.float64)
        return ordered

    def _weights(self, minute: int) -> tuple[FloatArray, FloatArray, int]:
        """Matrices from profile nodes to segment means, and from segments to windows; and the first node's bin.

        Segment j holds the minutes of ``minute // SEGMENT - j``; both matrices depend on the minute of the half hour
        only.
        """
        key = minute % BIN_MINUTES
        base = _first_node(minute)
        cached = _WEIGHTS.get(key)
        if cached is None:
            cached = _WEIGHTS[key] = _window_weights(minute)
        weights, overlap = cached
        return weights, overlap, base

    def _turn(self, minute: int) -> None:
        """A new segment begins: renew the slow factor of every country and world that is not held."""
        segment = minute // SEGMENT
        now, before = segment % SEGMENTS, (segment - 1) % SEGMENTS
        region = self.cell[: self.used] % self.regions
        groups = np.flatnonzero(self.tree.depth[region] <= 1)
        self.factors[: self.used, now] = 1.0
        if not len(groups):
            return
        p = self.parameters
        observed = self.counts[groups] @ _RING_WEIGHTS[(minute - 1) % SPAN][:, -1]
        # The factors of the segments looked at are what is being estimated: leave them out of the expectation.
        kept = np.array(self.factors[groups])
        self.factors[groups] = 1.0
        usual = self.expected(groups, minute - 1)[:, -1]
        self.factors[groups] = kept
        usual *= self._heard(groups, usual, minute - 1)
        service = self.cell[groups] // self.regions
        world_row = self.row_of[service * self.regions + self.tree.world]
        at_world = np.full(self.used, 1.0)
        worlds = groups == world_row
        pseudo = p.factor_pseudo_reports
        at_world[groups[worlds]] = (observed[worlds] + pseudo) / (usual[worlds] + pseudo)
        above = np.where(worlds, 1.0, at_world[world_row])
        # Where little is known of the level, the last hours may correct it further than where much is.
        most = p.factor_most + 100.0 / np.maximum(self.strength[groups], 1.0) ** 1.5
        factor = np.clip((observed + pseudo * above) / (usual + pseudo), p.factor_least, most)
        held = self.held_until[groups] > minute
        faded = 1.0 + (kept[:, before] - 1.0) * 0.98
        self.factors[groups, now] = np.where(held, faded, factor)

    def _heard(self, groups: IntArray, usual: FloatArray, minute: int) -> FloatArray:
        """The share of the lag in which anything could be heard of each group: a silence in which a dozen reports were
        due is no quiet but a gap, of one service or, where all services fell silent together, of all of them.
        """
        span = LAG_FROM - LAG_UNTIL
        heard = np.ones(len(groups))
        could = np.flatnonzero(usual >= self.parameters.gap_expected)
        if not len(could):
            return heard
        columns = np.arange(minute - LAG_FROM + 1, minute - LAG_UNTIL + 1) % SPAN
        told = self.counts[groups[could]][:, columns] > 0
        place = np.arange(span)
        silence = (place - np.maximum.accumulate(np.where(told, place, -1), axis=1)).max(axis=1)
        gap = silence * usual[could] / span >= self.parameters.gap_expected
        heard[could[gap]] = 1.0 - silence[gap] / span
        region = self.cell[groups] % self.regions
        everything = self.cell[groups] // self.regions == self.services - 1
        of_all = np.ones(self.regions)
        of_all[region[everything]] = heard[everything]
        # What all services together show, none of them can contradict; the world's silence is everybody's.
        share: FloatArray = np.minimum(heard, np.minimum(of_all[region], of_all[self.tree.world]))
        return share


_WEIGHTS: dict[int, tuple[FloatArray, FloatArray]] = {}


def _first_node(minute: int) -> int:
    """Half hour of the oldest profile value that the SPAN minutes up to ``minute`` need; values stand for bin
    centres.
    """
    return (minute - SPAN + 1 + _MONDAY - BIN_MINUTES // 2) // BIN_MINUTES


def _window_weights(minute: int) -> tuple[FloatArray, FloatArray]:
    base = _first_node(minute)
    weights = np.zeros((_NODES, _SEEN))
    overlap = np.zeros((_SEEN, len(WINDOWS) + 1))
    for age in range(SPAN):
        at = minute - age
        segment = minute // SEGMENT - at // SEGMENT
        position = (at + _MONDAY + 0.5) / BIN_MINUTES - 0.5 - base
        node = int(position)
        weights[node, segment] += 1 - (position - node)
        weights[node + 1, segment] += position - node
        overlap[segment, : len(WINDOWS)] += [age < w for w in WINDOWS]
        overlap[segment, -1] += LAG_UNTIL <= age < LAG_FROM
    weights /= np.maximum(weights.sum(axis=0, keepdims=True), 1e-12)
    return weights, overlap
