"""The answers that pages, API, feeds and badges are made of: frozen values, never querysets.

States are ``normal``, ``down``, ``recovering``, ``restored``, ``unknown``. Instants are aware, UTC. Counts are counted
reports (one a person, service and kind in a window).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.utils.translation import gettext

from reports import formats, regions


@dataclass(frozen=True)
class RegionLink:
    """A region by code and English name; ``parent`` is the code above it (``None`` for the world)."""

    code: str
    english: str
    parent: str | None
    kind: str
    population: int | None
    population_estimated: bool = True

    @property
    def name(self) -> str:
        """The name in the active language: English for the API and for tasks, the reader's on a page."""
        return regions.local_name(self.code, self.english, formats.language())


@dataclass(frozen=True)
class ProblemChoice:
    """What can fail in a service, as people are offered it."""

    slug: str
    english: str

    @property
    def label(self) -> str:
        """The label in the active language, where somebody translated it."""
        return gettext(self.english) if self.english else ""


@dataclass(frozen=True)
class ServiceLink:
    """A service, who runs it, and what kind of service it is: slugs and names."""

    slug: str
    name: str
    provider: str
    provider_name: str
    category: str
    category_english: str

    @property
    def category_name(self) -> str:
        """The name of the category in the active language, where somebody translated it."""
        return gettext(self.category_english) if self.category_english else ""


@dataclass(frozen=True)
class RegionState:
    """One region of one service (or, on the world map, of its worst service) at an instant."""

    region: RegionLink
    state: str
    since: datetime | None
    reports: int
    """Reports of the last 60 minutes."""
    expected: float
    """Reports expected in the same 60 minutes."""
    service: ServiceLink | None = None
    """On the world map: the worst service there."""
    covered_by: str | None = None
    """The code of the region above whose state it takes, where nothing was decided for this region itself."""

    @property
    def ratio(self) -> float | None:
        """How many times the expected; ``None`` where next to nothing was expected."""
        return self.reports / self.expected if self.expected >= 0.05 else None


@dataclass(frozen=True)
class CountryState:
    """A country in which a service is, or was, not normal: its state as :func:`reports.status.nesting.together` has
    it, and how many of its parts are in which. The four numbers are zero where the country was decided on as one.

    ``since``: down or recovering since the first part of it was; restored since the last part of it was.
    """

    region: RegionLink
    state: str
    since: datetime | None
    down: int
    recovering: int
    restored: int
    unknown: int
    people_affected: int
    reports: int
    """Reports of the last 60 minutes from the whole country."""
    expected: float

    @property
    def parts(self) -> int:
        """How many parts of it were decided on."""
        return self.down + self.recovering + self.restored + self.unknown


@dataclass(frozen=True)
class MapStatus:
    """Every region that is not ``normal`` at ``at``; ``version`` changes when any of it does."""

    at: datetime
    version: str
    regions: tuple[RegionState, ...]


@dataclass(frozen=True)
class ServiceStatus:
    """The present of one service. ``since`` is the onset of the open incident, or ``None``."""

    link: ServiceLink
    state: str
    since: datetime | None
    regions_down: int
    people_affected: int
    """People living in regions that are down or recovering (estimates)."""
    reports_last_hour: int
    baseline_last_hour: float
    working_last_hour: int
    incident: str | None
    """Ref of the open incident, else of none."""
    down: tuple[RegionState, ...] = ()
    """Regions that are not normal, most people first."""
    restored: tuple[RegionState, ...] = ()
    silent: tuple[RegionState, ...] = ()
    """Regions of an outage that is over within a day which were never heard to be back; those of an open one are among
    ``down``."""
    countries: tuple[CountryState, ...] = ()
    """The same by country, those first where most people are affected; of the whole service only."""
    problems: tuple[tuple[ProblemChoice, int], ...] = ()
    """Most reported problems of the last hour, with counts."""
    echo_of: ServiceLink | None = None
    """The service whose outage explains a rise of this one's reports."""


@dataclass(frozen=True)
class CountSeries:
    """Counts of one service and region in equal steps from ``start``; the lists are equally long.

    ``expected`` and ``upper`` (the 99 % bound of an ordinary step) come from the baseline in force;
    ``baseline_version`` is empty where there is none yet.
    """

    service: str
    region: str
    start: datetime
    step: timedelta
    reports: tuple[int, ...]
    working: tuple[int, ...]
    expected: tuple[float, ...]
    upper: tuple[float, ...]
    baseline_version: str


