"""The addresses of the pages."""

from __future__ import annotations

from django.urls import path
from django.views.generic.base import RedirectView

from frontend.views import (
    about,
    alerts,
    article,
    back,
    copied,
    embed,
    incident,
    incident_data,
    present,
    preview,
    push,
    report,
    service,
)

urlpatterns = [
    path("", present.home, name="home"),
    path("preview.png", preview.home, name="preview"),
    path("map.svg", present.world_drawing, name="world-drawing"),
    path("search/", present.search, name="search"),
    path("search/suggestions.json", present.suggestions, name="suggestions"),
    path("regions.json", service.regions, name="regions"),
    path("regions/names.json", service.region_names, name="region-names"),
    path("copied/<str:name>", copied.drawing, name="copied"),
    path("services/", present.services, name="services"),
    path("services/<slug:slug>/", service.service, name="service"),
    path("services/<slug:slug>/map.svg", service.service_drawing, name="service-drawing"),
    path("services/<slug:slug>/preview.png", preview.service, name="service-preview"),
    path("services/<slug:slug>/report/", report.report, name="report"),
    path("services/<slug:slug>/reported/", report.reported, name="reported"),
    path("services/<slug:slug>/back/", back.back, name="back"),
    path("services/<slug:slug>/back.json", back.standing, name="standing"),
    path("services/<slug:slug>/ask/", alerts.ask, name="ask"),
    path("services/<slug:slug>/<str:code>/", service.region, name="region"),
    path("providers/<slug:slug>/", service.provider, name="provider"),
    path("incidents/", incident.incidents, name="incidents"),
    path("incidents/<slug:ref>/", incident.incident, name="incident"),
    path("incidents/<slug:ref>/article/", article.article, name="article"),
    path("incidents/<slug:ref>/map.svg", incident_data.incident_map, name="incident-drawing"),
    path("incidents/<slug:ref>/moments.svg", incident_data.incident_moments, name="incident-moments"),
    path("incidents/<slug:ref>/preview.png", preview.incident, name="incident-preview"),
    path("incidents/<slug:ref>/chart.svg", incident_data.incident_chart, name="incident-chart"),
    path("incidents/<slug:ref>/history.json", incident_data.history, name="incident-history"),
    path("incidents/<slug:ref>/rates.json", incident_data.rates, name="incident-rates"),
    path("alerts/", alerts.subscribe, name="alerts"),
    path("alerts/<str:token>/", alerts.alert, name="alert"),
    path("embed/<slug:slug>/", embed.card, name="embed"),
    path("developers/", embed.developers, name="developers"),
    path("methodology/", about.methodology, name="methodology"),
    path("methodology/recompute.py", about.recompute, name="recompute"),
    path("privacy/", about.privacy, name="privacy"),
    path("status/", about.own_status, name="status"),
    path("sw.js", push.worker, name="service-worker"),
    path("push/key.json", push.key, name="push-key"),
    path("push/subscriptions/", push.subscriptions, name="push-subscriptions"),
    path("readyz", about.readyz, name="readyz"),
    # Browsers ask for it unasked.
    path("favicon.ico", RedirectView.as_view(url="/static/frontend/logo.svg"), name="favicon"),
]
