"""One report: what may be sent, and what is answered.

``submit`` and ``asubmit`` are the whole way from a dictionary to an answer; the report is on disk when they return.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils.encoding import force_bytes

from reports import clock, regions
from reports.intake import catalogue, coalescer, flood, guard, inbox, origin, proof, standby
from reports.intake.catalogue import Known, KnownService
from reports.models import Kind

logger = logging.getLogger(__name__)

# Longer than any slug, code or alias; shorter than anything worth sending to a log.
TEXT_LENGTH = 100

# Of reports that come together, how many make one block.
POSTS_PER_BLOCK = 1000

# How long a report waits for the catalogue or a secret that this process has not read yet.
READ_SECONDS = 3.0

KINDS = {"down": Kind.DOWN, "working": Kind.WORKING}
_KIND_NAMES = {kind.value: name for name, kind in KINDS.items()}

_T = TypeVar("_T")


class Invalid(Exception):
    """What was sent is no report. ``errors`` says for each field what is wrong, in the shape of DRF."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Submission:
    """A valid report that has not been accepted yet: numbers for the tables, names for the answer."""

    service_id: int
    region_id: int
    kind: Kind
    problem_id: int | None
    client_id: UUID | None
    service: str
    region: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A report that is on disk, as the answer tells it. ``kind`` is ``down`` or ``working``."""

    id: UUID
    service: str
    region: str
    kind: str
    problem: str | None
    received_at: datetime
    receipt: str

    def as_json(self) -> dict[str, str | None]:
        """The body of the answer."""
        return {
            "id": str(self.id),
            "service": self.service,
            "region": self.region,
            "kind": self.kind,
            "problem": self.problem,
            "received_at": self.received_at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
            "receipt": self.receipt,
        }


# --- Validation ------------------------------------------------------------------------------------------------------


def validate(data: Mapping[str, object], known: Known | None = None, *, hints: bool = True) -> Submission:
    """The report in ``data``: ``service``, ``region`` and optionally ``kind``, ``problem``, ``id``.

    Other keys are ignored. A service may be meant by its slug, name or alias, a region by its code or an alias of it.
    Raises :class:`Invalid`; with ``hints`` it says what may have been meant, which costs milliseconds.
    """
    return _validate(data, known or catalogue.at_hand() or catalogue.read(), hints=hints)


def _validate(data: Mapping[str, object], known: Known, *, hints: bool = True) -> Submission:
    errors: dict[str, list[str]] = {}

    def of(field: str, read: Callable[[str], _T], *, required: bool = False) -> _T | None:
        try:
            said = text(data, field, required=required)
            return None if said is None else read(said)
        except ValueError as error:
            errors[field] = [str(error)]
            return None

    service = of("service", lambda text: _service(text, known, hints=hints), required=True)
    region = of("region", lambda text: _region(text, known, hints=hints), required=True)
    kind = of("kind", _kind)
    problem = None if service is None else of("problem", lambda text: _problem(text, service, known))
    client_id = of("id", client_id_of)
    if errors or service is None or region is None:
        raise Invalid(errors)
    return Submission(
        service_id=service.id,
        region_id=known.regions[region],
        kind=Kind.DOWN if kind is None else kind,
        problem_id=None if problem is None else known.problems[service.category_id, problem],
        client_id=client_id,
        service=service.slug,
        region=region,
        problem=problem,
    )


def text(data: Mapping[str, object], field: str, *, required: bool) -> str | None:
    """The text of a field, or ``None`` where it is empty. Raises ``ValueError``, saying what is wrong with it."""
    value = data.get(field)
    if value is None:
        if not required:
            return None
        raise ValueError("This field may not be null." if field in data else "This field is required.")
    if not isinstance(value, str):
        raise ValueError("Not a valid string.")
    if len(value) > TEXT_LENGTH:
        raise ValueError(f"Ensure this field has no more than {TEXT_LENGTH} characters.")
    if not value.isprintable():
        raise ValueError("Control characters are not allowed.")
    text = value.strip()
    if not text and required:
        raise ValueError("This field may not be blank.")
    # A form sends a field that was left empty.
    return text or None


def _service(text: str, known: Known, *, hints: bool) -> KnownService:
    service = known.spellings.get(text.lower())
    if service is not None and not service.retired:
        return service
    if service is not None:
        raise ValueError(f'Service "{service.slug}" is retired.')
    near_ones = known.services_like(text) if hints else []
    alike = ", ".join(f"{near.slug} ({near.name})" for near in near_ones)
    hint = f"Did you mean {alike}?" if alike else "All services: /api/v1/services/"
    raise ValueError(f'Unknown service "{text}". {hint}')


def _region(text: str, known: Known, *, hints: bool) -> str:
    code = regions.resolve(text)
    if code is not None and code in known.regions:
        return code
    near_ones = [near for near in regions.nearest_codes(text) if near in known.regions] if hints else []
    alike = ", ".join(f"{near} ({known.region_names[near]})" for near in near_ones)
    hint = f"Did you mean {alike}?" if alike else "All regions: /api/v1/regions/"
    raise ValueError(f'Unknown region "{text}". {hint}')


def _kind(text: str) -> Kind:
    try:
        return KINDS[text.lower()]
    except KeyError:
        raise ValueError(f'"{text}" is not a valid choice. Expected "down" or "working".') from None


def _problem(text: str, service: KnownService, known: Known) -> str:
    slug = text.lower()
    if (service.category_id, slug) in known.problems:
        return slug
    expected = ", ".join(known.problems_of(service)) or "none"
    raise ValueError(f'Unknown problem "{text}" of {service.slug}. Expected one of: {expected}.')


def client_id_of(text: str) -> UUID:
    """The client's own id. Raises ``ValueError``, saying what is wrong with it."""
    try:
        id = UUID(text)
    except ValueError:
        raise ValueError("Must be a valid UUID.") from None
    if not id.int:
        # A client that never filled it in: every report of such clients would be taken for the same one.
        raise ValueError("Must be a UUID of its own for each report.")
    return id


