"""What a detection cycle is given and what it answers: plain values at the border of the maths.

Time is counted in whole minutes since 1970-01-01T00:00Z; minute ``t`` covers ``[t, t + 1)``. Services and
regions are indices into the tuples of a :class:`Topology`; codes and slugs appear only there and in the keys
of incidents, so that a saved state survives a catalogue that grew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Topology:
    """Which cells can exist: every service in every region of one tree.

    ``parents[i]`` is the index of the region above region ``i`` and -1 for the world; a region may have reports
    of its own at any level (country-only reports are normal). ``utc_offsets`` are minutes east of UTC.
    ``providers[s]`` names the provider of service ``s``: siblings share it. ``upstreams`` holds pairs
    ``(service, service it depends on)``; ``networks`` the services by which people reach all others (mobile networks,
    internet providers).
    """

    services: tuple[str, ...]
    providers: tuple[str, ...]
    regions: tuple[str, ...]
    parents: IntArray
    utc_offsets: IntArray
    upstreams: tuple[tuple[int, int], ...] = ()
    networks: frozenset[int] = frozenset()


@dataclass(frozen=True)
class MinuteCounts:
    """The counts of one closed minute: parallel arrays, one element per cell with any report, no cell twice.

    ``reports`` are the counted ``down`` reports, ``working`` the counted "works again" ones, and ``networks`` the
    distinct networks among the ``down`` reports that had not yet reported in the counting window (so sums over
    minutes stay distinct); ``None`` where nobody recorded networks. Each counts what was reported at exactly
    this region: sums over children are the engine's own work.
    """

    minute: int
    service: IntArray
    region: IntArray
    reports: IntArray
    working: IntArray
    networks: IntArray | None = None
    service_networks: IntArray | None = None
    """Those of ``networks`` that were new to the service in all regions: they add up over regions too."""
    working_networks: IntArray | None = None
    """The same as ``networks`` of the "works again" reports."""


NETWORK_KINDS = ("networks", "service_networks", "working_networks")
"""The fields of :class:`MinuteCounts` that are ``None`` where nobody recorded them."""


class SignalKind(StrEnum):
    """A word from outside the counts that the engine must respect."""

    STATEMENT_DOWN = "statement_down"
    STATEMENT_RESTORED = "statement_restored"
    STATEMENT_WITHDRAWN = "statement_withdrawn"
    ADMIN_CONFIRMED = "admin_confirmed"
    ADMIN_UNCONFIRMED = "admin_unconfirmed"
    ADMIN_RESTORED = "admin_restored"
    ADMIN_DOWN = "admin_down"
    ADMIN_REJECTED = "admin_rejected"
    ADMIN_REINSTATED = "admin_reinstated"
    ADMIN_UNHEARD = "admin_unheard"


REINSTATED = "reinstated"
"""The rule of an evidence by which a region is followed again that was let go of by mistake: its row stands already."""


@dataclass(frozen=True)
class Signal:
    """A provider's statement or an administrator's word. ``region`` -1 stands for every open region.

    ``STATEMENT_DOWN`` (the provider admits a fault) and ``ADMIN_CONFIRMED`` vouch for the open incident of the service
    and open nothing by themselves; ``ADMIN_UNCONFIRMED`` takes that back, ``STATEMENT_WITHDRAWN`` what a statement said
    of a restoration. ``ADMIN_REJECTED`` without a region also keeps the service quiet for hours, which
    ``ADMIN_REINSTATED`` ends. That one with a region has it followed again as before, without vouching for it, and so
    does ``ADMIN_UNHEARD`` with one of which too little was heard to say. ``ADMIN_RESTORED`` and ``ADMIN_REJECTED`` say
    nothing of the regions in the one they name.

    ``at`` is the instant the word speaks of (restored at), ``given`` the minute it became known; a cycle takes
    only signals with ``given`` up to its own minute.
    """

    kind: SignalKind
    service: int
    region: int
    at: int
    given: int


class DecisionKind(StrEnum):
    """What happened to one (service, region) cell or to one incident.

    ``OPENED``, ``REOPENED`` (a relapse), ``RECOVERING``, ``RESTORED``, ``UNKNOWN``, ``WITHDRAWN`` (rejected) concern a
    region; ``UPDATED`` carries a new peak or a better onset. ``RESOLVED`` (region -1) closes the incident,
    ``GROUPED`` (region -1) puts it into a group, ``ECHO`` (region -1) notes a rise that another incident explains and
    that opened nothing.
    """

    OPENED = "opened"
    REOPENED = "reopened"
    UPDATED = "updated"
    RECOVERING = "recovering"
    RESTORED = "restored"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"
    GROUPED = "grouped"
    ECHO = "echo"


class Basis(StrEnum):
    """Why we believe that a region is back."""

    ADMIN = "admin"
    STATEMENT = "statement"
    VOTES = "votes"
    RATE = "rate"


@dataclass(frozen=True)
class Evidence:
    """The figures a decision rests on; each can be recomputed from the counts of the window and the named fit.

    ``observed`` and ``expected`` are reports within ``[window_end - window_minutes, window_end)``; ``log10_p`` is the
    tail probability of ``observed`` under the inflated null; ``threshold`` the value it had to pass, 0 where the
    decision was not taken by it; ``level`` which pool was tested (``region``, ``country``, ``world``), ``rule`` which
    test spoke. ``figures`` holds what the null was made of, and what only some rules have (votes, likelihoods), by the
    names that ``docs/data.md`` explains.
    """

    observed: int
    expected: float
    log10_p: float
    threshold: float
    window_minutes: int
    window_end: int
    level: str
    rule: str
    networks: int | None
    working: int
    baseline_version: str
    detector_version: str
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SiblingCheck:
    """A sibling that was looked at when an incident opened or was grouped."""

    service: int
    observed: int
    expected: float
    window_minutes: int
    state: str
    """``normal``, ``down`` or ``echo``."""


@dataclass(frozen=True)
class Decision:
    """One thing decided at the end of minute ``decided`` (an instant: minute ``decided`` itself is over at +1).

    ``incident`` is the key of the incident, stable over replays: ``<service slug>@<minute of detection>``; ``group``
    the key of its group, or empty. Times not applicable are ``None``. ``restored_low`` and ``restored_high`` are the
    90 % interval around ``restored``. ``confidence`` is the probability that the incident is real.
    """

    kind: DecisionKind
    decided: int
    service: int
    region: int
    incident: str
    group: str = ""
    onset: int | None = None
    began: int | None = None
    """When the incident as a whole began; ``onset`` is that of the region."""
    peak: int | None = None
    peak_reports: int | None = None
    recovering: int | None = None
    restored: int | None = None
    restored_low: int | None = None
    restored_high: int | None = None
    basis: Basis | None = None
    confidence: float | None = None
    scope: str = ""
    """``product``, ``several products``, ``provider-wide``, ``network`` or ``upstream suspected``; empty when
    unchanged.
    """
    upstream: str = ""
    """The incident of the suspected upstream or network."""
    echo_of: str = ""
    evidence: Evidence | None = None
    siblings: tuple[SiblingCheck, ...] = ()


@dataclass(frozen=True)
class Fault:
    """A mistake of this code or of its state, met at one service (index): what was raised, and during what."""

    service: int
    during: str
    error: Exception
