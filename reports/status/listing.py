"""Lists of incidents: which ones, in which order, and a page at a time."""

from __future__ import annotations

import binascii
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q, QuerySet

from reports.models import Incident
from reports.status import snapshots
from reports.status.answers import IncidentPage
from reports.status.choosing import chosen
from reports.status.history import told

PAGE = 50
_COLUMNS = ("detected_at", "onset_at", "confidence", "peak_reports")
ORDERINGS = tuple(f"{sign}{column}" for column in _COLUMNS for sign in ("-", ""))
"""By which incidents can be listed; with a ``-`` the greatest, or latest, first."""

_Mark = datetime | float | int


class CursorError(ValueError):
    """The cursor is none that an earlier page gave out."""


def incidents(
    *,
    ref: tuple[str, ...] | None = None,
    service: str | None = None,
    provider: str | None = None,
    category: str | None = None,
    region: str | None = None,
    state: str | None = None,
    review: str | None = None,
    scope: str | None = None,
    group: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    min_confidence: float | None = None,
    min_regions: int | None = None,
    min_people: int | None = None,
    echo: bool | None = None,
    has_statement: bool | None = None,
    search: str | None = None,
    ordering: str = ORDERINGS[0],
    limit: int = PAGE,
    cursor: str | None = None,
) -> IncidentPage:
    """Incidents that fit, ``limit`` at a time in this ``ordering``; rejected and merged ones among them.

    ``region`` means the region, all that lies in it, and incidents of a whole country or the world that cover it;
    from ``since`` on and before ``until`` they were detected; ``min_regions`` and ``min_people`` count what they
    reached, what is back included; ``echo`` and ``has_statement`` ask for those with one, or without. Raises
    :class:`CursorError`.
    """
    given = {
        "ref": ref,
        "service": service,
        "provider": provider,
        "category": category,
        "region": region,
        "state": state,
        "review": review,
        "scope": scope,
        "group": group,
        "since": since,
        "until": until,
        "min_confidence": min_confidence,
        "min_regions": min_regions,
        "min_people": min_people,
        "echo": echo,
        "has_statement": has_statement,
        "search": search,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    key = ("incidents", *asked.items(), ordering, limit, cursor)
    return snapshots.kept(key, lambda: _page(chosen(asked), ordering=ordering, limit=limit, cursor=cursor))


@dataclass(frozen=True)
class _Place:
    """Between two incidents of an order: next to the one with this value and id."""

    back: bool
    value: _Mark
    number: int


def _page(rows: QuerySet[Incident], *, ordering: str, limit: int, cursor: str | None) -> IncidentPage:
    column, falling = ordering.removeprefix("-"), ordering.startswith("-")
    place = _read_cursor(cursor, ordering) if cursor else None
    back = place is not None and place.back
    # Going back is going on in the opposite order.
    falling = falling != back
    if place is not None:
        way = "lt" if falling else "gt"
        beyond = Q(**{column: place.value, f"id__{way}": place.number})
        rows = rows.filter(beyond | Q(**{f"{column}__{way}": place.value}))
    sign = "-" if falling else ""
    found = list(rows.order_by(f"{sign}{column}", f"{sign}id").values_list("id", column)[: limit + 1])
    more = len(found) > limit
    found = found[:limit]
    if back:
        found.reverse()
    # Coming from a page, that page lies on the other side.
    has_next, has_previous = (bool(cursor), more) if back else (more, bool(cursor))
    return IncidentPage(
        results=told(tuple(number for number, _ in found)),
        next=_cursor(ordering, *found[-1], back=False) if found and has_next else None,
        previous=_cursor(ordering, *found[0], back=True) if found and has_previous else None,
    )


def _cursor(ordering: str, number: int, value: _Mark, *, back: bool) -> str:
    said = value.astimezone(UTC).isoformat() if isinstance(value, datetime) else repr(value)
    text = f"{'p' if back else 'n'}{number}@{ordering}@{said}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, ordering: str) -> _Place:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        number, order, said = text[1:].split("@")
        if text[0] not in "np":
            raise ValueError(text[0])
        value: _Mark = datetime.fromisoformat(said).astimezone(UTC) if ordering.endswith("_at") else float(said)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(said)
        place = _Place(text[0] == "p", value, int(number))
    except (ValueError, IndexError, OverflowError, binascii.Error) as error:
        raise CursorError("the cursor is none that an earlier page gave out") from error
    if order != ordering:
        raise CursorError("the cursor belongs to another order")
    return place
