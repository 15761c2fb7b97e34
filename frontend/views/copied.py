"""What only the copy of the site has: pictures under the names that they bear in it."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from frontend import snapshot
from frontend.responses import SVG

KEEP_SECONDS = 60


@require_safe
def drawing(_request: HttpRequest, name: str) -> HttpResponseBase:
    """A drawing of the newest copy, for its pages, which go out while the database is away. It asks no table."""
    found = snapshot.file(f"{snapshot.DRAWINGS}{name}") if name.endswith(".svg") else None
    if found is None:
        raise Http404
    return HttpResponse(found, content_type=SVG, headers={"Cache-Control": f"public, max-age={KEEP_SECONDS}"})


drawing.answers_when_away = True  # type: ignore[attr-defined]
