"""Who wants to be told of outages, and what is to be told them now.

As with :mod:`reports.audience.returns`, how things stand is compared with what was told last. A storm of regions is
thus one message, and what came while one was on its way is part of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import available_timezones

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.crypto import salted_hmac

from reports import status
from reports.audience import mail, notices, outgoing, statuspage, webhooks
from reports.incidents import kinship
from reports.models import (
    OPEN,
    Channel,
    Delivery,
    Incident,
    Notice,
    Refusal,
    Region,
    Service,
    Severity,
    Subscription,
    Wish,
)
from reports.status import snapshots
from reports.status.answers import IncidentStatus

CONFIRM = "confirm"
WITHDRAWN = "no longer true"
"""The fault of a message that was tried, and was no longer so when it was to be tried again."""
UNCONFIRMED = timedelta(days=1)
"""How long a subscription waits for its confirmation."""
MOST_UNCONFIRMED = 3
"""Questions to one address that wait for an answer: nobody's mailbox is to be filled by somebody else. At a webhook a
further one takes the place of the oldest."""
MOST_OF_ONE = 100
"""Subscriptions of one address: five services in twenty regions."""
MOST_QUESTIONS_AN_HOUR = 1_000
"""Questions by e-mail, all together: a site that asks everybody is soon believed by no mail server."""
REFUSED = timedelta(days=182)
"""How long an address whose holder wants no question is asked none."""
MOST_KEPT = 200_000
MOST_FOUND = 2_000
TOLD_AFTER_END = timedelta(days=2)
"""How long after its end an incident is still looked at: its end has to be told, and may be taken back."""
KEPT = timedelta(days=30)
"""How long what was told of an incident is kept after its end."""
PAUSES = {
    Channel.WEBHOOK: timedelta(minutes=1),
    Channel.SLACK: timedelta(minutes=10),
    Channel.TEAMS: timedelta(minutes=10),
    Channel.PUSH: timedelta(minutes=15),
    Channel.MAIL: timedelta(minutes=30),
}
"""At least between the first two messages about one incident."""
LONGEST_PAUSE_TIMES = 8
"""Each further pause is twice as long, up to so many times the first: a day's outage is no news every half hour."""
END_PAUSE = timedelta(minutes=5)
"""The same before the message that it is over: good news waits less, and a flap is one message."""

_RANKS = {severity.value: rank for rank, severity in enumerate(Severity)}
_SIGNER_SALT = "outagemap.alerts"
# Where a link in a message shows that whoever follows it holds the address. That of a webhook is given to whoever asks.
_BY_LINK = (Channel.MAIL, Channel.SLACK, Channel.TEAMS)

IncidentJson = Callable[[IncidentStatus], Mapping[str, Any]]
"""An incident as in the API."""


class Refused(ValueError):
    """The subscription cannot be taken as it was asked for. ``why`` is ``target``, ``place``, ``kind`` or ``full``."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Asked:
    """A group of subscriptions that now waits to be confirmed. ``secret`` is a signed webhook's, told this once."""

    id: UUID
    channel: str
    secret: str | None = None


def channels() -> tuple[str, ...]:
    """The ways in which this site can tell of outages, for whoever gives an address."""
    ways = (Channel.WEBHOOK.value, Channel.SLACK.value, Channel.TEAMS.value)
    return (Channel.MAIL.value, *ways) if mail.is_on() else ways


def subscribe(
    *,
    channel: str,
    target: str,
    services: Sequence[str],
    region: str,
    severity: str,
    language: str,
    now: datetime,
    time_zone: str = "",
) -> Asked | None:
    """Keeps the wishes and asks at their ``target`` for one confirmation; ``None`` where all of them are kept already.

    Raises :class:`Refused`. ``now`` is the real time.
    """
    if channel not in channels():
        raise Refused("kind")
    address = _checked(channel, target.strip())
    digest = _digest(channel, address)
    group = uuid4()
    with transaction.atomic():
        waiting = Subscription.objects.filter(channel=channel, target_digest=digest, confirmed_at=None)
        questions = waiting.order_by().values("group").distinct().count()
        if (channel in _BY_LINK and questions >= MOST_UNCONFIRMED) or _is_asked_too_much(channel, now):
            raise Refused("full")
        made = _keep(
            group,
            channel=channel,
            address=address,
            services=services,
            region=region,
            severity=severity,
            now=now,
            more={"language": language[:15], "time_zone": _known_zone(time_zone), "expires_at": now + UNCONFIRMED},
        )
        if not made:
            return None
        if channel not in _BY_LINK:
            others = waiting.exclude(group=group).order_by("-created_at", "group").values_list("group", flat=True)
            waiting.filter(group__in=list(dict.fromkeys(others))[MOST_UNCONFIRMED - 1 :]).delete()
        if Refusal.objects.filter(pk=_refusal(digest), created_at__gt=now - REFUSED).exists():
            # Said to nobody, least of all to whoever fills other people's mailboxes.
            Subscription.objects.filter(group=group).delete()
            return Asked(group, channel)
        Delivery.objects.create(subscription=made[0], event=CONFIRM, created_at=now, next_attempt_at=now)
    return Asked(group, channel, webhooks.secret_of(group) if channel == Channel.WEBHOOK else None)


