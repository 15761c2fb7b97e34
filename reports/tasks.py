"""What runs by the clock: each task is a call or two to other modules, reads the site's clock, and may run twice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from celery import shared_task
from django.conf import settings

from reports import clock, partitions
from reports.api.serializers import incident_json
from reports.audience import alerts, deliveries, returns, tally
from reports.hearing import listen
from reports.incidents import watch as watching
from reports.incidents import what_if as asking
from reports.intake import catalogue, guard, recovery
from reports.intake.drain import drain as drain_once
from reports.models import Delivery, Wish

TELL_SECONDS = 8.0
# Of a queue that copies the site every minute, too.
HEAR_SECONDS = 20.0
# A run ends about when the next one is due: a long one would hold up what waits behind it in the queue.
DRAIN_SECONDS = 5.0


@shared_task(name="reports.tasks.drain")
def drain() -> None:
    """Moves what waits in the broker and in the inbox into the tables, as much as fits into a few seconds."""
    end = time.monotonic() + DRAIN_SECONDS
    more = True
    while more and time.monotonic() < end:
        recovered, drained = recovery.recover(), drain_once(now=clock.now())
        more = bool(recovered + drained.blocks)
        if drained.blocks:
            tally.add("drained_reports", drained.reports)
            tally.add("counted_reports", drained.counted)
    if recovery.is_over(clock.now()):
        guard.forget(clock.now())


@shared_task(name="reports.tasks.watch")
def watch() -> None:
    """One detection cycle, once what was held while the database was away is counted."""
    now = clock.now()
    found = recovery.look()
    if not found.to_be_waited_for:
        began = time.monotonic()
        watching.watch(now=now, held_since=found.since)
        took = time.monotonic() - began
        tally.add("watch_runs")
        tally.add("watch_run_seconds", took)
        tally.note("watch_seconds", took)


@shared_task(name="reports.tasks.keep_partitions")
def keep_partitions() -> None:
    """Makes the partitions of the coming days and drops those past retention; the broker may have been emptied."""
    partitions.keep(clock.now(), settings.RETENTION_DAYS)
    catalogue.keep()


@shared_task(name="reports.tasks.refit_baseline")
def refit_baseline() -> None:
    """Fits the baseline anew to the history of counts."""
    watching.refit(now=clock.now())


@shared_task(name="reports.tasks.answer_what_if")
def answer_what_if(pk: int) -> None:
    """Works out what other settings would have done."""
    asking.work(pk, now=clock.now, seconds=time.monotonic)


@shared_task(name="reports.tasks.tell")
def tell() -> None:
    """Tells those who wished to know what has come true, as many as fit into a few seconds."""
    deliveries.tidy(now=_real_now())
    alerts.tidy(now=_real_now(), site=clock.now())
    returns.find(now=_real_now(), site=clock.now())
    alerts.find(now=_real_now(), site=clock.now(), incident_json=incident_json)
    deliveries.send_due(compose=_message, now=_real_now, seconds=TELL_SECONDS)


@shared_task(name="reports.tasks.fetch_statements")
def fetch_statements() -> None:
    """Asks providers' status pages what they say. Not in a replay: they speak of today, the site of another day."""
    if settings.REPLAY:
        return
    heard = listen.listen(now=clock.now, seconds=HEAR_SECONDS)
    tally.add("status_pages_asked", heard.asked)
    tally.add("status_pages_failed", heard.failed)


def _message(delivery: Delivery) -> Mapping[str, Any] | None:
    if delivery.subscription.wish == Wish.BACK:
        return returns.message(delivery, site=clock.now())
    return alerts.message(delivery)


def _real_now() -> datetime:
    """The time outside, which a replaying site's messages live by too: push services know no other."""
    return datetime.now(UTC)
