"""A small world with a week of ordinary evenings, and the means to let something fail in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from reports import binary, counts
from reports.clock import minute_of
from reports.incidents import watch
from reports.models import Category, Provider, Region, Service

START = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

REGIONS = (
    ("001", None, "World", "UTC"),
    ("GB", "001", "United Kingdom", "Europe/London"),
    ("GB-ENG", "GB", "England", "Europe/London"),
    ("GB-SCT", "GB", "Scotland", "Europe/London"),
    ("BR", "001", "Brazil", "America/Sao_Paulo"),
    ("BR-SP", "BR", "São Paulo", "America/Sao_Paulo"),
)
# Ordinary reports per minute.
USUAL = {"GB-ENG": 0.4, "GB-SCT": 0.08, "BR-SP": 0.3}
SERVICES = (("whatsapp", "WhatsApp", "meta"), ("facebook", "Facebook", "meta"), ("att", "AT&T", "att"))


@dataclass
class World:
    """The catalogue's ids and a way to write counts. Minutes are offsets from ``START``."""

    services: dict[str, int]
    regions: dict[str, int]
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(20260318))

    def at(self, minute: float) -> datetime:
        return START + minute * MINUTE

    def count(self, service: str, region: str, reports: dict[int, int], working: dict[int, int] | None = None) -> None:
        """Writes counts by minute; every report comes from a network of its own."""
        rows = [(minute, 0, n) for minute, n in reports.items() if n]
        rows += [(minute, 1, n) for minute, n in (working or {}).items() if n]
        minute, kind, n = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
        same = np.ones_like(minute)
        added = counts.Additions(
            minute=minute_of(START) + minute,
            service_id=same * self.services[service],
            region_id=same * self.regions[region],
            kind=kind,
            problem=same * 0,
            reports=n,
            networks=n,
            service_networks=n,
        )
        with binary.cursor() as cursor:
            counts.add(cursor, added)

    def ordinary(self, *, first: int, end: int) -> None:
        """Ordinary reports of every service in every region with a usual rate."""
        for service in self.services:
            for region, rate in USUAL.items():
                drawn = self.random.poisson(rate, end - first)
                self.count(service, region, {first + i: int(n) for i, n in enumerate(drawn)} | {first: 1})

    def outage(self, service: str, region: str, *, start: int, end: int, rate: float, votes: float = 0.0) -> None:
        """``rate`` reports a minute while it is down, a short tail after it, and "works again" votes."""
        late = np.exp(-np.arange(20) / 5)
        reports = self.random.poisson(np.concatenate([np.full(end - start, rate), rate * late]))
        down = {start + i: int(n) for i, n in enumerate(reports)}
        working = {}
        if votes:
            cast = self.random.poisson(votes * np.exp(-np.arange(40) / 15))
            working = {end + i: int(n) for i, n in enumerate(cast)}
        self.count(service, region, down, working)


def build_world() -> World:
    """The catalogue, without a count."""
    category = Category.objects.create(slug="messaging", name="Messaging")
    regions: dict[str, Region] = {}
    for code, parent, name, zone in REGIONS:
        kind = "world" if parent is None else "country" if parent == "001" else "subdivision"
        regions[code] = Region.objects.create(
            code=code, name=name, kind=kind, timezone=zone, parent=regions.get(parent or "")
        )
    services = {}
    for slug, name, provider_slug in SERVICES:
        provider, _ = Provider.objects.get_or_create(slug=provider_slug, defaults={"name": provider_slug.title()})
        services[slug] = Service.objects.create(slug=slug, name=name, provider=provider, category=category)
    return World(
        services={slug: service.pk for slug, service in services.items()},
        regions={code: region.pk for code, region in regions.items()},
    )


def settle(world: World) -> World:
    """The world after an ordinary week, with a fit of them, the first cycle at ``START`` done."""
    world.ordinary(first=-8 * 1440, end=240)
    watch.refit(now=START)
    watch.watch(now=START)
    return world
