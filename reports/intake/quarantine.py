"""Reports that were set aside, given back: an administrator says that a flow was a crowd after all."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from django.contrib.auth.models import User
from django.db import transaction

from reports import binary, counts, partitions
from reports.binary import BigintArray
from reports.intake import drain
from reports.models import CrowdShape, Quarantine, Region

EXEMPT = timedelta(hours=6)
"""For so long a flow that was released is not set aside again."""


def release(quarantine_id: int, *, by: User, now: datetime) -> int:
    """Counts the reports of a quarantine after all, and leaves their flow alone for ``EXEMPT``; how many they were.

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
        cursor.execute(
            _RELEASE,
            [
                partitions.lowest_id(row.began_at),
                partitions.lowest_id(row.last_at + timedelta(milliseconds=1)),
                row.service_id,
                row.kind,
                row.shape,
                BigintArray(np.array(_inside(row.region_id), dtype=np.int64)),
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
                    service_id=same * row.service_id,
                    region_id=region,
                    kind=same * row.kind,
                    problem=problem,
                    reports=reports,
                    networks=networks,
                    service_networks=networks,
                ),
            )
    return sum(one[3] for one in found)


_RELEASE = """
WITH released AS (
    UPDATE reports_report SET counted = true, reason = ''
    WHERE id >= %s AND id < %s AND service_id = %s AND kind = %s AND reason = %s AND region_id = ANY(%s)
    RETURNING received_at, region_id, coalesce(problem_id, 0) AS problem, network
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY network ORDER BY received_at) = 1 AS is_new FROM released
)
SELECT extract(epoch FROM date_trunc('minute', received_at))::bigint / 60, region_id, problem, count(*)::bigint,
    (count(*) FILTER (WHERE is_new))::bigint
FROM placed GROUP BY 1, 2, 3
"""


def _inside(region_id: int) -> list[int]:
    """The ids of a region and of all that lie in it."""
    found, newest = [region_id], [region_id]
    while newest := list(Region.objects.filter(parent_id__in=newest).values_list("id", flat=True)):
        found += newest
    return found
