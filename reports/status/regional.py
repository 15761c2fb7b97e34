"""The past of a service in one region: each incident that touched it, as it went there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.models import Incident, RegionalOutage
from reports.status import catalogue, outages, snapshots
from reports.status.answers import RegionRecord
from reports.status.outages import SEVERITY, Course


def region_records(service: str, region: str, *, limit: int = 6) -> tuple[RegionRecord, ...]:
    """The last incidents of a service that touched a region, the latest first; none for what nobody knows.

    Neither rejected nor merged ones, nor those in which only the world as a whole was said to be down.
    """
    index = catalogue.index_of(region)
    if index is None:
        return ()
    return snapshots.kept(("region records", service, index, limit), lambda: _records(service, index, limit))


def _records(service: str, region: int, limit: int) -> tuple[RegionRecord, ...]:
    codes, lineage = catalogue.codes(), catalogue.tree().lineage
    # The world is the last one above every region, and no region's own.
    above = [i for i in lineage[region].tolist() if i >= 0 and (i != 0 or region == 0)]
    inside = np.flatnonzero((lineage == region).any(axis=1)).tolist()
    touching = RegionalOutage.objects.filter(
        withdrawn_at=None,
        region_code__in={codes[i] for i in (*above, *inside)},
        incident__service__slug=service,
        incident__rejected_at=None,
        incident__merged_at=None,
    )
    numbers = touching.order_by("-incident__detected_at", "-incident").values_list("incident", flat=True)
    incidents = Incident.objects.filter(pk__in=list(dict.fromkeys(numbers))[:limit]).order_by("-detected_at", "-id")
    courses = outages.courses(incident.pk for incident in incidents)
    found = []
    for incident in incidents:
        rows = {
            number: course
            for course in courses[incident.pk]
            if not course.outage.withdrawn_at and (number := catalogue.index_of(course.outage.region_code)) is not None
        }
        nearest = next((i for i in above if i in rows), None)
        if nearest is not None:
            found.append(_decided(incident, rows[nearest], None if nearest == region else nearest))
        else:
            found.append(_of_parts(incident, [rows[i] for i in inside if i in rows]))
    return tuple(found)


def _decided(incident: Incident, course: Course, above: int | None) -> RegionRecord:
    row = course.outage
    return RegionRecord(
        ref=incident.ref,
        review=incident.review,
        state=row.state,
        onset_at=row.onset_at,
        restored_at=row.restored_at,
        restored_low=row.restored_low,
        restored_high=row.restored_high,
        basis=row.basis,
        relapses=len(course.relapses),
        decided_for=None if above is None else catalogue.links()[above],
    )


def _of_parts(incident: Incident, courses: Sequence[Course]) -> RegionRecord:
    rows = [course.outage for course in courses]
    back = [row.restored_at for row in rows if row.restored_at]
    whole = len(back) == len(rows)
    return RegionRecord(
        ref=incident.ref,
        review=incident.review,
        state=min((row.state for row in rows), key=lambda state: SEVERITY[state]),
        onset_at=min(row.onset_at for row in rows),
        restored_at=max(back) if whole else None,
        relapses=sum(len(course.relapses) for course in courses),
        parts=len(rows),
        parts_back=len(back),
    )
