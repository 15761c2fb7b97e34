"""What the engine remembers of an outage that it opened: one record per region, one per incident."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reports.detection.decisions import Basis, FloatArray

KEPT = 512
"""Minutes of history kept per open region: enough to see how the crowd's reports faded since the onset."""
PEAK_MINUTES = 5
"""``peak_reports`` are the reports of this many minutes; a single minute of a small region says nothing."""


@dataclass
class Outage:
    """One service in one region, from its opening to the end of its cooling. Minutes since the epoch.

    ``reports`` and ``votes`` are rings over ``minute % KEPT``, filled from ``first``; ``blind`` marks minutes without
    collection. ``own`` marks an outage that passed the full bar by itself and not a lowered one because others were
    down: only such a one tells when the incident began. ``excess`` is the rate beyond normal just before the
    restoration, ``noticed`` the last minute with a clear excess, ``said`` the instant that a provider's statement or
    0 speaks of. ``back`` is the probability that it is back as last assessed, ``able`` how much its reports can tell of
    that: what it says to the other regions of the incident.
    """

    service: int
    region: int
    incident: str
    onset: int
    detected: int
    first: int
    own: bool
    reports: FloatArray = field(default_factory=lambda: np.zeros(KEPT))
    votes: FloatArray = field(default_factory=lambda: np.zeros(KEPT))
    blind: FloatArray = field(default_factory=lambda: np.zeros(KEPT))
    state: str = "down"
    peak: int = 0
    peak_reports: int = 0
    told_peak: int = 0
    noticed: int = 0
    total_reports: float = 0.0
    total_votes: float = 0.0
    said: int = 0
    judge_at: int = 0
    shape: tuple[float, ...] = ()
    back: float = 0.0
    able: float = 0.0
    recovering: int | None = None
    restored: int | None = None
    restored_low: int | None = None
    restored_high: int | None = None
    declared: int | None = None
    basis: Basis | None = None
    excess: float = 0.0

    def record(self, minute: int, reports: float, votes: float, blind: bool) -> None:
        """Take in one minute."""
        at = minute % KEPT
        self.reports[at] = reports
        self.votes[at] = votes
        self.blind[at] = blind
        self.total_reports += reports
        self.total_votes += votes

    def span(self, minute: int, minutes: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Ring positions of the last ``minutes`` up to ``minute``, oldest first, not before the history began."""
        begin = max(minute - minutes + 1, self.first, minute - KEPT + 1)
        return np.arange(begin, minute + 1) % KEPT

    def recent(self, minute: int, minutes: int) -> float:
        """Reports of the last ``minutes`` up to and with ``minute``."""
        return float(self.reports[self.span(minute, minutes)].sum())


@dataclass
class Incident:
    """One outage of one service with all its regions; ``regions`` maps a region to its outage, ended ones included."""

    key: str
    service: int
    opened: int
    onset: int
    group: str = ""
    scope: str = ""
    regions: dict[int, Outage] = field(default_factory=dict)
    last_change: int = 0
    vouched: bool = False
    confidence: float = 0.0
    signs: dict[str, float] = field(default_factory=dict)
    """What speaks for it so far, as ``reports.detection.weighing`` gathers it."""
    company: dict[int, list[float]] | None = None
    """This minute's regions that can tell, and those of them that are believed back, by country; not saved either."""
    voices: FloatArray | None = None
    """This minute's sum of what all regions say about the crowd; not part of the saved state."""

    def earliest(self) -> int:
        """When it began, by the regions that passed the full bar by themselves; by all of them where none did."""
        own = [o.onset for o in self.regions.values() if o.own]
        return min(own or [o.onset for o in self.regions.values()])

    def open_regions(self) -> list[Outage]:
        """Regions that are not restored and not given up."""
        return [o for o in self.regions.values() if o.state in OPEN]


OPEN = ("down", "recovering", "unknown")
