"""Every URL of the site: the admin, the API, and the pages."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path

# In place of the admin's autodiscovery, which cannot run beside django-leaflet (see settings.INSTALLED_APPS).
import reports.admin  # noqa: F401
from reports.api.schema import docs


async def healthz(_request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; it asks nothing else (`/readyz` does)."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("reports.api.urls")),
    path("api/docs/", docs, name="api-docs"),
    path("", include("reports.audience.urls")),
    path("", include("frontend.urls")),
]
