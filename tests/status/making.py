"""A small world for the tests of the reads and of the API: a few services, regions, incidents and counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np

from reports import clock
from reports.detection.baseline import History, fit
from reports.models import (
    Baseline,
    Category,
    DetectorState,
    Evidence,
    Incident,
    Kind,
    OutageGroup,
    Problem,
    Provider,
    RefCounter,
    Region,
    RegionalOutage,
    Relapse,
    ReportCount,
    Service,
    ServiceAlias,
    Statement,
    TimelineEntry,
)
from reports.status import catalogue, snapshots

NOW = datetime(2026, 4, 3, 20, 0, 30, tzinfo=UTC)
TODAY = NOW.date()
CODES = ("001", "GB", "GB-ENG", "GB-SCT", "GB-WLS", "GB-NIR", "BR", "BR-SP", "BR-RJ", "US", "US-CA", "US-NY", "IN")


def at(text: str) -> datetime:
    """The instant ``HH:MM`` (or ``HH:MM:SS``) of the day of ``NOW``."""
    return datetime.fromisoformat(f"{TODAY}T{text}").replace(tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """The rows that tests refer to."""

    whatsapp: Service
    instagram: Service
    facebook: Service
    regions: dict[str, Region]
    messages: Problem
    login: Problem


def make_world() -> World:
    messaging = Category.objects.create(slug="messaging", name="Messaging")
    social = Category.objects.create(slug="social", name="Social networks", position=1)
    messages = Problem.objects.create(category=messaging, slug="messages", label="Messages")
    login = Problem.objects.create(category=messaging, slug="login", label="Signing in", position=1)
    meta = Provider.objects.create(slug="meta", name="Meta")
    whatsapp = Service.objects.create(slug="whatsapp", name="WhatsApp", provider=meta, category=messaging)
    ServiceAlias.objects.create(service=whatsapp, alias="Zap Zap")
    instagram = Service.objects.create(slug="instagram", name="Instagram", provider=meta, category=social)
    facebook = Service.objects.create(slug="facebook", name="Facebook", provider=meta, category=social)
    regions: dict[str, Region] = {}
    links = {link.code: link for link in catalogue.links()}
    for code in CODES:
        link = links[code]
        regions[code] = Region.objects.create(
            code=code,
            name=link.name,
            kind=link.kind,
            parent=regions[link.parent] if link.parent else None,
            population=link.population,
        )
    return World(
        whatsapp=whatsapp, instagram=instagram, facebook=facebook, regions=regions, messages=messages, login=login
    )


def watch(until: datetime = NOW, *, baseline: Baseline | None = None) -> DetectorState:
    """Detection has seen every whole minute before ``until``."""
    minute = clock.instant_of(clock.minute_of(until) - 1)
    state, _ = DetectorState.objects.update_or_create(
        id=1,
        defaults={
            "minute": minute,
            "mark": uuid4(),
            "baseline": baseline,
            "detector_version": "1",
            "state": b"",
            "saved_at": until,
        },
    )
    return state


def open_incident(
    service: Service,
    *,
    ref: str = "OUT-2026-0001",
    onset_at: datetime | None = None,
    detected_at: datetime | None = None,
    resolved_at: datetime | None = None,
    **more: object,
) -> Incident:
    onset_at = onset_at or at("18:02")
    # Its number was not drawn: that of a part that is split off must not meet it.
    RefCounter.objects.get_or_create(year=NOW.year, defaults={"last": 100})
    return Incident.objects.create(
        ref=ref,
        key=f"{service.slug}@{ref}",
        service=service,
        onset_at=onset_at,
        detected_at=detected_at or onset_at + timedelta(minutes=4),
        resolved_at=resolved_at,
        confidence=0.98,
        **more,
    )


def take_down(
    incident: Incident,
    region: Region,
    *,
    onset_at: datetime | None = None,
    restored_at: datetime | None = None,
    **more: object,
) -> RegionalOutage:
    onset_at = onset_at or incident.onset_at
    if restored_at is not None:
        more = {
            "restored_at": restored_at,
            "restored_low": restored_at - timedelta(minutes=3),
            "restored_high": restored_at + timedelta(minutes=5),
            "declared_at": restored_at + timedelta(minutes=8),
            "basis": "votes",
            **more,
        }
    return RegionalOutage.objects.create(
        incident=incident,
        region=region,
        region_code=region.code,
        region_name=region.name,
        onset_at=onset_at,
        detected_at=onset_at + timedelta(minutes=4),
        **more,
    )


def relapse(outage: RegionalOutage, *, restored_at: datetime, reopened_at: datetime) -> Relapse:
    return Relapse.objects.create(
        outage=outage,
        restored_at=restored_at,
        declared_at=restored_at + timedelta(minutes=6),
        basis="rate",
        reopened_at=reopened_at,
    )


def speak(incident: Incident, region: Region | None, *, decided_at: datetime, decision: str = "opened") -> Evidence:
    return Evidence.objects.create(
        incident=incident,
        region=region,
        decision=decision,
        decided_at=decided_at,
        observed=412,
        expected=9.1,
        log10_p=-14.2,
        threshold=-7.5,
        window_minutes=12,
        window_end_at=decided_at,
        level="region",
        rule="tail",
        networks=371,
        working=2,
        baseline_version="abc",
        detector_version="1",
        figures={"ratio": 45.3},
    )


def note(
    incident: Incident, kind: str, *, when: datetime, region: Region | None = None, **more: object
) -> TimelineEntry:
    return TimelineEntry.objects.create(incident=incident, kind=kind, at=when, recorded_at=when, region=region, **more)


def say(incident: Incident, text: str, *, said_at: datetime, meaning: str = "acknowledged") -> Statement:
    return Statement.objects.create(
        incident=incident,
        text=text,
        url="https://status.example/1",
        said_at=said_at,
        entered_at=said_at,
        meaning=meaning,
    )


def count(
    service: Service,
    region: Region,
    minute: datetime,
    reports: int,
    *,
    kind: Kind = Kind.DOWN,
    problem: Problem | None = None,
) -> ReportCount:
    return ReportCount.objects.create(
        minute=minute,
        service=service,
        region=region,
        kind=kind,
        problem_key=problem.pk if problem else 0,
        reports=reports,
        networks=min(reports, 3) if kind == Kind.DOWN else 0,
    )


def learn() -> Baseline:
    """A baseline from two quiet weeks in which each service had a report a half hour in England and in California."""
    topology = catalogue.catalogue().topology
    services, bins = len(topology.services), 14 * 48
    places = [topology.regions.index("GB-ENG"), topology.regions.index("US-CA")]
    first = clock.minute_of(NOW) // 30 - bins
    service, region, half_hour = (
        grid.ravel() for grid in np.meshgrid(np.arange(services), places, first + np.arange(bins), indexing="ij")
    )
    learnt = fit(
        History(
            service=service,
            region=region,
            bin=half_hour,
            reports=np.ones(len(service), dtype=np.int64),
            first_bin=first,
            end_bin=first + bins,
        ),
        topology,
    )
    # What has been asked before there was a baseline is not remembered.
    snapshots.forget()
    return Baseline.objects.create(
        version=learnt.version,
        fitted_at=NOW - timedelta(hours=1),
        history_from=NOW - timedelta(days=14),
        history_until=NOW,
        fit=learnt.to_bytes(),
    )


def staggered(world: World) -> Incident:
    """WhatsApp down since 18:02: England still, Scotland recovering, São Paulo back after a relapse, Rio unknown."""
    group = OutageGroup.objects.create(key="meta@1", formed_at=at("18:10"))
    regions = world.regions
    incident = open_incident(
        world.whatsapp,
        group=group,
        scope="several products",
        peak_at=at("18:31"),
        peak_reports=900,
        siblings=[
            {
                "service": "facebook",
                "name": "Facebook",
                "observed": 14,
                "expected": 11.0,
                "window_minutes": 30,
                "state": "normal",
            },
            {
                "service": "instagram",
                "name": "Instagram",
                "observed": 300,
                "expected": 9.0,
                "window_minutes": 30,
                "state": "down",
            },
        ],
    )
    open_incident(world.instagram, ref="OUT-2026-0002", onset_at=at("18:05"), group=group)
    take_down(incident, regions["GB-ENG"])
    take_down(incident, regions["GB-SCT"], onset_at=at("18:05"), recovering_at=at("19:40"))
    paulo = take_down(incident, regions["BR-SP"], onset_at=at("18:10"), restored_at=at("19:50"))
    relapse(paulo, restored_at=at("19:10"), reopened_at=at("19:25"))
    take_down(incident, regions["BR-RJ"], onset_at=at("18:12"), unknown_at=at("19:30"))
    take_down(incident, regions["US-CA"], onset_at=at("18:20"), withdrawn_at=at("18:40"))
    england = speak(incident, regions["GB-ENG"], decided_at=at("18:06"))
    statement = say(incident, "We are aware.", said_at=at("19:00"))
    note(incident, "detected", when=at("18:06"), facts={"onset_at": "2026-04-03T18:02:00+00:00", "regions": 1})
    note(incident, "region_down", when=at("18:06"), region=regions["GB-ENG"], evidence=england)
    note(incident, "statement", when=at("19:00"), statement=statement, facts={"meaning": "acknowledged"})
    count(world.whatsapp, regions["GB-ENG"], at("18:02"), 40, problem=world.messages)
    count(world.whatsapp, regions["GB-ENG"], at("19:30"), 120, problem=world.messages)
    count(world.whatsapp, regions["GB-ENG"], at("19:30"), 30, problem=world.login)
    count(world.whatsapp, regions["GB-ENG"], at("19:45"), 4, kind=Kind.WORKING)
    count(world.whatsapp, regions["GB-SCT"], at("19:20"), 7)
    count(world.whatsapp, regions["BR-SP"], at("18:30"), 80)
    count(world.whatsapp, regions["US-CA"], at("19:30"), 2)
    return incident
