"""What runs by the clock: a call to another module, which may run twice."""

from __future__ import annotations

from contextlib import suppress

from celery import shared_task
from django.conf import settings

from frontend import snapshot
from reports import clock


@shared_task(name="frontend.tasks.copy_site")
def copy_site() -> None:
    """Makes the copy of the site that is shown when the site itself cannot be."""
    if settings.SNAPSHOT_DIR is not None:
        with suppress(snapshot.BusyError):
            snapshot.write(settings.SNAPSHOT_DIR, now=clock.now())
