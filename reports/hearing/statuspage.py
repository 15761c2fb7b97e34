"""Statuspage's public API, version 2: ``incidents.json`` and ``summary.json``, and what answers in their shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from reports.hearing import meanings, plain
from reports.hearing.updates import (
    MOST_COMPONENTS,
    MOST_ENTRIES,
    MOST_UPDATES,
    LeftOut,
    Reading,
    Unreadable,
    Update,
    dated,
    instant,
    name_of,
    said,
)


def read(body: bytes, *, now: datetime) -> Reading:
    """The updates of the incidents in the document. Raises :class:`Unreadable`; nothing else, whatever comes."""
    try:
        document = json.loads(body)
    # Nested ten thousand deep, or a number of a million digits.
    except (ValueError, RecursionError):
        raise Unreadable("it is no JSON") from None
    incidents = document.get("incidents") if isinstance(document, dict) else None
    if not isinstance(incidents, list):
        raise Unreadable("it has no list of incidents: not the shape of Statuspage, version 2")
    updates: list[Update] = []
    left_out: list[LeftOut] = []
    for incident in incidents[:MOST_ENTRIES]:
        for found in _incident(incident, now) if isinstance(incident, dict) else ():
            (updates if isinstance(found, Update) else left_out).append(found)  # type: ignore[arg-type]
    updates.sort(key=lambda update: update.said_at)
    return Reading(tuple(updates), tuple(left_out))


def _incident(incident: dict[str, Any], now: datetime) -> Iterator[Update | LeftOut]:
    entry, title = _text(incident, "id", 200), plain.line(_text(incident, "name"))
    if not entry:
        yield LeftOut(title, "it has no id")
        return
    announced = incident.get("impact") == "maintenance" or _text(incident, "status") in meanings.PLANNED
    components = _names(incident.get("components"))
    began = instant(incident.get("started_at")) or instant(incident.get("created_at"))
    listed = incident.get("incident_updates")
    for update in listed[:MOST_UPDATES] if isinstance(listed, list) else ():
        if not isinstance(update, dict):
            continue
        part, status = _text(update, "id", 200), _text(update, "status", 40)
        # An update can be dated back, and then was not said when it is shown.
        moments = [at for name in ("created_at", "display_at") if (at := instant(update.get(name)))]
        said_at = dated(max(moments, default=None), now)
        text = said(title, plain.of_markup(_text(update, "body")))
        if not part or not text or isinstance(said_at, str):
            yield LeftOut(
                title, said_at if isinstance(said_at, str) else "it has no id" if not part else "it says nothing"
            )
            continue
        yield Update(
            thread=name_of(entry),
            key=name_of(entry, part),
            title=title,
            text=text,
            url=plain.address(incident.get("shortlink")),
            said_at=said_at,
            began_at=min(began or said_at, said_at),
            meaning=meanings.of_status(status, text),
            planned=announced or meanings.planned(status),
            components=_names(update.get("affected_components")) or components,
        )


def _text(of: dict[str, Any], name: str, most: int = 100_000) -> str:
    value = of.get(name)
    return value[:most] if isinstance(value, str) else ""


def _names(components: object) -> tuple[str, ...]:
    if not isinstance(components, list):
        return ()
    names = (plain.line(_text(each, "name")) for each in components[:MOST_COMPONENTS] if isinstance(each, dict))
    return tuple(dict.fromkeys(name for name in names if name))
