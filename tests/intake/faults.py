"""Everything is killed, in turn and at random, under load: acknowledged = stored = counted, none lost and none twice.

``python -m tests.intake.faults --minutes 30 --seed 7`` starts a site of its own (``manage.py up``), sends reports to it
and kills (SIGKILL) or stops (SIGSTOP, for some seconds) its programs, the database and the broker together, and the
whole machine's worth of them; it prints what it did and what came of it, and ends with 1 if anything was lost or
counted twice.

Half of the reports carry an ``id`` and are sent again until they are acknowledged; the others are sent once. Everybody
who reports is another person in another network, so that each report counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid5

import psutil
import psycopg
import redis

from outagemap import embedded
from tests.site import ROLES, Site

SERVICES = ("whatsapp", "instagram", "facebook", "messenger", "youtube", "netflix")
REGIONS = ("GB-ENG", "GB-SCT", "DE-BE", "FR-IDF", "US-CA", "US-NY", "BR-SP", "IN-MH")
DATABASE, BROKER = "postgres", "valkey"
_NAMES = UUID("6f757461-6765-5d61-b070-000000000000")


# --- The load --------------------------------------------------------------------------------------------------------


@dataclass
class Sent:
    """What became of the reports, by number. Instants are of ``time.monotonic()``."""

    acknowledged: dict[int, UUID] = field(default_factory=dict)
    unanswered: set[int] = field(default_factory=set)
    """Sent once, and either nothing came back or a 503: stored or not, nobody promised anything."""
    unexpected: list[str] = field(default_factory=list)
    """Answers that are neither 202 nor 503."""
    statuses: Counter[int] = field(default_factory=Counter)
    attempts: list[tuple[float, float, int]] = field(default_factory=list)
    """Of each answer: when its request was sent, when it came, and its status."""


def has_id(number: int) -> bool:
    return number % 2 == 0


def client_id(number: int) -> UUID:
    return uuid5(_NAMES, str(number))


def _request(number: int, rolls: random.Random) -> bytes:
    report = {"service": rolls.choice(SERVICES), "region": rolls.choice(REGIONS)}
    if has_id(number):
        report["id"] = str(client_id(number))
    body = json.dumps(report)
    address = f"{20 + (number >> 16) % 80}.{number >> 8 & 255}.{number & 255}.7"
    return (
        "POST /api/v1/reports/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Forwarded-For: {address}\r\nUser-Agent: browser {number}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Crowd:
    """So many clients, each of whom sends a report, waits for the answer and pauses a little."""

    def __init__(self, port: int, *, clients: int, per_second: float, seed: int) -> None:
        self.sent = Sent()
        self.first = seed * 1_000_000
        self._port, self._clients, self._pause = port, clients, clients / per_second
        self._rolls = random.Random(seed)
        self._next = self.first
        self._ending = False
        self._until = float("inf")
        self._thread = Thread(target=lambda: asyncio.run(self._all()))

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Nothing new is sent; what has an id is sent again until it is acknowledged, or for a minute."""
        self._ending = True
        self._until = time.monotonic() + 60
        self._thread.join()

    @property
    def numbers(self) -> range:
        """Of the reports that were sent."""
        return range(self.first, self._next)

    async def _all(self) -> None:
        await asyncio.gather(*(self._one_client() for _ in range(self._clients)))

    async def _one_client(self) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._ending:
            # Pauses of a crowd: at random. A machine's would all be alike.
            await asyncio.sleep(self._rolls.expovariate(1 / self._pause))
            number, self._next = self._next, self._next + 1
            request = _request(number, self._rolls)
            while number not in self.sent.acknowledged and time.monotonic() < self._until:
                began = time.monotonic()
                try:
                    if streams is None:
                        streams = await asyncio.open_connection("127.0.0.1", self._port)
                    async with asyncio.timeout(15):
                        status, body = await _exchange(*streams, request)
                except (OSError, TimeoutError, asyncio.IncompleteReadError):
                    status, body = 0, b""
                    if streams is not None:
                        streams[1].close()
                        streams = None
                self.sent.statuses[status] += 1
                self.sent.attempts.append((began, time.monotonic(), status))
                if status == 202:
                    self.sent.acknowledged[number] = UUID(json.loads(body)["id"])
                elif status not in (0, 503):
                    self.sent.unexpected.append(f"{status} {body!r}")
                    break
                elif not has_id(number):
                    self.sent.unanswered.add(number)
                    break
                else:
                    await asyncio.sleep(0.3)
        if streams is not None:
            streams[1].close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    return int(head[9:12]), await reader.readexactly(length)


