"""Whether a service is down, in a sentence: where the reader is, elsewhere, and what else of its provider is.

Every sentence is whole, with names for what varies, because languages order words differently; a number decides its
form. None says more than the figures do: silence is "too few reports to say", never "fine".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from frontend.words import listing, moment
from reports import formats, status
from reports.status import place_name
from reports.status.answers import CountryState, HomeStatus, RegionLink, RegionState, ServiceStatus
from reports.status.nesting import parts, together

MOST_NAMED = 2
"""Places named in one go; where there are many more, the rest is counted."""

MOST_PEOPLE = 0.5
"""Where more than this share of a country's people live where it is down, it is said of the country."""

MOST_DOWN = 3
"""Services that are down named on the home page; where there are more, they are counted."""

_STATES = ("down", "recovering", "restored")


@dataclass(frozen=True)
class Verdict:
    """What a reader is told first, the most important sentence first; empty ones have nothing to say."""

    headline: SafeString
    elsewhere: SafeString | str = ""
    siblings: tuple[str, ...] = ()


def verdict(
    whole: ServiceStatus,
    *,
    now: datetime,
    region: RegionLink | None = None,
    local: ServiceStatus | None = None,
    siblings: Sequence[ServiceStatus] = (),
) -> Verdict:
    """The service in ``region`` first, where ``local`` is its status there; in the world where there is none."""
    beside = sibling_sentences(whole, siblings)
    if region is None or local is None:
        return Verdict(service_verdict(whole, now), siblings=beside)
    return Verdict(here_verdict(local, region, whole, now), elsewhere_verdict(whole, region, now), beside)


# --- the world --------------------------------------------------------------------------------------------------------


def service_verdict(found: ServiceStatus, now: datetime) -> SafeString:
    """Whether the service is down, where and since when, in one sentence about the whole world."""
    down, coming, back = (_countries(found, state) for state in _STATES)
    if found.state == "down" and found.since:
        if down and back:
            sentence = _("{service} is down in {down} since {since}, and back in {back}.")
        elif down:
            sentence = _("{service} is down in {down} since {since}.")
        else:
            sentence = _("{service} is down since {since}; no single country has enough reports to be named.")
    elif found.state == "recovering" and found.since:
        back = back or _partly_back(found.countries)
        if coming:
            sentence = _("{service} is coming back in {coming}; it went down at {since}.")
        elif back:
            sentence = _("{service} is back in {back}; it went down at {since}.")
        else:
            sentence = _("{service} is coming back; it went down at {since}.")
    else:
        return _no_outage(found)
    # Of the places that are named: the outage may have begun where it is over by now. Nor is it earlier than the
    # outage's: the onset of a region that joined is an estimate of its own, from fewer reports.
    began = min((each.since for each in found.countries if each.state == "down" and each.since), default=found.since)
    began = max(began, found.since) if began is not None and found.since is not None else began
    since = moment(began if found.state == "down" else found.since, now)
    told = format_html(sentence, service=found.link.name, down=down, coming=coming, back=back, since=since)
    if not down and not coming and _countries(found, "restored"):
        return _with_silence(told, found.link.name, _countries(found, "unknown"))
    return told


def _with_silence(told: SafeString, service: str, silent: str) -> SafeString:
    """What is back says nothing of the places from which too little is heard: they are named beside it."""
    if not silent:
        return told
    silence = format_html(
        _("Too few reports from {region} to say whether {service} works there."), service=service, region=silent
    )
    return format_html(_("{first} {second}"), first=told, second=silence)


def _partly_back(countries: Sequence[CountryState]) -> str:
    """``8 of 35 parts of the United States``: where some parts are back and too little is heard from the others.

    No rest is counted: "and 4 more countries" would say of them as wholes that they are back.
    """
    return listing(
        [
            ngettext("{back} of {n} part of {area}", "{back} of {n} parts of {area}", each.parts).format(
                back=formats.number(each.restored), n=formats.number(each.parts), area=place_name(each.region)
            )
            for each in countries
            if each.state == "unknown" and each.restored
        ][:MOST_NAMED]
    )


def _no_outage(found: ServiceStatus) -> SafeString:
    service = found.link.name
    if found.state == "unknown" and not found.incident:
        return format_html(_("We cannot say right now whether {service} works."), service=service)
    if found.echo_of:
        sentence = _("{service} itself shows no outage: its reports follow that of {other}.")
        return format_html(sentence, service=service, other=found.echo_of.name)
    if found.state == "unknown":
        return format_html(_("Too few reports to say whether {service} works."), service=service)
    return format_html(_("No outage of {service} is seen right now."), service=service)


