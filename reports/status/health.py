"""Our own health: whether what the site says can be trusted right now, and what a replaying site says of itself."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache

import redis
from django.conf import settings
from django.db import DatabaseError, OperationalError
from django.db.models import Count, Min, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from redis.backoff import NoBackoff
from redis.retry import Retry

from reports import clock, scenarios
from reports.intake import coalescer, standby
from reports.models import DetectorState, DrainBatch, InboxBlock
from reports.status import snapshots
from reports.status.answers import PublishedFigure, Readiness, ScenarioBanner

# A cycle runs every ten seconds and sees a minute soon after its end; three missed minutes are a fault.
STALE_AFTER = timedelta(minutes=3)
# Accepted reports wait a second or two for the drain.
UNDRAINED_AFTER = timedelta(minutes=1)
PING_SECONDS = 1.0


def is_stale(now: datetime) -> bool:
    """Whether detection has seen too little of late (or nothing yet) for "normal" to be said."""
    minute = snapshots.version().watched_minute
    return minute is None or real(now - minute) - timedelta(minutes=1) > STALE_AFTER


def counted_until() -> datetime | None:
    """The end of the last minute that detection has seen: what the site says is of then. ``None`` before the first."""
    minute = snapshots.version().watched_minute
    return None if minute is None else minute + timedelta(minutes=1)


def real(age: timedelta) -> timedelta:
    """``age`` by the site's clock, in real time: a replay's minutes pass quicker."""
    scenario = clock.scenario()
    return age / scenario.speed if scenario and scenario.speed > 1 else age


def readiness(*, now: datetime) -> Readiness:
    """Asked anew each time, never kept. Raises nothing: what does not answer is a problem in the answer."""
    problems: list[str] = []
    drained = watched = waiting_since = None
    blocks = broken = 0
    database = True
    try:
        if coalescer.database_is_away():
            # One that has stopped would keep the question, too.
            raise OperationalError
        drained = DrainBatch.objects.order_by("-id").values_list("drained_at", flat=True).first()
        watched = DetectorState.objects.values_list("minute", flat=True).first()
        waiting = Q(broken_at=None, drained_at=None)
        lying = InboxBlock.objects.aggregate(
            blocks=Count("id", filter=waiting), since=Min("written_at", filter=waiting), broken=Count("broken_at")
        )
        blocks, waiting_since, broken = lying["blocks"], lying["since"], lying["broken"]
    except DatabaseError:
        database = False
        problems.append(_("The database does not answer."))
    held = None
    with suppress(redis.RedisError):
        held = standby.waiting(_broker())
    broker = held is not None
    if held is None:
        problems.append(_("The broker does not answer."))
    elif held.since is not None:
        problems.append(
            _("Accepted reports are held in the broker, for {time} now.").format(time=_words(now - held.since))
        )
    watch_age = real(now - watched - timedelta(minutes=1)) if watched else None
    if database and watch_age is None:
        problems.append(_("Detection has not looked at anything yet."))
    elif watch_age is not None and watch_age > STALE_AFTER:
        problems.append(_("Detection has not looked for {time}.").format(time=_words(watch_age)))
    if waiting_since is not None and real(now - waiting_since) > UNDRAINED_AFTER:
        waited = _words(real(now - waiting_since))
        problems.append(_("Accepted reports have waited {time} to be counted.").format(time=waited))
    return Readiness(
        ready=not problems,
        at=now,
        database=database,
        broker=broker,
        last_drain_age=real(now - drained) if drained else None,
        last_watch_age=watch_age,
        inbox_blocks=blocks,
        problems=tuple(problems),
        broken_blocks=broken + (held.broken if held else 0),
        held_blocks=held.blocks if held else 0,
        held_since=held.since if held else None,
    )


@cache
def _broker() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=PING_SECONDS,
        socket_connect_timeout=PING_SECONDS,
        # Its own repeated attempts would take seconds.
        retry=Retry(NoBackoff(), 0),
    )


def _words(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    seconds = int(age.total_seconds())
    if minutes > 1:
        return ngettext("{n} minute", "{n} minutes", minutes).format(n=minutes)
    return ngettext("{n} second", "{n} seconds", seconds).format(n=seconds)


def scenario_banner() -> ScenarioBanner | None:
    """What a replaying site says on every page; ``None`` on an ordinary site."""
    current = clock.scenario()
    if current is None:
        return None
    plan = scenarios.read(current.slug)
    return ScenarioBanner(
        slug=plan.slug,
        title=plan.title,
        summary=plan.summary,
        day=plan.watch_from.date(),
        speed=current.speed,
        volume_scale=current.volume_scale,
        published=tuple(PublishedFigure(row["what"], row["figure"], row["source"]) for row in plan.published),
        chosen=plan.chosen,
    )
