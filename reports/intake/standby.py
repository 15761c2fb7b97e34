"""Stand-by: accepted reports wait in the broker for as long as the database is away.

What is held is a block of the inbox under the id it would have there, with the client ids of its reports. The broker
says "yes" only after its append-only file is on disk (``WAITAOF``), it holds a block once however often it is told to,
and it holds so much and no more. ``reports.intake.recovery`` brings the blocks home.

``STANDBY`` of the settings: ``fsync`` (the default) asks for that proof and refuses a broker that cannot give it;
``trust`` takes any broker's word; ``off`` holds nothing.
"""

from __future__ import annotations

import os
import secrets
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, cast
from uuid import UUID
from zlib import crc32

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

# A broker that neither answers nor refuses is given up after this time.
ANSWER_SECONDS = 2.0
# How long the broker may take to flush its file; with ``appendfsync everysec`` that is up to a second.
FLUSH_MILLISECONDS = 1500
# How long a broker that was found fit (or not) for holding reports is taken to be so.
CHECK_SECONDS = 30.0
BLOCKS_LIMIT = 500_000
# What a block and a client id take in the broker beyond their own bytes, about.
_BLOCK_WEIGHT, _CLAIM_WEIGHT = 200, 150

# One slot, so that a cluster takes them in one script.
_PREFIX = "{outagemap:standby}:"
_BLOCKS, _ORDER, _CLAIMS, _BYTES, _CALLS, _BROKEN = (
    _PREFIX + name for name in ("blocks", "order", "claims", "bytes", "calls", "broken")
)
_RECOVERING = _PREFIX + "recovering"
_SECRETS = _PREFIX + "secrets"
_CATALOGUE = _PREFIX + "catalogue"

_FULL = 2
_MARK = b"OMH1"
_HEADER = struct.Struct("<4sIBI")
_CLAIM = struct.Struct("<I16s")


class Refused(Exception):
    """The broker cannot hold it: away, full, or not known to keep what it is told. The message says which."""


class Unreadable(ValueError):
    """What the broker held is not what was given to it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block to be held; ``claims`` gives for each client id what is to be answered to whoever sends it again."""

    id: UUID
    payload: bytes
    claims: Mapping[UUID, bytes]


@dataclass(frozen=True, slots=True)
class Held:
    """A held block as it was packed: the inbox's bytes, the client id of a record by the record's place.

    ``attempted``: the database had been asked to store it, and that may still come about.
    """

    block: bytes
    client_ids: Mapping[int, UUID]
    attempted: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the broker holds: blocks, those set aside as faulty, the bytes they take and the oldest one's instant."""

    blocks: int
    broken: int
    bytes: int
    since: datetime | None


def pack(held: Held) -> bytes:
    """The bytes that the broker keeps."""
    claims = b"".join(_CLAIM.pack(place, id.bytes) for place, id in sorted(held.client_ids.items()))
    rest = held.block + claims
    return _HEADER.pack(_MARK, crc32(rest), held.attempted, len(held.block)) + rest


def unpack(payload: bytes) -> Held:
    """What :func:`pack` was given. Raises :class:`Unreadable`."""
    if len(payload) < _HEADER.size:
        raise Unreadable(f"{len(payload)} bytes are too few")
    mark, checksum, attempted, length = _HEADER.unpack_from(payload)
    rest = payload[_HEADER.size :]
    if mark != _MARK or crc32(rest) != checksum or length > len(rest) or (len(rest) - length) % _CLAIM.size:
        raise Unreadable("the mark, the checksum or the lengths do not fit")
    claims = {place: UUID(bytes=id) for place, id in _CLAIM.iter_unpack(rest[length:])}
    return Held(rest[:length], claims, bool(attempted))


# --- Holding ---------------------------------------------------------------------------------------------------------