# --- Accepting -------------------------------------------------------------------------------------------------------


def submit(data: Mapping[str, object], *, address: str, received_at: datetime, client: str = "") -> Accepted:
    """Accepts a report: valid, on disk, answered. ``client`` is what the browser says of itself (see the guard).

    Raises :class:`Invalid`, ``inbox.Unavailable`` when it can be stored nowhere, in a web server ``flood.Refusal``, and
    ``RuntimeError`` within a transaction (the answer must not precede the commit).
    """
    # In a thread of the web server its loop has a coalescer, which knows what to do without a database.
    writer = coalescer.of_another_thread()
    away = writer is not None and writer.away
    try:
        known = catalogue.at_hand() or (catalogue.stale() or catalogue.held() if away else None) or catalogue.read()
        submission = _validate(data, known)
        keys = guard.known_secrets(received_at)
        if keys is None:
            keys = guard.held_secrets(received_at) if away else guard.read_secrets(received_at)
        who = guard.pseudonyms(address, client=client, keys=keys)
        entry = _entry(submission, who, address, received_at)
        if writer is None:
            (standing,) = inbox.write([entry])
        else:
            flags = flood.flags(address, proved=False)
            waiting = asyncio.run_coroutine_threadsafe(writer.put(entry, flags=flags), writer.loop)
            standing = waiting.result()
    except (OperationalError, InterfaceError, standby.Refused) as error:
        raise inbox.Unavailable from error
    return _accepted(standing, known)


@dataclass(frozen=True, slots=True)
class Post:
    """One report as it would have come in: what was sent, from where and when."""

    data: Mapping[str, object]
    address: str
    received_at: datetime


def submit_many(posts: Iterable[Post]) -> int:
    """Accepts many reports at once, in blocks; how many were sent. Raises as :func:`submit` does, block by block."""
    known = catalogue.at_hand() or catalogue.read()
    sent = 0
    for batch in _batches(posts, POSTS_PER_BLOCK):
        entries = []
        for post in batch:
            keys = guard.known_secrets(post.received_at) or guard.read_secrets(post.received_at)
            who = guard.pseudonyms(post.address, client="", keys=keys)
            entries.append(_entry(_validate(post.data, known), who, post.address, post.received_at))
        inbox.write(entries)
        sent += len(entries)
    return sent


def _batches(posts: Iterable[Post], size: int) -> Iterator[list[Post]]:
    rest = iter(posts)
    while batch := list(islice(rest, size)):
        yield batch


async def asubmit(data: Mapping[str, object], *, address: str, received_at: datetime, client: str = "") -> Accepted:
    """The same without blocking: reports of concurrent callers are written together.

    Raises :class:`Invalid`, ``flood.Refusal`` (the solution of a challenge is sent as ``altcha``), and
    ``inbox.Unavailable`` when it can be stored nowhere.
    """
    known = catalogue.at_hand() or await _catalogue()
    try:
        submission = _validate(data, known)
    except Invalid:
        if catalogue.at_hand() is known:
            raise
        # By an old catalogue: what it does not know may have been added since.
        known = await _newest_catalogue()
        submission = _validate(data, known)
    who = guard.pseudonyms(address, client=client, keys=await _secrets(received_at))
    writer = coalescer.of_this_loop()
    proved = "altcha" in data and await _is_proved(data["altcha"], who, writer.gate)
    entry = _entry(submission, who, address, received_at)
    standing = await writer.put(entry, flags=flood.flags(address, proved=proved))
    return _accepted(standing, known)


async def _is_proved(solution: object, who: guard.Pseudonyms, gate: flood.Gate) -> bool:
    name = proof.solved(solution, person=who.person)
    # Remembered until after its end, by whatever clock.
    return name is not None and await gate.spend(name, seconds=proof.EXPIRES_SECONDS + 60)


async def grounds(at: datetime) -> tuple[Known, guard.Secrets]:
    """What reports that come in at ``at`` are validated by, and the secrets of their pseudonyms.

    Raises ``inbox.Unavailable`` where the database would have to be asked and is away.
    """
    return catalogue.at_hand() or await _newest_catalogue(), await _secrets(at)


