"""What it takes to fool the site: bots from so many networks, through intake, guard and detector.

Each with and without the guard; and bots from rented machines or from abroad with and without the lists that tell.

``run`` needs Django set up on an empty, migrated database; it leaves its rows there. Every attack has a service of its
own, with a week of ordinary reports. "Without guard" is the counting rule alone, and a detector that asks for three
networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from django.test import override_settings

from reports import counts
from reports.clock import minute_of
from reports.detection.baseline import Baseline, History, fit
from reports.detection.decisions import Decision, DecisionKind, MinuteCounts, Topology
from reports.detection.engine import Engine, Parameters
from reports.intake import catalogue, guard, origin, shapes, weighing
from reports.intake.drain import drain
from reports.intake.submission import Post, submit_many
from reports.models import Category, Provider, Region, Report, Service

START = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
QUIET = 130
"""Ordinary minutes before an attack."""
MINUTES = 200
REGIONS = ("001", "GB", "GB-ENG", "GB-SCT")
USUAL = {"GB-ENG": 0.4, "GB-SCT": 0.02}
UNGUARDED = Parameters(least_networks=3, network_spread=0.0, reports_per_network=1e9)


@dataclass(frozen=True)
class Attack:
    """``bots`` people from each of ``networks`` say ``kind`` of one service within ``over`` minutes from ``at`` on."""

    networks: int
    bots: int
    kind: str = "down"
    region: str = "GB-ENG"
    at: int = QUIET
    over: int = 20
    real: float = 0.0
    """Reports a minute of a true outage in the same place from minute QUIET on, from as many networks."""
    real_in: str = ""
    """Where that is, when elsewhere than the bots report."""
    clocked: bool = False
    """The bots send one after another with the same pause, in turn from each network, and not at random times."""


def run() -> dict[str, Any]:
    """Which attacks open, close or drown an outage."""
    return chance() | clocked() | foreign()


def chance() -> dict[str, Any]:
    """Bots at random times, as people are."""
    openings = [Attack(n, bots, region=r) for r in USUAL for n in (1, 3, 5, 6, 8, 12, 20, 40) for bots in (2, 40)]
    closings = [Attack(n, 40, "working", at=QUIET + 30, over=15, real=2.0) for n in (1, 3, 5, 8, 12, 20, 40)]
    beside = [Attack(n, 200, real=2.0) for n in (1, 5, 20)]
    figures: dict[str, Any] = {}
    for label, guarded in (("without guard", False), ("with guard", True)):
        with _guard(guarded):
            parameters = Parameters() if guarded else UNGUARDED
            for region in USUAL:
                for bots in (2, 40):
                    which = [a for a in openings if a.region == region and a.bots == bots]
                    least = [a.networks for a in which if _opened(_played(a, parameters))]
                    figures[f"networks with {bots} bots each that open {region}, {label}"] = min(least, default="none")
            least = [a.networks for a in closings if _closed(_played(a, parameters))]
            figures[f"networks with 40 voters each that close a true outage, {label}"] = min(least, default="none")
            for attack in beside:
                decisions = _played(attack, parameters)
                opened = _opened(decisions)
                name = f"true outage beside {attack.networks} networks with 200 bots each, {label}"
                figures[name] = {
                    "found after, min": None if opened is None else opened - QUIET,
                    "honest reports not counted": round(_not_counted(), 3),
                }
    return figures


def clocked() -> dict[str, Any]:
    """Bots by the clock: what they do themselves, and whom they take along when they are set aside."""
    openings = [Attack(n, 40, clocked=True) for n in (1, 3, 5, 6, 8, 12, 20, 40)]
    closings = [Attack(n, 40, "working", at=QUIET + 30, over=15, real=2.0, clocked=True) for n in (5, 8, 12, 20, 40)]
    # From ten minutes before the outage to the end, elsewhere in the country: a report in each 3 s, or in each 1.5 s.
    over = MINUTES - QUIET + 10
    beside = [
        Attack(n, over * each, region="GB-SCT", at=QUIET - 10, over=over, real=real, real_in="GB-ENG", clocked=True)
        for n, each, real in ((20, 1, 2.0), (40, 1, 4.0), (5, 8, 4.0))
    ]
    figures: dict[str, Any] = {}
    for label, guarded in (("without guard", False), ("with guard", True)):
        with _guard(guarded):
            parameters = Parameters() if guarded else UNGUARDED
            for what, attacks, succeeds in (
                ("bots each, by the clock, that open GB-ENG", openings, lambda found: _opened(found) is not None),
                ("voters each, by the clock, that close a true outage", closings, _closed),
            ):
                figures[f"networks with 40 {what}, {label}"] = _fewest(attacks, succeeds, parameters)
            for attack in beside:
                opened = _opened(_played(attack, parameters), attack.real_in)
                honest, bots = _set_aside(attack)
                a_minute = attack.networks * attack.bots / attack.over
                name = (
                    f"true outage of {attack.real:g} a minute beside {a_minute:g} by the clock from {attack.networks} "
                    f"networks elsewhere in the country, {label}"
                )
                figures[name] = {
                    "found after, min": None if opened is None else opened - QUIET,
                    "honest reports not counted": round(honest, 3),
                    "bots not counted": round(bots, 3),
                }
    return figures


def foreign() -> dict[str, Any]:
    """What the operator's lists of hosting networks and of networks' countries add, the guard being on.

    The bots are spread as thinly as a crowd, which no other shape tells.
    """
    figures: dict[str, Any] = {}
    for label, lists in LISTS.items():
        with _lists(lists):
            for bots in (2, 40):
                name = f"networks with {bots} bots each that open {FOREIGN_REGION}, {label}"
                attacks = [Attack(n, bots, region=FOREIGN_REGION) for n in (8, 12, 20, 40, 100)]
                figures[name] = _fewest(attacks, lambda decisions: _opened(decisions) is not None)
            name = f"networks with 2 voters each that close a true outage, {label}"
            attacks = [Attack(n, 2, "working", at=QUIET + 30, over=15, real=2.0) for n in (20, 40, 100)]
            figures[name] = _fewest(attacks, _closed)
            beside = Attack(100, 2, real=2.0)
            opened = _opened(_played(beside, Parameters()))
            honest, bots_aside = _set_aside(beside)
            figures[f"true outage beside 100 networks with 2 bots each, {label}"] = {
                "found after, min": None if opened is None else opened - QUIET,
                "honest reports not counted": round(honest, 3),
                "bots not counted": round(bots_aside, 3),
            }
    return figures


FOREIGN_REGION = "GB-ENG"
BOTS, PEOPLE = "2001:bad::/32", "2001:db8::/32"
LISTS: dict[str, dict[str, str]] = {
    "without a list": {},
    "list of hosting networks": {"HOSTING_NETWORKS": f"{BOTS}\n"},
    "list of countries": {"NETWORK_COUNTRIES": f"{BOTS},FR\n{PEOPLE},GB\n"},
}


def _fewest(
    attacks: list[Attack], succeeds: Callable[[list[Decision]], bool], parameters: Parameters | None = None
) -> int | str:
    """The networks of the first attack that succeeds; bigger ones need not be tried."""
    for attack in attacks:
        if succeeds(_played(attack, parameters or Parameters())):
            return attack.networks
    return f"none up to {attacks[-1].networks}"


@contextmanager
def _lists(texts: dict[str, str]) -> Iterator[None]:
    """The operator's lists, as files that the settings name."""
    with TemporaryDirectory() as folder:
        paths: dict[str, Path | None] = {"HOSTING_NETWORKS": None, "NETWORK_COUNTRIES": None}
        for name, text in texts.items():
            path = paths[name] = Path(folder) / name
            path.write_text(text, encoding="utf-8")
        with override_settings(**paths):
            origin.lists.cache_clear()
            origin.lists()
            yield
    origin.lists.cache_clear()


