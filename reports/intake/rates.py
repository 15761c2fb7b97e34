"""How much a key may send, and how much work a reader may cause: a bucket of tokens that fills steadily, one for all
web servers, in the broker.

While the broker is away each process goes by a bucket of its own, so that there is then as often that much as there
are processes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

# A broker that does not answer within this time is away, and is not asked again for a while.
ANSWER_SECONDS = 0.5
AWAY_SECONDS = 5.0

# KEYS: the bucket. ARGV: tokens a minute, which is also what the bucket holds, and how many are asked for; a negative
# number gives some back. Answers how many are given. By the broker's clock: those of the web servers may differ.
# Nothing of it is appended to the broker's file or sent to its replicas: it ends with two quiet minutes.
_TAKE = """
if redis.set_repl then redis.set_repl(redis.REPL_NONE) end
local rate, asked = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = rate
if held[1] then
  tokens = math.min(rate, tonumber(held[1]) + math.max(0, now - tonumber(held[2])) * rate / 60000)
end
local given = math.min(asked, math.floor(tokens))
redis.call('HSET', KEYS[1], 'tokens', tostring(math.min(rate, tokens - given)), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], 120000)
return {given, tostring(tokens - given)}
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """``given`` of the tokens asked for, and in how many seconds it is worth asking for the rest."""

    given: int
    retry_after: int


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


_own: dict[str, _Bucket] = {}
# Readers come in threads, and there may be very many of them: then all begin anew, with a full bucket each.
_own_lock = threading.Lock()
OWN_LIMIT = 100_000
_away_until = 0.0
_client: tuple[asyncio.AbstractEventLoop, redis.asyncio.Redis] | None = None


async def take(name: str, asked: int, *, rate_per_minute: int) -> Grant:
    """Takes up to ``asked`` tokens out of the bucket ``name``, or gives some back when ``asked`` is negative."""
    if time.monotonic() >= _away_until:
        try:
            # A second limit, because the client's own does not cover all it does.
            async with asyncio.timeout(2 * ANSWER_SECONDS):
                return _grant(asked, *await _ask(name, asked, rate_per_minute), rate_per_minute)
        except (redis.RedisError, OSError, TimeoutError) as error:
            _is_away(error)
            await _disconnect()
    return _grant(asked, *_take_own(name, asked, rate_per_minute), rate_per_minute)


def take_now(name: str, asked: int, *, rate_per_minute: int) -> Grant:
    """The same for a thread, which waits for the broker itself."""
    if time.monotonic() >= _away_until:
        try:
            answer: Any = _of_threads(settings.REDIS_URL).eval(_TAKE, 1, _key(name), str(rate_per_minute), str(asked))
            return _grant(asked, int(answer[0]), float(answer[1]), rate_per_minute)
        except (redis.RedisError, OSError, TimeoutError) as error:
            _is_away(error)
    return _grant(asked, *_take_own(name, asked, rate_per_minute), rate_per_minute)


def _grant(asked: int, given: int, left: float, rate: int) -> Grant:
    wanted = min(asked - given, rate)
    return Grant(given, max(1, math.ceil((wanted - left) * 60 / rate)))


def _is_away(error: Exception) -> None:
    global _away_until
    logger.warning("the broker is away (%s): rates are limited by each process", type(error).__name__)
    _away_until = time.monotonic() + AWAY_SECONDS


def _key(name: str) -> str:
    return f"outagemap:rate:{name}"


@cache
def _of_threads(url: str) -> redis.Redis:
    # Its own repeated attempts would hold up a reader.
    return redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
    )


async def _ask(name: str, asked: int, rate: int) -> tuple[int, float]:
    global _client
    loop = asyncio.get_running_loop()
    if _client is None or _client[0] is not loop:
        made = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        )
        _client = (loop, made)
    answer = _client[1].eval(_TAKE, 1, _key(name), str(rate), str(asked))
    given, left = await answer
    return int(given), float(left)


async def _disconnect() -> None:
    global _client
    held, _client = _client, None
    if held is not None:
        await held[1].aclose()


async def close() -> None:
    """Lets go of the connection of this event loop."""
    await _disconnect()


def _take_own(name: str, asked: int, rate: int) -> tuple[int, float]:
    with _own_lock:
        now = time.monotonic()
        if len(_own) >= OWN_LIMIT and name not in _own:
            _own.clear()
        bucket = _own.setdefault(name, _Bucket(rate, now))
        tokens = min(rate, bucket.tokens + (now - bucket.at) * rate / 60)
        given = min(asked, math.floor(tokens))
        bucket.tokens, bucket.at = min(rate, tokens - given), now
        return given, tokens - given


def forget() -> None:
    """Drops what this process holds."""
    global _away_until
    _own.clear()
    _away_until = 0.0
