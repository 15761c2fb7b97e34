"""Reports that are set aside by an administrator's word, and given back by one.

A flow that the guard took for a brigade was a crowd after all (``release``); a network sends what nobody should count
(``ban``, ``lift``). All of it under the drain's lock: the drain writes the same counts and reads the same bans.

What was counted stays counted. Minutes that are over have been judged by their counts, which anyone can recompute;
taking reports out of them would not take back what was decided, and make it look unfounded. A false incident is
rejected instead, and says so.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import numpy as np
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from reports import binary, counts, partitions
from reports.binary import BigintArray, Cursor
from reports.intake import bans, drain
from reports.intake.guard import COUNTING_WINDOW
from reports.intake.weighing import BANNED, DAMPED, REPEATED, damped_total, is_damped, ranks
from reports.models import Ban, CrowdShape, Quarantine

EXEMPT = timedelta(hours=6)
"""For so long a flow that was released is not set aside again."""


def release(quarantine_id: int, *, by: User, now: datetime) -> int:
    """Counts the reports of a quarantine after all, and leaves their flow alone for ``EXEMPT``; how many they were.

    They weigh what they would have weighed without it: what one network sent is damped, with what of it was counted.
    They enter the counts of the minutes in which they were received. What the detector has judged stays as it was
    judged; it sees what is still to come. Reports past retention cannot be given back. Doing it twice changes nothing.
    """
    with transaction.atomic(), binary.reading() as cursor:
        # The drain writes the same counts and the same flow: it waits, or we do.
        drain.lock(cursor, wait=True)
        row = Quarantine.objects.select_for_update().get(pk=quarantine_id)
        if row.released_at is not None:
            return 0
        row.released_at, row.released_by = now, by
        row.save(update_fields=["released_at", "released_by"])
        flow = CrowdShape.objects.filter(service_id=row.service_id, region_id=row.region_id, kind=row.kind)
        flow.update(exempt_until=now + EXEMPT)
        end = row.last_at + timedelta(milliseconds=1)
        _damp(cursor, row, end=end)
        return _give_back(cursor, row, row.shape, start=row.began_at, end=end)


def ban(
    *,
    service_id: int,
    region_id: int,
    kind: int,
    network: int,
    seen_at: datetime,
    lasting: timedelta,
    why: str,
    by: User,
    now: datetime,
) -> Ban:
    """Sets aside what a network reports of a service in a region from ``now`` on, for ``lasting``, or until its
    pseudonym, that of a report received at ``seen_at``, gives way to the next day's.

    Whoever sends still gets the same answers. Raises ``ValidationError`` where there is nothing to ban.
    """
    if network < 0:
        raise ValidationError("A partner passes these reports on: revoke its key instead.")
    until = min(now + lasting, bans.dies_at(seen_at))
    if until <= now:
        raise ValidationError("This name is no longer in use: at midnight UTC the network got another one.")
    with transaction.atomic(), binary.reading() as cursor:
        drain.lock(cursor, wait=True)
        # No report falls under two: lifting one would else give back what the other still sets aside.
        same = Ban.objects.filter(service_id=service_id, kind=kind, network=network, lifted_at=None, until_at__gt=now)
        if same.filter(region_id__in=bans.about(region_id)).exists():
            raise ValidationError("This network is banned there already.")
        return Ban.objects.create(
            service_id=service_id,
            region_id=region_id,
            kind=kind,
            network=network,
            began_at=now,
            until_at=until,
            why=why,
            banned_by=by,
        )


def lift(ban_id: int, *, by: User, now: datetime) -> int:
    """Ends a ban, or one that has ended, and counts after all what it set aside; how many reports they were.

    In the way of :func:`release`: into the minutes in which they were received, not past retention, and once.
    """
    with transaction.atomic(), binary.reading() as cursor:
        drain.lock(cursor, wait=True)
        row = Ban.objects.select_for_update().get(pk=ban_id)
        if row.lifted_at is not None or row.network is None:
            return 0
        row.lifted_at, row.lifted_by = now, by
        row.save(update_fields=["lifted_at", "lifted_by"])
        return _give_back(cursor, row, BANNED, start=row.began_at, end=row.until_at, network=row.network)


def _damp(cursor: Cursor, what: Quarantine, *, end: datetime) -> None:
    """Of what is held of ``what``, gives to what is damped that reason, so that only the rest is left to give back.

    A network's windows follow each other from its first report of the UTC day on, the life of its pseudonym. One that
    had begun before midnight, under another name, begins anew here: which two names are one network's nobody knows.
    """
    flow = [what.service_id, what.kind]
    window = partitions.lowest_id(what.began_at), partitions.lowest_id(end)
    regions = BigintArray(np.array(bans.inside(what.region_id), dtype=np.int64))
    day = datetime.combine(what.began_at.astimezone(UTC).date(), time(), UTC)
    cursor.execute(
        _SENT, [*window, *flow, what.shape, regions, BANNED, partitions.lowest_id(day), window[1], *flow, REPEATED]
    )
    found = cursor.fetchall()
    if not found:
        return
    network, at, held, taken = np.array([row[1:] for row in found], dtype=np.int64).T
    sent = ranks(network, at)
    # Each window of each network as a number.
    _, group = np.unique(np.stack((network, sent.since)), axis=1, return_inverse=True)
    # Reports that were drained in another order than they had come in were ranked in that: those counted may be others
    # than those at which the total steps up here, and what is still free is less.
    free = np.floor(damped_total(np.bincount(group))) - np.bincount(group, weights=taken)
    steps = np.flatnonzero((held == 1) & ~is_damped(sent.rank))
    kept = steps[ranks(group[steps], at[steps]).rank <= free[group[steps]]]
    held[kept] = 0
    damped = [found[row][0] for row in np.flatnonzero(held)]
    cursor.execute(
        "UPDATE reports_report SET reason = %s WHERE id >= %s AND id < %s AND id = ANY(%s)", [DAMPED, *window, damped]
    )


# Every person's once, whether counted, set aside or banned: they were ranked together. What is banned has a place of
# its own in the total, which lifting the ban fills.
_SENT = """
WITH held AS (
    SELECT id, network FROM reports_report
    WHERE id >= %s AND id < %s AND service_id = %s AND kind = %s AND reason = %s AND region_id = ANY(%s)
)
SELECT id, network, (extract(epoch FROM received_at) * 1000)::bigint, (id IN (SELECT id FROM held))::int,
    (counted OR reason = %s)::int
