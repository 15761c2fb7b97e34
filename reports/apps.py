"""The one application of the domain."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """Reports, counts, incidents: one migration history."""

    name = "reports"
    default_auto_field = "django.db.models.BigAutoField"
