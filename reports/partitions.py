"""The day partitions of the reports: made ahead, dropped past retention; and the sweeping of what has served its time.

A partition ``reports_report_YYYYMMDD`` holds one UTC day. Its bounds are UUIDv7 keys, whose first 48 bits are the
milliseconds since 1970. There is no DEFAULT partition: rows in it would stand in the way of the partition that they
belong to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from reports.models import AcceptedId, Ban, DrainBatch, InboxBlock

AHEAD = timedelta(days=3)
# For how long the same client id gets the same answer. Longer than any sensible client goes on trying.
IDS_KEPT = timedelta(days=2)
# The drain's own log; a watch that comes back after longer reads the counts anew.
BATCHES_KEPT = timedelta(days=7)
# For how long the id of a block stays taken of which an earlier attempt may still come about: no server wakes up later.
BLOCK_IDS_KEPT = timedelta(hours=1)

# For so long a drop waits for whoever uses the reports, and makes those wait who come after it.
LOCK_SECONDS = 5.0

PREFIX = "reports_report_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK = 0x6F75_7461_0001


def name_of(day: date) -> str:
    """The partition of ``day``."""
    return f"{PREFIX}{day:%Y%m%d}"


def lowest_id(at: date) -> UUID:
    """No UUIDv7 of the instant ``at`` (of a day: its midnight) or later is smaller, and none from before as big.

    An id tells whole milliseconds, so those of the millisecond of ``at`` are taken for later ones.
    """
    if not isinstance(at, datetime):
        at = _midnight(at)
    return UUID(int=(at - _EPOCH) // timedelta(milliseconds=1) << 80)


def ensure(first_day: date, last_day: date) -> list[date]:
    """Makes the partitions of the days from ``first_day`` to ``last_day`` that are missing, and says which."""
    days = [first_day + timedelta(days=i) for i in range((last_day - first_day).days + 1)]
    return ensure_days(days)


def ensure_days(days: Iterable[date]) -> list[date]:
    """The same for days that need not follow each other."""
    wanted = {name_of(day): day for day in days}
    if not wanted.keys() - _existing():
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        # Two makers of one partition would not wait for each other's IF NOT EXISTS; they do wait here.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        missing = sorted(wanted.keys() - _existing())
        for name in missing:
            day = wanted[name]
            # Attached, not made in place (PARTITION OF): that would lock every reader out of the whole table.
            cursor.execute(f"CREATE TABLE {name} (LIKE reports_report INCLUDING ALL)")
            cursor.execute(
                f"ALTER TABLE reports_report ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)",
                [lowest_id(day), lowest_id(day + timedelta(days=1))],
            )
    return [wanted[name] for name in missing]


def drop_before(day: date) -> list[str]:
    """Drops the partitions of all days before ``day``, and says which."""
    old = sorted(name for name in _existing() if name < name_of(day))
    for name in old:
        with transaction.atomic(), connection.cursor() as cursor:
            # Dropping has to lock the whole table for a moment. Rather try again in the next run than make it wait.
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{round(LOCK_SECONDS * 1000)}ms"])
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
    return old


def keep(now: datetime, retention_days: int) -> None:
    """Makes the partitions of the coming days, drops those past retention and sweeps away what nobody asks for again.

    ``Seen`` rows and salts, which live for about an hour, are swept by the drain: see ``reports.intake.guard``.
    """
    today = now.astimezone(UTC).date()
    ensure(today - timedelta(days=1), today + AHEAD)
    AcceptedId.objects.filter(received_at__lt=now - IDS_KEPT).delete()
    DrainBatch.objects.filter(drained_at__lt=now - BATCHES_KEPT).delete()
    InboxBlock.objects.filter(drained_at__lt=now - BLOCK_IDS_KEPT).delete()
    first = first_kept(now, retention_days)
    drop_before(first)
    # The reports of a banned network are gone; so goes its name.
    Ban.objects.filter(until_at__lte=_midnight(first)).update(network=None)


def first_kept(now: datetime, retention_days: int) -> date:
    """The oldest day whose reports are still kept at ``now``."""
    return now.astimezone(UTC).date() - timedelta(days=retention_days)


@dataclass(frozen=True)
class Partition:
    """The reports of one day. ``reports`` is PostgreSQL's own estimate: counting them would read them all."""

    day: date
    reports: int
    octets: int


def held() -> list[Partition]:
    """Every partition that there is, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD)
        rows = [row for row in cursor.fetchall() if row[0].startswith(PREFIX)]
    return [Partition(_day_of(name), int(reports), int(octets)) for name, reports, octets in sorted(rows)]


# What an analysis has found, and what was written since the statistics began, whichever is more: after a crash the
# latter begin anew, and a young partition has not been analysed.
_HELD = """
SELECT c.relname, greatest(c.reltuples, s.n_live_tup, 0)::bigint, pg_total_relation_size(c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE i.inhparent = 'reports_report'::regclass
"""


def _day_of(name: str) -> date:
    return date.fromisoformat(name.removeprefix(PREFIX))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _existing() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'reports_report'::regclass"
        )
        return {name for (name,) in cursor.fetchall() if name.startswith(PREFIX)}
