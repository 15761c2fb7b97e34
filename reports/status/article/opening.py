"""The beginning of an article: the headline, and the lead that tells what, where, when and how long."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _

from reports.status.article import wording
from reports.status.article.facts import Facts, Kin
from reports.status.article.pieces import Part, Pen, Sentence
from reports.status.article.story import Story


def headline(facts: Facts) -> Sentence:
    """The whole in one line. It cites nothing: the lead says the same with its sources."""
    story, pen = Story(facts), Pen()
    return pen.say(
        _headline(facts),
        service=story.service.text,
        day=wording.day(facts.incident.onset_at),
        where=story.where(facts.regions),
        length=wording.length(facts.end - facts.incident.onset_at),
        other=facts.cause.service.name if facts.cause else "",
        ref=facts.cause.ref if facts.cause else "",
    )


def _headline(facts: Facts) -> str:
    incident = facts.incident
    if incident.review == "rejected":
        return _("No outage of {service} on {day} after all")
    if incident.review == "merged":
        return _("The outage of {service} on {day} is told in {ref}") if facts.cause else _("An outage of {service}")
    if facts.cause:
        return _("{service} was not down: its reports followed the outage of {other}")
    if not facts.over:
        if not facts.affected and facts.restored:
            return _("{service} seems to be back in {where}, after an outage")
        if facts.restored:
            return _("{service} is coming back after an outage in {where}")
        return _("{service} is down in {where}, for {length} so far")
    if not facts.restored:
        return _("{service} was down in {where}; when it came back is not known")
    if facts.unknown:
        return _("{service} was down in {where} on {day}")
    return _("{service} was down in {where} for {length}")


def lead(story: Story) -> Iterator[Sentence]:
    """What, where, when, how long."""
    facts, incident, sources = story.facts, story.incident, story.sources
    if incident.review == "rejected":
        yield from _rejected(story)
        return
    if incident.review == "merged":
        yield from _merged(story)
        return
    if facts.cause:
        yield from _echo(story, facts.cause)
        return
    parts: dict[str, Part] = {
        "service": story.service,
        "provider": story.provider,
        "where": wording.where_mostly(
            [row.region for row in facts.regions], [each.country for each in facts.countries], sources.regions
        ),
        "day": wording.day(incident.onset_at, sources.record),
        "onset": story.at(incident.onset_at, sources.record),
    }
    named = story.service.text != story.provider.text
    if facts.over:
        yield story.say(
            _("On {day}, {service}, which {provider} runs, was down in {where}.")
            if named
            else _("On {day}, {service} was down in {where}."),
            **parts,
        )
        yield _course(story)
    else:
        yield story.say(
            _("Since about {onset} on {day}, {service}, which {provider} runs, has been down in {where}.")
            if named
            else _("Since about {onset} on {day}, {service} has been down in {where}."),
            **parts,
        )
        yield story.say(
            _("That is {length} so far, by what is known at {now}."),
            length=wording.length(facts.end - incident.onset_at, sources.record),
            now=story.at(facts.as_of),
        )
        yield from _so_far(story)
    if facts.people:
        people = wording.people(facts.people, sources.people)
        yield story.say(
            _("About {people} people live where it was down.")
            if facts.over
            else _("About {people} people live in the regions affected."),
            people=people,
        )
    yield _counted(story)


def _course(story: Story) -> Sentence:
    facts, incident, sources = story.facts, story.incident, story.sources
    onset = story.at(incident.onset_at, sources.record)
    if not facts.restored:
        return story.say(
            _("It began at about {onset}. When it ended is not known: too few reports came in to say."), onset=onset
        )
    end = facts.restored[-1].restored_at
    assert end is not None
    if facts.unknown:
        return story.say(
            _("It began at about {onset}; the last region of which we can tell was back at {end}, {length} later."),
            onset=onset,
            end=story.at(end, sources.region(facts.restored[-1])),
            length=wording.length(end - incident.onset_at, sources.region(facts.restored[-1])),
        )
    return story.say(
        _("It began at about {onset} and was over at {end}, {length} later."),
        onset=onset,
        end=story.at(facts.end, sources.record),
        length=wording.length(facts.end - incident.onset_at, sources.record),
    )


def _so_far(story: Story) -> Iterator[Sentence]:
    facts, source = story.facts, story.sources.regions
    back, left, unknown = len(facts.restored), len(facts.affected), len(facts.unknown)
    if not back:
        return
    if left:
        yield story.say(
            _("It is back in {back}, and not yet in {left}."),
            back=wording.regions(back, source),
            left=wording.regions(left, source),
        )
        if unknown:
            yield story.say(_("From {unknown} too little is heard to say."), unknown=wording.regions(unknown, source))
    elif unknown:
        yield story.say(
            _("It is back in {back}; from {unknown} too little is heard to say."),
            back=wording.regions(back, source),
            unknown=wording.regions(unknown, source),
        )
    else:
        yield story.say(_("It is back everywhere, as far as we can tell, and we go on watching."))


def _counted(story: Story) -> Sentence:
    incident, source = story.incident, story.sources.record
    return story.say(
        _("We counted {reports} that it was down, and {working} that it worked again.")
        if incident.working
        else _("We counted {reports} that it was down."),
        reports=wording.reports(incident.reports, source),
        working=wording.count(incident.working, source),
    )


def _rejected(story: Story) -> Iterator[Sentence]:
    facts, incident, source = story.facts, story.incident, story.sources.timeline
    yield story.say(
        _("What looked like an outage of {service} on {day} was none."),
        service=story.service,
        day=wording.day(incident.onset_at, story.sources.record),
    )
    if facts.closed_at:
        yield story.say(
            _("An administrator rejected it at {closed}, for this reason: {reason}")
            if incident.rejected_reason
            else _("An administrator rejected it at {closed}."),
            closed=story.at(facts.closed_at, source),
            reason=wording.quote(incident.rejected_reason, source),
        )
    yield _counted(story)


def _merged(story: Story) -> Iterator[Sentence]:
    facts, incident = story.facts, story.incident
    parts: dict[str, Part] = {
        "service": story.service,
        "day": wording.day(incident.onset_at, story.sources.record),
    }
    if facts.cause:
        other = wording.incident(facts.cause.ref, story.sources.incident(facts.cause.ref))
        yield story.say(
            _("What was found of {service} on {day} belongs to another incident, {other}, and is told there."),
            other=other,
            **parts,
        )
    else:
        yield story.say(_("What was found of {service} on {day} belongs to another incident."), **parts)
    if facts.closed_at:
        yield story.say(_("The two were made one at {closed}."), closed=story.at(facts.closed_at, story.sources.record))


def _echo(story: Story, cause: Kin) -> Iterator[Sentence]:
    facts, incident = story.facts, story.incident
    yield story.say(
        _("On {day}, reports about {service} rose in {where}."),
        day=wording.day(incident.onset_at, story.sources.record),
        service=story.service,
        where=story.where(facts.regions),
    )
    yield story.say(
        _(
            "They follow the outage of {other} ({ref}): people report the service that they see, not the one that"
            " fails."
        ),
        other=wording.service(cause.service),
        ref=wording.incident(cause.ref, story.sources.incident(cause.ref)),
    )
    yield _counted(story)