def _countries(found: ServiceStatus, state: str) -> str:
    """The countries in a state by name, the most affected first; of one that is alone, its parts."""
    there = [each for each in found.countries if each.state == state]
    if len(there) == 1 and len(found.countries) == 1:
        (country,) = there
        known = [each for each in (*found.down, *found.restored) if each.region.kind != "world"]
        rows = [each.region for each in known if each.state == state]
        if rows and country.region not in rows:
            return _some_of(country.region, rows, alike=len(rows) == len(known))
    return _some([place_name(each.region) for each in there])


def _some(countries: Sequence[str]) -> str:
    """``Brazil, India and 40 more countries``; all of them where only one would be left out."""
    left = len(countries) - MOST_NAMED
    if left < 2:
        return listing(countries, most=MOST_NAMED)
    return ngettext("{names} and {n} more country", "{names} and {n} more countries", left).format(
        names=_(", ").join(countries[:MOST_NAMED]), n=formats.number(left)
    )


def _some_of(area: RegionLink, links: Iterable[RegionLink], *, alike: bool) -> str:
    """``Gujarat, Maharashtra and 6 more parts of India``: the smallest ones decided on, those of most people first.

    The area itself where most of its people live in them and they are ``alike``: all that is known of it is in that
    state. Else it would be down and back in one sentence.
    """
    links = parts(list(links))
    most = sum(link.population or 0 for link in links) > MOST_PEOPLE * (area.population or 0) > 0
    if alike and len(links) > 1 and most:
        return place_name(area)
    names = [place_name(link) for link in sorted(links, key=lambda link: -(link.population or 0))]
    left = len(names) - MOST_NAMED
    if left < 2:
        return listing(names, most=MOST_NAMED)
    return ngettext("{names} and {n} more part of {area}", "{names} and {n} more parts of {area}", left).format(
        names=_(", ").join(names[:MOST_NAMED]), n=formats.number(left), area=place_name(area)
    )


# --- where the reader is ----------------------------------------------------------------------------------------------


def here_verdict(local: ServiceStatus, region: RegionLink, whole: ServiceStatus, now: datetime) -> SafeString:
    """Whether the service is down in one region, in one sentence; ``local`` is its status there."""
    known = (*local.down, *local.restored, *local.silent)
    own = next((state for state in known if state.region == region), None)
    inside = [state for state in known if state.region != region]
    if inside:
        return _parts_verdict(local, region, own, inside, now)
    state, at = (own.state, own.since) if own else (local.state, None)
    if own is None and state == "unknown" and not whole.incident:
        sentence = _("We cannot say right now whether {service} works.")
    elif state == "down" and at:
        sentence = _("{service} is down in {region} since {since}.")
    elif state == "recovering":
        sentence = _("{service} is coming back in {region}: reports fall, but are not yet usual.")
    elif state == "restored" and at:
        sentence = _("{service} is back in {region} since {since}.")
    elif state == "unknown" and local.silent:
        sentence = _never_heard()
    elif state == "unknown":
        sentence = _("Too few reports from {region} to say whether {service} works there.")
    elif whole.echo_of and not whole.incident:
        sentence = _("{service} itself shows no outage in {region}: its reports follow that of {other}.")
    else:
        sentence = _("No outage of {service} is seen in {region} right now.")
    return format_html(
        sentence,
        service=local.link.name,
        region=place_name(region),
        since=moment(at, now) if at else "",
        other=whole.echo_of.name if whole.echo_of else "",
    )


def _never_heard() -> str:
    """Of a place that was silent when an outage ended: that nothing is seen there now does not mean that it is back."""
    return _("{service} was down in {region} today; too few reports have come since to say whether it is back there.")


