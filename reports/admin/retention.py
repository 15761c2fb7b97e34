"""Retention at the desk: which days of reports are held, until when, and what stays for ever.

In the place of a list of reports: single reports are nobody's to read.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from kombu.exceptions import OperationalError

from reports import clock, partitions, tasks
from reports.admin.readonly import ReadOnlyAdmin
from reports.intake import guard
from reports.models import Report, Salt

log = logging.getLogger(__name__)

TASK = "keep-partitions"
"""The name in beat's schedule of what makes and drops the days."""


@dataclass(frozen=True)
class _Kept:
    """A table, and for how long what is in it stays."""

    table: LiteralString
    what: str
    stays: str


_FOR_EVER = (
    _Kept("reports_reportcount", "Counts: reports by service, region, kind and problem in a minute", "for ever"),
    _Kept("reports_incident", "Incidents", "for ever"),
    _Kept("reports_regionaloutage", "Their regions", "for ever"),
    _Kept("reports_evidence", "The figures that each decision rests on", "for ever"),
    _Kept("reports_timelineentry", "Timelines", "for ever"),
    _Kept("reports_statement", "Providers’ statements", "for ever"),
    _Kept("reports_quarantine", "Quarantines: their figures, not their reports", "for ever"),
    _Kept("reports_ban", "Bans", "for ever; the network’s name goes with its reports"),
    _Kept("django_admin_log", "The administrators’ log", "for ever"),
)


@admin.register(Report)
class RetentionAdmin(ReadOnlyAdmin):
    """One page instead of a list; a single report has none."""

    def get_urls(self) -> list[URLPattern]:
        """Those of every model, and the one that starts the task."""
        run = path("keep/", self.admin_site.admin_view(self._keep), name="reports_report_keep")
        return [run, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The page."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = clock.now()
        held = partitions.held()
        first = partitions.first_kept(now, settings.RETENTION_DAYS)
        today = now.astimezone(UTC).date()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Reports: how long they are kept",
            "retention_days": settings.RETENTION_DAYS,
            "days": [
                {
                    "held": one,
                    "size": one.octets,
                    "dropped_on": one.day + timedelta(days=settings.RETENTION_DAYS + 1),
                    "overdue": one.day < first,
                    "ahead": one.day > today,
                }
                for one in reversed(held)
            ],
            "reports": sum(one.reports for one in held),
            "octets": sum(one.octets for one in held),
            "missing": _missing([one.day for one in held], today),
            "next_at": next_run(datetime.now(UTC)),
            "salts": [
                {"day": day, "destroyed_at": guard.destroyed_at(day), "overdue": guard.destroyed_at(day) < now}
                for day in Salt.objects.order_by("-day").values_list("day", flat=True)
            ],
            "kept": _sizes(),
            "swept": _swept(),
            "may_run": _may_run(request),
        }
        return TemplateResponse(request, "admin/reports/retention.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Nobody's: a report is counted, not read."""
        raise Http404

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Nobody's either."""
        raise Http404

    def _keep(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not _may_run(request):
            raise PermissionDenied
        assert isinstance(request.user, User)
        try:
            tasks.keep_partitions.delay()
        except OperationalError:
            log.exception("the broker did not take the task of retention")
            self.message_user(request, "No worker could be told: try again later.", messages.ERROR)
        else:
            said = "Had the days of the reports made and dropped"
            LogEntry.objects.log_actions(request.user.pk, [request.user], CHANGE, said, single_object=True)
            self.message_user(request, "A worker is told. Load this page again in a moment.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:reports_report_changelist"))


def _may_run(request: HttpRequest) -> bool:
    """Owners: it deletes reports."""
    return bool(request.user.has_perm("reports.delete_report"))


def next_run(now: datetime) -> datetime:
    """When beat sends the task next; by the machine's clock, which is beat's."""
    _, wait, _ = settings.CELERY_BEAT_SCHEDULE[TASK]["schedule"].remaining_delta(now)
    found: datetime = now + wait
    return found


def _missing(days: Sequence[date], today: date) -> list[date]:
    """Days from yesterday to the last one made ahead that have no partition."""
    wanted = [today + timedelta(days=i) for i in range(-1, partitions.AHEAD.days + 1)]
    return [day for day in wanted if day not in days]


def _sizes() -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(_SIZES, [[one.table for one in _FOR_EVER]])
        found = {name: (rows, octets) for name, rows, octets in cursor.fetchall()}
    return [
        {"what": one.what, "stays": one.stays, "rows": found[one.table][0], "octets": found[one.table][1]}
        for one in _FOR_EVER
        if one.table in found
    ]


_SIZES = """
SELECT c.relname, greatest(c.reltuples, s.n_live_tup, 0)::bigint, pg_total_relation_size(c.oid)
FROM pg_class c LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.relname = ANY(%s) AND c.relnamespace = current_schema()::regnamespace
"""


def _swept() -> list[tuple[str, timedelta]]:
    """What is swept away sooner, by whoever writes it."""
    return [
        ("A client’s own id of a report, with the answer it got", partitions.IDS_KEPT),
        ("The drain’s log", partitions.BATCHES_KEPT),
        ("Who was counted last, for the counting rule", guard.COUNTING_WINDOW + guard.GRACE),
    ]
