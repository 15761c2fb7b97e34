"""What each report weighs: 1 or 0, and why 0. Applied where blocks are expanded, off the way of a report.

1. **Repeated**: a person counts once for a service and kind within ``COUNTING_WINDOW``.
2. **Quarantined**: the flow that it belongs to (a service, a country, a kind) has a shape that no crowd has; see
   :mod:`reports.intake.shapes`. Not what partners pass on with a key, who can be asked and lose it.
3. **Damped**: of what one network sends about a service within the window the first ``FULL`` count, and then ever
   fewer: n reports count as ``FULL * (1 + ln(n / FULL))``. Never "one for each address": behind a carrier's address
   there are thousands of people.
4. **Banned**: an administrator has set the network's reports aside (:mod:`reports.intake.bans`); those of them that
   would count otherwise. They say nothing about the shape of their flow: others must not be set aside for them.

All are kept as reports; only what weighs 1 is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from reports import binary
from reports.binary import BigintArray, Cursor, Integers
from reports.intake import bans, shapes
from reports.intake.guard import COUNTING_WINDOW

REASONS = ("", "repeated", "damped", *shapes.SHAPES, "banned")
"""Why a report does not count, by number; the first says that it does."""
_REPEATED, _DAMPED, _SHAPES, _BANNED = 1, 2, 3, len(REASONS) - 1
REPEATED, DAMPED, BANNED = REASONS[_REPEATED], REASONS[_DAMPED], REASONS[_BANNED]

FULL = 8
"""Reports of one network about one service that count in full within the window."""

_WINDOW = COUNTING_WINDOW // timedelta(milliseconds=1)
_NEVER = np.iinfo(np.int64).min // 2


@dataclass(frozen=True)
class Arrivals:
    """Reports in the order in which they were received, as columns; ``received_at`` in milliseconds since 1970.

    ``person_before`` and ``network_before`` are the pseudonyms of the day before, 0 where the window does not reach
    into it; ``origin`` has the bits of :mod:`reports.intake.origin`.
    """

    received_at: Integers
    service: Integers
    region: Integers
    kind: Integers
    problem: Integers
    person: Integers
    network: Integers
    person_before: Integers
    network_before: Integers
    origin: Integers


@dataclass(frozen=True)
class Weighed:
    """For each report the number of its reason in ``REASONS``, and whether it is the first counted one of its network:
    in its cell (``new_network``), and for its service and kind anywhere (``new_to_service``).
    """

    reason: NDArray[np.int8]
    new_network: NDArray[np.bool_]
    new_to_service: NDArray[np.bool_]

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which reports count."""
        counted: NDArray[np.bool_] = self.reason == 0
        return counted


