"""Regional outages before and after an act: kept as facts, put back, joined, and made down or restored by a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from reports.detection.decisions import Basis
from reports.incidents import timeline
from reports.incidents.acting import ConflictError
from reports.models import Incident, Region, RegionalOutage, Relapse

# What says whether and since when a region is back, as opposed to when it went down and how bad it was.
STATE = (
    "recovering_at",
    "unknown_at",
    "restored_at",
    "restored_low",
    "restored_high",
    "declared_at",
    "basis",
    "withdrawn_at",
)
_COURSE = ("onset_at", "detected_at", "peak_at", "peak_reports")
_RELAPSE = ("restored_at", "declared_at", "basis", "reopened_at")

Kept = dict[str, Any]
"""A row as JSON holds it."""


# --- before and after -------------------------------------------------------------------------------------------------


def kept(row: RegionalOutage) -> Kept:
    """The row as facts of an act."""
    return {name: plain(getattr(row, name)) for name in (*_COURSE, *STATE)}


def put_back(row: RegionalOutage, before: Kept, names: Iterable[str] = (*_COURSE, *STATE)) -> None:
    """Gives the row these fields as they were, in memory."""
    for name in names:
        setattr(row, name, value_of(before, name))


def value_of(before: Kept, name: str) -> Any:
    """One field of what :func:`kept` made."""
    value = before[name]
    return parse_datetime(value) if name.endswith(("_at", "_low", "_high")) and value else value


def plain(value: Any) -> Any:
    """A value as JSON holds it."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


# --- a word on one region ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What a word (``down`` or ``restored``) did to a region: no ``before`` where the incident did not have it."""

    row: RegionalOutage
    state: str
    before: Kept | None
    relapse: int | None = None

    def facts(self) -> dict[str, Any]:
        """As facts of an act."""
        return {
            "region": self.row.region_code,
            "state": self.state,
            "before": self.before,
            "after": kept(self.row),
            "relapse": self.relapse,
        }


def declare_restored(
    incident: Incident, region: Region, row: RegionalOutage | None, *, at: datetime, now: datetime
) -> list[Change]:
    """The region is back since ``at``, on an administrator's word, and with it what is still down of the regions in
    it: those that the incident has. The region itself comes first."""
    if row is None or row.withdrawn_at:
        raise ConflictError(_("%(region)s is no part of %(ref)s.") % {"region": region.name, "ref": incident.ref})
    if at < row.onset_at:
        raise ConflictError(
            _("%(region)s went down at %(onset)s only: it cannot have been back before.")
            % {"region": region.name, "onset": timeline.clock_time(row.onset_at)}
        )
    known = incident.regions.filter(restored_at=None, withdrawn_at=None).exclude(region=region).order_by("region_code")
    inside = [
        one for one in known.select_related("region__parent__parent__parent") if region.code in lineage(one.region)
    ]
    return [_restored(one, at=max(at, one.onset_at), now=now) for one in (row, *inside)]


def _restored(row: RegionalOutage, *, at: datetime, now: datetime) -> Change:
    before = kept(row)
    row.restored_at = row.restored_low = row.restored_high = at
    row.declared_at, row.basis, row.unknown_at = now, Basis.ADMIN.value, None
    row.save()
    return Change(row, "restored", before)


def lineage(region: Region | None) -> set[str]:
    """The codes of a region and of all that it lies in."""
    codes: set[str] = set()
    while region is not None:
        codes.add(region.code)
        region = region.parent
    return codes


def declare_down(
    incident: Incident, region: Region, row: RegionalOutage | None, *, at: datetime, now: datetime
) -> Change:
    """The region is down since ``at``, or again, on an administrator's word."""
    if row is None:
        made = RegionalOutage.objects.create(
            incident=incident,
            region=region,
            region_code=region.code,
            region_name=region.name,
            onset_at=at,
            detected_at=now,
        )
        return Change(made, "down", None)
    before, relapsed = kept(row), None
    if row.restored_at:
        relapsed = relapse(row, reopened_at=max(at, row.restored_at))
        relapsed.save()
    else:
        row.onset_at = min(row.onset_at, at)
    row.recovering_at = row.unknown_at = row.withdrawn_at = None
    row.save()
    return Change(row, "down", before, relapsed.pk if relapsed else None)


