"""The second half of an article: how it came back and how long it was, what nobody knows, what could be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from reports.models import Statement
from reports.status.answers import RegionalOutageStatus
from reports.status.article import wording
from reports.status.article.facts import InCountry, Window, half_back, length, middle
from reports.status.article.pieces import Paragraph, Part, Section, Sentence, joined
from reports.status.article.story import Story, section

MOST_COUNTRIES = 6
MOST_SETBACKS = 3


# --- restoration ------------------------------------------------------------------------------------------------------


def restoration(story: Story) -> Section:
    """Which region came back first and which last, and when most people had it back."""
    return section(
        "restoration", _("How it came back"), _ends(story), _reach(story), Paragraph((*_by_country(story),), "list")
    )


def _ends(story: Story) -> Iterator[Sentence]:
    facts = story.facts
    restored = facts.restored
    if not restored:
        yield story.say(
            _("Of no region do we know when it came back.") if facts.over else _("No region is back so far.")
        )
        return
    first, last = restored[0], restored[-1]
    if len(restored) == 1:
        yield _back(story, first, _("{region} was back at about {back}, {length} after the beginning."))
        yield from _grounds(story, first)
        return
    yield _back(story, first, _("{region} was back first, at about {back}, {length} after the beginning."))
    yield from _grounds(story, first)
    yield _back(
        story,
        last,
        _("{region} was back last, at about {back}, {length} after the beginning.")
        if not facts.affected and not facts.unknown
        else _("{region} was the last of which we can tell, at about {back}, {length} after the beginning.")
        if not facts.affected
        else _("The latest so far is {region}, at about {back}, {length} after the beginning."),
        initial=not facts.affected,
    )
    yield from _grounds(story, last)


def _back(story: Story, row: RegionalOutageStatus, template: str, *, initial: bool = True) -> Sentence:
    assert row.restored_at is not None
    source, place = story.sources.region(row), story.place(row)
    return story.say(
        template,
        region=wording.beginning(place) if initial else place,
        back=story.at(row.restored_at, source),
        length=wording.length(row.restored_at - story.incident.onset_at, source),
    )


def _grounds(story: Story, row: RegionalOutageStatus) -> Iterator[Sentence]:
    """The interval of a restoration and what it rests on."""
    source = story.sources.region(row)
    parts: dict[str, Part] = {"provider": story.provider}
    if row.restored_low and row.restored_high and row.restored_low < row.restored_high:
        parts |= {"low": story.at(row.restored_low, source), "high": story.at(row.restored_high, source)}
        template = {
            "votes": _("With 90 % confidence it was between {low} and {high}: people there said that it worked again."),
            "rate": _(
                "With 90 % confidence it was between {low} and {high}: reports from there had fallen back to the usual."
            ),
            "statement": _("With 90 % confidence it was between {low} and {high}: {provider} had said so."),
        }.get(row.basis, _("With 90 % confidence it was between {low} and {high}: an administrator said so."))
    else:
        template = {
            "votes": _("People there said that it worked again."),
            "rate": _("Reports from there had fallen back to the usual."),
            "statement": _("{provider} had said so."),
        }.get(row.basis, _("An administrator said so."))
    yield story.say(template, **parts)


def _reach(story: Story) -> Iterator[Sentence]:
    facts, source = story.facts, story.sources.people
    back = facts.back
    if len(facts.regions) > 1 and facts.restored:
        if back.half_at and back.most_at:
            yield story.say(
                _("It was back for half of the people affected by {half}, and for 90 % by {most}.")
                if back.half_at != back.most_at
                else _("By {most} it was back for 90 % of the people affected."),
                half=story.at(back.half_at, source),
                most=story.at(back.most_at, source),
            )
        elif back.half_at:
            yield story.say(
                _("It was back for half of the people affected by {half}."), half=story.at(back.half_at, source)
            )
        if facts.people and (facts.affected or facts.unknown):
            yield story.say(
                _("As far as we can tell, it came back for {share} of the people affected.")
                if facts.over
                else _("So far it is back for {share} of the people affected."),
                share=wording.share(back.share, source),
            )
    if len(facts.restored) > 2:
        yield _bases(story)


def _bases(story: Story) -> Sentence:
    source = story.sources.regions
    numbers = Counter(row.basis for row in story.facts.restored)
    words = {
        "votes": _("people’s word that it works again ({n})"),
        "rate": _("the fall of reports to the usual ({n})"),
        "statement": _("the provider’s word ({n})"),
        "admin": _("an administrator’s word ({n})"),
    }
    listed = [
        joined(words.get(basis, words["admin"]), n=wording.count(n, source)) for basis, n in numbers.most_common()
    ]
    return story.say(_("The grounds for that are {grounds}."), grounds=wording.names(listed, most=4))


def _by_country(story: Story) -> Iterator[Sentence]:
    facts = story.facts
    if len(facts.countries) < 2:
        return
    back = [found for found in facts.countries[:MOST_COUNTRIES] if found.restored]
    for found in sorted(back, key=lambda found: found.restored[0].restored_at or facts.end):
        if sentence := _in_country(story, found):
            yield sentence


def _in_country(story: Story, found: InCountry) -> Sentence | None:
    restored, source = found.restored, story.sources.regions
    if not restored:
        return None
    first, last = restored[0].restored_at, restored[-1].restored_at
    assert first is not None
    assert last is not None
    parts: dict[str, Part] = {
        "country": wording.place(found.country, source),
        "regions": wording.regions(len(found.regions), source),
        "back": wording.count(len(restored), source),
        "first": story.at(first, source),
        "last": story.at(last, source),
    }
    if len(found.regions) == 1:
        parts["country"] = wording.beginning(wording.place(found.regions[0].region, source))
        return story.say(_("{country} was back at {first}."), **parts)
    if len(restored) < len(found.regions):
        if len(restored) == 1:
            return story.say(_("In {country}, {back} of {regions} is known to be back, since {first}."), **parts)
        return story.say(
            _(
                "In {country}, {back} of {regions} are known to be back, the first since {first}, the latest since"
                " {last}."
            ),
            **parts,
        )
    if first == last:
        return story.say(_("In {country}, all {regions} were back at {first}."), **parts)
    return story.say(_("In {country}, the first of {regions} was back at {first} and the last at {last}."), **parts)


def setbacks(story: Story) -> Section:
    """Restorations that did not hold."""
    return section("setbacks", _("Setbacks"), _setbacks(story))


def _setbacks(story: Story) -> Iterator[Sentence]:
    rows = [row for row in story.facts.regions if row.relapses]
    number = sum(len(row.relapses) for row in rows)
    if number > 1:
        source = story.sources.regions
        yield story.say(
            _("{n} restorations did not hold, in {regions}."),
            n=wording.count(number, source),
            regions=wording.regions(len(rows), source),
        )
    for row in rows[:MOST_SETBACKS]:
        relapse, source = row.relapses[0], story.sources.region(row)
        yield story.say(
            _("In {region} it seemed to be back at {back}, and was down again at {again}."),
            region=story.place(row),
            back=story.at(relapse.restored_at, source),
            again=story.at(relapse.reopened_at, source),
        )


# --- duration, and what is not known ----------------------------------------------------------------------------------


def duration(story: Story) -> Section:
    """How long it was, as a whole and in single regions."""
    return section("duration", _("How long it lasted"), _duration(story))


def _duration(story: Story) -> Iterator[Sentence]:
    facts, incident, sources = story.facts, story.incident, story.sources
    restored = facts.restored
    if facts.over and len(facts.regions) == 1 and restored:
        # The lead has told it.
        return
    if not facts.over:
        yield story.say(
            _("So far it has lasted {length}."),
            length=wording.length(facts.end - incident.onset_at, sources.record),
        )
    elif not restored:
        yield story.say(_("How long it lasted is not known."))
    elif restored[-1].restored_at:
        source = sources.region(restored[-1]) if facts.unknown else sources.record
        end = restored[-1].restored_at if facts.unknown else facts.end
        yield story.say(
            _("From the beginning to the return of the last region that we can tell of, it lasted {length}.")
            if facts.unknown
            else _("From the beginning to the return of the last region, it lasted {length}."),
            length=wording.length(end - incident.onset_at, source),
        )
    if len(restored) > 2:
        # Half of all: whoever is not back, or was never heard, was down for longer than any of these as far as we know.
        half = half_back(facts.regions)
        yield story.say(
            _("Half of the regions were back within {length} of going down.")
            if half is not None
            else _("Of the regions that are back, half were so within {length} of going down."),
            length=wording.length(middle(restored, length) if half is None else half, sources.regions),
        )
    if len(restored) > 1:
        dated = [row for row in facts.dated if row.restored_at] or restored
        shortest, longest = min(dated, key=length), max(dated, key=length)
        if length(shortest) != length(longest):
            yield story.say(
                _("It was shortest in {least} ({short}) and longest in {most} ({long}).")
                if len(restored) == len(facts.regions)
                else _(
                    "Where we know when it came back, it was shortest in {least} ({short}) and longest in {most}"
                    " ({long})."
                )
                if facts.over
                else _("Where it is back so far, it was shortest in {least} ({short}) and longest in {most} ({long})."),
                least=story.place(shortest),
                short=wording.length(length(shortest), sources.region(shortest)),
                most=story.place(longest),
                long=wording.length(length(longest), sources.region(longest)),
            )


def unknown(story: Story) -> Section:
    """What the reports cannot tell."""
    return section("unknown", _("What remains unknown"), _silent(story), _uncertain(story))


def _silent(story: Story) -> Iterator[Sentence]:
    facts, sources = story.facts, story.sources
    if facts.unknown:
        yield story.say(
            _("Too few reports came from {where} to say when it was back there.")
            if facts.over
            else _("Too little is heard from {where} to say whether it is back there."),
            where=story.where(facts.unknown),
        )
    if facts.early:
        yield story.say(
            ngettext(
                "In {n} region the beginning was reckoned, from few reports, to lie before that of the whole.",
                "In {n} regions the beginning was reckoned, from few reports, to lie before that of the whole.",
                len(facts.early),
            ),
            n=wording.count(len(facts.early), sources.regions),
        )
    rows = [row for row in facts.restored if row.restored_low and row.restored_high and row.basis != "admin"]
    if len(rows) > 2:
        widest = max(rows, key=_width)
        yield story.say(
            _("Times of restoration are estimates: half of their 90 % intervals are at most {middle} wide."),
            middle=wording.length(middle(rows, _width), sources.regions),
        )
        yield story.say(
            _("The widest, {width}, is that of {region}."),
            width=wording.length(_width(widest), sources.region(widest)),
            region=story.place(widest),
        )
    for gap in facts.gaps:
        window = Window(story.incident.service, facts.area, gap.start, gap.end, 0, gap.due, gap.due)
        yield story.say(
            _(
                "From {start} to {end} nothing at all was counted, though some {due} reports about all services were"
                " due."
            ),
            start=story.at(gap.start, sources.counts(window)),
            end=story.at(gap.end, sources.counts(window)),
            due=wording.expected(round(gap.due)),
        )


def _width(row: RegionalOutageStatus) -> timedelta:
    assert row.restored_low is not None
    assert row.restored_high is not None
    return row.restored_high - row.restored_low


def _uncertain(story: Story) -> Iterator[Sentence]:
    facts, incident, sources = story.facts, story.incident, story.sources
    explained = any(said.meaning != Statement.Meaning.DENIED.value for said in incident.statements)
    yield story.say(
        _("What caused it, reports cannot tell.")
        if explained
        else _("What caused it, reports cannot tell, and of the provider we know no word on it."),
    )
    left = 1 - min(incident.confidence, 0.99)
    if not facts.confirmed_at and facts.cause is None and left >= 0.005:
        yield story.say(
            _("There remains a probability of {left} that it was no outage at all."),
            left=wording.share(left, sources.confidence),
        )
    yield story.say(
        _(
            "Numbers of people are estimates: whoever lives in a region that was down counts, whether or not they"
            " noticed."
        ),
    )
    yield story.say(
        _("All counts, minute by minute, can be had as {file}, to reckon it anew."),
        file=wording.words(_("a file"), sources.export),
    )


# --- what could be used meanwhile -------------------------------------------------------------------------------------


def meanwhile(story: Story) -> Section:
    """Services that showed no outage, for whoever could not wait."""
    facts = story.facts
    heading = _("What could be used meanwhile") if facts.over else _("What can be used meanwhile")
    if not facts.alternatives:
        return section("meanwhile", heading, [_none(story)])
    own = [window for window in facts.alternatives if window.same_provider]
    others = [window for window in facts.alternatives if not window.same_provider]
    paragraphs: list[Paragraph] = []
    world = facts.area.kind == "world"
    for windows, template in (
        (
            own,
            _("Of {provider}’s other services, these showed no outage anywhere while {service} was down:")
            if world
            else _("Of {provider}’s other services, these showed no outage in {area} while {service} was down:"),
        ),
        (
            others,
            _("Of other services of its kind ({kind}), these showed no outage anywhere in the same time:")
            if world
            else _("Of other services of its kind ({kind}), these showed no outage in {area} in the same time:"),
        ),
    ):
        if windows:
            intro = story.say(
                template,
                provider=story.provider,
                service=story.service,
                area=wording.place(facts.area),
                kind=story.incident.service.category_name,
            )
            paragraphs.append(Paragraph((intro,)))
            paragraphs.append(Paragraph(tuple(_alternative(story, window) for window in windows), "list"))
    return section("meanwhile", heading, *paragraphs, _caution(story))


def _none(story: Story) -> Sentence:
    return story.say(
        _(
            "Of no other service of {provider}, nor of any of its kind ({kind}), are there enough reports to say that"
            " it was up."
        ),
        provider=story.provider,
        kind=story.incident.service.category_name,
    )


def _alternative(story: Story, window: Window) -> Sentence:
    source = story.sources.counts(window)
    return story.say(
        _("{service}: {reports}, against {expected} usually; a rise that follows this outage, and none of its own.")
        if window.echo
        else _("{service}: {reports}, against {expected} usually."),
        service=wording.service(window.service, source),
        reports=wording.reports(window.reports, source),
        expected=wording.expected(window.expected, source),
    )


def _caution(story: Story) -> Iterator[Sentence]:
    facts = story.facts
    if facts.more_alternatives:
        yield story.say(
            ngettext(
                "{n} more service showed none either.",
                "{n} more services showed none either.",
                facts.more_alternatives,
            ),
            n=wording.count(facts.more_alternatives),
        )
    if facts.too_quiet:
        yield story.say(
            ngettext(
                "Of {n} more, too little is usually heard to say.",
                "Of {n} more, too little is usually heard to say.",
                facts.too_quiet,
            ),
            n=wording.count(facts.too_quiet),
        )
    yield story.say(_("That their reports stayed within the usual is no promise that they worked for everybody."))