def weigh(cursor: Cursor, arrivals: Arrivals) -> Weighed:
    """Weighs a batch by what is remembered of those before it (``Seen``, ``CrowdShape``), and remembers it."""
    a = arrivals
    what = _mixed(a.service, a.kind)
    where = _mixed(a.service, a.kind, a.region)
    person, person_before = _keys(a.person, a.person_before, what)
    near, near_before = _keys(a.network, a.network_before, where)
    sender, sender_before = _keys(a.network, a.network_before, _mixed(what, _SENDER))
    names = ((person, person_before), (near, near_before), (sender, sender_before))
    seen = _Seen(cursor, np.concatenate([key for pair in names for key in (pair[0], pair[1][pair[1] != pair[0]])]))

    reason = np.full(len(a.person), _REPEATED, dtype=np.int8)
    first = _first_in_window(_across_midnight(person, person_before), a.received_at, seen.last(person, person_before))
    reason[first] = 0
    rows = np.flatnonzero(first)
    at = a.received_at[rows]
    sent = ranks(
        _across_midnight(sender, sender_before)[rows],
        at,
        seen.last(sender[rows], sender_before[rows]),
        seen.reports(sender[rows], sender_before[rows]),
    )
    ban = bans.banned(
        cursor,
        at=at,
        service=a.service[rows],
        region=a.region[rows],
        kind=a.kind[rows],
        network=a.network[rows],
    )
    # What a partner passes on has the shape of its partner, and says nothing about those who report here themselves.
    own = (a.network[rows] >= 0) & (ban == 0)
    shape = np.zeros(len(rows), dtype=np.int8)
    visitors = rows[own]
    shape[own] = shapes.examine(
        cursor,
        shapes.Flow(
            at[own],
            a.service[visitors],
            a.region[visitors],
            a.kind[visitors],
            a.problem[visitors],
            sent.rank[own],
            a.origin[visitors],
        ),
    )
    damped = is_damped(sent.rank)
    reason[rows] = np.where(shape > 0, shape + _SHAPES - 1, np.where(damped, _DAMPED, np.where(ban > 0, _BANNED, 0)))
    if ban.any():
        bans.note(ban[reason[rows] == _BANNED])

    counted = reason == 0
    new_network = np.zeros(len(reason), dtype=np.bool_)
    new_network[counted] = _first_in_window(
        _across_midnight(near, near_before)[counted],
        a.received_at[counted],
        seen.last(near, near_before)[counted],
    )
    new_to_service = np.zeros(len(reason), dtype=np.bool_)
    new_to_service[rows] = (sent.rank == 1) & counted[rows]
    seen.remember(
        np.concatenate((person[rows], near[new_network], sender[rows])),
        np.concatenate((at, a.received_at[new_network], sent.since)),
        np.concatenate((np.ones(len(rows) + int(new_network.sum()), dtype=np.int64), sent.rank)),
    )
    return Weighed(reason, new_network, new_to_service)


def damped_total(reports: Integers) -> NDArray[np.float64]:
    """How much ``reports`` of one network about one service count within the window; its whole part is counted."""
    grown = FULL * (1 + np.log(np.maximum(reports, FULL) / FULL))
    total: NDArray[np.float64] = np.where(reports <= FULL, reports, grown)
    return total


def is_damped(rank: Integers) -> NDArray[np.bool_]:
    """Whether the whole part of :func:`damped_total` stays as it is with the report of this ``rank``."""
    damped: NDArray[np.bool_] = np.floor(damped_total(rank)) == np.floor(damped_total(rank - 1))
    return damped


# --- Windows ---------------------------------------------------------------------------------------------------------


_SENDER = np.full(1, 0x5E4D, dtype=np.int64)
"""Sets the keys of networks by service apart from those of persons: a person's number may equal a network's."""


def _keys(name: Integers, before: Integers, what: Integers) -> tuple[Integers, Integers]:
    key = _mixed(name, what)
    return key, np.where(before == 0, key, _mixed(before, what))


def _across_midnight(key: Integers, key_before: Integers) -> Integers:
    """One key for what a batch knows by two: that of the new day, wherever some row has both."""
    both = key_before != key
    while both.any():
        old, place = np.unique(key_before[both], return_index=True)
        new = key[both][place]
        found = np.minimum(np.searchsorted(old, key), len(old) - 1)
        renamed = np.where(old[found] == key, new[found], key)
        if (renamed == key).all():
            break
        # A batch that spans two midnights renames what has been renamed.
        key = renamed
    return key


def _first_in_window(key: Integers, at: Integers, last: Integers) -> NDArray[np.bool_]:
    """For each report, in order of time, whether a window has passed since its key was counted last.

    ``last`` is when the key had been counted before this batch. One pass counts the first candidate of each key; a
    further pass is needed only when a batch is longer than the window.
    """
    chosen = np.zeros(len(key), dtype=np.bool_)
    # Sorted by key and, within a key, still by time.
    order = np.argsort(key, kind="stable")
    key, at, last = key[order], at[order], last[order]
    # On either side: a report may come late, or the clock of a replay begin anew.
    open_ = np.abs(at - last) >= _WINDOW
    while open_.any():
        rows = np.flatnonzero(open_)
        is_first = np.concatenate(([True], key[rows][1:] != key[rows][:-1]))
        first = rows[is_first]
        chosen[order[first]] = True
        # Each open row lies behind the first one of its key, whose instant now counts as the last.
        open_[rows] = at[rows] - at[first][np.cumsum(is_first) - 1] >= _WINDOW
    return chosen


