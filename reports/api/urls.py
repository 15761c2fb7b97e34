"""The addresses of ``/api/v1/``."""

from __future__ import annotations

from django.urls import path, re_path

from reports.api import articles, schema, views

app_name = "api"
urlpatterns = [
    path("reports/", views.ReportsView.as_view(), name="reports"),
    path("reports/batch/", views.ReportsBatchView.as_view(), name="reports-batch"),
    path("services/", views.ServicesView.as_view(), name="services"),
    path("services/<slug:slug>/", views.ServiceView.as_view(), name="service"),
    path("services/<slug:slug>/counts/", views.CountsView.as_view(), name="counts"),
    path("services/<slug:slug>/map/", views.MapView.as_view(), name="map"),
    path("providers/", views.ProvidersView.as_view(), name="providers"),
    path("providers/<slug:slug>/", views.ProviderView.as_view(), name="provider"),
    path("regions/", views.RegionsView.as_view(), name="regions"),
    path("regions/locate/", views.LocateView.as_view(), name="locate"),
    path("regions/<str:code>/", views.RegionView.as_view(), name="region"),
    path("incidents/", views.IncidentsView.as_view(), name="incidents"),
    path("incidents/<slug:ref>/", views.IncidentView.as_view(), name="incident"),
    path("incidents/<slug:ref>/regions/", views.IncidentRegionsView.as_view(), name="incident-regions"),
    path("incidents/<slug:ref>/regions.geojson", views.IncidentShapesView.as_view(), name="incident-shapes"),
    path("incidents/<slug:ref>/timeline/", views.IncidentTimelineView.as_view(), name="incident-timeline"),
    path("incidents/<slug:ref>/problems/", views.IncidentProblemsView.as_view(), name="incident-problems"),
    path("incidents/<slug:ref>/article/", articles.ArticleView.as_view(), name="incident-article"),
    path("incidents/<slug:ref>/export.csv", views.IncidentExportView.as_view(), name="incident-export"),
    path("calibration/", views.CalibrationView.as_view(), name="calibration"),
    path("schema/", schema.SchemaView.as_view(), name="schema"),
    # Only with its slash: without one, Django leads the way to the address that has it. A line break is one more
    # character. Files have none, and no address with one to lead to.
    re_path(r"^(?:[\s\S]*(?:/|\.geojson|\.csv))?\Z", views.UnknownCallView.as_view()),
]
