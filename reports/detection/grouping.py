"""What belongs together: incidents of siblings, of one cause, and of what they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.detection.cycle import Cycle, window_at
from reports.detection.decisions import DecisionKind, SiblingCheck
from reports.detection.outage import Incident
from reports.detection.parameters import WINDOWS
from reports.detection.scope import common_cause, provider_scope, sibling_checks, suspected_upstream

_MOST_SIBLINGS = 50
"""Siblings that are checked and listed; nobody reads more."""


class Grouping(Cycle):
    """The part of a cycle that says which incidents form a group, and how far an outage reaches."""

    def _own_scope(self, service: int) -> str:
        return "network" if service in self.topology.networks else "product"

    def _regroup(self, incident: Incident) -> None:
        """Put an incident that has just begun, grown or been vouched for into the group it belongs to."""
        members, group = self._kindred(incident)
        for member in members or [incident]:
            upstream = suspected_upstream(
                self.topology, self.tree, member, self.incidents, self.parameters, shared=len(members)
            )
            scope = self._scope(member, members, upstream)
            if member.group == (group or member.group) and member.scope == scope:
                continue
            member.group, member.scope = group or member.group, scope
            self._decisions.append(
                replace(
                    self._about(member, DecisionKind.GROUPED),
                    scope=scope,
                    upstream=upstream.key if upstream else "",
                    siblings=self._checks(member),
                )
            )

    def _kindred(self, incident: Incident) -> tuple[list[Incident], str]:
        """The incidents of one group with ``incident``, itself included, and the group's key; none where it is alone.

        A cause that reaches over several providers joins more than a provider does.
        """
        others = [i for i in self.incidents.values() if i is not incident]
        if self._now - incident.opened <= self.parameters.shared_minutes:
            members = common_cause(incident, others, self.parameters)
            if len({self.topology.providers[i.service] for i in members}) > 1:
                return members, self._group_of([i for i in members if i.group.startswith("common@")], "common")
        siblings = [i for i in others if i.service in self._siblings[incident.service]]
        if siblings:
            members = [incident, *siblings]
            return members, self._group_of(members, self.topology.providers[incident.service])
        return [], ""

    def _group_of(self, members: Sequence[Incident], name: str) -> str:
        known = [i.group for i in sorted(members, key=lambda i: i.opened) if i.group]
        return known[0] if known else f"{name}@{self._now}"

    def _scope(self, incident: Incident, members: Sequence[Incident], upstream: Incident | None) -> str:
        if upstream is not None:
            return "network" if upstream.service in self.topology.networks else "upstream suspected"
        siblings = self._siblings[incident.service]
        down = [i.service for i in members if i.service in siblings]
        return provider_scope(siblings, down) if len(down) > 1 else self._own_scope(incident.service)

    def _vouch(self, incident: Incident) -> None:
        """Somebody who knows says that it is down: what depends on it may now be laid at its door."""
        if not incident.vouched:
            incident.vouched = True
            for other in list(self.incidents.values()):
                if other is not incident:
                    self._regroup(other)

    def _checks(self, incident: Incident) -> tuple[SiblingCheck, ...]:
        siblings = [s for s in self._siblings[incident.service] if s != incident.service]
        if not siblings:
            return ()
        window = WINDOWS[window_at(min(max(self._now - incident.onset + 1, 5), WINDOWS[-1]))]
        levels = {s: self._level(s, self.tree.world, window) for s in siblings[:_MOST_SIBLINGS]}
        echoes = [
            s for s, big in self.echo_told if big == incident.service and self.echo_told[s, big] >= incident.opened
        ]
        return sibling_checks(incident.service, levels, self.incidents, echoes, window)
