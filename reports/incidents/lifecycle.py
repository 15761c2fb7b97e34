"""What an administrator says of one incident: confirm, reject, override a region, reopen. And each taken back.

Each act writes its entry of the timeline and its line of the log in the transaction in which it changes something, and
does nothing when it has been done already: a form sent twice is one act. ``revision`` is the revision the administrator
saw; when another administrator has acted since, the act is refused with :class:`Stale`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from reports.detection.decisions import SignalKind
from reports.incidents import kinship, rows, timeline
from reports.incidents.acting import (
    ConflictError,
    Stale,
    end_of,
    fresh,
    is_open,
    locked,
    long_before,
    no_other_open,
    not_merged,
    not_rejected,
    record,
    required,
    rows_of,
    save,
    sent_twice,
    take_word_back,
    tell_engine,
)
from reports.incidents.rows import Change
from reports.incidents.timeline import EntryKind
from reports.models import Act, Incident, Region, RegionalOutage, Statement, TimelineEntry, Word

__all__ = [
    "ConflictError",
    "RegionWord",
    "Stale",
    "confirm",
    "override_region",
    "reject",
    "reopen",
    "undo_rejection",
]


class RegionWord(StrEnum):
    """What an administrator can say of a region."""

    DOWN = "down"
    RESTORED = "restored"


_SIGNALS = {RegionWord.DOWN: SignalKind.ADMIN_DOWN, RegionWord.RESTORED: SignalKind.ADMIN_RESTORED}


# --- confirm ----------------------------------------------------------------------------------------------------------


def confirm(incident_id: int, *, by: User, at: datetime, revision: int | None = None) -> Incident:
    """The incident, confirmed by ``by``. Raises :class:`ConflictError` for a rejected or merged one."""
    with transaction.atomic():
        incident = locked(incident_id)
        if sent_twice(incident, Act.Kind.CONFIRMED, by=by, revision=revision):
            return incident
        fresh(incident, revision)
        if incident.confirmed_at:
            return incident
        not_merged(incident)
        not_rejected(incident)
        word = None
        if incident.resolved_at is None:
            word = tell_engine(incident, SignalKind.ADMIN_CONFIRMED, at=at, now=at)
        record(incident, Act.Kind.CONFIRMED, by=by, at=at, facts={"word": word.pk if word else None})
        incident.confirmed_at = at
        save(incident, "confirmed_at")
        timeline.write([timeline.entry(incident, kind=EntryKind.CONFIRMED, at=at, recorded_at=at, actor=by)])
    return incident


def unconfirm(incident: Incident, act: Act, *, reason: str, by: User, at: datetime) -> None:
    """Takes a confirmation back, of a locked incident."""
    incident.confirmed_at = None
    save(incident, "confirmed_at")
    if not take_word_back(act.facts.get("word")):
        stop_vouching(incident, at=at)
    timeline.write([undone_entry(incident, act, reason=reason, by=by, at=at)])


def stop_vouching(incident: Incident, *, at: datetime) -> None:
    """Tells the engine that nobody vouches for an open incident any more, if that is so."""
    if is_open(incident) and not _vouched(incident):
        tell_engine(incident, SignalKind.ADMIN_UNCONFIRMED, at=at, now=at)


def _vouched(incident: Incident) -> bool:
    """Whether an administrator confirmed it or the provider admits it."""
    admitted = Statement.objects.filter(
        incident__in=kinship.told_in(incident.pk), meaning=Statement.Meaning.ACKNOWLEDGED, withdrawn_at=None
    )
    return incident.confirmed_at is not None or admitted.exists()


# --- reject -----------------------------------------------------------------------------------------------------------


def reject(incident_id: int, *, reason: str, by: User, at: datetime, revision: int | None = None) -> Incident:
    """The incident, rejected for ``reason``. An open one is closed, and the engine told not to open it again at once.

    A confirmed incident can be rejected: the timeline keeps both. Raises ``ValueError`` without a reason,
    :class:`ConflictError` for a merged one.
    """
    reason = required(reason)
    with transaction.atomic():
        incident = locked(incident_id)
        if sent_twice(incident, Act.Kind.REJECTED, by=by, revision=revision):
            return incident
        fresh(incident, revision)
        if incident.rejected_at:
            return incident
        not_merged(incident)
        record(
            incident,
            Act.Kind.REJECTED,
            by=by,
            at=at,
            reason=reason,
            facts={"confirmed_at": incident.confirmed_at.isoformat() if incident.confirmed_at else None},
        )
        incident.confirmed_at, incident.rejected_at, incident.rejected_reason = None, at, reason
        save(incident, "confirmed_at", "rejected_at", "rejected_reason")
        facts = {"reason": reason}
        timeline.write(
            [timeline.entry(incident, kind=EntryKind.REJECTED, at=at, recorded_at=at, facts=facts, actor=by)]
        )
        # Of a resolved incident the engine knows nothing any more; its word would hit the service's next one.
        if incident.resolved_at is None:
            _let_engine_go(incident, at=at)
    return incident


def _let_engine_go(incident: Incident, *, at: datetime) -> None:
    """Has the engine drop the incident: whole and for hours, or its regions only while other parts of it go on."""
    family = kinship.relatives([incident.pk])
    going_on = kinship.open_of(incident.service_id).filter(pk__in=family).exclude(pk=incident.pk)
    if not going_on.exists():
        tell_engine(incident, SignalKind.ADMIN_REJECTED, at=at, now=at)
        return
    for row in rows_of(incident):
        if row.restored_at is None:
            tell_engine(incident, SignalKind.ADMIN_REJECTED, at=at, now=at, region=row.region_id)


def undo_rejection(
    incident_id: int, *, reason: str = "", by: User, at: datetime, revision: int | None = None
) -> Incident:
    """The incident as it was before it was rejected, open again if it was open then.

    Raises :class:`ConflictError` where a newer incident of the service is open by now.
    """
    with transaction.atomic():
        kinship.hold_detector()
        incident = locked(incident_id)
        act = Act.objects.filter(incident=incident, kind=Act.Kind.REJECTED).order_by("-id").first()
        if sent_twice(incident, Act.Kind.UNDONE, by=by, revision=revision):
            return incident
        fresh(incident, revision)
        if incident.rejected_at is None:
            return incident
        record(incident, Act.Kind.UNDONE, by=by, at=at, reason=reason.strip(), undoes=act)
        unreject(incident, act, reason=reason, by=by, at=at)
    return incident


def unreject(incident: Incident, act: Act | None, *, reason: str, by: User, at: datetime) -> None:
    """Takes a rejection back, of a locked incident. ``act`` is unknown of those from before there was a log."""
    rejected_at = incident.rejected_at
    assert rejected_at is not None
    was_open = incident.resolved_at is None or incident.resolved_at >= rejected_at
    if was_open:
        no_other_open(incident)
        incident.resolved_at = None
    incident.rejected_at, incident.rejected_reason = None, ""
    if act is not None and act.facts.get("confirmed_at"):
        incident.confirmed_at = datetime.fromisoformat(act.facts["confirmed_at"])
    save(incident, "rejected_at", "rejected_reason", "resolved_at", "confirmed_at")
    unheeded = Word.objects.filter(incident=incident, kind=SignalKind.ADMIN_REJECTED, heeded_at__isnull=True)
    told = not unheeded.delete()[0]
    withdrawn = list(incident.regions.filter(withdrawn_at__gte=rejected_at))
    incident.regions.filter(withdrawn_at__gte=rejected_at).update(withdrawn_at=None)
    left, was = rows_of(incident), _Was(incident)
    if told and was_open and left and not any(row.restored_at is None for row in left):
        # Each region was back when it was rejected. Nobody follows it any more, so that nobody would ever end it.
        incident.resolved_at = end_of(incident, left)
        incident.save(update_fields=["resolved_at"])
    if told and was_open:
        tell_engine(incident, SignalKind.ADMIN_REINSTATED, at=at, now=at)
        # The engine has let go of these regions: it must be told of each again.
        gone = {row.pk for row in withdrawn}
        again = [row for row in left if row.pk in gone and row.restored_at is None]
        # Those of which something is heard first: by them the engine weighs it anew.
        again.sort(key=lambda row: (row.state == "unknown", row.onset_at, row.pk))
        Word.objects.bulk_create(_again(incident, row, at=at) for row in again)
        if is_open(incident) and _vouched(incident):
            tell_engine(incident, SignalKind.ADMIN_CONFIRMED, at=at, now=at)
    timeline.write(
        [
            timeline.entry(
                incident,
                kind=EntryKind.REJECTION_UNDONE,
                at=at,
                recorded_at=at,
                facts={"reason": reason.strip()},
                actor=by,
            ),
            *was.entries(now=at),
        ]
    )


# --- a region's state -------------------------------------------------------------------------------------------------


def override_region(
    incident_id: int,
    region_code: str,
    *,
    state: RegionWord | str,
    at: datetime,
    reason: str,
    by: User,
    now: datetime,
    revision: int | None = None,
) -> RegionalOutage:
    """The region's row after an administrator declared it down or restored at ``at``, for ``reason``.

    It holds at once; the engine hears of it with its next cycle and does not contradict it. A region that was no part
    of the incident joins it when declared down; one declared restored is so with each region in it that was still
    down, and an incident whose last region is declared restored is resolved. Raises
    ``ValueError`` without a reason, for an unknown state or region and for an instant in the future or long before the
    incident, :class:`ConflictError` where the word does not fit the incident.
    """
    state, reason = RegionWord(state), required(reason)
    _not_to_come(at, now)
    region = _region(region_code)
    asked = {"region": region.code, "state": state.value, "at": at.isoformat()}
    with transaction.atomic():
        incident = locked(incident_id)
        if too_early := long_before(incident, at):
            raise ValueError(too_early)
        row = RegionalOutage.objects.filter(incident=incident, region=region).first()
        if row and sent_twice(incident, Act.Kind.OVERRIDDEN, by=by, revision=revision, asked=asked):
            return row
        fresh(incident, revision)
        if row is not None and _says_so_already(row, state, at):
            return row
        not_merged(incident)
        not_rejected(incident)
        if row is None:
            _nobody_elses(incident, region)
        was = _Was(incident)
        if state is RegionWord.DOWN:
            was.reopen()
            changes = [rows.declare_down(incident, region, row, at=at, now=now)]
        else:
            changes = rows.declare_restored(incident, region, row, at=at, now=now)
        was.settle(changes)
        told = [change.facts() | {"word": was.tell(change, at=at, now=now)} for change in changes]
        facts = {"asked": asked, "changes": told, "was": was.facts()}
        record(incident, Act.Kind.OVERRIDDEN, by=by, at=now, reason=reason, facts=facts)
        save(incident, "resolved_at", "onset_at")
        overridden = [_overridden(change, at=at, reason=reason, by=by, now=now) for change in changes]
        timeline.write([*overridden, *was.entries(now=now)])
    return changes[0].row


def reopen(
    incident_id: int,
    *,
    regions: Sequence[str] = (),
    at: datetime,
    reason: str,
    by: User,
    now: datetime,
    revision: int | None = None,
) -> Incident:
    """The resolved incident, open again since ``at`` for ``reason``: an incident is open while a region is down.

    ``regions`` are those that are down; by default :func:`likely_down`. Raises ``ValueError`` as
    :func:`override_region` does, :class:`ConflictError` where it is not over or a newer one of the service is open.
    """
    reason = required(reason)
    _not_to_come(at, now)
    chosen = [_region(code) for code in dict.fromkeys(regions)]
    asked = {"regions": [region.code for region in chosen], "at": at.isoformat()}
    with transaction.atomic():
        incident = locked(incident_id)
        if sent_twice(incident, Act.Kind.REOPENED, by=by, revision=revision, asked=asked):
            return incident
        fresh(incident, revision)
        not_merged(incident)
        not_rejected(incident)
        if incident.resolved_at is None:
            raise ConflictError(_("%(ref)s is not over.") % {"ref": incident.ref})
        if too_early := long_before(incident, at):
            raise ValueError(too_early)
        chosen = chosen or [row.region for row in likely_down(incident)]
        if not chosen:
            raise ConflictError(_("%(ref)s has no region that could be down again.") % {"ref": incident.ref})
        found = {row.region_id: row for row in incident.regions.filter(region__in=chosen)}
        for region in chosen:
            if region.pk not in found:
                _nobody_elses(incident, region)
        was = _Was(incident)
        was.reopen()
        changes = [rows.declare_down(incident, region, found.get(region.pk), at=at, now=now) for region in chosen]
        was.settle(changes)
        told = [change.facts() | {"word": was.tell(change, at=at, now=now)} for change in changes]
        facts = {"asked": asked, "changes": told, "was": was.facts()}
        record(incident, Act.Kind.REOPENED, by=by, at=now, reason=reason, facts=facts)
        save(incident, "resolved_at", "onset_at")
        reopened = timeline.entry(
            incident, kind=EntryKind.REOPENED, at=now, recorded_at=now, facts={"reason": reason}, actor=by
        )
        timeline.write([reopened, *(_overridden(change, at=at, reason=reason, by=by, now=now) for change in changes)])
    return incident


def likely_down(incident: Incident) -> list[RegionalOutage]:
    """The regions of which an incident that is over may say that they still are down: those of which nobody knew
    whether they came back; else those that came back last."""
    known = rows_of(incident)
    silent = [row for row in known if row.restored_at is None]
    if silent:
        return silent
    last = max((row.restored_at for row in known if row.restored_at), default=None)
    return [row for row in known if row.restored_at == last]


def take_words_back(incident: Incident, act: Act, *, reason: str, by: User, at: datetime) -> None:
    """Takes an override or a reopening back, of a locked incident."""
    was = _Was(incident)
    back: list[RegionalOutage] = []
    for change in act.facts["changes"]:
        row = rows.take_back(incident, change, now=at)
        if row is not None:
            back.append(row)
        if not take_word_back(change["word"]) and change["word"] is not None:
            _correct_engine(incident, change, row, at=at)
    before = act.facts["was"]
    if rows.plain(incident.onset_at) == before["onset_after"]:
        incident.onset_at = datetime.fromisoformat(before["onset_at"])
    left = rows_of(incident)
    if any(row.state in ("down", "recovering") for row in left):
        was.reopen()
    elif incident.resolved_at is None and before["resolved_at"] and end_of(incident, left):
        incident.resolved_at = max(datetime.fromisoformat(before["resolved_at"]), incident.onset_at)
    elif incident.resolved_at is None and not left:
        incident.resolved_at = max(at, incident.onset_at)
    save(incident, "resolved_at", "onset_at")
    timeline.write([undone_entry(incident, act, reason=reason, by=by, at=at), *was.entries(now=at)])


def _correct_engine(incident: Incident, change: rows.Kept, row: RegionalOutage | None, *, at: datetime) -> None:
    """Has the engine, which has heeded the word, go on as the region now stands."""
    region = Region.objects.get(code=change["region"])
    if change["state"] == RegionWord.RESTORED:
        if row is not None and row.restored_at is None and row.withdrawn_at is None:
            _again(incident, row, at=at).save()
    elif row is None or row.withdrawn_at:
        tell_engine(incident, SignalKind.ADMIN_REJECTED, at=at, now=at, region=region)
    elif row.restored_at:
        tell_engine(incident, SignalKind.ADMIN_RESTORED, at=row.restored_at, now=at, region=region)


def _again(incident: Incident, row: RegionalOutage, *, at: datetime) -> Word:
    """The word that has the engine, which let go of a region, follow it again as the row stands."""
    if row.state == "unknown":
        kind = SignalKind.ADMIN_UNHEARD
    elif incident.confidence >= 1.0:
        # Somebody's word had made it sure, and has not been taken back.
        kind = SignalKind.ADMIN_DOWN
    else:
        kind = SignalKind.ADMIN_REINSTATED
    return Word(incident=incident, region_id=row.region_id, kind=kind, at=row.onset_at, given_at=at)


class _Was:
    """How an incident stood before a word on its regions, and what follows from the word for the whole of it."""

    def __init__(self, incident: Incident) -> None:
        self.incident = incident
        self.resolved_at, self.onset_at = incident.resolved_at, incident.onset_at
        self.restored: list[datetime] = []

    def reopen(self) -> None:
        """Makes a resolved one open."""
        if self.incident.resolved_at:
            no_other_open(self.incident)
            self.incident.resolved_at = None

    def settle(self, changes: Iterable[Change]) -> None:
        """Has it begin with its first region, and end when the last one is back."""
        for change in changes:
            self.incident.onset_at = min(self.incident.onset_at, change.row.onset_at)
        restored = [row.restored_at for row in rows_of(self.incident)]
        if self.resolved_at is None and restored and all(restored):
            self.restored = [instant for instant in restored if instant]
            self.incident.resolved_at = max(self.restored)

    def tell(self, change: Change, *, at: datetime, now: datetime) -> int | None:
        """The word on a region, for the engine; none where nobody follows the incident any more."""
        if self.resolved_at is not None and self.incident.resolved_at is not None:
            return None
        kind = _SIGNALS[RegionWord(change.state)]
        return tell_engine(self.incident, kind, at=at, now=now, region=change.row.region_id).pk

    def facts(self) -> dict[str, str | None]:
        """For the log."""
        return {
            "resolved_at": rows.plain(self.resolved_at),
            "onset_at": rows.plain(self.onset_at),
            "onset_after": rows.plain(self.incident.onset_at),
        }

    def entries(self, *, now: datetime) -> list[TimelineEntry]:
        """What the timeline has to tell of the whole."""
        resolved_at = self.incident.resolved_at
        if self.resolved_at is None and resolved_at is not None:
            facts = timeline.resolution(self.incident, rows_of(self.incident))
            return [timeline.entry(self.incident, kind=EntryKind.RESOLVED, at=now, recorded_at=now, facts=facts)]
        if self.resolved_at is not None and resolved_at is None:
            return [timeline.entry(self.incident, kind=EntryKind.REOPENED, at=now, recorded_at=now)]
        return []


def _overridden(change: Change, *, at: datetime, reason: str, by: User, now: datetime) -> TimelineEntry:
    """The line of the timeline that tells of a word on a region."""
    return timeline.entry(
        change.row.incident,
        kind=EntryKind.REGION_OVERRIDDEN,
        at=change.row.restored_at or at,
        recorded_at=now,
        region_id=change.row.region_id,
        facts={"state": change.state, "reason": reason},
        actor=by,
    )


def _not_to_come(at: datetime, now: datetime) -> None:
    if at > now:
        raise ValueError(_("The time lies in the future."))


def _region(code: str) -> Region:
    region = Region.objects.filter(code=code).first()
    if region is None:
        raise ValueError(_("There is no region %(code)s.") % {"code": code})
    return region


def _nobody_elses(incident: Incident, region: Region) -> None:
    """Raises :class:`ConflictError` where another part of the same outage has the region: it would be told twice."""
    family = kinship.relatives([incident.pk]) - {incident.pk}
    other = Incident.objects.filter(
        pk__in=family, regions__region=region, regions__withdrawn_at=None, merged_at=None
    ).first()
    if other:
        raise ConflictError(
            _("%(region)s is told in %(ref)s: say it there.") % {"region": region.name, "ref": other.ref}
        )


def _says_so_already(row: RegionalOutage, state: RegionWord, at: datetime) -> bool:
    if state is RegionWord.RESTORED:
        return row.basis == "admin" and row.restored_at == at
    return row.state == "down" and at >= row.onset_at


# --- taken back -------------------------------------------------------------------------------------------------------


def undone_entry(incident: Incident, act: Act, *, reason: str, by: User, at: datetime) -> TimelineEntry:
    """The line of the timeline that tells of an act taken back."""
    facts: dict[str, Any] = {"act": act.kind, "reason": reason.strip()}
    if act.other is not None:
        facts["ref"] = act.other.ref if act.other_id != incident.pk else act.incident.ref
    if "changes" in act.facts:
        codes = [change["region"] for change in act.facts["changes"]]
        names = dict(Region.objects.filter(code__in=codes).values_list("code", "name"))
        facts["regions"] = [{"code": code, "name": names.get(code, code)} for code in codes]
    return timeline.entry(incident, kind=EntryKind.UNDONE, at=at, recorded_at=at, facts=facts, actor=by)