def subscribe_browser(
    *,
    endpoint: str,
    keys: Mapping[str, str],
    services: Sequence[str],
    region: str,
    severity: str,
    language: str,
    now: datetime,
    time_zone: str = "",
) -> UUID:
    """Keeps the wishes of a browser, which its user has allowed to be told; answers the group that all of them are in.

    Raises :class:`Refused`.
    """
    digest = _digest(Channel.PUSH, endpoint)
    own = Subscription.objects.filter(channel=Channel.PUSH, target_digest=digest, wish=Wish.OUTAGES)
    group = own.values_list("group", flat=True).first() or uuid4()
    zone = _known_zone(time_zone)
    with transaction.atomic():
        _keep(
            group,
            channel=Channel.PUSH,
            address=endpoint,
            services=services,
            region=region,
            severity=severity,
            now=now,
            more={"language": language[:15], "time_zone": zone, "secret": dict(keys), "confirmed_at": now},
        )
        # A browser that made its subscription anew has other keys under the same address.
        own.update(secret=dict(keys))
    return group


def _keep(
    group: UUID,
    *,
    channel: str,
    address: str,
    services: Sequence[str],
    region: str,
    severity: str,
    now: datetime,
    more: Mapping[str, Any],
) -> list[Subscription]:
    """The rows that are new among those asked for."""
    if severity not in _RANKS:
        raise Refused("kind")
    slugs = set(services[:MOST_OF_ONE])
    if any("\x00" in text for text in (*slugs, region)):
        # The one character that the database takes in no text.
        raise Refused("place")
    asked = list(Service.objects.filter(slug__in=slugs, retired_at=None).order_by("name"))
    place = Region.objects.filter(code=region).first()
    if not asked or len(asked) < len(slugs) or place is None:
        raise Refused("place")
    digest = _digest(channel, address)
    own = Subscription.objects.filter(channel=channel, target_digest=digest, wish=Wish.OUTAGES)
    counted = own
    if channel not in _BY_LINK:
        # Only whoever asked has the key of a webhook and can answer: what a stranger asked must not keep the owner from
        # asking. In a mailbox or a channel the owner can answer it, whoever asked, and need not be asked twice.
        waiting = own.filter(confirmed_at=None)
        same = waiting.filter(service__in=asked, region=place).values_list("group", flat=True)
        waiting.filter(group__in=list(same)).delete()
        counted = own.filter(confirmed_at__isnull=False)
    kept = set(own.filter(service__in=asked, region=place).values_list("service_id", flat=True))
    rows = [
        Subscription(
            # The first one bears the name of the group, as each did when there were no groups.
            id=group if number == 0 and not own.filter(pk=group).exists() else uuid4(),
            group=group,
            channel=channel,
            target=address,
            target_digest=digest,
            wish=Wish.OUTAGES,
            service=service,
            region=place,
            severity=severity,
            created_at=now,
            **more,
        )
        for number, service in enumerate(each for each in asked if each.pk not in kept)
    ]
    if counted.count() + len(rows) > MOST_OF_ONE or Subscription.objects.count() + len(rows) > MOST_KEPT:
        raise Refused("full")
    # The same form sent twice at once: the other one's rows are as good.
    Subscription.objects.bulk_create(rows, ignore_conflicts=True)
    return list(Subscription.objects.filter(pk__in=[row.pk for row in rows]))


def _is_asked_too_much(channel: str, now: datetime) -> bool:
    lately = Delivery.objects.filter(
        event=CONFIRM, created_at__gt=now - timedelta(hours=1), subscription__channel=channel
    )
    return channel == Channel.MAIL and lately.count() >= MOST_QUESTIONS_AN_HOUR


def _known_zone(name: str) -> str:
    return name if name in available_timezones() else ""


