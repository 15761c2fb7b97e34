"""What is normal: the expected count of every cell at every time of the week, learnt from outage-free history.

expected(service, region, minute) = level(service, region) x profile(service, country; local time of the week)

Profiles have 336 half hours and mean 1; each is shrunk towards the one above it (everything > service > service in
country). Levels are reports per minute of the region with all that lies in it, gamma-Poisson shrunk towards the level
above times the region's usual share. Both are stored sparsely; a cell never seen falls back on its ancestors.

Source: the shrinkage is the conjugate gamma-Poisson estimate (Gelman et al., Bayesian Data Analysis, ch. 2.6); the
capping of past spikes follows the down-weighting of Farrington et al. (1996) in spirit, not in form.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np

from reports.detection.arrays import number_by, sums_by
from reports.detection.decisions import BoolArray, FloatArray, IntArray, Topology
from reports.detection.tails import upper_quantile
from reports.detection.tree import Tree, plant

BIN_MINUTES = 30
WEEK_BINS = 336
DAY_BINS = 48
_MONDAY = 3 * DAY_BINS
"""1970-01-01 was a Thursday: bins to add so that bin 0 of the week is Monday 00:00."""

HALF_LIFE_DAYS = 10.0
PRIOR_REPORTS = 2.0
"""Weight, in reports, of the level that a cell inherits from above."""
HOUR_PSEUDO_REPORTS = 4.0
WEEK_PSEUDO_REPORTS = 25.0
PROFILE_MIN_REPORTS = 40
"""A (service, country) pair with fewer reports in its history uses the profile of its service."""
SPIKE_FACTOR = 3.0
SPIKE_ALLOWANCE = 4.0
"""A half hour counts at most SPIKE_FACTOR x the median of its hour over the days + SPIKE_ALLOWANCE."""
GAP_REPORTS = 12.0
"""A silence in which so many reports were due is a gap of the collection (P(nothing) = e^-12) and not quiet."""
CLUMPING = 0.15
"""Extra variance per report, as a share of it: one person brings companions."""
DISPERSION_PRIOR = 0.06
DISPERSION_PRIOR_BINS = 150.0
DISPERSION_CAUTION = 0.8
"""The moment estimate contains the slow drift that the engine follows by itself; this share of it remains."""
UNKNOWN_WORLD_LEVEL = 0.2
"""Reports a minute assumed for a service nobody has seen, in the whole world."""
UNKNOWN_STRENGTH = 0.5
NO_HISTORY = "empty"
"""The version of the fit to no history."""


@dataclass(frozen=True)
class History:
    """Reports per half hour, sparse: parallel arrays, one element per (service, region, bin) with any ``down`` report.

    ``bin`` is minutes since the epoch // 30. ``first_bin`` to ``end_bin`` (excluded) is the span that was watched: a
    bin in it without an element had no report. ``excluded_*`` are the spans, in minutes, that are no normal time
    (incidents, collector gaps): ``excluded_region`` -1 stands for all regions, ``excluded_service`` -1 for all
    services.
    """

    service: IntArray
    region: IntArray
    bin: IntArray
    reports: IntArray
    first_bin: int
    end_bin: int
    excluded_service: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    excluded_region: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    excluded_from: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    excluded_until: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Baseline:
    """One fit. Services are indices of ``topology.services``; the index after the last stands for all services
    together.

    ``profiles`` (rows x 336, mean 1) are in local time; ``profile_of_service`` and the sorted ``pair_keys`` (service x
    regions + country) with ``pair_rows`` say which row a cell uses. ``cell_keys`` (service x regions + region,
    sorted) with ``cell_levels`` (reports per minute) and ``cell_strengths`` (weighted reports behind the level).
    ``shares`` is each region's usual share of the region above it. ``exposure`` is the watched time in weighted
    minutes per service.
    """

    topology: Topology
    profiles: FloatArray
    profile_of_service: IntArray
    pair_keys: IntArray
    pair_rows: IntArray
    cell_keys: IntArray
    cell_levels: FloatArray
    cell_strengths: FloatArray
    shares: FloatArray
    exposure: FloatArray
    dispersion: FloatArray
    name: str = ""
    """The version that the fit was stored under; it stays when the catalogue grows."""

    @classmethod
    def empty(cls, topology: Topology) -> Self:
        """The baseline of a site that has seen nothing: a mild daily rhythm, low levels, and little faith in them."""
        services, regions = len(topology.services) + 1, len(topology.regions)
        tree = plant(topology)
        return cls(
            topology=topology,
            profiles=_human_week()[None, :],
            profile_of_service=np.zeros(services, dtype=np.int64),
            pair_keys=np.zeros(0, dtype=np.int64),
            pair_rows=np.zeros(0, dtype=np.int64),
            cell_keys=np.zeros(0, dtype=np.int64),
            cell_levels=np.zeros(0),
            cell_strengths=np.zeros(0),
            shares=_shares(tree, np.zeros(regions)),
            exposure=np.zeros(services),
            dispersion=np.full(services, DISPERSION_PRIOR),
            name=NO_HISTORY,
        )

    @cached_property
    def tree(self) -> Tree:
        """The region tree that the fit belongs to."""
        return plant(self.topology)

    @cached_property
    def version(self) -> str:
        """Twelve hexadecimal digits of a hash over everything the fit said when it was made; ``NO_HISTORY`` of none.

        Evidence names it for ever, so it must not change with a catalogue that grows.
        """
        if self.name:
            return self.name
        digest = hashlib.sha256("\n".join((*self.topology.services, "", *self.topology.regions)).encode())
        for name in _STORED:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()[:12]

    def rows(self, service: IntArray, region: IntArray) -> IntArray:
        """The row of ``profiles`` that each cell uses."""
        fallback = self.profile_of_service[service]
        if not len(self.pair_keys):
            return fallback
        keys = service * len(self.topology.regions) + self.tree.country[region]
        at = np.minimum(np.searchsorted(self.pair_keys, keys), len(self.pair_keys) - 1)
        rows: IntArray = np.where(self.pair_keys[at] == keys, self.pair_rows[at], fallback)
        return rows

    def levels(self, service: IntArray, region: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean reports per minute of each cell, and the strength (weighted reports) behind it."""
        regions = len(self.topology.regions)
        service = np.asarray(service, dtype=np.int64)
        level = np.zeros(len(service))
        strength = np.full(len(service), PRIOR_REPORTS)
        share = np.ones(len(service))
        at_region = np.array(region, dtype=np.int64)
        pending = np.ones(len(service), dtype=np.bool_)
        inherited = np.zeros(len(service), dtype=np.bool_)
        parents = np.asarray(self.topology.parents, dtype=np.int64)
        while pending.any():
            here = np.flatnonzero(pending)
            keys = service[here] * regions + at_region[here]
            if len(self.cell_keys):
                at = np.minimum(np.searchsorted(self.cell_keys, keys), len(self.cell_keys) - 1)
                found = self.cell_keys[at] == keys
                hit = here[found]
                level[hit] = self.cell_levels[at[found]] * share[hit]
                strength[hit] = np.where(inherited[hit], PRIOR_REPORTS, self.cell_strengths[at[found]])
                pending[hit] = False
                here = here[~found]
            share[here] *= self.shares[at_region[here]]
            inherited[here] = True
            at_region[here] = parents[at_region[here]]
            lost = here[at_region[here] < 0]
            level[lost] = UNKNOWN_WORLD_LEVEL * share[lost]
            strength[lost] = UNKNOWN_STRENGTH
            pending[lost] = False
        # A cell that stayed silent for all the time its service was watched is quieter than its share suggests.
        silent = inherited & (level > 0)
        exposure = self.exposure[service]
        level[silent] = PRIOR_REPORTS / (PRIOR_REPORTS / level[silent] + exposure[silent])
        return level, strength

    def expected(self, service: IntArray, region: IntArray, minute: IntArray) -> FloatArray:
        """Expected ``down`` reports in each minute of each region including its descendants; elementwise."""
        service, region, minute = (np.asarray(a, dtype=np.int64) for a in np.broadcast_arrays(service, region, minute))
        shape = service.shape
        service, region, minute = service.ravel(), region.ravel(), minute.ravel()
        level, _ = self.levels(service, region)
        rows = self.rows(service, region)
        position = (minute + 0.5) / BIN_MINUTES - 0.5 + _MONDAY + self.tree.bins_east[region]
        before = np.floor(position).astype(np.int64)
        rest = position - before
        profile = self.profiles[rows, before % WEEK_BINS] * (1 - rest)
        profile += self.profiles[rows, (before + 1) % WEEK_BINS] * rest
        expected: FloatArray = (level * profile).reshape(shape)
        return expected

    def upper(
        self,
        service: IntArray,
        region: IntArray,
        minute: IntArray,
        *,
        window_minutes: int = 1,
        probability: float = 0.99,
    ) -> FloatArray:
        """The count that ``window_minutes`` starting at ``minute`` stay below with ``probability``; elementwise."""
        middle = np.asarray(minute, dtype=np.int64) + window_minutes // 2
        mean = self.expected(service, region, middle) * window_minutes
        service, region = (np.broadcast_to(np.asarray(a, dtype=np.int64), mean.shape) for a in (service, region))
        _, strength = self.levels(service.ravel(), region.ravel())
        spread = CLUMPING / np.maximum(mean, 1e-9) + self.dispersion[service] + 1 / strength.reshape(mean.shape)
        return upper_quantile(mean, 1 / spread, probability)

    def to_bytes(self) -> bytes:
        """The fit as bytes, keyed by slugs and codes."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            services=np.array(self.topology.services, dtype=np.str_),
            regions=np.array(self.topology.regions, dtype=np.str_),
            version=np.array(self.version, dtype=np.str_),
            **{name: getattr(self, name) for name in _STORED},
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, topology: Topology, content: bytes) -> Self:
        """The stored fit over a topology that may have grown or lost members; what is new starts from its ancestors."""
        stored = np.load(io.BytesIO(content), allow_pickle=False)
        blank = cls.empty(topology)
        new_service = _positions(stored["services"].tolist(), topology.services)
        new_service = np.append(new_service, len(topology.services))
        new_region = _positions(stored["regions"].tolist(), topology.regions)
        width = len(stored["regions"])
        kept = np.flatnonzero(new_service >= 0)
        profile_of_service = np.array(blank.profile_of_service)
        profile_of_service[new_service[kept]] = stored["profile_of_service"][kept]
        exposure, dispersion = np.array(blank.exposure), np.array(blank.dispersion)
        exposure[new_service[kept]] = stored["exposure"][kept]
        dispersion[new_service[kept]] = stored["dispersion"][kept]
        shares = np.array(blank.shares)
        known = np.flatnonzero(new_region >= 0)
        shares[new_region[known]] = stored["shares"][known]
        pair_keys, pair_order = _moved(stored["pair_keys"], width, new_service, new_region, len(topology.regions))
        cell_keys, cell_order = _moved(stored["cell_keys"], width, new_service, new_region, len(topology.regions))
        return cls(
            topology=topology,
            profiles=stored["profiles"].astype(np.float64),
            profile_of_service=profile_of_service,
            pair_keys=pair_keys,
            pair_rows=stored["pair_rows"][pair_order],
            cell_keys=cell_keys,
            cell_levels=stored["cell_levels"][cell_order],
            cell_strengths=stored["cell_strengths"][cell_order],
            shares=shares,
            exposure=exposure,
            dispersion=dispersion,
            name=str(stored["version"]) if "version" in stored else "",
        )


_STORED = (
    "profiles",
    "profile_of_service",
    "pair_keys",
    "pair_rows",
    "cell_keys",
    "cell_levels",
    "cell_strengths",
    "shares",
    "exposure",
    "dispersion",
)


def fit(history: History, topology: Topology) -> Baseline:
    """Learn what is normal from ``history``; an empty history gives :meth:`Baseline.empty`.

    Cost: proportional to the elements of the history plus (service, country) pairs x bins.
    """
    if not len(history.reports) or history.end_bin <= history.first_bin:
        return Baseline.empty(topology)
    return _Fit(history, topology).baseline()


class _Fit:
    """The steps of one fit, in the order of ``docs/detection.md``; arrays named as there."""

    def __init__(self, history: History, topology: Topology) -> None:
        self.topology = topology
        self.tree = plant(topology)
        self.services = len(topology.services)
        self.regions = len(topology.regions)
        self.bins = history.end_bin - history.first_bin
        self.week = (history.first_bin + np.arange(self.bins) + _MONDAY) % WEEK_BINS
        age_days = (self.bins - 1 - np.arange(self.bins)) / DAY_BINS
        self.recency = 0.5 ** (age_days / HALF_LIFE_DAYS)
        inside = (history.bin >= history.first_bin) & (history.bin < history.end_bin)
        self.service = history.service[inside]
        self.region = history.region[inside]
        self.bin = history.bin[inside] - history.first_bin
        self.reports = history.reports[inside].astype(np.float64)
        self._pool(history)

    def _pool(self, history: History) -> None:
        """Pairs (service, country) with their counts per bin, and which bins of each pair are normal time."""
        keys = self.service * self.regions + self.tree.country[self.region]
        self.pairs, self.pair = np.unique(keys, return_inverse=True)
        self.pair_service, self.pair_country = np.divmod(self.pairs, self.regions)
        normal = np.ones((len(self.pairs), self.bins), dtype=np.bool_)
        begin = history.excluded_from // BIN_MINUTES - history.first_bin
        end = -(-history.excluded_until // BIN_MINUTES) - history.first_bin
        for service, region, first, last in zip(
            history.excluded_service, history.excluded_region, begin, end, strict=True
        ):
            first, last = max(int(first), 0), min(int(last), self.bins)
            if last <= first:
                continue
            touched = (self.pair_service == service) | (service < 0)
            if region >= 0 and region != self.tree.world:
                touched &= (self.pair_country == self.tree.country[region]) | (self.pair_country == self.tree.world)
            normal[touched, first:last] = False
        self.normal = normal & ~self._silences(normal)
        normal = self.normal
        use = normal[self.pair, self.bin]
        self.service, self.region, self.bin = self.service[use], self.region[use], self.bin[use]
        self.reports, self.pair = self.reports[use], self.pair[use]
        flat = sums_by(self.pair * self.bins + self.bin, self.reports, len(self.pairs) * self.bins)
        self.counts = flat.reshape(len(self.pairs), self.bins)
        self._cap_spikes()

    def _silences(self, normal: BoolArray) -> BoolArray:
        """Which bins of each pair were silent for so long that nobody can have been listening: to the pair, to its
        service, to its country, or to anything. A silence that still goes on may be a level that fell, and is learnt
        from. It lowers no level, and makes a service young that was first heard of late.
        """
        flat = sums_by(self.pair * self.bins + self.bin, self.reports, len(self.pairs) * self.bins)
        counts = flat.reshape(len(self.pairs), self.bins) * normal
        silent = _silent(counts, normal)
        for of_pair in (self.pair_service, self.pair_country, np.zeros(len(self.pairs), dtype=np.int64)):
            groups, member = np.unique(of_pair, return_inverse=True)
            together, seen = np.zeros((len(groups), self.bins)), np.zeros((len(groups), self.bins), dtype=np.bool_)
            np.add.at(together, member, counts)
            np.logical_or.at(seen, member, normal)
            silent |= _silent(together, seen)[member]
        return silent

    def _cap_spikes(self) -> None:
        days = self.bins // DAY_BINS
        if days >= 3:
            recent = self.counts[:, self.bins - days * DAY_BINS :].reshape(len(self.pairs), days, DAY_BINS)
            seen = self.normal[:, self.bins - days * DAY_BINS :].reshape(len(self.pairs), days, DAY_BINS)
            median = np.nan_to_num(_masked_median(recent, seen))
            # The hour before, a little lower: a steep morning rise is no spike.
            cap = SPIKE_FACTOR * np.maximum(median, 0.7 * np.roll(median, 1, axis=1)) + SPIKE_ALLOWANCE
            phase = (np.arange(self.bins) - (self.bins - days * DAY_BINS)) % DAY_BINS
            kept = np.minimum(1.0, cap[:, phase] / np.maximum(self.counts, 1e-9))
        else:
            kept = np.ones_like(self.counts)
        self.counts *= kept
        self.reports = self.reports * kept[self.pair, self.bin]

    def baseline(self) -> Baseline:
        profiles, of_service, of_pair = self._profiles()
        shape = profiles[of_pair][:, np.arange(WEEK_BINS)]
        east = self.tree.bins_east[self.pair_country]
        local = (self.week[None, :] + east[:, None]) % WEEK_BINS
        rhythm = np.take_along_axis(shape, local, axis=1)
        weight = self.normal * self.recency
        exposure = (rhythm * weight).sum(axis=1) * BIN_MINUTES
        keys, levels, strengths, shares, service_exposure = self._levels(exposure)
        pair_level = levels[np.searchsorted(keys, self.pairs)]
        dispersion = self._dispersion(rhythm, pair_level)
        return self._assemble(
            profiles, of_service, of_pair, keys, levels, strengths, shares, service_exposure, dispersion
        )

    def _profiles(self) -> tuple[FloatArray, IntArray, IntArray]:
        """Rows of profiles in local time; the row of each service; the row of each pair."""
        weeks = np.zeros((len(self.pairs), WEEK_BINS))
        seen = np.zeros_like(weeks)
        masked = self.counts * self.normal
        for start in range(0, self.bins, WEEK_BINS):
            stop = min(start + WEEK_BINS, self.bins)
            weeks[:, : stop - start] += masked[:, start:stop]
            seen[:, : stop - start] += self.normal[:, start:stop]
        # Column j is bin week[j] of the week in UTC; turn each pair to its local time.
        east = self.tree.bins_east[self.pair_country]
        source = (np.arange(WEEK_BINS)[None, :] - east[:, None] - self.week[0]) % WEEK_BINS
        local = np.take_along_axis(weeks, source, axis=1)
        local_seen = np.take_along_axis(seen, source, axis=1)
        everything = _refined(
            _human_week()[None, :], local.sum(axis=0, keepdims=True), local_seen.mean(axis=0, keepdims=True)
        )
        by_service = np.zeros((self.services, WEEK_BINS))
        np.add.at(by_service, self.pair_service, local)
        seen_by_service = np.zeros((self.services, WEEK_BINS))
        np.add.at(seen_by_service, self.pair_service, local_seen)
        pairs_of = np.maximum(number_by(self.pair_service, self.services), 1)
        own_service = _refined(
            np.repeat(everything, self.services, axis=0), by_service, seen_by_service / pairs_of[:, None]
        )
        rich = np.flatnonzero(local.sum(axis=1) >= PROFILE_MIN_REPORTS)
        own_pair = _refined(own_service[self.pair_service[rich]], local[rich], local_seen[rich])
        profiles = np.concatenate([everything, own_service, own_pair])
        of_service = np.append(np.arange(1, self.services + 1), 0)
        of_pair = 1 + self.pair_service
        of_pair[rich] = 1 + self.services + np.arange(len(rich))
        return profiles, of_service, of_pair

    def _levels(self, exposure: FloatArray) -> tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Sorted cell keys with level and strength, the shares of regions, and the exposure of each service."""
        exact, index = np.unique(self.service * self.regions + self.region, return_inverse=True)
        weighted = sums_by(index, self.reports * self.recency[self.bin], len(exact))
        service, region = np.divmod(exact, self.regions)
        lineage = self.tree.lineage[region]
        keys = np.where(lineage >= 0, service[:, None] * self.regions + lineage, -1)
        cells, where = np.unique(keys.ravel(), return_inverse=True)
        totals = sums_by(where, np.repeat(weighted, lineage.shape[1]), len(cells))
        if cells[0] < 0:
            cells, totals = cells[1:], totals[1:]
        # Pairs whose every report fell into masked time still need their level.
        cells, totals = _with_keys(cells, totals, self.pairs)
        cell_service, cell_region = np.divmod(cells, self.regions)
        shares = _shares(self.tree, sums_by(cell_region, totals, self.regions))
        watched = sums_by(self.pair_service, exposure, self.services)
        watched /= np.maximum(number_by(self.pair_service, self.services), 1)
        longest = float(self.recency.sum() * BIN_MINUTES)
        service_exposure = np.append(np.where(watched > 0, watched, longest), longest)
        country_key = cell_service * self.regions + self.tree.country[cell_region]
        at = np.minimum(np.searchsorted(self.pairs, country_key), len(self.pairs) - 1)
        time = np.where(self.pairs[at] == country_key, exposure[at], service_exposure[cell_service])
        levels = np.zeros(len(cells))
        depth = self.tree.depth[cell_region]
        parents = np.asarray(self.topology.parents, dtype=np.int64)
        world = depth == 0
        usual = max(totals[world].sum() / max(service_exposure[:-1].sum(), 1.0), 1e-6)
        levels[world] = (PRIOR_REPORTS + totals[world]) / (
            PRIOR_REPORTS / usual + service_exposure[cell_service[world]]
        )
        for step in range(1, int(depth.max(initial=0)) + 1):
            here = np.flatnonzero(depth == step)
            above = np.searchsorted(cells, cell_service[here] * self.regions + parents[cell_region[here]])
            prior = np.maximum(levels[above] * shares[cell_region[here]], 1e-7)
            levels[here] = (PRIOR_REPORTS + totals[here]) / (PRIOR_REPORTS / prior + time[here])
        # The world is the sum of its countries, so that no level contradicts another.
        country = np.flatnonzero(depth == 1)
        sums = sums_by(cell_service[country], levels[country], self.services)
        worlds = np.flatnonzero(world)
        own = sums_by(service[region == self.tree.world], weighted[region == self.tree.world], self.services)
        sums += own / np.maximum(service_exposure[:-1], 1.0)
        levels[worlds] = np.where(sums[cell_service[worlds]] > 0, sums[cell_service[worlds]], levels[worlds])
        # All services together, as one more service.
        all_regions, spot = np.unique(cell_region, return_inverse=True)
        cells = np.concatenate([cells, self.services * self.regions + all_regions])
        levels = np.concatenate([levels, sums_by(spot, levels, len(all_regions))])
        strengths = np.concatenate([totals, sums_by(spot, totals, len(all_regions))]) + PRIOR_REPORTS
        return cells, levels, strengths, shares, service_exposure

    def _dispersion(self, rhythm: FloatArray, pair_level: FloatArray) -> FloatArray:
        """Overdispersion per service by moments over its half hours (winsorised, shrunk)."""
        mean = pair_level[:, None] * rhythm * BIN_MINUTES
        usable = (mean >= 3.0) & self.normal
        ratio = (np.square(self.counts - mean) - (1 + CLUMPING) * mean) / np.square(np.maximum(mean, 1.0))
        ratio = np.clip(ratio, -1.0, 2.0) * usable
        total = sums_by(self.pair_service, ratio.sum(axis=1), self.services)
        number = sums_by(self.pair_service, usable.sum(axis=1), self.services)
        total = np.append(total, total.sum()) + DISPERSION_PRIOR * DISPERSION_PRIOR_BINS
        number = np.append(number, number.sum()) + DISPERSION_PRIOR_BINS
        dispersion: FloatArray = np.clip(DISPERSION_CAUTION * total / number, 0.02, 0.4)
        return dispersion

    def _assemble(
        self,
        profiles: FloatArray,
        of_service: IntArray,
        of_pair: IntArray,
        keys: IntArray,
        levels: FloatArray,
        strengths: FloatArray,
        shares: FloatArray,
        service_exposure: FloatArray,
        dispersion: FloatArray,
    ) -> Baseline:
        """Add the rows that are mixtures: each service in the world, and all services together in each country."""
        pair_level = levels[np.searchsorted(keys, self.pairs)]
        east = self.tree.bins_east[self.pair_country]
        utc = (np.arange(WEEK_BINS)[None, :] + east[:, None]) % WEEK_BINS
        local_mix = profiles[of_pair] * pair_level[:, None]
        worlds = np.zeros((self.services + 1, WEEK_BINS))
        in_utc = np.take_along_axis(local_mix, utc, axis=1)
        np.add.at(worlds, self.pair_service, in_utc)
        worlds[-1] = in_utc.sum(axis=0)
        countries, spot = np.unique(self.pair_country, return_inverse=True)
        together = np.zeros((len(countries), WEEK_BINS))
        np.add.at(together, spot, local_mix)
        below = self.pair_country != self.tree.world
        elsewhere = countries != self.tree.world
        first = len(profiles)
        rows = np.concatenate([profiles, _mean_one(worlds), _mean_one(together[elsewhere])])
        pair_keys = np.concatenate(
            [
                self.pairs[below],
                np.arange(self.services + 1) * self.regions + self.tree.world,
                self.services * self.regions + countries[elsewhere],
            ]
        )
        pair_rows = np.concatenate(
            [
                of_pair[below],
                first + np.arange(self.services + 1),
                first + self.services + 1 + np.arange(elsewhere.sum()),
            ]
        )
        order = np.argsort(pair_keys)
        return Baseline(
            topology=self.topology,
            profiles=rows,
            profile_of_service=of_service,
            pair_keys=pair_keys[order],
            pair_rows=pair_rows[order],
            cell_keys=keys,
            cell_levels=levels,
            cell_strengths=strengths,
            shares=shares,
            exposure=service_exposure,
            dispersion=dispersion,
        )


