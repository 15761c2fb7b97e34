"""What was heard, from when it is read until it belongs to an incident or is dismissed.

An update is kept once, under its name, and becomes statements in one transaction, by the same function that an
administrator's entry goes through: read twice, or by a worker that is killed in between, it is said once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from reports import regions
from reports.hearing import matching
from reports.hearing.updates import OLDEST, Reading, Update
from reports.incidents import kinship
from reports.incidents.lifecycle import ConflictError
from reports.incidents.statements import add_statement
from reports.models import Heard, Incident, Region, Statement, StatusFeed

Meaning = Statement.Meaning

# A provider may know before the crowd does; and it goes on speaking of an outage when that is over.
BEFORE_ONSET = timedelta(hours=3)
AFTER_END = timedelta(hours=12)
# What waits for an incident is of these days; what a page tells of older times is kept only where it belongs to one.
WAITS = timedelta(days=3)
# How long it then stays in the list at the desk.
LISTED = timedelta(days=7)


@dataclass(frozen=True)
class Judged:
    """An update with what it was taken to be about. ``meaning`` is the one that holds: a part that cannot be told is
    not called restored."""

    update: Update
    meaning: str
    services: tuple[str, ...]
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Foreseen:
    """What would become of an update; ``fate`` in words, for the desk."""

    judged: Judged
    fate: str


@dataclass(frozen=True)
class Taken:
    """How many updates were new, changed, and became part of an incident."""

    new: int = 0
    revised: int = 0
    attached: int = 0


def judge(reading: Reading, feed: StatusFeed) -> tuple[Judged, ...]:
    """What each update is about."""
    subject = matching.subject_of(feed.provider, feed.default_service)
    found = [(update, matching.services(update, subject), matching.places(update)) for update in reading.updates]
    codes = {code for _update, _services, places in found for code in places.codes}
    known = set(Region.objects.filter(code__in=codes).values_list("code", flat=True))
    judged = []
    for update, services, places in found:
        inside = tuple(code for code in places.codes if code in known)
        partly = places.partly or len(inside) < len(places.codes)
        whole = update.meaning != Meaning.RESTORED or inside or not partly
        judged.append(Judged(update, update.meaning if whole else Meaning.UPDATE, services, inside))
    return tuple(judged)


def foresee(reading: Reading, feed: StatusFeed, *, now: datetime) -> tuple[Foreseen, ...]:
    """What :func:`take_in` would do, the latest update first; nothing is stored."""
    judged = judge(reading, feed)
    known = {row.key: row for row in Heard.objects.filter(feed=feed, key__in=[each.update.key for each in judged])}
    chronicle = _Chronicle({slug for each in judged for slug in each.services}, _ends(judged, known.values()), now)
    foreseen = []
    for each in judged:
        row = known.get(each.update.key)
        refs = [incident.ref for incident in chronicle.incidents_of(_row(each, feed, now))]
        if row is not None:
            fate = "heard before, and changed since" if row.text != each.update.text else "heard before"
        elif refs:
            fate = f"becomes a statement of {', '.join(refs)}"
        elif now - each.update.said_at > WAITS:
            fate = "nothing: too long past to wait for an incident"
        elif each.update.planned:
            fate = "waits at the desk: announced work is attached by hand only"
        else:
            fate = "waits for an incident" if each.services else "waits at the desk: it names no service"
        foreseen.append(Foreseen(each, fate))
    return tuple(reversed(foreseen))


def take_in(reading: Reading, feed: StatusFeed, *, now: datetime) -> Taken:
    """Keeps what is new, notes what the page has changed, and attaches what belongs to an incident."""
    judged = judge(reading, feed)
    known = {row.key: row for row in Heard.objects.filter(feed=feed, key__in=[each.update.key for each in judged])}
    chronicle = _Chronicle({slug for each in judged for slug in each.services}, _ends(judged, known.values()), now)
    fresh, revised = [], 0
    for each in judged:
        row = _row(each, feed, now)
        kept = known.get(each.update.key)
        if kept is not None:
            revised += _revise(kept, each.update.text, now)
            _judge_anew(kept, row)
            continue
        if now - row.said_at <= WAITS or chronicle.incidents_of(row):
            fresh.append(row)
    made = Heard.objects.bulk_create(fresh, ignore_conflicts=True)
    # Rows that another worker made in this moment have no number here; they wait like all others.
    keys = [row.key for row in (*made, *known.values())]
    rows = Heard.objects.filter(feed=feed, key__in=keys, attached_at=None, dismissed_at=None)
    return Taken(new=len(made), revised=revised, attached=_attach_all(rows, now))


def attach_waiting(*, now: datetime) -> int:
    """Attaches what waited for an incident that is there by now; how many updates. What waited in vain is dropped."""
    waiting = Heard.objects.filter(dismissed_at=None)
    waiting.filter(attached_at=None, said_at__lt=now - LISTED).delete()
    # One that names several services may belong to an incident of each, and they open one after the other.
    unfinished = Q(attached_at=None) | Q(services__len__gt=1)
    return _attach_all(waiting.filter(unfinished, planned=False, said_at__gte=now - WAITS), now)


def _attach_all(rows: Iterable[Heard], now: datetime) -> int:
    waiting = sorted(rows, key=lambda row: (row.said_at, row.pk))
    if not waiting:
        return 0
    threads = Q()
    for feed, thread in {(row.feed_id, row.thread) for row in waiting}:
        threads |= Q(feed=feed, thread=thread)
    ends = _ends((), Heard.objects.filter(threads, meaning=Meaning.RESTORED))
    chronicle = _Chronicle({slug for row in waiting for slug in row.services}, ends, now)
    attached = 0
    for row in waiting:
        incidents = chronicle.incidents_of(row)
        if incidents:
            attached += _attach(row.pk, incidents, now=now)
    return attached


def _attach(pk: int, incidents: Sequence[Incident], *, now: datetime) -> int:
    """Makes the update a statement of each incident, or of none of them that takes no such word; 1 if it is news."""
    with transaction.atomic():
        if len(incidents) > 1:
            # A cycle locks incidents of several services in an order of its own: each would wait for the other.
            kinship.hold_detector()
        row = Heard.objects.select_for_update().filter(pk=pk, dismissed_at=None).first()
        if row is None:
            return 0
        before = row.statements.count()
        for incident in incidents:
            try:
                _state(row, incident, by=None, now=now)
            except ValidationError:
                # Restored before it began, or a week before: then it is about something else.
                continue
        if row.statements.count() == before:
            return 0
        if row.attached_at is None:
            row.attached_at = now
            row.save(update_fields=["attached_at"])
    return 1


def _state(row: Heard, incident: Incident, *, by: User | None, now: datetime, meaning: str = "") -> None:
    with transaction.atomic():
        codes: list[str | None] = [*row.regions] or [None]
        for code in codes:
            add_statement(
                incident.pk,
                text=row.text,
                url=row.url,
                said_at=row.said_at,
                meaning=meaning or row.meaning,
                region_code=code,
                by=by,
                now=now,
                heard=row,
            )


def _revise(row: Heard, text: str, now: datetime) -> int:
    shown = row.revised_text or row.text
    if text == shown:
        return 0
    row.revised_text, row.revised_at = (text, now) if text != row.text else ("", None)
    row.save(update_fields=["revised_text", "revised_at"])
    return 1


def _judge_anew(row: Heard, now_judged: Heard) -> None:
    """What waits is about what its names mean today: an alias may be new, or the feed's default service."""
    fields = ("services", "regions", "meaning", "planned")
    if row.attached_at or row.dismissed_at or all(getattr(row, f) == getattr(now_judged, f) for f in fields):
        return
    for field in fields:
        setattr(row, field, getattr(now_judged, field))
    row.save(update_fields=fields)


