"""What every act of an administrator has in common: locks, revisions, refusals, and the log.

An act holds its service's row and then the incident's, until its transaction ends; it is refused with :class:`Stale`
when somebody has acted since the administrator looked, and does nothing when it is the same form sent twice. It
leaves one :class:`~reports.models.Act`, with what is needed to take it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from reports.detection.decisions import SignalKind
from reports.incidents import kinship, timeline
from reports.models import Act, Incident, Region, RegionalOutage, Word

# How far before the onset that is known: planned work is announced some days ahead, and an onset is corrected by hours.
# What lies further back is a slip of the hand, and every chart and export of the incident would begin there.
LONGEST_BEFORE = timedelta(days=7)


class ConflictError(Exception):
    """The act is not possible as things stand. The message says why, for the administrator."""


class Stale(ConflictError):
    """Another administrator has acted on the incident since it was read."""

    def __init__(self) -> None:
        super().__init__(_("Somebody else has changed this incident in the meantime. Look at it again, then decide."))


# --- locks ------------------------------------------------------------------------------------------------------------


def locked(incident_id: int) -> Incident:
    """The incident with its row locked until the end of the transaction: whoever writes of it takes this lock first."""
    return locked_together([incident_id])[incident_id]


def locked_together(ids: Iterable[int]) -> dict[int, Incident]:
    """Incidents by id, locked in the order of their ids, after their services."""
    wanted = set(ids)
    kinship.hold_service(wanted)
    rows = Incident.objects.select_for_update(of=("self",), no_key=True).select_related("service")
    found = {incident.pk: incident for incident in rows.filter(pk__in=wanted).order_by("pk")}
    if wanted - set(found):
        raise Incident.DoesNotExist
    return found


def fresh(incident: Incident, revision: int | None) -> None:
    """Raises :class:`Stale` when somebody has acted since ``revision``."""
    if revision is not None and incident.revision != revision:
        raise Stale


def save(incident: Incident, *fields: str) -> None:
    """Writes the fields under a new revision."""
    incident.revision += 1
    try:
        with transaction.atomic():
            incident.save(update_fields=[*fields, "revision"])
    except IntegrityError:
        # The tables allow one open incident of a service.
        no_other_open(incident)
        raise


# --- refusals ---------------------------------------------------------------------------------------------------------


def required(reason: str) -> str:
    """The reason without blanks around it. Raises ``ValueError`` where nothing remains."""
    reason = reason.strip()
    if not reason:
        raise ValueError(_("A reason is required."))
    return reason


def not_merged(incident: Incident) -> None:
    """Raises :class:`ConflictError` for one that another tells."""
    if incident.merged_at:
        raise ConflictError(_("%(ref)s was merged into another incident.") % {"ref": incident.ref})


def not_rejected(incident: Incident) -> None:
    """Raises :class:`ConflictError` for a rejected one."""
    if incident.rejected_at:
        raise ConflictError(_("%(ref)s was rejected: take the rejection back first.") % {"ref": incident.ref})


def no_other_open(incident: Incident) -> None:
    """Raises :class:`ConflictError` where its service has another open incident that is no part of the same outage."""
    family = kinship.relatives([incident.pk])
    other = kinship.open_of(incident.service_id).exclude(pk__in=family).first()
    if other is None and incident.split_from_id is None:
        other = kinship.open_of(incident.service_id).filter(split_from=None).exclude(pk=incident.pk).first()
    if other:
        raise beside(other)


def beside(other: Incident) -> ConflictError:
    """The refusal because ``other`` is open."""
    return ConflictError(
        _("%(service)s has another open incident by now: %(ref)s.") % {"service": other.service.name, "ref": other.ref}
    )


def long_before(incident: Incident, at: datetime) -> str:
    """Why ``at`` cannot belong to the incident: it lies long before its onset. Empty where it does not."""
    if at >= incident.onset_at - LONGEST_BEFORE:
        return ""
    return _("The time lies more than %(days)s days before %(ref)s began (%(onset)s).") % {
        "days": LONGEST_BEFORE.days,
        "ref": incident.ref,
        "onset": timeline.clock_time(incident.onset_at),
    }


# --- what an incident is ----------------------------------------------------------------------------------------------


def is_open(incident: Incident) -> bool:
    """Neither resolved nor rejected nor merged."""
    return not (incident.resolved_at or incident.rejected_at or incident.merged_at)


def rows_of(incident: Incident) -> list[RegionalOutage]:
    """Its regions, without those that were no part of it after all."""
    return list(incident.regions.filter(withdrawn_at__isnull=True))


def end_of(incident: Incident, rows: Iterable[RegionalOutage]) -> datetime | None:
    """When the last region was over, restored or unknown; ``None`` while one is not."""
    return _when_all(incident, [row.restored_at or row.unknown_at for row in rows])


def back_at(incident: Incident, rows: Iterable[RegionalOutage]) -> datetime | None:
    """When the last region came back; ``None`` where one did not, or nobody knows."""
    return _when_all(incident, [row.restored_at for row in rows])


def _when_all(incident: Incident, instants: Sequence[datetime | None]) -> datetime | None:
    known = [instant for instant in instants if instant is not None]
    return max([incident.onset_at, *known]) if known and len(known) == len(instants) else None


def tell_engine(
    incident: Incident, kind: SignalKind, *, at: datetime, now: datetime, region: Region | int | None = None
) -> Word:
    """A word that the engine heeds with its next cycle."""
    region_id = region.pk if isinstance(region, Region) else region
    return Word.objects.create(incident=incident, region_id=region_id, kind=kind, at=at, given_at=now)


def take_word_back(pk: int | None) -> bool:
    """Whether the engine has not heard the word, which is then gone."""
    return pk is not None and bool(Word.objects.filter(pk=pk, heeded_at__isnull=True).delete()[0])


# --- the log ----------------------------------------------------------------------------------------------------------


def record(
    incident: Incident,
    kind: Act.Kind,
    *,
    by: User | None,
    at: datetime,
    reason: str = "",
    other: Incident | None = None,
    facts: Mapping[str, Any] | None = None,
    undoes: Act | None = None,
) -> Act:
    """The act, in the log. To be called before the incident is saved: it notes the revision that was found."""
    return Act.objects.create(
        incident=incident,
        other=other,
        kind=kind,
        at=at,
        by=by,
        reason=reason,
        revision=incident.revision,
        facts=dict(facts or {}),
        undoes=undoes,
    )


def sent_twice(
    incident: Incident,
    kind: Act.Kind,
    *,
    by: User | None,
    revision: int | None,
    asked: Mapping[str, Any] | None = None,
) -> Act | None:
    """The act that this very form was before: same person, same page, same content."""
    if revision is None:
        return None
    acts = Act.objects.filter(incident=incident, kind=kind, by=by, revision=revision)
    return next((act for act in acts if dict(asked or {}) == act.facts.get("asked", {})), None)


def acts_of(incident: Incident) -> QuerySet[Act]:
    """Every act that concerns the incident, the newest first."""
    return Act.objects.filter(Q(incident=incident) | Q(other=incident)).order_by("-id")
