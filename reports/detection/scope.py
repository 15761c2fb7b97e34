"""What belongs together: echoes, siblings checked, groups of one provider, and common causes across providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from reports.detection.decisions import SiblingCheck, Topology
from reports.detection.outage import Incident
from reports.detection.parameters import Parameters
from reports.detection.tree import Tree

# A Poisson count exceeds its mean by more than this less often than once in ten thousand, for any mean below 1,000.
_CHANCE_DEVIATIONS = 4.0
_CHANCE_REPORTS = 2.0


@dataclass(frozen=True)
class Level:
    """Reports of one service in one region and window, with what was expected."""

    observed: float
    expected: float

    @property
    def excess(self) -> float:
        """Reports beyond normal; never negative."""
        return max(self.observed - self.expected, 0.0)

    @property
    def ratio(self) -> float:
        """Observed per expected; one expected report is the least, so that silence does not divide."""
        return self.observed / max(self.expected, 1.0)


def is_echo(own: Level, other: Level, *, siblings: bool, parameters: Parameters) -> bool:
    """Whether the rise ``own`` is explained by the far bigger rise ``other`` of the same window and region.

    It must be small beside it twice over: in reports (people who name the wrong service) and relative to what each
    service usually gets, or a small service that fell with a big one would be taken for its echo. Siblings share their
    causes, so more is asked to call one an echo. Ratios observed: docs/detection.md. Hundreds of regions are looked at
    every minute, and a few reports easily exceed a share of a few others: it is no echo only where it exceeds what is
    explained by more than chance would in all of them.
    """
    share = parameters.echo_share_sibling if siblings else parameters.echo_share
    relative = parameters.echo_relative * other.ratio * max(own.expected, 1.0)
    explained = own.expected + min(share * other.excess, relative)
    return own.observed <= explained + _CHANCE_DEVIATIONS * sqrt(explained) + _CHANCE_REPORTS


def sibling_checks(
    service: int, levels: Mapping[int, Level], down: Iterable[int], echoes: Iterable[int], window: int
) -> tuple[SiblingCheck, ...]:
    """The siblings of ``service`` with their figures in the last ``window`` minutes, by index."""
    down, echoes = set(down), set(echoes)
    return tuple(
        SiblingCheck(
            service=sibling,
            observed=round(level.observed),
            expected=round(level.expected, 2),
            window_minutes=window,
            state="down" if sibling in down else "echo" if sibling in echoes else "normal",
        )
        for sibling, level in sorted(levels.items())
        if sibling != service
    )


def provider_scope(provider_services: Sequence[int], down: Iterable[int]) -> str:
    """``product``, ``several products`` or ``provider-wide``, from which of a provider's services are down."""
    affected = set(down) & set(provider_services)
    if len(affected) < 2:
        return "product"
    return "provider-wide" if len(affected) == len(provider_services) else "several products"


def suspected_upstream(
    topology: Topology,
    tree: Tree,
    incident: Incident,
    incidents: Mapping[int, Incident],
    parameters: Parameters,
    *,
    shared: int,
) -> Incident | None:
    """The open incident of something that ``incident`` depends on, where it may be the cause; ``None`` without one.

    It must be vouched for by an administrator or by its provider: an upstream is never named on crowd volume alone. It
    must have begun no later than ``common_onset`` minutes after, in at least ``common_overlap`` of the regions. What a
    service depends on is known; everything depends on the networks people reach it by, so a network is suspected only
    where ``shared``, the number of services of one group, is at least ``common_services``.
    """
    upstreams = {u for s, u in topology.upstreams if s == incident.service}
    for service, other in incidents.items():
        if not other.vouched or service == incident.service:
            continue
        needed = service in upstreams
        carried = (
            service in topology.networks
            and incident.service not in topology.networks
            and shared >= parameters.common_services
        )
        if not needed and not carried:
            continue
        if other.onset - incident.onset > parameters.common_onset:
            continue
        if _covered(tree, incident.regions, other.regions) >= parameters.common_overlap:
            return other
    return None


def _covered(tree: Tree, regions: Iterable[int], by: Iterable[int]) -> float:
    """The share of ``regions`` that lie in one of ``by``, or hold one of them."""
    by = set(by)
    holding = {above for region in by for above in tree.above[region]}
    inside = [region in holding or not by.isdisjoint(tree.above[region]) for region in regions]
    return sum(inside) / max(len(inside), 1)


def common_cause(incident: Incident, others: Iterable[Incident], parameters: Parameters) -> list[Incident]:
    """The incidents that began with ``incident`` in the same places, itself included; empty if they are too few."""
    members = [incident]
    here = set(incident.regions)
    for other in others:
        if other is incident or abs(other.onset - incident.onset) > parameters.common_onset:
            continue
        shared = len(here & set(other.regions))
        if shared >= parameters.common_overlap * min(len(here), len(other.regions)):
            members.append(other)
    return members if len(members) >= parameters.common_services else []
