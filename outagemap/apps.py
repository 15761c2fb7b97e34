"""The admin with a door of its own."""

from __future__ import annotations

from django.contrib.admin.apps import SimpleAdminConfig


class DeskConfig(SimpleAdminConfig):
    """Not the ordinary one: its autodiscovery imports leaflet.admin, and with it django.contrib.gis, which dies where
    GDAL is missing. `urls.py` imports `reports.admin` instead."""

    default_site = "reports.admin.site.Desk"