def _row(judged: Judged, feed: StatusFeed, now: datetime) -> Heard:
    update = judged.update
    return Heard(
        feed=feed,
        thread=update.thread,
        key=update.key,
        title=update.title,
        text=update.text,
        url=update.url,
        meaning=judged.meaning,
        planned=update.planned,
        services=list(judged.services),
        regions=list(judged.regions),
        began_at=update.began_at,
        said_at=update.said_at,
        heard_at=now,
    )


# --- which incident ---------------------------------------------------------------------------------------------------


def _ends(judged: Iterable[Judged], rows: Iterable[Heard]) -> Mapping[tuple[int, str], datetime]:
    """When each thread was called over, by feed (0: the one at hand) and thread."""
    ends: dict[tuple[int, str], datetime] = {}
    for each in judged:
        if each.update.meaning == Meaning.RESTORED:
            ends[0, each.update.thread] = each.update.said_at
    for row in rows:
        if row.meaning == Meaning.RESTORED:
            ends[row.feed_id, row.thread] = max(row.said_at, ends.get((row.feed_id, row.thread), row.said_at))
    return ends


class _Chronicle:
    """The incidents that updates may belong to, and when the pages' own incidents were over."""

    def __init__(self, services: Iterable[str], ends: Mapping[tuple[int, str], datetime], now: datetime) -> None:
        self._ends, self._now = ends, now
        self._incidents: dict[str, list[Incident]] = {}
        rows = Incident.objects.filter(
            service__slug__in=set(services), rejected_at=None, merged_at=None, detected_at__gte=now - OLDEST - AFTER_END
        )
        for incident in rows.select_related("service").prefetch_related("regions").order_by("onset_at", "id"):
            self._incidents.setdefault(incident.service.slug, []).append(incident)

    def incidents_of(self, row: Heard) -> list[Incident]:
        """The incident of each service that the update speaks of; never of announced work."""
        if row.planned:
            return []
        found = (self._of_one(row, slug) for slug in row.services)
        return [incident for incident in found if incident is not None]

    def _of_one(self, row: Heard, slug: str) -> Incident | None:
        fitting = [each for each in self._incidents.get(slug, ()) if self._fits(row, each)]
        during = [each for each in fitting if each.onset_at <= row.said_at <= (each.resolved_at or self._now)]
        chosen = during or fitting
        return chosen[-1] if chosen else None

    def _fits(self, row: Heard, incident: Incident) -> bool:
        first, last = incident.onset_at - BEFORE_ONSET, (incident.resolved_at or self._now) + AFTER_END
        # What a page began to tell of long before, or called over before it began here, is another outage.
        if not first <= row.began_at <= row.said_at <= last:
            return False
        over = self._ends.get((row.feed_id, row.thread)) or self._ends.get((0, row.thread))
        if row.said_at < incident.onset_at and over is not None and over < incident.onset_at:
            return False
        return not row.regions or _touches(row.regions, incident)


