"""One detection cycle, and the fit it judges by.

What is judged, what was decided and the engine's memory are committed together, a few minutes at a time: a process
killed at any moment has either done its minutes or not begun them. The engine lives on in the memory of the process;
the stored state is read only where that memory is not the newest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, Q

from reports import binary, counts
from reports.clock import instant_of, minute_of
from reports.counts import CountRows, HalfHours
from reports.detection.baseline import BIN_MINUTES, DAY_BINS, Baseline, History, fit
from reports.detection.decisions import (
    NETWORK_KINDS,
    Decision,
    DecisionKind,
    Fault,
    IntArray,
    MinuteCounts,
    Signal,
    SignalKind,
)
from reports.detection.engine import DETECTOR_VERSION, Engine
from reports.detection.outage import OPEN, PEAK_MINUTES
from reports.detection.tree import plant
from reports.incidents import decided, kinship
from reports.incidents.cells import Cells, catalogue_digest, read_cells
from reports.models import Baseline as BaselineRow
from reports.models import DetectorState, DrainBatch, Evidence, InboxBlock, Incident, RegionalOutage, Word

log = logging.getLogger(__name__)

# How long after its end a minute is taken as closed: a report received in its last moment has to reach the inbox.
GRACE = timedelta(seconds=5)
# How long a minute waits for reports that lie in the inbox, before it is left unjudged. Judging it would take the
# silence of a drain that is stuck for the silence of the world.
PATIENCE = timedelta(minutes=15)
# Minutes further back than this are not caught up with after a standstill: they are left unjudged.
LONGEST_CATCH_UP = timedelta(days=1)
# Minutes an engine without a memory is shown before it decides anything: the reach of its slow factor.
WARM_UP_MINUTES = 120
# What one transaction, and what one call may do at most.
MINUTES_PER_TRANSACTION = 10
MINUTES_PER_CALL = 120
# What a fit learns from, and how much around an outage is no ordinary time either: people gather before it is seen and
# trickle in after it is over.
HISTORY = timedelta(days=28)
OUTAGE_MARGIN = timedelta(minutes=30)
# A half hour in which nobody at all reported is a gap where the same half hour of other days had at least so many.
GAP_REPORTS = 12


@dataclass(frozen=True)
class WatchResult:
    """What one call did. ``minute`` is the last minute that has been watched, by its beginning.

    ``watched`` minutes were judged and ``skipped`` ones left unjudged; ``behind`` more are ready for the next call, and
    ``waiting`` ones are over but have reports in the inbox. ``late`` drained batches brought counts of minutes that had
    been watched before. ``busy``: another process was at it, and nothing was done.
    """

    minute: datetime | None = None
    watched: int = 0
    skipped: int = 0
    behind: int = 0
    waiting: int = 0
    decisions: int = 0
    late: int = 0
    busy: bool = False


def watch(*, now: datetime, grace: timedelta = GRACE, held_since: datetime | None = None) -> WatchResult:
    """Watches every minute that is over and drained at ``now``, at most ``MINUTES_PER_CALL`` of them.

    ``held_since`` is the instant of the oldest report that is still held outside the inbox.
    """
    _begin(now)
    total = WatchResult()
    while total.watched < MINUTES_PER_CALL:
        done = _watch_some(now=now, grace=grace, held_since=held_since)
        total = replace(
            done,
            watched=total.watched + done.watched,
            skipped=total.skipped + done.skipped,
            decisions=total.decisions + done.decisions,
            late=total.late + done.late,
        )
        if done.busy or not done.behind:
            break
    return total


@dataclass(frozen=True)
class _Held:
    """The engine of this process, and what it was built from."""

    mark: UUID
    catalogue: str
    cells: Cells
    engine: Engine


# Taken out while it is used: what a failure leaves behind in it is never used again.
_held: list[_Held] = []


def forget() -> None:
    """Drops the engine from this process's memory: the next cycle reads the stored state."""
    _held.clear()


def _begin(now: datetime) -> None:
    """Makes the state's row on the first call ever: the running minute is the first to be judged."""
    if not DetectorState.objects.exists():
        first = DetectorState(
            minute=instant_of(minute_of(now) - 1),
            mark=uuid4(),
            last_batch=DrainBatch.objects.aggregate(newest=Max("id"))["newest"] or 0,
            detector_version="",
            state=b"",
            saved_at=now,
        )
        DetectorState.objects.bulk_create([first], ignore_conflicts=True)