def _digest(channel: str, address: str) -> str:
    # Whoever writes a mailbox in capitals means the same one.
    same = address.lower() if channel == Channel.MAIL else address
    return blake2b(same.encode(), digest_size=16).hexdigest()


def _refusal(digest: str) -> str:
    return salted_hmac("outagemap.alerts.refusal", digest, algorithm="sha256").hexdigest()[:32]


def _checked(channel: str, target: str) -> str:
    try:
        if channel == Channel.MAIL:
            validate_email(target)
            if len(target) > 254:
                raise Refused("target")
            return target
        outgoing.check(target)
    except (ValidationError, outgoing.Refused):
        raise Refused("target") from None
    return target


# --- What the holder of a link may do ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One of the subscriptions that a link opens."""

    id: UUID
    service: str
    service_name: str
    region: str
    severity: str
    waiting: bool


@dataclass(frozen=True)
class Held:
    """What a link opens: what was asked for at once, and for a mailbox or a channel all else that is told there."""

    group: UUID
    channel: str
    language: str
    lines: tuple[Line, ...]
    waiting: bool
    """Whether what the link was made for is not confirmed yet."""
    paused: bool


def token_of(group: UUID) -> str:
    """What a link to the subscriptions carries: nobody else can make one."""
    return signing.Signer(salt=_SIGNER_SALT).sign(group.hex)


def held(token: str) -> Held | None:
    """What a link opens, if it is ours and there is still something of it."""
    try:
        group = UUID(signing.Signer(salt=_SIGNER_SALT).unsign(token))
    except (signing.BadSignature, ValueError):
        return None
    first = Subscription.objects.filter(group=group, wish=Wish.OUTAGES).order_by("confirmed_at").first()
    if first is None:
        return None
    rows = list(_rows(first).select_related("service", "region").order_by("service__name", "region__name"))
    return Held(
        group=group,
        channel=first.channel,
        language=first.language,
        lines=tuple(
            Line(row.pk, row.service.slug, row.service.name, row.region.code, row.severity, row.confirmed_at is None)
            for row in rows
        ),
        waiting=first.confirmed_at is None,
        paused=all(row.paused_at for row in rows),
    )


def _rows(first: Subscription) -> QuerySet[Subscription]:
    own = Q(group=first.group)
    if first.channel in _BY_LINK and first.confirmed_at is not None:
        own |= Q(channel=first.channel, target_digest=first.target_digest, confirmed_at__isnull=False)
    return Subscription.objects.filter(own, wish=Wish.OUTAGES)


def confirm(group: UUID, *, now: datetime) -> bool:
    """Outages are told from now on; whether it was not so before."""
    waiting = Subscription.objects.filter(group=group, wish=Wish.OUTAGES, confirmed_at=None)
    return bool(waiting.update(confirmed_at=now, expires_at=None))


def decline(held: Held, *, now: datetime, for_good: bool = False) -> bool:
    """Forgets what was not confirmed; ``for_good``: and asks at this address no more. Whether it is so for good.

    The link of a webhook shows nothing about who holds the address: it shuts nobody out.
    """
    waiting = Subscription.objects.filter(group=held.group, confirmed_at=None)
    digest = waiting.values_list("target_digest", flat=True).first() if held.channel in _BY_LINK else None
    if for_good and digest is not None:
        Refusal.objects.update_or_create(pk=_refusal(digest), defaults={"created_at": now})
    waiting.delete()
    return for_good and digest is not None


def stop(held: Held, line: UUID | None = None) -> None:
    """Ends all that the link opens, or one ``line`` of it."""
    _of(held, line).delete()


def change(held: Held, line: UUID, *, severity: str) -> bool:
    """Which outages are told from now on; whether there was such a line."""
    if severity not in _RANKS:
        raise Refused("kind")
    return bool(_of(held, line).update(severity=severity))


def pause(held: Held, *, now: datetime) -> None:
    """Nothing is told until :func:`resume`, and what is over by then never."""
    _of(held, None).filter(paused_at=None).update(paused_at=now)


def resume(held: Held) -> None:
    """Outages are told again, as they stand now: what waits from before the pause is of another day."""
    with transaction.atomic():
        untried = Delivery.objects.filter(attempts=0, delivered_at=None, dead_at=None, notice__isnull=False)
        untried.filter(subscription__in=_of(held, None)).delete()
        _of(held, None).update(paused_at=None, failures=0)


