"""Is a region back, and since when? Reports and "works again" votes since the onset, weighed against fatigue.

Falling reports alone are not restoration: people report once and leave. For every minute at which the region may have
come back, the course of the reports since then is compared with the courses that a lasting outage could take: steady,
or fading as the crowd tires, each weighed by how well it fits what went before. Votes are weighed the same way. The
result is a posterior over "not yet" and all restoration minutes; its quantiles are the interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reports.detection.decisions import FloatArray, IntArray
from reports.detection.parameters import Parameters

_REACH = 150
"""Minutes back that a restoration is looked for."""
_LONG = 150
"""Minutes over which an excess must have been as high as just before a candidate."""
_RATES = ((0.3, 0.07), (0.6, 0.2), (1.0, 0.45), (1.6, 0.28))
"""How far the rate before the restoration may have been off the estimate, and how likely that is."""
_FINE = 30
_STEP = 5
_LEAST_TAIL = 3
_PARTS = 4
_LEAST_EXCESS = 0.02
"""Reports per minute beyond normal below which the course of the reports says nothing."""


@dataclass
class CrowdHabits:
    """What this site's crowd has done in earlier outages, learnt as they end.

    ``fading[0]`` is the weight, in outages, of "goes on reporting as long as it lasts"; ``fading[1:]`` those of the
    courses in ``Parameters.fatigue``. ``reports`` and ``votes`` were counted within outages: a site where hundreds
    reported and nobody ever voted has no way to vote, so its silence about "works again" says nothing.
    """

    fading: FloatArray
    reports: float
    votes: float

    @classmethod
    def unknown(cls, parameters: Parameters) -> CrowdHabits:
        """Before any outage was seen: steady and fading crowds are equally likely, worth one outage in all."""
        others = len(parameters.fatigue)
        share = parameters.fatigue_prior / (others - 0.5)
        # The slowest decay is half as likely as the others: it is nearly steady.
        fading = np.array([1 - parameters.fatigue_prior, share / 2, *([share] * (others - 1))])
        return cls(fading=fading, reports=0.0, votes=0.0)

    def no_votes(self) -> float:
        """Probability that this site has no way to vote at all."""
        if self.votes > 0:
            return 0.0
        return float(0.3 / (0.3 + 0.7 * np.exp(-0.01 * self.reports)))


@dataclass(frozen=True)
class Assessment:
    """What is believed of one open region. Minutes are relative to the first element of the arrays assessed.

    ``probability`` that the region is back; ``likeliest`` the minute that explains everything best, ``restored`` the
    one to be told: the median, or later where an estimate more than ten minutes early could not be ruled out; ``low``
    and ``high`` the interval; ``rate`` and ``votes`` the natural logarithms of the evidence from reports and from votes
    at ``likeliest``; ``excess`` the reports per minute beyond normal just before it. Below ``certainty`` no minute may
    be told, and all three are the likeliest.
    """

    probability: float
    likeliest: int
    restored: int
    low: int
    high: int
    rate: float
    votes: float
    excess: float
    worst: float
    """The evidence from reports against the course of a lasting outage that explains them best, however unlikely."""
    shape: FloatArray
    """Log likelihood of the courses (steady, then each decay time) from what went before ``restored``."""


def assess(
    reports: FloatArray,
    votes: FloatArray,
    expected: FloatArray,
    blind: FloatArray,
    onset: int,
    habits: CrowdHabits,
    parameters: Parameters,
    *,
    kin: FloatArray,
    company: float = 0.0,
    said: int | None = None,
) -> Assessment | None:
    """Weigh everything since ``onset`` (an index into the per-minute arrays, oldest first, equally long).

    ``kin`` is the log likelihood of each course from the other regions of the incident; ``blind`` is 1 where nothing
    was collected: such a minute speaks neither way. ``said`` is the index of the minute at which, by the provider's
    statement, the region was back. ``None`` where no restoration could have happened yet or there was no excess to
    lose. Source: generalised likelihood ratio over the change time (Lai 1995) with a mixture over the alternatives;
    the mixture is ours.
    """
    p = parameters
    n = len(reports)
    candidates = _candidates(onset, n)
    if not len(candidates):
        return None
    total = np.concatenate([[0.0], np.cumsum(reports)])
    usual = np.concatenate([[0.0], np.cumsum(expected)])
    before, behind, lately = _excess_before(candidates, onset, total, usual)
    if (before <= _LEAST_EXCESS).all():
        return None
    # A region may have fallen silent before it came back: such a candidate has no rate to lose, but may have votes.
    before = np.maximum(before, _LEAST_EXCESS)
    softened = 1 + p.clumping + p.outage_dispersion * before
    still = _still_down(reports, expected, blind, candidates, before, p) / softened
    # The rate before is itself known from few reports: silence then says less (a gamma prior on the rate, integrated).
    still = np.where(still > 0, behind * np.log1p(np.maximum(still, 0) / behind), still)
    shape = course_likelihood(candidates, onset, total, usual, before, p)
    weight = _course_weights(shape, np.log(habits.fading / habits.fading.sum()) + kin, p)
    with np.errstate(divide="ignore"):
        rate = -np.logaddexp.reduce(np.log(weight) - still, axis=0)
    vote = _vote_evidence(votes, candidates, onset, total, usual, habits, p)
    spacing = np.diff(candidates, append=n - _LEAST_TAIL + 1).astype(np.float64)
    prior = np.log(spacing / p.hazard_minutes) + company
    if said is not None:
        near = (candidates >= said - p.statement_reach) & (candidates <= said + p.tail_minutes)
        prior = prior + np.where(near, p.statement_weight, 0.0)
    log_posterior = rate + vote + prior
    top = max(float(log_posterior.max()), 0.0)
    mass = np.exp(log_posterior - top)
    probability = float(mass.sum() / (mass.sum() + np.exp(-top)))
    at = int(np.argmax(log_posterior))
    likeliest = int(candidates[at])
    low = middle = high = likeliest
    # With hundreds of regions down, the minute is worth its price only where it may be told.
    if probability >= p.certainty:
        # A tiring crowd was already quieter just before than the mean of the last 20 to 60 minutes says.
        tiring = float(weight[len(p.steady_shares) :, at].sum())
        excess = max(0.5 * float(before[at] + lately[at]), _LEAST_EXCESS) * (1 - 0.5 * tiring)
        voting = bool(vote[at] > 0)
        low, middle, high = _when(reports, expected, blind, candidates, excess, vote + prior, voting, p)
    return Assessment(
        probability=probability,
        likeliest=likeliest,
        restored=middle,
        low=low,
        high=high,
        rate=float(rate[at]),
        votes=float(vote[at]),
        excess=float(before[at]),
        worst=float(still[:, at].min()),
        shape=shape[:, at],
    )


def ability(excess: float) -> float:
    """How much a region that reports so much a minute beyond normal can tell of its restoration, from 0 to 1.

    One minus the chance that it would be silent for seven minutes while it is down.
    """
    return 1.0 - math.exp(-max(excess, 0.0) * 20 / 3)


def _when(
    reports: FloatArray,
    expected: FloatArray,
    blind: FloatArray,
    candidates: IntArray,
    excess: float,
    log_prior: FloatArray,
    voting: bool,
    p: Parameters,
) -> tuple[int, int, int]:
    """Low end, estimate and high end of the restoration minute, given that there was one and ``excess`` reports a
    minute before it.

    Neither the rate nor how fast late reports fade is known exactly: both are integrated over a few values. The
    estimate is the median, but never so early that the truth may well lie more than ``early_minutes`` later.
    ``voting``: votes tell the minute, far better than reports do; the low end is nearer then, and the estimate is held
    to more.
    """
    first = int(candidates[0])
    ages = np.arange(len(reports) - first)
    heard = np.flatnonzero((reports > 0) & (blind == 0))
    heard = heard[heard >= first]
    seen = np.concatenate([[0.0], np.cumsum(1.0 - blind[first:])])[candidates - first]
    age = heard[None, :] - candidates[:, None]
    y, mu = reports[heard][None, :], expected[heard][None, :] + 1e-5
    rows = []
    for minutes, weight in zip(p.tails, p.tail_weights, strict=True):
        fading = np.exp(-ages / minutes)
        course = np.where(age >= 0, fading[np.maximum(age, 0)], 1.0)
        late = np.cumsum(fading)[len(reports) - 1 - candidates]
        for factor, share in _RATES:
            x = factor * excess
            gain = (y * np.log1p(x * course / mu)).sum(axis=1) - x * (seen + late)
            rows.append(gain / (1 + p.clumping + p.outage_dispersion * x) + np.log(share * weight))
    log_mass = np.logaddexp.reduce(np.stack(rows), axis=0) + log_prior
    share_up_to = np.cumsum(np.exp(log_mass - log_mass.max()))
    share_up_to /= share_up_to[-1]
    asked = (*p.interval, p.not_later)
    if voting:
        asked = (p.interval_votes, *p.interval[1:], p.not_later_votes)
    low, middle, high, latest = (int(candidates[np.searchsorted(share_up_to, q)]) for q in asked)
    return low, min(max(middle, latest - p.early_minutes), high), high


def _candidates(onset: int, n: int) -> IntArray:
    """Restoration minutes worth a thought: each of the last ones, every fifth further back."""
    newest = n - _LEAST_TAIL
    oldest = max(onset + 5, n - _REACH, 1)
    fine = np.arange(max(oldest, newest - _FINE), newest + 1)
    coarse = np.arange(oldest, max(oldest, newest - _FINE), _STEP)
    return np.concatenate([coarse, fine]).astype(np.int64)


def _excess_before(
    candidates: IntArray, onset: int, total: FloatArray, usual: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Reports per minute beyond normal before each candidate, and how many reports that rests on.

    Over 20 to 60 minutes: longer until it holds ten reports. Never more than over two and a half hours: the moment just
    before a lull is where chance put reports together, and would make the lull look deep.
    """
    excess = np.zeros(len(candidates))
    behind = np.ones(len(candidates))
    pending = np.ones(len(candidates), dtype=np.bool_)
    for span in (20, 30, 45, 60):
        start = np.maximum(candidates - span, onset)
        width = np.maximum(candidates - start, 1)
        seen = total[candidates] - total[start]
        surplus = seen - (usual[candidates] - usual[start])
        use = pending & ((seen >= 10) | (span == 60))
        excess[use] = (surplus / width)[use]
        behind[use] = np.maximum(surplus, 1.0)[use]
        pending &= ~use
    start = np.maximum(candidates - _LONG, onset)
    surplus = total[candidates] - total[start] - (usual[candidates] - usual[start])
    lasting = surplus / np.maximum(candidates - start, 1)
    lower = lasting < excess
    # Where both are known from few reports the truth lies between them.
    return np.where(lower, lasting, excess), np.where(lower, np.maximum(surplus, 1.0), behind), excess


