"""The JSON shapes of the answers. They rename and pick; every figure is made in ``reports.status``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from reports.incidents.timeline import EntryKind
from reports.status.answers import IncidentStatus, MapStatus, RegionState, ShownRegion

STATES = ("normal", "down", "recovering", "restored", "unknown")
SERVICE_STATES = ("normal", "down", "recovering", "unknown")
OUTAGE_STATES = ("down", "recovering", "restored", "unknown")
SCOPES = ("product", "several products", "provider-wide", "network", "upstream suspected")
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
    name = serializers.CharField(help_text="English name.")
    parent = serializers.CharField(  # type: ignore[assignment]
        allow_null=True, help_text="The code of the region above; null for the world."
    )
    kind = serializers.ChoiceField(
        choices=REGION_KINDS, help_text="World, country, nation (of a country made of nations) or subdivision."
    )
    population = serializers.IntegerField(allow_null=True, help_text="People who live there; null where nobody says.")
    population_estimated = serializers.BooleanField(
        help_text="True where the figure is shared out by settlements, not published for this region."
    )


# --- services ---------------------------------------------------------------------------------------------------------


class ServiceShape(Shape[Any]):
    """The present of one service."""

    slug = serializers.CharField(source="link.slug", help_text="What addresses name it by.")
    name = serializers.CharField(source="link.name", help_text="What people call it.")
    provider = serializers.CharField(source="link.provider", help_text="Slug of who runs it.")
    category = serializers.CharField(source="link.category", help_text="Slug of its category.")
    state = serializers.ChoiceField(
        choices=SERVICE_STATES, help_text="`unknown` while nobody watches: silence is never `normal`."
    )
    since = serializers.DateTimeField(allow_null=True, help_text="Estimated onset of the open incident.")
    regions_down = serializers.IntegerField(help_text="Regions in which it is down now.")
    people_affected = serializers.IntegerField(help_text="People living where it is down or recovering (estimate).")
    reports_last_hour = serializers.IntegerField(help_text="Counted `down` reports of the last 60 whole minutes.")
    baseline_last_hour = serializers.FloatField(help_text="Reports expected in the same minutes.")
    working_last_hour = serializers.IntegerField(help_text='Counted "works again" reports of the same minutes.')
    incident = serializers.CharField(allow_null=True, help_text="Ref of the open incident.")
    echo_of = _SlugField(allow_null=True, help_text="The service whose outage explains this one's reports.")


class RegionStateShape(Shape[Any]):
    """One region of one service."""

    region = _CodeField(help_text="Code of the region.")
    region_name = serializers.CharField(source="region.name", help_text="English name.")
    state = serializers.ChoiceField(choices=STATES, help_text="State of the region.")
    since = serializers.DateTimeField(allow_null=True, help_text="Since when it is in this state; null while normal.")
    reports = serializers.IntegerField(help_text="Counted `down` reports of the last 60 whole minutes.")
    expected = serializers.FloatField(help_text="Reports expected in the same minutes.")
    ratio = serializers.FloatField(
        allow_null=True, help_text="Reports per expected report; null where next to nothing was expected."
    )


class ProblemCountShape(Shape[Any]):
    """A problem and how many named it in the last hour."""

    problem = serializers.CharField(help_text="Slug of the problem.")
    label = serializers.CharField(help_text="English name.")  # type: ignore[assignment]
    reports = serializers.IntegerField(help_text="Reports of the last hour that name it.")

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

    service = serializers.CharField(help_text="Slug of the service.")
    region = serializers.CharField(help_text="Code of the region, with all that lies in it.")
    start = serializers.DateTimeField(help_text="Beginning of the first step, UTC.")
    step = serializers.SerializerMethodField(help_text="Seconds.")
    reports = serializers.ListField(child=serializers.IntegerField(), help_text="Counted `down` reports of each step.")
    working = serializers.ListField(
        child=serializers.IntegerField(), help_text='Counted "works again" reports of each step.'
    )
    expected = serializers.ListField(child=serializers.FloatField(), help_text="Reports expected in each step.")
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

    state = serializers.ChoiceField(choices=OUTAGE_STATES, help_text="State at `at`.")
    since = serializers.DateTimeField(allow_null=True, help_text="Since when, UTC.")
    reports = serializers.IntegerField(help_text="Of the 60 minutes before `at`.")
    expected = serializers.FloatField(help_text="Reports expected in the same minutes.")
    ratio = serializers.FloatField(allow_null=True, help_text="Null where next to nothing was expected.")
    covered_by = serializers.CharField(
        allow_null=True, help_text="The region above whose state it takes; null where it was decided for itself."
    )


class MapShape(Shape[Any]):
    """The regions that are not normal."""

    at = serializers.DateTimeField(help_text="The instant that is shown, UTC.")
    version = serializers.CharField(help_text="Changes when any region does.")
    regions = serializers.DictField(child=MapRegionShape(), help_text="By code of the region.")


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

    type = serializers.ChoiceField(choices=["MultiPolygon"], help_text="Always the same.")
    coordinates = serializers.ListField(
        child=serializers.ListField(
            child=serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))
        ),
        help_text="Polygons of rings of pairs: degrees east, degrees north (WGS 84).",
    )


class FeaturePropertiesShape(Shape[Any]):
    """What is known of a region at the instant."""

    region = serializers.CharField(help_text="Code of the region.")
    name = serializers.CharField(help_text="English name.")
    state = serializers.ChoiceField(choices=OUTAGE_STATES, help_text="State at the instant.")
    since = serializers.DateTimeField(help_text="Since when, UTC.")
    covered_by = serializers.CharField(allow_null=True, help_text="The region above whose state it takes.")


class FeatureShape(Shape[Any]):
    """One region."""

    type = serializers.ChoiceField(choices=["Feature"], help_text="Always the same.")
    id = serializers.CharField(help_text="Code of the region.")
    properties = FeaturePropertiesShape(help_text="What is known of it.")
    geometry = GeometryShape(help_text="Its outline.")


class ShapesShape(Shape[Any]):
    """GeoJSON (RFC 7946) of the regions that were not normal."""

    type = serializers.ChoiceField(choices=["FeatureCollection"], help_text="Always the same.")
    at = serializers.DateTimeField(help_text="The instant that is shown.")
    features = FeatureShape(many=True, help_text="One for each region.")


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

    slug = serializers.CharField(help_text="What addresses name it by.")
    name = serializers.CharField(help_text="What people call it.")
    country = serializers.CharField(allow_blank=True, help_text="ISO 3166-1; empty where none is on record.")
    homepage = serializers.CharField(allow_blank=True, help_text="Its own site; empty where none is on record.")
    status_url = serializers.CharField(allow_blank=True, help_text="Its own status page.")
    services = serializers.ListField(child=serializers.CharField(), help_text="Slugs of what it runs.")
    lead = LeadShape(help_text="How long before the provider's own word people's reports told of its outages.")


# --- incidents --------------------------------------------------------------------------------------------------------


class EvidenceShape(Shape[Any]):
    """The figures that a decision rests on; the methodology page explains each."""

    id = serializers.IntegerField(help_text="Number of the evidence.")
    decision = serializers.CharField(help_text="What was decided, such as `opened` or `restored`.")
    decided_at = serializers.DateTimeField(help_text="UTC.")
    region = serializers.CharField(allow_null=True, help_text="Code of the region; null where it is about all of them.")
    observed = serializers.IntegerField(help_text="Reports in the window.")
    expected = serializers.FloatField(help_text="Reports expected in the window.")
    log10_p = serializers.FloatField(help_text="Base-10 logarithm of the probability of so many by chance.")
    threshold = serializers.FloatField(
        allow_null=True, help_text="What `log10_p` had to pass; null where another test decided."
    )
    window_minutes = serializers.IntegerField(help_text="Length of the window in minutes.")
    window_end_at = serializers.DateTimeField(help_text="End of the window, exclusive, UTC.")
    level = serializers.CharField(help_text="On which level it was decided: region, country or world.")
    rule = serializers.CharField(help_text="Name of the test that decided.")
    networks = serializers.IntegerField(allow_null=True, help_text="Distinct networks among the reports.")
    largest_network = serializers.IntegerField(
        allow_null=True, help_text="Reports of the network that sent the most; null where nobody could count them."
    )
    largest_share = serializers.FloatField(allow_null=True, help_text="The same as a share of `observed`.")
    working = serializers.IntegerField(help_text='"Works again" reports in the window.')
    baseline_version = serializers.CharField(
        allow_blank=True, help_text="The fit that `expected` is from; empty where there was none."
    )
    detector_version = serializers.CharField(help_text="The detector that decided.")
    figures = serializers.DictField(child=serializers.FloatField(), help_text="Figures that only some rules have.")


class SiblingShape(Shape[Any]):
    """Another service of the provider that was checked."""

    service = _SlugField(help_text="Slug of the service.")
    state = serializers.CharField(help_text="`normal`, `down` or `echo`.")
    observed = serializers.IntegerField(help_text="Reports in the window.")
    expected = serializers.FloatField(help_text="Reports expected in the window.")
    window_minutes = serializers.IntegerField(help_text="Length of the window in minutes.")
    incident = serializers.CharField(allow_null=True, help_text="Ref of its incident; null without one.")


class StatementShape(Shape[Any]):
    """What the provider said."""

    said_at = serializers.DateTimeField(help_text="When it was said, UTC.")
    meaning = serializers.CharField(help_text="`acknowledged`, `update`, `restored` or `denied`.")
    text = serializers.CharField(help_text="In the provider's own words.")
    url = serializers.CharField(allow_blank=True, help_text="Where it was said; empty where nobody knows.")
    region = _CodeField(allow_null=True, help_text="Code of the region it is about; null for all.")
    revised_text = serializers.CharField(
        allow_blank=True, help_text="What the provider's page says in its place by now; empty where it was not changed."
    )
    revised_at = serializers.DateTimeField(allow_null=True, help_text="When we saw that it had been changed.")


class IncidentShape(Shape[Any]):
    """One outage of one service."""

    ref = serializers.CharField(help_text="What addresses name it by; never changes.")
    service = _SlugField(help_text="Slug of the service.")
    provider = serializers.CharField(source="service.provider", help_text="Slug of who runs it.")
    group = serializers.CharField(allow_null=True, help_text="Incidents with the same key belong together.")
    group_incidents = serializers.ListField(child=serializers.CharField(), help_text="The others of the group.")
    scope = serializers.CharField(
        allow_blank=True,
        help_text="How far it reaches: `product`, `several products`, `provider-wide`, `network` or "
        "`upstream suspected`; empty while unknown.",
    )
    state = serializers.ChoiceField(choices=INCIDENT_STATES, help_text="Open, recovering or resolved.")
    review = serializers.ChoiceField(choices=REVIEWS, help_text="What became of it at the desk.")
    rejected_reason = serializers.CharField(
        allow_blank=True, help_text="Why an administrator rejected it; empty otherwise."
    )
    confidence = serializers.FloatField(
        help_text="Probability that it is real, 0 to 1; `calibration/` says how such figures were kept."
    )
    onset_at = serializers.DateTimeField(help_text="Estimated backwards.")
    detected_at = serializers.DateTimeField(help_text="When we decided that it is one, UTC.")
    acknowledged_at = serializers.DateTimeField(allow_null=True, help_text="The provider's first word on it.")
    peak_at = serializers.DateTimeField(allow_null=True, help_text="Minute of the most reports, UTC.")
    peak_reports = serializers.IntegerField(help_text="Reports in that minute.")
    first_restored_at = serializers.DateTimeField(
        allow_null=True, help_text="When the first region came back, estimated, UTC."
    )
    resolved_at = serializers.DateTimeField(
        allow_null=True, help_text="When the last region was back, UTC; null while open."
    )
    duration_s = serializers.SerializerMethodField(help_text="From onset to resolution, in seconds; null while open.")
    reports = serializers.IntegerField(help_text="`down` reports in its regions, from onset to resolution or so far.")
    working = serializers.IntegerField(help_text='"Works again" reports of the same regions and time.')
    currently_affected_regions = serializers.ListField(
        child=_CodeField(), source="currently_affected", help_text="Codes of the regions that are not back."
    )
    previously_affected_regions = serializers.ListField(
        child=_CodeField(),
        source="previously_affected",
        help_text="Codes of the regions that are back; of a resolved incident all, whether or not it was heard.",
    )
    people_reached = serializers.IntegerField(
        help_text="People living in its regions, those that are back included (estimate); nobody twice."
    )
    siblings = SiblingShape(many=True, help_text="The provider's other services, as they were checked.")
    echo_of = serializers.CharField(allow_null=True, help_text="Ref of the incident that explains it.")
    merged_into = serializers.CharField(allow_null=True, help_text="Ref of the incident that tells the rest.")
    split_from = serializers.CharField(
        allow_null=True, help_text="Ref of the incident that an administrator told these regions apart from."
    )
    statements = StatementShape(many=True, help_text="What the provider said, in order.")
    evidence = EvidenceShape(allow_null=True, help_text="What spoke first for it.")

    def get_duration_s(self, instance: Any) -> int | None:
        """The duration in seconds."""
        return None if instance.duration is None else int(instance.duration.total_seconds())


def incident_json(incident: IncidentStatus) -> dict[str, Any]:
    """An incident in the form of :class:`IncidentShape`, for who sends it elsewhere."""
    return dict(json.loads(JSONRenderer().render(IncidentShape(incident).data)))


class CalibrationBandShape(Shape[Any]):
    """Incidents told with a confidence from `low` to below `high`."""

    low = serializers.FloatField(help_text="Least confidence of the band.")
    high = serializers.FloatField(help_text="The last band includes it.")
    incidents = serializers.IntegerField(help_text="How many were told in it.")
    told = serializers.FloatField(help_text="Mean confidence told.")
    real = serializers.IntegerField(help_text="How many were outages.")
    share = serializers.FloatField(help_text="The share that were.")
    least = serializers.FloatField(help_text="Beginning of the share's 95 % interval (Wilson).")
    most = serializers.FloatField(help_text="End of the share's 95 % interval.")


class CalibrationFiguresShape(Shape[Any]):
    """How well the confidences of some incidents were kept."""

    incidents = serializers.IntegerField(help_text="How many are judged.")
    real = serializers.IntegerField(help_text="How many were outages.")
    brier = serializers.FloatField(help_text="Brier score: mean square of confidence less truth; less is better.")
    skill = serializers.FloatField(allow_null=True, help_text="1 less Brier score per uncertainty.")
    reliability = serializers.FloatField(help_text="Mean square of told confidence less share; less is better.")
    resolution = serializers.FloatField(help_text="How far the bands differ from the base rate; more is better.")
    uncertainty = serializers.FloatField(help_text="Brier score of whoever always tells the base rate.")
    bands = CalibrationBandShape(many=True, help_text="By confidence told.")


class CalibrationSuiteShape(Shape[Any]):
    """One simulated crowd."""

    suite = serializers.CharField(help_text="Name of the crowd.")
    seeds = serializers.ListField(
        child=serializers.IntegerField(), help_text="Seeds of its random numbers: the same seeds, the same crowd."
    )
    days = serializers.IntegerField(help_text="Simulated per seed.")
    opening = CalibrationFiguresShape(allow_null=True, help_text="Confidences as told at the opening.")
    later = CalibrationFiguresShape(allow_null=True, help_text="Confidences as last told.")


class CalibrationShape(Shape[Any]):
    """Whether confidence keeps its word."""

    made_on = serializers.DateField(help_text="When the simulated figures were measured.")
    detector_version = serializers.CharField(help_text="The detector that was measured.")
    current = serializers.BooleanField(help_text="False where the simulated figures are another detector's.")
    suites = CalibrationSuiteShape(many=True, help_text="The first is what confidence is judged by.")
    reviewed = CalibrationFiguresShape(allow_null=True, help_text="This site's confirmed and rejected incidents.")
    enough_reviewed = serializers.BooleanField(help_text="False: too few to say anything.")
    needed_reviewed = serializers.IntegerField(help_text="How many reviewed incidents it takes to say anything.")
    shift = serializers.FloatField(help_text="What reviews add to the log odds of every confidence; 0 while too few.")


class RelapseShape(Shape[Any]):
    """A restoration that did not hold."""

    restored_at = serializers.DateTimeField(help_text="When it had come back, estimated, UTC.")
    declared_at = serializers.DateTimeField(help_text="When we had said so, UTC.")
    basis = serializers.CharField(help_text="What it rested on: `votes`, `rate`, `statement` or `admin`.")
    reopened_at = serializers.DateTimeField(help_text="When it went down again, UTC.")


class RegionalOutageShape(Shape[Any]):
    """The incident in one region."""

    region = _CodeField(help_text="Code of the region.")
    region_name = serializers.CharField(source="region.name", help_text="Name that it had then.")
    state = serializers.ChoiceField(choices=OUTAGE_STATES, help_text="State of the region in this incident.")
    onset_at = serializers.DateTimeField(help_text="Estimated backwards, UTC.")
    detected_at = serializers.DateTimeField(help_text="When we decided so, UTC.")
    peak_at = serializers.DateTimeField(allow_null=True, help_text="Minute of the most reports, UTC.")
    peak_reports = serializers.IntegerField(help_text="Reports in that minute.")
    recovering_at = serializers.DateTimeField(allow_null=True, help_text="When it began to come back, UTC.")
    unknown_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when too little is heard to say anything, UTC."
    )
    restored_at = serializers.DateTimeField(allow_null=True, help_text="When it came back, estimated.")
    restored_low = serializers.DateTimeField(allow_null=True, help_text="Beginning of the 90 % interval.")
    restored_high = serializers.DateTimeField(allow_null=True, help_text="End of the 90 % interval.")
    declared_at = serializers.DateTimeField(allow_null=True, help_text="When we said so.")
    basis = serializers.CharField(allow_blank=True, help_text="`votes`, `rate`, `statement` or `admin`.")
    relapses = RelapseShape(many=True, help_text="Restorations that did not hold, in order.")
    reports = serializers.IntegerField(help_text="From its onset to the end of the incident, or so far.")
    working = serializers.IntegerField(help_text='"Works again" reports of the same time.')
    networks = serializers.IntegerField(help_text="Distinct networks among the reports.")
    evidence = EvidenceShape(allow_null=True, help_text="What spoke first for it, or for its return to being down.")


class TimelineSourceShape(Shape[Any]):
    """Where a fact comes from."""

    type = serializers.ChoiceField(choices=SOURCES, source="source_type", help_text="Who says so.")
    url = serializers.CharField(
        allow_blank=True, source="source_url", help_text="Where it was said; empty where it was said here."
    )
    evidence = EvidenceShape(allow_null=True, help_text="The figures it rests on.")


class TimelineLineShape(Shape[Any]):
    """One dated fact."""

    at = serializers.DateTimeField(help_text="When it happened, UTC.")
    recorded_at = serializers.DateTimeField(help_text="When we knew it.")
    kind = serializers.CharField(
        help_text="What happened. Of regions: "
        + ", ".join(f"`{kind}`" for kind in EntryKind.values if kind.startswith("region_"))
        + "; of the whole: "
        + ", ".join(f"`{kind}`" for kind in EntryKind.values if not kind.startswith("region_"))
        + ". New kinds may be added."
    )
    region = _CodeField(allow_null=True, help_text="Code of the region; null where it is about all of them.")
    text = serializers.CharField(help_text="The fact in words.")
    source = TimelineSourceShape(source="*", help_text="Where it comes from.")  # type: ignore[assignment]


class ProblemShareShape(Shape[Any]):
    """A problem, how many reports of an incident name it, and their share of those that name any."""

    problem = serializers.CharField(help_text="Slug of the problem.")
    label = serializers.CharField(help_text="English name.")  # type: ignore[assignment]
    reports = serializers.IntegerField(help_text="Reports that name it.")
    share = serializers.FloatField(help_text="Of those that name any, 0 to 1.")


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
    kind = serializers.ChoiceField(
        choices=REPORT_KINDS, default="down", help_text="What you say: it is down for you, or it works again."
    )
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

    algorithm = serializers.ChoiceField(choices=["SHA-256"], help_text="Of the hash.")
    challenge = serializers.CharField(help_text="The hash to be found, in hexadecimal.")
    maxNumber = serializers.IntegerField(help_text="The number to be found is not greater.")
    salt = serializers.CharField(help_text="Stands before the number in what is hashed. Says when the challenge ends.")
    signature = serializers.CharField(help_text="Proves that the challenge is ours: send it back.")


class ProofNeededShape(Shape[Any]):
    """A report that is taken in once a challenge is solved."""

    detail = serializers.CharField(help_text="What to do, in words.")
    code = serializers.ChoiceField(choices=["proof_needed"], help_text="The same for programs.")
    challenge = ChallengeShape(help_text="What is to be solved.")


class AcceptedShape(Shape[Any]):
    """A report that is on disk."""

    id = serializers.UUIDField(help_text="Of the report, made here: the same whenever yours is the same.")
    service = serializers.CharField(help_text="Slug of the service that was meant.")
    region = serializers.CharField(help_text="Code of the region that was meant.")
    kind = serializers.ChoiceField(choices=REPORT_KINDS, help_text="As sent.")
    problem = serializers.CharField(allow_null=True, help_text="As sent.")
    received_at = serializers.DateTimeField(help_text="When it came in, UTC.")
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
        child=serializers.ListField(child=serializers.CharField()), help_text="What is wrong with it, by field."
    )


class BatchShape(Shape[Any]):
    """What became of the items: of those that are not rejected each is on disk."""

    accepted = serializers.IntegerField(min_value=0, help_text="Items on disk.")
    duplicates = serializers.IntegerField(min_value=0, help_text="Accepted before, or for the same reporter and hour.")
    rejected = RejectedShape(many=True, help_text="Items that are no reports.")


class BatchStoppedShape(BatchShape):
    """The call ended before its items did; what was accepted by then stands."""

    detail = serializers.CharField(help_text="Why it ended.")