def speak(held: Held, language: str) -> None:
    """The language of what is told from now on."""
    if language in dict(settings.LANGUAGES):
        _of(held, None).update(language=language)


def add(held: Held, *, services: Sequence[str], region: str, severity: str, now: datetime) -> int:
    """Further wishes of the holder of a confirmed link, which nobody has to be asked about; how many are new.

    Raises :class:`Refused`.
    """
    if held.waiting:
        raise Refused("kind")
    like = Subscription.objects.filter(group=held.group, confirmed_at__isnull=False).first()
    if like is None:
        raise Refused("kind")
    more = {name: getattr(like, name) for name in ("language", "time_zone", "secret", "paused_at")}
    with transaction.atomic():
        made = _keep(
            held.group,
            channel=like.channel,
            address=like.target,
            services=services,
            region=region,
            severity=severity,
            now=now,
            more=more | {"confirmed_at": now},
        )
    return len(made)


def _of(held: Held, line: UUID | None) -> QuerySet[Subscription]:
    ids = [each.id for each in held.lines if line is None or each.id == line]
    return Subscription.objects.filter(pk__in=ids)


# --- What is to be told -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Last:
    number: int
    standing: str
    at: datetime
    on_its_way: bool


def find(*, now: datetime, site: datetime, incident_json: IncidentJson) -> int:
    """Makes a message for each wish whose incident no longer stands as it was last told; how many.

    ``now`` is the real time, ``site`` that of the site's clock.
    """
    wishes = Subscription.objects.filter(wish=Wish.OUTAGES, confirmed_at__isnull=False, paused_at=None)
    kinds = wishes.order_by().values_list("service_id", "region__code", "severity", "channel").distinct()
    by_service: dict[int, list[tuple[str, str, str]]] = {}
    for service_id, code, severity, channel in kinds:
        by_service.setdefault(service_id, []).append((code, severity, channel))
    made = 0
    for outage in _outages(_recent(site).filter(service_id__in=by_service)):
        row, incident = outage.lead, status.incident(outage.lead.ref)
        if incident is None:
            continue
        parts = [status.incident(ref) for ref in outage.beside]
        rank = _RANKS[statuspage.impact_of(incident, *(part for part in parts if part is not None))]
        kept: dict[tuple[str, str], Notice] = {}
        for code, severity, channel in by_service[row.service_id]:
            those = wishes.filter(service_id=row.service_id, region__code=code, severity=severity, channel=channel)
            found = notices.standing(incident, code, beside=outage.beside)
            due = _due(those, outage.ids, found, new=_RANKS[severity] <= rank, channel=channel, now=now)
            with transaction.atomic():
                deliveries = []
                for id, number in due[:MOST_FOUND]:
                    kind = notices.kind(found, first=number == 1)
                    if (code, kind) not in kept:
                        facts = notices.facts(incident, found, kind, incident_json=incident_json, site=site)
                        kept[code, kind] = Notice.objects.create(
                            incident=row, standing=found.name, facts=facts, created_at=now
                        )
                    deliveries.append(
                        Delivery(
                            subscription_id=id,
                            event=f"{row.ref}/{number}",
                            notice=kept[code, kind],
                            created_at=now,
                            next_attempt_at=now,
                        )
                    )
                made += len(Delivery.objects.bulk_create(deliveries, ignore_conflicts=True))
    return made


def _recent(site: datetime) -> Any:
    since = site - TOLD_AFTER_END
    ended = Q(resolved_at__gte=since) | Q(rejected_at__gte=since) | Q(merged_at__gte=since)
    return Incident.objects.filter(OPEN | ended)


@dataclass(frozen=True)
class _Outage:
    """What is one outage to whoever is told of it: an incident with all that was merged with it or split from it."""

    lead: Incident
    """Under whose ref it is told."""
    beside: tuple[str, ...]
    """Refs of the others that tell regions of their own."""
    ids: tuple[int, ...]


def _outages(recent: Any) -> list[_Outage]:
    families = kinship.families(recent.values_list("pk", flat=True))
    known = Incident.objects.in_bulk([pk for family in families for pk in family])
    found = []
    for family in families:
        # The open one first, of several the original; what was rejected or merged tells nothing while another does.
        lead, *others = sorted(
            (known[pk] for pk in family),
            key=lambda row: (
                bool(row.merged_at),
                bool(row.rejected_at),
                bool(row.resolved_at),
                row.split_from_id is not None,
                row.pk,
            ),
        )
        beside = tuple(row.ref for row in others if not (row.merged_at or row.rejected_at))
        found.append(_Outage(lead, beside, family))
    return found


