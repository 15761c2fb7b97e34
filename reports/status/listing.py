"""Lists of incidents: which ones, and a page at a time."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet

from reports.models import Incident, RegionalOutage
from reports.status import catalogue, snapshots
from reports.status.answers import IncidentPage
from reports.status.history import told

PAGE = 50
_GONE_ON = Q(resolved_at__isnull=False) | Q(rejected_at__isnull=False) | Q(merged_at__isnull=False)


class CursorError(ValueError):
    """The cursor is none that an earlier page gave out."""


def incidents(
    *,
    service: str | None = None,
    provider: str | None = None,
    region: str | None = None,
    state: str | None = None,
    review: str | None = None,
    since: datetime | None = None,
    limit: int = PAGE,
    cursor: str | None = None,
) -> IncidentPage:
    """Incidents that fit, the latest detected first, ``limit`` at a time; rejected and merged ones among them.

    ``region`` means the region, all that lies in it, and incidents of a whole country or the world that cover it;
    ``since`` the instant from which on they were detected. Raises :class:`CursorError`.
    """
    key = ("incidents", service, provider, region, state, review, since, limit, cursor)
    return snapshots.kept(
        key,
        lambda: _page(
            _chosen(service=service, provider=provider, region=region, state=state, review=review, since=since),
            limit=limit,
            cursor=cursor,
        ),
    )


def _chosen(
    *,
    service: str | None,
    provider: str | None,
    region: str | None,
    state: str | None,
    review: str | None,
    since: datetime | None,
) -> QuerySet[Incident]:
    rows = Incident.objects.all()
    if service is not None:
        rows = rows.filter(service__slug=service)
    if provider is not None:
        rows = rows.filter(service__provider__slug=provider)
    if region is not None:
        rows = rows.filter(Exists(_regions(region_code__in=_codes_around(region))))
    if since is not None:
        rows = rows.filter(detected_at__gte=since)
    if state is not None:
        rows = rows.filter(_in_state(state))
    if review is not None:
        rows = rows.filter(_REVIEWS.get(review, Q(pk=None)))
    return rows


def _regions(**which: object) -> QuerySet[RegionalOutage]:
    return RegionalOutage.objects.filter(incident=OuterRef("pk"), withdrawn_at=None, **which)


def _codes_around(region: str) -> list[str]:
    index = catalogue.index_of(region)
    if index is None:
        return []
    codes, lineage = catalogue.codes(), catalogue.tree().lineage
    inside = np.flatnonzero((lineage == index).any(axis=1)).tolist()
    return [codes[i] for i in {*inside, *(i for i in lineage[index].tolist() if i >= 0)}]


def _in_state(state: str) -> Q:
    down = Exists(_regions(restored_at=None, unknown_at=None, recovering_at=None))
    back = Exists(_regions().filter(Q(restored_at__isnull=False) | Q(unknown_at=None, recovering_at__isnull=False)))
    recovering = ~Q(down) & Q(back)
    return {
        "resolved": _GONE_ON,
        "recovering": ~_GONE_ON & recovering,
        "open": ~_GONE_ON & ~recovering,
    }.get(state, Q(pk=None))


_REVIEWS = {
    "merged": Q(merged_at__isnull=False),
    "rejected": Q(merged_at=None, rejected_at__isnull=False),
    "confirmed": Q(merged_at=None, rejected_at=None, confirmed_at__isnull=False),
    "automatic": Q(merged_at=None, rejected_at=None, confirmed_at=None),
}


def _page(rows: QuerySet[Incident], *, limit: int, cursor: str | None) -> IncidentPage:
    back, at, number = _read_cursor(cursor) if cursor else (False, None, 0)
    if at is not None:
        beyond = Q(detected_at=at, id__gt=number) if back else Q(detected_at=at, id__lt=number)
        rows = rows.filter(beyond | (Q(detected_at__gt=at) if back else Q(detected_at__lt=at)))
    order = ("detected_at", "id") if back else ("-detected_at", "-id")
    found = list(rows.order_by(*order).values_list("id", "detected_at")[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    if back:
        found.reverse()
    # Coming from a page, that page lies on the other side.
    has_next, has_previous = (bool(cursor), more) if back else (more, bool(cursor))
    return IncidentPage(
        results=told(tuple(number for number, _ in found)),
        next=_cursor(*found[-1], back=False) if found and has_next else None,
        previous=_cursor(*found[0], back=True) if found and has_previous else None,
    )


def _cursor(number: int, at: datetime, *, back: bool) -> str:
    text = f"{'p' if back else 'n'}{number}@{at.astimezone(UTC).isoformat()}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[bool, datetime, int]:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        number, _, at = text[1:].partition("@")
        if text[0] not in "np":
            raise ValueError(text[0])
        return text[0] == "p", datetime.fromisoformat(at).astimezone(UTC), int(number)
    except (ValueError, IndexError, OverflowError, binascii.Error) as error:
        raise CursorError("the cursor is none that an earlier page gave out") from error
