"""Which reports fall under a ban, and what networks are called where people read of them.

A ban names a network by its pseudonym. That is another one on every day (UTC), so a ban ends at midnight. For an hour
after it reports still carry the name of the day before as well, and a ban could go on by it; it does not, because what
it set aside then would tell for good which two names are one network's, and that is what the daily secret is there to
prevent. Who goes on sending is seen under the new name, and may be banned again.
"""

from __future__ import annotations

from base64 import b32encode
from datetime import UTC, datetime, time, timedelta

import numpy as np
from django.db.models import F

from reports.binary import Cursor, Integers
from reports.models import Ban, Region

_MILLISECOND = timedelta(milliseconds=1)


def label(network: int) -> str:
    """What a network is called at the desk (``K3QF-7TZ2``): a part of its pseudonym, gone with it."""
    letters = b32encode((network & (1 << 40) - 1).to_bytes(5, "big")).decode()
    return f"{letters[:4]}-{letters[4:]}"


def dies_at(seen_at: datetime) -> datetime:
    """When the pseudonym of a report that was received at ``seen_at`` gives way to another one: the next midnight."""
    return datetime.combine(seen_at.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def inside(region_id: int) -> list[int]:
    """The ids of a region and of all that lie in it."""
    found, newest = [region_id], [region_id]
    while newest := list(Region.objects.filter(parent_id__in=newest).values_list("id", flat=True)):
        found += newest
    return found


def about(region_id: int) -> list[int]:
    """The ids of a region, of all that lie in it, and of all that it lies in."""
    found = inside(region_id)
    above = Region.objects.get(pk=region_id).parent
    while above is not None:
        found.append(above.pk)
        above = above.parent
    return found


def banned(
    cursor: Cursor,
    *,
    at: Integers,
    service: Integers,
    region: Integers,
    kind: Integers,
    network: Integers,
) -> Integers:
    """For each report, in order of time, the id of the ban that it falls under; 0 for nearly all."""
    found = np.zeros(len(at), dtype=np.int64)
    if not len(at):
        return found
    first, last = (datetime.fromtimestamp(int(ms) / 1000, tz=UTC) for ms in (at[0], at[-1]))
    cursor.execute(_IN_FORCE, [first, last + _MILLISECOND])
    bans = cursor.fetchall()
    if not bans:
        return found
    names = np.array([ban[4] for ban in bans], dtype=np.int64)
    near = np.flatnonzero(np.isin(network, names))
    areas: dict[int, list[int]] = {}
    for id, of_service, of_region, of_kind, name, began, until in bans:
        same = (network[near] == name) & (service[near] == of_service) & (kind[near] == of_kind)
        same &= (at[near] >= began) & (at[near] < until)
        if same.any():
            area = areas[of_region] = areas.get(of_region) or inside(of_region)
            found[near[same & np.isin(region[near], area)]] = id
    return found


_IN_FORCE = """
SELECT id, service_id, region_id, kind, network, floor(extract(epoch FROM began_at) * 1000)::bigint,
    floor(extract(epoch FROM until_at) * 1000)::bigint
FROM reports_ban WHERE lifted_at IS NULL AND network IS NOT NULL AND until_at > %s AND began_at < %s
"""


def note(ban: Integers) -> None:
    """Adds to each ban the reports that it set aside; ``ban`` has the ids, one for each of them."""
    for id, reports in zip(*np.unique(ban, return_counts=True), strict=True):
        Ban.objects.filter(pk=int(id)).update(reports=F("reports") + int(reports))