def _due(
    those: Any, incidents: tuple[int, ...], found: notices.Standing, *, new: bool, channel: str, now: datetime
) -> list[tuple[UUID, int]]:
    """Who is to be told, and the number of the message to them about this incident."""
    told = Delivery.objects.filter(subscription__in=those, notice__incident__in=incidents)
    rows = told.order_by("subscription_id", "-id").distinct("subscription_id")
    last = {
        # What they know after a message that was withdrawn, nobody can say: whatever is so now is news.
        id: _Last(
            int(event.rpartition("/")[2]),
            "" if fault == WITHDRAWN else standing,
            at,
            delivered is None and dead is None,
        )
        for id, event, standing, at, delivered, dead, fault in rows.values_list(
            "subscription_id", "event", "notice__standing", "created_at", "delivered_at", "dead_at", "fault"
        )
    }
    first = PAUSES[Channel(channel)]
    due: list[tuple[UUID, int]] = []
    for id in those.values_list("pk", flat=True):
        before = last.get(id)
        if before is None:
            if new and found.news:
                due.append((id, 1))
        elif not before.on_its_way and before.standing != found.name:
            pause = first * min(2 ** (before.number - 1), LONGEST_PAUSE_TIMES)
            if before.at + (min(first, END_PAUSE) if found.over else pause) <= now:
                due.append((id, before.number + 1))
    return due


def message(delivery: Delivery) -> Mapping[str, Any] | None:
    """What is sent to this one subscriber: the facts, and what they may do; ``None`` where it is no longer so.

    What is older than the present but comes to the same is told as it stood; what changed since is part of the next.
    """
    to = delivery.subscription
    about = _about(to) | {"manage": notices.address("alert", token_of(to.group), language=to.language)}
    if delivery.notice is None:
        rows = Subscription.objects.filter(group=to.group, confirmed_at=None).select_related("service", "region")
        return {
            "type": "subscription.confirm",
            "timestamp": notices.instant(delivery.created_at),
            "data": {
                "challenge": webhooks.challenge_of(to.group),
                "subscription": about,
                "subscriptions": [_about(row) | {"name": row.service.name} for row in rows.order_by("service__name")],
            },
        }
    facts: dict[str, Any] = delivery.notice.facts
    present = _present(delivery.notice.incident_id, to.region.code)
    if notices.gist(facts["data"]) != present.gist:
        return None
    if delivery.attempts > 1:
        # Sent again from the desk after they were told something newer.
        newer = Delivery.objects.filter(subscription=to, notice__incident__in=present.ids, pk__gt=delivery.pk)
        if newer.exists():
            return None
    return facts | {"data": facts["data"] | {"subscription": about}}


@dataclass(frozen=True)
class _Present:
    gist: notices.Gist | None
    ids: tuple[int, ...]


def _present(incident_id: int, region: str) -> _Present:
    """How the outage that this incident is told as stands now for ``region``."""

    def look() -> _Present:
        (outage,) = _outages(Incident.objects.filter(pk=incident_id))
        incident = status.incident(outage.lead.ref)
        if incident is None:
            return _Present(None, outage.ids)
        found = notices.standing(incident, region, beside=outage.beside)
        return _Present(notices.present_gist(incident, found), outage.ids)

    # Thousands of messages are about the same.
    return snapshots.kept(("alerts", incident_id, region), look)


def _about(row: Subscription) -> dict[str, str]:
    return {"id": str(row.pk), "service": row.service.slug, "region": row.region.code, "severity": row.severity}


def tidy(*, now: datetime, site: datetime) -> int:
    """Deletes what was told of incidents that are long over, notices that nobody was told, and refusals of old."""
    Refusal.objects.filter(created_at__lt=now - REFUSED).delete()
    ended = Q(incident__resolved_at__lt=site - KEPT) | Q(incident__merged_at__lt=site - KEPT)
    over = Notice.objects.filter(ended, created_at__lt=now - KEPT)
    return int((over | Notice.objects.filter(deliveries=None, created_at__lt=now - UNCONFIRMED)).delete()[0])


def send_again(ids: list[int], *, now: datetime) -> int:
    """Puts messages that were given up back on their way; how many."""
    dead = Delivery.objects.filter(pk__in=ids, dead_at__isnull=False, delivered_at=None)
    # Not as if nobody had tried: one of those attempts may have arrived.
    return dead.update(dead_at=None, attempts=1, next_attempt_at=now, fault="")
