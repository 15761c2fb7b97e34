"""How much a key may send: a bucket of tokens that fills steadily, one for all web servers, in the broker.

While the broker is away each process goes by a bucket of its own, so that a key may then send as often that much as
there are processes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass

import redis.asyncio
from django.conf import settings

logger = logging.getLogger(__name__)

# A broker that does not answer within this time is away, and is not asked again for a while.
ANSWER_SECONDS = 0.5
AWAY_SECONDS = 5.0

# KEYS: the bucket. ARGV: tokens a minute, which is also what the bucket holds, and how many are asked for; a negative
# number gives some back. Answers how many are given. By the broker's clock: those of the web servers may differ.
_TAKE = """
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
_away_until = 0.0
_client: tuple[asyncio.AbstractEventLoop, redis.asyncio.Redis] | None = None


async def take(name: str, asked: int, *, rate_per_minute: int) -> Grant:
    """Takes up to ``asked`` tokens out of the bucket ``name``, or gives some back when ``asked`` is negative."""
    global _away_until
    given, left = 0, 0.0
    answered = False
    if time.monotonic() >= _away_until:
        try:
            # A second limit, because the client's own does not cover all it does.
            async with asyncio.timeout(2 * ANSWER_SECONDS):
                given, left = await _ask(name, asked, rate_per_minute)
            answered = True
        except (redis.RedisError, OSError, TimeoutError) as error:
            logger.warning("the broker is away (%s): keys are limited by each process", type(error).__name__)
            _away_until = time.monotonic() + AWAY_SECONDS
            await _disconnect()
    if not answered:
        given, left = _take_own(name, asked, rate_per_minute)
    wanted = min(asked - given, rate_per_minute)
    return Grant(given, max(1, math.ceil((wanted - left) * 60 / rate_per_minute)))


async def _ask(name: str, asked: int, rate: int) -> tuple[int, float]:
    global _client
    loop = asyncio.get_running_loop()
    if _client is None or _client[0] is not loop:
        made = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        )
        _client = (loop, made)
    answer = _client[1].eval(_TAKE, 1, f"outagemap:rate:{name}", str(rate), str(asked))
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
    now = time.monotonic()
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