@dataclass(frozen=True)
class EvidenceFigures:
    """The figures one decision rests on; see ``docs/detection.md``."""

    id: int
    decision: str
    decided_at: datetime
    region: str | None
    observed: int
    expected: float
    log10_p: float
    threshold: float | None
    """What ``log10_p`` had to pass; ``None`` where the decision was not taken by it."""
    window_minutes: int
    window_end_at: datetime
    level: str
    rule: str
    networks: int | None
    largest_network: int | None
    """Of the observed reports, those of the network that sent the most."""
    working: int
    baseline_version: str
    detector_version: str
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def largest_share(self) -> float | None:
        """Of the observed reports, the share of the network that sent the most."""
        return self.largest_network / self.observed if self.largest_network and self.observed else None


@dataclass(frozen=True)
class RelapseFacts:
    """A restoration that did not hold, and when the region went down again."""

    restored_at: datetime
    declared_at: datetime
    basis: str
    reopened_at: datetime


@dataclass(frozen=True)
class RegionalOutageStatus:
    """The incident in one region, at the asked instant or as it stands."""

    region: RegionLink
    state: str
    onset_at: datetime
    detected_at: datetime
    peak_at: datetime | None
    peak_reports: int
    recovering_at: datetime | None
    unknown_at: datetime | None
    restored_at: datetime | None
    restored_low: datetime | None
    restored_high: datetime | None
    declared_at: datetime | None
    basis: str
    relapses: tuple[RelapseFacts, ...]
    reports: int
    working: int
    networks: int
    evidence: EvidenceFigures | None


@dataclass(frozen=True)
class SiblingFigures:
    """A sibling service that was checked: ``observed`` reports where ``expected`` were ordinary."""

    service: ServiceLink
    state: str
    observed: int
    expected: float
    window_minutes: int
    incident: str | None


@dataclass(frozen=True)
class StatementFacts:
    """What the provider said, where and when; ``meaning`` as in the model."""

    id: int
    meaning: str
    text: str
    url: str
    said_at: datetime
    region: RegionLink | None
    revised_text: str = ""
    """What the provider's status page says in its place since ``revised_at``; empty where it was not changed."""
    revised_at: datetime | None = None


@dataclass(frozen=True)
class IncidentStatus:
    """One incident, whole. ``state`` is ``open``, ``recovering`` or ``resolved``; ``review`` as in the model."""

    ref: str
    service: ServiceLink
    group: str | None
    scope: str
    state: str
    review: str
    rejected_reason: str
    confidence: float
    onset_at: datetime
    detected_at: datetime
    acknowledged_at: datetime | None
    peak_at: datetime | None
    peak_reports: int
    first_restored_at: datetime | None
    resolved_at: datetime | None
    duration: timedelta | None
    """From onset to resolution, which may only wait for silent regions; ``None`` while open. See :attr:`lasted`."""
    reports: int
    working: int
    currently_affected: tuple[RegionLink, ...]
    previously_affected: tuple[RegionLink, ...]
    """Those that are back; of one that is over all, also those from which too little was heard to say."""
    siblings: tuple[SiblingFigures, ...]
    echo_of: str | None
    merged_into: str | None
    evidence: EvidenceFigures | None
    statements: tuple[StatementFacts, ...] = ()
    group_incidents: tuple[str, ...] = ()
    people_reached: int = 0
    """People living in its regions, those that are back included (estimates); nobody twice."""
    split_from: str | None = None
    unheard: tuple[RegionLink, ...] = ()
    """From which too little is heard to say; of one that is over, all that nobody knows to be back."""
    back_at: datetime | None = None
    """Of one that is over: when the last region was back that we can tell of; ``None`` where of none."""
    told_elsewhere: tuple[RegionLink, ...] = ()
    """Regions that were split off and are another's: who lives there is not among the people of this one."""

    @property
    def lasted(self) -> timedelta | None:
        """How long it was, as far as that is known: what pages and the article say."""
        return max(self.back_at - self.onset_at, timedelta(0)) if self.back_at else None


@dataclass(frozen=True)
class Spread:
    """Durations in three figures; negative ones where something came before."""

    median: timedelta
    shortest: timedelta
    longest: timedelta