def relapse(row: RegionalOutage, *, reopened_at: datetime) -> Relapse:
    """The restored ``row`` made down again, in memory; the returned relapse keeps what had been declared."""
    assert row.restored_at is not None
    assert row.declared_at is not None
    found = Relapse(
        outage=row,
        restored_at=row.restored_at,
        declared_at=row.declared_at,
        basis=row.basis,
        reopened_at=reopened_at,
    )
    row.restored_at = row.restored_low = row.restored_high = row.declared_at = None
    row.recovering_at = row.unknown_at = None
    row.basis = ""
    return found


def take_back(incident: Incident, change: Mapping[str, Any], *, now: datetime) -> RegionalOutage | None:
    """The region as if the word had not been given; ``None`` where the incident then does not have it.

    What the engine decided since stays: a relapse, a peak, a better onset.
    """
    row = incident.regions.filter(region_code=change["region"]).first()
    if row is None:
        return None
    before, after = change["before"], change["after"]
    untouched = kept(row) == after
    if before is None:
        if untouched:
            row.delete()
            return None
        if row.withdrawn_at is None:
            row.withdrawn_at = now
            row.save()
        return row
    if change["state"] == "restored":
        _take_back_restoration(row, before, after)
    else:
        _take_back_outage(row, before, after, change["relapse"])
    if row.onset_at == value_of(after, "onset_at"):
        row.onset_at = value_of(before, "onset_at")
    row.save()
    return row


def _take_back_restoration(row: RegionalOutage, before: Kept, after: Kept) -> None:
    did_not_hold = row.relapses.filter(
        restored_at=value_of(after, "restored_at"),
        declared_at=value_of(after, "declared_at"),
        basis=Basis.ADMIN.value,
    ).first()
    if did_not_hold is None:
        put_back(row, before, STATE)
    elif before["restored_at"]:
        # It moved a restoration that had been declared: that is the one which did not hold.
        for name in ("restored_at", "declared_at", "basis"):
            setattr(did_not_hold, name, value_of(before, name))
        did_not_hold.save()
    else:
        # The engine found the region down again: without the word it has been down throughout.
        did_not_hold.delete()


def _take_back_outage(row: RegionalOutage, before: Kept, after: Kept, relapse_id: int | None) -> None:
    relapses = list(row.relapses.order_by("reopened_at", "id"))
    own = next((found for found in relapses if found.pk == relapse_id), None)
    later = relapses[relapses.index(own) + 1 :] if own else []
    if own and later:
        # Back, down by this word, back, down again by what was counted: one relapse remains of the two.
        for name in ("restored_at", "declared_at", "basis"):
            setattr(later[0], name, getattr(own, name))
        later[0].save()
        own.delete()
        return
    if own:
        own.delete()
    if own or all(plain(getattr(row, name)) == after[name] for name in STATE):
        put_back(row, before, STATE)


# --- two rows of one region -------------------------------------------------------------------------------------------


def join(into: RegionalOutage | None, brought: RegionalOutage, *, owner: Incident) -> tuple[RegionalOutage, Kept]:
    """The outage of a region in ``owner`` and that in an incident which becomes part of it, as one; and the facts.

    The earlier onset stands. Where the earlier one had been restored before the later one began, that is a relapse;
    the present state is the later one's.
    """
    mine = list(into.relapses.all()) if into else []
    facts: Kept = {
        "region": brought.region_code,
        "before": kept(into) if into else None,
        "relapses": [_kept_relapse(one) for one in mine],
    }
    theirs = [_copied(one) for one in brought.relapses.all()]
    if into is None or into.withdrawn_at:
        row = into or RegionalOutage(
            incident=owner,
            region_id=brought.region_id,
            region_code=brought.region_code,
            region_name=brought.region_name,
        )
        put_back(row, kept(brought))
        facts["later"] = "brought"
        relapses = theirs
    else:
        row, relapses, facts["later"] = _joined(into, mine, brought, theirs)
    row.save()
    _write_relapses(row, mine, relapses)
    facts["after"] = kept(row)
    facts["relapses_after"] = [_kept_relapse(one) for one in relapses]
    return row, facts


def _joined(
    into: RegionalOutage, mine: list[Relapse], brought: RegionalOutage, theirs: list[Relapse]
) -> tuple[RegionalOutage, list[Relapse], str]:
    brought_is_later = (brought.onset_at, brought.restored_at is None) >= (into.onset_at, into.restored_at is None)
    first, last = (into, brought) if brought_is_later else (brought, into)
    first_as, last_as = kept(first), kept(last)
    relapses = [_copied(one) for one in mine] + theirs
    state = last_as
    if first.restored_at and first.restored_at <= last.onset_at:
        assert first.declared_at is not None
        relapses.append(
            Relapse(
                restored_at=first.restored_at,
                declared_at=first.declared_at,
                basis=first.basis,
                reopened_at=last.onset_at,
            )
        )
    elif first.restored_at and last.restored_at and first.restored_at > last.restored_at:
        # One lay within the other.
        state = first_as
    higher = first_as if first_as["peak_reports"] >= last_as["peak_reports"] else last_as
    put_back(into, state, STATE)
    put_back(into, higher, ("peak_at", "peak_reports"))
    for name in ("onset_at", "detected_at"):
        setattr(into, name, min(value_of(first_as, name), value_of(last_as, name)))
    return into, relapses, "brought" if brought_is_later else "own"