def _human_week() -> FloatArray:
    """A mild daily rhythm (least at 4, most at 16 local time), the prior before anything is known."""
    hours = np.arange(WEEK_BINS) / 2.0 + 0.25
    return 1.0 - 0.5 * np.cos((hours - 4.0) / 24.0 * 2 * np.pi)


def _mean_one(rows: FloatArray) -> FloatArray:
    mean = rows.mean(axis=1, keepdims=True)
    result: FloatArray = np.where(mean > 0, rows / np.maximum(mean, 1e-300), 1.0)
    return result


def _smooth(rows: FloatArray) -> FloatArray:
    smooth: FloatArray = 0.5 * rows + 0.25 * (np.roll(rows, 1, axis=1) + np.roll(rows, -1, axis=1))
    return smooth


def _refined(prior: FloatArray, counts: FloatArray, seen: FloatArray) -> FloatArray:
    """Shrink the profile of ``counts`` (rows x 336, local time; ``seen`` bins watched) towards ``prior`` in two steps.

    First by hour of the day, workdays and weekends apart; then by time of the week. The pseudo reports say how many
    reports it takes to believe the row half way.
    """
    rate = counts.sum(axis=1, keepdims=True) / np.maximum((prior * seen).sum(axis=1, keepdims=True), 1e-9)
    mean = np.maximum(rate * prior * seen, 1e-9)
    days, means = counts.reshape(-1, 7, DAY_BINS), mean.reshape(-1, 7, DAY_BINS)
    ratio = np.empty_like(days)
    for part in (slice(0, 5), slice(5, 7)):
        n = _smooth(days[:, part].sum(axis=1)) + HOUR_PSEUDO_REPORTS
        ratio[:, part] = (n / (_smooth(means[:, part].sum(axis=1)) + HOUR_PSEUDO_REPORTS))[:, None, :]
    profile = prior * ratio.reshape(prior.shape)
    mean = np.maximum(rate * profile * seen, 1e-9)
    profile = profile * (_smooth(counts) + WEEK_PSEUDO_REPORTS) / (_smooth(mean) + WEEK_PSEUDO_REPORTS)
    return _mean_one(profile)