@dataclass(frozen=True)
class Ranks:
    """For each report the how-manieth it is of its key within the running window, and when that window began."""

    rank: Integers
    since: Integers


def ranks(key: Integers, at: Integers, last: Integers | None = None, already: Integers | None = None) -> Ranks:
    """The ranks of reports in order of time. ``last`` is when the window that ran before them began, ``already`` how
    many reports it held; without them nothing was before."""
    last = np.full(len(key), _NEVER) if last is None else last
    already = np.zeros(len(key), dtype=np.int64) if already is None else already
    starts = _first_in_window(key, at, last)
    order = np.argsort(key, kind="stable")
    ordered, begins = key[order], starts[order]
    place = np.arange(len(order))
    edge = begins.copy()
    edge[:1] = True
    edge[1:] |= ordered[1:] != ordered[:-1]
    origin = np.maximum.accumulate(np.where(edge, place, 0))
    # A run that begins no window goes on with the one from before.
    held = np.where(begins, 0, already[order])[origin]
    rank, since = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    rank[order] = held + place - origin + 1
    since[order] = np.where(begins, at[order], last[order])[origin]
    return Ranks(rank, since)


class _Seen:
    """The ``Seen`` rows of a set of keys: read at once, and written at once."""

    def __init__(self, cursor: Cursor, keys: Integers) -> None:
        self._cursor = cursor
        # Not by COPY: most keys are new, so that little comes back, and a list of literals costs more than it saves.
        cursor.execute(_WHEN_SEEN, [BigintArray(_distinct(keys))], binary=True)
        found = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 3)
        self._keys, self._at, self._reports = found[np.argsort(found[:, 0])].T

    def last(self, key: Integers, key_before: Integers) -> Integers:
        """When a key, or what it was called the day before, was counted last; long ago for those never counted."""
        return np.maximum(self._of(key, self._at, _NEVER), self._of(key_before, self._at, _NEVER))

    def reports(self, key: Integers, key_before: Integers) -> Integers:
        """How many reports are remembered with it."""
        return np.maximum(self._of(key, self._reports, 0), self._of(key_before, self._reports, 0))

    def _of(self, key: Integers, values: Integers, otherwise: int) -> Integers:
        if not len(self._keys):
            return np.full(len(key), otherwise)
        place = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        return np.where(self._keys[place] == key, values[place], otherwise)

    def remember(self, key: Integers, at: Integers, reports: Integers) -> None:
        """Writes when each key was counted last, and how often."""
        # The last of equal keys: they come in order of time.
        unique, from_end = np.unique(key[::-1], return_index=True)
        at, reports = at[::-1][from_end], reports[::-1][from_end]
        if len(known := unique[self._of(unique, np.ones_like(self._keys), 0) > 0]):
            self._cursor.execute("DELETE FROM reports_seen WHERE key = ANY(%s)", [BigintArray(known)])
        columns = [("key", "bigint", unique), ("counted_at", "timestamptz", at * 1000), ("reports", "integer", reports)]
        binary.copy_in(self._cursor, "reports_seen", columns, rows=len(unique))


_WHEN_SEEN = """
SELECT key, (extract(epoch FROM counted_at) * 1000)::bigint, reports::bigint FROM reports_seen WHERE key = ANY(%s)
"""


def _distinct(keys: Integers) -> Integers:
    """What ``np.unique`` gives: sorting random numbers takes a fifth of the time that its hash table takes."""
    ordered = np.sort(keys)
    fresh = np.ones(len(ordered), dtype=np.bool_)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return ordered[fresh]


def _mixed(first: Integers, *others: Integers) -> Integers:
    """One well-mixed 64-bit number for each row: after each column the finaliser of SplitMix64 (Steele et al. 2014)."""
    mixed = first.astype(np.uint64)
    for column in (np.zeros(1, dtype=np.int64), *others):
        mixed = mixed * np.uint64(0x9E37_79B9_7F4A_7C15) + column.astype(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed.astype(np.int64)