def _courses(age: FloatArray, p: Parameters) -> list[FloatArray]:
    """Share of the excess still reported ``age`` minutes on, while the outage lasts: steady, lower, then
    fading faster.
    """
    steady = np.ones_like(age, dtype=np.float64)
    return [share * steady for share in p.steady_shares] + [
        floor + (1 - floor) * np.exp(-age / t) for t, floor in p.fatigue
    ]


def _still_down(
    reports: FloatArray,
    expected: FloatArray,
    blind: FloatArray,
    candidates: IntArray,
    before: FloatArray,
    p: Parameters,
) -> FloatArray:
    """Log likelihood ratio of "back since the candidate" against each course of a lasting outage (courses x
    candidates).

    Sum over the minutes since of y log(back / lasting) - (back - lasting). The second part needs no look at the counts
    and is summed once per age; the first only at minutes with a report.
    """
    n = len(reports)
    ages = np.arange(n - int(candidates[0]), dtype=np.float64)
    fading = np.exp(-ages / p.tail_minutes)
    courses = _courses(ages, p)
    reach = n - 1 - candidates
    heard = np.flatnonzero((reports > 0) & (blind == 0))
    heard = heard[heard >= candidates[0]]
    deaf = np.flatnonzero(blind > 0)
    deaf = deaf[deaf >= candidates[0]]
    age = heard[None, :] - candidates[:, None]
    after = age >= 0
    age = np.where(after, age, 0)
    mu = expected[heard][None, :] + 1e-5
    y = reports[heard][None, :] * after
    log_back = np.log(mu + before[:, None] * fading[age])
    result = np.empty((len(courses), len(candidates)))
    for i, course in enumerate(courses):
        difference = fading - course
        result[i] = -before * np.cumsum(difference)[reach]
        if len(deaf):
            gone = deaf[None, :] - candidates[:, None]
            result[i] += before * (difference[np.maximum(gone, 0)] * (gone >= 0)).sum(axis=1)
        if len(heard):
            result[i] += (y * (log_back - np.log(mu + before[:, None] * course[age]))).sum(axis=1)
    return result


