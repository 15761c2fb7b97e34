"""Every act of an administrator on an incident: confirm, reject, take a rejection back, override a region.

Each act locks the incident's row (as the engine's decisions in ``decided.py`` do), writes its entry of the timeline in
the same transaction, and does nothing when it has been done already: a form sent twice is one act. ``revision`` is the
revision the administrator saw; when another administrator has acted since, the act is refused with :class:`Stale`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from reports.detection.decisions import Basis, SignalKind
from reports.incidents import timeline
from reports.incidents.timeline import EntryKind
from reports.models import Incident, Region, RegionalOutage, Relapse, Word

# How far before the onset that is known: planned work is announced some days ahead, and an onset is corrected by hours.
# What lies further back is a slip of the hand, and every chart and export of the incident would begin there.
LONGEST_BEFORE = timedelta(days=7)


class ConflictError(Exception):
    """The act is not possible as things stand. The message says why, for the administrator."""


class Stale(ConflictError):
    """Another administrator has acted on the incident since it was read."""

    def __init__(self) -> None:
        super().__init__(_("Somebody else has changed this incident in the meantime. Look at it again, then decide."))


class RegionWord(StrEnum):
    """What an administrator can say of a region."""

    DOWN = "down"
    RESTORED = "restored"


def confirm(incident_id: int, *, by: User, at: datetime, revision: int | None = None) -> Incident:
    """The incident, confirmed by ``by``. Raises :class:`ConflictError` for a rejected or merged one."""
    with transaction.atomic():
        incident = locked(incident_id)
        if incident.confirmed_at:
            return incident
        _fresh(incident, revision)
        _not_merged(incident)
        if incident.rejected_at:
            raise ConflictError(_("%(ref)s was rejected: take the rejection back first.") % {"ref": incident.ref})
        incident.confirmed_at = at
        _save(incident, "confirmed_at")
        timeline.write([timeline.entry(incident, kind=EntryKind.CONFIRMED, at=at, recorded_at=at, actor=by)])
        if incident.resolved_at is None:
            Word.objects.create(incident=incident, kind=SignalKind.ADMIN_CONFIRMED, at=at, given_at=at)
    return incident


def reject(incident_id: int, *, reason: str, by: User, at: datetime, revision: int | None = None) -> Incident:
    """The incident, rejected for ``reason``. An open one is closed, and the engine told not to open it again at once.

    A confirmed incident can be rejected: the timeline keeps both. Raises ``ValueError`` without a reason,
    :class:`ConflictError` for a merged one.
    """
    reason = _required(reason)
    with transaction.atomic():
        incident = locked(incident_id)
        if incident.rejected_at:
            return incident
        _fresh(incident, revision)
        _not_merged(incident)
        incident.confirmed_at, incident.rejected_at, incident.rejected_reason = None, at, reason
        _save(incident, "confirmed_at", "rejected_at", "rejected_reason")
        timeline.write(
            [
                timeline.entry(
                    incident,
                    kind=EntryKind.REJECTED,
                    at=at,
                    recorded_at=at,
                    facts={"reason": reason},
                    actor=by,
                )
            ]
        )
        # Of a resolved incident the engine knows nothing any more; its word would hit the service's next one.
        if incident.resolved_at is None:
            Word.objects.create(incident=incident, kind=SignalKind.ADMIN_REJECTED, at=at, given_at=at)
    return incident


def undo_rejection(
    incident_id: int, *, reason: str = "", by: User, at: datetime, revision: int | None = None
) -> Incident:
    """The incident as it was before it was rejected, open again if it was open then.

    Raises :class:`ConflictError` where a newer incident of the service is open by now.
    """
    with transaction.atomic():
        incident = locked(incident_id)
        rejected_at = incident.rejected_at
        if rejected_at is None:
            return incident
        _fresh(incident, revision)
        was_open = incident.resolved_at is None or incident.resolved_at >= rejected_at
        if was_open:
            _no_other_open(incident)
            incident.resolved_at = None
        incident.rejected_at, incident.rejected_reason = None, ""
        _save(incident, "rejected_at", "rejected_reason", "resolved_at")
        unheeded = Word.objects.filter(incident=incident, kind=SignalKind.ADMIN_REJECTED, heeded_at__isnull=True)
        told = not unheeded.delete()[0]
        withdrawn = list(incident.regions.filter(withdrawn_at__gte=rejected_at))
        incident.regions.filter(withdrawn_at__gte=rejected_at).update(withdrawn_at=None)
        if told and was_open:
            # The engine has let go of these regions: it must be told of each again.
            Word.objects.bulk_create(
                Word(
                    incident=incident,
                    region_id=row.region_id,
                    kind=SignalKind.ADMIN_DOWN,
                    at=row.onset_at,
                    given_at=at,
                )
                for row in withdrawn
                if row.restored_at is None
            )
        timeline.write(
            [
                timeline.entry(
                    incident,
                    kind=EntryKind.REJECTION_UNDONE,
                    at=at,
                    recorded_at=at,
                    facts={"reason": reason.strip()},
                    actor=by,
                )
            ]
        )
    return incident


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
    of the incident joins it when declared down; an incident whose last region is declared restored is resolved. Raises
    ``ValueError`` without a reason, for an unknown state or region and for an instant in the future or long before the
    incident, :class:`ConflictError` where the word does not fit the incident.
    """
    state, reason = RegionWord(state), _required(reason)
    if at > now:
        raise ValueError(_("The time lies in the future."))
    region = Region.objects.filter(code=region_code).first()
    if region is None:
        raise ValueError(_("There is no region %(code)s.") % {"code": region_code})
    with transaction.atomic():
        incident = locked(incident_id)
        if too_early := long_before(incident, at):
            raise ValueError(too_early)
        row = RegionalOutage.objects.filter(incident=incident, region=region).first()
        if row is not None and _says_so_already(row, state, at):
            return row
        _fresh(incident, revision)
        _not_merged(incident)
        if incident.rejected_at:
            raise ConflictError(_("%(ref)s was rejected.") % {"ref": incident.ref})
        was_open = incident.resolved_at is None
        if state is RegionWord.RESTORED:
            row = _declare_restored(incident, region, row, at=at, now=now)
        else:
            row = _declare_down(incident, region, row, at=at, now=now)
        incident.onset_at = min(incident.onset_at, row.onset_at)
        restored = _all_restored(incident)
        if was_open and restored:
            incident.resolved_at = max(restored)
        _save(incident, "resolved_at", "onset_at")
        entries = [
            timeline.entry(
                incident,
                kind=EntryKind.REGION_OVERRIDDEN,
                at=at,
                recorded_at=now,
                region_id=region.pk,
                facts={"state": state.value, "reason": reason},
                actor=by,
            )
        ]
        if was_open and incident.resolved_at:
            entries.append(
                timeline.entry(
                    incident,
                    kind=EntryKind.RESOLVED,
                    at=now,
                    recorded_at=now,
                    facts={
                        "resolved_at": incident.resolved_at.isoformat(),
                        "restored": len(restored),
                        "unknown": 0,
                    },
                )
            )
        if not was_open and incident.resolved_at is None:
            entries.append(timeline.entry(incident, kind=EntryKind.REOPENED, at=now, recorded_at=now))
        timeline.write(entries)
        if was_open or incident.resolved_at is None:
            kind = SignalKind.ADMIN_RESTORED if state is RegionWord.RESTORED else SignalKind.ADMIN_DOWN
            Word.objects.create(incident=incident, region=region, kind=kind, at=at, given_at=now)
    return row


