"""Answers in words: verdicts of one sentence, instants, lengths of time, numbers of people.

A verdict never says more than the figures do: too little data is "too few reports to say", never "fine".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, npgettext

from reports import formats
from reports.status import place_name
from reports.status import region as region_named
from reports.status.answers import CountryState, IncidentStatus, RegionLink
from reports.status.article import wording
from reports.status.nesting import parts

MILLIONS = 950_000
"""From so many people on a number is told in millions."""

STATE_NAMES = {
    "normal": gettext_lazy("No outage seen"),
    "down": gettext_lazy("Down"),
    "recovering": gettext_lazy("Recovering"),
    "restored": gettext_lazy("Restored"),
    "unknown": gettext_lazy("Too few reports to say"),
}

BASIS_NAMES = {
    "votes": gettext_lazy("people said it works again"),
    "rate": gettext_lazy("reports fell back to usual"),
    "statement": gettext_lazy("the provider said so"),
    "admin": gettext_lazy("an administrator said so"),
}

FIGURE_NAMES = {
    "null_inflation": gettext_lazy("Ordinary may be so many times the expected"),
    "clumping": gettext_lazy("Extra variance because people report together"),
    "dispersion": gettext_lazy("Extra variance of this service"),
    "strength": gettext_lazy("Reports behind the expectation"),
    "slow_factor": gettext_lazy("Expectation adjusted to the last hours by"),
    "rest_of_country": gettext_lazy("The rest of the country, times the expected"),
    "late_reports": gettext_lazy("Late reports of an outage just over"),
    "probability_restored": gettext_lazy("Probability that it is back"),
    "log_evidence_rate": gettext_lazy("Evidence from reports (natural log)"),
    "log_evidence_votes": gettext_lazy("Evidence from votes (natural log)"),
    "excess_before": gettext_lazy("Reports a minute beyond usual before"),
    "minutes_since_onset": gettext_lazy("Minutes since it began"),
    "reports_since_onset": gettext_lazy("Reports since it began"),
    "votes_since_onset": gettext_lazy("“Works for me” since it began"),
    "minutes_since_restored": gettext_lazy("Minutes since it came back"),
    "reports_since_restored": gettext_lazy("Reports since it came back"),
    "votes_since_restored": gettext_lazy("“Works for me” since it came back"),
    "service_networks": gettext_lazy("Networks, each once for all regions"),
    "sign_age": gettext_lazy("For the confidence: minutes since it opened"),
    "sign_surplus": gettext_lazy("For the confidence: surplus beyond the bar"),
    "sign_ratio": gettext_lazy("For the confidence: times the usual (natural log)"),
    "sign_pool": gettext_lazy("For the confidence: a country or the world spoke first"),
    "sign_regions": gettext_lazy("For the confidence: regions (natural log)"),
    "sign_crowding": gettext_lazy("For the confidence: reports a network (natural log)"),
    "sign_sudden": gettext_lazy("For the confidence: suddenness (natural log)"),
    "sign_lasted": gettext_lazy("For the confidence: minutes it lasted (natural log)"),
    "sign_still": gettext_lazy("For the confidence: whether it goes on (natural log)"),
    "sign_usual": gettext_lazy("For the confidence: usual reports an hour (natural log)"),
    "echo_observed": gettext_lazy("Its reports in the world"),
    "echo_expected": gettext_lazy("Its usual reports in the world"),
    "other_observed": gettext_lazy("Reports of the other"),
    "other_expected": gettext_lazy("Usual reports of the other"),
    "share_of_excess": gettext_lazy("Its share of the other’s rise"),
}

LEVEL_NAMES = {
    "world": gettext_lazy("the world"),
    "country": gettext_lazy("a country"),
    "region": gettext_lazy("a region"),
}

RULE_NAMES = {
    "cell": gettext_lazy("a region by itself"),
    "pool": gettext_lazy("many regions together"),
    "joined": gettext_lazy("a further region of an outage already seen"),
    "shared": gettext_lazy("several services that rise together"),
    "admin": gettext_lazy("an administrator’s word"),
    "reinstated": gettext_lazy("an administrator’s word"),
    "updated": gettext_lazy("looked at again later"),
    "reopened": gettext_lazy("down again after it seemed back"),
    "recovering": gettext_lazy("signs that it is coming back"),
    "restored": gettext_lazy("grounds that it is back"),
    "unknown": gettext_lazy("too little is heard"),
    "resolved": gettext_lazy("every region is back"),
    "withdrawn": gettext_lazy("taken back by an administrator"),
}

REFUSALS = {
    "service": gettext_lazy("No service is known here by this name."),
    "region": gettext_lazy("Choose your country, and the part of it if it is listed."),
    "kind": gettext_lazy("Choose one of the two: it is down for you, or it works."),
    "problem": gettext_lazy("What you chose is not among the problems of this service."),
}

INCIDENT_STATE_NAMES = {
    "open": gettext_lazy("Ongoing"),
    "recovering": gettext_lazy("Coming back"),
    "resolved": gettext_lazy("Over"),
}

REVIEW_NAMES = {
    "automatic": gettext_lazy("found by the detector, not yet reviewed"),
    "confirmed": gettext_lazy("confirmed by an administrator"),
    "rejected": gettext_lazy("rejected by an administrator"),
    "merged": gettext_lazy("merged into another incident"),
}

# The state of the mark that stands beside an incident.
INCIDENT_MARKS = {"open": "down", "recovering": "recovering", "resolved": "restored"}


def utc(at: datetime) -> str:
    """ISO 8601 in UTC without fractions: ``2024-04-03T18:02:00Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at: datetime, now: datetime) -> str:
    """``18:02`` for today's instants, else with the day, and with the year where that is another one."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    if at.date() == now.date():
        return formats.hour(at)
    return formats.day_and_hour(at, year=at.year != now.year)


def moment(at: datetime, now: datetime) -> SafeString:
    """A ``<time>`` in UTC, which a script shows in the reader's zone with UTC beside it."""
    dated = "" if at.astimezone(UTC).date() == now.astimezone(UTC).date() else " data-dated"
    return format_html('<time datetime="{}"{}>{} UTC</time>', utc(at), SafeString(dated), clock(at, now))