@contextmanager
def _guard(on: bool) -> Iterator[None]:
    full, least = weighing.FULL, shapes.LEAST
    if not on:
        weighing.FULL, shapes.LEAST = 10**9, 10**9
    try:
        yield
    finally:
        weighing.FULL, shapes.LEAST = full, least


_services: list[Service] = []


def _played(attack: Attack, parameters: Parameters) -> list[Decision]:
    """The decisions about a service that this happens to."""
    rng = np.random.default_rng([attack.networks, attack.bots])
    service = _service()
    for minute, posts in sorted(_by_minute(_posts(attack, service.slug, rng)).items()):
        submit_many(sorted(posts, key=lambda post: post.received_at))
        while drain(now=START + timedelta(minutes=minute + 1)).blocks:
            pass
    return _decided(service, parameters)


def _service() -> Service:
    category, _ = Category.objects.get_or_create(slug="messaging", defaults={"name": "Messaging"})
    above = None
    for code in REGIONS:
        kind = "world" if code == "001" else "country" if code == "GB" else "nation"
        above = Region.objects.get_or_create(
            code=code, defaults={"name": code, "kind": kind, "parent": _parent(code), "timezone": "UTC"}
        )[0]
    assert above is not None
    number = len(_services)
    provider = Provider.objects.create(slug=f"provider-{number}", name=f"Provider {number}")
    _services.append(
        Service.objects.create(slug=f"service-{number}", name=f"Service {number}", provider=provider, category=category)
    )
    # Or the intake would go on with the catalogue that it read before.
    catalogue.read()
    return _services[-1]


def _parent(code: str) -> Region | None:
    above = {"001": None, "GB": "001"}.get(code, "GB")
    return Region.objects.get(code=above) if above else None


