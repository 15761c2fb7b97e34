"""``/metrics`` for Prometheus: our own health, and the state of every service.

Counters come from :mod:`reports.audience.tally` and hold for all processes together; everything else is read now.
The number of series is bounded by the number of services.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address

import redis
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from reports import status
from reports.audience import tally
from reports.intake import guard
from reports.models import Quarantine

CONTENT_TYPE = CONTENT_TYPE_LATEST
QUEUES = ("drain", "watch", "tell", "slow")
STATES = ("normal", "down", "recovering", "unknown")


def may_read(request: HttpRequest) -> bool:
    """Whether whoever asks is in ``METRICS_NETWORKS``, by default this machine.

    What a proxy passes on comes from elsewhere, even if the proxy runs here and is not among ``TRUSTED_PROXIES``.
    """
    headers = request.headers
    address = guard.request_client(request)[0]
    peer = guard.client_address(request.META.get("REMOTE_ADDR") or "", ())
    passed_on = "X-Forwarded-For" in headers or "Forwarded" in headers
    if passed_on and address == peer:
        return False
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found.version == network.version and found in network for network in settings.METRICS_NETWORKS)


def text(*, now: datetime) -> bytes:
    """Everything, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything(now))
    return generate_latest(registry)


class _Everything(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: what there is is known when it is read."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families, each of them read now. What does not answer is left out, and ``outagemap_ready`` is 0."""
        yield from _health(self._now)
        with suppress(redis.RedisError):
            yield from _counters()
        with suppress(DatabaseError):
            yield from _outages(self._now)


def _gauge(name: str, words: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(f"outagemap_{name}", words, value=value)


def _health(now: datetime) -> Iterator[Metric]:
    found = status.readiness(now=now)
    yield from _gauge("ready", "1 while everything works that an answer about the present rests on.", found.ready)
    yield from _gauge("database_up", "1 while the database answers.", found.database)
    yield from _gauge("broker_up", "1 while the broker answers.", found.broker)
    for name, words, age in (
        ("drain_age_seconds", "Time since reports were last moved from the inbox to the counts.", found.last_drain_age),
        ("watch_age_seconds", "Time since the end of the last minute that was watched.", found.last_watch_age),
    ):
        yield from _gauge(name, words, age.total_seconds() if age is not None else None)
    yield from _gauge("inbox_blocks", "Blocks of accepted reports that wait to be counted.", found.inbox_blocks)
    yield from _gauge("inbox_broken_blocks", "Blocks set aside because they cannot be read.", found.broken_blocks)
    yield from _gauge("broker_held_blocks", "Blocks held while the database is away.", found.held_blocks)


def _counters() -> Iterator[Metric]:
    counted, latest = tally.sums()

    def of(family: str) -> list[tuple[list[str], float]]:
        found = ((name.split("/"), value) for name, value in counted.items())
        return [(labels[1:], value) for labels, value in sorted(found) if labels[0] == family]

    intake = CounterMetricFamily(
        "outagemap_intake_answers",
        "Answers to those who sent reports, by the way they came and by what became of it.",
        labels=["way", "result"],
    )
    for labels, value in of("intake"):
        intake.add_metric(labels, value)
    yield intake
    answers = CounterMetricFamily(
        "outagemap_http_responses", "Answers to all requests, by class of their status.", labels=["class"]
    )
    for labels, value in of("http"):
        answers.add_metric(labels, value)
    yield answers
    for name, words in (
        ("drained_reports", "Reports moved to the tables."),
        ("counted_reports", "Reports among them that count."),
        ("watch_runs", "Runs of detection."),
        ("watch_run_seconds", "Time spent in runs of detection."),
        ("status_pages_asked", "Times that a provider's status page was asked."),
        ("status_pages_failed", "Times among them that it gave nothing that could be read."),
    ):
        yield CounterMetricFamily(f"outagemap_{name}", words, value=counted.get(name, 0))
    yield from _gauge("watch_last_run_seconds", "How long the last run of detection took.", latest.get("watch_seconds"))
    depth = GaugeMetricFamily("outagemap_queue_tasks", "Tasks that wait for a worker.", labels=["queue"])
    for queue, waiting in tally.waiting(QUEUES).items():
        depth.add_metric([queue], waiting)
    yield depth


def _outages(now: datetime) -> Iterator[Metric]:
    aside = Quarantine.objects.filter(released_at=None).values_list("reports", flat=True)
    yield from _gauge("held_reports", "Reports set aside for their shape, and not released.", sum(aside))
    services = status.services(now=now)
    state = GaugeMetricFamily(
        "outagemap_service_state", "1 for the state that a service is in, else 0.", labels=["service", "state"]
    )
    down = GaugeMetricFamily(
        "outagemap_service_regions_down", "Regions in which a service is down.", labels=["service"]
    )
    people = GaugeMetricFamily(
        "outagemap_service_people_affected",
        "People living where a service is down or recovering, estimated.",
        labels=["service"],
    )
    reports = GaugeMetricFamily(
        "outagemap_service_reports_last_hour", "Counted reports of the last hour.", labels=["service"]
    )
    for each in services:
        slug = each.link.slug
        for name in STATES:
            state.add_metric([slug, name], each.state == name)
        down.add_metric([slug], each.regions_down)
        people.add_metric([slug], each.people_affected)
        reports.add_metric([slug], each.reports_last_hour)
    yield from (state, down, people, reports)
    confidence = GaugeMetricFamily(
        "outagemap_incident_confidence",
        "Of the incident of a service that goes on: the probability that it is real.",
        labels=["service"],
    )
    # Where one was split, several of a service go on: a series that comes twice makes Prometheus refuse all of them.
    surest: dict[str, float] = {}
    for going_on in ("open", "recovering"):
        for incident in status.incidents(state=going_on, limit=1000).results:
            slug = incident.service.slug
            surest[slug] = max(incident.confidence, surest.get(slug, 0))
    for slug, value in surest.items():
        confidence.add_metric([slug], value)
    yield confidence
    yield from _leads()


def _leads() -> Iterator[Metric]:
    lead = GaugeMetricFamily(
        "outagemap_provider_lead_seconds",
        "Median time from our detection of an outage to the provider's first word; negative where it spoke before.",
        labels=["provider"],
    )
    outages = GaugeMetricFamily(
        "outagemap_provider_outages",
        "Outages of a provider's services by its word on them: before us (first), after (later), none when it was over "
        "(never), none yet (open).",
        labels=["provider", "word"],
    )
    for provider in status.providers():
        found = provider.lead
        # Not a number where there is none: series do not come and go.
        median = found.detection.median.total_seconds() if found.detection else math.nan
        lead.add_metric([provider.slug], median)
        words = {"first": found.first, "later": found.spoken - found.first, "never": found.never}
        for word, number in {**words, "open": found.outages - found.spoken - found.never}.items():
            outages.add_metric([provider.slug, word], number)
    yield from (lead, outages)