async def learn() -> None:
    """Reads what reports need before the first of them comes. Raises nothing: without a database they find out."""
    coalescer.of_this_loop()
    with suppress(inbox.Unavailable):
        await _catalogue()
        await _secrets(await arrival())


async def arrival() -> datetime:
    """The present instant by the site's clock, which a replaying site has to ask the database for."""
    return await asyncio.shield(once("clock", clock.now)) if settings.REPLAY else clock.now()


def _entry(submission: Submission, who: guard.Pseudonyms, address: str, received_at: datetime) -> inbox.Entry:
    return inbox.Entry(
        id=inbox.report_id(received_at),
        service_id=submission.service_id,
        region_id=submission.region_id,
        kind=submission.kind.value,
        problem_id=submission.problem_id,
        who=who,
        client_id=submission.client_id,
        origin=origin.of(address, submission.region),
    )


def _accepted(standing: inbox.Standing, known: Known) -> Accepted:
    service = known.service_slugs[standing.service_id]
    region = known.region_codes[standing.region_id]
    kind = _KIND_NAMES[standing.kind]
    return Accepted(
        id=standing.id,
        service=service,
        region=region,
        kind=kind,
        problem=None if standing.problem_id is None else known.problem_slugs[standing.problem_id],
        received_at=inbox.received_at(standing.id),
        receipt=_signed(",".join((standing.id.hex, service, region, kind))),
    )


async def _catalogue() -> Known:
    """The catalogue; an old one while a new one is being read, which nobody has to wait for."""
    reading = once("catalogue", catalogue.read)
    known = catalogue.stale()
    return known if known is not None else await _read_or_held(reading)


async def _newest_catalogue() -> Known:
    """The catalogue as it is, waited for; an old one only where the database is away."""
    return await _read_or_held(once("catalogue", catalogue.read))


async def _read_or_held(reading: asyncio.Task[Known]) -> Known:
    try:
        return await _soon(reading)
    except inbox.Unavailable:
        known = catalogue.stale() or await _soon(once("held catalogue", catalogue.held))
        if known is None:
            raise
        return known


async def _secrets(at: datetime) -> guard.Secrets:
    found = guard.known_secrets(at)
    if found is None and not coalescer.of_this_loop().away:
        with suppress(inbox.Unavailable):
            found = await _soon(once(guard.days_of(at), lambda: guard.read_secrets(at)))
    if found is None:
        found = await _soon(once(("held", guard.days_of(at)), lambda: guard.held_secrets(at)))
    return found


async def _soon(reading: asyncio.Task[_T]) -> _T:
    """What is being read, unless that takes too long for somebody who waits. Raises ``inbox.Unavailable``."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await asyncio.shield(reading)
    except TimeoutError as error:
        raise inbox.Unavailable from error


_under_way: dict[object, asyncio.Task[Any]] = {}


def once(what: object, call: Callable[[], _T]) -> asyncio.Task[_T]:
    """``call`` in a thread; those who ask for the same while it is under way share it.

    At midnight, or when the catalogue grew old, hundreds of requests find out in the same moment. Raises
    ``inbox.Unavailable`` where ``call`` finds the database away.
    """
    key = (asyncio.get_running_loop(), what)
    if key not in _under_way:
        task = _under_way[key] = asyncio.create_task(_in_thread(call))

        def done(task: asyncio.Task[_T]) -> None:
            del _under_way[key]
            if not task.cancelled() and task.exception() is not None:
                logger.warning("could not read from the database: %r", task.exception())

        task.add_done_callback(done)
    return _under_way[key]


async def _in_thread(call: Callable[[], _T]) -> _T:
    """What ``call`` returns; it may use Django's database connection, which is given back at once."""

    def run() -> _T:
        try:
            return call()
        finally:
            connection.close()

    try:
        return await asyncio.to_thread(run)
    except (DatabaseError, standby.Refused) as error:
        raise inbox.Unavailable from error


# --- Receipts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt proves: that this report was accepted here."""

    id: UUID
    service: str
    region: str
    kind: str
    received_at: datetime


def read_receipt(token: str) -> Receipt | None:
    """The receipt in ``token``, or ``None`` unless this site signed it."""
    try:
        id, service, region, kind = _SIGNER.unsign(token).split(",")
        return Receipt(UUID(id), service, region, kind, inbox.received_at(UUID(id)))
    except (signing.BadSignature, ValueError):
        return None


_SIGNER = signing.Signer(salt="reports.receipt", sep=".")


def _signed(text: str) -> str:
    """``_SIGNER.sign(text)`` at a quarter of the cost: Django derives the same key anew for each signature."""
    made = _begun(_SIGNER.key).copy()
    made.update(text.encode())
    return f"{text}.{signing.b64_encode(made.digest()).decode()}"


@cache
def _begun(key: str | bytes) -> hmac.HMAC:
    return hmac.new(sha256(force_bytes(_SIGNER.salt) + b"signer" + force_bytes(key)).digest(), digestmod=sha256)
