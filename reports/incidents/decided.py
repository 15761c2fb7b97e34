"""The engine's decisions, written down: incidents, their regions, evidence and timeline.

``apply`` may be given the same decisions twice: an incident is found by the engine's own key, a region has one row in
it, and a decision that an administrator or a later decision has overtaken changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Min, Q, QuerySet

from reports.clock import instant_of
from reports.detection.calibration import shifted
from reports.detection.confidence import signs_of
from reports.detection.decisions import REINSTATED, Decision, DecisionKind, Fault, SiblingCheck
from reports.incidents import kinship
from reports.incidents.acting import is_open
from reports.incidents.cells import Cells
from reports.incidents.notes import Notes, finite
from reports.incidents.refs import next_ref
from reports.incidents.reviewed import site_shift
from reports.incidents.rows import relapse
from reports.incidents.timeline import EntryKind, resolution
from reports.incidents.whose import Whose
from reports.models import OPEN, Act, Incident, OutageGroup, RegionalOutage, Relapse, TimelineEntry

log = logging.getLogger(__name__)

# What an incident has until the engine says how sure it is.
UNSAID_CONFIDENCE = 0.5


def apply(decisions: Sequence[Decision], *, cells: Cells, now: datetime) -> list[Fault]:
    """Writes what the engine decided at the end of one minute, in the engine's order, in one transaction.

    ``cells`` is what the decisions' indices refer to. Decisions about a rejected incident change nothing but its end;
    those about a merged one are the other's, and those about a region that was split off are the part's.

    Where something cannot be written, nothing of that service is, and everything of the others: the faults say what.
    A database that is away, or that wants the transaction repeated, is no fault of a service and is raised.
    """
    if not decisions:
        return []
    every = _unwritten(decisions, cells=cells, now=now)
    if every is None:
        return []
    of_service: dict[int, list[Decision]] = {}
    for decision in decisions:
        of_service.setdefault(decision.service, []).append(decision)
    faults = []
    for service, own in of_service.items():
        error = every if len(of_service) == 1 else _unwritten(own, cells=cells, now=now)
        if error is not None:
            faults.append(Fault(service, "writing", error))
    return faults


def _unwritten(decisions: Sequence[Decision], *, cells: Cells, now: datetime) -> Exception | None:
    """Writes them; or nothing of them, and why."""
    try:
        _write(decisions, cells=cells, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        return error
    return None


def _write(decisions: Sequence[Decision], *, cells: Cells, now: datetime) -> None:
    with transaction.atomic():
        pen = _Pen(cells, now)
        pen.read(decisions)
        for decision in decisions:
            pen.write(decision)
        pen.flush()


def open_incidents() -> QuerySet[Incident]:
    """Those that are neither resolved nor rejected nor merged: at most one of each service, and parts split off."""
    return Incident.objects.filter(OPEN)


def raise_peaks(reports: Mapping[int, int], *, at: datetime) -> None:
    """Gives the open incident of each service (by id) this peak, where it is higher than the one it has.

    Not to a part that was split off: its peak is that of its regions (see :meth:`_Pen._peak`).
    """
    for incident in open_incidents().filter(service_id__in=reports, split_from=None):
        peak = reports[incident.service_id]
        if peak > incident.peak_reports:
            Incident.objects.filter(pk=incident.pk, peak_reports__lt=peak).update(peak_at=at, peak_reports=peak)


class _Pen:
    """One call of :func:`apply`: the rows it read under lock, and what is to be written of them."""

    def __init__(self, cells: Cells, now: datetime) -> None:
        self.cells = cells
        self.notes = Notes(cells, now)
        self.whose = Whose()
        self.rows: dict[tuple[int, int], RegionalOutage] = {}
        self.reopened: dict[int, datetime] = {}
        # When each incident began as the engine sees it, by id.
        self.began: dict[int, datetime] = {}
        # The same for the whole of what was split, by the id of the original.
        self.whole_began: dict[int, datetime] = {}
        # Incidents of which the engine speaks under a key that is not theirs: it saw no beginning of them.
        self.rekeyed: set[int] = set()
        # Onsets that administrators named, by the code of the region.
        self.named: dict[str, set[datetime]] = {}
        self.told: set[tuple[int, str, int | None, datetime]] = set()
        self.detections: dict[int, TimelineEntry] = {}
        self.joined: dict[int, list[tuple[Incident, datetime]]] = {}
        self.shift: float | None = None

    def read(self, decisions: Sequence[Decision]) -> None:
        """Locks the incidents concerned, in the order of their ids, and reads their regions."""
        keys = {key for d in decisions for key in (d.incident, d.echo_of, d.upstream)}
        services = {self.cells.service_ids[decision.service] for decision in decisions}
        concerned = Incident.objects.filter(Q(key__in=keys - {""}) | (OPEN & Q(service_id__in=services))).order_by()
        # Nobody merges or splits while a cycle runs (see ``kinship.hold_detector``).
        related = kinship.relatives(concerned.values_list("pk", flat=True))
        rows = Incident.objects.filter(pk__in=related).select_for_update(of=("self",), no_key=True)
        for incident in rows.select_related("group").order_by("id"):
            self.whose.know(incident)
        ids = list(self.whose.by_id)
        # Of an incident that ends every region is asked; else only those that something was decided of.
        ending = [d.service for d in decisions if d.kind is DecisionKind.RESOLVED]
        regions = {self.cells.region_ids[decision.region] for decision in decisions if decision.region >= 0}
        concerned_rows = Q(region_id__in=regions) | Q(
            incident__service_id__in=[self.cells.service_ids[service] for service in ending]
        )
        for row in RegionalOutage.objects.filter(concerned_rows, incident_id__in=ids):
            self.rows[row.incident_id, row.region_id] = row
        relapses = Relapse.objects.filter(outage__incident_id__in=ids, outage__region_id__in=regions)
        for row_id, reopened_at in relapses.order_by("reopened_at").values_list("outage_id", "reopened_at"):
            self.reopened[row_id] = reopened_at
        self._read_onsets(ids)
        since = instant_of(min(decision.decided for decision in decisions))
        told = TimelineEntry.objects.filter(incident_id__in=ids, at__gte=since)
        self.told = set(told.values_list("incident_id", "kind", "region_id", "at"))

    def _read_onsets(self, ids: Iterable[int]) -> None:
        acts = Act.objects.filter(
            incident__in=ids, kind__in=(Act.Kind.OVERRIDDEN, Act.Kind.REOPENED), undone_by__isnull=True
        )
        for changes in acts.values_list("facts__changes", flat=True):
            for change in changes:
                before, onset_at = change["before"], change["after"]["onset_at"]
                if change["state"] == "down" and (before is None or before["onset_at"] != onset_at):
                    self.named.setdefault(change["region"], set()).add(datetime.fromisoformat(onset_at))

    def _is_named(self, row: RegionalOutage) -> bool:
        """Whether the region's onset is an administrator's word, which no estimate moves."""
        return row.onset_at in self.named.get(row.region_code, ())

    def write(self, decision: Decision) -> None:
        """Notes one decision."""
        at = instant_of(decision.decided + 1)
        if decision.kind is DecisionKind.ECHO:
            self._echo(decision, at)
            return
        known = self.whose.told(decision.incident, self.cells.service_ids[decision.service])
        if known is None:
            if decision.kind not in (DecisionKind.OPENED, DecisionKind.REOPENED):
                log.warning("a decision about an incident nobody knows: %s %s", decision.kind, decision.incident)
                return
            known = self._open(decision, at)
        region_id = self.cells.region_ids[decision.region] if decision.region >= 0 else None
        holder = self.whose.holder(known, region_id, self.rows)
        concerned = [holder, *(part for part in self.whose.open_parts(known) if part is not holder)]
        for incident in concerned if decision.region < 0 else [holder]:
            if incident.rejected_at or incident.merged_at:
                self._let_go(incident, decision, at)
            else:
                self._BY_KIND[decision.kind](self, incident, decision, at)
        if decision.began is not None and holder.key == decision.incident:
            self.began[holder.pk] = instant_of(decision.began)
        elif decision.began is not None:
            self.rekeyed.add(holder.pk)
        if decision.began is not None:
            self.whole_began[self.whose.root(holder).pk] = instant_of(decision.began)
        # To the engine it is one outage, however many tell it.
        for incident in concerned:
            if not (incident.rejected_at or incident.merged_at):
                self._whole(incident, decision, at)

    def flush(self) -> None:
        """Writes everything noted."""
        self.notes.save_rows()
        self._end_parts()
        self._settle()
        self.notes.save_incidents()
        self._tell_groups()
        self.notes.save_rest()

    # --- incidents ---

    def _open(self, decision: Decision, at: datetime) -> Incident:
        service_id = self.cells.service_ids[decision.service]
        onset_at = min(_instant(decision.onset) or at, at)
        incident, opened = Incident.objects.get_or_create(
            key=decision.incident,
            defaults={
                "ref": next_ref(at.year),
                "service_id": service_id,
                "scope": decision.scope,
                "onset_at": onset_at,
                "detected_at": at,
                "confidence": UNSAID_CONFIDENCE if decision.confidence is None else self._sure(decision.confidence),
            },
        )
        self.whose.know(incident)
        if opened:
            facts = {"onset_at": onset_at.isoformat(), "regions": 0}
            self.detections[incident.pk] = self.notes.tell(incident, EntryKind.DETECTED, at, facts=facts)
            log.info("%s opened: %s", incident.ref, decision.incident)
        return incident

    def _whole(self, incident: Incident, decision: Decision, at: datetime) -> None:
        """What any decision may say of the incident as a whole."""
        if decision.confidence is not None:
            incident.confidence = self._sure(decision.confidence)
            self.notes.touch(incident)
        if decision.scope and decision.scope != incident.scope:
            incident.scope = decision.scope
            self.notes.touch(incident)
            self.notes.tell(incident, EntryKind.SCOPE, at, facts=self._scope(decision))
        if decision.group and (incident.group is None or incident.group.key != decision.group):
            self._group(incident, decision, at)
        if decision.siblings:
            self._siblings(incident, decision.siblings, at)

    def _scope(self, decision: Decision) -> dict[str, Any]:
        upstream = self.whose.merged(decision.upstream)
        if upstream is None:
            return {"scope": decision.scope}
        name = self.cells.service_names[self.cells.service_index[upstream.service_id]]
        return {"scope": decision.scope, "upstream": upstream.ref, "name": name}

    def _sure(self, confidence: float) -> float:
        """The engine's confidence, corrected by how often it was right on this site, as far as that is known."""
        if self.shift is None:
            self.shift = site_shift()
        return shifted(confidence, self.shift)

    def _group(self, incident: Incident, decision: Decision, at: datetime) -> None:
        provider_id = self.cells.provider_ids[decision.service]
        group, _ = OutageGroup.objects.get_or_create(
            key=decision.group,
            defaults={"provider_id": provider_id, "scope": decision.scope, "formed_at": at},
        )
        if group.provider_id is not None and group.provider_id != provider_id:
            # Services of several providers with one cause belong to no provider.
            group.provider = None
            group.save(update_fields=["provider"])
        if decision.scope and decision.scope != group.scope:
            group.scope = decision.scope
            group.save(update_fields=["scope"])
        incident.group = group
        self.notes.touch(incident)
        self.joined.setdefault(group.pk, []).append((incident, at))

    def _tell_groups(self) -> None:
        """Tells whoever joined a group of all the others in it, and those who were there of the newcomers."""
        for group_id, joined in self.joined.items():
            newcomers = {incident.pk for incident, _ in joined}
            at = max(instant for _, instant in joined)
            for member in Incident.objects.filter(group_id=group_id).order_by("ref"):
                others = (
                    Incident.objects.filter(group_id=group_id) if member.pk in newcomers else [i for i, _ in joined]
                )
                news = sorted(other.ref for other in others if other.pk != member.pk)
                if news:
                    self.notes.tell(member, EntryKind.GROUPED, at, facts={"incidents": news})

    def _siblings(self, incident: Incident, checks: Iterable[SiblingCheck], at: datetime) -> None:
        siblings = [
            {
                "service": self.cells.topology.services[check.service],
                "name": self.cells.service_names[check.service],
                "observed": check.observed,
                "expected": finite(check.expected),
                "window_minutes": check.window_minutes,
                "state": check.state,
            }
            for check in checks
        ]
        before = {sibling["service"]: sibling["state"] for sibling in incident.siblings}
        news = [sibling for sibling in siblings if before.get(sibling["service"]) != sibling["state"]]
        incident.siblings = siblings
        self.notes.touch(incident)
        if news:
            self.notes.tell(incident, EntryKind.SIBLINGS, at, facts={"siblings": news})

    def _let_go(self, incident: Incident, decision: Decision, at: datetime) -> None:
        if decision.kind is DecisionKind.WITHDRAWN:
            row = self._row(incident, decision)
            if row is not None and row.withdrawn_at is None and row.restored_at is None:
                row.withdrawn_at = at
                self.notes.touch_row(row)
        elif decision.kind is DecisionKind.RESOLVED and incident.resolved_at is None:
            incident.resolved_at = max(at, incident.onset_at)
            self.notes.touch(incident)

    def _resolved(self, incident: Incident, decision: Decision, at: datetime) -> None:
        if incident.resolved_at is not None:
            return
        rows = [row for row in self._rows(incident) if row.withdrawn_at is None]
        for row in rows:
            # A region that nobody follows any more must not stay down for ever.
            if row.restored_at is None and row.unknown_at is None:
                row.unknown_at = at
                self.notes.touch_row(row)
                self.notes.tell(incident, EntryKind.REGION_UNKNOWN, at, region_id=row.region_id)
        self._close(incident, rows, at, decision)

    def _close(
        self, incident: Incident, rows: Sequence[RegionalOutage], at: datetime, decision: Decision | None = None
    ) -> None:
        ends = [row.restored_at or row.unknown_at or at for row in rows]
        incident.resolved_at = max(incident.onset_at, *(ends or [at]))
        self.whose.closed(incident)
        # At once, not with the rest: the service's next incident may open in this same minute.
        incident.save(update_fields=["resolved_at"])
        self.notes.tell(incident, EntryKind.RESOLVED, at, facts=resolution(incident, rows), decision=decision)
        log.info("%s resolved", incident.ref)

    def _open_again(self, incident: Incident, at: datetime) -> bool:
        """Whether the incident is open, which a resolved one is again unless its service has a newer open one."""
        if incident.resolved_at is None:
            return True
        if at <= incident.resolved_at:
            return False
        if not self.whose.may_open(incident):
            return False
        incident.resolved_at = None
        self.whose.opened(incident)
        self.notes.touch(incident)
        self.notes.tell(incident, EntryKind.REOPENED, at)
        return True

    def _settle(self) -> None:
        """Has every incident begin when the engine says, or with the earliest of its regions where it says nothing."""
        rows = RegionalOutage.objects.filter(incident_id__in=self.notes.incidents, withdrawn_at=None).order_by()
        joined = {incident.merged_into_id for incident in self.whose.by_id.values()}
        named: dict[int, list[datetime]] = {}
        for row in rows.filter(region_code__in=self.named):
            if self._is_named(row):
                named.setdefault(row.incident_id, []).append(row.onset_at)
        for pk, onset_at in rows.values_list("incident_id").annotate(Min("onset_at")):
            incident = self.notes.incidents[pk]
            # The engine does not know that its incident is told as several, or that it was part of an earlier one.
            apart = incident.split_from_id is not None or self.whose.parts.get(pk)
            if apart:
                whole = self.whole_began.get(self.whose.root(incident).pk)
                began_at = incident.onset_at if whole is None else whole
                if whole is not None and incident.split_from_id is not None:
                    began_at = max(whole, onset_at)
            else:
                # After a rejection that was taken back, for one, the engine has another key for it.
                kept = pk in self.rekeyed and pk not in joined
                began_at = self.began.get(pk, incident.onset_at if kept else onset_at)
            if pk in joined:
                began_at = min(began_at, incident.onset_at)
            began_at = min([began_at, *named.get(pk, ())])
            incident.onset_at = min(began_at, incident.detected_at)

    def _end_parts(self) -> None:
        """Ends what was split, the original too, when each of its regions is back: the engine ends the whole only."""
        touched = {self.whose.by_id[owner] for owner, _ in self.notes.rows}
        split = [one for one in touched if is_open(one) and self.whose.is_split(one)]
        for incident in sorted(split, key=lambda one: one.pk):
            rows = list(RegionalOutage.objects.filter(incident=incident, withdrawn_at=None))
            if all(row.restored_at is not None for row in rows):
                at = max([row.declared_at for row in rows if row.declared_at], default=self.notes.now)
                self._close(incident, rows, at)

    # --- regions ---

    def _row(self, incident: Incident, decision: Decision) -> RegionalOutage | None:
        return self.rows.get((incident.pk, self.cells.region_ids[decision.region]))

    def _rows(self, incident: Incident) -> list[RegionalOutage]:
        return [row for (owner, _), row in self.rows.items() if owner == incident.pk]

    def _known_until(self, row: RegionalOutage) -> datetime:
        """The latest thing decided about the row that an older decision must not undo."""
        later = (row.declared_at, row.withdrawn_at, self.reopened.get(row.pk))
        return max([row.detected_at, *(instant for instant in later if instant)])

    def _down(self, incident: Incident, decision: Decision, at: datetime) -> None:
        row = self._row(incident, decision)
        if row is None:
            if self._open_again(incident, at):
                self._first_down(incident, decision, at)
            return
        if decision.evidence is not None and decision.evidence.rule == REINSTATED:
            # Whoever took the word back that had ended it has put the row as it was.
            return
        if row.state == "down" or at <= self._known_until(row) or not self._open_again(incident, at):
            return
        if row.restored_at is not None:
            facts = {"restored_at": row.restored_at.isoformat()}
            self.notes.relapses.append(relapse(row, reopened_at=at))
            self.reopened[row.pk] = at
            self.notes.tell_region(incident, EntryKind.REGION_RELAPSED, at, decision=decision, facts=facts)
        elif self._is_news(incident, EntryKind.REGION_DOWN_AGAIN, at, decision):
            row.recovering_at = row.unknown_at = row.withdrawn_at = None
            self.notes.tell_region(incident, EntryKind.REGION_DOWN_AGAIN, at, decision=decision)
        self._peak(row, decision)
        self.notes.touch_row(row)

    def _first_down(self, incident: Incident, decision: Decision, at: datetime) -> None:
        index = decision.region
        row = RegionalOutage(
            incident=incident,
            region_id=self.cells.region_ids[index],
            region_code=self.cells.topology.regions[index],
            region_name=self.cells.region_names[index],
            onset_at=min(_instant(decision.onset) or at, at),
            detected_at=at,
        )
        self.rows[incident.pk, row.region_id] = row
        self._peak(row, decision)
        self.notes.touch_row(row)
        self.notes.touch(incident)
        if incident.pk in self.detections:
            self.detections[incident.pk].facts["regions"] += 1
        facts = {"onset_at": row.onset_at.isoformat()}
        self.notes.tell_region(incident, EntryKind.REGION_DOWN, at, decision=decision, facts=facts)

    def _updated(self, incident: Incident, decision: Decision, at: datetime) -> None:
        if decision.region < 0:
            return
        row = self._row(incident, decision)
        if row is None or row.state in ("restored", "normal"):
            return
        onset = _instant(decision.onset)
        revised = onset is not None and onset != row.onset_at and onset <= row.detected_at and not self._is_named(row)
        higher = self._peak(row, decision)
        if onset is not None and revised:
            facts = {"onset_at": onset.isoformat(), "before_at": row.onset_at.isoformat()}
            row.onset_at = onset
            self.notes.touch(incident)
            self.notes.tell_region(incident, EntryKind.ONSET_REVISED, at, decision=decision, facts=facts)
        elif higher or _weighed(decision):
            self.notes.prove(incident, decision)
        if revised or higher:
            self.notes.touch_row(row)

    def _recovering(self, incident: Incident, decision: Decision, at: datetime) -> None:
        row = self._row(incident, decision)
        if row is None or row.state not in ("down", "unknown") or at <= self._known_until(row):
            return
        if not self._is_news(incident, EntryKind.REGION_RECOVERING, at, decision):
            return
        row.recovering_at = max(_instant(decision.recovering) or at, row.onset_at)
        row.unknown_at = None
        self.notes.touch_row(row)
        facts = {"working": decision.evidence.working if decision.evidence else 0}
        self.notes.tell_region(incident, EntryKind.REGION_RECOVERING, at, decision=decision, facts=facts)

    def _restored(self, incident: Incident, decision: Decision, at: datetime) -> None:
        row = self._row(incident, decision)
        # An administrator's word stands; so does a relapse that came after this was decided.
        if row is None or row.restored_at or row.withdrawn_at or at <= self._known_until(row):
            return
        assert decision.basis is not None
        # A restoration lies between the onset and its declaration, however the estimate was rounded.
        restored_at = min(max(_instant(decision.restored) or at, row.onset_at), at)
        low = min(max(_instant(decision.restored_low) or restored_at, row.onset_at), restored_at)
        high = max(_instant(decision.restored_high) or restored_at, restored_at)
        row.restored_at, row.restored_low, row.restored_high = restored_at, low, high
        row.declared_at, row.basis, row.unknown_at = at, decision.basis.value, None
        if decision.recovering is not None:
            row.recovering_at = max(instant_of(decision.recovering), row.onset_at)
        self.notes.touch_row(row)
        facts = {
            "restored_at": restored_at.isoformat(),
            "low": low.isoformat(),
            "high": high.isoformat(),
            "declared_at": at.isoformat(),
            "basis": row.basis,
            "working": decision.evidence.working if decision.evidence else 0,
        }
        self.notes.tell_region(incident, EntryKind.REGION_RESTORED, at, decision=decision, facts=facts)

    def _unknown(self, incident: Incident, decision: Decision, at: datetime) -> None:
        row = self._row(incident, decision)
        if row is None or row.state not in ("down", "recovering") or at <= self._known_until(row):
            return
        if not self._is_news(incident, EntryKind.REGION_UNKNOWN, at, decision):
            return
        row.unknown_at = at
        self.notes.touch_row(row)
        self.notes.tell_region(incident, EntryKind.REGION_UNKNOWN, at, decision=decision)

    def _withdrawn(self, incident: Incident, decision: Decision, at: datetime) -> None:
        row = self._row(incident, decision)
        if row is None or row.state in ("restored", "normal") or at <= self._known_until(row):
            return
        row.withdrawn_at = at
        self.notes.touch_row(row)
        self.notes.touch(incident)
        self.notes.tell_region(incident, EntryKind.REGION_WITHDRAWN, at, decision=decision)

    def _grouped(self, incident: Incident, decision: Decision, at: datetime) -> None:
        """Nothing further: every decision may name a group, and ``_whole`` has heeded it."""

    _BY_KIND: Mapping[DecisionKind, Callable[[_Pen, Incident, Decision, datetime], None]] = {
        DecisionKind.OPENED: _down,
        DecisionKind.REOPENED: _down,
        DecisionKind.UPDATED: _updated,
        DecisionKind.RECOVERING: _recovering,
        DecisionKind.RESTORED: _restored,
        DecisionKind.UNKNOWN: _unknown,
        DecisionKind.WITHDRAWN: _withdrawn,
        DecisionKind.RESOLVED: _resolved,
        DecisionKind.GROUPED: _grouped,
    }

    # --- echoes ---

    def _echo(self, decision: Decision, at: datetime) -> None:
        """Notes the rise on the incident that explains it, once; and on its own incident, where it had opened one."""
        cause = self.whose.merged(decision.echo_of)
        if cause is None:
            log.warning("an echo of an incident nobody knows: %s", decision.echo_of)
            return
        slug = self.cells.topology.services[decision.service]
        told = TimelineEntry.objects.filter(incident=cause, kind=EntryKind.ECHO, facts__service=slug)
        if any(e.kind == EntryKind.ECHO and e.facts["service"] == slug for e in self.notes.entries) or told.exists():
            return
        facts: dict[str, Any] = {"service": slug, "name": self.cells.service_names[decision.service]}
        if decision.evidence:
            facts |= {
                "observed": decision.evidence.observed,
                "expected": finite(decision.evidence.expected),
                "window_minutes": decision.evidence.window_minutes,
            }
        self.notes.tell(cause, EntryKind.ECHO, at, facts=facts, decision=decision)
        own = self.whose.merged(decision.incident)
        if own is not None and own.pk != cause.pk and own.echo_of_id is None:
            own.echo_of = cause
            self.notes.touch(own)
            cause_name = self.cells.service_names[self.cells.service_index[cause.service_id]]
            facts = {"ref": cause.ref, "service": decision.echo_of.partition("@")[0], "name": cause_name}
            self.notes.tell(own, EntryKind.ECHO_OF, at, facts=facts)

    # --- notes ---

    def _peak(self, row: RegionalOutage, decision: Decision) -> bool:
        if decision.peak is None or (decision.peak_reports or 0) <= row.peak_reports:
            return False
        row.peak_at, row.peak_reports = instant_of(decision.peak), decision.peak_reports or 0
        part = self.whose.by_id[row.incident_id]
        if part.split_from_id is not None and row.peak_reports > part.peak_reports:
            part.peak_at, part.peak_reports = row.peak_at, row.peak_reports
            self.notes.touch(part)
        return True

    def _is_news(self, incident: Incident, kind: EntryKind, at: datetime, decision: Decision) -> bool:
        region_id = self.cells.region_ids[decision.region]
        return (incident.pk, kind.value, region_id, at) not in self.told


def _weighed(decision: Decision) -> bool:
    return decision.evidence is not None and signs_of(decision.evidence.figures) is not None


def _instant(minute: int | None) -> datetime | None:
    return None if minute is None else instant_of(minute)