def _watch_some(*, now: datetime, grace: timedelta, held_since: datetime | None) -> WatchResult:
    """One transaction's worth of minutes."""
    with transaction.atomic():
        row = DetectorState.objects.select_for_update(skip_locked=True).defer("state").first()
        if row is None:
            return WatchResult(busy=True)
        span = _span(minute_of(row.minute), now=now, grace=grace, held_since=held_since)
        if not span.judge and not span.skip:
            return WatchResult(minute=row.minute, waiting=span.waiting)
        held = _current(row, now=now)
        decisions = _judge(held, span, now=now)
        batches, late = _drained_since(row)
        last = span.first + span.skip + span.judge - 1
        mark = uuid4()
        DetectorState.objects.filter(pk=row.pk).update(
            minute=instant_of(last),
            mark=mark,
            last_batch=batches,
            baseline_id=row.baseline_id,
            detector_version=DETECTOR_VERSION,
            saved_at=now,
        )
        # Django writes parameters into the text of a statement, which doubles some megabytes and has them parsed.
        with binary.cursor() as cursor:
            cursor.execute("UPDATE reports_detectorstate SET state = %b", [held.engine.save()])
    _held.append(replace(held, mark=mark))
    if span.skip:
        log.warning("%d minutes from %s on were left unjudged: %s", span.skip, instant_of(span.first), span.reason)
    if late:
        log.info("%d drained batches brought counts of minutes already watched", late)
    return WatchResult(
        minute=instant_of(last),
        watched=span.judge,
        skipped=span.skip,
        behind=span.behind,
        waiting=span.waiting,
        decisions=decisions,
        late=late,
    )


# --- which minutes --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Span:
    """Of the minutes from ``first`` on: leave ``skip`` unjudged for ``reason``, judge the next ``judge``."""

    first: int
    skip: int
    judge: int
    behind: int
    waiting: int
    reason: str


def _span(watched: int, *, now: datetime, grace: timedelta, held_since: datetime | None) -> _Span:
    first = watched + 1
    closed = max(minute_of(now - grace), first)
    waiting = InboxBlock.objects.filter(broken_at=None, drained_at=None).order_by("id")
    oldest = waiting.values_list("written_at", flat=True).first()
    if held_since is not None:
        oldest = held_since if oldest is None else min(oldest, held_since)
    # A block's instant is that of its earliest report: no minute before it has reports that still wait.
    drained = closed if oldest is None else max(min(minute_of(oldest), closed), first)
    skip, reason = 0, ""
    patient_from = minute_of(now - PATIENCE)
    if drained < patient_from:
        skip, reason = patient_from - first, f"the inbox holds reports since {oldest}"
        drained = patient_from
    too_old = minute_of(now - LONGEST_CATCH_UP)
    if first + skip < too_old:
        skip, reason = too_old - first, "they are too long past"
    judge = min(max(drained - first - skip, 0), MINUTES_PER_TRANSACTION)
    return _Span(
        first=first,
        skip=skip,
        judge=judge,
        behind=max(drained - first - skip - judge, 0),
        waiting=max(closed - max(drained, first + skip), 0),
        reason=reason,
    )


def _drained_since(row: DetectorState) -> tuple[int, int]:
    """The newest drained batch, and how many since the last cycle reached into minutes that had been watched."""
    batches = list(DrainBatch.objects.filter(id__gt=row.last_batch).order_by("id").values_list("id", "oldest_minute"))
    late = sum(oldest <= row.minute for _, oldest in batches)
    return (batches[-1][0] if batches else row.last_batch), late


# --- judging --------------------------------------------------------------------------------------------------


def _judge(held: _Held, span: _Span, *, now: datetime) -> int:
    """Steps the engine over the span and writes what it decides; the number of decisions."""
    first, end = span.first + span.skip, span.first + span.skip + span.judge
    if span.skip:
        held.engine.skip_to(first)
    if not span.judge:
        return 0
    rows = counts.minutes(first, end)
    words = _Words(held.cells, before=end)
    total = 0
    for minute_counts in _minutes(rows, held.cells, first, end):
        signals = words.due(minute_counts.minute)
        decisions = _stepped(held, minute_counts, signals)
        _write(held, decisions, now=now)
        _note_peaks(held, minute_counts.minute)
        total += len(decisions)
    words.heeded(now)
    return total


