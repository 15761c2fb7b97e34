"""The addresses of what programs read beside the API."""

from __future__ import annotations

from django.urls import path

from reports.audience import views

urlpatterns = [
    path("services/<slug:slug>/api/v2/<path:what>.json", views.statuspage, name="statuspage"),
]
