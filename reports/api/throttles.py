"""How much of our work a reader may cause: an answer that has to be made is counted, one that is kept is not.

A kept answer or a ``304`` comes from the event loop and costs a fraction of a millisecond (``python -m tests.benchmarks
readers``), so that thousands of people behind one address of a carrier's NAT may ask for what everybody asks for. What
has to be made costs a thread, queries and some tens of milliseconds: that is what is limited, by address (IPv6: its
/64) or, more generously, by key.

The limit is one bucket in the broker (:mod:`reports.intake.rates`). A process takes some tokens at a time out of it and
spends them without asking again: nobody can have more than the bucket gave, over any number of processes, and an
ordinary reader costs the broker a call a minute at most.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from reports import clock
from reports.intake import coalescer, guard, keys, rates

EXPORT_COST = 10
"""The counts of an incident are read and written out whole: as much work as so many other answers."""
LEASE = 20
"""Tokens that a process takes at once, where the limit is large; else a thirtieth of what a minute gives."""
LEASE_SECONDS = 60.0
# Beyond that all begin anew: they ask the broker once more, which has not forgotten them.
MOST_READERS = 50_000


@dataclass(slots=True)
class _Account:
    """What this process holds for a reader."""

    tokens: int = 0
    good_until: float = 0.0
    refused_until: float = 0.0


_accounts: dict[str, _Account] = {}
_lock = threading.Lock()


class Meter:
    """Counts the work of one request."""

    def __init__(self, request: HttpRequest) -> None:
        self.spent = 0
        self._request = request
        self._reader: tuple[str, int] | None = None

    def spend(self, cost: int = 1) -> None:
        """Counts ``cost``. Raises DRF's ``Throttled`` where the reader had as much made as may be for now."""
        who, rate = self._who()
        if not rate:
            return
        with _lock:
            account = _account(who)
            if account.tokens >= cost:
                account.tokens -= cost
                self.spent += cost
                return
        wanted = max(cost, min(LEASE, rate // 30))
        grant = rates.take_now(f"read:{who}", wanted, rate_per_minute=rate)
        now = time.monotonic()
        with _lock:
            account = _account(who)
            account.tokens += grant.given
            account.good_until = now + LEASE_SECONDS
            if account.tokens >= cost:
                account.tokens -= cost
                self.spent += cost
                return
            account.refused_until = now + grant.retry_after
        raise Throttled(grant.retry_after)

    def give_back(self) -> None:
        """It was no work after all: somebody else had made the answer meanwhile."""
        if self.spent:
            with _lock:
                _account(self._who()[0]).tokens += self.spent
            self.spent = 0

    def refused_for(self) -> float:
        """For how many seconds more this process knows that the reader is to get nothing made; asks nobody."""
        # Most requests come when nobody is refused, and then it does not matter who it is.
        if not _accounts:
            return 0.0
        who, _rate = self._who()
        with _lock:
            account = _accounts.get(who)
            return max(account.refused_until - time.monotonic(), 0.0) if account else 0.0

    def _who(self) -> tuple[str, int]:
        if self._reader is None:
            self._reader = _reader(self._request)
        return self._reader


class WorkThrottle(BaseThrottle):
    """Turns away, before anything is done for it, a reader who was refused a moment ago."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Whether the reader may ask at all."""
        meter = getattr(view, "meter", None) or Meter(request._request)
        self._seconds = meter.refused_for()
        return self._seconds <= 0

    def wait(self) -> float | None:
        """Seconds until it is worth coming again."""
        return math.ceil(self._seconds)


def _account(who: str) -> _Account:
    """With the lock held. What a lease has left after its time is gone: the bucket has filled up meanwhile."""
    account = _accounts.get(who)
    if account is None:
        if len(_accounts) >= MOST_READERS:
            _accounts.clear()
        account = _accounts[who] = _Account()
    if account.tokens and time.monotonic() > account.good_until:
        account.tokens = 0
    return account


def _reader(request: HttpRequest) -> tuple[str, int]:
    """Who reads, and how much may be made for them in a minute; 0 for any amount.

    While the database is away nobody is asked who they are: nothing can be made then, and what was made goes out.
    """
    if coalescer.database_is_away():
        return "", 0
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "api-key" and (key := keys.holder_now(token.strip())):
        return f"key:{key.id}", settings.API_KEY_READS_PER_MINUTE
    rate: int = settings.API_READS_PER_MINUTE
    address, _browser = guard.request_client(request)
    if not rate or guard.is_local(address):
        return "", 0
    try:
        now = clock.now()
        secrets = guard.known_secrets(now) or guard.read_secrets(now)
    except OperationalError:
        return "", 0
    return f"network:{guard.reader(address, keys=secrets):x}", rate


def forget() -> None:
    """Drops what this process holds."""
    with _lock:
        _accounts.clear()
