"""Which incidents of the last weeks would other settings have opened or missed? The same engine over the same counts.

Two runs are compared: one with the settings in force, one with the others. Both see nothing but counts (no statement,
nor an administrator's word) and refit daily, so what differs between them comes of the settings alone; what the site's
own history has beyond the first run is told apart. One question is worked on at a time, by whoever holds a lock of the
database: a worker that dies lets go of it, and its question can be started again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from reports import counts
from reports.clock import instant_of, minute_of
from reports.detection import backtest
from reports.detection.backtest import Recording, Row
from reports.detection.baseline import BIN_MINUTES, History
from reports.detection.decisions import NETWORK_KINDS
from reports.detection.parameters import Parameters
from reports.incidents.cells import Cells, read_cells
from reports.incidents.lifecycle import ConflictError
from reports.incidents.watch import HISTORY, ordinary_history
from reports.models import DetectorState, Incident, Provider, Service, WhatIf

log = logging.getLogger(__name__)

MOST_DAYS = 30
# Rows of counts that are read at most, and how long it may take: under a GB, and less than the other tasks of
# the worker wait for.
MOST_ROWS = 3_000_000
LONGEST_SECONDS = 1800.0
# What began before the days asked for is seen in its course, and not compared.
LEAD_MINUTES = 1440
PIECE_MINUTES = 360
# Regions that an incident is listed with.
MOST_REGIONS = 12
_LOCK = 0x6F75_7461_0003


@dataclass(frozen=True)
class Setting:
    """A parameter that the desk may vary: its name in :class:`Parameters`, and what is said and allowed of it."""

    name: str
    label: str
    unit: str
    least: float
    most: float
    meaning: str

    @property
    def present(self) -> float:
        """The value in force."""
        return float(getattr(Parameters(), self.name))

    @property
    def whole(self) -> bool:
        """Whether only whole numbers make sense."""
        return isinstance(getattr(Parameters(), self.name), int)


_LOG = "log₁₀ of a probability"
SETTINGS = (
    Setting("leaf_log10", "Bar for a region", _LOG, -15, -2, "How improbable a rise must be to open a region alone."),
    Setting(
        "burst_log10",
        "Higher bar for a burst",
        "powers of ten",
        0,
        6,
        "Added to the bar of a region within eight minutes.",
    ),
    Setting("pool_log10", "Bar for a country or the world", _LOG, -15, -2, "The same for a region that holds others."),
    Setting(
        "joined_log10", "Bar for joining", _LOG, -10, -1, "The same where all other regions of its country are down."
    ),
    Setting("leaf_reports", "Reports in a region", "reports", 1, 100, "Fewer open no region."),
    Setting("pool_reports", "Reports in a country", "reports", 1, 200, "Fewer open no country and not the world."),
    Setting("joined_reports", "Reports for joining", "reports", 1, 50, "Fewer let no region join."),
    Setting(
        "unknown_reports", "Reports about a new service", "reports", 1, 200, "Fewer open nothing in its first days."
    ),
    Setting("least_ratio", "Times the expected", "ratio", 1.2, 20, "Smaller rises open nothing, however improbable."),
    Setting("least_networks", "Distinct networks", "networks", 1, 50, "So many must have reported."),
    Setting(
        "null_inflation", "Ordinary surge of a region", "ratio", 1, 5, "Such a multiple of the expected is ordinary."
    ),
    Setting(
        "pool_null_inflation", "Ordinary surge of a country", "ratio", 1, 5, "The same for a country or the world."
    ),
    Setting(
        "certainty", "Certainty of a return", "probability", 0.5, 0.999, "Needed before a region is called restored."
    ),
    Setting("certainty_votes", "Certainty with votes", "probability", 0.5, 0.999, "The same where people voted."),
    Setting("least_votes", "Votes for a return", "votes", 1, 50, "Fewer votes restore no region."),
    Setting("silent_minutes", "Silence until unknown", "minutes", 15, 720, "After so long a silence it is unknown."),
    Setting(
        "separate_minutes", "Silence between outages", "minutes", 15, 720, "After it a new rise is a new incident."
    ),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


class BusyError(ConflictError):
    """Another question is not yet answered."""


class _StopError(Exception):
    """The work ends; the text says why, for the administrator."""


class _CancelledError(Exception):
    """Somebody cancelled it."""


# --- asking -----------------------------------------------------------------------------------------------------------


def ask(
    *,
    values: Mapping[str, float],
    days: int,
    service: Service | None = None,
    provider: Provider | None = None,
    by: User,
    now: datetime,
) -> WhatIf:
    """A new question: ``values`` by the names of ``SETTINGS``, those in force may be among them.

    Raises ``ValidationError`` by field for what cannot be asked, :class:`BusyError` while another one is unanswered.
    """
    changed = {name: value for name, value in values.items() if name not in _BY_NAME or value != _BY_NAME[name].present}
    faults = {name: fault for name, value in changed.items() if (fault := _fault(name, value))}
    if not 1 <= days <= MOST_DAYS:
        faults["days"] = f"Expected 1 to {MOST_DAYS} days."
    if service is not None and provider is not None:
        faults["provider"] = "Choose a service or a provider, not both."
    if faults:
        raise ValidationError(faults)
    if not changed:
        raise ValidationError("These are the settings in force: choose another value for one of them at least.")
    settings = {name: int(value) if _BY_NAME[name].whole else float(value) for name, value in changed.items()}
    try:
        with transaction.atomic():
            return WhatIf.objects.create(
                asked_at=now, asked_by=by, settings=settings, days=days, service=service, provider=provider
            )
    except IntegrityError as error:
        raise BusyError("Another question is being worked on: wait for its answer, or cancel it.") from error


def _fault(name: str, value: float) -> str:
    setting = _BY_NAME.get(name)
    if setting is None:
        return "There is no such setting."
    # Written so that "not a number" fails.
    if not setting.least <= value <= setting.most:
        return f"Expected {setting.least:g} to {setting.most:g} ({setting.unit})."
    return "Expected a whole number." if setting.whole and value != int(value) else ""


def cancel(pk: int, *, now: datetime) -> bool:
    """Ends the question without an answer; whether there was anything to end."""
    return bool(WhatIf.objects.filter(pk=pk, ended_at=None).update(cancelled_at=now, ended_at=now))


def state(asked: WhatIf) -> str:
    """``waiting`` for a worker, ``running``, ``interrupted`` (its worker died), ``cancelled``, ``failed``, ``done``."""
    if asked.ended_at is None:
        if asked.started_at is None:
            return "waiting"
        return "running" if _worked_on() else "interrupted"
    if asked.cancelled_at is not None:
        return "cancelled"
    return "failed" if asked.fault else "done"


def _worked_on() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (classid::bigint << 32) + objid::bigint = %s)",
            [_LOCK],
        )
        return bool(cursor.fetchone()[0])


# --- working ----------------------------------------------------------------------------------------------------------


def work(pk: int, *, now: Callable[[], datetime], seconds: Callable[[], float]) -> None:
    """Answers the question, unless somebody else is at it or it has ended; a second time begins anew.

    ``seconds`` is a clock that only goes on; it bounds the work.
    """
    with _alone() as alone:
        mine = WhatIf.objects.filter(pk=pk, ended_at=None)
        if not alone or not mine.update(started_at=now(), progress=0.0):
            return
        begun = seconds()

        def tell(share: float) -> None:
            if seconds() - begun > LONGEST_SECONDS:
                raise _StopError(f"It took over {LONGEST_SECONDS / 60:.0f} minutes: ask for fewer days or one service.")
            if not mine.update(progress=round(share, 4)):
                raise _CancelledError

        fault, result = "", None
        try:
            result = _answer(mine.get(), now=now(), tell=tell)
        except (_CancelledError, WhatIf.DoesNotExist):
            return
        except _StopError as stop:
            fault = str(stop)
        except MemoryError:
            fault = "It needed more memory than there is: ask for fewer days or one service."
        except Exception as error:
            log.exception("what-if %d failed", pk)
            fault = f"It failed ({type(error).__name__}); the worker's log says more."
        done = {"progress": 1.0} if result is not None else {}
        mine.update(ended_at=now(), fault=fault, result=result, **done)


@contextmanager
def _alone() -> Iterator[bool]:
    """Holds the lock of whoever works on a question, where it is free: a process that dies gives it back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        held = bool(cursor.fetchone()[0])
    try:
        yield held
    finally:
        if held:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _answer(asked: WhatIf, *, now: datetime, tell: Callable[[float], None]) -> dict[str, Any]:
    watched = DetectorState.objects.values_list("minute", flat=True).first()
    until = minute_of(watched if watched is not None else now) + 1
    since = until - asked.days * 1440
    earliest = counts.earliest()
    if earliest is None or minute_of(earliest) >= until:
        raise _StopError("There are no counts yet.")
    first = max(since - LEAD_MINUTES, minute_of(earliest)) // BIN_MINUTES * BIN_MINUTES
    cells = read_cells(now.date())
    chosen = _chosen(asked, cells)
    rows = counts.rows_between(first, until, [cells.service_ids[i] for i in chosen])
    if rows > MOST_ROWS:
        raise _StopError(
            f"{rows:,} rows of counts are more than the {MOST_ROWS:,} that are read at once: ask for fewer days,"
            " or for one service or provider."
        )
    recording = _recording(cells, chosen, first=first, until=until)
    past = _past(cells, chosen, earliest=minute_of(earliest), first=first)
    present = Parameters()
    runs: list[list[Row]] = []
    for i, parameters in enumerate((present, replace(present, **asked.settings))):
        ledger = backtest.run(
            recording,
            cells.topology,
            parameters=parameters,
            past=past,
            progress=lambda share, i=i: tell((i + share) / 2),  # type: ignore[misc]
        )
        runs.append(ledger.rows)
    before, after = (_found(rows, cells, until=until) for rows in runs)
    site = _site(cells, chosen, first=first, until=until)
    return {
        "from": instant_of(since).isoformat(),
        "until": instant_of(until).isoformat(),
        "rows": rows,
        "present": {name: _BY_NAME[name].present for name in asked.settings},
        **_compared(before, after, site, since=instant_of(since)),
    }