def _posts(attack: Attack, slug: str, rng: np.random.Generator) -> Iterator[tuple[int, Post]]:
    people = 0

    def post(at: float, address: str, region: str, kind: str = "down") -> tuple[int, Post]:
        data = {"service": slug, "region": region, "kind": kind}
        return int(at), Post(data, address, START + timedelta(minutes=at))

    def honest(rate: float, first: int, last: int, region: str) -> Iterator[tuple[int, Post]]:
        nonlocal people
        for at in np.sort(rng.uniform(first, last, rng.poisson(rate * (last - first)))):
            people += 1
            # Every person a network of their own, but for one in five behind a carrier's address.
            network = people if rng.random() > 0.2 else people % 7
            yield post(float(at), f"2001:db8:{network & 0xFFFF:x}:{people & 0xFFFF:x}::1", region)

    for region, rate in USUAL.items():
        yield from honest(rate, 0, MINUTES, region)
    if attack.real:
        yield from honest(attack.real, QUIET, MINUTES, attack.real_in or attack.region)
    for network in range(attack.networks):
        for bot in range(attack.bots):
            turn = (bot * attack.networks + network) / (attack.networks * attack.bots)
            at = attack.at + attack.over * (turn if attack.clocked else float(rng.random()))
            yield post(at, f"2001:bad:{network:x}:{bot:x}::1", attack.region, attack.kind)


def _by_minute(posts: Iterator[tuple[int, Post]]) -> dict[int, list[Post]]:
    found: dict[int, list[Post]] = {}
    for minute, post in posts:
        found.setdefault(minute, []).append(post)
    return found


def _decided(service: Service, parameters: Parameters) -> list[Decision]:
    topology = Topology((service.slug,), (service.slug,), REGIONS, np.array([-1, 0, 1, 1]), np.zeros(4, dtype=np.int64))
    engine = Engine(topology, _ordinary(topology), parameters=parameters)
    ids = {pk: REGIONS.index(code) for pk, code in Region.objects.values_list("id", "code")}
    first = minute_of(START)
    rows = counts.region_minutes(service.pk, start=START, end=START + timedelta(minutes=MINUTES))
    region = np.array([ids[pk] for pk in rows.region_id.tolist()], dtype=np.int64)
    found: list[Decision] = []
    for minute in range(first, first + MINUTES):
        here = rows.minute == minute
        names = ("reports", "working", "networks", "service_networks", "working_networks")
        values = {name: getattr(rows, name)[here] for name in names}
        found += engine.step(
            MinuteCounts(minute=minute, service=np.zeros_like(region[here]), region=region[here], **values)
        )
    return [replace(d, decided=d.decided - first) for d in found]


def _ordinary(topology: Topology) -> Baseline:
    rng, bins, end = np.random.default_rng(3), 28 * 48, minute_of(START) // 30
    pieces = []
    for code, rate in USUAL.items():
        reports = rng.poisson(30 * rate, bins)
        at = np.flatnonzero(reports)
        pieces.append((np.full(len(at), REGIONS.index(code)), at + end - bins, reports[at]))
    region, at, reports = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return fit(History(np.zeros_like(region), region, at, reports, end - bins, end), topology)


def _opened(decisions: list[Decision], region: str = "") -> int | None:
    """The minute in which the first incident was opened, or that in which ``region`` was found to be down."""
    opened = [d for d in decisions if d.kind is DecisionKind.OPENED]
    return min((d.decided for d in opened if not region or REGIONS[d.region] == region), default=None)


def _closed(decisions: list[Decision]) -> bool:
    return any(d.kind is DecisionKind.RESTORED for d in decisions)


def _not_counted() -> float:
    """Share of the honest reports of the last service that did not count."""
    newest = Report.objects.filter(service=_services[-1])
    honest = [row for row in newest.values_list("reason", "network") if row]
    sent: dict[int, int] = {}
    for _reason, network in honest:
        sent[network] = sent.get(network, 0) + 1
    kept = [reason for reason, network in honest if sent[network] < 100]
    return sum(bool(reason) for reason in kept) / max(len(kept), 1)


def _set_aside(attack: Attack) -> tuple[float, float]:
    """Shares of the honest reports and of the bots' of the last service that did not count."""
    keys = guard.read_secrets(START)
    theirs = {
        guard.pseudonyms(f"2001:bad:{network:x}:0::1", client="", keys=keys).network
        for network in range(attack.networks)
    }
    reasons: tuple[list[str], list[str]] = ([], [])
    for reason, network in Report.objects.filter(service=_services[-1]).values_list("reason", "network"):
        reasons[network in theirs].append(reason)
    honest, bots = (sum(map(bool, found)) / max(len(found), 1) for found in reasons)
    return honest, bots
