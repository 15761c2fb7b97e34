"""Providers' status pages: which are asked, what one says, and what was heard that belongs to no outage yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from reports import clock
from reports.admin.forms import AttachForm, DismissForm, StatusFeedForm
from reports.admin.readonly import ReadOnlyAdmin
from reports.audience import outgoing
from reports.hearing import kept, listen
from reports.hearing.updates import Unreadable
from reports.incidents.lifecycle import ConflictError
from reports.models import Heard, Incident, Statement, StatusFeed

# The stubs are generic where Django's classes are not.
if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

MOST_SHOWN = 100
MOST_SUGGESTED = 20


@admin.register(StatusFeed)
class StatusFeedAdmin(_ModelAdmin):
    """Status pages. One that is no longer wanted is switched off: what was heard from it names it."""

    actions = None
    form = StatusFeedForm
    list_display = ("provider", "stands", "url", "default_service", "asked_at", "read_at")
    list_select_related = ("provider", "default_service")
    list_filter = ("enabled", "format")
    search_fields = ("provider__name", "provider__slug", "url")
    autocomplete_fields = ("provider", "default_service")
    change_form_template = "admin/reports/status_feed.html"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    @admin.display(description="state")
    def stands(self, feed: StatusFeed) -> str:
        """Whether it answers."""
        if not feed.enabled:
            return "off"
        if feed.faults:
            times = "time" if feed.faults == 1 else "times"
            return f"failed {feed.faults} {times}: {feed.fault}; not asked before {feed.wait_until:%Y-%m-%d %H:%M} UTC"
        return "answers" if feed.read_at else "not asked yet"

    def save_model(self, request: HttpRequest, obj: StatusFeed, form: Any, change: bool) -> None:
        """Saves it; what was read under the old description is read again."""
        super().save_model(request, obj, form, change)
        listen.begin_anew(obj)

    def get_urls(self) -> list[URLPattern]:
        """Those of every model, and the page on which one is tried."""
        trying = path("<int:pk>/try/", self.admin_site.admin_view(self.try_view), name="reports_statusfeed_try")
        return [trying, *super().get_urls()]

    def try_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks the page and shows what it says and what would become of it; on another button, takes it in."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        feed = StatusFeed.objects.select_related("provider", "default_service").filter(pk=pk).first()
        if feed is None:
            raise Http404
        if not self.has_change_permission(request, feed):
            raise PermissionDenied
        if request.method == "POST" and "take" in request.POST:
            return self._take(request, feed)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"What {feed.provider} says",
            "feed": feed,
            "most": MOST_SHOWN,
        }
        if request.method == "POST":
            context |= self._tried(feed)
        return TemplateResponse(request, "admin/reports/status_feed_try.html", context)

    def _tried(self, feed: StatusFeed) -> dict[str, Any]:
        now = clock.now()
        try:
            found = listen.ask(feed, now=now, conditional=False)
        except (listen.Silent, Unreadable, outgoing.Refused, outgoing.Failed) as error:
            return {"tried": True, "fault": str(error)}
        assert found is not None
        reading, _etag, _last_modified = found
        foreseen = kept.foresee(reading, feed, now=now)
        return {
            "tried": True,
            "number": len(foreseen),
            "foreseen": foreseen[:MOST_SHOWN],
            "left_out": reading.left_out[:MOST_SHOWN],
            "left_out_number": len(reading.left_out),
        }

    def _take(self, request: HttpRequest, feed: StatusFeed) -> HttpResponse:
        listen.begin_anew(feed)
        feed.refresh_from_db()
        taken = listen.hear(feed, now=clock.now())
        if taken is None:
            feed.refresh_from_db()
            self.message_user(request, f"Nothing was taken in: {feed.fault}.", messages.ERROR)
        else:
            said = f"Taken in: {taken.new} new, {taken.revised} changed, {taken.attached} attached to incidents."
            self.log_change(request, feed, said)
            self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:reports_statusfeed_try", args=[feed.pk]))


# A statement that was withdrawn leaves its update to be judged again: by hand only, so that it stays `attached_at`.
_STANDS = Q(Exists(Statement.objects.filter(heard=OuterRef("pk"), withdrawn_at=None)))
_WAITS = Q(dismissed_at=None) & ~_STANDS


class _StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waiting", "Waiting"), ("attached", "Attached"), ("dismissed", "Dismissed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Heard]) -> QuerySet[Heard]:
        conditions = {
            "waiting": _WAITS,
            "attached": _STANDS,
            "dismissed": Q(dismissed_at__isnull=False),
        }
        condition = conditions.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


@admin.register(Heard)
class HeardAdmin(ReadOnlyAdmin):
    """Updates of status pages, those that belong to no outage first."""

    list_display = ("said_at", "provider", "title", "meaning", "about", "stands")
    list_select_related = ("feed__provider", "dismissed_by")
    list_filter = (_StateFilter, "meaning", "planned", ("feed__provider", admin.RelatedOnlyFieldListFilter))
    search_fields = ("title", "text", "feed__provider__name")
    search_help_text = "Words of the update, or a provider"
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Heard]:
        """With the statements that they became."""
        rows: QuerySet[Heard] = super().get_queryset(request)
        return rows.prefetch_related("statements__incident")

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """What somebody has to look at, first."""
        return (Case(When(_WAITS, then=Value(0)), default=Value(1)), "-said_at", "-id")

    @admin.display(description="provider")
    def provider(self, row: Heard) -> str:
        """Who said it."""
        return str(row.feed.provider)

    @admin.display(description="about")
    def about(self, row: Heard) -> str:
        """The services and regions that it names."""
        return ", ".join((*row.services, *row.regions)) or "–"

    @admin.display(description="state")
    def stands(self, row: Heard) -> str:
        """What became of it."""
        if row.dismissed_at:
            return f"dismissed by {row.dismissed_by}"
        refs = sorted({statement.incident.ref for statement in _standing(row)})
        if refs:
            return f"statement of {', '.join(refs)}"
        if row.attached_at:
            return "waits: its statement was withdrawn"
        return "waits: announced work" if row.planned else "waits"

    def get_urls(self) -> list[URLPattern]:
        """Those of every model, and one for each act."""
        acts = [("attach", AttachForm, self._attach), ("dismiss", DismissForm, self._dismiss)]
        return [
            *(
                path(
                    f"<int:pk>/{name}/",
                    self.admin_site.admin_view(self._act(name, form, do)),
                    name=f"reports_heard_{name}",
                )
                for name, form, do in acts
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one update."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return self._page(request, self._one(request, object_id), {})

    def _one(self, request: HttpRequest, pk: str | int) -> Heard:
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_queryset(request).select_related("feed__provider", "dismissed_by")
        found = rows.filter(pk=pk if str(pk).isdecimal() else 0).first()
        if found is None:
            raise Http404
        return found

    def _act(
        self, name: str, form_class: type[forms.Form], do: Callable[[Heard, User, dict[str, Any]], str]
    ) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, pk: int) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            row = self._one(request, pk)
            if not request.user.has_perm("reports.add_statement"):
                raise PermissionDenied
            assert isinstance(request.user, User)
            form = form_class(request.POST)
            if form.is_valid():
                try:
                    with transaction.atomic():
                        said = do(row, request.user, form.cleaned_data)
                        self.log_change(request, row, said)
                except ValidationError as error:
                    # Errors of the statement name fields that this form has none of.
                    form.add_error(None, error.messages)
                except ConflictError as conflict:
                    self.message_user(request, str(conflict), messages.ERROR)
                    return HttpResponseRedirect(reverse("admin:reports_heard_change", args=[pk]))
                else:
                    self.message_user(request, said, messages.SUCCESS)
                    return HttpResponseRedirect(reverse("admin:reports_heard_changelist"))
            return self._page(request, row, {name: form}, status=400)

        return view

    def _attach(self, row: Heard, by: User, given: dict[str, Any]) -> str:
        ref = given["incident"].strip().upper()
        incident = kept.attach(row.pk, ref, meaning=given["meaning"], by=by, now=clock.now())
        return f"It is a statement of {incident.ref}."

    def _dismiss(self, row: Heard, by: User, given: dict[str, Any]) -> str:
        done = kept.dismiss(row.pk, reason=given["reason"], by=by, now=clock.now())
        return "It is dismissed." if done else "It was dismissed already."

    def _page(
        self, request: HttpRequest, row: Heard, filled: dict[str, forms.Form], *, status: int = 200
    ) -> HttpResponse:
        may = request.user.has_perm("reports.add_statement") and not row.dismissed_at
        suggested = Incident.objects.filter(service__provider=row.feed.provider, merged_at=None).select_related(
            "service"
        )
        acts = {}
        if may:
            acts["attach"] = filled.get("attach") or AttachForm(auto_id="attach_%s", initial={"meaning": row.meaning})
            if not _standing(row):
                acts["dismiss"] = filled.get("dismiss") or DismissForm(auto_id="dismiss_%s")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(row),
            "row": row,
            "state": self.stands(row),
            "waits": not row.dismissed_at and not _standing(row),
            "about": self.about(row),
            "acts": acts,
            "statements": row.statements.select_related("incident__service", "region"),
            "suggested": suggested.order_by("-detected_at")[:MOST_SUGGESTED],
        }
        return TemplateResponse(request, "admin/reports/heard.html", context, status=status)


def _standing(row: Heard) -> list[Statement]:
    """The statements of the update that nobody withdrew."""
    return [statement for statement in row.statements.all() if statement.withdrawn_at is None]
