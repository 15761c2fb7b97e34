"""What a provider said about an incident, entered by hand or found by a program (``by`` is then nobody)."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from reports.detection.decisions import SignalKind
from reports.incidents import kinship, timeline
from reports.incidents.acting import is_open, locked, long_before, record, save, take_word_back, tell_engine
from reports.incidents.lifecycle import stop_vouching, undone_entry
from reports.incidents.timeline import EntryKind
from reports.models import Act, Heard, Incident, Region, Statement

_URL = URLValidator(schemes=["http", "https"])
# What the engine hears in a statement: an update may say anything, and a denial does not undo what people report.
_HEARD_AS = {
    Statement.Meaning.ACKNOWLEDGED: SignalKind.STATEMENT_DOWN,
    Statement.Meaning.RESTORED: SignalKind.STATEMENT_RESTORED,
}


def add_statement(
    incident_id: int,
    *,
    text: str,
    url: str = "",
    said_at: datetime,
    meaning: str = Statement.Meaning.UPDATE,
    region_code: str | None = None,
    by: User | None,
    now: datetime,
    heard: Heard | None = None,
) -> Statement:
    """The statement, recorded; the same one again is found, not added. ``heard``: the update that it was made of.

    The first statement of an incident is its acknowledgement, whatever it means. One that says ``restored`` reaches the
    engine while the incident is open, for its region or for all; one that admits the fault vouches for the incident.
    Nobody overwrites anybody with a statement: it asks for no revision.
    Raises ``ValidationError`` by field.
    """
    text, url = text.strip(), url.strip()
    region = Region.objects.filter(code=region_code).first() if region_code else None
    _check(text=text, url=url, said_at=said_at, meaning=meaning, region_code=region_code, region=region, now=now)
    with transaction.atomic():
        incident = locked(incident_id)
        if too_early := _too_early(incident, said_at, meaning):
            raise ValidationError({"said_at": too_early})
        words = Q(meaning=meaning, text=text, url=url, said_at=said_at, withdrawn_at=None)
        # An update that the page has changed since is still the one that was heard; what an administrator withdrew
        # is not brought back by hearing it again, only by hand.
        heard_before = Q(heard=heard) if by is None else Q(heard=heard, withdrawn_at=None)
        known = words if heard is None else words | heard_before
        same = Statement.objects.filter(known, incident=incident, region=region).first()
        if same:
            return same
        statement = Statement.objects.create(
            incident=incident,
            region=region,
            meaning=meaning,
            text=text,
            url=url,
            said_at=said_at,
            entered_at=now,
            entered_by=by,
            heard=heard,
        )
        timeline.write(
            [
                timeline.entry(
                    incident,
                    kind=EntryKind.STATEMENT,
                    at=said_at,
                    recorded_at=now,
                    region_id=region.pk if region else None,
                    facts={"meaning": meaning, "url": url},
                    statement=statement,
                    actor=by,
                )
            ]
        )
        word = _pass_on(incident, statement, now=now)
        facts = {"statement": statement.pk, "word": word, "meaning": meaning, "text": text[:200]}
        record(incident, Act.Kind.STATEMENT, by=by, at=now, facts=facts)
    return statement


def _pass_on(incident: Incident, statement: Statement, *, now: datetime) -> int | None:
    """Has the engine hear the statement, where it means something to it; the word."""
    kind = _HEARD_AS.get(Statement.Meaning(statement.meaning))
    if kind is None or not is_open(incident):
        return None
    word = tell_engine(incident, kind, at=statement.said_at, now=now, region=statement.region_id)
    word.statement = statement
    word.save(update_fields=["statement"])
    return word.pk


def withdraw(incident: Incident, act: Act, *, reason: str, by: User, at: datetime) -> None:
    """Takes a statement back, of a locked incident: it is kept and marked, and counts no more.

    Regions that were declared restored on its basis stay so; the timeline says how many.
    """
    statement = Statement.objects.select_for_update(of=("self",)).get(pk=act.facts["statement"])
    statement.withdrawn_at = at
    statement.save(update_fields=["withdrawn_at"])
    # The word was one on what it was merged into as well.
    teller = kinship.teller(incident)
    if not take_word_back(act.facts["word"]) and act.facts["word"] is not None and is_open(teller):
        if statement.meaning == Statement.Meaning.RESTORED:
            tell_engine(teller, SignalKind.STATEMENT_WITHDRAWN, at=at, now=at, region=statement.region_id)
            # What another statement says still holds.
            told = Statement.objects.filter(incident__in=kinship.told_in(teller.pk), withdrawn_at=None)
            for other in told.filter(meaning=statement.meaning):
                _pass_on(teller, other, now=at)
        else:
            stop_vouching(teller, at=at)
    entry = undone_entry(incident, act, reason=reason, by=by, at=at)
    entry.statement, entry.region_id = statement, statement.region_id
    if statement.meaning == Statement.Meaning.RESTORED:
        entry.facts["restored"] = teller.regions.filter(
            basis="statement", declared_at__gte=statement.entered_at, withdrawn_at=None
        ).count()
    timeline.write([entry])
    save(incident)


def _check(
    *,
    text: str,
    url: str,
    said_at: datetime,
    meaning: str,
    region_code: str | None,
    region: Region | None,
    now: datetime,
) -> None:
    errors: dict[str, str] = {}
    if not text:
        errors["text"] = _("What was said is required.")
    if url:
        try:
            _URL(url)
        except ValidationError:
            errors["url"] = _("Expected an address that begins with http:// or https://.")
        if len(url) > 500:
            errors["url"] = _("Expected at most 500 characters.")
    if said_at > now:
        errors["said_at"] = _("The time lies in the future.")
    if meaning not in Statement.Meaning.values:
        errors["meaning"] = _("Expected one of %(values)s.") % {"values": ", ".join(Statement.Meaning.values)}
    if region_code and region is None:
        errors["region"] = _("There is no region %(code)s.") % {"code": region_code}
    if errors:
        raise ValidationError(errors)


def _too_early(incident: Incident, said_at: datetime, meaning: str) -> str:
    if meaning == Statement.Meaning.RESTORED and said_at < incident.onset_at:
        return _("%(ref)s began at %(onset)s only: it cannot have been over before.") % {
            "ref": incident.ref,
            "onset": timeline.clock_time(incident.onset_at),
        }
    return long_before(incident, said_at)
