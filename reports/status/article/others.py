"""What others did and said meanwhile: the provider's other services, and the provider."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports.models import Statement
from reports.status.answers import SiblingFigures, StatementFacts
from reports.status.article import wording
from reports.status.article.facts import LEAST_USUAL
from reports.status.article.pieces import Part, Section, Sentence
from reports.status.article.story import Story, section

MOST_QUOTES = 6


def siblings(story: Story) -> Section:
    """Which others of the provider went down with it, and which did not."""
    heading = _("Other services of {provider}").format(provider=story.provider.text)
    return section("siblings", heading, _kin(story), _checked(story), _scope(story))


def _kin(story: Story) -> Iterator[Sentence]:
    figures = {sibling.service.slug: sibling for sibling in story.incident.siblings}
    for kin in story.facts.kin:
        source = story.sources.incident(kin.ref)
        parts: dict[str, Part] = {
            "service": wording.service(kin.service, source),
            "onset": story.at(kin.onset_at, source),
            "ref": wording.incident(kin.ref, source),
        }
        if kin.over and kin.back_at:
            yield story.say(
                _("{service} went down too, from about {onset} on; the last of it was back at {end} ({ref})."),
                end=story.at(kin.back_at, source),
                **parts,
            )
        elif kin.over:
            yield story.say(_("{service} went down too, from about {onset} on ({ref})."), **parts)
        else:
            yield story.say(_("{service} is down too, since about {onset} ({ref})."), **parts)
        if found := figures.get(kin.service.slug):
            yield story.say(
                _("When it was checked, it had {reports} within {window}, against {expected} usually."),
                **_sibling_figures(story, found),
            )


def _sibling_figures(story: Story, found: SiblingFigures) -> dict[str, Part]:
    source = story.sources.siblings
    return {
        "reports": wording.reports(found.observed, source),
        "window": wording.minutes(found.window_minutes, source),
        "expected": wording.expected(found.expected, source),
    }


def _checked(story: Story) -> Iterator[Sentence]:
    facts = story.facts
    kin = {each.service.slug for each in facts.kin}
    checked = [sibling for sibling in story.incident.siblings if sibling.service.slug not in kin]
    for found in checked:
        parts = _sibling_figures(story, found)
        if found.state == "echo":
            template = _("{service} showed an echo: {reports} within {window}, against {expected} usually.")
        elif found.state != "normal":
            template = _("{service} rose too: {reports} within {window}, against {expected} usually.")
        elif found.expected < LEAST_USUAL:
            template = _(
                "{service} showed no rise, with {reports} within {window} against {expected} usually; that is too"
                " little to say more."
            )
        else:
            template = _(
                "{service} was checked and found normal: {reports} within {window}, against {expected} usually."
            )
        yield story.say(template, service=wording.service(found.service), **parts)
    told = {sibling.service.slug for sibling in checked if sibling.state == "echo"}
    for echo in facts.echoes:
        if echo.get("service") not in told:
            yield _echoed(story, echo)
    if not (checked or facts.kin or facts.echoes):
        number = wording.count(facts.siblings_watched, story.sources.catalogue)
        if facts.siblings_watched:
            yield story.say(
                ngettext(
                    "We watch {n} other service of {provider}; nothing was noted of it.",
                    "We watch {n} other services of {provider}; nothing was noted of them.",
                    facts.siblings_watched,
                ),
                n=number,
                provider=story.provider,
            )
        else:
            yield story.say(_("We watch {n} other services of {provider}."), n=number, provider=story.provider)


def _echoed(story: Story, echo: dict[str, Any]) -> Sentence:
    source = story.sources.timeline
    name = str(echo.get("name") or echo.get("service", ""))
    if "observed" not in echo:
        return story.say(_("Reports about {service} rose with it: an echo, not an outage of its own."), service=name)
    return story.say(
        _(
            "Reports about {service} rose with it, to {n} within {window} against {expected} usually: an echo, not an"
            " outage of its own."
        ),
        service=name,
        n=wording.count(int(echo["observed"]), source),
        window=wording.minutes(int(echo["window_minutes"]), source),
        expected=wording.expected(float(echo["expected"]), source),
    )


def _scope(story: Story) -> Iterator[Sentence]:
    facts, scope = story.facts, story.incident.scope
    if facts.upstream:
        name, ref = facts.upstream
        yield story.say(
            _(
                "{name}, the network that people reach it by, was down in the same places ({ref}): that may be the"
                " cause."
            )
            if scope == "network"
            else _("{name}, which it depends on, was down in the same places ({ref}): that may be the cause."),
            name=name,
            ref=wording.incident(ref, story.sources.incident(ref)),
        )
    elif scope == "provider-wide":
        yield story.say(_("That is every service of {provider} that we watch."), provider=story.provider)
    elif scope == "network":
        yield story.say(_("It followed a network rather than a service."))
    elif scope == "upstream suspected":
        yield story.say(_("Something that several services depend on may have failed."))


def statements(story: Story) -> Section:
    """What the provider said, when, and how late after the crowd."""
    heading = _("What {provider} said").format(provider=story.provider.text)
    return section("statements", heading, _first_word(story), _words(story))


def _first_word(story: Story) -> Iterator[Sentence]:
    facts, incident = story.facts, story.incident
    if not incident.statements:
        yield story.say(
            _("We know of no statement by {provider} about it.")
            if facts.over
            else _("So far, we know of no statement by {provider} about it."),
            provider=story.provider,
        )
        return
    first = incident.statements[0]
    source = story.sources.statement(first)
    after, late = first.said_at - incident.onset_at, first.said_at - incident.detected_at
    parts: dict[str, Part] = {
        "provider": story.provider,
        "said": story.at(first.said_at, source),
        "after": wording.length(after, source),
        "late": wording.length(late, source),
    }
    if after < timedelta(0):
        template = _("{provider} first spoke at {said}, {after} before reports began to rise.")
    elif late < timedelta(0):
        template = _("{provider} first spoke at {said}, {after} after it began and {late} before we had decided.")
    elif late < timedelta(minutes=1):
        template = _("{provider} first spoke at {said}, {after} after it began, in the minute in which we decided.")
    else:
        template = _("{provider} first spoke at {said}: {after} after it began, and {late} after we had decided.")
    yield story.say(template, **parts)


def _words(story: Story) -> Iterator[Sentence]:
    said = story.incident.statements
    for statement in said[:MOST_QUOTES]:
        yield _word(story, statement)
    left = len(said) - MOST_QUOTES
    if left > 0:
        yield story.say(
            ngettext("{n} more statement is on the incident’s page.", "{n} more are on the incident’s page.", left),
            n=wording.count(left, story.sources.statements),
        )


def _word(story: Story, statement: StatementFacts) -> Sentence:
    source = story.sources.statement(statement)
    if statement.region is not None:
        template = _("At {said}, of {region}: {quote}")
    else:
        template = {
            Statement.Meaning.ACKNOWLEDGED.value: _("At {said}, acknowledging it: {quote}"),
            Statement.Meaning.RESTORED.value: _("At {said}, declaring it over: {quote}"),
            Statement.Meaning.DENIED.value: _("At {said}, denying an outage: {quote}"),
        }.get(statement.meaning, _("At {said}: {quote}"))
    return story.say(
        template,
        said=story.at(statement.said_at, source),
        region=wording.place(statement.region) if statement.region else "",
        quote=wording.quote(statement.text, source),
    )