def _chosen(asked: WhatIf, cells: Cells) -> list[int]:
    """The services asked about, by index."""
    if asked.service_id is not None:
        return [cells.service_index[asked.service_id]]
    return [i for i, provider in enumerate(cells.provider_ids) if asked.provider_id in (None, provider)]


def _recording(cells: Cells, chosen: Sequence[int], *, first: int, until: int) -> Recording:
    wanted = np.zeros(len(cells.service_ids) + 1, dtype=np.bool_)
    wanted[list(chosen)] = True
    pieces = []
    for start in range(first, until, PIECE_MINUTES):
        rows = counts.minutes(start, min(start + PIECE_MINUTES, until))
        service, region = cells.service_indices(rows.service_id), cells.region_indices(rows.region_id)
        known = wanted[service] & (region >= 0)
        values = (getattr(rows, name) for name in ("reports", "working", *NETWORK_KINDS))
        columns = (rows.minute, service, region, *values)
        pieces.append([column[known] for column in columns])
    whole = [np.concatenate([piece[i] for piece in pieces]) for i in range(8)]
    # Quiet minutes at either end belong to it: the runs begin and end where the site's own watching does.
    for at in (first, until - 1):
        if not len(whole[0]) or at not in (whole[0][0], whole[0][-1]):
            edge = (at, chosen[0], 0, 0, 0, 0, 0, 0)
            whole = [np.insert(c, 0 if at == first else len(c), v) for c, v in zip(whole, edge, strict=True)]
    return Recording(*whole)