# The counter is written by every call: WAITAOF waits for the last write of its connection, and what an earlier caller
# has been told may not be on disk yet. A block that is there already stays as it is. Where a client id is another
# block's, nothing is held, and whoever asked is told what stands for it.
_HOLD = """
redis.call('INCR', KEYS[5])
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return {0, {}} end
local taken = {}
for i = 6, #ARGV, 2 do
  local found = redis.call('HGET', KEYS[3], ARGV[i])
  if found then
    taken[#taken + 1] = ARGV[i]
    taken[#taken + 1] = string.sub(found, 17)
  end
end
if #taken > 0 then return {1, taken} end
local bytes = tonumber(redis.call('GET', KEYS[4]) or '0')
if bytes + tonumber(ARGV[3]) > tonumber(ARGV[4]) or redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then
  return {2, {}}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('INCRBY', KEYS[4], ARGV[3])
for i = 6, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[1] .. ARGV[i + 1]) end
return {0, {}}
"""
_RELEASE = """
local released = 0
for i = 1, #ARGV, 3 do
  if redis.call('HDEL', KEYS[1], ARGV[i]) == 1 then
    redis.call('ZREM', KEYS[2], ARGV[i])
    redis.call('DECRBY', KEYS[4], ARGV[i + 1])
    for at = 1, #ARGV[i + 2], 16 do
      local id = string.sub(ARGV[i + 2], at, at + 15)
      local found = redis.call('HGET', KEYS[3], id)
      if found and string.sub(found, 1, 16) == ARGV[i] then redis.call('HDEL', KEYS[3], id) end
    end
    released = released + 1
  end
end
return released
"""
_KEYS = (_BLOCKS, _ORDER, _CLAIMS, _BYTES, _CALLS)


class Standby:
    """Holds blocks, for one event loop, over connections of its own."""

    def __init__(self) -> None:
        self._client: redis.asyncio.Redis | None = None
        self._checked_at = -CHECK_SECONDS
        self._fault = ""
        self._flushes = False

    async def hold(self, block: Block) -> dict[UUID, bytes]:
        """Holds ``block``: when this returns nothing, it is on the broker's disk.

        Else a client id is that of an earlier block, and nothing was held: returns what stands for each such id, which
        is on disk. Raises :class:`Refused`; then nobody knows whether it is held, and it may be tried again.
        """
        if settings.STANDBY == "off":
            raise Refused("the stand-by is off")
        try:
            await self._check()
            pipeline = self._connected().pipeline(transaction=False)
            pipeline.execute_command("EVAL", _HOLD, len(_KEYS), *_KEYS, *_arguments(block))
            if self._flushes:
                pipeline.execute_command("WAITAOF", 1, 0, FLUSH_MILLISECONDS)
            (code, taken), *flushed = await pipeline.execute()
        except (redis.RedisError, OSError, TimeoutError) as error:
            # Its settings may be others by now.
            self._checked_at = -CHECK_SECONDS
            raise Refused(f"the broker does not take it: {type(error).__name__}") from error
        if code == _FULL:
            raise Refused("the stand-by is full")
        if flushed and flushed[0][0] < 1:
            raise Refused("the broker did not flush its file in time")
        return {UUID(bytes=id): stands for id, stands in zip(taken[::2], taken[1::2], strict=True)}

    async def claimed(self, ids: Sequence[UUID]) -> tuple[dict[UUID, bytes], bool]:
        """What stands for those of these client ids that blocks still held have, and whether any block is held.

        Raises :class:`Refused`.
        """
        try:
            pipeline = self._connected().pipeline(transaction=False)
            pipeline.hlen(_BLOCKS)
            pipeline.hmget(_CLAIMS, [id.bytes for id in ids])
            blocks, found = await pipeline.execute()
        except (redis.RedisError, OSError, TimeoutError) as error:
            raise Refused(f"the broker does not answer: {type(error).__name__}") from error
        return {id: stands[16:] for id, stands in zip(ids, found, strict=True) if stands is not None}, blocks > 0

    async def close(self) -> None:
        """Lets go of the connections."""
        held, self._client = self._client, None
        if held is not None:
            await held.aclose()

    def _connected(self) -> redis.asyncio.Redis:
        if self._client is None:
            # Its own repeated attempts would take seconds.
            retry = AsyncRetry(NoBackoff(), 0)
            self._client = redis.asyncio.Redis.from_url(settings.REDIS_URL, retry=retry, **_PATIENCE)
        return self._client

    async def _check(self) -> None:
        """Raises :class:`Refused` where what this broker is told may be gone after its death."""
        if settings.STANDBY == "trust":
            self._flushes = False
            return
        if time.monotonic() - self._checked_at >= CHECK_SECONDS:
            info = await self._connected().info()
            self._flushes = _version(info) >= (7, 2)
            always = False
            if not self._flushes:
                always = (await self._connected().config_get("appendfsync")).get("appendfsync") == "always"
            self._fault = _fault(info, flushes=self._flushes or always)
            self._checked_at = time.monotonic()
        if self._fault:
            raise Refused(self._fault)