def _course_weights(shape: FloatArray, log_prior: FloatArray, p: Parameters) -> FloatArray:
    """Posterior weight of each course of :func:`_courses` (courses x candidates)."""
    weights = log_prior[:, None] + shape
    weights = np.concatenate([weights[:1] + np.log(p.steady_weights)[:, None], weights[1:]])
    weights -= np.logaddexp.reduce(weights, axis=0)
    result: FloatArray = np.exp(weights)
    return result


def fading_probability(shape: FloatArray, kin: FloatArray, habits: CrowdHabits) -> float:
    """Probability that the crowd of this region tires, so that fewer reports need not mean that it is back."""
    weights = np.log(habits.fading / habits.fading.sum()) + kin + shape
    weights = np.exp(weights - weights.max())
    return float(weights[1:].sum() / weights.sum())


def course_likelihood(
    candidates: IntArray, onset: int, total: FloatArray, usual: FloatArray, before: FloatArray, p: Parameters
) -> FloatArray:
    """Log likelihood of a steady and of each tiring crowd (x candidates): how the excess splits over [onset,
    candidate).

    The time is cut into quarters, and their shares compared with those of each course. The first quarter of a tiring
    crowd stands out even when all that is left is the share that goes on reporting.
    """
    start = np.minimum(onset + 2, candidates - 1)
    edges = start + (candidates - start) * np.arange(_PARTS + 1)[:, None] / _PARTS
    at = edges.astype(np.int64)
    excess = np.maximum(np.diff(total[at] - usual[at], axis=0), 0.0)
    age = edges - start
    softened = 1 + p.clumping + 2 * p.outage_dispersion * before
    rising = [(ramp, np.exp(-age / ramp), np.log(weight)) for ramp, weight in zip(p.ramps, p.ramp_weights, strict=True)]
    faded = {t: np.exp(-age / t) for t, _ in p.fatigue}
    rows = []
    for t, floor in ((0.0, 1.0), *p.fatigue):
        # A slow beginning hides that a crowd tires: rising and tiring together make a hump that looks steady.
        fits = []
        for ramp, risen, log_weight in rising:
            mass = floor * (age - ramp * (1 - risen))
            if floor < 1:
                both = t * ramp / (t + ramp)
                mass += (1 - floor) * (t * (1 - faded[t]) - both * (1 - faded[t] * risen))
            part = np.maximum(mass[1:] - mass[:-1], 1e-9)
            fits.append((excess * np.log(part / mass[-1:])).sum(axis=0) / softened + log_weight)
        rows.append(np.logaddexp.reduce(fits, axis=0))
    likelihood: FloatArray = np.stack(rows)
    return likelihood


