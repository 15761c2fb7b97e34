"""Messages on their way: each is claimed, sent, and what became of it noted at once. The same for every channel.

Whoever takes long holds up nobody else: as soon as one message is done with, the next is claimed. Where the last
attempt failed, a few are sent at a time, so that receivers that hang do not take up every place.

A claim is one conditional update that puts the next attempt ahead: no two workers send the same message, and what a
worker that died had claimed comes up again after ``LEASE``. Whether it had already sent it, nobody can know; so a
repetition bears the name of the first: the topic and the tag of web push, ``webhook-id``, ``Message-ID``.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Least

from reports.audience import alerts, mail, notices, outgoing, push, webhooks
from reports.models import Channel, Delivery, Subscription, Wish

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
"""How long a message belongs to the worker that claimed it: several times what sending may take."""
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
"""After each failed attempt; after one more, within a day, the message is given up."""
JITTER, MOST_JITTER = 0.1, timedelta(seconds=25)
"""An attempt comes up to a tenth of its pause earlier: what failed together is not tried again together."""
LONGEST_PAUSE = timedelta(hours=12)
TOGETHER = 32
"""Messages that are sent at the same time: nearly all of that time is waiting for others."""
SLOW = 8
"""As many of them at most go to where the last attempt failed."""
LOOK_SECONDS = 0.5
"""How often what came up meanwhile is looked for while all that is on its way takes long."""
FORSAKEN = timedelta(days=5)
"""Where messages were given up for so long and none arrived, no more is sent until the holder of the link says so."""

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


def send_due(*, compose: Compose, now: Callable[[], datetime], seconds: float = math.inf) -> Sent:
    """Sends what is due, some at a time, and claims no more after ``seconds``.

    ``now`` is the real time, whatever the clock of the site.
    """
    end = time.monotonic() + seconds
    outcomes: Counter[str] = Counter()
    flying: dict[Future[_Result], Delivery] = {}
    with ThreadPoolExecutor(max_workers=TOGETHER) as pool:
        while True:
            claimed: list[Delivery] = []
            if time.monotonic() < end and len(flying) < TOGETHER:
                slow = sum(bool(each.subscription.failures) for each in flying.values())
                claimed = claim(now=now(), most=TOGETHER - len(flying), most_slow=SLOW - slow)
            for delivery in claimed:
                message = _composed(delivery, compose)
                if message is None:
                    _withdraw(delivery, now=now())
                    outcomes["withdrawn"] += 1
                else:
                    flying[pool.submit(_send, delivery, message)] = delivery
            if not flying and not claimed:
                break
            done, _waiting = wait(flying, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                outcomes[_note(flying.pop(future), future.result(), now=now())] += 1
    return Sent(
        delivered=outcomes["delivered"],
        failed=outcomes["failed"],
        given_up=outcomes["given up"],
        withdrawn=outcomes["withdrawn"],
    )


def claim(*, now: datetime, most: int = TOGETHER, most_slow: int = SLOW) -> list[Delivery]:
    """Messages that are due, now this worker's for as long as ``LEASE``; ``most_slow`` to where the last one failed."""
    due = Delivery.objects.filter(
        delivered_at=None, dead_at=None, next_attempt_at__lte=now, subscription__paused_at=None
    )
    with transaction.atomic():
        free = due.select_for_update(skip_locked=True, of=("self",)).order_by("next_attempt_at")
        ids = [delivery.pk for delivery in free.filter(subscription__failures=0)[:most]]
        slow = min(most - len(ids), most_slow)
        if slow > 0:
            ids += [delivery.pk for delivery in free.filter(subscription__failures__gt=0)[:slow]]
        Delivery.objects.filter(pk__in=ids).update(attempts=F("attempts") + 1, next_attempt_at=now + LEASE)
    related = ("subscription__service", "subscription__region")
    return list(Delivery.objects.filter(pk__in=ids).select_related(*related).order_by("pk"))


def _composed(delivery: Delivery, compose: Compose) -> Mapping[str, Any] | _Result | None:
    try:
        return compose(delivery)
    except Exception:
        # One message that cannot be made must not keep back all others. It is tried again, and then lies at the desk.
        logger.exception("the message %d could not be made", delivery.pk)
        return _Result(None, "the message could not be made")


