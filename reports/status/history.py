"""Incidents, past and present: what they were, region by region and fact by fact."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from reports import clock, counts, formats
from reports.incidents import kinship, timeline
from reports.models import Evidence, Incident, Region, RegionalOutage, Statement, TimelineEntry
from reports.status import catalogue, figures, nesting, outages, shares, snapshots
from reports.status.answers import (
    Cover,
    EvidenceFigures,
    IncidentHistory,
    IncidentStatus,
    RegionalOutageStatus,
    RegionLink,
    RelapseFacts,
    SiblingFigures,
    StatementFacts,
    TimelineLine,
    Transition,
)
from reports.status.shares import span

# So that the slider's first picture is an ordinary one.
BEFORE_ONSET = timedelta(minutes=10)
# Counts are read in pieces of this length: a week of 2,700 regions by minute would not fit.
PIECE_MINUTES = 1440


# --- incidents whole --------------------------------------------------------------------------------------------------


def incident(ref: str) -> IncidentStatus | None:
    """The incident with this ref, or ``None``."""
    return snapshots.kept(("incident", ref), lambda: _incident(ref))


def _incident(ref: str) -> IncidentStatus | None:
    number = Incident.objects.filter(ref=ref).values_list("id", flat=True).first()
    return told((number,))[0] if number is not None else None


def told(ids: Sequence[int]) -> tuple[IncidentStatus, ...]:
    """The incidents with these ids, in this order, with a number of queries that does not depend on how many."""
    if not ids:
        return ()
    rows = (
        shares.with_kin(Incident.objects.filter(pk__in=ids))
        .select_related("service", "group", "echo_of", "merged_into", "split_from")
        .prefetch_related("regions", "group__incidents__service")
        .in_bulk()
    )
    chosen = [rows[number] for number in ids if number in rows]
    spoke, said = _first_evidence(ids), _said(ids)
    families = shares.families(chosen)
    sums = _sums(chosen, families)
    return tuple(
        _told(row, spoke.get(row.pk), said[row.pk], sums[row.pk], shares.elsewhere(row, families)) for row in chosen
    )


def _told(
    row: Incident,
    evidence: Evidence | None,
    said: Sequence[Statement],
    sums: tuple[int, int],
    elsewhere: Collection[str],
) -> IncidentStatus:
    regions = [outage for outage in row.regions.all() if not outage.withdrawn_at]
    state = outages.state_of(row, (outage.state for outage in regions))
    restored = [outage.restored_at for outage in regions if outage.restored_at]
    # A country is back when its parts are: told is, as in the article, of the smallest regions.
    smallest = {link.code for link in nesting.parts([_link(outage) for outage in regions])}
    backs = [outage.restored_at for outage in regions if outage.restored_at and outage.region_code in smallest]
    others = (
        [other for other in row.group.incidents.all() if other.pk != row.pk and not other.rejected_at]
        if row.group
        else []
    )
    current = [outage for outage in regions if state != "resolved" and not outage.restored_at]
    previous = [outage for outage in regions if state == "resolved" or outage.restored_at]
    return IncidentStatus(
        ref=row.ref,
        service=catalogue.catalogue().by_id[row.service_id].link,
        group=row.group.key if row.group else None,
        scope=row.scope,
        state=state,
        review=row.review,
        rejected_reason=row.rejected_reason,
        confidence=row.confidence,
        onset_at=row.onset_at,
        detected_at=row.detected_at,
        # Denying an outage is no acknowledgement of it.
        acknowledged_at=next((s.said_at for s in said if s.meaning != Statement.Meaning.DENIED), None),
        peak_at=row.peak_at,
        peak_reports=row.peak_reports,
        first_restored_at=min(restored, default=None),
        resolved_at=row.resolved_at,
        duration=row.resolved_at - row.onset_at if row.resolved_at else None,
        reports=sums[0],
        working=sums[1],
        currently_affected=tuple(_link(outage) for outage in current),
        previously_affected=tuple(_link(outage) for outage in previous),
        siblings=_siblings(row, others),
        echo_of=row.echo_of.ref if row.echo_of else None,
        merged_into=row.merged_into.ref if row.merged_into else None,
        split_from=row.split_from.ref if row.split_from else None,
        evidence=_evidence(evidence),
        statements=tuple(_statement(statement) for statement in said),
        group_incidents=tuple(sorted(other.ref for other in others)),
        people_reached=shares.people((outage.region_code for outage in shares.counted_rows(row)), elsewhere),
        unheard=tuple(
            _link(outage)
            for outage in regions
            if (not outage.restored_at if state == "resolved" else outage.state == "unknown")
        ),
        back_at=max(backs, default=None) if row.resolved_at else None,
        told_elsewhere=_links(elsewhere),
    )


def _links(codes: Iterable[str]) -> tuple[RegionLink, ...]:
    indices = (catalogue.index_of(code) for code in sorted(codes))
    return tuple(catalogue.links()[index] for index in indices if index is not None)


def _link(outage: RegionalOutage) -> RegionLink:
    """The region under the name that it had then."""
    index = catalogue.index_of(outage.region_code)
    if index is None:
        return RegionLink(outage.region_code, outage.region_name, None, "subdivision", None)
    return replace(catalogue.links()[index], code=outage.region_code, english=outage.region_name)


def _region_link(region: Region | None) -> RegionLink | None:
    if region is None:
        return None
    index = catalogue.index_of(region.code)
    return None if index is None else catalogue.links()[index]


def _siblings(row: Incident, others: Iterable[Incident]) -> tuple[SiblingFigures, ...]:
    refs = {other.service.slug: other.ref for other in others}
    services = catalogue.catalogue().by_slug
    return tuple(
        SiblingFigures(
            service=services[sibling["service"]].link,
            state=sibling["state"],
            observed=sibling["observed"],
            expected=sibling["expected"],
            window_minutes=sibling["window_minutes"],
            incident=refs.get(sibling["service"]),
        )
        for sibling in row.siblings
        if sibling["service"] in services
    )


def _said(ids: Collection[int]) -> dict[int, list[Statement]]:
    """What the provider said of each of these incidents and of those that were merged into it, the earliest first.

    What somebody withdrew is left out: the timeline tells of it.
    """
    tellers = kinship.tellers(ids)
    found: dict[int, list[Statement]] = {number: [] for number in ids}
    for statement in Statement.objects.filter(incident__in=tellers, withdrawn_at=None).select_related(
        "region", "heard"
    ):
        for number in tellers[statement.incident_id]:
            found[number].append(statement)
    return {number: _once(said, number) for number, said in found.items()}


def _once(said: Iterable[Statement], number: int) -> list[Statement]:
    """In order, and what was stated of the incident and of another one that it tells only once: as its own."""
    found, known = [], set[tuple[object, ...]]()
    for one in sorted(said, key=lambda one: (one.said_at, one.incident_id != number, one.pk)):
        # As ``add_statement`` knows the same one again.
        names = {(one.region_id, one.meaning, one.text, one.url, one.said_at), (one.region_id, one.heard_id or one)}
        if not names & known:
            found.append(one)
        known |= names
    return found


def _statement(statement: Statement) -> StatementFacts:
    return StatementFacts(
        id=statement.pk,
        meaning=statement.meaning,
        text=statement.text,
        url=statement.url,
        said_at=statement.said_at,
        region=_region_link(statement.region),
        revised_text=statement.heard.revised_text if statement.heard else "",
        revised_at=statement.heard.revised_at if statement.heard else None,
    )


def _first_evidence(ids: Sequence[int]) -> dict[int, Evidence]:
    """What spoke first for each incident, the least probable first."""
    rows = (
        Evidence.objects.filter(incident__in=ids, decision="opened")
        .select_related("region")
        .order_by("incident_id", "decided_at", "log10_p", "id")
        .distinct("incident_id")
    )
    return {row.incident_id: row for row in rows}


def _evidence(row: Evidence | None) -> EvidenceFigures | None:
    if row is None:
        return None
    return EvidenceFigures(
        id=row.pk,
        decision=row.decision,
        decided_at=row.decided_at,
        region=row.region.code if row.region else None,
        observed=row.observed,
        expected=row.expected,
        log10_p=row.log10_p,
        threshold=row.threshold or None,
        window_minutes=row.window_minutes,
        window_end_at=row.window_end_at,
        level=row.level,
        rule=row.rule,
        networks=row.networks,
        largest_network=row.largest_network,
        working=row.working,
        baseline_version=row.baseline_version,
        detector_version=row.detector_version,
        figures=row.figures,
    )


# --- how many reports -------------------------------------------------------------------------------------------------


def _sums(rows: Sequence[Incident], families: Mapping[int, shares.Kin]) -> dict[int, tuple[int, int]]:
    """``(reports, working)`` by id of incident: while it lasted, in its regions with all below, nobody twice."""
    found_shares = shares.shares(rows, families)
    windows = [(row, share) for row in rows for share in found_shares[row.pk]]
    found = counts.windows(
        [row.service_id for row, _ in windows],
        starts=[clock.instant_of(share.start) for _, share in windows],
        ends=[clock.instant_of(share.end) for _, share in windows],
    )
    region = catalogue.catalogue().regions_of(found.region_id)
    sums = {row.pk: (0, 0) for row in rows}
    for position, (row, share) in enumerate(windows):
        here = (found.window == position) & (region >= 0)
        here[here] = share.inside[region[here]]
        reports, working = sums[row.pk]
        sums[row.pk] = reports + int(found.reports[here].sum()), working + int(found.working[here].sum())
    return sums


# --- one incident, region by region -----------------------------------------------------------------------------------


def incident_regions(ref: str) -> tuple[RegionalOutageStatus, ...]:
    """The incident in each region, the earliest onset first; none for an unknown ref.

    A region that was no part of it after all is left out; the timeline tells of it.
    """
    return snapshots.kept(("incident regions", ref), lambda: _incident_regions(ref))


def _incident_regions(ref: str) -> tuple[RegionalOutageStatus, ...]:
    row = shares.with_kin(Incident.objects.filter(ref=ref)).first()
    if row is None:
        return ()
    courses = [course for course in outages.courses([row.pk])[row.pk] if not course.outage.withdrawn_at]
    rows = [course.outage for course in courses]
    spoke = {
        evidence.region_id: evidence
        for evidence in Evidence.objects.filter(
            incident__in=kinship.told_in(row.pk), decision__in=("opened", "reopened"), region__isnull=False
        )
        .select_related("region")
        .order_by("decided_at", "id")
    }
    sums = _region_sums(row, rows)
    return tuple(
        RegionalOutageStatus(
            region=_link(outage),
            state=outage.state,
            onset_at=outage.onset_at,
            detected_at=outage.detected_at,
            peak_at=outage.peak_at,
            peak_reports=outage.peak_reports,
            recovering_at=outage.recovering_at,
            unknown_at=outage.unknown_at,
            restored_at=outage.restored_at,
            restored_low=outage.restored_low,
            restored_high=outage.restored_high,
            declared_at=outage.declared_at,
            basis=outage.basis,
            relapses=tuple(
                RelapseFacts(
                    restored_at=relapse.restored_at,
                    declared_at=relapse.declared_at,
                    basis=relapse.basis,
                    reopened_at=relapse.reopened_at,
                )
                for relapse in course.relapses
            ),
            reports=reports,
            working=working,
            networks=networks,
            evidence=_evidence(spoke.get(outage.region_id)),
        )
        for course, outage, (reports, working, networks) in zip(courses, rows, sums, strict=True)
    )


def _region_sums(row: Incident, rows: Sequence[RegionalOutage]) -> list[tuple[int, int, int]]:
    """``(reports, working, networks)`` of each region with all below, from its onset to the end of the incident.

    Not to its own restoration: most "works again" votes come after it. Without what another incident tells that was
    split off.
    """
    told = shares.shares_of(row, rows)
    without = [(share.start, share.end, share.taken) for share in told if share.taken.any()]
    _, end = span(row)
    indices = [catalogue.index_of(outage.region_code) for outage in rows]
    columns = np.array(sorted({i for i in indices if i is not None}), dtype=np.int64)
    onsets = np.array([clock.minute_of(outage.onset_at) for outage in rows], dtype=np.int64)
    column = np.array([-1 if i is None else np.searchsorted(columns, i) for i in indices], dtype=np.int64)
    sums = np.zeros((len(rows), 3), dtype=np.int64)
    for start in range(int(onsets.min(initial=end)), end, PIECE_MINUTES):
        until = min(start + PIECE_MINUTES, end)
        piece = figures.minutes(row.service_id, columns, start=start, end=until, without=without)
        for kind, counted in enumerate((piece.reports, piece.working, piece.networks)):
            upto = np.concatenate([np.zeros((1, len(columns)), dtype=np.int64), np.cumsum(counted, axis=0)])
            before = upto[np.clip(onsets - start, 0, len(counted)), column]
            sums[:, kind] += np.where(column >= 0, upto[-1, column] - before, 0)
    return [(int(reports), int(working), int(networks)) for reports, working, networks in sums]


def incident_timeline(ref: str) -> tuple[TimelineLine, ...]:
    """The dated facts of the incident in order; none for an unknown ref."""
    return snapshots.kept(("incident timeline", ref, formats.language()), lambda: _incident_timeline(ref))


def _incident_timeline(ref: str) -> tuple[TimelineLine, ...]:
    entries = TimelineEntry.objects.filter(incident__ref=ref).select_related("region", "evidence__region", "statement")
    return tuple(
        TimelineLine(
            at=entry.at,
            recorded_at=entry.recorded_at,
            kind=entry.kind,
            region=_region_link(entry.region),
            text=timeline.text(entry),
            source_type=_source(entry),
            source_url=entry.statement.url if entry.statement else "",
            evidence=_evidence(entry.evidence),
            id=entry.pk,
        )
        for entry in entries
    )


def _source(entry: TimelineEntry) -> str:
    if entry.statement_id is not None:
        return "statement"
    return "engine" if entry.actor_id is None else "administrator"


def incident_history(ref: str, *, now: datetime) -> IncidentHistory | None:
    """Every change of state of every region of the incident, relapses included; ``None`` for an unknown ref."""
    minute = clock.minute_of(now)
    return snapshots.kept(("incident history", ref), lambda: _incident_history(ref, now), minute=minute)


def _incident_history(ref: str, now: datetime) -> IncidentHistory | None:
    row = shares.with_kin(Incident.objects.filter(ref=ref)).first()
    if row is None:
        return None
    regions: list[RegionLink] = []
    transitions: list[Transition] = []
    indices: list[int] = []
    noticed = outages.told_changes(row.pk)
    for course in outages.courses([row.pk])[row.pk]:
        outage = course.outage
        index = catalogue.index_of(outage.region_code)
        if index is not None:
            # A withdrawn region too: it does not take the state of its country.
            indices.append(index)
        history = outages.changes(course, noticed.get(outage.region_id, ()))
        if history:
            regions.append(_link(outage))
            transitions += [Transition(region=outage.region_code, at=at, state=state) for at, state in history]
    transitions.sort(key=lambda change: (change.at, change.region))
    # What was merged while it went on is never resolved, and what became of it is told elsewhere.
    ended_at = shares.ended_at(row)
    statements = tuple(_statement(statement) for statement in _said([row.pk])[row.pk])
    elsewhere = _links(shares.elsewhere(row, shares.families([row])))
    return IncidentHistory(
        ref=row.ref,
        version=snapshots.digest(transitions, statements, ended_at, elsewhere),
        start=row.onset_at - BEFORE_ONSET,
        end=ended_at or max(clock.instant_of(clock.minute_of(now)), row.detected_at),
        regions=tuple(regions),
        transitions=tuple(transitions),
        statements=statements,
        covered=_covered(indices, {link.code for link in regions}),
        told_elsewhere=elsewhere,
    )


def _covered(rows: Sequence[int], told_of: set[str]) -> tuple[Cover, ...]:
    codes = catalogue.codes()
    nearest = outages.reach(np.array(rows, dtype=np.int64)).tolist()
    return tuple(
        Cover(region=codes[region], by=codes[row])
        for region, row in enumerate(nearest)
        if row >= 0 and row != region and codes[row] in told_of
    )
