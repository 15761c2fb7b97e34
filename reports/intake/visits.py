"""What visitors send that is no report, held to the same limits as their reports."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import redis
from django.core.cache import cache

from reports.intake import coalescer, flood, guard


def admit(address: str, client: str, *, now: datetime) -> None:
    """Counts one thing sent by ``client`` at ``address``. Raises ``flood.Refusal`` beyond the limits.

    Outside a web server nobody is counted.
    """
    writer = coalescer.of_another_thread()
    if writer is None:
        return
    keys = guard.known_secrets(now) or guard.read_secrets(now)
    who = guard.pseudonyms(address, client=client, keys=keys)
    visit = (who, flood.flags(address, proved=False))
    judging = asyncio.run_coroutine_threadsafe(writer.gate.judge([visit], waiting=0), writer.loop)
    (refusal,) = judging.result()
    if refusal is not None:
        raise refusal


QUESTION_SECONDS = 3600
PERSON_QUESTIONS = 10
"""Questions to other people's mailboxes and machines that one person may have us ask in an hour."""
NETWORK_QUESTIONS = 60
"""The same for one network: whoever fills mailboxes calls himself another person each time."""


def admit_question(address: str, client: str, *, now: datetime) -> None:
    """Counts one question that ``client`` at ``address`` has us ask somebody.

    Raises ``flood.TooMany`` beyond the limits. Counted in the broker by the pseudonyms of the day, and forgotten with
    the hour. Outside a web server nobody is counted.
    """
    if coalescer.of_another_thread() is None:
        return
    who = guard.pseudonyms(address, client=client, keys=guard.known_secrets(now) or guard.read_secrets(now))
    window = int(time.time() // QUESTION_SECONDS)
    left = int(QUESTION_SECONDS - time.time() % QUESTION_SECONDS) + 1
    limits = [("person", who.person, PERSON_QUESTIONS)]
    # As for reports: no limit for the machine itself.
    if flood.flags(address, proved=False) & flood.NETWORK:
        limits.append(("network", who.network, NETWORK_QUESTIONS))
    for kind, number, most in limits:
        key = f"questions:{kind}:{number}:{window}"
        if _counted(key) > most:
            raise flood.TooMany(left, network=kind == "network")


def _counted(key: str) -> int:
    try:
        cache.add(key, 0, QUESTION_SECONDS)
        return cache.incr(key)
    except (ValueError, redis.RedisError):
        # The hour ended in between, or the broker is away: then the limits of each address still hold.
        return 1
