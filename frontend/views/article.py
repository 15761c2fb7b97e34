"""The article of an incident: the whole of it in words, for reading and for print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from frontend import charts, counts, words
from frontend.course import by_region
from frontend.keeping import keep
from frontend.responses import page
from reports import clock, status
from reports.status.answers import IncidentHistory, IncidentStatus
from reports.status.article import shapes
from reports.status.article.pieces import Article
from reports.status.nesting import own_people

# Within a script element these would end it, or begin a comment.
_ESCAPES = {ord("<"): "\\u003C", ord(">"): "\\u003E", ord("&"): "\\u0026"}


@keep()
@require_safe
def article(request: HttpRequest, ref: str) -> HttpResponseBase:
    """One incident in words, with its map when it was widest, its counts, and where each figure comes from."""
    now = clock.now()
    incident, told = status.incident(ref), status.article(ref)
    history = status.incident_history(ref, now=now)
    if incident is None or told is None or history is None:
        raise Http404(_("There is no incident with this reference."))
    series = status.incident_chart(ref, now=now)
    address = request.build_absolute_uri(reverse("article", args=[ref]))
    context = {
        "incident": incident,
        "article": told,
        "html": shapes.html(told),
        "address": address,
        "description": " ".join(sentence.text for paragraph in told.lead for sentence in paragraph.sentences),
        "widest_at": widest_at(history),
        "states": charts.STATES[:3],
        "chart": counts.chart(series) if series else None,
        "linked_data": _linked_data(told, incident, address),
    }
    return page(request, "frontend/article.html", context, now=now)


def widest_at(history: IncidentHistory) -> datetime | None:
    """When most people lived where it was down; ``None`` for an incident without a region."""
    changes, living = by_region(history), own_people(history.regions, elsewhere=history.told_elsewhere)

    def people(at: datetime) -> float:
        # Regions of which nobody knows the people still count for something.
        return sum(1 + living.get(code, 0.0) for code, each in changes.items() if charts.state_at(each, at) == "down")

    instants = [change.at for change in history.transitions if change.state == "down"]
    return max(instants, key=people, default=None)


def _linked_data(told: Article, incident: IncidentStatus, address: str) -> SafeString:
    """The article for programs that read the web (schema.org)."""
    publisher = {"@type": "Organization", "name": "Outagemap"}
    about: Mapping[str, object] = {
        "@type": "Event",
        "name": told.headline.text,
        "startDate": words.utc(told.began_at),
        **({"endDate": words.utc(incident.back_at)} if incident.back_at else {}),
    }
    body = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": told.headline.text,
        "identifier": told.ref,
        "version": told.version,
        "url": address,
        "mainEntityOfPage": address,
        "datePublished": words.utc(incident.detected_at),
        "dateModified": words.utc(told.as_of),
        "author": publisher,
        "publisher": publisher,
        "about": about,
    }
    text = json.dumps(body, ensure_ascii=False).translate(_ESCAPES)
    return format_html('<script type="application/ld+json">{}</script>', mark_safe(text))  # noqa: S308 - escaped
