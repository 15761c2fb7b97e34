"""Asks status pages: when it is time, one after the other, no machine twice in a run, and gently where it fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from reports.audience import outgoing
from reports.hearing import kept, statuspage, syndication
from reports.hearing.kept import Taken
from reports.hearing.updates import Reading, Unreadable
from reports.models import OPEN, Incident, StatusFeed

log = logging.getLogger(__name__)

USUALLY = timedelta(minutes=15)
# While one of the provider's services is down.
IN_AN_OUTAGE = timedelta(minutes=2)
# Doubled with each failure in a row.
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=6)
# Who asks for more than this is asked again after it.
LONGEST_PATIENCE = timedelta(days=1)
JSON_BYTES = 2 * 2**20
# Feeds are slower to read.
XML_BYTES = 2**20


class Silent(Exception):
    """A page gave no document; the message says why. ``wait``: how long it asked not to be asked."""

    def __init__(self, why: str, *, wait: timedelta | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True)
class Round:
    """What one run did."""

    asked: int = 0
    failed: int = 0
    taken: Taken = field(default_factory=Taken)


def listen(*, now: Callable[[], datetime], seconds: float) -> Round:
    """Asks the pages whose time has come, those that waited longest first, until ``seconds`` are over; and attaches
    what waited for an incident that is there by now."""
    end = time.monotonic() + seconds
    asked, failed, hosts = 0, 0, set()
    new, revised, attached = 0, 0, kept.attach_waiting(now=now())
    for feed in due(now()):
        if time.monotonic() >= end:
            break
        host = urlsplit(feed.url).hostname
        if host in hosts or not _claimed(feed, now()):
            continue
        hosts.add(host)
        asked += 1
        taken = hear(feed, now=now())
        if taken is None:
            failed += 1
        else:
            new, revised, attached = new + taken.new, revised + taken.revised, attached + taken.attached
    return Round(asked, failed, Taken(new, revised, attached))


def due(now: datetime) -> list[StatusFeed]:
    """The pages to be asked now, those that were not asked for longest first."""
    going_on = Incident.objects.filter(OPEN, service__provider=OuterRef("provider"))
    feeds = StatusFeed.objects.filter(enabled=True).annotate(in_an_outage=Exists(going_on))
    patient = Q(wait_until=None) | Q(wait_until__lte=now)
    time_has_come = (
        Q(asked_at=None) | Q(asked_at__lte=now - USUALLY) | Q(asked_at__lte=now - IN_AN_OUTAGE, in_an_outage=True)
    )
    chosen = feeds.filter(patient, time_has_come).select_related("provider", "default_service")
    return sorted(chosen, key=lambda feed: (feed.asked_at is not None, feed.asked_at, feed.pk))


def hear(feed: StatusFeed, *, now: datetime) -> Taken | None:
    """Asks one page and takes in what it says; ``None`` where that failed, which is noted with the feed."""
    try:
        found = ask(feed, now=now, conditional=True)
        if found is None:
            _well(feed, now)
            return Taken()
        reading, etag, last_modified = found
        taken = kept.take_in(reading, feed, now=now)
    except (Silent, Unreadable, outgoing.Refused, outgoing.Failed) as error:
        _ill(feed, str(error), now, wait=error.wait if isinstance(error, Silent) else None)
        return None
    # What is wrong with one page, or with how we read it, must not silence the others.
    except Exception as error:
        log.exception("the status page %s cannot be taken in", feed.pk)
        _ill(feed, f"an error of ours: {type(error).__name__}", now)
        return None
    # Last: had this been killed before, the same document comes again.
    _well(feed, now, etag=etag, last_modified=last_modified)
    return taken


def ask(feed: StatusFeed, *, now: datetime, conditional: bool) -> tuple[Reading, str, str] | None:
    """What the page says, with its validators; ``None`` where nothing changed.

    Raises :class:`Silent`, ``Unreadable``, and what ``outgoing`` raises.
    """
    headers = {"User-Agent": f"Outagemap (+{settings.SITE_URL})", "Accept": _ACCEPT[StatusFeed.Format(feed.format)]}
    if conditional and feed.etag:
        headers["If-None-Match"] = feed.etag
    if conditional and feed.last_modified:
        headers["If-Modified-Since"] = feed.last_modified
    is_json = feed.format == StatusFeed.Format.STATUSPAGE
    answer = outgoing.get(feed.url, headers=headers, most_bytes=JSON_BYTES if is_json else XML_BYTES)
    if answer.status == 304 and conditional:
        return None
    if answer.status != 200:
        wait = timedelta(seconds=answer.retry_after) if answer.retry_after else None
        raise Silent(f"it answered {answer.status}", wait=wait)
    reading = statuspage.read(answer.body, now=now) if is_json else syndication.read(answer.body, now=now)
    return reading, _validator(answer.etag, 200), _validator(answer.last_modified, 100)


_ACCEPT = {
    StatusFeed.Format.STATUSPAGE: "application/json",
    StatusFeed.Format.SYNDICATION: "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.8",
}


def begin_anew(feed: StatusFeed) -> None:
    """After an edit: the whole document is read with the next look, which is taken as soon as may be."""
    StatusFeed.objects.filter(pk=feed.pk).update(
        asked_at=None, wait_until=None, etag="", last_modified="", faults=0, fault=""
    )


def _validator(text: str, most: int) -> str:
    return text if len(text) <= most and text.isascii() and text.isprintable() else ""


def _claimed(feed: StatusFeed, now: datetime) -> bool:
    return bool(StatusFeed.objects.filter(pk=feed.pk, enabled=True, asked_at=feed.asked_at).update(asked_at=now))


def _well(feed: StatusFeed, now: datetime, **validators: str) -> None:
    StatusFeed.objects.filter(pk=feed.pk).update(read_at=now, wait_until=None, faults=0, fault="", **validators)


def _ill(feed: StatusFeed, why: str, now: datetime, *, wait: timedelta | None = None) -> None:
    faults = min(feed.faults + 1, 1000)
    pause = min(FIRST_PAUSE * 2 ** min(faults - 1, 10), LONGEST_PAUSE)
    if wait is not None:
        pause = max(pause, min(wait, LONGEST_PATIENCE))
    StatusFeed.objects.filter(pk=feed.pk).update(faults=faults, fault=why[:200], wait_until=now + pause)