# --- The faults ------------------------------------------------------------------------------------------------------


@dataclass
class Done:
    """What was done to the site: kills and stops by program, and the times in which the database was away, with
    what else was done to the site meanwhile."""

    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    outages: list[tuple[float, float, str]] = field(default_factory=list)
    acts: list[tuple[float, str]] = field(default_factory=list)
    """Each kill and each stop with its instant, to explain by what came of it."""

    def note(self, what: str) -> None:
        self.acts.append((time.monotonic(), what))


class Faults:
    """Kills and stops the programs of a site."""

    def __init__(self, site: Site, *, seed: int, stop_seconds: tuple[float, float] = (10.0, 20.0)) -> None:
        self.site = site
        self.done = Done()
        self._rolls = random.Random(seed)
        self._stop_seconds = stop_seconds

    def kill(self, *roles: str) -> None:
        """Kills them in the same moment; the supervisor starts them again."""
        found = self.site.children()
        for role in roles:
            if role in found:
                with suppress(psutil.NoSuchProcess):
                    found[role].kill()
                    self.done.kills[role] += 1
                    self.done.note(f"{role} killed")

    def kill_everything(self) -> None:
        """As when the machine loses its power, but for what the kernel has not written yet; then starts it again."""
        everyone = [psutil.Process(self.site.process.pid), *self.site.kin()]
        self.done.kills.update(list(self.site.children()))
        self.done.note("everything killed")
        for process in everyone:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.done.kills["up"] += 1
        self.site.process.wait()
        # PostgreSQL takes one that nobody has buried yet for alive, and does not start beside it.
        psutil.wait_procs(everyone, timeout=60)
        self.site.start()

    def stop(self, *roles: str, meanwhile: Iterable[str] = ()) -> None:
        """Stops them for some seconds, in which ``meanwhile`` are killed one after the other."""
        processes = [one for role in roles if role in self.site.children() for one in self._family(role)]
        seconds = self._rolls.uniform(*self._stop_seconds)
        began = time.monotonic()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self.done.stops.update(roles)
        self.done.note(f"{', '.join(roles)} stopped for {seconds:.1f} s")
        killed = list(meanwhile)
        for role in killed:
            time.sleep(self._rolls.uniform(0.2, 0.5) * seconds)
            self.kill(role)
        time.sleep(max(began + seconds - time.monotonic(), 0))
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        if DATABASE in roles:
            also = [*(role for role in roles if role != DATABASE), *(f"{role} killed" for role in killed)]
            self.done.outages.append((began, time.monotonic(), ", ".join(also)))

    def keep_down(self, role: str) -> None:
        """Kills it again and again for some seconds: it refuses connections where a stopped one does not answer."""
        end = time.monotonic() + self._rolls.uniform(*self._stop_seconds)
        began = time.monotonic()
        while time.monotonic() < end:
            self.kill(role)
            time.sleep(0.1)
        if role == DATABASE:
            self.done.outages.append((began, time.monotonic(), "killed again and again"))

    def _family(self, role: str) -> list[psutil.Process]:
        # The parent first, or it would replace its children.
        parent = self.site.children()[role]
        return [parent, *parent.children(recursive=True)]

    def in_turn(self) -> Iterator[Callable[[], None]]:
        """Each kind of fault once, those of the database first: later ones find a site that has had them."""
        yield lambda: self.stop(DATABASE)
        for role in ROLES:
            yield lambda role=role: self.kill(role)  # type: ignore[misc]
        yield lambda: self.keep_down(DATABASE)
        yield lambda: self.kill(DATABASE, BROKER)
        yield lambda: self.stop(DATABASE, meanwhile=[BROKER, "worker-drain"])
        yield lambda: self.stop(DATABASE, meanwhile=["web"])
        yield lambda: self.stop(BROKER)
        yield lambda: self.stop(DATABASE, BROKER)
        yield lambda: self.stop("worker-drain", meanwhile=[DATABASE, BROKER])
        yield self.kill_everything

    def at_random(self) -> Iterator[Callable[[], None]]:
        """Any of them, without end; kills more often than what takes time."""
        while True:
            kind = self._rolls.random()
            roles = self._rolls.sample(sorted(ROLES), 2)
            if kind < 0.6:
                yield lambda roles=roles: self.kill(*roles[: self._rolls.choice((1, 1, 2))])  # type: ignore[misc]
            elif kind < 0.8:
                yield lambda roles=roles: self.stop(DATABASE, meanwhile=roles[:1])  # type: ignore[misc]
            elif kind < 0.85:
                yield lambda: self.keep_down(DATABASE)
            elif kind < 0.95:
                yield lambda roles=roles: self.stop(*roles)  # type: ignore[misc]
            else:
                yield self.kill_everything

    def run(self, faults: Iterable[Callable[[], None]], *, seconds: float, pause: tuple[float, float]) -> None:
        """One after the other, with pauses, for so long."""
        end = time.monotonic() + seconds
        for fault in faults:
            if time.monotonic() > end:
                break
            fault()
            time.sleep(self._rolls.uniform(*pause))


