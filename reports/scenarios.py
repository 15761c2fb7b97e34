"""Scenarios: a day with a known truth, told as the reports that people would have sent.

A scenario file (``reports/data/scenarios/SLUG.json``) holds published figures with their sources, what had to be chosen
and is marked so, and the parameters of the crowd: how quickly people begin to report, that they report once and leave,
how many say "works again". From it this module draws, reproducibly, ordinary counts for the weeks before and every
report of the day. It knows nothing of the database; ``reports.replay`` sends what it draws.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "data" / "scenarios"

HALF_HOUR = timedelta(minutes=30)

# How many ordinary reports an hour of the local day draws, relative to the mean (chosen: night trough, evening peak).
HOURS = np.array(
    [
        *(0.55, 0.35, 0.24, 0.19, 0.18, 0.22, 0.36, 0.62, 0.87, 1.02, 1.11, 1.16),
        *(1.18, 1.17, 1.16, 1.18, 1.24, 1.36, 1.52, 1.66, 1.72, 1.62, 1.35, 0.95),
    ]
)
WEEKEND = 0.92

# Ordinary half hours are overdispersed: the variance of a half hour with mean m is m + DISPERSION m^2 (chosen).
DISPERSION = 0.05


@dataclass(frozen=True)
class Place:
    """One country in an outage: how many published-scale reports it sends, and when each of its regions came back.

    ``restored`` is empty for a service that was not down.
    """

    country: str
    reports: int
    source: str | None
    onset: datetime
    restored: Mapping[str, datetime]


@dataclass(frozen=True)
class Outage:
    """What happened to one service. ``down`` is false where reports rose with the news and nothing had failed."""

    service: str
    down: bool
    problems: Mapping[str, float]
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Said:
    """One statement of the provider; ``chosen`` when no source gives its minute."""

    service: str
    meaning: str
    said_at: datetime
    text: str
    source: str
    chosen: bool


@dataclass(frozen=True)
class Crowd:
    """How people report, in minutes and shares; see ``docs/detection.md`` (fatigue)."""

    rise_minutes: float
    leave_minutes: float
    stay_share: float
    stay_minutes: float
    late_minutes: float
    vote_share: float
    vote_delay_minutes: float
    wrong_vote_share: float


@dataclass(frozen=True)
class Scenario:
    """One scenario file, read. ``volume_scale`` published reports become one; all instants are UTC."""

    slug: str
    title: str
    summary: str
    start: datetime
    watch_from: datetime
    end: datetime
    history_days: int
    volume_scale: float
    seed: int
    ordinary_reports_per_day: float
    published: tuple[Mapping[str, str], ...]
    chosen: tuple[str, ...]
    outages: tuple[Outage, ...]
    crowd: Crowd
    statements: tuple[Said, ...]


@dataclass(frozen=True)
class ServiceShare:
    """A service as the drawing needs it: its modelled share of ordinary reports and where it is offered."""

    slug: str
    weight: float
    countries: tuple[str, ...]


@dataclass(frozen=True)
class Area:
    """A region without regions below it, as the drawing needs it."""

    code: str
    country: str
    population: int
    utc_offset_minutes: int


@dataclass(frozen=True)
class Drawn:
    """Reports in order of time: parallel arrays. ``service`` and ``region`` index what the drawing was given.

    ``second`` is seconds since the epoch; ``working`` marks "works again"; ``problem`` indexes ``problems`` (-1:
    nothing said); ``person`` is a different number for each person.
    """

    second: NDArray[np.int64]
    service: NDArray[np.int64]
    region: NDArray[np.int64]
    working: NDArray[np.bool_]
    problem: NDArray[np.int64]
    person: NDArray[np.int64]
    problems: tuple[str, ...]


def slugs() -> tuple[str, ...]:
    """The scenarios there are."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@cache