_PATIENCE: dict[str, Any] = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}


def _version(info: Mapping[str, Any]) -> tuple[int, ...]:
    # Valkey names the Redis it is compatible with.
    return tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2])


def _fault(info: Mapping[str, Any], *, flushes: bool) -> str:
    if not info.get("aof_enabled"):
        return "the broker keeps no append-only file"
    if not flushes:
        return "the broker does not tell when its file is flushed (WAITAOF, or appendfsync always)"
    policy = str(info.get("maxmemory_policy", ""))
    # What is held has no time to live.
    return f"the broker may evict what it holds ({policy})" if policy.startswith("allkeys-") else ""


def _arguments(block: Block) -> list[bytes | int]:
    weight = len(block.payload) + _BLOCK_WEIGHT + len(block.claims) * _CLAIM_WEIGHT
    found: list[bytes | int] = [block.id.bytes, block.payload, weight, settings.STANDBY_MB << 20, BLOCKS_LIMIT]
    for id, stands in block.claims.items():
        found += [id.bytes, stands]
    return found


# --- The way home: for the worker, blocking --------------------------------------------------------------------------


def client() -> redis.Redis:
    """A blocking client of the broker, one for each process; it gives up soon and never tries again by itself."""
    return _client(settings.REDIS_URL, os.getpid())


@cache
def _client(url: str, _pid: int) -> redis.Redis:
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **_PATIENCE)


def oldest(limit: int) -> list[tuple[UUID, bytes]]:
    """The oldest held blocks, as id and bytes. Raises ``redis.RedisError``, as all of these do."""
    ids = cast("list[bytes]", client().zrange(_ORDER, 0, limit - 1))
    payloads = cast("list[bytes | None]", client().hmget(_BLOCKS, cast("list[str]", ids))) if ids else []
    return [(UUID(bytes=id), payload) for id, payload in zip(ids, payloads, strict=True) if payload is not None]


def release(blocks: Iterable[tuple[UUID, bytes, Iterable[UUID]]]) -> None:
    """Forgets these blocks (id, bytes and client ids), which are in the database for good."""
    arguments: list[Any] = []
    for id, payload, claims in blocks:
        ids = list(claims)
        weight = len(payload) + _BLOCK_WEIGHT + len(ids) * _CLAIM_WEIGHT
        arguments += [id.bytes, weight, b"".join(claim.bytes for claim in ids)]
    if arguments:
        client().eval(_RELEASE, len(_KEYS), *_KEYS, *arguments)


def set_aside(id: UUID) -> None:
    """Keeps a block that cannot be read, or that the tables refuse, out of the others' way."""
    with client().pipeline() as pipeline:
        payload = cast("bytes | None", client().hget(_BLOCKS, cast("str", id.bytes)))
        if payload is not None:
            pipeline.hset(_BROKEN, cast("str", id.bytes), cast("str", payload))
        pipeline.hdel(_BLOCKS, cast("str", id.bytes))
        pipeline.zrem(_ORDER, id.bytes)
        pipeline.execute()