def _touches(codes: Sequence[str], incident: Incident) -> bool:
    """Whether one of the regions is, holds or lies in one of the incident's."""
    down = {row.region_code for row in incident.regions.all() if not row.withdrawn_at}
    return any(
        code in down or down & set(_above(code)) or any(code in _above(other) for other in down) for code in codes
    )


def _above(code: str) -> tuple[str, ...]:
    known = regions.resolve(code)
    return regions.ancestors(known) if known else ()


# --- the desk's acts --------------------------------------------------------------------------------------------------


def attach(pk: int, ref: str, *, meaning: str, by: User, now: datetime) -> Incident:
    """The incident, after an administrator attached an update to it.

    Raises :class:`ConflictError` where it is dismissed or belongs to that incident already, ``ValidationError`` for an
    unknown incident and for what :func:`reports.incidents.statements.add_statement` refuses.
    """
    with transaction.atomic():
        row = Heard.objects.select_for_update().get(pk=pk)
        incident = Incident.objects.filter(ref=ref).first()
        if incident is None:
            raise ValidationError({"incident": f"There is no incident {ref}."})
        if row.dismissed_at:
            raise ConflictError("Somebody has dismissed it in the meantime.")
        if row.statements.filter(incident=incident, withdrawn_at=None).exists():
            raise ConflictError(f"It is a statement of {ref} already.")
        _state(row, incident, by=by, now=now, meaning=meaning)
        row.attached_at = row.attached_at or now
        row.save(update_fields=["attached_at"])
    return incident


def dismiss(pk: int, *, reason: str, by: User, now: datetime) -> bool:
    """Whether the update waited, and does no longer. Raises :class:`ConflictError` while a statement of it stands."""
    with transaction.atomic():
        row = Heard.objects.select_for_update().get(pk=pk)
        if row.statements.filter(withdrawn_at=None).exists():
            raise ConflictError("It has become a statement in the meantime.")
        if row.dismissed_at:
            return False
        # It was attached until what it had become was withdrawn.
        row.attached_at = None
        row.dismissed_at, row.dismissed_by, row.dismissed_reason = now, by, reason.strip()[:1000]
        row.save(update_fields=["attached_at", "dismissed_at", "dismissed_by", "dismissed_reason"])
    return True
