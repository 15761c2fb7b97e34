"""What was set aside on its way in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.translation import ngettext

from reports import clock
from reports.admin import networks
from reports.admin.grounds import set_aside_because
from reports.admin.readonly import ReadOnlyAdmin
from reports.intake import quarantine
from reports.models import Quarantine


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnlyAdmin):
    """Flows of reports that look like no crowd. Releasing one counts its reports after all."""

    list_display = ("last_at", "service", "region", "what", "why", "reports", "figure_text", "state")
    list_filter = ("shape", "kind", "began_at")
    list_select_related = ("service", "region", "released_by")
    search_fields = ("service__name", "region__name", "region__code")
    date_hierarchy = "last_at"
    actions = ("release",)

    @admin.display(description="reports of")
    def what(self, row: Quarantine) -> str:
        """``down`` or ``working``."""
        return row.get_kind_display()

    @admin.display(description="set aside because they came")
    def why(self, row: Quarantine) -> str:
        """The shape in words."""
        return set_aside_because(row.shape)

    @admin.display(description="figures")
    def figure_text(self, row: Quarantine) -> str:
        """What the shape rests on."""
        f = row.figures
        if row.shape == "regular":
            return f"local variation of the pauses {f.get('variation', 0):.2f}; people: about 1, a clock: 0"
        if row.shape == "hosting":
            return f"{f.get('hosting', 0):.0%} of the flow from hosting networks"
        if row.shape == "misplaced":
            return f"{f.get('misplaced', 0):.0%} of the flow from networks of other countries"
        return f"{f.get('networks', 0):.1f} effective networks; a crowd: {f.get('networks_needed', 0):.1f} or more"

    @admin.display(description="state")
    def state(self, row: Quarantine) -> str:
        """Held, or released by whom."""
        return f"released by {row.released_by}" if row.released_at else "held"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was set aside and why, and who sent what in that time."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = Quarantine.objects.select_related("service", "region", "released_by")
        row = rows.filter(pk=object_id if object_id.isdecimal() else 0).first()
        if row is None:
            raise Http404
        window = {
            "service": row.service.slug,
            "region": row.region.code,
            "kind": row.get_kind_display(),
            "from": row.began_at.isoformat(),
            # The last of its reports belongs to it.
            "to": (row.last_at + timedelta(milliseconds=1)).isoformat(),
        }
        more = {
            "held": row,
            "why": self.why(row),
            "figures": self.figure_text(row),
            "state": self.state(row),
            "may_release": row.released_at is None and self.has_release_permission(request),
        }
        return networks.show(self, request, networks.WindowForm(window), title=str(row), more=more)

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Whoever may change quarantines may release them."""
        return request.user.has_perm("reports.change_quarantine")

    @admin.action(description="Release: count these reports after all", permissions=["release"])
    def release(self, request: HttpRequest, rows: QuerySet[Quarantine]) -> None:
        """Releases the chosen quarantines, and notes it in the log of the desk."""
        assert request.user.is_authenticated
        total = 0
        for row in rows:
            given_back = quarantine.release(row.pk, by=request.user, now=clock.now())
            total += given_back
            self.log_change(request, row, f"Released: {given_back} reports are counted.")
        self.message_user(
            request,
            ngettext("%d report is counted after all.", "%d reports are counted after all.", total) % total,
            messages.SUCCESS,
        )