def _parts_verdict(
    local: ServiceStatus, area: RegionLink, own: RegionState | None, inside: Sequence[RegionState], now: datetime
) -> SafeString:
    """Of an area with parts that were decided on, and perhaps as a whole (``own``) too.

    The worst is told first, whoever says it: a country that was found back says nothing against a part that is down.
    """
    of = {state: _in_state(inside, state) for state in (*_STATES, "unknown")}
    whole = own.state if own else None
    alike = {each.state for each in inside} | {whole or inside[0].state} == {inside[0].state}
    down, coming, back, silent = (_some_of(area, [each.region for each in there], alike=alike) for there in of.values())
    instants = [each.since for each in of["down"] if each.since]
    last = max((each.since for each in of["restored"] if each.since), default=None)
    number = len(parts([each.region for each in of["restored"]]))
    if own and whole == "down":
        down, instants = place_name(area), [own.since] if own.since else []
    elif own and whole == "recovering" and not down:
        coming = place_name(area)
    since = min(instants, default=None)
    if whole == "restored" and (down or coming):
        back = _("other parts of {country}").format(country=place_name(area))
    if down and back:
        sentence = _("{service} is down in {down} since {since}, and back in {back}.")
    elif down:
        sentence = _("{service} is down in {down} since {since}.")
    elif coming and back:
        sentence = _("{service} is coming back in {coming}, and is back in {back}.")
    elif whole == "recovering":
        sentence = _("{service} is coming back in {region}: reports fall, but are not yet usual.")
    elif coming:
        sentence = _("{service} is coming back in {coming}.")
    elif own and whole == "restored":
        sentence, back, last = _("{service} is back in {back} since {last}."), place_name(area), own.since
    elif back and (silent or whole == "unknown"):
        sentence = _("{service} is back in {back}.")
    elif back and number == 1:
        sentence = _("{service} is back in {back} since {last}.")
    elif back:
        sentence = _("{service} is back in {area}: in all {n} parts that were down, in the last of them since {last}.")
    elif local.silent:
        sentence = _never_heard()
    else:
        sentence = _("Too few reports from {area} to say whether {service} works there.")
    told = format_html(
        sentence,
        service=local.link.name,
        area=place_name(area),
        region=place_name(area),
        down=down,
        coming=coming,
        back=back,
        n=number,
        since=moment(since, now) if since else "",
        last=moment(last, now) if last else "",
    )
    if down or coming or not back:
        return told
    rest = _("other parts of {country}").format(country=place_name(area)) if whole == "unknown" else ""
    return _with_silence(told, local.link.name, silent or rest)


def _in_state(found: Sequence[RegionState], state: str) -> list[RegionState]:
    """Those in a state; none said to come back, or to be back, of which a part is in another."""
    there = [each for each in found if each.state == state]
    if state in ("down", "unknown"):
        return there
    return [
        each
        for each in there
        if all(other.state == state or each.region.code not in _lineage(other.region) for other in found)
    ]


def elsewhere_verdict(whole: ServiceStatus, region: RegionLink, now: datetime) -> SafeString:
    """What is the case outside the region, in one sentence; empty where nothing is, nor was."""
    if not whole.incident and not whole.countries:
        return SafeString("")
    outside = {state: _places_outside(whole, region, state) for state in (*_STATES, "unknown")}
    down, coming, back, silent = map(_some, outside.values())
    if down and back:
        sentence = _("Elsewhere, {service} is down in {down}, and back in {back}.")
    elif down:
        sentence = _("Elsewhere, {service} is down in {down}.")
    elif coming and back:
        sentence = _("Elsewhere, {service} is coming back in {coming}, and is back in {back}.")
    elif coming:
        sentence = _("Elsewhere, {service} is coming back in {coming}.")
    elif back:
        sentence = _("Elsewhere, {service} was down today and is back in {back}.")
        if whole.incident:
            sentence = _("Elsewhere, {service} is back in {back}.")
    elif silent:
        sentence = _("Too few reports from {region} to say whether {service} works there.")
        if not whole.incident:
            sentence = _never_heard()
    elif whole.state == "down" and whole.since and not whole.countries:
        sentence = _("In the world as a whole, {service} is down since {since}.")
    else:
        sentence = _("Elsewhere, no outage of {service} is seen.")
    return format_html(
        sentence,
        service=whole.link.name,
        down=down,
        coming=coming,
        back=back,
        region=silent,
        since=moment(whole.since, now) if whole.since else "",
    )


def _places_outside(whole: ServiceStatus, region: RegionLink, state: str) -> list[str]:
    country = region.code[:2]
    names = [place_name(each.region) for each in whole.countries if each.state == state and each.region.code != country]
    beside = [
        each
        for each in (*whole.down, *whole.restored, *whole.silent)
        if each.region.code[:2] == country and not _lies_in(each.region, region)
    ]
    own = status.region(country)
    # The country of which the region is a part tells of itself where it was decided on as a whole.
    if beside and own and own != region and together(beside) == state:
        names.insert(0, _("other parts of {country}").format(country=place_name(own)))
    return names


def _lies_in(link: RegionLink, region: RegionLink) -> bool:
    """Whether ``link`` is the region, lies in it, or holds it."""
    return region.code in _lineage(link) or link.code in _lineage(region)


