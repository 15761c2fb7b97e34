"""The dated facts of an incident: what kinds there are, how they are written down, and what they say in words.

An entry stores facts, never sentences: the words are made when it is read, in the reader's language, and a better
wording reaches old incidents too. Entries are append-only. What the detector found is dated by the instant of its
decision (the onset or restoration it found is among the facts), a statement by when it was said, an administrator's
word on a region by the instant it speaks of; ``recorded_at`` is when the entry was written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports import formats, regions
from reports.models import Evidence, Incident, Region, RegionalOutage, Statement, TimelineEntry

# Regions that one line of the timeline names.
MOST_NAMED = 6


class EntryKind(models.TextChoices):
    """What an entry tells, and the facts it holds. Instants among the facts are ISO 8601 texts, UTC."""

    # The first region of an incident exceeded the ordinary: onset_at, regions (how many at once).
    DETECTED = "detected"
    # A region exceeded the ordinary: onset_at, and the figures of the evidence.
    REGION_DOWN = "region_down"
    # A better estimate of a region's onset: onset_at, before_at.
    ONSET_REVISED = "onset_revised"
    # A region down again after it had been declared restored: restored_at (the declaration that did not hold).
    REGION_RELAPSED = "region_relapsed"
    # A region that was recovering or unknown is down again: no facts.
    REGION_DOWN_AGAIN = "region_down_again"
    # A region seems to come back: working, reports.
    REGION_RECOVERING = "region_recovering"
    # A region is back: restored_at, low, high, declared_at, basis, working.
    REGION_RESTORED = "region_restored"
    # Too little is heard from a region to say: no facts.
    REGION_UNKNOWN = "region_unknown"
    # A region was no part of the outage after all: no facts.
    REGION_WITHDRAWN = "region_withdrawn"
    # How far it reaches: scope.
    SCOPE = "scope"
    # Siblings that were checked: siblings, a list of {service, name, observed, expected, window_minutes, state}.
    SIBLINGS = "siblings"
    # Belongs together with others: incidents (refs of those that are new to it).
    GROUPED = "grouped"
    # Another service's reports rose with this outage: service, name, observed, expected, window_minutes.
    ECHO = "echo"
    # This incident turned out to be an echo of another: ref, service, name.
    ECHO_OF = "echo_of"
    # Every region is back or unknown: resolved_at; restored, unknown (how many).
    RESOLVED = "resolved"
    # A relapse after that: no facts. By an administrator: reason.
    REOPENED = "reopened"
    # What the provider said: meaning, url; the statement is linked.
    STATEMENT = "statement"
    # An administrator's acts: confirmed; rejected (reason); rejection undone (reason, may be empty).
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    REJECTION_UNDONE = "rejection_undone"
    # An administrator's word on a region: state (down, restored), reason.
    REGION_OVERRIDDEN = "region_overridden"
    # Two incidents made one. Of the one that ended: ref, reason. Of the other: ref, reason, regions that it brought.
    MERGED = "merged"
    JOINED = "joined"
    # One made two: ref (of the other), reason, regions that went. Regions are {code, name}.
    SPLIT = "split"
    SPLIT_FROM = "split_from"
    # An act taken back: act (an ``Act.Kind``), reason; ref of the other incident, regions, or the statement that is
    # linked and restored (how many regions were declared restored on it and stay so).
    UNDONE = "undone"


def entry(
    incident: Incident,
    *,
    kind: EntryKind,
    at: datetime,
    recorded_at: datetime,
    region_id: int | None = None,
    facts: Mapping[str, Any] | None = None,
    evidence: Evidence | None = None,
    statement: Statement | None = None,
    actor: User | None = None,
) -> TimelineEntry:
    """An entry that is not yet saved; the caller writes it in the transaction of the act it tells of."""
    return TimelineEntry(
        incident=incident,
        kind=kind.value,
        at=at,
        recorded_at=recorded_at,
        region_id=region_id,
        facts=dict(facts or {}),
        evidence=evidence,
        statement=statement,
        actor=actor,
    )


def resolution(incident: Incident, rows: Sequence[RegionalOutage]) -> dict[str, Any]:
    """The facts of ``RESOLVED``: ``rows`` are the regions of an incident that is over, without withdrawn ones."""
    assert incident.resolved_at is not None
    restored = sum(row.restored_at is not None for row in rows)
    return {"resolved_at": incident.resolved_at.isoformat(), "restored": restored, "unknown": len(rows) - restored}


def text(entry: TimelineEntry) -> str:
    """The entry in one or two plain sentences. Names of services and regions come from the entry itself.

    Reads ``entry.region``, ``entry.evidence`` and ``entry.statement``: select them together with a list of entries.
    """
    words = _WORDS.get(entry.kind)
    return words(entry) if words else entry.kind.replace("_", " ")


# --- the pieces of a sentence ---------------------------------------------------------------------------------


def clock_time(at: datetime, *, beside: datetime | None = None) -> str:
    """``19:42 UTC``, with the date in front unless it is the day of ``beside``."""
    same_day = beside is not None and at.date() == beside.date()
    return f"{at:%H:%M} UTC" if same_day else f"{at:%Y-%m-%d %H:%M} UTC"


def quantity(value: float) -> str:
    """A count or an expectation: ``1,234``, ``41``, ``3.2``, ``0.04``; never more digits than it is worth."""
    if value == round(value) or value >= 100:
        return formats.number(value)
    if value >= 1:
        return formats.number(value, digits=1)
    if value < 0.001:
        return _("less than %(number)s") % {"number": formats.number(0.001, digits=3)}
    return formats.number(value, digits=-math.floor(math.log10(value)))


def probability(log10_p: float) -> str:
    """``p < 10⁻⁹`` from -9.4; plainly ``p = 0.03`` where it is not that small."""
    if log10_p > -3:
        return f"p = {10**log10_p:.2g}"
    exponent = min(math.floor(-log10_p), 300)
    return "p < 10" + str(-exponent).translate(_SUPERSCRIPT)


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _place(region: Region | None) -> str:
    if region is None or region.kind == Region.Kind.WORLD:
        return _("the world as a whole")
    return regions.local_name(region.code, region.name, formats.language())


def _instant(entry: TimelineEntry, fact: str) -> datetime | None:
    value = entry.facts.get(fact)
    return parse_datetime(value) if isinstance(value, str) else None


def _minutes(count: int) -> str:
    return ngettext("%(count)s minute", "%(count)s minutes", count) % {"count": formats.number(count)}


def _reports(count: int) -> str:
    return ngettext("%(count)s report", "%(count)s reports", count) % {"count": formats.number(count)}


def _votes(count: int) -> str:
    return ngettext("%(count)s “works again” vote", "%(count)s “works again” votes", count) % {
        "count": formats.number(count)
    }


def _figures(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    figures = {
        "observed": formats.number(evidence.observed),
        "window": _minutes(evidence.window_minutes),
        "expected": quantity(evidence.expected),
    }
    # Not every decision rests on a test against the ordinary.
    if evidence.threshold == 0:
        return _("%(observed)s in %(window)s where %(expected)s were expected") % figures
    figures["p"] = probability(evidence.log10_p)
    return _("%(observed)s in %(window)s where %(expected)s were expected (%(p)s)") % figures


# --- one function per kind ------------------------------------------------------------------------------------


def _detected(entry: TimelineEntry) -> str:
    count = int(entry.facts.get("regions", 1))
    return ngettext("Outage detected in %(count)s region.", "Outage detected in %(count)s regions at once.", count) % {
        "count": formats.number(count)
    }


def _region_down(entry: TimelineEntry) -> str:
    figures = _figures(entry.evidence)
    place = _place(entry.region)
    sentence = (
        _("Reports from %(place)s exceeded the ordinary: %(figures)s.") % {"place": place, "figures": figures}
        if figures
        else _("Reports from %(place)s exceeded the ordinary.") % {"place": place}
    )
    onset = _instant(entry, "onset_at")
    if onset is None:
        return sentence
    return f"{sentence} " + _("They began at about %(time)s.") % {"time": clock_time(onset, beside=entry.at)}


def _onset_revised(entry: TimelineEntry) -> str:
    onset, before = _instant(entry, "onset_at"), _instant(entry, "before_at")
    if onset is None or before is None:
        return _("The beginning in %(place)s was estimated anew.") % {"place": _place(entry.region)}
    return _("In %(place)s it began at about %(onset)s, by a better estimate than %(before)s.") % {
        "place": _place(entry.region),
        "onset": clock_time(onset, beside=entry.at),
        "before": clock_time(before, beside=onset),
    }


def _region_relapsed(entry: TimelineEntry) -> str:
    restored = _instant(entry, "restored_at")
    facts = {"place": _place(entry.region), "figures": _figures(entry.evidence)}
    sentence = (
        _("%(place)s is down again: %(figures)s.") if facts["figures"] else _("%(place)s is down again.")
    ) % facts
    if restored is None:
        return sentence
    return f"{sentence} " + _("The restoration at %(time)s did not hold.") % {
        "time": clock_time(restored, beside=entry.at)
    }


def _region_down_again(entry: TimelineEntry) -> str:
    facts = {"place": _place(entry.region), "figures": _figures(entry.evidence)}
    if facts["figures"]:
        return _("Reports from %(place)s exceed the ordinary again: %(figures)s.") % facts
    return _("Reports from %(place)s exceed the ordinary again.") % facts


def _region_recovering(entry: TimelineEntry) -> str:
    working = int(entry.facts.get("working", 0))
    place = _place(entry.region)
    if working:
        return _("First signs of recovery in %(place)s: %(votes)s.") % {
            "place": place,
            "votes": _votes(working),
        }
    return _("First signs of recovery in %(place)s: reports fall faster than people tire of reporting.") % {
        "place": place
    }


def _region_restored(entry: TimelineEntry) -> str:
    restored = _instant(entry, "restored_at") or entry.at
    low, high, declared = _instant(entry, "low"), _instant(entry, "high"), _instant(entry, "declared_at")
    facts = {
        "place": _place(entry.region),
        "time": clock_time(restored, beside=entry.at),
        "basis": _basis(str(entry.facts.get("basis", "")), int(entry.facts.get("working", 0))),
        "low": f"{low:%H:%M}" if low else "",
        "high": f"{high:%H:%M}" if high else "",
        "declared": "",
    }
    if declared:
        same_day = declared.date() == restored.date()
        facts["declared"] = f"{declared:%H:%M}" if same_day else clock_time(declared)
    interval = low and high and low < high
    if interval and declared:
        said = _(
            "Restored in %(place)s at %(time)s (90 %% interval %(low)s–%(high)s), declared %(declared)s %(basis)s."
        )
    elif interval:
        said = _("Restored in %(place)s at %(time)s (90 %% interval %(low)s–%(high)s) %(basis)s.")
    elif declared:
        said = _("Restored in %(place)s at %(time)s, declared %(declared)s %(basis)s.")
    else:
        said = _("Restored in %(place)s at %(time)s %(basis)s.")
    return said % facts


def _basis(basis: str, working: int) -> str:
    if basis == "votes":
        return _("on %(votes)s") % {"votes": _votes(working)} if working else _("on “works again” votes")
    if basis == "rate":
        return _("on the fall of reports back to the ordinary")
    if basis == "statement":
        return _("on the provider's statement")
    return _("on an administrator's word")


def _region_unknown(entry: TimelineEntry) -> str:
    return _("Too little is heard from %(place)s to say whether it is back.") % {"place": _place(entry.region)}


def _region_withdrawn(entry: TimelineEntry) -> str:
    return _("%(place)s was no part of the outage after all.") % {"place": _place(entry.region)}


def _scope(entry: TimelineEntry) -> str:
    scope = str(entry.facts.get("scope", ""))
    if "upstream" in entry.facts:
        return _upstream(scope, entry.facts)
    return {
        "product": _("It concerns this service alone."),
        "several products": _("Several services of the provider are down."),
        "provider-wide": _("Every service of the provider that is watched here is down."),
        "network": _("It follows a network rather than a service."),
        "upstream suspected": _("Something that several services depend on may have failed."),
    }.get(scope, _("Scope: %(scope)s.") % {"scope": scope})


def _upstream(scope: str, facts: Mapping[str, Any]) -> str:
    text = (
        _("%(name)s, the network that people reach it by, is down in the same places (%(ref)s): that may be the cause.")
        if scope == "network"
        else _("%(name)s, which it depends on, is down in the same places (%(ref)s): that may be the cause.")
    )
    return text % {"name": facts["name"], "ref": facts["upstream"]}


def _siblings(entry: TimelineEntry) -> str:
    return " ".join(_sibling(sibling) for sibling in entry.facts.get("siblings", []))


def _sibling(facts: Mapping[str, Any]) -> str:
    observed, expected = int(facts["observed"]), float(facts["expected"])
    state = {
        "down": _("%(name)s, checked beside it, is down too: %(figures)s."),
        "echo": _("%(name)s, checked beside it, shows an echo: %(figures)s."),
    }.get(str(facts["state"]), _("%(name)s, checked beside it, is normal: %(figures)s."))
    figures = _("%(reports)s in %(window)s, %(expected)s expected") % {
        "reports": _reports(observed),
        "window": _minutes(int(facts["window_minutes"])),
        "expected": quantity(expected),
    }
    return state % {"name": facts.get("name") or facts["service"], "figures": figures}


def _grouped(entry: TimelineEntry) -> str:
    others = entry.facts.get("incidents", [])
    return _("Belongs together with %(others)s.") % {"others": formats.listed(others)}


def _echo(entry: TimelineEntry) -> str:
    facts = entry.facts
    name = facts.get("name") or facts.get("service", "")
    if "observed" not in facts:
        return _("Reports about %(name)s rose with it: an echo, not an outage of its own.") % {"name": name}
    return _(
        "Reports about %(name)s rose with it (%(reports)s in %(window)s, %(expected)s expected): an echo, not an"
        " outage of its own."
    ) % {
        "name": name,
        "reports": _reports(int(facts["observed"])),
        "window": _minutes(int(facts["window_minutes"])),
        "expected": quantity(float(facts["expected"])),
    }


def _echo_of(entry: TimelineEntry) -> str:
    return _("An echo of the outage of %(name)s (%(ref)s).") % {
        "name": entry.facts.get("name", ""),
        "ref": entry.facts.get("ref", ""),
    }


def _resolved(entry: TimelineEntry) -> str:
    restored, unknown = int(entry.facts.get("restored", 0)), int(entry.facts.get("unknown", 0))
    if not unknown:
        since = _instant(entry, "resolved_at") or entry.at
        return _("Resolved: every region is back since %(time)s.") % {"time": clock_time(since, beside=entry.at)}
    without_word = ngettext(
        "too little is heard from %(count)s to say", "too little is heard from %(count)s to say", unknown
    ) % {"count": formats.number(unknown)}
    if not restored:
        return _("Closed without a known restoration: %(unknown)s.") % {"unknown": without_word}
    back = ngettext("%(count)s region is back", "%(count)s regions are back", restored) % {
        "count": formats.number(restored)
    }
    return _("Closed: %(back)s, %(unknown)s.") % {"back": back, "unknown": without_word}


def _reopened(entry: TimelineEntry) -> str:
    if reason := entry.facts.get("reason"):
        return _("Reopened by an administrator: %(reason)s") % {"reason": reason}
    return _("Reopened: the outage is not over.")


def _statement(entry: TimelineEntry) -> str:
    statement = entry.statement
    if statement is None:
        return _("The provider made a statement.")
    said = {
        Statement.Meaning.ACKNOWLEDGED.value: _("The provider acknowledged it: “%(text)s”"),
        Statement.Meaning.RESTORED.value: _("The provider says it is restored: “%(text)s”"),
        Statement.Meaning.DENIED.value: _("The provider denies an outage: “%(text)s”"),
    }.get(statement.meaning, _("The provider said: “%(text)s”"))
    where = f"{_place(entry.region)}: " if entry.region is not None else ""
    told = where + said % {"text": statement.text}
    # Not within an f-string: what is asked for there is in no catalogue.
    return " ".join([told, _("(Withdrawn since.)")]) if statement.withdrawn_at else told


def _confirmed(_entry: TimelineEntry) -> str:
    return _("Confirmed by an administrator.")


def _rejected(entry: TimelineEntry) -> str:
    return _("Rejected by an administrator: %(reason)s") % {"reason": entry.facts.get("reason", "")}


def _rejection_undone(entry: TimelineEntry) -> str:
    reason = entry.facts.get("reason", "")
    if reason:
        return _("An administrator took the rejection back: %(reason)s") % {"reason": reason}
    return _("An administrator took the rejection back.")


def _region_overridden(entry: TimelineEntry) -> str:
    facts = {
        "place": _place(entry.region),
        "time": clock_time(entry.at, beside=entry.recorded_at),
        "reason": entry.facts.get("reason", ""),
    }
    if entry.facts.get("state") == "restored":
        return _("An administrator declared %(place)s restored at %(time)s: %(reason)s") % facts
    return _("An administrator declared %(place)s down from %(time)s: %(reason)s") % facts


def _because(sentence: str, entry: TimelineEntry) -> str:
    """The sentence, which ends with a full stop, with the reason that was given."""
    reason = entry.facts.get("reason", "")
    return " ".join([sentence, _("The reason: %(reason)s") % {"reason": reason}]) if reason else sentence


def _named(entry: TimelineEntry) -> str:
    """The regions among the facts: by name where they are few."""
    found = entry.facts.get("regions", [])
    if len(found) > MOST_NAMED:
        return ngettext("%(count)s region", "%(count)s regions", len(found)) % {"count": formats.number(len(found))}
    language = formats.language()
    return formats.listed([regions.local_name(each["code"], each["name"], language) for each in found])


def _merged(entry: TimelineEntry) -> str:
    said = _("An administrator found it to be part of %(ref)s, which tells the rest.")
    return _because(said % {"ref": entry.facts.get("ref", "")}, entry)


def _joined(entry: TimelineEntry) -> str:
    facts = {"ref": entry.facts.get("ref", ""), "places": _named(entry)}
    said = (
        _("An administrator found %(ref)s to be part of it, with %(places)s.")
        if facts["places"]
        else _("An administrator found %(ref)s to be part of it.")
    )
    return _because(said % facts, entry)


def _split(entry: TimelineEntry) -> str:
    said = _("An administrator found an outage of its own in %(places)s: %(ref)s tells it from here on.")
    return _because(said % {"places": _named(entry), "ref": entry.facts.get("ref", "")}, entry)


def _split_from(entry: TimelineEntry) -> str:
    said = _("An administrator told the outage in %(places)s apart from %(ref)s.")
    return _because(said % {"places": _named(entry), "ref": entry.facts.get("ref", "")}, entry)


def _undone(entry: TimelineEntry) -> str:
    facts = {"ref": entry.facts.get("ref", ""), "places": _named(entry)}
    said = {
        "confirmed": _("An administrator took the confirmation back."),
        "rejected": _("An administrator took the rejection back."),
        "merged": _("An administrator took the merger with %(ref)s back: each tells its own regions again."),
        "split": _("An administrator took the split back: it and %(ref)s are one again."),
        "overridden": _("An administrator took back what had been said of %(places)s."),
        "reopened": _("An administrator took the reopening back, and what had been said of %(places)s."),
        "statement": _withdrawn(entry),
    }.get(str(entry.facts.get("act")), _("An administrator took an act back."))
    return _because(said % facts, entry)


def _withdrawn(entry: TimelineEntry) -> str:
    statement = entry.statement
    said = _("An administrator withdrew the statement of %(time)s: it counts no more.") % {
        "time": clock_time(statement.said_at, beside=entry.at) if statement else ""
    }
    restored = int(entry.facts.get("restored", 0))
    if restored:
        said += " " + ngettext(
            "%(count)s region was declared restored on its basis, and stays so until somebody says otherwise.",
            "%(count)s regions were declared restored on its basis, and stay so until somebody says otherwise.",
            restored,
        ) % {"count": formats.number(restored)}
    # What was put in is no template.
    return said.replace("%", "%%")


_WORDS: Mapping[str, Callable[[TimelineEntry], str]] = {
    EntryKind.DETECTED: _detected,
    EntryKind.REGION_DOWN: _region_down,
    EntryKind.ONSET_REVISED: _onset_revised,
    EntryKind.REGION_RELAPSED: _region_relapsed,
    EntryKind.REGION_DOWN_AGAIN: _region_down_again,
    EntryKind.REGION_RECOVERING: _region_recovering,
    EntryKind.REGION_RESTORED: _region_restored,
    EntryKind.REGION_UNKNOWN: _region_unknown,
    EntryKind.REGION_WITHDRAWN: _region_withdrawn,
    EntryKind.SCOPE: _scope,
    EntryKind.SIBLINGS: _siblings,
    EntryKind.GROUPED: _grouped,
    EntryKind.ECHO: _echo,
    EntryKind.ECHO_OF: _echo_of,
    EntryKind.RESOLVED: _resolved,
    EntryKind.REOPENED: _reopened,
    EntryKind.STATEMENT: _statement,
    EntryKind.CONFIRMED: _confirmed,
    EntryKind.REJECTED: _rejected,
    EntryKind.REJECTION_UNDONE: _rejection_undone,
    EntryKind.REGION_OVERRIDDEN: _region_overridden,
    EntryKind.MERGED: _merged,
    EntryKind.JOINED: _joined,
    EntryKind.SPLIT: _split,
    EntryKind.SPLIT_FROM: _split_from,
    EntryKind.UNDONE: _undone,
}


def write(entries: Sequence[TimelineEntry]) -> None:
    """Appends the entries, in one statement."""
    TimelineEntry.objects.bulk_create(entries)
