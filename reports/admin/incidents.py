"""The desk where incidents are judged: the list with those that wait first, and the page of one with its acts.

Nothing is edited in place: every act is a function of ``reports.incidents``, the same that everything else calls, and
leaves a line in the timeline and one in the log of acts; see ``reports.admin.acts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import reverse

from reports import clock
from reports.admin.acts import DOABLE, Acting, told
from reports.admin.forms import ActForm
from reports.admin.readonly import ReadOnlyAdmin
from reports.incidents import kinship, timeline, undo
from reports.models import OPEN, Evidence, Incident, RegionalOutage, Statement, TimelineEntry
from reports.status.choosing import inhabitants

# Rows of evidence, regions and timeline on the page; the rest is in lists of their own.
MOST_ROWS = 200

_WAITING = OPEN & Q(confirmed_at=None)
_AFFECTED = Q(restored_at=None, withdrawn_at=None, unknown_at=None)


class _ReviewFilter(admin.SimpleListFilter):
    title = "review"
    parameter_name = "review"

    _CHOICES: Mapping[str, Q] = {
        "waiting": _WAITING,
        "automatic": Q(rejected_at=None, merged_at=None, confirmed_at=None),
        "confirmed": Q(confirmed_at__isnull=False, merged_at=None),
        "rejected": Q(rejected_at__isnull=False),
        "merged": Q(merged_at__isnull=False),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.capitalize()) for name in self._CHOICES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        condition = self._CHOICES.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


class _OpenFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        if self.value() not in ("open", "resolved"):
            return queryset
        over = Q(resolved_at__isnull=False) | Q(rejected_at__isnull=False) | Q(merged_at__isnull=False)
        return queryset.filter(over if self.value() == "resolved" else ~over)


@admin.register(Incident)
class IncidentAdmin(Acting):
    """Incidents, those that wait for a judgement first: the most people, then the surest."""

    list_display = (
        "ref",
        "service",
        "stands",
        "review",
        "sure",
        "people",
        "regions_affected",
        "peak_reports",
        "onset_at",
        "detected_at",
        "resolved_at",
    )
    list_select_related = ("service",)
    list_filter = (_ReviewFilter, _OpenFilter, "scope", "detected_at", "service__category")
    search_fields = ("ref", "service__name", "service__slug", "service__provider__name")
    search_help_text = "A reference, a service or a provider"
    list_per_page = 50
    show_full_result_count = False
    actions = ("confirm_selected",)

    @property
    def media(self) -> Media:
        """Django's, and the sheet that says that a reference is one word."""
        return super().media + Media(css={"all": ["reports/admin.css"]})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        """Incidents with what the list is ordered by and shows."""
        affected = RegionalOutage.objects.filter(_AFFECTED, incident=OuterRef("pk")).order_by()
        number = affected.values("incident").annotate(n=Count("pk")).values("n")
        incidents: QuerySet[Incident] = super().get_queryset(request)
        return incidents.annotate(
            is_waiting=Case(When(_WAITING, then=Value(1)), default=Value(0)),
            people_affected=Case(When(_WAITING, then=inhabitants(_AFFECTED)), default=Value(0)),
            number_affected=Coalesce(Subquery(number), Value(0)),
        )

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """What a wrong judgement would cost most, first."""
        return (F("is_waiting").desc(), F("people_affected").desc(), F("confidence").desc(), F("detected_at").desc())

    @admin.display(description="state")
    def stands(self, incident: Incident) -> str:
        """``waiting`` where it is open and nobody has judged it, else ``open`` or ``over``."""
        if getattr(incident, "is_waiting", 0):
            return "waiting"
        return "over" if incident.resolved_at or incident.rejected_at or incident.merged_at else "open"

    @admin.display(description="review")
    def review(self, incident: Incident) -> str:
        """``automatic``, ``confirmed``, ``rejected`` or ``merged``."""
        return incident.review

    @admin.display(description="confidence", ordering="confidence")
    def sure(self, incident: Incident) -> str:
        """How sure the detector is."""
        return percent(incident.confidence)

    @admin.display(description="people", ordering="people_affected")
    def people(self, incident: Incident) -> str:
        """Who lives where it is down; only of incidents that wait."""
        number = getattr(incident, "people_affected", 0)
        return f"{number:,}" if number else "–"

    @admin.display(description="regions affected", ordering="number_affected")
    def regions_affected(self, incident: Incident) -> str:
        """How many regions are down or recovering."""
        return f"{getattr(incident, 'number_affected', 0):,}"

    @admin.action(description="Confirm the selected incidents")
    def confirm_selected(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        """Confirms each of them; says of each that cannot be confirmed why not."""
        if not request.user.has_perm("reports.change_incident"):
            raise PermissionDenied
        for incident in queryset:
            self.do(request, incident, DOABLE["confirm"], {"revision": None})

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None for those who may only look."""
        return super().get_actions(request) if request.user.has_perm("reports.change_incident") else {}

    # --- the page of one incident ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one incident."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return self._page(request, self._incident(request, object_id))

    def _incident(self, request: HttpRequest, pk: str | int) -> Incident:
        if not self.has_view_permission(request):
            raise PermissionDenied
        beside = ("service__provider", "group", "echo_of", "merged_into", "split_from")
        found = Incident.objects.select_related(*beside).filter(pk=pk if str(pk).isdecimal() else 0).first()
        if found is None:
            raise Http404
        return found

    def _page(
        self,
        request: HttpRequest,
        incident: Incident,
        *,
        filled: Mapping[str, ActForm] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        regions = incident.regions.select_related("region").prefetch_related("relapses")
        entries = incident.timeline.select_related("region", "evidence", "statement", "actor").order_by("-at", "-id")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{incident.ref}: {incident.service.name}",
            "original": incident,
            "incident": incident,
            "now": clock.now(),
            "confidence": percent(incident.confidence),
            "acts": self.offered(request, incident, filled=filled),
            "may_undo": request.user.has_perm("reports.change_incident"),
            "public": reverse("incident", args=[incident.ref]),
            "regions": regions.order_by(F("restored_at").desc(nulls_first=True), "onset_at", "region_code")[:MOST_ROWS],
            "regions_number": regions.count(),
            "evidence": incident.evidence.select_related("region").order_by("-decided_at", "-id")[:MOST_ROWS],
            "evidence_number": incident.evidence.count(),
            "timeline": [(entry, timeline.text(entry)) for entry in entries[:MOST_ROWS]],
            "timeline_number": entries.count(),
            "parts": incident.parts.filter(merged_at=None).order_by("pk"),
            "merged": incident.merged.order_by("pk"),
            "statements": Statement.objects.filter(incident__in=kinship.told_in(incident.pk)).select_related(
                "incident", "region", "entered_by"
            ),
            "log": [(line, told(line.act)) for line in undo.log(incident)],
            "most_rows": MOST_ROWS,
        }
        return TemplateResponse(request, "admin/reports/incident.html", context, status=status)


def percent(probability: float) -> str:
    """A probability for the desk: never "100 %", which nobody can promise."""
    return "over 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


@admin.register(Evidence)
class EvidenceAdmin(ReadOnlyAdmin):
    """The figures that decisions rest on."""

    list_display = ("incident", "region", "decision", "decided_at", "observed", "expected", "log10_p", "window_minutes")
    list_select_related = ("incident__service", "region")
    list_filter = ("decision", "level", "rule", "decided_at")
    search_fields = ("incident__ref",)


@admin.register(TimelineEntry)
class TimelineEntryAdmin(ReadOnlyAdmin):
    """Everything that was recorded of incidents, the acts of administrators among it."""

    list_display = ("at", "incident", "kind", "region", "actor", "words")
    list_select_related = ("incident__service", "region", "evidence", "statement", "actor")
    list_filter = ("kind", "at", ("actor", admin.RelatedOnlyFieldListFilter))
    search_fields = ("incident__ref",)
    ordering = ("-at", "-id")

    @admin.display(description="in words")
    def words(self, entry: TimelineEntry) -> str:
        """What the public reads."""
        return timeline.text(entry)


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    """What providers said; entered on the page of the incident."""

    list_display = ("said_at", "incident", "meaning", "region", "text", "entered_by")
    list_select_related = ("incident__service", "region", "entered_by")
    list_filter = ("meaning", "said_at")
    search_fields = ("incident__ref", "text")
