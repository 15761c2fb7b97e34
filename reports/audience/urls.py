"""The addresses of what programs read beside the API."""

from __future__ import annotations

from django.urls import path

from reports.audience import views

urlpatterns = [
    path("services/<slug:slug>/api/v2/<path:what>.json", views.statuspage, name="statuspage"),
    path("incidents.atom", views.site_feed, name="site-feed"),
    path("providers/<slug:slug>/history.atom", views.provider_feed, name="provider-feed"),
    path("services/<slug:slug>/history.atom", views.service_feed, name="service-feed"),
    path("services/<slug:slug>/<str:code>/history.atom", views.region_feed, name="region-feed"),
    path("badges/<slug:slug>.svg", views.badge_drawing, name="badge"),
    path("badges/<slug:slug>.json", views.badge_json, name="badge-json"),
    path("metrics", views.prometheus, name="metrics"),
]