def _withdraw(delivery: Delivery, *, now: datetime) -> None:
    mine = Delivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts, delivered_at=None)
    if delivery.notice_id is None or delivery.attempts == 1:
        # What is no longer true may become so again: then it is found anew.
        mine.delete()
    else:
        # An earlier attempt may have arrived, whatever was answered. So its number stays taken, and what is told next
        # has an id of its own; and whoever may have heard that it began hears that it is over.
        mine.update(dead_at=now, fault=alerts.WITHDRAWN)


def tidy(*, now: datetime) -> int:
    """Deletes the subscriptions whose time is over, with what was still to be sent to them."""
    return Subscription.objects.filter(expires_at__lte=now).delete()[0]


def _send(delivery: Delivery, message: Mapping[str, Any] | _Result) -> _Result:
    if isinstance(message, _Result):
        return message
    to = delivery.subscription
    try:
        if to.channel == Channel.WEBHOOK:
            answer = webhooks.send_signed(to.target, message, group=to.group, subscription=to.pk, event=delivery.event)
            asked = delivery.event == alerts.CONFIRM and 200 <= answer.status < 300
            if asked and not webhooks.is_answered(to.group, answer):
                return _Result(None, "the answer does not repeat the challenge")
            return _Result(answer)
        if to.channel == Channel.PUSH and to.wish == Wish.BACK:
            return _Result(push.send(to.target, to.secret, message, topic=f"{to.pk} {delivery.event}"))
        words = notices.words(
            message, service=to.service.name, region=to.region.code, language=to.language, time_zone=to.time_zone
        )
        if to.channel == Channel.PUSH:
            shown = notices.notification(message, words, subscription=to.pk, event=delivery.event, language=to.language)
            # What is told of one incident takes the place of what still waits at the push service.
            about = delivery.event.partition("/")[0]
            return _Result(push.send(to.target, to.secret, shown, topic=f"{to.pk} {about}"))
        if to.channel == Channel.MAIL:
            named = delivery.event
            return _Result(mail.send(to.target, words, subscription=to.pk, event=named, language=to.language))
        return _Result(webhooks.send_words(to.target, words, channel=to.channel))
    except outgoing.Refused as refused:
        return _Result(None, str(refused), hopeless=True)
    except outgoing.Failed as failed:
        return _Result(None, str(failed))
    except Exception as error:
        # As above: whatever is wrong with this one, the others are sent.
        logger.exception("the message %d could not be sent", delivery.pk)
        return _Result(None, type(error).__name__)


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
            if to.failures:
                _others_at(to).update(failures=0)
            if to.channel == Channel.WEBHOOK and delivery.event == alerts.CONFIRM:
                # Its challenge was answered; people answer by a link instead.
                alerts.confirm(to.group, now=now)
        return "delivered"
    channel = Channel(to.channel)
    if status in _GONE.get(channel, _GONE_ELSEWHERE):
        # The address is no more, for none of its wishes.
        _others_at(to).delete()
        return "given up"
    _others_at(to).update(failures=Least(F("failures") + 1, Value(1000)))
    fault = (result.fault or f"answered {status}")[:200]
    if result.hopeless or status in _HOPELESS.get(channel, frozenset()) or delivery.attempts > len(PAUSES):
        mine.update(dead_at=now, fault=fault)
        logger.warning("a message by %s was given up after %d attempts: %s", to.channel, delivery.attempts, fault)
        if _is_forsaken(to, now):
            _others_at(to).filter(paused_at=None).update(paused_at=now)
        return "given up"
    pause = PAUSES[delivery.attempts - 1]
    pause -= min(JITTER * pause, MOST_JITTER) * random.random()  # noqa: S311 - no secret
    if result.answer and result.answer.retry_after:
        pause = min(max(pause, timedelta(seconds=result.answer.retry_after)), LONGEST_PAUSE)
    mine.update(next_attempt_at=now + pause, fault=fault)
    return "failed"


def _others_at(to: Subscription) -> QuerySet[Subscription]:
    """All that is sent to the same address."""
    return Subscription.objects.filter(channel=to.channel, target_digest=to.target_digest)


def _is_forsaken(to: Subscription, now: datetime) -> bool:
    told = Delivery.objects.filter(subscription__in=_others_at(to))
    arrived = told.filter(delivered_at__gt=now - FORSAKEN)
    return told.filter(dead_at__lte=now - FORSAKEN).exists() and not arrived.exists()