@dataclass(frozen=True)
class LeadTimes:
    """How a provider spoke of the outages of its services that were neither rejected nor merged.

    Of ``outages``, it spoke of ``spoken``, of those ``first`` before we had detected them; of ``never`` it had said
    nothing when they were over. ``onset`` and ``detection``: how long after ours it first spoke.
    """

    outages: int
    spoken: int
    never: int
    first: int
    onset: Spread | None
    detection: Spread | None


@dataclass(frozen=True)
class ProviderStatus:
    """Who runs services (slugs), and how long after the crowd it speaks."""

    slug: str
    name: str
    country: str
    homepage: str
    status_url: str
    services: tuple[str, ...]
    lead: LeadTimes


@dataclass(frozen=True)
class IncidentPage:
    """Some incidents in the order that was asked for; ``next`` and ``previous`` are cursors for what lies beyond."""

    results: tuple[IncidentStatus, ...]
    next: str | None
    previous: str | None


@dataclass(frozen=True)
class RegionRecord:
    """One incident of a service as it went in one region: by what was decided for the region itself, or else for the
    nearest one above it, which is then ``decided_for``.

    Where neither was decided on, only parts of it, ``parts`` is how many they were and ``parts_back`` how many of them
    came back; ``onset_at`` is the first onset among them, ``restored_at`` the last restoration once all are back.
    """

    ref: str
    review: str
    state: str
    onset_at: datetime
    restored_at: datetime | None
    restored_low: datetime | None = None
    restored_high: datetime | None = None
    basis: str = ""
    relapses: int = 0
    decided_for: RegionLink | None = None
    parts: int = 0
    parts_back: int = 0

    @property
    def duration(self) -> timedelta | None:
        """From onset to restoration; ``None`` where it is not back, or nobody saw it come back."""
        return self.restored_at - self.onset_at if self.restored_at else None


@dataclass(frozen=True)
class TimelineLine:
    """One dated fact in words, with where it comes from (``engine``, ``statement``, ``administrator``)."""

    at: datetime
    recorded_at: datetime
    kind: str
    region: RegionLink | None
    text: str
    source_type: str
    source_url: str
    evidence: EvidenceFigures | None
    id: int = 0
    """Orders facts of one instant."""


@dataclass(frozen=True)
class Milestone:
    """An update of an incident that matters from afar. ``id`` and ``told_at`` never change, ``text`` may be refined.

    ``kind`` is ``opened``, ``grew``, ``acknowledged``, ``said``, ``denied``, ``confirmed``, ``first_back``,
    ``relapsed``, ``resolved``, ``reopened``, ``rejected``, ``reinstated`` or ``merged``; of one region it begins with
    ``region_``.
    """

    id: str
    kind: str
    at: datetime
    told_at: datetime
    text: str
    region: str = ""
    """The name of the region that it is about, if any."""
    source_url: str = ""
    number: int = 0
    """Orders those of one instant."""


@dataclass(frozen=True)
class Transition:
    """From ``at`` on, ``region`` is in ``state``."""

    region: str
    at: datetime
    state: str


@dataclass(frozen=True)
class Cover:
    """A region without a decision of its own, in the state of ``by``: the nearest region above that has one."""

    region: str
    by: str


@dataclass(frozen=True)
class IncidentHistory:
    """What the map's slider moves over: every change of state of every region, in order, and the regions' names.

    ``start`` lies a little before the onset, so that the first picture is an ordinary one; ``end`` is the resolution,
    or when it was rejected or merged, or now. ``covered`` are the regions on a map that take their state from a region
    above.
    """

    ref: str
    version: str
    start: datetime
    end: datetime
    regions: tuple[RegionLink, ...]
    transitions: tuple[Transition, ...]
    statements: tuple[StatementFacts, ...]
    covered: tuple[Cover, ...] = ()
    told_elsewhere: tuple[RegionLink, ...] = ()
    """As in :class:`IncidentStatus`."""


Outline = tuple[tuple[tuple[tuple[float, float], ...], ...], ...]


@dataclass(frozen=True)
class ShownRegion:
    """A region as it is drawn: its state ``since``, and polygons of rings of longitude and latitude in degrees."""

    region: RegionLink
    state: str
    since: datetime
    covered_by: str | None
    """The code of the region above whose state it takes, where nothing was decided for this region itself."""
    outline: Outline