def _shares(tree: Tree, totals: FloatArray) -> FloatArray:
    """Each region's share of the region above it, from the totals of all services; half a report for the unseen."""
    shares = np.ones(len(totals))
    for children in tree.children:
        if len(children):
            smoothed = totals[children] + 0.5
            shares[children] = smoothed / smoothed.sum()
    return shares


def _silent(counts: FloatArray, seen: BoolArray) -> BoolArray:
    """The bins (rows x bins) of silences in which ``GAP_REPORTS`` were due by the mean of their time of day, with the
    bins on both sides, which the gap cut into.
    """
    rows, bins = counts.shape
    silent = np.zeros((rows, bins), dtype=np.bool_)
    days = -(-bins // DAY_BINS)
    filled = np.zeros((2, rows, days * DAY_BINS))
    filled[0, :, :bins], filled[1, :, :bins] = counts, seen
    total, watched = filled.reshape(2, rows, days, DAY_BINS).sum(axis=2)
    daily = np.divide(total, watched, out=np.zeros_like(total), where=watched > 0)
    for row in np.flatnonzero(daily.sum(axis=1) * days >= GAP_REPORTS):
        told = np.flatnonzero((counts[row] > 0) | ~seen[row])
        if not len(told):
            continue
        due = np.append(0.0, np.cumsum(np.tile(daily[row], days)[:bins]))
        begin, end = np.append(0, told[:-1] + 1), told
        for k in np.flatnonzero(due[end] - due[begin] >= GAP_REPORTS):
            silent[row, max(begin[k] - 1, 0) : end[k] + 1] = True
    return silent


def _masked_median(values: FloatArray, seen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    """Median over axis 1 of the values that were seen; NaN where none was."""
    if seen.all():
        plain: FloatArray = np.median(values, axis=1)
        return plain
    ordered = np.sort(np.where(seen, values, np.inf), axis=1)
    number = seen.sum(axis=1)
    low = np.maximum((number - 1) // 2, 0)
    high = np.minimum(number // 2, values.shape[1] - 1)
    pair = [np.take_along_axis(ordered, k[:, None], axis=1)[:, 0] for k in (low, high)]
    median: FloatArray = np.where(number > 0, (pair[0] + pair[1]) / 2, np.nan)
    return median


def _with_keys(cells: IntArray, totals: FloatArray, needed: IntArray) -> tuple[IntArray, FloatArray]:
    missing = np.setdiff1d(needed, cells)
    if not len(missing):
        return cells, totals
    cells = np.concatenate([cells, missing])
    order = np.argsort(cells)
    return cells[order], np.concatenate([totals, np.zeros(len(missing))])[order]


def _positions(names: list[str], now: tuple[str, ...]) -> IntArray:
    """Where each stored name is now; -1 where it is gone."""
    where: Mapping[str, int] = {name: i for i, name in enumerate(now)}
    return np.array([where.get(name, -1) for name in names], dtype=np.int64)


def _moved(
    keys: IntArray, width: int, new_service: IntArray, new_region: IntArray, new_width: int
) -> tuple[IntArray, IntArray]:
    """Keys under the new numbering, sorted, and the order that takes stored values there."""
    service, region = np.divmod(keys, width)
    moved = np.where(
        (new_service[service] >= 0) & (new_region[region] >= 0),
        new_service[service] * new_width + new_region[region],
        -1,
    )
    order = np.argsort(moved, kind="stable")
    order = order[np.searchsorted(moved[order], 0) :]
    return moved[order], order
