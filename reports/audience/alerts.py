"""Who wants to be told of outages, and what is to be told them now.

As with :mod:`reports.audience.returns`, how things stand is compared with what was told last. A storm of regions is
thus one message, and what came while one was on its way is part of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4

from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q

from reports import status
from reports.audience import mail, notices, outgoing, statuspage, webhooks
from reports.incidents import kinship
from reports.models import Channel, Delivery, Incident, Notice, Region, Service, Severity, Subscription, Wish
from reports.status.answers import IncidentStatus

CONFIRM = "confirm"
UNCONFIRMED = timedelta(days=1)
"""How long a subscription waits for its confirmation."""
MOST_UNCONFIRMED = 3
"""Of one address: nobody's mailbox is to be filled by somebody else."""
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
    Channel.MAIL: timedelta(minutes=30),
}
"""At least between two messages about one incident."""
END_PAUSE = timedelta(minutes=5)
"""The same before the message that it is over: good news waits less, and a flap is one message."""

_RANKS = {severity.value: rank for rank, severity in enumerate(Severity)}
_SIGNER_SALT = "outagemap.alerts"

IncidentJson = Callable[[IncidentStatus], Mapping[str, Any]]
"""An incident as in the API."""


class Refused(ValueError):
    """The subscription cannot be taken as it was asked for. ``why`` is ``target``, ``place``, ``kind`` or ``full``."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Asked:
    """A subscription that now waits to be confirmed. ``secret`` is a signed webhook's, told this once."""

    id: UUID
    channel: str
    secret: str | None = None


def channels() -> tuple[str, ...]:
    """The ways in which this site can tell of outages."""
    ways = (Channel.WEBHOOK.value, Channel.SLACK.value, Channel.TEAMS.value)
    return (Channel.MAIL.value, *ways) if mail.is_on() else ways


def subscribe(
    *, channel: str, target: str, service: str, region: str, severity: str, language: str, now: datetime
) -> Asked | None:
    """Keeps the wish and asks at its ``target`` for the confirmation; ``None`` where the very wish is kept already.

    Raises :class:`Refused`. ``now`` is the real time.
    """
    if channel not in channels() or severity not in _RANKS:
        raise Refused("kind")
    address = _checked(channel, target.strip())
    asked = Service.objects.filter(slug=service, retired_at=None).first()
    place = Region.objects.filter(code=region).first()
    if asked is None or place is None:
        raise Refused("place")
    digest = blake2b(address.encode(), digest_size=16).hexdigest()
    with transaction.atomic():
        same = Subscription.objects.filter(
            channel=channel, target_digest=digest, wish=Wish.OUTAGES, service=asked, region=place
        )
        if same.filter(confirmed_at__isnull=False).exists():
            return None
        waiting = Subscription.objects.filter(channel=channel, target_digest=digest, confirmed_at=None)
        if waiting.count() >= MOST_UNCONFIRMED or Subscription.objects.count() >= MOST_KEPT:
            raise Refused("full")
        subscription, made = Subscription.objects.get_or_create(
            channel=channel,
            target_digest=digest,
            wish=Wish.OUTAGES,
            service=asked,
            region=place,
            defaults={
                "id": uuid4(),
                "target": address,
                "severity": severity,
                "language": language[:15],
                "created_at": now,
                "expires_at": now + UNCONFIRMED,
            },
        )
        if not made:
            return None
        Delivery.objects.create(subscription=subscription, event=CONFIRM, created_at=now, next_attempt_at=now)
    secret = webhooks.secret_of(subscription.pk) if channel == Channel.WEBHOOK else None
    return Asked(subscription.pk, channel, secret)


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


def token_of(id: UUID) -> str:
    """What a link to the subscription carries: nobody else can make one."""
    return signing.Signer(salt=_SIGNER_SALT).sign(id.hex)


def held(token: str) -> Subscription | None:
    """The subscription of a link, if the link is ours and there is still one."""
    try:
        id = UUID(signing.Signer(salt=_SIGNER_SALT).unsign(token))
    except (signing.BadSignature, ValueError):
        return None
    kept = Subscription.objects.filter(pk=id, wish=Wish.OUTAGES)
    return kept.select_related("service", "region").first()


def confirm(id: UUID, *, now: datetime) -> bool:
    """Outages are told from now on; whether it was not so before."""
    waiting = Subscription.objects.filter(pk=id, wish=Wish.OUTAGES, confirmed_at=None)
    return bool(waiting.update(confirmed_at=now, expires_at=None))


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
    wishes = Subscription.objects.filter(wish=Wish.OUTAGES, confirmed_at__isnull=False)
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
        rank = max(_RANKS[statuspage.impact_of(part)] for part in (incident, *parts) if part is not None)
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
    open_ = Q(resolved_at=None, rejected_at=None, merged_at=None)
    ended = Q(resolved_at__gte=since) | Q(rejected_at__gte=since) | Q(merged_at__gte=since)
    return Incident.objects.filter(open_ | ended)


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
        id: _Last(int(event.rpartition("/")[2]), standing, at, delivered is None and dead is None)
        for id, event, standing, at, delivered, dead in rows.values_list(
            "subscription_id", "event", "notice__standing", "created_at", "delivered_at", "dead_at"
        )
    }
    pause = PAUSES[Channel(channel)]
    if found.over:
        pause = min(pause, END_PAUSE)
    due: list[tuple[UUID, int]] = []
    for id in those.values_list("pk", flat=True):
        before = last.get(id)
        if before is None:
            if new and found.news:
                due.append((id, 1))
        elif not before.on_its_way and before.standing != found.name and before.at + pause <= now:
            due.append((id, before.number + 1))
    return due


def message(delivery: Delivery) -> Mapping[str, Any]:
    """What is sent to this one subscriber: the facts, and what they may do."""
    to = delivery.subscription
    manage = notices.address("alert", token_of(to.pk), language=to.language)
    about = {
        "id": str(to.pk),
        "service": to.service.slug,
        "region": to.region.code,
        "severity": to.severity,
        "manage": manage,
    }
    if delivery.notice is None:
        return {
            "type": "subscription.confirm",
            "timestamp": notices.instant(delivery.created_at),
            "data": {"challenge": webhooks.challenge_of(to.pk), "subscription": about},
        }
    facts: dict[str, Any] = delivery.notice.facts
    return facts | {"data": facts["data"] | {"subscription": about}}


def tidy(*, now: datetime, site: datetime) -> int:
    """Deletes what was told of incidents that are long over, and notices that nobody was told."""
    ended = Q(incident__resolved_at__lt=site - KEPT) | Q(incident__merged_at__lt=site - KEPT)
    over = Notice.objects.filter(ended, created_at__lt=now - KEPT)
    return int((over | Notice.objects.filter(deliveries=None, created_at__lt=now - UNCONFIRMED)).delete()[0])


def send_again(ids: list[int], *, now: datetime) -> int:
    """Puts messages that were given up back on their way; how many."""
    dead = Delivery.objects.filter(pk__in=ids, dead_at__isnull=False, delivered_at=None)
    return dead.update(dead_at=None, attempts=0, next_attempt_at=now, fault="")
