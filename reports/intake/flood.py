"""Flood limits at the edge: how much one person and one network may send, counted for all web servers in the broker.

Every block of concurrent reports is counted by one call before it is written. The counts of a window are one table of
fixed size (a count-min sketch, Cormode & Muthukrishnan 2005: two rows, the smaller of the two counts is believed), so
that a flood of invented senders takes no more memory than a quiet night, and what the broker holds names nobody: not
even the pseudonyms by which it is counted. It is not appended to the broker's file, and ends with the window.

Beyond a limit a report is refused until the window ends (:class:`TooMany`). Beyond a softer one, or when very many
reports come or wait, it needs a solved challenge (:class:`ProofNeeded`, :mod:`reports.intake.proof`).

While the broker is away each process counts by itself, so that there are then as many limits as processes.
"""

from __future__ import annotations

import logging
import random
import struct
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, cast

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from reports.intake.guard import Pseudonyms, is_local

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 600
PERSON_LIMIT = 30
"""Reports of one person (an address and what the browser says of itself) in a window."""
PERSON_SOFT = 15
"""Beyond so many a challenge is to be solved for each."""
NETWORK_LIMIT = 6000
"""Reports of one network (IPv4 /24, IPv6 /48) in a window: a carrier has a hundred thousand people behind a /24. What
is refused to one person, or comes beyond the softer limit without proof, does not count."""
NETWORK_SOFT = 1500
BUSY_RATE = 9000
"""Reports a second, all together, beyond which everybody is asked: ten times the largest known outage."""
BUSY_WAITING = 2000
"""Reports that wait in one process, beyond which everybody who comes to it is asked."""

EASIEST, HARDEST = 50_000, 1_000_000
"""Hashes that a challenge takes at most (half as many on average): a tenth of a second, and some seconds on a phone."""

# A broker that does not answer within this time is away, and is not asked again for a while.
ANSWER_SECONDS = 0.5
AWAY_SECONDS = 5.0
# Persons and networks that a process counts by itself. New ones beyond that go uncounted until the window ends.
OWN_LIMIT = 100_000

WATCHED, NETWORK, PROVED = 1, 2, 4
"""What is to be counted of a report, and whether its challenge is solved: flags, 0 for one that has no limits."""

_RATE_SECONDS = 10
_PERSON_BITS, _NETWORK_BITS = 20, 17
_PERSON_SLOTS, _NETWORK_SLOTS = 1 << _PERSON_BITS, 1 << _NETWORK_BITS
_NETWORKS_AT = 2 * _PERSON_SLOTS
_NO_SLOT = 0xFFFF_FFFF
_SLOTS = struct.Struct("<IIIIB").pack
_COUNTS = struct.Struct("<HH")

# One slot of a cluster, so that one script reaches both keys.
_PREFIX = "{outagemap:flood}:"

# KEYS: the table of this window; the reports of these ten seconds and of those before. ARGV: for each report its four
# places in the table and its flags; milliseconds to live; PERSON_LIMIT, NETWORK_SOFT and PROVED. It is appended to no
# file and sent to no replica.
# What is refused to one person is not counted for the network: whoever sends for ever would lock out a whole carrier.
_COUNT = """
if redis.set_repl then redis.set_repl(redis.REPL_NONE) end
local counts, at, places = {}, KEYS[1], ARGV[1]
local person_limit, network_soft, proved = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local reports = #places / 17
for i = 1, reports do
  local a, b, c, d, flags = struct.unpack('<I4I4I4I4B', places, i * 17 - 16)
  if c == 4294967295 then
    local n = redis.call('BITFIELD', at, 'OVERFLOW', 'SAT', 'INCRBY', 'u16', '#' .. a, 1, 'INCRBY', 'u16', '#' .. b, 1)
    counts[i] = struct.pack('<I2I2', math.min(n[1], n[2]), 0)
  else
    local n = redis.call('BITFIELD', at, 'OVERFLOW', 'SAT', 'INCRBY', 'u16', '#' .. a, 1, 'INCRBY', 'u16', '#' .. b, 1,
      'GET', 'u16', '#' .. c, 'GET', 'u16', '#' .. d)
    local person, network = math.min(n[1], n[2]), math.min(math.min(n[3], n[4]) + 1, 65535)
    if person <= person_limit and (network <= network_soft or flags >= proved) then
      redis.call('BITFIELD', at, 'OVERFLOW', 'SAT', 'INCRBY', 'u16', '#' .. c, 1, 'INCRBY', 'u16', '#' .. d, 1)
    end
    counts[i] = struct.pack('<I2I2', person, network)
  end
end
if redis.call('PTTL', at) < 0 then redis.call('PEXPIRE', at, ARGV[2]) end
local lately = redis.call('INCRBY', KEYS[2], reports)
if lately == reports then redis.call('PEXPIRE', KEYS[2], 60000) end
local before = tonumber(redis.call('GET', KEYS[3]) or '0')
return {table.concat(counts), math.max(lately, before)}
"""
_COUNT_SHA = sha1(_COUNT.encode(), usedforsecurity=False).hexdigest()

