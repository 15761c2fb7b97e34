"""Outages on public record, played to the engine: the published figures, and between them straight lines.

What was printed is a few points of each course. Whatever lies between them, how it splits over regions and the ordinary
level before were chosen here; so a test asks only for what follows from the points that were printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reports.detection.baseline import Baseline, History, fit
from reports.detection.decisions import Decision, DecisionKind, FloatArray, MinuteCounts, Topology
from reports.detection.engine import Engine

MIDNIGHT = 29_453_760
"""Some midnight, UTC."""
LEAD = 180
"""Ordinary minutes before the record begins."""
SHARES = {
    "US": {"US-CA": 0.3, "US-TX": 0.25, "US-FL": 0.2, "US-NY": 0.15, "US-OH": 0.1},
    "IN": {"IN-MH": 0.4, "IN-DL": 0.3, "IN-KA": 0.2, "IN-TN": 0.1},
}
CODES = ("001", *SHARES, *(code for shares in SHARES.values() for code in shares))
PARENTS = [-1, *(0 for _ in SHARES), *(CODES.index(code[:2]) for code in CODES[1 + len(SHARES) :])]
Course = Sequence[tuple[float, float]]


@dataclass
class Record:
    """Services by name with their providers, and the minutes (since the record begins) of what was reported."""

    providers: Mapping[str, str]
    minutes: int
    usual: float = 0.6
    """Ordinary reports per minute and service in one country."""
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def __post_init__(self) -> None:
        services = tuple(self.providers)
        offsets = np.array([330 if code.startswith("IN") else -300 * code.startswith("US") for code in CODES])
        self.topology = Topology(services, tuple(self.providers.values()), CODES, np.array(PARENTS), offsets)
        self.reports = np.zeros((len(services), len(CODES), LEAD + self.minutes), dtype=np.int64)
        for shares in SHARES.values():
            for service in services:
                self._draw(service, shares, np.full(LEAD + self.minutes, self.usual))

    def _draw(self, service: str, shares: Mapping[str, float], rate: FloatArray) -> None:
        at = self.topology.services.index(service)
        for code, share in shares.items():
            self.reports[at, CODES.index(code)] += self.rng.poisson(share * rate)

    def happened(self, service: str, country: str, course: Course) -> None:
        """Reports per minute at the minutes of ``course``, in straight lines between them, nothing outside."""
        at, rate = (np.array(column) for column in zip(*course, strict=True))
        minute = np.arange(-LEAD, self.minutes)
        self._draw(service, SHARES[country], np.interp(minute, at, rate, left=0.0, right=0.0))

    def baseline(self) -> Baseline:
        """Four ordinary weeks before."""
        bins, leaves = 28 * 48, [i for i, code in enumerate(CODES) if "-" in code]
        first = (MIDNIGHT - LEAD) // 30 - bins
        share = np.array([SHARES[CODES[leaf][:2]][CODES[leaf]] for leaf in leaves])
        size = (len(self.providers), len(leaves), bins)
        reports = self.rng.poisson(np.broadcast_to(30 * self.usual * share[None, :, None], size))
        service, region, at = np.nonzero(reports)
        history = History(
            service, np.array(leaves)[region], at + first, reports[service, region, at], first, first + bins
        )
        return fit(history, self.topology)

    def played(self) -> list[Decision]:
        engine = Engine(self.topology, self.baseline())
        found: list[Decision] = []
        for at in range(LEAD + self.minutes):
            service, region = np.nonzero(self.reports[:, :, at])
            reports = self.reports[service, region, at]
            found += engine.step(
                MinuteCounts(MIDNIGHT - LEAD + at, service, region, reports, np.zeros_like(reports), None)
            )
        return found

    def of(self, decisions: list[Decision], kind: DecisionKind, service: str) -> list[Decision]:
        return [d for d in decisions if d.kind is kind and self.topology.services[d.service] == service]


def minute_of(decision: Decision) -> int:
    return decision.decided + 1 - MIDNIGHT


def test_falling_reports_of_an_outage_that_lasted_all_day_restore_nothing() -> None:
    """Verizon, 14 January 2026: 178,284 in the quarter of an hour at 12:45, about 110,000 in that at 14:00 (Eastern),
    1.5 million in the day; restored late that night."""
    noon = 0
    record = Record({"verizon": "verizon", "att": "att", "t-mobile": "t-mobile"}, minutes=600)
    peak, later = 178_284 / 15, 110_000 / 15
    course = [(noon, 0.0), (noon + 52, peak), (noon + 127, later), (noon + 240, 2_000.0), (noon + 600, 300.0)]
    record.happened("verizon", "US", course)
    for echo, ratio in (("att", 20), ("t-mobile", 43)):
        record.happened(echo, "US", [(at + 5, rate / ratio) for at, rate in course])
    found = record.played()
    opened = record.of(found, DecisionKind.OPENED, "verizon")
    assert min(minute_of(d) for d in opened) <= 3
    assert not record.of(found, DecisionKind.RESTORED, "verizon")
    assert not record.of(found, DecisionKind.RESOLVED, "verizon")
    for echo in ("att", "t-mobile"):
        assert not record.of(found, DecisionKind.OPENED, echo)
        assert record.of(found, DecisionKind.ECHO, echo)


def test_the_neighbours_of_a_carrier_that_fails_are_its_echoes() -> None:
    """AT&T, 22 February 2024: 65,000 reports, beside them Verizon with 3,200 and T-Mobile with 1,500."""
    record = Record({"verizon": "verizon", "att": "att", "t-mobile": "t-mobile"}, minutes=240)
    for service, reports in (("att", 65_000), ("verizon", 3_200), ("t-mobile", 1_500)):
        record.happened(service, "US", [(0, 0.0), (60, reports / 60), (240, reports / 120)])
    found = record.played()
    assert min(minute_of(d) for d in record.of(found, DecisionKind.OPENED, "att")) <= 5
    for echo in ("verizon", "t-mobile"):
        assert not record.of(found, DecisionKind.OPENED, echo)
        assert record.of(found, DecisionKind.ECHO, echo)


def test_a_cloud_is_not_down_because_people_name_it() -> None:
    """X, 16 January 2026: 75,000 reports about X and 200 about AWS."""
    record = Record({"x": "x", "aws": "aws"}, minutes=120, usual=1.0)
    record.happened("x", "US", [(0, 0.0), (20, 75_000 / 60), (120, 75_000 / 120)])
    record.happened("aws", "US", [(0, 0.0), (20, 200 / 60), (120, 200 / 120)])
    found = record.played()
    assert record.of(found, DecisionKind.OPENED, "x")
    assert not record.of(found, DecisionKind.OPENED, "aws")


def test_a_return_that_wavers_is_one_incident_and_no_early_all_clear() -> None:
    """WhatsApp in India, 25 October 2022: first seen 12:07, peak 12:30, 25,000 by 13:00, back from 14:15 on,
    unstable at first, about 1,000 still reporting at 15:00."""
    record = Record({"whatsapp": "meta", "instagram": "meta"}, minutes=420)
    first_back = 128
    course = [(0, 0.0), (23, 700.0), (53, 500.0), (first_back, 400.0), (136, 150.0), (142, 330.0), (150, 150.0)]
    record.happened("whatsapp", "IN", [*course, (173, 1_000 / 60), (200, 3.0), (240, 0.0)])
    found = record.played()
    opened = record.of(found, DecisionKind.OPENED, "whatsapp")
    assert min(minute_of(d) for d in opened) <= 3
    assert len({d.incident for d in opened}) == 1
    back = record.of(found, DecisionKind.RESTORED, "whatsapp")
    assert back
    for decision in back:
        assert decision.restored is not None
        assert decision.restored - MIDNIGHT >= first_back - 10
    assert not record.of(found, DecisionKind.OPENED, "instagram")


def test_three_services_of_one_provider_are_one_group_long_before_the_provider_speaks() -> None:
    """Meta, 11 December 2024: from 12:40 to 12:57, peak 13:11; 105,000 Facebook, 70,000 Instagram, 12,000 WhatsApp; the
    first statement came at 13:48 (Eastern)."""
    record = Record({"facebook": "meta", "instagram": "meta", "whatsapp": "meta", "telegram": "telegram"}, minutes=180)
    for service, start, reports in (("facebook", 0, 105_000), ("instagram", 5, 70_000), ("whatsapp", 17, 12_000)):
        record.happened(service, "US", [(start, 0.0), (31, reports / 60), (180, reports / 240)])
    found = record.played()
    first = {
        service: min(minute_of(d) for d in record.of(found, DecisionKind.OPENED, service))
        for service in ("facebook", "instagram", "whatsapp")
    }
    assert max(first.values()) <= 68 - 40
    grouped = [d for d in found if d.kind is DecisionKind.GROUPED]
    assert grouped[-1].scope == "provider-wide"
    assert len({d.group for d in grouped}) == 1
    assert not record.of(found, DecisionKind.OPENED, "telegram")
