"""The JSON shapes of the answers. They rename and pick; every figure is made in ``reports.status``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from reports.status.answers import IncidentStatus, MapStatus, RegionState, ShownRegion

STATES = ("normal", "down", "recovering", "restored", "unknown")
SERVICE_STATES = ("normal", "down", "recovering", "unknown")
OUTAGE_STATES = ("down", "recovering", "restored", "unknown")
INCIDENT_STATES = ("open", "recovering", "resolved")
REVIEWS = ("automatic", "confirmed", "rejected", "merged")
REGION_KINDS = ("world", "country", "nation", "subdivision")
REPORT_KINDS = ("down", "working")
ARTICLE_FORMATS = ("json", "md", "html")
SOURCES = ("engine", "statement", "administrator")

Shape = serializers.Serializer


class _CodeField(serializers.CharField):
    """The code of a region."""

    def to_representation(self, value: Any) -> str:
        return str(value.code)


class _SlugField(serializers.CharField):
    """The slug of a service."""

    def to_representation(self, value: Any) -> str:
        return str(value.slug)


# --- regions ----------------------------------------------------------------------------------------------------------


class RegionShape(Shape[Any]):
    """A region."""

    code = serializers.CharField(help_text="ISO 3166-1 (`GB`) or 3166-2 (`GB-ENG`); `001` is the world.")
    name = serializers.CharField()
    parent = serializers.CharField(  # type: ignore[assignment]
        allow_null=True, help_text="The code of the region above; null for the world."
    )
    kind = serializers.ChoiceField(choices=REGION_KINDS)
    population = serializers.IntegerField(allow_null=True)
    population_estimated = serializers.BooleanField(
        help_text="True where the figure is shared out by settlements, not published for this region."
    )


# --- services ---------------------------------------------------------------------------------------------------------


class ServiceShape(Shape[Any]):
    """The present of one service."""

    slug = serializers.CharField(source="link.slug")
    name = serializers.CharField(source="link.name")
    provider = serializers.CharField(source="link.provider", help_text="Slug of who runs it.")
    category = serializers.CharField(source="link.category")
    state = serializers.ChoiceField(
        choices=SERVICE_STATES, help_text="`unknown` while nobody watches: silence is never `normal`."
    )
    since = serializers.DateTimeField(allow_null=True, help_text="Estimated onset of the open incident.")
    regions_down = serializers.IntegerField()
    people_affected = serializers.IntegerField(help_text="People living where it is down or recovering (estimate).")
    reports_last_hour = serializers.IntegerField(help_text="Counted `down` reports of the last 60 whole minutes.")
    baseline_last_hour = serializers.FloatField(help_text="Reports expected in the same minutes.")
    working_last_hour = serializers.IntegerField(help_text='Counted "works again" reports of the same minutes.')
    incident = serializers.CharField(allow_null=True, help_text="Ref of the open incident.")
    echo_of = _SlugField(allow_null=True, help_text="The service whose outage explains this one's reports.")


class RegionStateShape(Shape[Any]):
    """One region of one service."""

    region = _CodeField()
    region_name = serializers.CharField(source="region.name")
    state = serializers.ChoiceField(choices=STATES)
    since = serializers.DateTimeField(allow_null=True)
    reports = serializers.IntegerField()
    expected = serializers.FloatField()
    ratio = serializers.FloatField(allow_null=True)


class ProblemCountShape(Shape[Any]):
    """A problem and how many named it in the last hour."""

    problem = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    reports = serializers.IntegerField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """A pair of a choice and its count."""
        choice, reports = instance
        return {"problem": choice.slug, "label": choice.label, "reports": reports}


class ServiceDetailShape(ServiceShape):
    """The present of one service, with its regions and what fails."""

    down = RegionStateShape(many=True, help_text="Regions that are down, recovering or unknown, most people first.")
    restored = RegionStateShape(many=True, help_text="Regions that came back, in the last day at most.")
    problems = ProblemCountShape(many=True, help_text="The most reported problems of the last hour.")


class CountsShape(Shape[Any]):
    """Counts of one service and region in equal steps; the lists are equally long."""

    service = serializers.CharField()
    region = serializers.CharField()
    start = serializers.DateTimeField()
    step = serializers.SerializerMethodField(help_text="Seconds.")
    reports = serializers.ListField(child=serializers.IntegerField())
    working = serializers.ListField(child=serializers.IntegerField())
    expected = serializers.ListField(child=serializers.FloatField())
    upper = serializers.ListField(
        child=serializers.FloatField(), help_text="The count that an ordinary step stays below 99 times in 100."
    )
    baseline_version = serializers.CharField(
        allow_blank=True, help_text="Empty where nothing has been learnt yet; `expected` and `upper` are 0 then."
    )

    def get_step(self, instance: Any) -> int:
        """The step in seconds."""
        return int(instance.step.total_seconds())


class MapRegionShape(Shape[Any]):
    """A region on a map."""

    state = serializers.ChoiceField(choices=OUTAGE_STATES)
    since = serializers.DateTimeField(allow_null=True)
    reports = serializers.IntegerField(help_text="Of the 60 minutes before `at`.")
    expected = serializers.FloatField()
    ratio = serializers.FloatField(allow_null=True, help_text="Null where next to nothing was expected.")
    covered_by = serializers.CharField(
        allow_null=True, help_text="The region above whose state it takes; null where it was decided for itself."
    )


class MapShape(Shape[Any]):
    """The regions that are not normal."""

    at = serializers.DateTimeField()
    version = serializers.CharField(help_text="Changes when any region does.")
    regions = serializers.DictField(child=MapRegionShape())


def map_json(status: MapStatus) -> dict[str, Any]:
    """A map in the form of :class:`MapShape`; by hand, because 3,000 regions through serializers take a second."""
    return {
        "at": instant(status.at),
        "version": status.version,
        "regions": {state.region.code: _map_region(state) for state in status.regions},
    }


def _map_region(state: RegionState) -> dict[str, Any]:
    return {
        "state": state.state,
        "since": instant(state.since),
        "reports": state.reports,
        "expected": round(state.expected, 3),
        "ratio": None if state.ratio is None else round(state.ratio, 3),
        "covered_by": state.covered_by,
    }


class GeometryShape(Shape[Any]):
    """Polygons of rings of longitude and latitude."""

    type = serializers.ChoiceField(choices=["MultiPolygon"])
    coordinates = serializers.ListField(
        child=serializers.ListField(
            child=serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))
        )
    )


class FeaturePropertiesShape(Shape[Any]):
    """What is known of a region at the instant."""

    region = serializers.CharField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=OUTAGE_STATES)
    since = serializers.DateTimeField()
    covered_by = serializers.CharField(allow_null=True, help_text="The region above whose state it takes.")


class FeatureShape(Shape[Any]):
    """One region."""

    type = serializers.ChoiceField(choices=["Feature"])
    id = serializers.CharField()
    properties = FeaturePropertiesShape()
    geometry = GeometryShape()


class ShapesShape(Shape[Any]):
    """GeoJSON (RFC 7946) of the regions that were not normal."""

    type = serializers.ChoiceField(choices=["FeatureCollection"])
    at = serializers.DateTimeField(help_text="The instant that is shown.")
    features = FeatureShape(many=True)


def geojson(at: datetime, regions: Iterable[ShownRegion]) -> dict[str, Any]:
    """The regions in the form of :class:`ShapesShape`."""
    return {
        "type": "FeatureCollection",
        "at": instant(at),
        "features": [
            {
                "type": "Feature",
                "id": shown.region.code,
                "properties": {
                    "region": shown.region.code,
                    "name": shown.region.name,
                    "state": shown.state,
                    "since": instant(shown.since),
                    "covered_by": shown.covered_by,
                },
                "geometry": {"type": "MultiPolygon", "coordinates": shown.outline},
            }
            for shown in regions
        ],
    }


def instant(value: Any) -> str | None:
    """ISO 8601, UTC, with a ``Z``."""
    written: str | None = serializers.DateTimeField().to_representation(value)
    return written


# --- providers --------------------------------------------------------------------------------------------------------


class SpreadShape(Shape[Any]):
    """Durations in seconds; negative where the provider spoke before."""

    median_s = serializers.SerializerMethodField()
    shortest_s = serializers.SerializerMethodField()
    longest_s = serializers.SerializerMethodField()

    def get_median_s(self, instance: Any) -> int:
        """The middle one."""
        return int(instance.median.total_seconds())

    def get_shortest_s(self, instance: Any) -> int:
        """The earliest word."""
        return int(instance.shortest.total_seconds())

    def get_longest_s(self, instance: Any) -> int:
        """The latest first word."""
        return int(instance.longest.total_seconds())


class LeadShape(Shape[Any]):
    """How long after the crowd a provider speaks, over the outages that were neither rejected nor merged."""

    outages = serializers.IntegerField(help_text="Outages of its services; echoes of others' are none.")
    spoken = serializers.IntegerField(help_text="Of these it has spoken, as far as we know; a denial does not count.")
    never = serializers.IntegerField(help_text="Of these it had said nothing when they were over.")
    first = serializers.IntegerField(help_text="Of these it spoke before we had detected them.")
    onset = SpreadShape(allow_null=True, help_text="From the estimated onset to its first word.")
    detection = SpreadShape(allow_null=True, help_text="From our detection to its first word: the crowd's lead.")


class ProviderShape(Shape[Any]):
    """Who runs services."""

    slug = serializers.CharField()
    name = serializers.CharField()
    country = serializers.CharField(allow_blank=True, help_text="ISO 3166-1; empty where none is on record.")
    homepage = serializers.CharField(allow_blank=True)
    status_url = serializers.CharField(allow_blank=True, help_text="Its own status page.")
    services = serializers.ListField(child=serializers.CharField(), help_text="Slugs of what it runs.")
    lead = LeadShape()


# --- incidents --------------------------------------------------------------------------------------------------------


class EvidenceShape(Shape[Any]):
    """The figures that a decision rests on; the methodology page explains each."""

    id = serializers.IntegerField()
    decision = serializers.CharField()
    decided_at = serializers.DateTimeField()
    region = serializers.CharField(allow_null=True)
    observed = serializers.IntegerField(help_text="Reports in the window.")
    expected = serializers.FloatField(help_text="Reports expected in the window.")
    log10_p = serializers.FloatField(help_text="Base-10 logarithm of the probability of so many by chance.")
    threshold = serializers.FloatField(
        allow_null=True, help_text="What `log10_p` had to pass; null where another test decided."
    )
    window_minutes = serializers.IntegerField()
    window_end_at = serializers.DateTimeField()
    level = serializers.CharField()
    rule = serializers.CharField()
    networks = serializers.IntegerField(allow_null=True, help_text="Distinct networks among the reports.")
    largest_network = serializers.IntegerField(
        allow_null=True, help_text="Reports of the network that sent the most; null where nobody could count them."
    )
    largest_share = serializers.FloatField(allow_null=True, help_text="The same as a share of `observed`.")
    working = serializers.IntegerField()
    baseline_version = serializers.CharField(allow_blank=True)
    detector_version = serializers.CharField()
    figures = serializers.DictField(child=serializers.FloatField(), help_text="Figures that only some rules have.")


class SiblingShape(Shape[Any]):
    """Another service of the provider that was checked."""

    service = _SlugField()
    state = serializers.CharField(help_text="`normal`, `down` or `echo`.")
    observed = serializers.IntegerField()
    expected = serializers.FloatField()
    window_minutes = serializers.IntegerField()
    incident = serializers.CharField(allow_null=True)


class StatementShape(Shape[Any]):
    """What the provider said."""

    said_at = serializers.DateTimeField()
    meaning = serializers.CharField(help_text="`acknowledged`, `update`, `restored` or `denied`.")
    text = serializers.CharField()
    url = serializers.CharField(allow_blank=True)
    region = _CodeField(allow_null=True)
    revised_text = serializers.CharField(
        allow_blank=True, help_text="What the provider's page says in its place by now; empty where it was not changed."
    )
    revised_at = serializers.DateTimeField(allow_null=True, help_text="When we saw that it had been changed.")


class IncidentShape(Shape[Any]):
    """One outage of one service."""

    ref = serializers.CharField()
    service = _SlugField()
    provider = serializers.CharField(source="service.provider")
    group = serializers.CharField(allow_null=True, help_text="Incidents with the same key belong together.")
    group_incidents = serializers.ListField(child=serializers.CharField(), help_text="The others of the group.")
    scope = serializers.CharField(allow_blank=True)
    state = serializers.ChoiceField(choices=INCIDENT_STATES)
    review = serializers.ChoiceField(choices=REVIEWS)
    rejected_reason = serializers.CharField(allow_blank=True)
    confidence = serializers.FloatField(
        help_text="Probability that it is real, 0 to 1; `calibration/` says how such figures were kept."
    )
    onset_at = serializers.DateTimeField(help_text="Estimated backwards.")
    detected_at = serializers.DateTimeField()
    acknowledged_at = serializers.DateTimeField(allow_null=True, help_text="The provider's first word on it.")
    peak_at = serializers.DateTimeField(allow_null=True)
    peak_reports = serializers.IntegerField()
    first_restored_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    duration_s = serializers.SerializerMethodField(help_text="From onset to resolution, in seconds; null while open.")
    reports = serializers.IntegerField(help_text="`down` reports in its regions, from onset to resolution or so far.")
    working = serializers.IntegerField()
    currently_affected_regions = serializers.ListField(child=_CodeField(), source="currently_affected")
    previously_affected_regions = serializers.ListField(child=_CodeField(), source="previously_affected")
    siblings = SiblingShape(many=True)
    echo_of = serializers.CharField(allow_null=True, help_text="Ref of the incident that explains it.")
    merged_into = serializers.CharField(allow_null=True)
    statements = StatementShape(many=True)
    evidence = EvidenceShape(allow_null=True)

    def get_duration_s(self, instance: Any) -> int | None:
        """The duration in seconds."""
        return None if instance.duration is None else int(instance.duration.total_seconds())


def incident_json(incident: IncidentStatus) -> dict[str, Any]:
    """An incident in the form of :class:`IncidentShape`, for who sends it elsewhere."""
    return dict(json.loads(JSONRenderer().render(IncidentShape(incident).data)))


class CalibrationBandShape(Shape[Any]):
    """Incidents told with a confidence from `low` to below `high`."""

    low = serializers.FloatField()
    high = serializers.FloatField(help_text="The last band includes it.")
    incidents = serializers.IntegerField()
    told = serializers.FloatField(help_text="Mean confidence told.")
    real = serializers.IntegerField(help_text="How many were outages.")
    share = serializers.FloatField(help_text="The share that were.")
    least = serializers.FloatField(help_text="Beginning of the share's 95 % interval (Wilson).")
    most = serializers.FloatField(help_text="End of the share's 95 % interval.")


class CalibrationFiguresShape(Shape[Any]):
    """How well the confidences of some incidents were kept."""

    incidents = serializers.IntegerField()
    real = serializers.IntegerField()
    brier = serializers.FloatField(help_text="Brier score: mean square of confidence less truth; less is better.")
    skill = serializers.FloatField(allow_null=True, help_text="1 less Brier score per uncertainty.")
    reliability = serializers.FloatField()
    resolution = serializers.FloatField()
    uncertainty = serializers.FloatField(help_text="Brier score of whoever always tells the base rate.")
    bands = CalibrationBandShape(many=True)


class CalibrationSuiteShape(Shape[Any]):
    """One simulated crowd."""

    suite = serializers.CharField()
    seeds = serializers.ListField(child=serializers.IntegerField())
    days = serializers.IntegerField(help_text="Simulated per seed.")
    opening = CalibrationFiguresShape(allow_null=True, help_text="Confidences as told at the opening.")
    later = CalibrationFiguresShape(allow_null=True, help_text="Confidences as last told.")


class CalibrationShape(Shape[Any]):
    """Whether confidence keeps its word."""

    made_on = serializers.DateField(help_text="When the simulated figures were measured.")
    detector_version = serializers.CharField()
    current = serializers.BooleanField(help_text="False where the simulated figures are another detector's.")
    suites = CalibrationSuiteShape(many=True, help_text="The first is what confidence is judged by.")
    reviewed = CalibrationFiguresShape(allow_null=True, help_text="This site's confirmed and rejected incidents.")
    enough_reviewed = serializers.BooleanField(help_text="False: too few to say anything.")
    needed_reviewed = serializers.IntegerField()
    shift = serializers.FloatField(help_text="What reviews add to the log odds of every confidence; 0 while too few.")


class RelapseShape(Shape[Any]):
    """A restoration that did not hold."""

    restored_at = serializers.DateTimeField()
    declared_at = serializers.DateTimeField()
    basis = serializers.CharField()
    reopened_at = serializers.DateTimeField()


class RegionalOutageShape(Shape[Any]):
    """The incident in one region."""

    region = _CodeField()
    region_name = serializers.CharField(source="region.name")
    state = serializers.ChoiceField(choices=OUTAGE_STATES)
    onset_at = serializers.DateTimeField()
    detected_at = serializers.DateTimeField()
    peak_at = serializers.DateTimeField(allow_null=True)
    peak_reports = serializers.IntegerField()
    recovering_at = serializers.DateTimeField(allow_null=True)
    unknown_at = serializers.DateTimeField(allow_null=True)
    restored_at = serializers.DateTimeField(allow_null=True, help_text="When it came back, estimated.")
    restored_low = serializers.DateTimeField(allow_null=True, help_text="Beginning of the 90 % interval.")
    restored_high = serializers.DateTimeField(allow_null=True, help_text="End of the 90 % interval.")
    declared_at = serializers.DateTimeField(allow_null=True, help_text="When we said so.")
    basis = serializers.CharField(allow_blank=True, help_text="`votes`, `rate`, `statement` or `admin`.")
    relapses = RelapseShape(many=True)
    reports = serializers.IntegerField(help_text="From its onset to the end of the incident, or so far.")
    working = serializers.IntegerField()
    networks = serializers.IntegerField()
    evidence = EvidenceShape(allow_null=True)


class TimelineSourceShape(Shape[Any]):
    """Where a fact comes from."""

    type = serializers.ChoiceField(choices=SOURCES, source="source_type")
    url = serializers.CharField(allow_blank=True, source="source_url")
    evidence = EvidenceShape(allow_null=True)


class TimelineLineShape(Shape[Any]):
    """One dated fact."""

    at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField(help_text="When we knew it.")
    kind = serializers.CharField()
    region = _CodeField(allow_null=True)
    text = serializers.CharField()
    source = TimelineSourceShape(source="*")  # type: ignore[assignment]


class ProblemShareShape(Shape[Any]):
    """A problem, how many reports of an incident name it, and their share of those that name any."""

    problem = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    reports = serializers.IntegerField()
    share = serializers.FloatField()


class IncidentProblemsShape(Shape[Any]):
    """What people said fails."""

    said = serializers.IntegerField(help_text="Reports that name a problem.")
    silent = serializers.IntegerField(help_text="Reports that name none.")
    problems = serializers.SerializerMethodField(help_text="The most named first.")

    @extend_schema_field(ProblemShareShape(many=True))
    def get_problems(self, instance: Any) -> list[dict[str, Any]]:
        """Each with its share."""
        return [
            {"problem": choice.slug, "label": choice.label, "reports": n, "share": round(n / instance.said, 6)}
            for choice, n in instance.named
        ]


# --- reports ----------------------------------------------------------------------------------------------------------


class ReportShape(Shape[Any]):
    """One person's statement about a service, here and now."""

    service = serializers.CharField(max_length=100, help_text="Slug, name or alias.")
    region = serializers.CharField(max_length=100, help_text="ISO 3166-1 or 3166-2 code, or a known alias of it.")
    kind = serializers.ChoiceField(choices=REPORT_KINDS, default="down")
    problem = serializers.CharField(required=False, allow_null=True, help_text="A slug of the service's problems.")
    id = serializers.UUIDField(
        required=False, allow_null=True, help_text="Your own: sent again, it gets the same answer and counts once."
    )
    altcha = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=1000,
        help_text="The solution of a challenge, where one was asked for.",
    )


