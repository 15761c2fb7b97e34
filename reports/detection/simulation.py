"""Simulated crowds with known truth: counts per minute of 30 services in 24 regions, outages and everything that is
none.

Nothing here is fitted to the detector: rates, rhythms and disturbances follow what is published about crowd reports
(docs/detection.md, "The simulated suites"). A suite is a pure function of its name and seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reports.detection.backtest import Recording
from reports.detection.decisions import FloatArray, IntArray, Topology

EPOCH = 29_453_760
"""2026-01-01T00:00Z in minutes since 1970."""
DAY = 1440
BIN = 30
SLACK = 30
"""Minutes by which a detection may lie outside a true outage and still mean it."""
OFFSETS = (0, 60, -300, 330)
"""Minutes east of UTC of the four countries."""


@dataclass(frozen=True)
class Suite:
    """What a simulated crowd does. Rates are per day unless said otherwise; factors multiply the normal rate.

    The last block is what makes incidents false, or faint: ``bursts`` of 2 to 6 times the usual, ``groups`` (a chat, a
    school), ``brigades`` from few networks, ``flaps`` of a few minutes (real), ``echoes`` (share of the larger outages
    that have one), ``peaks`` of everything in a country (a holiday). ``networks`` records distinct networks.
    """

    name: str
    services: int = 30
    regions: int = 24
    days: int = 56
    noise: float = 0.15
    surges: float = 0.5
    surge_size: float = 1.2
    clumps: float = 0.0
    shifts: float = 0.0
    gaps: int = 0
    companions: float = 0.12
    outages: float = 1.0
    fatigue: bool = False
    votes: bool = False
    wrong_votes: float = 0.01
    right_votes: float = 0.15
    median_minutes: float = 70.0
    least_strength: float = 8.0
    least_rate: tuple[float, float] = (0.05, 0.5)
    bursts: float = 0.0
    groups: float = 0.0
    brigades: float = 0.0
    flaps: float = 0.0
    echoes: float = 0.0
    peaks: float = 0.0
    networks: bool = False


DOUBTFUL = Suite(
    "doubtful",
    noise=0.25,
    surges=1.0,
    surge_size=2.0,
    clumps=0.05,
    shifts=0.02,
    gaps=2,
    companions=0.2,
    outages=8.0,
    votes=True,
    least_strength=1.5,
    least_rate=(0.0, 0.1),
    bursts=13.0,
    groups=10.0,
    brigades=6.0,
    flaps=0.5,
    echoes=0.4,
    peaks=0.3,
    networks=True,
)
"""As many reasons for a false incident as for a true one: what confidence is learnt from and judged by."""

SUITES = {
    s.name: s
    for s in (
        Suite("standard"),
        Suite("hard", noise=0.3, surges=1.0, surge_size=2.0, clumps=0.05, shifts=0.02, gaps=4, companions=0.3),
        Suite("quiet", outages=0.0),
        Suite("quiet-hard", outages=0.0, noise=0.3, surges=1.0, surge_size=2.0, clumps=0.05, shifts=0.02, gaps=4),
        Suite("votes", votes=True),
        Suite("fatigue", fatigue=True, median_minutes=180.0),
        Suite("fatigue-votes", fatigue=True, votes=True, median_minutes=180.0),
        DOUBTFUL,
    )
}


@dataclass(frozen=True)
class Truth:
    """One regional outage as it was: minutes since the epoch, and the third report after its start."""

    service: int
    region: int
    start: int
    end: int
    third: int
    event: int
    kind: str


@dataclass(frozen=True)
class Simulation:
    """A recording with what really happened. ``judged_from`` leaves a week to learn from."""

    suite: Suite
    recording: Recording
    topology: Topology
    truth: tuple[Truth, ...]
    judged_from: int
    until: int


def was_down(simulation: Simulation, service: int, minute: int) -> bool:
    """Whether the service was down anywhere within ``SLACK`` minutes of ``minute``: what makes an incident real."""
    return any(t.service == service and t.start - SLACK <= minute <= t.end + SLACK for t in simulation.truth)


def topology_of(suite: Suite) -> Topology:
    """The world, four countries and their regions."""
    countries = len(OFFSETS)
    country = np.arange(suite.regions) * countries // suite.regions
    codes = ("001", *(f"C{i}" for i in range(countries)), *(f"C{c}-{i:02d}" for i, c in enumerate(country)))
    parents = np.concatenate([[-1], np.zeros(countries), 1 + country]).astype(np.int64)
    offsets = np.array([0, *OFFSETS, *(OFFSETS[c] for c in country)], dtype=np.int64)
    services = tuple(f"service-{i:02d}" for i in range(suite.services))
    return Topology(services, services, codes, parents, offsets)


def simulate(suite: Suite, seed: int) -> Simulation:
    """The suite's counts and truth for one seed."""
    rng = np.random.default_rng([seed, sum(map(ord, suite.name))])
    topology = topology_of(suite)
    country = topology.parents[5:] - 1
    rate = _normal_rates(suite, rng, country)
    minutes = suite.days * DAY
    cells, at, n = _scattered(rng, rate)
    if suite.clumps:
        clumps = rng.poisson(suite.clumps * suite.services * suite.days * 4)
        size = 2 + rng.geometric(0.5, clumps)
        busy = rate.mean(axis=2).ravel()
        cells = np.append(cells, np.repeat(rng.choice(len(busy), clumps, p=busy / busy.sum()), size))
        start = rng.integers(0, minutes - 30, clumps)
        at = np.append(at, np.repeat(start, size) + rng.integers(0, 6, size.sum()))
        n = np.append(n, np.ones(size.sum(), dtype=np.int64))
    truths, extra_cells, extra_at, vote_cells, vote_at = _outages(suite, rng, rate, country)
    cells, at = np.append(cells, extra_cells), np.append(at, extra_at)
    n = np.append(n, np.ones(len(extra_cells), dtype=np.int64))
    n = n + rng.binomial(n, suite.companions)
    fresh = None
    if suite.networks:
        # By a stream of its own, so that suites without doubts stay what they were.
        doubts = _Doubts(suite, np.random.default_rng([seed, sum(map(ord, suite.name)), 1]), rate, country)
        doubts.cause(truths, extra_cells, extra_at)
        cells, at, n, fresh = doubts.joined(cells, at, n)
        truths = truths + doubts.truths
    kept = np.ones(len(at), dtype=np.bool_)
    kept_votes = np.ones(len(vote_at), dtype=np.bool_)
    for _ in range(suite.gaps):
        gap, length = int(rng.integers(8 * DAY, minutes)), int(rng.integers(10, 90))
        kept &= (at < gap) | (at >= gap + length)
        kept_votes &= (vote_at < gap) | (vote_at >= gap + length)
    votes = vote_cells[kept_votes], vote_at[kept_votes]
    recording = _recording(suite, cells[kept], at[kept], n[kept], *votes, None if fresh is None else fresh[kept])
    truth = _with_third_report(suite, recording, truths)
    return Simulation(suite, recording, topology, truth, EPOCH + 7 * DAY, EPOCH + minutes)


