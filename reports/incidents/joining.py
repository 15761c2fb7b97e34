"""Two incidents made one, and one made two: merge, split by region, and each taken back.

The engine knows nothing of it: it goes on deciding under the key it opened, and ``decided`` writes what it decides to
whoever has the region now. The timeline and the evidence of a merged incident stay with it; a part that is split off
takes a copy of what was told of its regions, so that its page stands by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from reports.incidents import kinship, rows, timeline
from reports.incidents.acting import (
    ConflictError,
    back_at,
    beside,
    end_of,
    fresh,
    is_open,
    locked,
    locked_together,
    no_other_open,
    not_merged,
    not_rejected,
    record,
    rows_of,
    save,
    sent_twice,
)
from reports.incidents.lifecycle import undone_entry
from reports.incidents.refs import next_ref
from reports.incidents.timeline import EntryKind
from reports.models import Act, Evidence, Incident, Region, RegionalOutage, TimelineEntry

MERGEABLE = timedelta(days=14)
"""Incidents of one service further apart than this are offered to nobody to be merged."""


def mergeable(incident: Incident) -> QuerySet[Incident]:
    """The incidents into which this one can be merged: of its service, of the same days, the latest first."""
    others = Incident.objects.filter(
        service_id=incident.service_id,
        merged_at=None,
        rejected_at=None,
        onset_at__gte=incident.onset_at - MERGEABLE,
        onset_at__lte=incident.onset_at + MERGEABLE,
    )
    return others.exclude(pk=incident.pk).order_by("-onset_at", "-id")


# --- merge ------------------------------------------------------------------------------------------------------------


def merge(
    incident_id: int, *, into: str, by: User, at: datetime, reason: str = "", revision: int | None = None
) -> Incident:
    """The incident with the ref ``into``, of which the other one is a part now; open if either was.

    What the engine decides of the merged one afterwards is the other's. Raises ``ValueError`` for an unknown ref,
    :class:`ConflictError` for one of another service, for rejected or merged ones, and for a part of it.
    """
    target = Incident.objects.filter(ref=into.strip()).values_list("pk", flat=True).first()
    if target is None:
        raise ValueError(_("There is no incident %(ref)s.") % {"ref": into})
    if target == incident_id:
        raise ConflictError(_("An incident cannot be merged into itself."))
    with transaction.atomic():
        kinship.hold_detector()
        both = locked_together([incident_id, target])
        incident, other = both[incident_id], both[target]
        asked = {"into": other.ref}
        if sent_twice(incident, Act.Kind.MERGED, by=by, revision=revision, asked=asked):
            return other
        fresh(incident, revision)
        if incident.merged_into_id == other.pk:
            return other
        _can_merge(incident, other)
        # While both are open, it is never both at once for the table.
        was = {"open": is_open(incident), "into": _kept(other)}
        others = {row.region_code: rows.keep(row) for row in other.regions.prefetch_related("relapses")}
        joined = _join_rows(incident, other)
        others = {code: row for code, row in others.items() if code not in {each["region"] for each in joined}}
        changed: dict[str, Any] = {
            "onset_at": min(incident.onset_at, other.onset_at),
            "detected_at": min(incident.detected_at, other.detected_at),
            "resolved_at": None,
        }
        if not (is_open(incident) or is_open(other)):
            changed["resolved_at"] = max(i.resolved_at for i in (incident, other) if i.resolved_at)
        if incident.peak_reports > other.peak_reports:
            changed |= {"peak_at": incident.peak_at, "peak_reports": incident.peak_reports}
        other_was_over = other.resolved_at is not None
        for name, value in changed.items():
            setattr(other, name, value)
        facts = {"asked": asked, "was": was, "after": _kept(other), "rows": joined, "others": others}
        record(incident, Act.Kind.MERGED, by=by, at=at, reason=reason.strip(), other=other, facts=facts)
        incident.merged_at, incident.merged_into = at, other
        save(incident, "merged_at", "merged_into")
        save(other, *_FIELDS)
        entries = [
            _of_two(EntryKind.MERGED, incident, other, reason=reason, by=by, at=at),
            _of_two(
                EntryKind.JOINED, other, incident, reason=reason, by=by, at=at, regions=[r["region"] for r in joined]
            ),
        ]
        if other_was_over and other.resolved_at is None:
            entries.append(timeline.entry(other, kind=EntryKind.REOPENED, at=at, recorded_at=at))
        timeline.write(entries)
    return other


_FIELDS = ("onset_at", "detected_at", "resolved_at", "peak_at", "peak_reports")


def _can_merge(incident: Incident, other: Incident) -> None:
    if incident.service_id != other.service_id:
        raise ConflictError(
            _("%(ref)s is one of %(service)s: only incidents of one service can be merged.")
            % {"ref": other.ref, "service": other.service.name}
        )
    for one in (incident, other):
        not_merged(one)
        not_rejected(one)
    parts = {incident.pk}
    while parts:
        parts = set(Incident.objects.filter(split_from__in=parts).values_list("pk", flat=True))
        if other.pk in parts:
            raise ConflictError(
                _("%(part)s was split off from %(ref)s: merge the part into it, or take the split back.")
                % {"part": other.ref, "ref": incident.ref}
            )
    if is_open(incident) and not is_open(other) and other.split_from_id is None:
        third = kinship.open_of(other.service_id).filter(split_from=None).exclude(pk=incident.pk).first()
        if third:
            raise beside(third)


def _join_rows(incident: Incident, other: Incident) -> list[rows.Kept]:
    has = {row.region_id: row for row in other.regions.prefetch_related("relapses")}
    brought = incident.regions.filter(withdrawn_at=None).prefetch_related("relapses")
    return [rows.join(has.get(row.region_id), row, owner=other)[1] for row in brought]


def unmerge(act: Act, both: dict[int, Incident], *, reason: str, by: User, at: datetime) -> None:
    """Takes a merger back, of locked incidents: the regions go back as they stand now."""
    incident, other = both[act.incident_id], both[act.other_id or 0]
    brought = {row.region_code: row for row in incident.regions.prefetch_related("relapses")}
    was_open = other.resolved_at is None
    joined_rows = {row.region_code: row for row in other.regions.prefetch_related("relapses")}
    for facts in act.facts["rows"]:
        if facts["region"] in joined_rows:
            rows.part(joined_rows[facts["region"]], facts, brought.get(facts["region"]))
    if act.facts["was"]["open"] and act.facts["was"]["into"]["resolved_at"]:
        # The engine went on with the one that was open: where more went down since, that was part of it.
        joined, others = {facts["region"] for facts in act.facts["rows"]}, act.facts["others"]
        for row in other.regions.exclude(region_code__in=joined).prefetch_related("relapses"):
            rows.hand_over(row, others.get(row.region_code), to=incident)
    for name in ("onset_at", "detected_at", "peak_at", "peak_reports"):
        if rows.plain(getattr(other, name)) == act.facts["after"][name]:
            setattr(other, name, rows.value_of(act.facts["was"]["into"], name))
    incident.merged_at = incident.merged_into = None
    # Of the two, the one that the engine follows is the one that was open.
    resolved_before = rows.value_of(act.facts["was"]["into"], "resolved_at")
    incident.resolved_at = _end(incident, going_on=was_open and act.facts["was"]["open"], before=incident.resolved_at)
    other.resolved_at = _end(other, going_on=was_open and resolved_before is None, before=resolved_before)
    for one in (incident, other):
        if one.resolved_at is None and one.split_from_id is None:
            _no_third_open(one, both)
    # First the one that is no longer open: the table allows one at a time.
    for one in sorted((incident, other), key=lambda each: each.resolved_at is None):
        save(one, *_FIELDS, "merged_at", "merged_into")
    entries = [undone_entry(one, act, reason=reason, by=by, at=at) for one in (incident, other)]
    if was_open and other.resolved_at is not None:
        entries.append(_resolved_again(other, at))
    timeline.write(entries)


def _no_third_open(one: Incident, both: dict[int, Incident]) -> None:
    third = kinship.open_of(one.service_id).filter(split_from=None).exclude(pk__in=both).first()
    others = [each for each in both.values() if each is not one and each.split_from_id is None]
    other = third or next((each for each in others if is_open(each)), None)
    if other:
        raise beside(other)


def _end(incident: Incident, *, going_on: bool, before: datetime | None) -> datetime | None:
    """When an incident that got its regions back was over; ``None`` where it goes on."""
    left = rows_of(incident)
    if going_on or any(row.state in ("down", "recovering") for row in left):
        return None
    if before is not None:
        return max(before, incident.onset_at)
    return end_of(incident, left) or incident.onset_at


# --- split ------------------------------------------------------------------------------------------------------------


def split(
    incident_id: int, *, regions: Sequence[str], by: User, at: datetime, reason: str = "", revision: int | None = None
) -> Incident:
    """The new incident of these regions and of all that lie in them, as they stand; over if every one of them is.

    What the engine decides of them afterwards is the part's; regions that go down later stay with the original. Raises
    ``ValueError`` without a region, :class:`ConflictError` where the incident has not got one, or would have none left.
    """
    wanted = sorted({code.strip() for code in regions if code.strip()})
    if not wanted:
        raise ValueError(_("Choose the regions that are to be an incident of their own."))
    with transaction.atomic():
        kinship.hold_detector()
        incident = locked(incident_id)
        asked = {"regions": wanted}
        before = sent_twice(incident, Act.Kind.SPLIT, by=by, revision=revision, asked=asked)
        if before is not None and before.other is not None:
            return before.other
        fresh(incident, revision)
        not_merged(incident)
        not_rejected(incident)
        moved, left = _parted(incident, wanted)
        was = _kept(incident)
        part = _part_of(incident, moved, at=at)
        RegionalOutage.objects.filter(pk__in=[row.pk for row in moved]).update(incident=part)
        standing = [row for row in left if row.withdrawn_at is None]
        # That it began and was noticed when it was, a split does not change.
        # While a region is down that it has no more, the engine would keep it open.
        incident.resolved_at = incident.resolved_at or back_at(incident, standing)
        facts = {
            "asked": asked,
            "rows": [row.pk for row in moved],
            "was": was,
            "after": _kept(incident),
            "regions": [row.region_code for row in moved],
            "part_resolved_at": rows.plain(part.resolved_at),
        }
        record(incident, Act.Kind.SPLIT, by=by, at=at, reason=reason.strip(), other=part, facts=facts)
        save(incident, *_FIELDS)
        _copy_telling(incident, part, moved)
        told = [row.region_code for row in moved if row.withdrawn_at is None]
        entries = [
            _of_two(EntryKind.SPLIT, incident, part, reason=reason, by=by, at=at, regions=told),
            _of_two(EntryKind.SPLIT_FROM, part, incident, reason=reason, by=by, at=at, regions=told),
        ]
        if was["resolved_at"] is None:
            entries += [_resolved_again(one, at) for one in (incident, part) if one.resolved_at is not None]
        timeline.write(entries)
    return part


def _parted(incident: Incident, wanted: list[str]) -> tuple[list[RegionalOutage], list[RegionalOutage]]:
    """The rows of the wanted regions with those that lie in them, and the others."""
    known = list(incident.regions.select_related("region__parent__parent__parent"))
    standing = {row.region_code for row in known if row.withdrawn_at is None}
    strange = [code for code in wanted if code not in standing]
    if strange:
        raise ConflictError(_("%(region)s is no part of %(ref)s.") % {"region": strange[0], "ref": incident.ref})
    moved = [row for row in known if set(wanted) & rows.lineage(row.region)]
    left = [row for row in known if row not in moved]
    if not any(row.withdrawn_at is None for row in left):
        raise ConflictError(_("Nothing would be left of %(ref)s.") % {"ref": incident.ref})
    return moved, left


def _part_of(incident: Incident, moved: Iterable[RegionalOutage], *, at: datetime) -> Incident:
    standing = [row for row in moved if row.withdrawn_at is None]
    highest = max(standing, key=lambda row: row.peak_reports)
    ref = next_ref(at.year)
    part = Incident(
        ref=ref,
        # No key of the engine's: it never decides under it.
        key=f"{incident.key[:90]}/{ref}",
        service_id=incident.service_id,
        split_from=incident,
        group=incident.group,
        scope=incident.scope,
        echo_of=incident.echo_of,
        onset_at=max(incident.onset_at, min(row.onset_at for row in standing)),
        detected_at=min(row.detected_at for row in standing),
        peak_at=highest.peak_at,
        peak_reports=highest.peak_reports,
        confirmed_at=incident.confirmed_at,
        confidence=incident.confidence,
        siblings=incident.siblings,
    )
    part.resolved_at = back_at(part, standing)
    if incident.resolved_at:
        part.resolved_at = end_of(part, standing) or max(part.onset_at, incident.resolved_at)
    part.save()
    return part


def _copy_telling(incident: Incident, part: Incident, moved: Iterable[RegionalOutage]) -> None:
    """Gives the part the figures and the lines of its regions so far."""
    regions = [row.region_id for row in moved]
    figures: dict[int, Evidence] = {}
    for evidence in Evidence.objects.filter(incident=incident, region__in=regions).order_by("id"):
        number = evidence.pk
        evidence.pk, evidence.incident = None, part
        figures[number] = evidence
    Evidence.objects.bulk_create(figures.values(), batch_size=500)
    lines = []
    told = TimelineEntry.objects.filter(incident=incident, region__in=regions)
    for line in told.exclude(kind=EntryKind.STATEMENT).order_by("id"):
        copied = figures.get(line.evidence_id or 0)
        line.pk, line.incident, line.evidence = None, part, copied
        lines.append(line)
    timeline.write(lines)


def unsplit(act: Act, both: dict[int, Incident], *, reason: str, by: User, at: datetime) -> None:
    """Takes a split back, of locked incidents: the part's regions are the original's again, as they stand now."""
    incident, part = both[act.incident_id], both[act.other_id or 0]
    was_over = incident.resolved_at is not None
    before = rows.value_of(act.facts["was"], "resolved_at")
    goes_on = is_open(incident) or is_open(part)
    part.regions.update(incident=incident)
    for name in ("onset_at", "detected_at"):
        # A split moves neither: what is another now was found since.
        if rows.plain(getattr(incident, name)) != act.facts["was"][name]:
            setattr(incident, name, min(getattr(incident, name), getattr(part, name)))
    as_then = rows.plain(incident.resolved_at) == act.facts["after"]["resolved_at"]
    as_then = as_then and rows.plain(part.resolved_at) == act.facts["part_resolved_at"]
    if as_then:
        incident.resolved_at = before
    elif goes_on:
        incident.resolved_at = None
    else:
        incident.resolved_at = max(one.resolved_at for one in (incident, part) if one.resolved_at)
    if was_over and incident.resolved_at is None:
        no_other_open(incident)
    part.merged_at, part.merged_into = at, incident
    save(part, "merged_at", "merged_into")
    save(incident, *_FIELDS)
    entries = [undone_entry(one, act, reason=reason, by=by, at=at) for one in (incident, part)]
    if was_over and incident.resolved_at is None:
        entries.append(timeline.entry(incident, kind=EntryKind.REOPENED, at=at, recorded_at=at))
    timeline.write(entries)


# --- what both need ---------------------------------------------------------------------------------------------------


def _kept(incident: Incident) -> dict[str, Any]:
    return {name: rows.plain(getattr(incident, name)) for name in _FIELDS}


def _of_two(
    kind: EntryKind,
    incident: Incident,
    other: Incident,
    *,
    reason: str,
    by: User,
    at: datetime,
    regions: Iterable[str] = (),
) -> TimelineEntry:
    names = dict(Region.objects.filter(code__in=list(regions)).values_list("code", "name"))
    facts = {
        "ref": other.ref,
        "reason": reason.strip(),
        "regions": [{"code": code, "name": name} for code, name in sorted(names.items())],
    }
    return timeline.entry(incident, kind=kind, at=at, recorded_at=at, facts=facts, actor=by)


def _resolved_again(incident: Incident, at: datetime) -> TimelineEntry:
    facts = timeline.resolution(incident, rows_of(incident))
    return timeline.entry(incident, kind=EntryKind.RESOLVED, at=at, recorded_at=at, facts=facts)