def count(number: float) -> str:
    """A whole number with thousands apart; expectations under ten keep one digit after the point."""
    if isinstance(number, float) and 0.05 <= number < 9.95 and round(number, 1) % 1:
        return formats.number(number, digits=1)
    return formats.number(number)


def expectation(number: float) -> str:
    """The same of what was expected, which is seldom and yet not nothing."""
    return _("fewer than 0.1") if 0 < number < 0.05 else count(number)


def people(number: float) -> str:
    """A number of people in two digits, since populations are estimates: ``310 million``, ``1.4 billion``."""
    if number >= MILLIONS:
        return formats.rounded(number)
    return formats.number(round(number, -4 if number >= 100_000 else -3 if number >= 10_000 else -2))


def people_living(number: float) -> str:
    """``310 million people``: a phrase of its own, since Spanish and Portuguese say "millions *of* people"."""
    if number >= MILLIONS:
        return npgettext("in millions", "{n} person", "{n} people", round(number)).format(n=people(number))
    return ngettext("{n} person", "{n} people", round(number)).format(n=people(number))


def duration(length: timedelta) -> str:
    """``1 h 24 min``, ``12 min``, ``2 d 3 h``; whole minutes, rounded."""
    minutes = round(abs(length.total_seconds()) / 60)
    if minutes < 60:
        return _("{n} min").format(n=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return _("{h} h {m:02d} min").format(h=hours, m=minutes) if minutes else _("{h} h").format(h=hours)
    days, hours = divmod(hours, 24)
    return _("{d} d {h} h").format(d=days, h=hours) if hours else _("{d} d").format(d=days)


def interval(at: datetime, low: datetime, high: datetime) -> str:
    """How far an estimate may be off to either side: ``± 7 min``; ``−3 … +12 min`` where the sides differ."""
    before, after = (round(side.total_seconds() / 60) for side in (at - low, high - at))
    if before == after:
        return _("± {n} min").format(n=before)
    if before <= 0:
        return _("or up to {n} min later").format(n=after)
    if after <= 0:
        return _("or up to {n} min earlier").format(n=before)
    return _("−{before} … +{after} min").format(before=before, after=after)


def multiple(reports: float, expected: float) -> str:
    """``31 times the usual``; empty where nothing came, or where so little was expected that it would only impress."""
    if expected < 0.05 or not reports:
        return ""
    ratio = reports / expected
    if ratio >= 100:
        # Of what is usually rare, any outage is a thousand times that: the number would only impress.
        return _("more than 100 times the usual")
    return _("{n} times the usual").format(n=formats.number(ratio, digits=1 if ratio < 10 else 0))


def listing(names: Sequence[str], *, most: int = 3) -> str:
    """``England, Bahia and 22 more``; all of them where only one would be left out."""
    shown = list(names[:most]) if len(names) > most + 1 else list(names)
    left = len(names) - len(shown)
    if left:
        tail = ngettext("{n} more", "{n} more", left).format(n=formats.number(left))
        shown.append(tail)
    return formats.listed(shown)


def regions(number: int) -> str:
    """``24 regions``."""
    return wording.regions(number).text


def reports(number: int) -> str:
    """``no reports``, ``1 report``, ``46,012 reports``."""
    return wording.reports(number).text


def counted(down: int, working: int) -> str:
    """How many said that it was down, and how many that it works again: the sentence of the article."""
    sentence = (
        _("We counted {reports} that it was down, and {working} that it worked again.")
        if working
        else _("We counted {reports} that it was down.")
    )
    return sentence.format(reports=reports(down), working=formats.number(working))


def silence(number: int) -> str:
    """From how many regions nothing can be told, as a sentence."""
    return _("From {unknown} too little is heard to say.").format(unknown=regions(number))


def _places(links: Sequence[RegionLink]) -> str:
    """Up to three by name; more of them as a number, with the country where it is one. A country is left out where
    parts of it are there."""
    links = parts(links)
    if len(links) <= 3:
        return listing([place_name(link) for link in links])
    countries = {link.code[:2] for link in links if link.kind != "world"}
    if len(countries) > 1:
        return _("{regions} in {n} countries").format(regions=regions(len(links)), n=len(countries))
    country = region_named(next(iter(countries)))
    assert country is not None
    return _("{regions} of {country}").format(regions=regions(len(links)), country=place_name(country))


def _unheard(incident: IncidentStatus) -> int:
    """From how many of its regions too little is heard to say."""
    counted = {link.code for link in parts((*incident.currently_affected, *incident.previously_affected))}
    return sum(link.code in counted for link in incident.unheard)


def incident_mark(incident: IncidentStatus) -> str:
    """The state of the mark beside an incident: no tick where somebody was never heard, nor where it was no outage."""
    if incident.review == "rejected":
        return "normal"
    if incident.review == "merged" or (incident.state == "resolved" and _unheard(incident)):
        return "unknown"
    return INCIDENT_MARKS[incident.state]


def incident_verdict(incident: IncidentStatus, now: datetime) -> SafeString:
    """The whole incident in one sentence."""
    name = incident.service.name
    affected = (*incident.currently_affected, *incident.previously_affected)
    counted = {link.code for link in parts(affected)}
    unheard = _unheard(incident)
    back = sum(link.code in counted for link in incident.previously_affected)
    if incident.state == "resolved":
        back -= unheard
    onset = moment(incident.onset_at, now)
    if incident.review == "rejected":
        return format_html(_("Not an outage: an administrator rejected this report about {service}."), service=name)
    if incident.review == "merged":
        return format_html(_("This incident of {service} is part of another one."), service=name)
    if incident.state == "resolved" and unheard:
        was = format_html(
            _("{service} was down in {where} from {onset}."), service=name, where=_places(affected), onset=onset
        )
        known = (
            _("It is back in {back}; from {unknown} too little is heard to say.").format(
                back=regions(back), unknown=regions(unheard)
            )
            if back
            else silence(unheard)
        )
        return format_html("{} {}", was, known)
    if incident.state == "resolved" and incident.resolved_at:
        return format_html(
            _("{service} was down in {where} from {onset}, and back everywhere by {resolved}."),
            service=name,
            where=_places(affected),
            onset=onset,
            # The day of the onset need not be named twice.
            resolved=moment(incident.back_at or incident.resolved_at, incident.onset_at),
        )
    sentence = _going_on(incident, back, silent=0 < unheard == len(counted), now=now)
    # Silence is neither down nor back: left out, it would be taken for one of the two.
    return format_html("{} {}", sentence, silence(unheard)) if unheard else sentence


def _going_on(incident: IncidentStatus, back: int, *, silent: bool, now: datetime) -> SafeString:
    """One that is not over: ``back`` of its regions are; ``silent`` where nothing is heard from any of them."""
    name, onset = incident.service.name, moment(incident.onset_at, now)
    affected = (*incident.currently_affected, *incident.previously_affected)
    if back and not incident.currently_affected:
        return format_html(
            _("{service} went down in {where} from {onset}; all are back, and we go on watching."),
            service=name,
            where=_places(affected),
            onset=onset,
        )
    if back:
        sentence = ngettext(
            "{service} went down in {where} from {onset}; {back} of them is back.",
            "{service} went down in {where} from {onset}; {back} of them are back.",
            back,
        )
        return format_html(
            sentence,
            service=name,
            where=_places(affected),
            onset=onset,
            back=formats.number(back),
        )
    return format_html(
        _("{service} was down in {where} from {onset}.")
        if silent
        else _("{service} is down in {where} since {onset}."),
        service=name,
        where=_places(affected),
        onset=onset,
    )


def country_parts(found: CountryState) -> str:
    """How many parts of a country are in which state: ``9 down, 4 back``."""
    told = (
        (found.down, ngettext("{n} down", "{n} down", found.down)),
        (found.recovering, ngettext("{n} recovering", "{n} recovering", found.recovering)),
        (found.restored, ngettext("{n} back", "{n} back", found.restored)),
        (found.unknown, ngettext("{n} silent", "{n} silent", found.unknown)),
    )
    return _(", ").join(text.format(n=number) for number, text in told if number)


def state_name(state: str) -> str:
    """The word for a region's state, or for an incident's."""
    return str(STATE_NAMES.get(state) or INCIDENT_STATE_NAMES.get(state) or state)


def basis_name(basis: str) -> str:
    """Why we believe that a region is back, in words."""
    return str(BASIS_NAMES.get(basis, basis))


def figure_name(name: str) -> str:
    """A figure of some evidence, in words; ``slow_factor_2`` is the slow factor of twenty minutes before."""
    base, _underscore, back = name.rpartition("_")
    if base == "slow_factor" and back.isdecimal():
        return _("The same, {minutes} minutes before").format(minutes=10 * int(back))
    return str(FIGURE_NAMES.get(name, name.replace("_", " ")))


def level_name(level: str) -> str:
    """On what a decision was tested, in words."""
    return str(LEVEL_NAMES.get(level, level))


def rule_name(rule: str) -> str:
    """By which rule something was decided, in words."""
    return str(RULE_NAMES.get(rule, rule))


def refusal(field: str) -> str:
    """Why a report was not taken, by the field that is wrong, and what to do; the API tells the particulars."""
    return str(REFUSALS.get(field) or _("The form could not be read. Please fill it in once more."))


def review_name(review: str) -> str:
    """Who has looked at an incident, in words."""
    return str(REVIEW_NAMES.get(review, review))


def probability(log10_p: float) -> str:
    """The chance of so many reports on an ordinary day, in words: ``1 in 10,000,000``; bounded, not endless."""
    if log10_p > -1:
        return _("about {percent}").format(percent=formats.percentage(round(100 * 10**log10_p)))
    if log10_p < -15:
        return _("less than 1 in a million billions")
    return _("1 in {n}").format(n=formats.number(float(f"{10**-log10_p:.1e}")))


def report_words(name: str) -> str:
    """What `report.js` says while it sends, as JSON."""
    return json.dumps(
        {
            "ask": _("One more tap, if you like; you are counted either way."),
            "sending": _("Sending…"),
            "countedDown": _("Counted: {service} is down for you.").format(service=name),
            "countedWorking": _("Counted: {service} works for you.").format(service=name),
            "receipt": _("Thank you."),
            "offline": _("Your report could not be sent: no connection."),
            "busy": _("Your report could not be sent just now."),
            "tooMany": _("Too many requests came from you or your network. Please try again later."),
            "refused": _("Your report could not be taken."),
            "checking": _("Checking that you are not a program…"),
            "cancel": _("Stop"),
            "cancelled": _("Stopped. Your report was not sent."),
            "again": _("Try again"),
            "tell": _("Tell me when it is back here"),
            "told": _("You will be told once, by a notification, when it seems to be back here."),
            "denied": _(
                "Your browser allows no notification from here. You are asked when you come back to this page."
            ),
            "failed": _("Notifications cannot be had in this browser just now. You are asked when you come back."),
            "tellLater": _("No more can be told just now. You are asked when you come back to this page."),
        }
    )