def _normal_rates(suite: Suite, rng: np.random.Generator, country: IntArray) -> FloatArray:
    """Reports per half hour while nothing is down: (services, regions, bins)."""
    bins = suite.days * DAY // BIN
    size = rng.lognormal(0.0, 1.0, suite.services)
    share = rng.lognormal(0.0, 0.8, suite.regions)
    taste = rng.lognormal(0.0, 0.5, (suite.services, suite.regions))
    level = 0.1 * 6 * size[:, None] * share[None, :] * taste
    hour = (np.arange(bins) * BIN / 60.0)[None, :] + np.array(OFFSETS)[country][:, None] / 60.0
    peak = 14 + rng.normal(0, 2.5, suite.services)
    depth = rng.uniform(0.5, 0.85, suite.services)
    daily = 1 + depth[:, None, None] * np.cos((hour[None] - peak[:, None, None]) / 24 * 2 * np.pi)
    weekend = ((hour // 24).astype(int) + 3) % 7 >= 5
    weekly = np.where(weekend[None], rng.uniform(0.6, 1.3, suite.services)[:, None, None], 1.0)
    rate = level[:, :, None] * daily * weekly
    holidays = rng.choice(suite.days, 3, replace=False)
    factor = np.ones((suite.regions, bins))
    for day in holidays:
        where = country == rng.integers(0, len(OFFSETS))
        factor[where, day * 48 : (day + 1) * 48] = rng.uniform(0.5, 1.4)
    rate *= factor[None]
    drift = np.exp(np.cumsum(rng.normal(0, 0.03, (suite.services, 1, suite.days)), axis=2))
    rate *= np.repeat(drift, 48, axis=2)
    rate *= np.exp(_autocorrelated(rng, (suite.services, len(OFFSETS), bins), suite.noise)[:, country])
    for _ in range(rng.poisson(suite.shifts * suite.services * suite.days)):
        service, start = rng.integers(suite.services), rng.integers(bins)
        where = country == rng.integers(0, len(OFFSETS)) if rng.random() < 0.5 else np.ones(len(country), dtype=bool)
        rate[service, where, start:] *= rng.choice([0.5, 0.7, 1.5, 2.0])
    for _ in range(rng.poisson(suite.surges * suite.days)):
        chosen = int(rng.integers(suite.services))
        begin, length = int(rng.integers(bins)), int(rng.integers(3, 10))
        where = country == rng.integers(0, len(OFFSETS)) if rng.random() < 0.6 else np.ones(len(country), dtype=bool)
        shape = 1 + suite.surge_size * rng.uniform(0.3, 1.0) * np.sin(np.linspace(0.3, np.pi, length))
        end = begin + min(length, bins - begin)
        rate[np.ix_(np.array([chosen]), where, np.arange(begin, end))] *= shape[: end - begin]
    return rate


def _autocorrelated(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> FloatArray:
    noise = rng.normal(0, size * np.sqrt(1 - 0.9**2), shape)
    for i in range(1, shape[-1]):
        noise[..., i] += 0.9 * noise[..., i - 1]
    return noise - size**2 / 2


def _scattered(rng: np.random.Generator, rate: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    counts = rng.poisson(rate).reshape(-1, rate.shape[-1])
    cell, bins = np.nonzero(counts)
    repeat = counts[cell, bins]
    cells = np.repeat(cell, repeat)
    at = np.repeat(bins * BIN, repeat) + rng.integers(0, BIN, repeat.sum())
    return cells, at, np.ones(len(cells), dtype=np.int64)


def _outages(
    suite: Suite, rng: np.random.Generator, rate: FloatArray, country: IntArray
) -> tuple[list[Truth], IntArray, IntArray, IntArray, IntArray]:
    truths: list[Truth] = []
    cells, at, vote_cells, vote_at = ([np.zeros(0, dtype=np.int64)] for _ in range(4))
    busy = np.zeros((suite.services, suite.days * DAY + 3000), dtype=np.bool_)
    kinds = rng.choice(
        ["global", "national", "regional", "slow", "common"],
        rng.poisson(suite.outages * suite.days),
        p=[0.2, 0.3, 0.3, 0.1, 0.1],
    )
    for event, kind in enumerate(kinds):
        start = int(rng.integers(2 * DAY, suite.days * DAY - 10))
        services = rng.choice(suite.services, int(rng.integers(3, 8)) if kind == "common" else 1, replace=False)
        if kind in ("global", "slow"):
            where = np.arange(suite.regions)
        elif kind == "regional":
            where = rng.choice(suite.regions, int(rng.integers(1, 3)), replace=False)
        else:
            where = np.flatnonzero(country == rng.integers(0, len(OFFSETS)))
            if kind == "common" and rng.random() < 0.5:
                where = rng.choice(where, 1 + len(where) // 3, replace=False)
        length = int(np.clip(rng.lognormal(np.log(suite.median_minutes), 0.6), 20, 900))
        stagger = rng.uniform(10, 90)
        strength = np.exp(rng.uniform(np.log(suite.least_strength), np.log(60)))
        ramp = rng.uniform(30, 60) if kind == "slow" else rng.uniform(0.5, 4)
        for service in services:
            if busy[service, start - min(start, 300) : start + length + 400].any():
                continue
            busy[service, start : start + length + 100] = True
            for region in where:
                begin = start + int(rng.integers(0, 4)) if len(where) > 1 else start
                end = begin + length + int(rng.uniform(0, stagger))
                normal = rate[service, region, min(begin // BIN, rate.shape[2] - 1)] / BIN
                level = strength * normal * rng.lognormal(0, 0.3) + rng.uniform(*suite.least_rate)
                reports, votes = _crowd(suite, rng, begin, end, level, ramp)
                cell = int(service) * suite.regions + int(region)
                cells.append(np.full(len(reports), cell))
                at.append(reports)
                vote_cells.append(np.full(len(votes), cell))
                vote_at.append(votes)
                truths.append(Truth(int(service), int(region), begin, end, -1, event, str(kind)))
    parts = [np.concatenate(a).astype(np.int64) for a in (cells, at, vote_cells, vote_at)]
    horizon = suite.days * DAY
    inside, voted = parts[1] < horizon, parts[3] < horizon
    return truths, parts[0][inside], parts[1][inside], parts[2][voted], parts[3][voted]


def _crowd(
    suite: Suite, rng: np.random.Generator, begin: int, end: int, level: float, ramp: float
) -> tuple[IntArray, IntArray]:
    """Minutes of the reports and of the votes of one regional outage."""
    age = np.arange(end - begin)
    course = level * (1 - np.exp(-(age + 0.5) / ramp))
    if suite.fatigue:
        floor, decay = rng.uniform(0.03, 0.15), rng.uniform(15, 45)
        course *= 3 * (floor + (1 - floor) * np.exp(-age / decay))
    late_age = np.arange(60)
    late = course[-1] * np.exp(-(late_age + 0.5) / rng.uniform(3, 9))
    counts = rng.poisson(np.concatenate([course, late]) * rng.gamma(8, 1 / 8))
    reports = np.repeat(begin + np.arange(len(counts)), counts)
    if not suite.votes:
        return reports, np.zeros(0, dtype=np.int64)
    during = reports[reports < end]
    wrong = during[rng.random(len(during)) < suite.wrong_votes]
    wrong = wrong + rng.integers(0, np.maximum(end - wrong, 1))
    right = end + rng.exponential(10, rng.binomial(len(during), suite.right_votes)).astype(np.int64)
    return reports, np.concatenate([wrong, right])


class _Doubts:
    """Everything that looks like an outage and is none, and short flaps, which are some: events as they happen."""

    def __init__(self, suite: Suite, rng: np.random.Generator, rate: FloatArray, country: IntArray) -> None:
        self.suite, self.rng, self.rate, self.country = suite, rng, rate, country
        self.minutes = suite.days * DAY
        self.truths: list[Truth] = []
        self._cells: list[IntArray] = []
        self._at: list[IntArray] = []
        self._fresh: list[IntArray] = []

    def cause(self, truths: list[Truth], cells: IntArray, at: IntArray) -> None:
        """All of them; ``cells`` and ``at`` are the reports of the outages, of which echoes are made."""
        suite, days = self.suite, self.suite.days
        for happen, rate in (
            (self._burst, suite.bursts),
            (self._group, suite.groups),
            (self._brigade, suite.brigades),
            (self._flap, suite.flaps),
            (self._peak, suite.peaks),
        ):
            for _ in range(self.rng.poisson(rate * days)):
                happen(int(self.rng.integers(2 * DAY, self.minutes - 60)))
        self._echo(truths, cells, at)

    def joined(self, cells: IntArray, at: IntArray, n: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """The events with those that were there: cells, minutes, reports, and networks not seen before.

        Companions report from one network; of many people some share a carrier's.
        """
        extra_cells, extra_at, extra = (
            np.concatenate([np.zeros(0, dtype=np.int64), *parts]) for parts in (self._cells, self._at, self._fresh)
        )
        inside = (extra_at >= 0) & (extra_at < self.minutes)
        extra_cells, extra_at, extra = extra_cells[inside], extra_at[inside], extra[inside]
        fresh = np.append((self.rng.random(len(cells)) > 0.03).astype(np.int64), extra)
        people = 1 + self.rng.binomial(1, self.suite.companions, len(extra_at))
        return np.append(cells, extra_cells), np.append(at, extra_at), np.append(n, people), fresh

    def _add(self, cells: IntArray, at: IntArray, fresh: IntArray | None = None) -> None:
        self._cells.append(cells)
        self._at.append(at)
        self._fresh.append((self.rng.random(len(at)) > 0.03).astype(np.int64) if fresh is None else fresh)

    def _somewhere(self) -> IntArray:
        """All regions, a country, or one region."""
        luck = self.rng.random()
        if luck < 0.3:
            return np.arange(self.suite.regions)
        if luck < 0.75:
            return np.flatnonzero(self.country == self.rng.integers(0, len(OFFSETS)))
        return self.rng.integers(0, self.suite.regions, 1)

    def _more(self, service: int, where: IntArray, start: int, excess: FloatArray) -> None:
        """``excess`` times the normal rate, minute by minute."""
        bins = np.minimum((start + np.arange(len(excess))) // BIN, self.rate.shape[2] - 1)
        counts = self.rng.poisson(self.rate[service][where][:, bins] / BIN * excess)
        region, minute = np.nonzero(counts)
        times = counts[region, minute]
        self._add(np.repeat(service * self.suite.regions + where[region], times), np.repeat(start + minute, times))

    def _burst(self, start: int) -> None:
        """News, a match, a release: more people look, and more of them report; from a minute's rise to an hour's."""
        rng = self.rng
        size = np.exp(rng.uniform(np.log(2), np.log(6))) - 1
        rise, fall = np.exp(rng.uniform(np.log(1), np.log(60))), rng.uniform(10, 60)
        lasts = DAY if rng.random() < 0.1 else int(rng.uniform(10, 90))
        age = np.arange(lasts)
        excess = size * np.minimum((age + 1) / rise, 1.0)
        tail = excess[-1] * np.exp(-np.arange(1, 180) / fall)
        self._more(int(rng.integers(self.suite.services)), self._somewhere(), start, np.concatenate([excess, tail]))

    def _peak(self, start: int) -> None:
        """A holiday evening: everything rises in one country, over half an hour or more."""
        rng = self.rng
        where = np.flatnonzero(self.country == rng.integers(0, len(OFFSETS)))
        age = np.arange(int(rng.uniform(120, 480)))
        shape = np.minimum((age + 1) / rng.uniform(20, 60), 1.0)
        for service in range(self.suite.services):
            self._more(service, where, start, rng.uniform(0.5, 2.5) * shape)

    def _group(self, start: int) -> None:
        """A chat in which all try at once, or a school behind one or two networks."""
        rng = self.rng
        size = int(np.exp(rng.uniform(np.log(4), np.log(40))))
        cell = int(rng.integers(self.suite.services)) * self.suite.regions + int(rng.integers(self.suite.regions))
        at = start + np.sort(rng.integers(0, max(int(rng.uniform(3, 30)), 1), size))
        fresh = None
        if rng.random() < 0.5:
            fresh = np.zeros(size, dtype=np.int64)
            fresh[: rng.integers(1, 4)] = 1
        self._add(np.full(size, cell), at, fresh)

    def _brigade(self, start: int) -> None:
        """Somebody wants an outage: many reports from few networks, in one region or all over a country."""
        rng = self.rng
        size = int(np.exp(rng.uniform(np.log(10), np.log(150))))
        where = self._somewhere()
        cells = int(rng.integers(self.suite.services)) * self.suite.regions + rng.choice(where, size)
        at = start + np.sort(rng.integers(0, int(rng.uniform(5, 60)), size))
        fresh = np.zeros(size, dtype=np.int64)
        networks = max(int(size * np.exp(rng.uniform(np.log(0.02), np.log(0.6)))), 1)
        fresh[rng.choice(size, networks, replace=False)] = 1
        self._add(cells, at, fresh)

    def _flap(self, start: int) -> None:
        """Down for some minutes, up again, down again: an outage each time, if a short one."""
        rng = self.rng
        service = int(rng.integers(self.suite.services))
        where = np.flatnonzero(self.country == rng.integers(0, len(OFFSETS)))
        strength = np.exp(rng.uniform(np.log(8), np.log(40)))
        for _ in range(int(rng.integers(2, 5))):
            end = start + int(rng.integers(4, 11))
            for region in where:
                normal = self.rate[service, region, min(start // BIN, self.rate.shape[2] - 1)] / BIN
                reports, _ = _crowd(self.suite, rng, start, end, strength * normal + 0.05, 0.5)
                self._add(np.full(len(reports), service * self.suite.regions + int(region)), reports)
                self.truths.append(Truth(service, int(region), start, end, -1, -1, "flap"))
            start = end + int(rng.integers(15, 40))

    def _echo(self, truths: list[Truth], cells: IntArray, at: IntArray) -> None:
        """People name the wrong service: a few per cent of what a larger outage brings, some minutes late."""
        rng, regions = self.rng, self.suite.regions
        events = {t.event: t for t in truths if t.kind in ("global", "national")}
        for event in events.values():
            if rng.random() >= self.suite.echoes:
                continue
            other = int(rng.integers(self.suite.services))
            if other == event.service:
                continue
            during = (cells // regions == event.service) & (at >= event.start) & (at < event.end + 60)
            said = np.flatnonzero(during & (rng.random(len(cells)) < np.exp(rng.uniform(np.log(0.005), np.log(0.08)))))
            self._add(other * regions + cells[said] % regions, at[said] + rng.integers(0, 6, len(said)))


def _recording(
    suite: Suite,
    cells: IntArray,
    at: IntArray,
    n: IntArray,
    vote_cells: IntArray,
    vote_at: IntArray,
    fresh: IntArray | None,
) -> Recording:
    width = suite.services * suite.regions
    keys = np.concatenate([at * width + cells, vote_at * width + vote_cells])
    unique, index = np.unique(keys, return_inverse=True)
    reports = np.bincount(index[: len(at)], n, len(unique)).astype(np.int64)
    working = np.bincount(index[len(at) :], minlength=len(unique)).astype(np.int64)
    minute, cell = np.divmod(unique, width)
    service, region = np.divmod(cell, suite.regions)
    networks = None if fresh is None else np.bincount(index[: len(at)], fresh, len(unique)).astype(np.int64)
    return Recording(EPOCH + minute, service, region + 1 + len(OFFSETS), reports, working, networks)


def _with_third_report(suite: Suite, recording: Recording, truths: list[Truth]) -> tuple[Truth, ...]:
    """Outages with at least three reports before their end: nobody can find the others."""
    cell = recording.service * suite.regions + recording.region - 1 - len(OFFSETS)
    order = np.lexsort((recording.minute, cell))
    cell, minute, reports = cell[order], recording.minute[order], recording.reports[order]
    result = []
    for truth in truths:
        key = truth.service * suite.regions + truth.region
        low, high = np.searchsorted(cell, [key, key + 1])
        first, last = low + np.searchsorted(minute[low:high], [EPOCH + truth.start, EPOCH + truth.end])
        so_far = np.cumsum(reports[first:last])
        if len(so_far) and so_far[-1] >= 3:
            third = int(minute[first + np.searchsorted(so_far, 3)])
            result.append(
                replace(
                    truth,
                    region=truth.region + 1 + len(OFFSETS),
                    start=EPOCH + truth.start,
                    end=EPOCH + truth.end,
                    third=third,
                )
            )
    return tuple(sorted(result, key=lambda t: t.start))