def _stepped(held: _Held, minute_counts: MinuteCounts, signals: Sequence[Signal] = ()) -> list[Decision]:
    """What the engine decides of one minute. An incident that it could not follow is told, and ends."""
    decisions = held.engine.step(minute_counts, signals)
    _tell(held, held.engine.faults)
    return decisions


def _write(held: _Held, decisions: Sequence[Decision], *, now: datetime) -> None:
    """Writes what was decided. An incident that cannot be written is told and let go of, and stops no other."""
    faults = decided.apply(decisions, cells=held.cells, now=now)
    _tell(held, faults)
    for fault in faults:
        _tell(held, decided.apply(held.engine.let_go(fault.service), cells=held.cells, now=now))


def _tell(held: _Held, faults: Iterable[Fault]) -> None:
    for fault in faults:
        slug = held.cells.topology.services[fault.service]
        log.error("detection failed at %s (%s); other services go on", slug, fault.during, exc_info=fault.error)


def _minutes(rows: CountRows, cells: Cells, first: int, end: int) -> Iterator[MinuteCounts]:
    """The counts of each minute in ``[first, end)``, quiet ones too, by index."""
    service, region = cells.service_indices(rows.service_id), cells.region_indices(rows.region_id)
    known = (service >= 0) & (region >= 0)
    minute, service, region = rows.minute[known], service[known], region[known]
    values = {name: getattr(rows, name)[known] for name in ("reports", "working", *NETWORK_KINDS)}
    edges = np.searchsorted(minute, np.arange(first, end + 1))
    for offset in range(end - first):
        of_minute = slice(edges[offset], edges[offset + 1])
        yield MinuteCounts(
            minute=first + offset,
            service=service[of_minute],
            region=region[of_minute],
            **{name: column[of_minute] for name, column in values.items()},
        )


def _note_peaks(held: _Held, minute: int) -> None:
    """Gives the incidents that are open after ``minute`` the reports of the ``PEAK_MINUTES`` up to it, if they are more
    than ever before."""
    if held.engine.incidents:
        service_ids = [held.cells.service_ids[service] for service in held.engine.incidents]
        start, end = instant_of(minute - PEAK_MINUTES + 1), instant_of(minute + 1)
        totals = counts.totals(service_ids, start=start, end=end)
        reports = zip(totals.service_id.tolist(), totals.reports.tolist(), strict=True)
        decided.raise_peaks(dict(reports), at=instant_of(minute))


class _Words:
    """The words of administrators and providers that no cycle has heeded yet."""

    def __init__(self, cells: Cells, *, before: int) -> None:
        waiting = Word.objects.filter(heeded_at__isnull=True, given_at__lt=instant_of(before))
        self._words = list(waiting.select_related("incident").order_by("given_at", "id"))
        self._signals = [(word, _signal(word, cells)) for word in self._words]

    def due(self, minute: int) -> list[Signal]:
        """The words given by the end of ``minute`` that were not yet due before."""
        due = [signal for _, signal in self._signals if signal is not None and signal.given <= minute]
        self._signals = [(word, signal) for word, signal in self._signals if signal and signal.given > minute]
        return due

    def heeded(self, now: datetime) -> None:
        """Notes that they have been."""
        if self._words:
            Word.objects.filter(pk__in=[word.pk for word in self._words]).update(heeded_at=now)


def _signal(word: Word, cells: Cells) -> Signal | None:
    """The word as the engine takes it; ``None`` where its incident is over and another one of the service is open."""
    service_id = word.incident.service_id
    if word.incident.resolved_at is not None:
        others = decided.open_incidents().filter(service_id=service_id)
        # A part that is over may be part of what goes on, and so may what was merged.
        if others.exists() and not others.filter(pk__in=kinship.relatives([word.incident_id])).exists():
            return None
    return Signal(
        kind=SignalKind(word.kind),
        service=cells.service_index[service_id],
        region=-1 if word.region_id is None else cells.region_index[word.region_id],
        at=minute_of(word.at),
        given=minute_of(word.given_at),
    )