# --- What came of it -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """The books of one run; ``wrong`` says what does not balance."""

    sent: int
    acknowledged: int
    unanswered: int
    stored: int
    counted: int
    in_counts: int
    other_answer: int
    """Acknowledged under another number than that which stands for their id: counted once all the same."""
    wrong: tuple[str, ...]
    kills: dict[str, int]
    stops: dict[str, int]
    statuses: dict[int, int]
    first_202_seconds: tuple[tuple[float, str], ...]
    """For each time without a database: from its beginning until the first 202 for what was sent since; and what else
    was done to the site meanwhile."""
    long_gaps: tuple[dict[str, Any], ...]
    """Of each wait of more than ``LONG`` seconds for a first 202: what was done from some seconds before on, and what
    clients were answered meanwhile."""
    per_second_in_outages: float
    per_second_otherwise: float


def settle(site: Site, *, seconds: float = 120.0) -> None:
    """Returns when everything runs and nothing waits any more, neither in the broker nor in the inbox."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(psycopg.Error, redis.RedisError, OSError), _database(site) as connection:
            inbox = connection.execute(
                "SELECT count(*) FROM reports_inboxblock WHERE drained_at IS NULL AND broken_at IS NULL"
            ).fetchone()
            with redis.Redis.from_url(embedded.broker_url(site.data_dir)) as broker:
                held = broker.hlen("{outagemap:standby}:blocks")
            if inbox == (0,) and held == 0:
                return
        time.sleep(0.3)
    raise AssertionError(f"reports still wait after {seconds:.0f} s")


def _database(site: Site) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(embedded.database_url(site.data_dir), connect_timeout=5)


def balance(site: Site, crowd: Crowd, done: Done) -> Outcome:
    """Compares what was acknowledged with what is stored and counted."""
    sent = crowd.sent
    with _database(site) as connection:
        rows = connection.execute("SELECT id, person, counted FROM reports_report").fetchall()
        ((in_counts,),) = connection.execute("SELECT coalesce(sum(reports), 0)::bigint FROM reports_reportcount")
        claims = dict(connection.execute("SELECT client_id, report_id FROM reports_acceptedid").fetchall())
        ((broken,),) = connection.execute("SELECT count(*) FROM reports_inboxblock WHERE broken_at IS NOT NULL")
    stored = {id for id, _person, _counted in rows}
    persons = {person for _id, person, _counted in rows}
    counted = sum(bool(counts) for _id, _person, counts in rows)
    wrong: list[str] = []

    def must_be_empty(what: str, found: Iterable[object]) -> None:
        if some := list(found):
            wrong.append(f"{len(some)} {what}, such as {some[0]}")

    with_ids = {number: id for number, id in sent.acknowledged.items() if has_id(number)}
    plain = {number: id for number, id in sent.acknowledged.items() if not has_id(number)}
    must_be_empty("acknowledged and not stored", (n for n, id in plain.items() if id not in stored))
    must_be_empty(
        "acknowledged and not stored, with an id", (n for n in with_ids if claims.get(client_id(n)) not in stored)
    )
    must_be_empty(
        "sent with an id and never acknowledged", (n for n in crowd.numbers if has_id(n) and n not in with_ids)
    )
    must_be_empty("answers nobody expected", sent.unexpected)
    if len(persons) != len(rows):
        wrong.append(f"{len(rows) - len(persons)} stored twice")
    if not len(sent.acknowledged) <= len(rows) <= len(sent.acknowledged) + len(sent.unanswered):
        wrong.append(f"{len(rows)} stored, {len(sent.acknowledged)} acknowledged, {len(sent.unanswered)} unanswered")
    if counted != len(rows) or in_counts != len(rows):
        wrong.append(f"{len(rows)} stored, {counted} of them counted, {in_counts} in the counts")
    if broken:
        wrong.append(f"{broken} blocks set aside")
    firsts: list[tuple[float, str]] = []
    gaps: list[dict[str, Any]] = []
    accepted, away = 0, 0.0
    for began, ended, also in done.outages:
        answers = [answered for asked, answered, status in sent.attempts if asked >= began and status == 202]
        first = min(answers, default=float("inf")) - began
        firsts.append((round(first, 2), also))
        if first > LONG:
            gaps.append(_explained(sent, done, began=began, ended=ended, first=first))
        accepted += sum(began <= answered < ended for _, answered, status in sent.attempts if status == 202)
        away += ended - began
    lasted = max(answered for _, answered, _ in sent.attempts) - min(asked for asked, _, _ in sent.attempts)
    return Outcome(
        sent=len(crowd.numbers),
        acknowledged=len(sent.acknowledged),
        unanswered=len(sent.unanswered),
        stored=len(rows),
        counted=counted,
        in_counts=int(in_counts),
        other_answer=sum(claims.get(client_id(number)) != id for number, id in with_ids.items()),
        wrong=tuple(wrong),
        kills=dict(done.kills),
        stops=dict(done.stops),
        statuses=dict(sent.statuses),
        first_202_seconds=tuple(firsts),
        long_gaps=tuple(gaps),
        per_second_in_outages=round(accepted / away, 1) if away else 0.0,
        per_second_otherwise=round((len(sent.acknowledged) - accepted) / max(lasted - away, 0.001), 1),
    )


LONG, BEFORE = 3.0, 20.0
"""Seconds: waits that want an explanation, and how far back it may lie."""


def _explained(sent: Sent, done: Done, *, began: float, ended: float, first: float) -> dict[str, Any]:
    """What was done around a long wait, by seconds from its beginning, and how attempts within it ended."""
    waits = [(answered, status) for _, answered, status in sent.attempts if began <= answered < began + first]
    return {
        "first_202_after": round(first, 2),
        "database_away_for": round(ended - began, 2),
        "done": [
            (round(at - began, 1), what) for at, what in done.acts if began - BEFORE <= at <= began + min(first, 60.0)
        ],
        "answers": dict(Counter(status for _, status in waits)),
        "last_202_before": round(
            max((answered for _, answered, status in sent.attempts if status == 202 and answered < began), default=0.0)
            - began,
            2,
        ),
    }


@contextmanager
def running_site(static: Path | None = None) -> Iterator[Site]:
    """A site in a folder of its own, gone afterwards; with ``static`` the collected files are taken from there."""
    data_dir = Path(tempfile.mkdtemp(prefix="outagemap-faults-"))
    # The database's user, another one when we are root, has to reach its cluster in there.
    data_dir.chmod(0o755)
    if static is not None:
        shutil.copytree(static, data_dir / "static")
    site = Site(data_dir, STANDBY="fsync", TRUSTED_PROXIES="127.0.0.1", LOG_LEVEL="WARNING")
    try:
        site.start()
        yield site
    finally:
        if site.process.poll() is None:
            site.process.send_signal(signal.SIGTERM)
            site.process.wait(timeout=90)
        shutil.rmtree(data_dir, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.intake.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=150.0, help="reports a second")
    options = parser.parse_args()
    with running_site() as site:
        crowd = Crowd(site.port, clients=40, per_second=options.rate, seed=options.seed)
        faults = Faults(site, seed=options.seed)
        crowd.start()
        end = time.monotonic() + 60 * options.minutes
        try:
            time.sleep(2)
            faults.run(faults.in_turn(), seconds=60 * options.minutes, pause=(1, 4))
            faults.run(faults.at_random(), seconds=end - time.monotonic(), pause=(0.3, 4))
        finally:
            crowd.end()
        settle(site)
        outcome = balance(site, crowd, faults.done)
        if outcome.wrong:
            kept = Path(tempfile.mkdtemp(prefix="outagemap-faults-logs-"))
            shutil.copytree(site.data_dir / "logs", kept / "logs")
            sys.stdout.write(f"logs: {kept}\n")
    sys.stdout.write(json.dumps(outcome.__dict__, indent=2) + "\n")
    sys.stdout.write(f"{sum(outcome.kills.values())} kills; ")
    sys.stdout.write("; ".join(outcome.wrong) + "\n" if outcome.wrong else "none lost, none twice\n")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
