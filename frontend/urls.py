"""The addresses of the pages."""

from __future__ import annotations

from django.urls import path
from django.views.generic.base import RedirectView

from frontend import views

urlpatterns = [
    path("", views.home, name="home"),
    path("map.svg", views.world_drawing, name="world-drawing"),
    path("search/", views.search, name="search"),
    path("search/suggestions.json", views.suggestions, name="suggestions"),
    path("regions.json", views.regions, name="regions"),
    path("services/", views.services, name="services"),
    path("services/<slug:slug>/", views.service, name="service"),
    path("services/<slug:slug>/map.svg", views.service_drawing, name="service-drawing"),
    path("services/<slug:slug>/report/", views.report, name="report"),
    path("services/<slug:slug>/reported/", views.reported, name="reported"),
    path("services/<slug:slug>/<str:code>/", views.service, name="region"),
    path("providers/<slug:slug>/", views.provider, name="provider"),
    path("incidents/", views.incidents, name="incidents"),
    path("incidents/<slug:ref>/", views.incident, name="incident"),
    path("incidents/<slug:ref>/map.svg", views.incident_drawing, name="incident-drawing"),
    path("incidents/<slug:ref>/chart.svg", views.incident_chart, name="incident-chart"),
    path("methodology/", views.methodology, name="methodology"),
    path("methodology/recompute.py", views.recompute, name="recompute"),
    path("privacy/", views.privacy, name="privacy"),
    path("status/", views.own_status, name="status"),
    path("readyz", views.readyz, name="readyz"),
    # Browsers ask for it unasked.
    path("favicon.ico", RedirectView.as_view(url="/static/frontend/logo.svg"), name="favicon"),
]
