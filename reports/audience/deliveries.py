"""Messages on their way: each is claimed, sent, and what became of it noted. The same for every channel.

A claim is one conditional update that puts the next attempt ahead: no two workers send the same message, and what a
worker that died had claimed comes up again after ``LEASE``. Whether it had already sent it, nobody can know; so a
repetition bears the name of the first: the topic and the tag of web push, ``webhook-id``, ``Message-ID``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from reports.audience import alerts, mail, notices, outgoing, push, webhooks
from reports.models import Channel, Delivery, Subscription, Wish

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
"""How long a message belongs to the worker that claimed it: several times what sending may take."""
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
"""After each failed attempt; after one more, within a day, the message is given up."""
LONGEST_PAUSE = timedelta(hours=12)
TOGETHER = 16
"""Messages that are sent at the same time: nearly all of that time is waiting for others."""

# Where a push service says 404, the browser's address is no more; a webhook's receiver may just be being rebuilt.
_GONE = {Channel.PUSH: frozenset({404, 410})}
_GONE_ELSEWHERE = frozenset({410})
# The site's key or the message is refused by a push service: another attempt would be refused too.
_HOPELESS = {Channel.PUSH: frozenset({400, 401, 403, 413})}


@dataclass(frozen=True)
class Sent:
    """What one run did, in messages."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0
    withdrawn: int = 0

    @property
    def tried(self) -> int:
        """How many it dealt with."""
        return self.delivered + self.failed + self.given_up + self.withdrawn


@dataclass(frozen=True)
class _Result:
    answer: outgoing.Answer | None
    fault: str = ""
    hopeless: bool = False


Compose = Callable[[Delivery], Mapping[str, Any] | None]
"""The message of a delivery as things stand now; ``None`` where it is no longer true."""


def send_due(*, compose: Compose, now: Callable[[], datetime]) -> Sent:
    """Sends what is due, some at a time. ``now`` is the real time, whatever the clock of the site."""
    claimed = claim(now=now())
    messages = [(delivery, compose(delivery)) for delivery in claimed]
    true = [(delivery, message) for delivery, message in messages if message is not None]
    # What is no longer true may become so again: then it is found anew.
    stale = [delivery.pk for delivery, message in messages if message is None]
    Delivery.objects.filter(pk__in=stale, delivered_at=None).delete()
    if not true:
        return Sent(withdrawn=len(stale))
    with ThreadPoolExecutor(max_workers=min(TOGETHER, len(true))) as pool:
        results = list(pool.map(lambda pair: _send(*pair), true))
    outcomes = [_note(delivery, result, now=now()) for (delivery, _), result in zip(true, results, strict=True)]
    return Sent(
        delivered=outcomes.count("delivered"),
        failed=outcomes.count("failed"),
        given_up=outcomes.count("given up"),
        withdrawn=len(stale),
    )


def claim(*, now: datetime, most: int = TOGETHER) -> list[Delivery]:
    """Messages that are due, now this worker's for as long as ``LEASE``."""
    due = Delivery.objects.filter(delivered_at=None, dead_at=None, next_attempt_at__lte=now)
    with transaction.atomic():
        found = list(due.select_for_update(skip_locked=True, of=("self",)).order_by("next_attempt_at")[:most])
        ids = [delivery.pk for delivery in found]
        Delivery.objects.filter(pk__in=ids).update(attempts=F("attempts") + 1, next_attempt_at=now + LEASE)
    related = ("subscription__service", "subscription__region")
    return list(Delivery.objects.filter(pk__in=ids).select_related(*related).order_by("pk"))


def tidy(*, now: datetime) -> int:
    """Deletes the subscriptions whose time is over, with what was still to be sent to them."""
    return Subscription.objects.filter(expires_at__lte=now).delete()[0]


def _send(delivery: Delivery, message: Mapping[str, Any]) -> _Result:
    to = delivery.subscription
    try:
        if to.channel == Channel.PUSH:
            return _Result(push.send(to.target, to.secret, message, topic=f"{to.pk} {delivery.event}"))
        if to.channel == Channel.WEBHOOK:
            answer = webhooks.send_signed(to.target, message, subscription=to.pk, event=delivery.event)
            asked = delivery.event == alerts.CONFIRM and 200 <= answer.status < 300
            if asked and not webhooks.is_answered(to.pk, answer):
                return _Result(None, "the answer does not repeat the challenge")
            return _Result(answer)
        words = notices.words(message, service=to.service.name, region=to.region.code, language=to.language)
        if to.channel == Channel.MAIL:
            named = delivery.event
            return _Result(mail.send(to.target, words, subscription=to.pk, event=named, language=to.language))
        return _Result(webhooks.send_words(to.target, words, channel=to.channel))
    except outgoing.Refused as refused:
        return _Result(None, str(refused), hopeless=True)
    except outgoing.Failed as failed:
        return _Result(None, str(failed))


def _note(delivery: Delivery, result: _Result, *, now: datetime) -> str:
    """Writes down what became of it, unless it has become somebody else's meanwhile."""
    mine = Delivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts, delivered_at=None)
    to = delivery.subscription
    status = result.answer.status if result.answer else None
    if status is not None and 200 <= status < 300:
        if to.wish == Wish.BACK:
            # What was wished for once is done: nothing of it is kept.
            Subscription.objects.filter(pk=to.pk).delete()
        else:
            mine.update(delivered_at=now, fault="")
            if to.channel == Channel.WEBHOOK and delivery.event == alerts.CONFIRM:
                # Its challenge was answered; people answer by a link instead.
                alerts.confirm(to.pk, now=now)
        return "delivered"
    channel = Channel(to.channel)
    if status in _GONE.get(channel, _GONE_ELSEWHERE):
        # The address is no more, for none of its wishes.
        Subscription.objects.filter(channel=to.channel, target_digest=to.target_digest).delete()
        return "given up"
    fault = (result.fault or f"answered {status}")[:200]
    if result.hopeless or status in _HOPELESS.get(channel, frozenset()) or delivery.attempts > len(PAUSES):
        mine.update(dead_at=now, fault=fault)
        logger.warning("a message by %s was given up after %d attempts: %s", to.channel, delivery.attempts, fault)
        return "given up"
    pause = PAUSES[delivery.attempts - 1]
    if result.answer and result.answer.retry_after:
        pause = min(max(pause, timedelta(seconds=result.answer.retry_after)), LONGEST_PAUSE)
    mine.update(next_attempt_at=now + pause, fault=fault)
    return "failed"
