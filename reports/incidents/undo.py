"""Taking an act back: which can be, why another one cannot, and the doing of it.

An act is taken back by an act of its own, which stays in the log and tells of itself in the public timeline. What the
engine decided in the meantime is kept: regions go back as they stand now, not as they stood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from reports.incidents import joining, kinship, lifecycle, statements
from reports.incidents.acting import ConflictError, acts_of, fresh, locked_together, no_other_open, not_merged, record
from reports.models import Act, Incident

_Kind = Act.Kind
# What has to be taken back first, where it was done later to the same incident.
_ON_TOP: Mapping[str, frozenset[str]] = {
    _Kind.CONFIRMED: frozenset({_Kind.REJECTED}),
    _Kind.REJECTED: frozenset({_Kind.REJECTED}),
    _Kind.OVERRIDDEN: frozenset({_Kind.OVERRIDDEN, _Kind.REOPENED, _Kind.MERGED, _Kind.SPLIT, _Kind.REJECTED}),
    _Kind.REOPENED: frozenset({_Kind.OVERRIDDEN, _Kind.REOPENED, _Kind.MERGED, _Kind.SPLIT, _Kind.REJECTED}),
    _Kind.MERGED: frozenset({_Kind.OVERRIDDEN, _Kind.REOPENED, _Kind.MERGED, _Kind.SPLIT, _Kind.REJECTED}),
    _Kind.SPLIT: frozenset({_Kind.OVERRIDDEN, _Kind.REOPENED, _Kind.MERGED, _Kind.SPLIT, _Kind.REJECTED}),
}
_OF_REGIONS = frozenset({_Kind.OVERRIDDEN, _Kind.REOPENED})


@dataclass(frozen=True)
class Logged:
    """A line of the log. ``hindrance`` says why it cannot be taken back as things stand; empty where it can."""

    act: Act
    hindrance: str

    @property
    def undone(self) -> Act | None:
        """The act that took it back."""
        return getattr(self.act, "undone_by", None)


def log(incident: Incident) -> list[Logged]:
    """Every act that concerns the incident, the newest first."""
    acts = list(acts_of(incident).select_related("by", "incident__service", "other", "undoes", "undone_by__by"))
    beyond = {pk for act in acts for pk in (act.incident_id, act.other_id) if pk and pk != incident.pk}
    related = list(Act.objects.filter(incident__in=beyond) | Act.objects.filter(other__in=beyond)) if beyond else []
    every = {act.pk: act for act in (*related, *acts)}
    taken_back = {act.undoes_id for act in every.values() if act.undoes_id}
    in_order = [every[pk] for pk in sorted(every)]
    return [Logged(act, _hindrance(act, in_order, taken_back) or _newer(act)) for act in acts]


def _newer(act: Act) -> str:
    """Why a rejection cannot be taken back although nothing was done on top of it."""
    if act.kind != _Kind.REJECTED or not act.incident.rejected_at:
        return ""
    resolved_at = act.incident.resolved_at
    if resolved_at is not None and resolved_at < act.incident.rejected_at:
        return ""
    try:
        no_other_open(act.incident)
    except ConflictError as conflict:
        return str(conflict)
    return ""


def _hindrance(act: Act, every: Sequence[Act], taken_back: set[int]) -> str:
    """Why the act cannot be taken back, by the log alone."""
    if act.kind == _Kind.UNDONE:
        return _("It takes an act back: do that act again instead.")
    if act.pk in taken_back:
        return _("It has been taken back.")
    if act.kind != _Kind.STATEMENT and act.kind != _Kind.MERGED and act.incident.merged_at:
        return _("%(ref)s is part of another incident now.") % {"ref": act.incident.ref}
    of_it = {act.incident_id, act.other_id} - {None}
    for later in every:
        if later.pk <= act.pk or later.pk in taken_back or later.kind not in _ON_TOP.get(act.kind, ()):
            continue
        if not of_it & {later.incident_id, later.other_id}:
            continue
        if act.kind in _OF_REGIONS and later.kind in _OF_REGIONS and not _regions(act) & _regions(later):
            continue
        return _("Something was done on top of it: take back first what was done on %(time)s UTC (%(act)s).") % {
            "time": f"{later.at:%Y-%m-%d %H:%M}",
            "act": later.get_kind_display().lower(),
        }
    return ""


def _regions(act: Act) -> set[str]:
    return {change["region"] for change in act.facts.get("changes", ())}


def undo(
    act_id: int,
    *,
    by: User,
    at: datetime,
    reason: str = "",
    revision: int | None = None,
    seen_on: int | None = None,
) -> Act:
    """The act that takes the one with this id back; the same one where that has been done.

    ``revision`` is that of the incident on whose page it was asked for, ``seen_on`` (its id; that of the act by
    default). Raises :class:`ConflictError` where it cannot be taken back as things stand.
    """
    with transaction.atomic():
        # A cycle that runs may be heeding the very word that is to be taken back.
        kinship.hold_detector()
        act = Act.objects.select_related("incident", "other").get(pk=act_id)
        both = locked_together(pk for pk in (act.incident_id, act.other_id) if pk is not None)
        incident = both[act.incident_id]
        act.incident = incident
        done = Act.objects.filter(undoes=act).first()
        if done is not None:
            if done.by_id == by.pk or revision is None:
                return done
            raise ConflictError(_("Somebody else has taken it back in the meantime."))
        fresh(both.get(seen_on or act.incident_id, incident), revision)
        hindrance = next((logged.hindrance for logged in log(incident) if logged.act.pk == act.pk), "")
        if hindrance:
            raise ConflictError(hindrance)
        try:
            with transaction.atomic():
                undone = record(
                    incident, _Kind.UNDONE, by=by, at=at, reason=reason.strip(), other=act.other, undoes=act
                )
        except IntegrityError as error:
            raise ConflictError(_("It has been taken back.")) from error
        _UNDO[act.kind](act, both, reason, by, at)
    return undone


_Undo = Callable[[Act, dict[int, Incident], str, User, datetime], None]


def _unconfirm(act: Act, both: dict[int, Incident], reason: str, by: User, at: datetime) -> None:
    incident = both[act.incident_id]
    if not incident.confirmed_at:
        raise ConflictError(_("%(ref)s is not confirmed any more.") % {"ref": incident.ref})
    lifecycle.unconfirm(incident, act, reason=reason, by=by, at=at)


def _unreject(act: Act, both: dict[int, Incident], reason: str, by: User, at: datetime) -> None:
    incident = both[act.incident_id]
    not_merged(incident)
    if not incident.rejected_at:
        raise ConflictError(_("%(ref)s is not rejected any more.") % {"ref": incident.ref})
    lifecycle.unreject(incident, act, reason=reason, by=by, at=at)


def _take_words_back(act: Act, both: dict[int, Incident], reason: str, by: User, at: datetime) -> None:
    lifecycle.take_words_back(both[act.incident_id], act, reason=reason, by=by, at=at)


def _unmerge(act: Act, both: dict[int, Incident], reason: str, by: User, at: datetime) -> None:
    joining.unmerge(act, both, reason=reason, by=by, at=at)


def _unsplit(act: Act, both: dict[int, Incident], reason: str, by: User, at: datetime) -> None:
    joining.unsplit(act, both, reason=reason, by=by, at=at)


def _withdraw(act: Act, both: dict[int, Incident], reason: str, by: User, at: datetime) -> None:
    statements.withdraw(both[act.incident_id], act, reason=reason, by=by, at=at)


_UNDO: Mapping[str, _Undo] = {
    _Kind.CONFIRMED: _unconfirm,
    _Kind.REJECTED: _unreject,
    _Kind.OVERRIDDEN: _take_words_back,
    _Kind.REOPENED: _take_words_back,
    _Kind.MERGED: _unmerge,
    _Kind.SPLIT: _unsplit,
    _Kind.STATEMENT: _withdraw,
}