def waiting(of: redis.Redis | None = None) -> Waiting:
    """What the broker holds now; by another client than this module's own, if one is given."""
    with (of or client()).pipeline(transaction=True) as pipeline:
        pipeline.hlen(_BLOCKS)
        pipeline.hlen(_BROKEN)
        pipeline.get(_BYTES)
        pipeline.zrange(_ORDER, 0, 0)
        blocks, broken, taken, first = pipeline.execute()
    since = None
    if first:
        # The instant of a block is in its id, a UUIDv7.
        since = datetime.fromtimestamp(int.from_bytes(first[0][:6], "big") / 1000, tz=UTC)
    return Waiting(blocks=blocks, broken=broken, bytes=int(taken or 0), since=since)


def recovering_since(*, begin: bool) -> datetime | None:
    """Since when (by the machine's clock) blocks are on their way home; with ``begin`` from now on, if not yet."""
    if begin:
        client().set(_RECOVERING, f"{time.time():.3f}", nx=True)
    found = cast("bytes | None", client().get(_RECOVERING))
    return None if found is None else datetime.fromtimestamp(float(found), tz=UTC)


def recovered() -> None:
    """Everything is home, and drained."""
    client().delete(_RECOVERING)


# --- The catalogue, for a web server that starts without the database ------------------------------------------------


def keep_catalogue(content: bytes) -> None:
    """Keeps what reports are checked by. Raises :class:`Refused` where the broker does not take it."""
    if settings.STANDBY == "off":
        return
    try:
        client().set(_CATALOGUE, content)
    except redis.RedisError as error:
        raise Refused(f"the broker does not take it: {type(error).__name__}") from error


def kept_catalogue() -> bytes | None:
    """What was kept last. Raises :class:`Refused`."""
    if settings.STANDBY == "off":
        return None
    try:
        return cast("bytes | None", client().get(_CATALOGUE))
    except redis.RedisError as error:
        raise Refused(f"the broker does not answer: {type(error).__name__}") from error


# --- The secrets of days while the database is away ------------------------------------------------------------------


def secret_of(day: date, *, make: bool) -> bytes | None:
    """The secret of ``day`` that is held here; with ``make`` one is made where there is none.

    Raises :class:`Refused` where the broker does not answer, or ``STANDBY`` is off.
    """
    if settings.STANDBY == "off":
        if make:
            raise Refused("the stand-by is off")
        return None
    try:
        if make:
            client().hsetnx(_SECRETS, day.isoformat(), cast("str", secrets.token_bytes(32)))
        return cast("bytes | None", client().hget(_SECRETS, day.isoformat()))
    except redis.RedisError as error:
        raise Refused(f"the broker does not answer: {type(error).__name__}") from error


def lend_secret(day: date, secret: bytes) -> None:
    """Holds the secret of ``day`` for others while the database is away, unless one is held already.

    Raises :class:`Refused` where the broker does not answer; does nothing where ``STANDBY`` is off.
    """
    if settings.STANDBY == "off":
        return
    try:
        client().hsetnx(_SECRETS, day.isoformat(), cast("str", secret))
    except redis.RedisError as error:
        raise Refused(f"the broker does not answer: {type(error).__name__}") from error


def secret_days() -> list[date]:
    """The days whose secrets are held here."""
    return sorted(date.fromisoformat(day.decode()) for day in cast("list[bytes]", client().hkeys(_SECRETS)))


def destroy_secret(day: date) -> None:
    """Destroys it, in the broker's file too: that would show it until it is next rewritten."""
    client().hdel(_SECRETS, day.isoformat())
    with suppress(redis.ResponseError):
        # Refused while it is at it already, or by a server that keeps no file.
        client().bgrewriteaof()