class ChallengeShape(Shape[Any]):
    """Some work to be done for a report, in the shape of ALTCHA."""

    algorithm = serializers.ChoiceField(choices=["SHA-256"])
    challenge = serializers.CharField(help_text="The hash to be found, in hexadecimal.")
    maxNumber = serializers.IntegerField(help_text="The number to be found is not greater.")
    salt = serializers.CharField(help_text="Stands before the number in what is hashed. Says when the challenge ends.")
    signature = serializers.CharField()


class ProofNeededShape(Shape[Any]):
    """A report that is taken in once a challenge is solved."""

    detail = serializers.CharField()
    code = serializers.ChoiceField(choices=["proof_needed"])
    challenge = ChallengeShape()


class AcceptedShape(Shape[Any]):
    """A report that is on disk."""

    id = serializers.UUIDField()
    service = serializers.CharField()
    region = serializers.CharField()
    kind = serializers.ChoiceField(choices=REPORT_KINDS)
    problem = serializers.CharField(allow_null=True)
    received_at = serializers.DateTimeField()
    receipt = serializers.CharField(help_text="Proves later that this report was yours.")


class BatchItemShape(ReportShape):
    """One report of many."""

    # A key has a limit of its own, and is never asked.
    altcha = None  # type: ignore[assignment]  # how DRF leaves a field out
    id = serializers.UUIDField(help_text="Your own for each report: sent again within a day, it counts once.")
    occurred_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="When it happened, with its offset: at most 24 hours ago. Counts in that minute. Absent: now.",
    )
    reporter = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=100,
        help_text="Opaque text that tells people apart; turned into a keyed pseudonym at once, never stored. Absent: "
        "each item is a person of its own.",
    )
    network = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=100,
        help_text="Opaque text that tells their networks apart; treated likewise. Absent: all are of yours.",
    )


class RejectedShape(Shape[Any]):
    """An item that is no report."""

    index = serializers.IntegerField(min_value=0, help_text="Its place among the items, from 0. Blank lines are none.")
    # The metaclass takes it out of the class: what a serializer calls its errors stays.
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField())
    )


class BatchShape(Shape[Any]):
    """What became of the items: of those that are not rejected each is on disk."""

    accepted = serializers.IntegerField(min_value=0)
    duplicates = serializers.IntegerField(min_value=0, help_text="Accepted before, or for the same reporter and hour.")
    rejected = RejectedShape(many=True)


class BatchStoppedShape(BatchShape):
    """The call ended before its items did; what was accepted by then stands."""

    detail = serializers.CharField()