def part(row: RegionalOutage, facts: Kept, brought: RegionalOutage | None) -> None:
    """Makes the ``row`` that :func:`join` made of two the owner's again, and the other one that which was ``brought``.

    What was decided since belongs to whichever of them was the later one.
    """
    since = kept(row)
    changed = since != facts["after"]
    known = list(row.relapses.all())
    news = [one for one in map(_kept_relapse, known) if one not in facts["relapses_after"]]
    own_relapses = list(facts["relapses"])
    if brought is not None and (changed or news) and facts["later"] == "brought":
        _pass_on(brought, facts["after"], since)
        own = list(brought.relapses.all())
        _write_relapses(brought, own, [*own, *map(_relapse_of, news)])
        brought.save()
    if facts["before"] is None:
        row.delete()
        return
    put_back(row, facts["before"])
    if facts["later"] == "own":
        own_relapses += news
        put_back(row, since, [name for name in since if since[name] != facts["after"][name]])
    row.save()
    _write_relapses(row, known, map(_relapse_of, own_relapses))


def keep(row: RegionalOutage) -> Kept:
    """The row with its relapses, as :func:`hand_over` asks for it."""
    return {"row": kept(row), "relapses": [_kept_relapse(one) for one in row.relapses.all()]}


def hand_over(row: RegionalOutage, before: Kept | None, *, to: Incident) -> None:
    """Gives another incident what was decided of a region since ``before``: the whole row where there was none, else
    the outage that began with its first relapse since."""
    relapses = list(row.relapses.all())
    theirs = to.regions.filter(region=row.region_id).first() or RegionalOutage(
        incident=to, region_id=row.region_id, region_code=row.region_code, region_name=row.region_name
    )
    if before is None:
        put_back(theirs, kept(row))
        news = [_copied(one) for one in relapses]
    else:
        since = [one for one in relapses if _kept_relapse(one) not in before["relapses"]]
        if not since:
            return
        put_back(theirs, kept(row))
        theirs.onset_at = theirs.detected_at = since[0].reopened_at
        if row.peak_reports == before["row"]["peak_reports"]:
            theirs.peak_at, theirs.peak_reports = None, 0
        news = [_copied(one) for one in since[1:]]
    theirs.save()
    _write_relapses(theirs, list(theirs.relapses.all()), news)
    if before is None:
        row.delete()
        return
    put_back(row, before["row"])
    row.save()
    _write_relapses(row, relapses, map(_relapse_of, before["relapses"]))


def _pass_on(row: RegionalOutage, after: Kept, since: Kept) -> None:
    """Gives ``row`` what changed in the joint row: its state whole, of its course what is another one now."""
    put_back(row, since, STATE)
    for name in ("peak_at", "peak_reports"):
        if since["peak_reports"] != after["peak_reports"]:
            put_back(row, since, (name,))
    if since["onset_at"] != after["onset_at"]:
        row.onset_at = min(value_of(since, "onset_at"), row.detected_at)


def _copied(one: Relapse) -> Relapse:
    return Relapse(**{name: getattr(one, name) for name in _RELAPSE})


def _kept_relapse(one: Relapse) -> Kept:
    return {name: plain(getattr(one, name)) for name in _RELAPSE}


def _relapse_of(before: Kept) -> Relapse:
    return Relapse(**{name: value_of(before, name) for name in _RELAPSE})


def _write_relapses(row: RegionalOutage, known: Iterable[Relapse], relapses: Iterable[Relapse]) -> None:
    """Makes ``relapses`` the row's, which had the ``known`` ones; what stays of those keeps its place in the table."""
    wanted = {tuple(sorted(_kept_relapse(one).items())): one for one in relapses}
    for one in known:
        if wanted.pop(tuple(sorted(_kept_relapse(one).items())), None) is None:
            one.delete()
    for one in wanted.values():
        one.pk, one.outage = None, row
    if wanted:
        Relapse.objects.bulk_create(sorted(wanted.values(), key=lambda one: one.reopened_at))
