"""A believable outage, written straight into the tables: what the pages are tried and looked at with.

WhatsApp goes down in some forty regions of five countries and comes back country by country; Instagram is down with it,
Facebook is checked and found normal; another service had an incident yesterday. Nothing here is a measurement.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import numpy as np
from django.core.management import call_command

from reports import clock, counts
from reports.detection import baseline as baselines
from reports.incidents import timeline
from reports.incidents.timeline import EntryKind
from reports.models import (
    Baseline,
    DetectorState,
    DrainBatch,
    Evidence,
    Incident,
    Kind,
    OutageGroup,
    Problem,
    Region,
    RegionalOutage,
    Relapse,
    Service,
    Statement,
    TimelineEntry,
)
from reports.status import catalogue, snapshots

MINUTE = timedelta(minutes=1)
LENGTH = timedelta(minutes=190)
"""How long before now WhatsApp went down."""

# Country: minutes from the onset to the return of its first region, and of its last one; beyond LENGTH: not back.
COUNTRIES = {"US": (48, 96), "GB": (70, 130), "DE": (92, 140), "BR": (120, 215), "IN": (150, 260)}
REGIONS_A_COUNTRY = 10
REF = "OUT-2026-0007"
SIBLING_REF = "OUT-2026-0008"
PAST_REF = "OUT-2026-0005"

PEAKS = {"US": 26.0, "GB": 34.0, "DE": 9.0, "BR": 30.0, "IN": 16.0}
"""Reports a minute at the height of it, in a whole country."""


@dataclass(frozen=True)
class Place:
    """One affected region and when it was down, in minutes from the onset of the incident."""

    region: Region
    country: str
    share: float
    down: int
    recovering: int
    back: int


def lay(now: datetime, *, quiet: bool = False) -> str:
    """Fills the tables so that the site shows the scene at ``now``; answers the ref of the incident.

    ``quiet``: an ordinary day, with the catalogue, a baseline and the usual reports.
    """
    call_command("load_catalogue", verbosity=0)
    snapshots.forget()
    now = now.replace(second=0, microsecond=0)
    chance = random.Random(7)
    _lay_health(now)
    _lay_ordinary_counts(now, chance)
    if not quiet:
        onset = now - LENGTH
        places = _places(chance)
        incident = _lay_incident(onset, now, places, chance)
        _lay_counts(incident.service, onset, now, places, chance, size=1.0)
        sibling = _lay_sibling(incident, onset, now, places[:14], chance)
        _lay_counts(sibling.service, onset, now, places[:14], chance, size=0.2)
        _lay_past(now)
    snapshots.forget()
    return REF


def _places(chance: random.Random) -> list[Place]:
    found = []
    for country, (first, last) in COUNTRIES.items():
        regions = Region.objects.filter(code__regex=f"^{country}[-~]", kind="subdivision", children=None)
        chosen = list(regions.order_by("-population")[:REGIONS_A_COUNTRY])
        whole = sum(region.population or 0 for region in chosen)
        for i, region in enumerate(chosen):
            back = first + (last - first) * i / (len(chosen) - 1) + chance.randint(-6, 6)
            down = chance.randint(0, 9)
            found.append(
                Place(
                    region=region,
                    country=country,
                    share=(region.population or 0) / whole,
                    down=down,
                    recovering=round(back - chance.randint(8, 18)),
                    back=round(back),
                )
            )
    return found


def _lay_health(now: datetime) -> None:
    cells = catalogue.catalogue().topology
    services = [cells.services.index(slug) for slug in ("whatsapp", "instagram", "facebook")]
    codes = {code: i for i, code in enumerate(cells.regions)}
    first_bin = clock.minute_of(now - timedelta(days=14)) // 30
    end_bin = clock.minute_of(now - timedelta(days=1)) // 30
    parts: list[tuple[int, int, int, int]] = []
    chance = random.Random(1)
    for service, size in zip(services, (1.0, 0.6, 0.5), strict=True):
        for country, peak in PEAKS.items():
            for step in range(first_bin, end_bin):
                usual = peak * size * 30 * 0.012 * (1 + 0.6 * math.sin(2 * math.pi * (step % 48) / 48))
                if drawn := round(chance.gauss(usual, math.sqrt(usual))):
                    parts.append((service, codes[country], step, max(drawn, 0)))
    service_of, region_of, bin_of, reports = np.array(parts, dtype=np.int64).T
    history = baselines.History(
        service=service_of, region=region_of, bin=bin_of, reports=reports, first_bin=first_bin, end_bin=end_bin
    )
    row = Baseline.objects.create(
        version="scene-1",
        fitted_at=now - timedelta(days=1),
        history_from=now - timedelta(days=14),
        history_until=now - timedelta(days=1),
        fit=baselines.fit(history, cells).to_bytes(),
    )
    DetectorState.objects.create(
        minute=now - MINUTE, mark=uuid4(), baseline=row, detector_version="scene", state=b"", saved_at=now
    )
    DrainBatch.objects.create(
        drained_at=now, blocks=1, reports=1, counted=1, oldest_minute=now - MINUTE, newest_minute=now - MINUTE
    )


class _Counts:
    """Counts by minute and region, gathered and written at once."""

    def __init__(self, service: Service, problems: list[Problem]) -> None:
        self.service, self.problems = service, problems
        self.rows: dict[tuple[datetime, int, int, int], int] = {}

    def add(self, minute: datetime, region: Region, kind: Kind, reports: int, chance: random.Random) -> None:
        for _ in range(reports):
            problem = 0
            if kind is Kind.DOWN and self.problems and chance.random() < 0.7:
                # The first problem of a category is the one most people have.
                problem = self.problems[min(int(chance.expovariate(1.1)), len(self.problems) - 1)].pk
            key = (minute, region.pk, int(kind), problem)
            self.rows[key] = self.rows.get(key, 0) + 1

    def write(self) -> None:
        minute, region, kind, problem = np.array([(clock.minute_of(at), *rest) for at, *rest in self.rows]).T
        reports = np.array(list(self.rows.values()))
        service = np.full_like(reports, self.service.pk)
        counts.copy_history([counts.Additions(minute, service, region, kind, problem, reports, reports, reports)])


def _poisson(chance: random.Random, mean: float) -> int:
    if mean > 30:
        return max(round(chance.gauss(mean, math.sqrt(mean))), 0)
    limit, product, drawn = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        drawn += 1
    return drawn


def _lay_ordinary_counts(now: datetime, chance: random.Random) -> None:
    """A day of ordinary reports, country by country, up to the onset; and a few services that people always report."""
    for slug, size in {
        "whatsapp": 1.0,
        "instagram": 0.6,
        "facebook": 0.5,
        "youtube": 0.4,
        "steam": 0.3,
        "vodafone-uk": 0.2,
        "netflix": 0.2,
    }.items():
        service = Service.objects.filter(slug=slug).first()
        if service is None:
            continue
        day = _Counts(service, list(service.category.problems.all()))
        for country, peak in PEAKS.items():
            region = Region.objects.get(code=country)
            for minutes in range(1, 24 * 60 + 1):
                day.add(now - minutes * MINUTE, region, Kind.DOWN, _poisson(chance, peak * size * 0.012), chance)
        day.write()


def _lay_counts(
    service: Service, onset: datetime, now: datetime, places: list[Place], chance: random.Random, *, size: float
) -> None:
    day = _Counts(service, list(service.category.problems.all()))
    for place in places:
        peak = PEAKS[place.country] * place.share * size
        for minutes in range(place.down, int((now - onset) / MINUTE)):
            since, left = minutes - place.down, place.back - minutes
            rising = 1 - math.exp(-(since + 1) / 7)
            # People report once and leave: the crowd wears out long before the service is back.
            tired = 0.35 + 0.65 * math.exp(-since / 45)
            fallen = 1.0 if left > 0 else math.exp(left / 9)
            down = _poisson(chance, peak * rising * tired * fallen)
            # One minute is one row for a region, whoever wrote ordinary counts into its country.
            day.add(onset + minutes * MINUTE, place.region, Kind.DOWN, down, chance)
            if left <= 0:
                works = _poisson(chance, peak * 0.3 * math.exp(left / 25))
                day.add(onset + minutes * MINUTE, place.region, Kind.WORKING, works, chance)
    day.write()


def _evidence(
    incident: Incident,
    decided_at: datetime,
    *,
    decision: str,
    observed: int,
    expected: float,
    place: Place | None = None,
) -> Evidence:
    return Evidence.objects.create(
        incident=incident,
        region=place.region if place else None,
        decision=decision,
        decided_at=decided_at,
        observed=observed,
        expected=expected,
        log10_p=-18.4 if decision == "opened" else -2.2,
        threshold=-7.5 if decision == "opened" else 0.0,
        window_minutes=8,
        window_end_at=decided_at,
        level="region" if place else "world",
        rule="tail" if decision == "opened" else "votes",
        networks=round(observed * 0.8),
        largest_network=max(round(observed * 0.07), 1),
        working=0 if decision == "opened" else 24,
        baseline_version="scene-1",
        detector_version="scene",
        figures={
            "null_inflation": 1.5,
            "clumping": 0.15,
            "dispersion": 0.06,
            "strength": 240.0,
            "slow_factor": 1.1,
            "slow_factor_1": 1.08,
        },
    )


def _lay_incident(onset: datetime, now: datetime, places: list[Place], chance: random.Random) -> Incident:
    service = Service.objects.get(slug="whatsapp")
    detected = onset + 6 * MINUTE
    incident = Incident.objects.create(
        ref=REF,
        key=f"whatsapp@{clock.minute_of(detected)}",
        service=service,
        group=OutageGroup.objects.create(key="meta", provider=service.provider, formed_at=detected),
        scope="several products",
        onset_at=onset,
        detected_at=detected,
        peak_at=onset + 24 * MINUTE,
        peak_reports=112,
        confidence=0.997,
        confirmed_at=onset + 30 * MINUTE,
        siblings=[
            {"service": "instagram", "observed": 31, "expected": 2.1, "window_minutes": 12, "state": "down"},
            {"service": "facebook", "observed": 9, "expected": 5.2, "window_minutes": 12, "state": "normal"},
        ],
    )
    opened = _evidence(incident, detected, decision="opened", observed=214, expected=6.3)
    entries = [
        timeline.entry(
            incident,
            kind=EntryKind.DETECTED,
            at=detected,
            recorded_at=detected,
            facts={"onset_at": onset.isoformat(), "regions": 4},
            evidence=opened,
        )
    ]
    for place in places:
        entries += _lay_region(incident, onset, now, place, chance)
    for minutes, meaning, text in (
        (58, "acknowledged", "We are aware that some people have trouble with WhatsApp, and we are working on it."),
        (150, "update", "WhatsApp is coming back for many people. We go on."),
    ):
        said = Statement.objects.create(
            incident=incident,
            meaning=meaning,
            text=text,
            url="https://example.org/whatsapp/status",
            said_at=onset + minutes * MINUTE,
            entered_at=onset + (minutes + 3) * MINUTE,
        )
        entries.append(
            timeline.entry(
                incident,
                kind=EntryKind.STATEMENT,
                at=said.said_at,
                recorded_at=said.entered_at,
                facts={"meaning": meaning, "url": said.url},
                statement=said,
            )
        )
    timeline.write(entries)
    return incident


def _lay_region(
    incident: Incident, onset: datetime, now: datetime, place: Place, chance: random.Random
) -> list[TimelineEntry]:
    down, back = onset + place.down * MINUTE, onset + place.back * MINUTE
    detected = down + chance.randint(4, 9) * MINUTE
    declared = back + chance.randint(4, 12) * MINUTE
    restored = declared <= now
    silent = not restored and place.country == "IN" and place.share < 0.06
    recovering = onset + place.recovering * MINUTE
    width = chance.randint(2, 9) if place.country != "IN" else chance.randint(8, 16)
    outage = RegionalOutage.objects.create(
        incident=incident,
        region=place.region,
        region_code=place.region.code,
        region_name=place.region.name,
        onset_at=down,
        detected_at=detected,
        peak_at=down + 20 * MINUTE,
        peak_reports=round(PEAKS[place.country] * place.share) + 1,
        recovering_at=recovering if recovering <= now and not silent else None,
        unknown_at=now - 20 * MINUTE if silent else None,
        restored_at=back if restored else None,
        restored_low=back - width * MINUTE if restored else None,
        restored_high=back + width * MINUTE if restored else None,
        declared_at=declared if restored else None,
        basis="" if not restored else chance.choice(("votes", "votes", "rate")),
    )
    opened = _evidence(incident, detected, decision="opened", observed=18, expected=0.7, place=place)
    entries = [
        timeline.entry(
            incident,
            kind=EntryKind.REGION_DOWN,
            at=detected,
            recorded_at=detected,
            region_id=place.region.pk,
            facts={"onset_at": down.isoformat()},
            evidence=opened,
        )
    ]
    if place.region.code == "GB~LON":
        Relapse.objects.create(
            outage=outage,
            restored_at=onset + 45 * MINUTE,
            declared_at=onset + 49 * MINUTE,
            basis="votes",
            reopened_at=onset + 55 * MINUTE,
        )
    if restored:
        spoke = _evidence(incident, declared, decision="restored", observed=3, expected=1.1, place=place)
        entries.append(
            timeline.entry(
                incident,
                kind=EntryKind.REGION_RESTORED,
                at=declared,
                recorded_at=declared,
                region_id=place.region.pk,
                facts={
                    "restored_at": back.isoformat(),
                    "low": (back - width * MINUTE).isoformat(),
                    "high": (back + width * MINUTE).isoformat(),
                    "declared_at": declared.isoformat(),
                    "basis": outage.basis,
                    "working": 24,
                },
                evidence=spoke,
            )
        )
    return entries


def _lay_sibling(
    incident: Incident, onset: datetime, now: datetime, places: list[Place], chance: random.Random
) -> Incident:
    sibling = Incident.objects.create(
        ref=SIBLING_REF,
        key="instagram@scene",
        service=Service.objects.get(slug="instagram"),
        group=incident.group,
        onset_at=onset + 5 * MINUTE,
        detected_at=onset + 15 * MINUTE,
        confidence=0.98,
    )
    for place in places:
        _lay_region(sibling, onset + 5 * MINUTE, now, place, chance)
    return sibling


def _lay_past(now: datetime) -> None:
    service = Service.objects.exclude(provider__slug="meta").order_by("slug").first()
    region = Region.objects.get(code="FR")
    began, over = now - timedelta(hours=20), now - timedelta(hours=18)
    assert service is not None
    incident = Incident.objects.create(
        ref=PAST_REF,
        key="past@scene",
        service=service,
        onset_at=began,
        detected_at=began + 9 * MINUTE,
        resolved_at=over + 15 * MINUTE,
        confidence=0.93,
    )
    RegionalOutage.objects.create(
        incident=incident,
        region=region,
        region_code=region.code,
        region_name=region.name,
        onset_at=began,
        detected_at=began + 9 * MINUTE,
        restored_at=over,
        restored_low=over - 6 * MINUTE,
        restored_high=over + 6 * MINUTE,
        declared_at=over + 10 * MINUTE,
        basis="rate",
    )