def read(slug: str) -> Scenario:
    """The scenario ``slug``. Raises ``KeyError`` naming the known ones when there is none of that name."""
    if slug not in slugs():
        raise KeyError(f"no scenario {slug!r}; there are: {', '.join(slugs())}")
    data = json.loads((FOLDER / f"{slug}.json").read_text(encoding="utf-8"))
    day = data["date"]
    return Scenario(
        slug=data["slug"],
        title=data["title"],
        summary=data["summary"],
        start=_instant(data["start"]),
        watch_from=_instant(data["watch_from"]),
        end=_instant(data["end"]),
        history_days=data["history_days"],
        volume_scale=data["volume_scale"],
        seed=data["seed"],
        ordinary_reports_per_day=data["ordinary_reports_per_day"],
        published=tuple(data["published"]),
        chosen=tuple(data["chosen"]),
        outages=tuple(_outage(row, day) for row in data["outages"]),
        crowd=Crowd(
            **data["fatigue"],
            vote_share=data["votes"]["share"],
            vote_delay_minutes=data["votes"]["delay_minutes"],
            wrong_vote_share=data["votes"]["wrong_share"],
        ),
        statements=tuple(Said(**{**row, "said_at": _instant(row["said_at"])}) for row in data["statements"]),
    )


def _outage(row: Mapping[str, Any], day: str) -> Outage:
    return Outage(
        service=row["service"],
        down=row["down"],
        problems=row["problems"],
        places=tuple(
            Place(
                country=place["country"],
                reports=place["reports"],
                source=place["source"],
                onset=_instant(f"{day}T{place['onset']}:00Z"),
                restored={code: _instant(f"{day}T{clock}:00Z") for code, clock in place.get("restored", {}).items()},
            )
            for place in row["places"]
        ),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def draw_history(scenario: Scenario, *, services: Sequence[ServiceShare], areas: Sequence[Area]) -> Iterator[Drawn]:
    """Ordinary reports of the weeks before the scenario's day, one :class:`Drawn` a service (``person`` all zero)."""
    start = scenario.start - timedelta(days=scenario.history_days)
    return _draw_ordinary(scenario, services=services, areas=areas, start=start, end=scenario.start)


def draw_day(scenario: Scenario, *, services: Sequence[ServiceShare], areas: Sequence[Area]) -> Drawn:
    """Every report of the scenario's day: the ordinary ones, those of the outages, and the "works again" votes."""
    parts = list(_draw_ordinary(scenario, services=services, areas=areas, start=scenario.start, end=scenario.end))
    index = {service.slug: i for i, service in enumerate(services)}
    problems = tuple(sorted({problem for outage in scenario.outages for problem in outage.problems}))
    for outage in scenario.outages:
        rng = np.random.default_rng([scenario.seed, index[outage.service], 2])
        parts.extend(
            _draw_place(
                scenario,
                outage,
                place,
                areas=areas,
                service=index[outage.service],
                problems=problems,
                rng=rng,
            )
            for place in outage.places
        )
    second = np.concatenate([part.second for part in parts])
    order = np.argsort(second, kind="stable")
    # Within a part a voter carries the number of the person who reported; between parts no person is the same.
    people = [int(part.person.max(initial=-1)) + 1 for part in parts]
    first = np.concatenate([[0], np.cumsum(people)[:-1]])
    person = np.concatenate([part.person + start for part, start in zip(parts, first, strict=True)])
    return Drawn(
        second=second[order],
        service=np.concatenate([part.service for part in parts])[order],
        region=np.concatenate([part.region for part in parts])[order],
        working=np.concatenate([part.working for part in parts])[order],
        problem=np.concatenate([part.problem for part in parts])[order],
        person=person[order],
        problems=problems,
    )


def _draw_ordinary(
    scenario: Scenario,
    *,
    services: Sequence[ServiceShare],
    areas: Sequence[Area],
    start: datetime,
    end: datetime,
) -> Iterator[Drawn]:
    """Ordinary reports in ``[start, end)``, one service at a time: by population and local time, overdispersed."""
    bins = int((end - start) / HALF_HOUR)
    first = int(start.timestamp())
    # Reports grow less than in step with people: a small country's users are not proportionally fewer (chosen).
    pull = np.array([max(area.population, 1) ** 0.85 for area in areas])
    country = np.array([area.country for area in areas])
    offset = np.array([area.utc_offset_minutes for area in areas])
    offsets = np.unique(offset)
    profile = {int(o): _profile(first, bins, int(o)) for o in offsets}
    total_weight = sum(service.weight for service in services)
    for s, service in enumerate(services):
        rng = np.random.default_rng([scenario.seed, s, int(start.timestamp()) // 86400])
        share = pull * (np.isin(country, service.countries) if service.countries else 1.0)
        if not share.sum():
            continue
        share = share / share.sum()
        per_bin = scenario.ordinary_reports_per_day * service.weight / total_weight / 48
        noise = rng.gamma(1 / DISPERSION, DISPERSION, bins)
        second, region = [], []
        for o in offsets:
            here = np.flatnonzero((offset == o) & (share > 0))
            if not here.size:
                continue
            counts = rng.poisson(per_bin * share[here].sum() * profile[int(o)] * noise)
            n = int(counts.sum())
            second.append(first + np.repeat(np.arange(bins), counts) * 1800 + rng.integers(0, 1800, n))
            region.append(rng.choice(here, n, p=share[here] / share[here].sum()))
        at = np.concatenate(second).astype(np.int64)
        order = np.argsort(at, kind="stable")
        n = len(at)
        yield Drawn(
            second=at[order],
            service=np.full(n, s),
            region=np.concatenate(region)[order],
            working=np.zeros(n, bool),
            problem=np.full(n, -1),
            person=np.arange(n),
            problems=(),
        )


def _profile(first: int, bins: int, offset_minutes: int) -> NDArray[np.float64]:
    """The ordinary level of each half hour relative to the mean, at this offset from UTC: shape (bins,)."""
    local = (first + np.arange(bins) * 1800 + offset_minutes * 60) / 3600
    hour = local % 24
    low = np.floor(hour).astype(int)
    level = HOURS[low] * (1 - hour + low) + HOURS[(low + 1) % 24] * (hour - low)
    weekday = (np.floor(local / 24).astype(int) + 3) % 7  # 1970-01-01 was a Thursday
    return np.asarray(level * np.where(weekday >= 5, WEEKEND, 1.0))


def _draw_place(
    scenario: Scenario,
    outage: Outage,
    place: Place,
    *,
    areas: Sequence[Area],
    service: int,
    problems: tuple[str, ...],
    rng: np.random.Generator,
) -> Drawn:
    """The reports of one country in an outage: each person once, tiring; then, in part, the "works again" votes."""
    crowd = scenario.crowd
    here = np.array([i for i, area in enumerate(areas) if area.country == place.country])
    # How reports spread over regions: by population, with chance of its own in each region.
    share = np.array([areas[i].population for i in here], float) * rng.lognormal(0, 0.25, len(here)) + 1
    n = int(rng.poisson(place.reports / scenario.volume_scale))
    region = here[rng.choice(len(here), n, p=share / share.sum())]
    onset = place.onset.timestamp()
    # When a person would report if the outage went on: a quick rise, then most have reported and left.
    stays = rng.random(n) < crowd.stay_share
    wait = rng.exponential(crowd.rise_minutes, n) + rng.exponential(
        np.where(stays, crowd.stay_minutes, crowd.leave_minutes)
    )
    at = onset + wait * 60
    back = (
        np.array([place.restored.get(areas[i].code, scenario.end).timestamp() for i in region], float)
        if outage.down
        else np.full(n, scenario.end.timestamp())
    )
    # After the return only a few late ones report, and soon none.
    late = at > back
    keep = ~late | (rng.random(n) < np.exp(-(at - back) / 60 / crowd.late_minutes))
    at, region, back = at[keep], region[keep], back[keep]
    n = len(at)
    person = np.arange(n)
    names = list(outage.problems)
    odds = np.array([outage.problems[name] for name in names])
    problem = np.array([problems.index(name) for name in names])[rng.choice(len(names), n, p=odds / odds.sum())]
    votes = rng.random(n) < (crowd.vote_share if outage.down else 0)
    wrong = ~votes & (rng.random(n) < crowd.wrong_vote_share)
    vote_at = np.where(
        votes,
        np.maximum(back, at) + rng.exponential(crowd.vote_delay_minutes * 60, n),
        at + rng.random(n) * np.maximum(back - at, 60),
    )
    said = (votes | wrong) & (vote_at < scenario.end.timestamp())
    second = np.concatenate([at, vote_at[said]]).astype(np.int64)
    order = np.argsort(second, kind="stable")
    return Drawn(
        second=second[order],
        service=np.full(len(second), service),
        region=np.concatenate([region, region[said]])[order],
        working=np.concatenate([np.zeros(n, bool), np.ones(int(said.sum()), bool)])[order],
        problem=np.concatenate([problem, np.full(int(said.sum()), -1)])[order],
        person=np.concatenate([person, person[said]])[order],
        problems=problems,
    )