# --- what the acts have in common -----------------------------------------------------------------------------


def locked(incident_id: int) -> Incident:
    """The incident with its row locked until the end of the transaction: whoever writes of it takes this lock first."""
    return Incident.objects.select_for_update(of=("self",)).select_related("service").get(pk=incident_id)


def long_before(incident: Incident, at: datetime) -> str:
    """Why ``at`` cannot belong to the incident: it lies long before its onset. Empty where it does not."""
    if at >= incident.onset_at - LONGEST_BEFORE:
        return ""
    return _("The time lies more than %(days)s days before %(ref)s began (%(onset)s).") % {
        "days": LONGEST_BEFORE.days,
        "ref": incident.ref,
        "onset": timeline.clock_time(incident.onset_at),
    }


def _fresh(incident: Incident, revision: int | None) -> None:
    if revision is not None and incident.revision != revision:
        raise Stale


def _save(incident: Incident, *fields: str) -> None:
    incident.revision += 1
    try:
        with transaction.atomic():
            incident.save(update_fields=[*fields, "revision"])
    except IntegrityError:
        # The engine opened another one between the look and the write: the tables allow one.
        _no_other_open(incident)
        raise


def _required(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise ValueError(_("A reason is required."))
    return reason


def _not_merged(incident: Incident) -> None:
    if incident.merged_at:
        raise ConflictError(_("%(ref)s was merged into another incident.") % {"ref": incident.ref})


def _no_other_open(incident: Incident) -> None:
    other = (
        Incident.objects.filter(
            service_id=incident.service_id,
            resolved_at__isnull=True,
            rejected_at__isnull=True,
            merged_at__isnull=True,
        )
        .exclude(pk=incident.pk)
        .first()
    )
    if other:
        raise ConflictError(
            _("%(service)s has another open incident by now: %(ref)s.")
            % {"service": incident.service.name, "ref": other.ref}
        )


def _says_so_already(row: RegionalOutage, state: RegionWord, at: datetime) -> bool:
    if state is RegionWord.RESTORED:
        return row.basis == Basis.ADMIN and row.restored_at == at
    return row.state == "down" and at >= row.onset_at


def _all_restored(incident: Incident) -> list[datetime]:
    """When each region came back; empty while any of them has not."""
    instants = incident.regions.filter(withdrawn_at__isnull=True).values_list("restored_at", flat=True)
    return [instant for instant in instants if instant] if all(instants) else []


def _declare_restored(
    incident: Incident, region: Region, row: RegionalOutage | None, *, at: datetime, now: datetime
) -> RegionalOutage:
    if row is None or row.withdrawn_at:
        raise ConflictError(_("%(region)s is no part of %(ref)s.") % {"region": region.name, "ref": incident.ref})
    if at < row.onset_at:
        raise ConflictError(
            _("%(region)s went down at %(onset)s only: it cannot have been back before.")
            % {"region": region.name, "onset": timeline.clock_time(row.onset_at)}
        )
    row.restored_at = row.restored_low = row.restored_high = at
    row.declared_at, row.basis, row.unknown_at = now, Basis.ADMIN.value, None
    row.save()
    return row


def _declare_down(
    incident: Incident, region: Region, row: RegionalOutage | None, *, at: datetime, now: datetime
) -> RegionalOutage:
    if incident.resolved_at:
        _no_other_open(incident)
        incident.resolved_at = None
    if row is None:
        return RegionalOutage.objects.create(
            incident=incident,
            region=region,
            region_code=region.code,
            region_name=region.name,
            onset_at=at,
            detected_at=now,
        )
    if row.restored_at:
        relapse(row, reopened_at=max(at, row.restored_at)).save()
    else:
        row.onset_at = min(row.onset_at, at)
    row.recovering_at = row.unknown_at = row.withdrawn_at = None
    row.save()
    return row


def relapse(row: RegionalOutage, *, reopened_at: datetime) -> Relapse:
    """The restored ``row`` made down again, in memory; the returned relapse keeps what had been declared."""
    assert row.restored_at is not None
    assert row.declared_at is not None
    kept = Relapse(
        outage=row,
        restored_at=row.restored_at,
        declared_at=row.declared_at,
        basis=row.basis,
        reopened_at=reopened_at,
    )
    row.restored_at = row.restored_low = row.restored_high = row.declared_at = None
    row.recovering_at = row.unknown_at = None
    row.basis = ""
    return kept
