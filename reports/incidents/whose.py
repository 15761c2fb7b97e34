"""Whose a decision of the engine is, where administrators merged or split what it decides of.

The engine has one incident of a service at a time, under the key it opened it with. Here that key leads to the incident
of the tables which tells the region now.
"""

from __future__ import annotations

from collections.abc import Container

from reports.incidents.acting import is_open
from reports.models import Incident


class Whose:
    """The incidents that one minute's decisions can be about, with all that were merged or split with them."""

    def __init__(self) -> None:
        self.by_id: dict[int, Incident] = {}
        self.parts: dict[int, list[Incident]] = {}
        self._by_key: dict[str, Incident] = {}
        # The one open incident of a service; a part of it only where that is all that is open.
        self._open: dict[int, Incident] = {}

    def know(self, incident: Incident) -> None:
        """Takes the incident in."""
        self.by_id[incident.pk] = incident
        self._by_key[incident.key] = incident
        if incident.split_from_id is not None:
            self.parts.setdefault(incident.split_from_id, []).append(incident)
        if is_open(incident):
            self.opened(incident)

    def told(self, key: str, service_id: int) -> Incident | None:
        """The incident that the engine means by ``key``."""
        known = self._by_key.get(key)
        if known is not None:
            return known
        # An engine that lost its memory opens under a new key what the tables know as open: it is the same outage.
        going_on = self._open.get(service_id)
        return None if going_on is None else self.root(going_on)

    def merged(self, key: str) -> Incident | None:
        """The incident of the key, or what it was merged into."""
        incident, seen = self._by_key.get(key), set[int]()
        while incident is not None and incident.merged_into_id and incident.pk not in seen:
            seen.add(incident.pk)
            incident = self.by_id.get(incident.merged_into_id, incident)
        return incident

    def holder(self, incident: Incident, region_id: int | None, rows: Container[tuple[int, int | None]]) -> Incident:
        """Who tells the region: the part which has its row (by ids of incident and region), or what the incident was
        merged into. Of no region: who tells the whole."""
        seen: set[int] = set()
        while incident.pk not in seen:
            seen.add(incident.pk)
            parts = self.parts.get(incident.pk, ())
            part = next((p for p in parts if (p.pk, region_id) in rows and p.pk not in seen), None)
            incident = part or self.by_id.get(incident.merged_into_id or 0) or incident
        if incident.rejected_at and region_id is not None and (incident.pk, region_id) not in rows:
            # What is left of it was no outage; what goes down now belongs to the part that was one.
            return next(iter(self.open_parts(incident)), incident)
        return incident

    def open_parts(self, incident: Incident) -> list[Incident]:
        """The open parts of an incident, and those of what it was merged into."""
        found: list[Incident] = []
        seen: set[int] = set()
        waiting = [incident]
        while waiting:
            one = waiting.pop()
            if one.pk in seen:
                continue
            seen.add(one.pk)
            waiting += self.parts.get(one.pk, ())
            if one.merged_into_id in self.by_id:
                waiting.append(self.by_id[one.merged_into_id])
            if one.split_from_id is not None and one is not incident and is_open(one):
                found.append(one)
        return sorted(found, key=lambda part: part.pk)

    def is_split(self, incident: Incident) -> bool:
        """Whether it is a part, or has one."""
        return incident.split_from_id is not None or any(not part.merged_at for part in self.parts.get(incident.pk, ()))

    def may_open(self, incident: Incident) -> bool:
        """Whether no other outage of its service is open."""
        going_on = self._open.get(incident.service_id)
        return going_on is None or self.root(going_on) is self.root(incident)

    def opened(self, incident: Incident) -> None:
        """The incident is open."""
        if incident.split_from_id is None:
            self._open[incident.service_id] = incident
        else:
            self._open.setdefault(incident.service_id, incident)

    def closed(self, incident: Incident) -> None:
        """The incident is open no more."""
        if self._open.get(incident.service_id) is incident:
            del self._open[incident.service_id]
            for part in self.open_parts(incident):
                self._open.setdefault(part.service_id, part)

    def root(self, incident: Incident) -> Incident:
        """The one that the incident was split off from in the beginning, or itself."""
        while incident.split_from_id is not None:
            incident = self.by_id[incident.split_from_id]
        return incident
