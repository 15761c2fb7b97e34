"""Counters that survive: each process adds up for itself, and brings its sums to the broker every few seconds.

Counting costs one addition to a number in memory, whatever the load. Several web processes and workers share the sums
in the broker. Where the broker has lost them they begin at zero again, which is what Prometheus expects of counters;
what a process had not yet brought when it was killed is missing.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import cast

import redis
from django.conf import settings

logger = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
# The broker is asked by a thread of its own, which nobody waits for.
PATIENCE_SECONDS = 2.0
# By the status of the answer. Others are told as "other".
ANSWERS = {
    202: "accepted",
    303: "accepted",
    400: "invalid",
    401: "no_key",
    403: "refused",
    408: "too_slow",
    413: "too_large",
    415: "wrong_type",
    429: "too_many",
    503: "unavailable",
}

COUNTS, LATEST = "outagemap:tally", "outagemap:latest"

_counted: defaultdict[str, float] = defaultdict(float)
_latest: dict[str, float] = {}
_lock = threading.Lock()
_runs_in = 0


def add(name: str, number: float = 1) -> None:
    """Adds to a counter. ``name`` is one of a few: it lives as long as the broker does."""
    with _lock:
        _counted[name] += number
    if _runs_in != os.getpid():
        _run()


def answered(status: int, way: str | None) -> None:
    """Counts an answer by its status; ``way`` is how a report came, where the request was one."""
    add(f"http/{status // 100}xx")
    if way is not None:
        add(f"intake/{way}/{ANSWERS.get(status, 'other')}")


def note(name: str, value: float) -> None:
    """Keeps the newest value of something, whichever process noted it."""
    with _lock:
        _latest[name] = value
    if _runs_in != os.getpid():
        _run()


def bring() -> None:
    """Brings what was counted since to the broker. What it does not take is kept for the next time."""
    with _lock:
        counted, latest = dict(_counted), dict(_latest)
        _counted.clear()
        _latest.clear()
    if not counted and not latest:
        return
    try:
        pipe = _broker().pipeline(transaction=True)
        for name, number in counted.items():
            pipe.hincrbyfloat(COUNTS, name, number)
        if latest:
            pipe.hset(LATEST, mapping={name: str(value) for name, value in latest.items()})
        pipe.execute()
    except redis.RedisError as error:
        with _lock:
            for name, number in counted.items():
                _counted[name] += number
            for name, value in latest.items():
                _latest.setdefault(name, value)
        logger.debug("the counters wait for the broker (%s)", type(error).__name__)


def sums() -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Every counter and every newest value, over all processes. Raises ``redis.RedisError``."""
    bring()
    return _read(COUNTS), _read(LATEST)


def _read(key: str) -> dict[str, float]:
    found = cast(dict[bytes, bytes], _broker().hgetall(key))
    return {name.decode(): float(value) for name, value in found.items()}


def waiting(queues: tuple[str, ...]) -> Mapping[str, int]:
    """How many tasks wait in each of the worker's queues. Raises ``redis.RedisError``."""
    return {queue: _broker().llen(queue) for queue in queues}


def _run() -> None:
    """Starts the thread of this process. A process that was forked off has none of its parent's threads."""
    global _runs_in
    with _lock:
        if _runs_in == os.getpid():
            return
        _runs_in = os.getpid()
    threading.Thread(target=_go_on, name="tally", daemon=True).start()


def _go_on() -> None:
    while True:
        time.sleep(EVERY_SECONDS)
        bring()


@cache
def _broker() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS
    )