def _vote_evidence(
    votes: FloatArray,
    candidates: IntArray,
    onset: int,
    total: FloatArray,
    usual: FloatArray,
    habits: CrowdHabits,
    p: Parameters,
) -> FloatArray:
    """Log of how much better "back since then" explains the votes than "still down", per candidate."""
    none = habits.no_votes()
    if none > 0.999:
        return np.zeros(len(candidates))
    n = len(votes)
    start = max(onset - 5, 0)
    reporters = np.maximum(total[candidates] - total[start] - (usual[candidates] - usual[start]), 0.0)
    cast = np.concatenate([[0.0], np.cumsum(votes)])
    settled = np.maximum(candidates - 5, start)
    wrong = (cast[settled] - cast[start] + p.wrong_votes * p.wrong_votes_weight) / (
        total[settled] - total[start] + p.wrong_votes_weight
    )
    recent = np.maximum(total[candidates] - total[np.maximum(candidates - 30, 0)], 0.0) / 30.0
    stray = (wrong * np.maximum(recent, reporters / 240.0) + 5e-4)[:, None]
    heard = np.flatnonzero(votes > 0)
    heard = heard[heard >= candidates[0]]
    age = heard[None, :] - candidates[:, None]
    kernel = np.exp(-np.maximum(age, 0) / p.vote_minutes) / p.vote_minutes * (age >= 0)
    v = votes[heard][None, :]
    answered = 1 - np.exp(-(n - candidates) / p.vote_minutes)
    chances = []
    for share in p.vote_shares:
        asked = share * reporters
        chances.append((v * np.log1p(asked[:, None] * kernel / stray)).sum(axis=1) - asked * answered)
    channel = np.logaddexp.reduce(np.stack(chances) + np.log(p.vote_share_weights)[:, None], axis=0)
    with np.errstate(divide="ignore"):
        mixed: FloatArray = np.logaddexp(np.log(none), np.log1p(-none) + channel)
    return mixed