def _lineage(link: RegionLink) -> list[str]:
    found, above = [link.code], link.parent
    while above and (parent := status.region(above)):
        found.append(above)
        above = parent.parent
    return found


def sibling_sentences(found: ServiceStatus, siblings: Sequence[ServiceStatus]) -> tuple[str, ...]:
    """What the other services of the provider do, while one of them, or this one, is not normal."""
    down, coming, fine = (
        [each.link.name for each in siblings if each.state == state] for state in ("down", "recovering", "normal")
    )
    told = []
    if down and found.state == "down":
        told.append(ngettext("{names} is down too.", "{names} are down too.", len(down)).format(names=listing(down)))
    elif down:
        told.append(
            ngettext(
                "{names}, of the same provider, is down.", "{names}, of the same provider, are down.", len(down)
            ).format(names=listing(down))
        )
    if coming and found.incident:
        told.append(_coming(coming))
    elif coming:
        told.append(
            ngettext(
                "{names}, of the same provider, is coming back.",
                "{names}, of the same provider, are coming back.",
                len(coming),
            ).format(names=listing(coming))
        )
    if fine and (found.incident or down or coming):
        told.append(
            ngettext("{names} shows no outage.", "{names} show no outage.", len(fine)).format(names=listing(fine))
        )
    return tuple(told)


def _coming(names: Sequence[str], *, most: int = 3) -> str:
    return ngettext("{names} is coming back.", "{names} are coming back.", len(names)).format(
        names=listing(names, most=most)
    )


def provider_verdict(name: str, services: Sequence[ServiceStatus]) -> str:
    """Which of a provider's services are down, in one sentence."""
    down = [each.link.name for each in services if each.state == "down"]
    coming = [each.link.name for each in services if each.state == "recovering"]
    if down:
        return ngettext("{names} is down right now.", "{names} are down right now.", len(down)).format(
            names=listing(down)
        )
    if coming:
        return _coming(coming)
    if any(each.state == "unknown" for each in services):
        return _("We cannot say right now whether all services of {provider} work.").format(provider=name)
    return _("No outage of a service of {provider} is seen right now.").format(provider=name)


# --- the home page ----------------------------------------------------------------------------------------------------


def home_verdict(home: HomeStatus, *, stale: bool) -> str:
    """What is down now, in one sentence. A site that has not looked does not say that nothing is down."""
    names, coming, silent = (
        [each.link.name for each in home.down if each.state == state] for state in ("down", "recovering", "unknown")
    )
    if len(names) > MOST_DOWN:
        return _("{n} services are down right now.").format(n=len(names))
    told = []
    if names:
        told.append(
            ngettext("{names} is down right now.", "{names} are down right now.", len(names)).format(
                names=listing(names)
            )
        )
    if coming:
        told.append(_coming(coming, most=2 if names else 3))
    if not told and stale:
        return _("We cannot say what is down right now.")
    if silent:
        # What fell silent while it was down is no more known to be down than to be back.
        told.append(
            ngettext(
                "Too few reports to say whether {names} is back.",
                "Too few reports to say whether {names} are back.",
                len(silent),
            ).format(names=listing(silent, most=2))
        )
    if not told:
        return _("Nothing is down right now.")
    return reduce(lambda first, second: _("{first} {second}").format(first=first, second=second), told)


def here_sentences(local: Sequence[ServiceStatus], region: RegionLink, *, stale: bool) -> tuple[str, ...]:
    """Which of the services that are down somewhere are down where the reader is; ``local`` are they, there."""
    names: dict[str, list[str]] = {}
    for each in local:
        names.setdefault(each.state, []).append(each.link.name)
    where = place_name(region)
    if not local:
        return () if stale else (_("Nothing is seen down in {region} either.").format(region=where),)
    found = []
    if down := names.get("down"):
        found.append(
            ngettext("In {region}, {names} is down.", "In {region}, {names} are down.", len(down)).format(
                region=where, names=listing(down)
            )
        )
    if coming := names.get("recovering"):
        found.append(
            ngettext(
                "In {region}, {names} is coming back.", "In {region}, {names} are coming back.", len(coming)
            ).format(region=where, names=listing(coming))
        )
    if back := names.get("restored"):
        found.append(
            ngettext("In {region}, {names} is back.", "In {region}, {names} are back.", len(back)).format(
                region=where, names=listing(back)
            )
        )
    if found:
        return tuple(found)
    if silent := names.get("unknown"):
        return (
            _("Too few reports from {region} to say whether {names} works there.").format(
                region=where, names=listing(silent)
            ),
        )
    return (_("None of it is seen in {region}.").format(region=where),)
