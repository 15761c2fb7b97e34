"""The site about itself: methodology, privacy, its own health."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from frontend import calibration, charts
from frontend.keeping import keep
from frontend.responses import answer, data, page
from reports import clock, status
from reports.status.rules import counting_rules, detection_results, rules

RECOMPUTE = Path(settings.BASE_DIR) / "docs" / "recompute.py"


@keep()
@require_safe
def methodology(request: HttpRequest) -> HttpResponseBase:
    """How it counts and decides, and where it is weak."""
    found = status.calibration()
    context = {
        "all_states": charts.STATES,
        "rules": rules(),
        "counting": counting_rules(),
        "parameters": [(field.name, getattr(rules(), field.name)) for field in fields(rules())],
        "calibration": found,
        "opening": calibration.diagram(found.main.opening),
        "later": calibration.diagram(found.main.later),
        "reviewed": calibration.diagram(found.reviewed),
        "results": detection_results(),
    }
    return page(request, "frontend/methodology.html", context, now=clock.now())


@require_safe
def recompute(request: HttpRequest) -> HttpResponseBase:
    """The program with which anyone works out again what is said of an incident."""
    return answer(request, RECOMPUTE.read_text(encoding="utf-8"), "text/plain; charset=utf-8")


@keep()
@require_safe
def privacy(request: HttpRequest) -> HttpResponseBase:
    """What is stored about visitors, and what is not."""
    context = {
        "retention_days": settings.RETENTION_DAYS,
        "looks_at_networks": bool(settings.HOSTING_NETWORKS or settings.NETWORK_COUNTRIES),
    }
    return page(request, "frontend/privacy.html", context, now=clock.now())


@require_safe
def own_status(request: HttpRequest) -> HttpResponseBase:
    """The site's own health, for readers."""
    now = clock.now()
    return page(request, "frontend/status.html", {"health": status.readiness(now=now)}, now=now)


@require_safe
def readyz(_request: HttpRequest) -> HttpResponseBase:
    """The site's own health, for machines: 503 when what it says cannot be trusted."""
    health = status.readiness(now=clock.now())
    return data(
        {
            "ready": health.ready,
            "database": health.database,
            "broker": health.broker,
            "last_drain_age_s": _seconds(health.last_drain_age),
            "last_watch_age_s": _seconds(health.last_watch_age),
            "inbox_blocks": health.inbox_blocks,
            "held_blocks": health.held_blocks,
            "held_since": None if health.held_since is None else health.held_since.isoformat(),
            "problems": list(health.problems),
        },
        code=200 if health.ready else 503,
    )


def _seconds(age: timedelta | None) -> float | None:
    return None if age is None else round(age.total_seconds(), 1)
