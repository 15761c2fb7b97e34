"""``incidents/REF/article/``: an incident in words, in the form that was asked for."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.translation import get_language
from rest_framework.exceptions import NotAcceptable
from rest_framework.request import Request

from reports import status
from reports.api import parameters, schema
from reports.api.article_shapes import article_json
from reports.api.responses import KeptView
from reports.api.views import AnyAccept, asked, found
from reports.status.article import shapes, wording
from reports.status.article.pieces import Article

MEDIA_TYPES = {"json": "application/json", "md": "text/markdown", "html": "text/html"}


@schema.incident_article
class ArticleView(KeptView):
    """The article of an incident."""

    # Else DRF would take ``format`` for the name of a renderer.
    content_negotiation_class = AnyAccept

    def get(self, request: Request, ref: str) -> HttpResponseBase:
        """The article, in one of three forms."""
        form = asked(request, parameters.ArticleParameters).get("format") or _preferred(request)
        site = request._request.build_absolute_uri("/")[:-1]

        def answer() -> Any:
            article = found(status.article(ref), "incident")
            if form == "md":
                return shapes.markdown(article, site=site)
            return _page(article, site) if form == "html" else article_json(article, site=site)

        kind = MEDIA_TYPES[form] if form == "json" else f"{MEDIA_TYPES[form]}; charset=utf-8"
        given = {"format": form, "language": get_language()}
        return self.respond(request, given, answer, content_type=kind, vary=("Accept",))


def _preferred(request: Request) -> str:
    """The form that ``Accept`` prefers, JSON where it does not care."""
    chosen = request._request.get_preferred_type([*MEDIA_TYPES.values()])
    if chosen is None:
        raise NotAcceptable(
            f"Could not satisfy the request Accept header: expected one of {', '.join(MEDIA_TYPES.values())}."
        )
    return next(form for form, media_type in MEDIA_TYPES.items() if media_type == chosen)


def _page(article: Article, site: str) -> str:
    context = {
        "article": article,
        "html": shapes.html(article),
        "site": site,
        "url": site + wording.article_page(article.ref),
        "as_of": wording.utc(article.as_of),
        "language": get_language() or "en",
    }
    return render_to_string("reports/api/article.html", context)