# --- the engine -----------------------------------------------------------------------------------------------


def _current(row: DetectorState, *, now: datetime) -> _Held:
    """The engine that belongs to ``row``, over the catalogue and the fit in force; ``row`` gets that fit's id.

    Taken out of this process's memory where that is the newest, else rebuilt from the stored state; one whose
    detector was another version is begun anew.
    """
    held = _held.pop() if _held else None
    _held.clear()
    catalogue = f"{catalogue_digest()} {now:%Y-%m-%d}"
    newest = BaselineRow.objects.order_by("-fitted_at", "-id").values_list("id", flat=True).first()
    if held is not None and held.mark != row.mark:
        held = None
    if held is not None and held.catalogue == catalogue and newest == row.baseline_id:
        return held
    cells = held.cells if held is not None and held.catalogue == catalogue else read_cells(now.date())
    baseline = _baseline(newest, cells)
    if held is not None and held.cells is cells:
        held.engine.adopt(baseline)
    elif row.detector_version == DETECTOR_VERSION and row.state:
        held = _Held(row.mark, catalogue, cells, Engine.load(cells.topology, baseline, bytes(row.state)))
    else:
        held = _Held(row.mark, catalogue, cells, Engine(cells.topology, baseline))
        _warm_up(held, minute_of(row.minute), now=now)
    row.baseline_id = newest
    return held


def _baseline(pk: int | None, cells: Cells) -> Baseline:
    if pk is None:
        return Baseline.empty(cells.topology)
    fit = BaselineRow.objects.values_list("fit", flat=True).get(pk=pk)
    return Baseline.from_bytes(cells.topology, bytes(fit))


def _warm_up(held: _Held, watched: int, *, now: datetime) -> None:
    """Shows an engine without a memory the last two hours up to ``watched``, and squares what it sees with the tables.

    What began and ended within those hours is past and was judged then, or nobody watched. What is open goes on under
    the incident that the tables have; what is open there and not for the engine is closed without a restoration.
    """
    first = watched + 1 - WARM_UP_MINUTES
    rows = counts.minutes(first, watched + 1)
    decisions: list[Decision] = []
    for minute_counts in _minutes(rows, held.cells, first, watched + 1):
        decisions += _stepped(held, minute_counts)
    going_on = {incident.key for incident in held.engine.incidents.values()}
    for minute in sorted({decision.decided for decision in decisions}):
        of_minute = [d for d in decisions if d.decided == minute and d.incident in going_on]
        _write(held, of_minute, now=now)
    _write(held, _lost(held, watched), now=now)


def _lost(held: _Held, minute: int) -> list[Decision]:
    """What the tables have as open and the engine does not follow: regions become unknown, incidents end."""
    lost: list[Decision] = []
    for incident in decided.open_incidents():
        service = held.cells.service_index[incident.service_id]
        followed = held.engine.incidents.get(service)
        regions = {o.region for o in followed.regions.values() if o.state in OPEN} if followed else set()
        for row in RegionalOutage.objects.filter(incident=incident, restored_at=None, withdrawn_at=None):
            region = held.cells.region_index[row.region_id]
            if region not in regions:
                lost.append(_said(DecisionKind.UNKNOWN, incident, minute, service, region))
        if followed is None:
            lost.append(_said(DecisionKind.RESOLVED, incident, minute, service, -1))
    return lost


def _said(kind: DecisionKind, incident: Incident, minute: int, service: int, region: int) -> Decision:
    return Decision(kind=kind, decided=minute, service=service, region=region, incident=incident.key)


# --- the fit --------------------------------------------------------------------------------------------------


