"""The platform: settings, URLs, the ASGI and Celery applications, the embedded database and broker."""

# Tasks find their application when Django starts.
from outagemap.celery import app as celery_app

__all__ = ["celery_app"]