Visit = tuple[Pseudonyms, int]
"""Who sends a report, and its flags."""


class Refusal(Exception):
    """The report is not taken in now. ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class TooMany(Refusal):
    """The person, or with ``network`` the whole network, has sent as much as it may for now."""

    def __init__(self, retry_after: int, *, network: bool) -> None:
        super().__init__(retry_after)
        self.network = network


class ProofNeeded(Refusal):
    """The report is taken in with the solution of a challenge of so many hashes, made for this person."""

    def __init__(self, retry_after: int, *, person: int, hashes: int) -> None:
        super().__init__(retry_after)
        self.person = person
        self.hashes = hashes


def flags(address: str, *, proved: bool) -> int:
    """What is to be counted of a report from ``address``."""
    return WATCHED | (0 if is_local(address) else NETWORK) | (PROVED if proved else 0)


@dataclass
class _Own:
    """What a process counts by itself."""

    window: int = -1
    counts: dict[tuple[str, int], int] = field(default_factory=dict)
    tick: int = -1
    lately: int = 0

    def add(self, visits: Iterable[Visit], now: float) -> tuple[list[tuple[int, int]], int]:
        if self.window != int(now // WINDOW_SECONDS):
            self.window, self.counts = int(now // WINDOW_SECONDS), {}
        if self.tick != int(now // _RATE_SECONDS):
            self.tick, self.lately = int(now // _RATE_SECONDS), 0
        found = []
        for who, flags in visits:
            self.lately += 1
            person = self._next("person", who.person)
            self._note("person", who.person, person)
            network = 0
            if flags & NETWORK:
                network = self._next("network", who.network)
                # As in the broker's script.
                if person <= PERSON_LIMIT and (network <= NETWORK_SOFT or flags & PROVED):
                    self._note("network", who.network, network)
            found.append((person, network))
        return found, self.lately

    def _next(self, kind: str, name: int) -> int:
        return self.counts.get((kind, name), 0) + 1

    def _note(self, kind: str, name: int, count: int) -> None:
        if count > 1 or len(self.counts) < OWN_LIMIT:
            self.counts[kind, name] = count


class Gate:
    """Judges the reports of one event loop, over a connection of its own."""

    def __init__(self) -> None:
        self._client: redis.asyncio.Redis | None = None
        self._away_until = 0.0
        self._own = _Own()
        self._spent: OrderedDict[str, float] = OrderedDict()

    async def judge(self, visits: Sequence[Visit], *, waiting: int) -> list[Refusal | None]:
        """Counts these reports, and says of each why it is not to be taken in; ``waiting`` more are in the queue.

        Raises nothing.
        """
        now = time.time()
        counts, lately = await self._counts(visits, now)
        busy = max(lately / _RATE_SECONDS / BUSY_RATE, waiting / BUSY_WAITING)
        if busy <= 1 and all(person <= PERSON_SOFT and network <= NETWORK_SOFT for person, network in counts):
            return [None] * len(visits)
        return [
            judged(who, flags, person, network, busy, now)
            for (who, flags), (person, network) in zip(visits, counts, strict=True)
        ]

    async def spend(self, solution: str, *, seconds: int) -> bool:
        """Whether nobody has used this solution before; it is remembered for so long."""
        if time.monotonic() >= self._away_until:
            try:
                said = await self._connected().set(f"{_PREFIX}spent:{solution}", b"", nx=True, ex=seconds)
                if not said:
                    return False
            except (redis.RedisError, OSError, TimeoutError) as error:
                await self._is_away(error)
        # Noted here as well: the broker may be gone when it comes again.
        now = time.monotonic()
        if self._spent.get(solution, 0.0) > now:
            return False
        self._spent[solution] = now + seconds
        self._spent.move_to_end(solution)
        # The oldest go, so that nobody is turned away: who finds one of them out spends it once more while the broker
        # is away.
        while self._spent and (len(self._spent) > OWN_LIMIT or next(iter(self._spent.values())) <= now):
            self._spent.popitem(last=False)
        return True

    async def close(self) -> None:
        """Lets go of the connection."""
        held, self._client = self._client, None
        if held is not None:
            await held.aclose()

    async def _counts(self, visits: Sequence[Visit], now: float) -> tuple[Sequence[tuple[int, int]], int]:
        if time.monotonic() >= self._away_until:
            try:
                return await self._ask(visits, now)
            except (redis.RedisError, OSError, TimeoutError) as error:
                await self._is_away(error)
        return self._own.add(visits, now)

    async def _ask(self, visits: Sequence[Visit], now: float) -> tuple[Sequence[tuple[int, int]], int]:
        places = b"".join([_places(who, flags) for who, flags in visits])
        tick = int(now // _RATE_SECONDS)
        arguments = (
            3,
            f"{_PREFIX}{int(now // WINDOW_SECONDS)}",
            f"{_PREFIX}rate:{tick}",
            f"{_PREFIX}rate:{tick - 1}",
            places,
            WINDOW_SECONDS * 1000,
            PERSON_LIMIT,
            NETWORK_SOFT,
            PROVED,
        )
        ask: Any = self._connected().execute_command
        try:
            answer = await ask("EVALSHA", _COUNT_SHA, *arguments)
        except redis.exceptions.NoScriptError:
            answer = await ask("EVAL", _COUNT, *arguments)
        packed, lately = answer
        return list(cast("Iterable[tuple[int, int]]", _COUNTS.iter_unpack(packed))), int(lately)

    async def _is_away(self, error: Exception) -> None:
        logger.warning("the broker is away (%s): floods are limited by each process", type(error).__name__)
        self._away_until = time.monotonic() + AWAY_SECONDS
        await self.close()

    def _connected(self) -> redis.asyncio.Redis:
        if self._client is None:
            self._client = redis.asyncio.Redis.from_url(
                settings.REDIS_URL,
                # Its own repeated attempts would hold up everybody's reports.
                retry=Retry(NoBackoff(), 0),
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
                single_connection_client=True,
            )
        return self._client


def judged(who: Pseudonyms, flags: int, person: int, network: int, busy: float, now: float) -> Refusal | None:
    """What becomes of the ``person``-th report of a person and the ``network``-th of a network in the window of
    ``now`` (seconds since 1970); ``busy`` is how many times the load at which everybody is asked for proof."""
    left = int(WINDOW_SECONDS - now % WINDOW_SECONDS) + 1
    if person > PERSON_LIMIT or network > NETWORK_LIMIT:
        # Not everybody in the same second.
        later = left + random.randrange(30)  # noqa: S311  # no secret
        return TooMany(later, network=person <= PERSON_LIMIT)
    strain = max(person / PERSON_SOFT, network / NETWORK_SOFT, busy)
    if strain <= 1 or flags & PROVED:
        return None
    return ProofNeeded(left, person=who.person, hashes=min(int(EASIEST * strain**2), HARDEST))


def _places(who: Pseudonyms, flags: int) -> bytes:
    """The places of a report in the table: two of its person, two of its network. A pseudonym is evenly spread."""
    person, network = who.person, who.network
    first, second = person & (_PERSON_SLOTS - 1), _PERSON_SLOTS + (person >> _PERSON_BITS & (_PERSON_SLOTS - 1))
    if not flags & NETWORK:
        return _SLOTS(first, second, _NO_SLOT, _NO_SLOT, flags)
    third = _NETWORKS_AT + (network & (_NETWORK_SLOTS - 1))
    fourth = _NETWORKS_AT + _NETWORK_SLOTS + (network >> _NETWORK_BITS & (_NETWORK_SLOTS - 1))
    return _SLOTS(first, second, third, fourth, flags)
