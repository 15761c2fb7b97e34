"""Whether a service is back in a region, for whoever had it down there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.utils import translation
from django.utils.translation import gettext as _

from reports import status
from reports.models import Channel, Delivery, Region, Service, Subscription, Wish


@dataclass(frozen=True)
class Standing:
    """How a service stands in a region: a state, and since when where that is known.

    Unlike a verdict of the present it still says ``restored`` when the whole incident is over.
    """

    state: str
    since: datetime | None


def standing(service: str, region: str, *, now: datetime) -> Standing | None:
    """How ``service`` stands in ``region``; ``None`` for one that nobody knows."""
    world = region == "001"
    found = status.service_status(service, now=now, region=None if world else region)
    if found is None:
        return None
    if found.state == "normal" and found.restored:
        ended = [each.since for each in found.restored if each.since is not None]
        return Standing("restored", max(ended, default=None))
    return Standing(found.state, found.since)


# --- Telling whoever asked -------------------------------------------------------------------------------------------

KEPT = timedelta(hours=48)
"""How long a wish to be told is kept; the outage that somebody waits for longer than that is another page's matter."""
MOST_KEPT = 500_000
MOST_FOUND = 2_000
"""Wishes that one look turns into messages."""

_RANK = {"restored": 0, "normal": 0, "recovering": 1, "down": 2}
EVENT = "back"


class Full(Exception):
    """So many wishes are kept that no more is taken."""


@dataclass(frozen=True)
class Wished:
    """A wish that is kept now. ``until`` is when it is deleted, at the latest."""

    id: UUID
    until: datetime


def subscribe(
    *, endpoint: str, keys: Mapping[str, str], service: str, region: str, language: str, now: datetime, site: datetime
) -> Wished | None:
    """Keeps the wish to be told by web push when ``service`` is back in ``region``; ``None`` where nobody knows them.

    The same wish again is the same one, kept anew. ``now`` is the real time, ``site`` that of the site's clock.
    """
    found = standing(service, region, now=site)
    ids = _ids(service, region)
    if found is None or ids is None:
        return None
    if Subscription.objects.count() >= MOST_KEPT:
        raise Full
    digest = blake2b(endpoint.encode(), digest_size=16).hexdigest()
    id = uuid4()
    subscription, _made = Subscription.objects.update_or_create(
        channel=Channel.PUSH,
        target_digest=digest,
        wish=Wish.BACK,
        service_id=ids[0],
        region_id=ids[1],
        defaults={
            "target": endpoint,
            "secret": dict(keys),
            "language": language[:15],
            # Whoever waits although we see nothing, or already see it return, is told only of what comes after.
            "worst": found.state if found.state in _RANK else "down",
            "confirmed_at": now,
            "expires_at": now + KEPT,
        },
        create_defaults={
            "id": id,
            "group": id,
            "target": endpoint,
            "secret": dict(keys),
            "language": language[:15],
            "worst": found.state if found.state in _RANK else "down",
            "created_at": now,
            "confirmed_at": now,
            "expires_at": now + KEPT,
        },
    )
    assert subscription.expires_at is not None
    return Wished(subscription.pk, subscription.expires_at)


def unsubscribe(id: UUID) -> bool:
    """Forgets the wish; whether there was one."""
    return bool(Subscription.objects.filter(pk=id).delete()[0])


def find(*, now: datetime, site: datetime) -> int:
    """Makes a message for each wish that has come true; how many.

    Asks how things stand instead of following what was decided: nothing can be passed over, by whatever worker at
    whatever time, and the key of ``Delivery`` lets none be made twice.
    """
    waiting = Subscription.objects.filter(wish=Wish.BACK, confirmed_at__isnull=False, deliveries=None)
    places = waiting.order_by().values_list("service_id", "service__slug", "region_id", "region__code", "worst")
    made = 0
    for service_id, slug, region_id, code, worst in places.distinct():
        found = standing(slug, code, now=site)
        state = found.state if found else "unknown"
        if state not in _RANK:
            continue
        those = waiting.filter(service_id=service_id, region_id=region_id, worst=worst)
        if _RANK[state] > _RANK[worst]:
            those.update(worst=state)
        elif _RANK[state] < _RANK[worst]:
            ids = list(those.values_list("pk", flat=True)[:MOST_FOUND])
            deliveries = [Delivery(subscription_id=pk, event=EVENT, created_at=now, next_attempt_at=now) for pk in ids]
            made += len(Delivery.objects.bulk_create(deliveries, ignore_conflicts=True))
    return made


def message(delivery: Delivery, *, site: datetime) -> Mapping[str, Any] | None:
    """What is told, as things stand now; ``None`` where the service is down there again."""
    to = delivery.subscription
    found = standing(to.service.slug, to.region.code, now=site)
    if found is None or found.state not in _RANK or _RANK[found.state] >= _RANK[to.worst]:
        return None
    world = to.region.code == "001"
    with translation.override(to.language):
        place = status.region(to.region.code)
        facts = {"service": to.service.name, "place": status.place_name(place) if place else to.region.name}
        return {
            "title": _title(found.state, world=world).format(**facts),
            "body": _("Is it back for you?"),
            "since": found.since.isoformat() if found.since and found.state == "restored" else None,
            "sinceText": _("Since {time}."),
            "yes": _("Yes, it works again"),
            "no": _("No, still down"),
            "tag": f"back-{to.service.slug}-{to.region.code}",
            "url": f"/services/{to.service.slug}/" + ("" if world else f"{to.region.code}/"),
            "service": to.service.slug,
            "region": to.region.code,
            # What the answer is sent under: the same for however many copies of this message.
            "ids": {kind: str(uuid5(to.pk, kind)) for kind in ("working", "down")},
            "language": to.language,
        }


def _title(state: str, *, world: bool) -> str:
    if state == "recovering":
        return _("Reports about {service} are falling.") if world else _("{service} seems to come back in {place}.")
    if state == "restored":
        return _("{service} seems to be back.") if world else _("{service} seems to be back in {place}.")
    return _("We no longer see that {service} is down.") if world else _("We no longer see {service} down in {place}.")


def _ids(service: str, region: str) -> tuple[int, int] | None:
    found = Service.objects.filter(slug=service, retired_at=None).values_list("pk", flat=True).first()
    place = Region.objects.filter(code=region).values_list("pk", flat=True).first()
    return None if found is None or place is None else (found, place)