FROM reports_report
WHERE id >= %s AND id < %s AND service_id = %s AND kind = %s AND reason <> %s
    AND network IN (SELECT network FROM held)
ORDER BY received_at, id
"""


def _give_back(
    cursor: Cursor, what: Quarantine | Ban, reason: str, *, start: datetime, end: datetime, network: int | None = None
) -> int:
    """Counts the reports of ``what`` that were set aside for ``reason``, of all networks or of one."""
    flow = [what.service_id, what.kind]
    cursor.execute(
        _GIVE_BACK,
        [
            partitions.lowest_id(start),
            partitions.lowest_id(end),
            *flow,
            reason,
            BigintArray(np.array(bans.inside(what.region_id), dtype=np.int64)),
            network,
            network,
            partitions.lowest_id(start - COUNTING_WINDOW),
            partitions.lowest_id(end),
            *flow,
        ],
    )
    found = cursor.fetchall()
    if found:
        minute, region, problem, reports, networks = np.array(found, dtype=np.int64).T
        same = np.ones_like(minute)
        counts.add(
            cursor,
            counts.Additions(
                minute=minute,
                service_id=same * what.service_id,
                region_id=region,
                kind=same * what.kind,
                problem=problem,
                reports=reports,
                networks=networks,
                service_networks=networks,
            ),
        )
    return sum(one[3] for one in found)


# A network that had reports counted in the window before is none that is new.
_GIVE_BACK = """
WITH released AS (
    UPDATE reports_report SET counted = true, reason = ''
    WHERE id >= %s AND id < %s AND service_id = %s AND kind = %s AND reason = %s AND region_id = ANY(%s)
        AND (%s::bigint IS NULL OR network = %s)
    RETURNING received_at, region_id, coalesce(problem_id, 0) AS problem, network
), known AS (
    SELECT DISTINCT network FROM reports_report
    WHERE id >= %s AND id < %s AND service_id = %s AND kind = %s AND counted
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY network ORDER BY received_at) = 1
        AND NOT EXISTS (SELECT FROM known WHERE known.network = released.network) AS is_new FROM released
)
SELECT extract(epoch FROM date_trunc('minute', received_at))::bigint / 60, region_id, problem, count(*)::bigint,
    (count(*) FILTER (WHERE is_new))::bigint
FROM placed GROUP BY 1, 2, 3
"""