@dataclass(frozen=True)
class HomeStatus:
    """What is down now (worst first by people affected), what came back in the last day, and the world's map."""

    at: datetime
    version: str
    down: tuple[ServiceStatus, ...]
    recently_resolved: tuple[IncidentStatus, ...]
    most_reported: tuple[ServiceStatus, ...]
    """Services with any report in the last hour that are not down, most reports first."""
    services_watched: int
    reports_last_hour: int
    watched_until: datetime | None = None
    """The end of the last minute that detection has seen; ``None`` before it saw any."""


@dataclass(frozen=True)
class Readiness:
    """Whether the site can be trusted right now; each problem in words."""

    ready: bool
    at: datetime
    database: bool
    broker: bool
    last_drain_age: timedelta | None
    last_watch_age: timedelta | None
    """From the end of the last minute that was watched."""
    inbox_blocks: int
    problems: tuple[str, ...] = ()
    broken_blocks: int = 0
    """Blocks that could not be read and were set aside: an administrator has to look, but the rest goes on."""
    held_blocks: int = 0
    """Blocks that the broker holds until the database is back, the oldest since ``held_since``."""
    held_since: datetime | None = None


@dataclass(frozen=True)
class PublishedFigure:
    """A figure of a scenario that somebody printed, and where."""

    what: str
    figure: str
    source: str


@dataclass(frozen=True)
class ScenarioBanner:
    """What a replaying site says on every page: one report stands for ``volume_scale`` published ones."""

    slug: str
    title: str
    summary: str
    day: date
    """The day that is replayed, which the site's clock may have left by now."""
    speed: float
    volume_scale: float
    published: tuple[PublishedFigure, ...]
    chosen: tuple[str, ...]
    """What no source gives and had to be chosen, in words."""


# --- calibration ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CalibrationBand:
    """Incidents told with a confidence in ``[low, high)``: how many were real, with the 95 % interval of the share."""

    low: float
    high: float
    incidents: int
    told: float
    real: int
    share: float
    least: float
    most: float


@dataclass(frozen=True)
class CalibrationFigures:
    """How well the confidences of some incidents were kept; see ``reports.detection.calibration.Reliability``."""

    incidents: int
    real: int
    brier: float
    skill: float | None
    reliability: float
    resolution: float
    uncertainty: float
    bands: tuple[CalibrationBand, ...]


@dataclass(frozen=True)
class CalibrationSuite:
    """One simulated suite: which, and how well the first and the last confidence of each incident were kept."""

    suite: str
    seeds: tuple[int, ...]
    days: int
    opening: CalibrationFigures | None
    later: CalibrationFigures | None


@dataclass(frozen=True)
class Calibration:
    """Whether confidence keeps its word. ``current`` is false where the file is of another detector.

    ``shift`` is what this site's reviews add to the log odds of every confidence, 0 while they are too few.
    """

    made_on: str
    detector_version: str
    current: bool
    suites: tuple[CalibrationSuite, ...]
    reviewed: CalibrationFigures | None
    enough_reviewed: bool
    needed_reviewed: int
    shift: float

    @property
    def main(self) -> CalibrationSuite:
        """The suite that confidence is judged by: the first."""
        return self.suites[0]


@dataclass(frozen=True)
class ConfidenceBasis:
    """What became of incidents told with a confidence between ``low`` and ``high``; ``None`` where there were none.

    ``reviewed`` is also ``None`` while this site has reviewed too few incidents to say anything.
    """

    low: float
    high: float
    simulated: CalibrationBand | None
    reviewed: CalibrationBand | None
    reviewed_incidents: int
    needed_reviewed: int


@dataclass(frozen=True)
class DetectionResult:
    """What one method reached on one simulated suite and seed; minutes and shares, ``None`` where there was nothing."""

    method: str
    suite: str
    seed: int
    f1: float | None
    delay_median: float | None
    after_third_median: float | None
    false_incidents_per_service_year: float | None
    restored: float | None
    error_median: float | None
    error_p90: float | None
    early: float | None
    declared_median: float | None
    coverage: float | None


@dataclass(frozen=True)
class DetectionResults:
    """The measured figures, with when, on how many days per suite, and by which detector."""

    made_on: str
    detector_version: str
    days: int
    results: tuple[DetectionResult, ...]
