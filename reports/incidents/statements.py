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
from reports.incidents import timeline
from reports.incidents.lifecycle import locked, long_before
from reports.incidents.timeline import EntryKind
from reports.models import Heard, Incident, Region, Statement, Word

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
    Raises ``ValidationError`` by field.
    """
    text, url = text.strip(), url.strip()
    region = Region.objects.filter(code=region_code).first() if region_code else None
    _check(text=text, url=url, said_at=said_at, meaning=meaning, region_code=region_code, region=region, now=now)
    with transaction.atomic():
        incident = locked(incident_id)
        if too_early := _too_early(incident, said_at, meaning):
            raise ValidationError({"said_at": too_early})
        words = Q(meaning=meaning, text=text, url=url, said_at=said_at)
        # An update that the page has changed since is still the one that was heard.
        known = words if heard is None else words | Q(heard=heard)
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
        kind = _HEARD_AS.get(Statement.Meaning(meaning))
        if kind is not None and _is_open(incident):
            Word.objects.create(
                incident=incident,
                region=region,
                kind=kind,
                at=said_at,
                given_at=now,
                statement=statement,
            )
    return statement


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


def _is_open(incident: Incident) -> bool:
    return not (incident.resolved_at or incident.rejected_at or incident.merged_at)