def refit(*, now: datetime) -> str | None:
    """Learns what is ordinary from the last ``HISTORY`` of counts; the version of the fit, ``None`` without any counts.

    Time within outages, with a margin, is left out, and so are gaps in which the site was off. The next cycle takes the
    fit up; fits that neither the detector nor any evidence names are dropped when they are older than the history.
    """
    until = instant_of(minute_of(now) // BIN_MINUTES * BIN_MINUTES)
    earliest = counts.earliest()
    if earliest is None or earliest >= until:
        return None
    first = minute_of(max(earliest, until - HISTORY)) // BIN_MINUTES * BIN_MINUTES
    cells = read_cells(now.date())
    baseline = fit(ordinary_history(cells, first=first, until=until, now=now), cells.topology)
    row = BaselineRow(
        version=baseline.version,
        fitted_at=now,
        history_from=instant_of(first),
        history_until=until,
        fit=baseline.to_bytes(),
    )
    BaselineRow.objects.bulk_create([row], ignore_conflicts=True)
    in_use = DetectorState.objects.filter(baseline=OuterRef("pk"))
    named = Evidence.objects.filter(baseline_version=OuterRef("version"))
    old = BaselineRow.objects.filter(fitted_at__lt=now - HISTORY).exclude(version=baseline.version)
    old.filter(~Exists(in_use), ~Exists(named)).delete()
    return baseline.version


def ordinary_history(cells: Cells, *, first: int, until: datetime, now: datetime) -> History:
    """What was counted by half hours from the minute ``first`` to ``until``, and which of it is no ordinary time as far
    as is known at ``now``: outages that nobody rejected, and gaps."""
    rows = counts.half_hours(instant_of(first), until)
    service, region = cells.service_indices(rows.service_id), cells.region_indices(rows.region_id)
    known = (service >= 0) & (region >= 0)
    bins = (minute_of(until) - first) // BIN_MINUTES
    excluded = np.concatenate([_outages(cells, first=first, now=now), _gaps(cells, rows, bins=bins, first=first)])
    return History(
        service=service[known],
        region=region[known],
        bin=rows.bin[known] + first // BIN_MINUTES,
        reports=rows.reports[known],
        first_bin=first // BIN_MINUTES,
        end_bin=first // BIN_MINUTES + bins,
        excluded_service=excluded[:, 0],
        excluded_region=excluded[:, 1],
        excluded_from=excluded[:, 2],
        excluded_until=excluded[:, 3],
    )


def _outages(cells: Cells, *, first: int, now: datetime) -> IntArray:
    """Service, region and the minutes from and until which it was down or may have been: one row for each outage."""
    # A merged one is told by another, which knows when it was over.
    rows = RegionalOutage.objects.filter(
        incident__rejected_at=None, incident__merged_at=None, withdrawn_at=None, onset_at__lt=now
    )
    ended = Q(declared_at__lt=instant_of(first)) | Q(incident__resolved_at__lt=instant_of(first))
    found = []
    for row in rows.exclude(ended).select_related("incident"):
        end = row.declared_at or row.incident.resolved_at or now
        found.append(
            (
                cells.service_index[row.incident.service_id],
                cells.region_index[row.region_id],
                minute_of(row.onset_at - OUTAGE_MARGIN),
                minute_of(end + OUTAGE_MARGIN),
            )
        )
    return np.array(found, dtype=np.int64).reshape(-1, 4)


def _gaps(cells: Cells, rows: HalfHours, *, bins: int, first: int) -> IntArray:
    """Half hours without a report about anything from a country, or from anywhere, where other days had plenty: nobody
    was listening. Rows as above, with service -1 for all."""
    tree = plant(cells.topology)
    region = cells.region_indices(rows.region_id)
    known = region >= 0
    places, place = np.unique(tree.country[region[known]], return_inverse=True)
    per_place = np.zeros((len(places) + 1, bins))
    np.add.at(per_place, (place, rows.bin[known]), rows.reports[known])
    per_place[-1] = per_place[:-1].sum(axis=0)
    found: list[tuple[int, int, int, int]] = []
    for index, phase in np.ndindex(len(per_place), min(DAY_BINS, bins)):
        days = per_place[index, phase::DAY_BINS]
        if days.all() or not days.any() or np.median(days[days > 0]) < GAP_REPORTS:
            continue
        where = int(places[index]) if index < len(places) else -1
        starts = (first + BIN_MINUTES * (phase + DAY_BINS * np.flatnonzero(days == 0))).tolist()
        found.extend((-1, where, start, start + BIN_MINUTES) for start in starts)
    return np.array(found, dtype=np.int64).reshape(-1, 4)