def _past(cells: Cells, chosen: Sequence[int], *, earliest: int, first: int) -> History | None:
    begin = max(earliest, first - HISTORY // timedelta(minutes=1)) // BIN_MINUTES * BIN_MINUTES
    if begin >= first:
        return None
    history = ordinary_history(cells, first=begin, until=instant_of(first), now=instant_of(first))
    here = np.isin(history.service, chosen)
    return replace(
        history,
        service=history.service[here],
        region=history.region[here],
        bin=history.bin[here],
        reports=history.reports[here],
    )


# --- comparing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """An incident of a run, or of the site."""

    service: str
    name: str
    onset_at: datetime
    detected_at: datetime
    ended_at: datetime
    regions: tuple[str, ...]
    confidence: float
    pk: int | None = None
    by_hand: bool = False

    def apart(self, other: _Found) -> timedelta | None:
        """How far apart two of one service began; ``None`` where they do not overlap."""
        overlap = self.onset_at <= other.ended_at and other.onset_at <= self.ended_at
        return abs(self.onset_at - other.onset_at) if self.service == other.service and overlap else None

    def as_json(self) -> dict[str, Any]:
        """For the stored answer."""
        return {
            "onset_at": self.onset_at.isoformat(),
            "detected_at": self.detected_at.isoformat(),
            "regions": list(self.regions[:MOST_REGIONS]),
            "regions_number": len(self.regions),
            "confidence": round(self.confidence, 4),
        }


def _found(rows: Sequence[Row], cells: Cells, *, until: int) -> list[_Found]:
    by_incident: dict[str, list[Row]] = {}
    for row in rows:
        by_incident.setdefault(row.incident, []).append(row)
    return [
        _Found(
            service=cells.topology.services[of[0].service],
            name=cells.service_names[of[0].service],
            onset_at=instant_of(min(row.onset for row in of)),
            detected_at=instant_of(min(row.detected for row in of) + 1),
            ended_at=instant_of(max(until if row.ended is None else row.ended for row in of)),
            regions=tuple(sorted({cells.topology.regions[row.region] for row in of})),
            confidence=max(row.confidence or 0.0 for row in of),
        )
        for of in by_incident.values()
    ]


def _site(cells: Cells, chosen: Sequence[int], *, first: int, until: int) -> list[_Found]:
    """The incidents that the site itself has of these days."""
    incidents = Incident.objects.filter(
        service_id__in=[cells.service_ids[i] for i in chosen],
        detected_at__gte=instant_of(first),
        detected_at__lt=instant_of(until),
        # To the detector what was split is one.
        split_from=None,
    )
    by_hand = set(incidents.filter(evidence__rule="admin").values_list("pk", flat=True))
    return [
        _Found(
            service=incident.service.slug,
            name=incident.service.name,
            onset_at=incident.onset_at,
            detected_at=incident.detected_at,
            ended_at=max(
                one.resolved_at or one.rejected_at or one.merged_at or instant_of(until)
                for one in (incident, *incident.parts.all())
            ),
            regions=tuple(
                sorted({row.region_code for one in (incident, *incident.parts.all()) for row in one.regions.all()})
            ),
            confidence=incident.confidence,
            pk=incident.pk,
            by_hand=incident.pk in by_hand,
        )
        for incident in incidents.select_related("service").prefetch_related("regions", "parts__regions")
    ]


def _compared(
    before: Sequence[_Found], after: Sequence[_Found], site: Sequence[_Found], *, since: datetime
) -> dict[str, Any]:
    """Who is whose counterpart, of those that were detected from ``since`` on in any of the three."""
    pairs = _pairs(before, after)
    on_site = {**_pairs(after, site), **_pairs(before, site)}
    both, missed = [], []
    for one in sorted(before, key=lambda found: found.detected_at):
        other = pairs.get(one)
        if max(one.detected_at, other.detected_at if other else one.detected_at) < since:
            continue
        row = _row(one, on_site.get(one))
        if other is None:
            missed.append({**row, "present": one.as_json()})
        else:
            later = (other.detected_at - one.detected_at) / timedelta(minutes=1)
            both.append({**row, "present": one.as_json(), "other": other.as_json(), "later_minutes": round(later)})
    taken = set(pairs.values())
    new = [other for other in sorted(after, key=lambda found: found.detected_at) if other not in taken]
    more = [
        {**_row(other, on_site.get(other)), "other": other.as_json()} for other in new if other.detected_at >= since
    ]
    again = set(_pairs(before, site).values())
    lost = [found for found in site if found not in again and found.detected_at >= since]
    return {
        "both": both,
        "missed": missed,
        "more": more,
        "only_on_site": [{**_row(found, found), "site": found.as_json(), "by_hand": found.by_hand} for found in lost],
    }


def _row(found: _Found, on_site: _Found | None) -> dict[str, Any]:
    return {"service": found.service, "name": found.name, "incident": on_site.pk if on_site else None}


def _pairs(some: Sequence[_Found], others: Sequence[_Found]) -> dict[_Found, _Found]:
    """The counterparts of ``some`` among ``others``, the nearest first, each once."""
    near = [
        (apart, i, j)
        for i, one in enumerate(some)
        for j, other in enumerate(others)
        if (apart := one.apart(other)) is not None
    ]
    pairs: dict[_Found, _Found] = {}
    taken: set[int] = set()
    for _, i, j in sorted(near):
        if some[i] not in pairs and j not in taken:
            pairs[some[i]] = others[j]
            taken.add(j)
    return pairs


# --- telling ----------------------------------------------------------------------------------------------------------


def reviews(result: Mapping[str, Any]) -> dict[int, Incident]:
    """The site's incidents that an answer names, as they stand now, by id."""
    lists = (result[name] for name in ("both", "missed", "more", "only_on_site"))
    ids = {row["incident"] for rows in lists for row in rows if row["incident"] is not None}
    return Incident.objects.in_bulk(ids)


def summary(result: Mapping[str, Any], known: Mapping[int, Incident]) -> str:
    """The answer in a sentence or two; ``known`` is what :func:`reviews` says."""

    def of(rows: Sequence[Mapping[str, Any]]) -> str:
        judged = [known[row["incident"]].review for row in rows if row["incident"] in known]
        said = [f"{judged.count(word)} {word}" for word in ("confirmed", "rejected") if word in judged]
        return f" (among them {' and '.join(said)})" if said else ""

    both, missed, more, lost = (result[name] for name in ("both", "missed", "more", "only_on_site"))
    text = f"{len(missed)} of {len(both) + len(missed)} would not have opened{of(missed)}; {len(more)} more would have"
    text += f"{of(more)}."
    shifts = [row["later_minutes"] for row in both]
    if any(shifts):
        text += f" Of those opened either way {sum(s > 0 for s in shifts)} would have opened later"
        text += f" and {sum(s < 0 for s in shifts)} earlier."
    if lost:
        text += f" {len(lost)} on this site cannot be had from its counts alone with the present settings{of(lost)}."
    return text
