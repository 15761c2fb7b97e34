"""The first half of an article: how it began, how it was noticed, what failed, where and in what order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports.detection.outage import PEAK_MINUTES
from reports.status.article import wording
from reports.status.article.facts import WAVE_PAUSE, Wave
from reports.status.article.pieces import Part, Section, Sentence, joined
from reports.status.article.story import Story, section

MOST_PLACES = 5
MOST_WAVES = 4


def beginning(story: Story) -> Section:
    """When it began, and how sure that is."""
    return section("beginning", _("How it began"), _beginning(story))


def _beginning(story: Story) -> Iterator[Sentence]:
    facts, incident = story.facts, story.incident
    if facts.regions:
        first = facts.dated[0]
        onset = story.at(first.onset_at, story.sources.region(first))
        if first.onset_at == incident.onset_at:
            yield story.say(
                _("Reports from {region} began to exceed the ordinary at about {onset}.")
                if len(facts.regions) == 1
                else _("Reports from {region} were the first to exceed the ordinary, at about {onset}."),
                region=wording.place(first.region),
                onset=onset,
            )
        else:
            yield story.say(
                _(
                    "Taken together, reports exceeded the ordinary from about {whole} on; the first region by itself"
                    " was {region}, at about {onset}."
                ),
                whole=story.at(incident.onset_at, story.sources.record),
                region=wording.place(first.region),
                onset=onset,
            )
    if facts.before:
        source = story.sources.counts(facts.before)
        yield story.say(
            _("In the hour before, {place} had sent {reports} about {service}, against {expected} usually.")
            if facts.area.kind != "world"
            else _(
                "In the hour before, there had been {reports} about {service} worldwide, against {expected} usually."
            ),
            place=wording.place(facts.area),
            reports=wording.reports(facts.before.reports, source),
            service=story.service,
            expected=wording.expected(facts.before.expected, source),
        )
    yield story.say(
        _("The beginning is an estimate, reckoned back from the counts of each minute; we give no interval for it.")
    )


def detection(story: Story) -> Section:
    """When we decided, and on what figures."""
    return section("detection", _("How it was noticed"), _decided(story), _how_sure(story))


def _decided(story: Story) -> Iterator[Sentence]:
    facts, incident, sources = story.facts, story.incident, story.sources
    detected = story.at(incident.detected_at, sources.opening)
    late = incident.detected_at - incident.onset_at
    if late < timedelta(minutes=1):
        yield story.say(_("We decided at {detected} that this was an outage, within a minute."), detected=detected)
    else:
        yield story.say(
            _("We decided at {detected} that this was an outage, {length} after it began."),
            detected=detected,
            length=wording.length(late, sources.opening),
        )
    evidence, source = incident.evidence, sources.opening
    if evidence is None:
        return
    link = wording.region_called(evidence.region)
    parts: dict[str, Part] = {
        "reports": wording.reports(evidence.observed, source),
        "window": wording.minutes(evidence.window_minutes, source),
        "expected": wording.expected(evidence.expected, source),
    }
    if link is None or link.kind == "world":
        yield story.say(_("By then {reports} had come in within {window}, against {expected} usually."), **parts)
    else:
        yield story.say(
            _("By then {region} had sent {reports} within {window}, against {expected} usually."),
            region=wording.place(link),
            **parts,
        )
    if evidence.threshold:
        yield story.say(
            _("On an ordinary day, the chance of so many is {chance}."), chance=wording.chance(evidence.log10_p, source)
        )
    if evidence.networks is not None and evidence.observed > 1:
        yield story.say(
            ngettext("They came from {n} network.", "They came from {n} different networks.", evidence.networks),
            n=wording.count(evidence.networks, source),
        )
    if facts.regions_at_detection > 1:
        yield story.say(
            _("{regions} were over the bar in that same minute."),
            regions=wording.regions(facts.regions_at_detection, sources.timeline),
        )


def _how_sure(story: Story) -> Iterator[Sentence]:
    facts, incident, sources = story.facts, story.incident, story.sources
    if incident.review in ("rejected", "merged"):
        return
    if not facts.cause:
        yield story.say(
            _("We put the probability that it was an outage at {confidence}.")
            if facts.over
            else _("We put the probability that it is an outage at {confidence}."),
            confidence=wording.share(min(incident.confidence, 0.99), sources.confidence),
        )
    if facts.confirmed_at:
        yield story.say(
            _("An administrator confirmed it at {confirmed}."),
            confirmed=story.at(facts.confirmed_at, sources.timeline),
        )
    else:
        yield story.say(_("No administrator has reviewed it so far."))


# --- what failed ------------------------------------------------------------------------------------------------------


def failed(story: Story) -> Section:
    """What people said fails."""
    return section("failed", _("What failed"), _failed(story))


def _failed(story: Story) -> Iterator[Sentence]:
    problems, source = story.facts.problems, story.sources.problems
    if not problems.said:
        yield story.say(_("Nobody said what failed."))
        return
    (first, most), others = problems.named[0], problems.named[1:MOST_PLACES]
    said = wording.count(problems.said, source)
    if problems.said == 1:
        yield story.say(
            _("The one report that says what failed names {problem}."), problem=wording.problem(first, source)
        )
    elif most == problems.said:
        yield story.say(
            _("All {said} reports that say what failed name {problem}."),
            said=said,
            problem=wording.problem(first, source),
        )
    else:
        yield story.say(
            _("Of {said} reports that say what failed, {share} name {problem}."),
            said=said,
            share=wording.share(most / problems.said, source),
            problem=wording.problem(first, source),
        )
    if others:
        listed = [
            joined(
                "{problem} ({share})",
                problem=wording.problem(problem, source),
                share=wording.share(n / problems.said, source),
            )
            for problem, n in others
        ]
        yield story.say(_("Then come {problems}."), problems=wording.names(listed, most=MOST_PLACES))
    if problems.silent:
        yield story.say(
            ngettext("{n} report does not say.", "{n} further reports do not say.", problems.silent),
            n=wording.count(problems.silent, source),
        )


# --- where, and in what order -----------------------------------------------------------------------------------------


def spread(story: Story) -> Section:
    """Where it was, and in what order it got there."""
    return section("spread", _("Where, and in what order"), _extent(story), _order(story), _loudest(story))


def _extent(story: Story) -> Iterator[Sentence]:
    facts, sources = story.facts, story.sources
    if len(facts.regions) == 1 and facts.people:
        yield story.say(
            _("{region}, home to about {people} people, was the only region affected.")
            if facts.over
            else _("{region}, home to about {people} people, is the only region affected so far."),
            region=wording.beginning(story.place(facts.regions[0])),
            people=wording.people(facts.people, sources.people),
        )
    elif not facts.people:
        yield story.say(_("It shows in the reports of the world as a whole, and in no single region for itself."))
    else:
        yield story.say(
            _("It went down in {where}, home to about {people} people."),
            where=story.where(facts.regions),
            people=wording.people(facts.people, sources.people),
        )
        whole = facts.area.population
        if whole and facts.people <= whole:
            yield story.say(
                _("That is {share} of the people of the world.")
                if facts.area.kind == "world"
                else _("That is {share} of the people of {area}."),
                share=wording.share(facts.people / whole, sources.people),
                area=wording.place(facts.area),
            )


def _order(story: Story) -> Iterator[Sentence]:
    facts, sources = story.facts, story.sources
    if len(facts.regions) < 2:
        return
    first, last = facts.dated[0], facts.dated[-1]
    if first.onset_at == last.onset_at:
        yield story.say(_("All of it went down at about {onset}."), onset=story.at(first.onset_at, sources.regions))
        return
    yield story.say(
        _("{first} went down first, at about {begun}, and {last} last, at about {ended}."),
        first=wording.beginning(story.place(first)),
        begun=story.at(first.onset_at, sources.region(first)),
        last=story.place(last),
        ended=story.at(last.onset_at, sources.region(last)),
    )
    if len(facts.countries) > 1:
        countries = {each.country.code: each.country for each in facts.countries}
        reached = {row.region.code[:2]: row.onset_at for row in reversed(facts.dated)}
        listed = [
            joined(
                "{country} ({onset})",
                country=wording.place(countries[code], sources.regions),
                onset=story.at(reached[code], sources.regions),
            )
            for code in dict.fromkeys(row.region.code[:2] for row in facts.dated)
            if code in countries
        ]
        yield story.say(_("It reached {countries}."), countries=wording.names(listed, most=MOST_PLACES))
    half, most = facts.down.half_at, facts.down.most_at
    if half and most and len(facts.regions) > 3:
        yield story.say(
            _("Half of the people affected lived where it was down by {half}, and 90 % by {most}.")
            if half != most
            else _("By {most} it was down for 90 % of the people affected."),
            half=story.at(half, sources.people),
            most=story.at(most, sources.people),
        )
    yield from _in_waves(story)


def _in_waves(story: Story) -> Iterator[Sentence]:
    waves, source = story.facts.waves, story.sources.regions
    if len(waves) < 2:
        return
    number = wording.count(len(waves), source)
    pause = wording.length(WAVE_PAUSE)
    if len(waves) > MOST_WAVES:
        yield story.say(_("It spread in {n} waves, at least {pause} apart."), n=number, pause=pause)
        return
    yield story.say(
        _("It spread in {n} waves, at least {pause} apart: {waves}."),
        n=number,
        pause=pause,
        waves=wording.names([_wave(story, wave) for wave in waves], most=MOST_WAVES),
    )


def _wave(story: Story, wave: Wave) -> Part:
    source = story.sources.regions
    parts: dict[str, Part] = {
        "regions": wording.regions(len(wave.regions), source),
        "start": story.at(wave.start, source),
        "end": story.at(wave.end, source),
    }
    if wave.start == wave.end:
        return joined(_("{regions} at {start}"), regions=parts["regions"], start=parts["start"])
    return joined(_("{regions} from {start} to {end}"), **parts)


def _loudest(story: Story) -> Iterator[Sentence]:
    facts, incident, sources = story.facts, story.incident, story.sources
    if len(facts.countries) > 1:
        places = [(each.country, each.reports) for each in facts.countries]
    else:
        places = sorted(((row.region, row.reports) for row in facts.regions), key=lambda pair: -pair[1])
    listed = [
        joined(
            "{place} ({reports})",
            place=wording.place(link, sources.regions),
            reports=wording.count(reports, sources.regions),
        )
        for link, reports in places[:MOST_PLACES]
        if reports
    ]
    if len(places) > 1 and listed:
        yield story.say(_("Most reports came from {places}."), places=wording.names(listed, most=MOST_PLACES))
    if incident.peak_at and incident.peak_reports:
        yield story.say(
            _("At its height, at {peak}, {reports} came in within {window} worldwide."),
            peak=story.at(incident.peak_at, sources.record),
            reports=wording.reports(incident.peak_reports, sources.record),
            window=wording.minutes(PEAK_MINUTES),
        )
