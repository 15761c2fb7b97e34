"""What an administrator does to an incident from the desk: the acts, their forms, and the log that nobody changes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from reports import clock
from reports.admin.forms import (
    ActForm,
    ConfirmForm,
    MergeForm,
    OverrideForm,
    RejectForm,
    ReopenForm,
    SplitForm,
    StatementForm,
    UndoForm,
    UndoRejectionForm,
)
from reports.admin.readonly import ReadOnlyAdmin
from reports.incidents import joining, kinship, lifecycle, statements, undo
from reports.incidents.acting import ConflictError, acts_of
from reports.models import Act, Incident, Statement

Given = dict[str, Any]


@dataclass(frozen=True)
class Doable:
    """One thing an administrator can do: who may, what is filled in, what is called, and what is said afterwards."""

    permission: str
    form: type[ActForm]
    do: Callable[[Incident, User, Given], object]
    done: str
    name: str = ""
    button: str = ""
    group: str = ""


def _confirm(incident: Incident, by: User, given: Given) -> object:
    return lifecycle.confirm(incident.pk, by=by, at=clock.now(), revision=given["revision"])


def _reject(incident: Incident, by: User, given: Given) -> object:
    return lifecycle.reject(incident.pk, reason=given["reason"], by=by, at=clock.now(), revision=given["revision"])


def _undo_rejection(incident: Incident, by: User, given: Given) -> object:
    return lifecycle.undo_rejection(
        incident.pk, reason=given["reason"], by=by, at=clock.now(), revision=given["revision"]
    )


def _state(incident: Incident, by: User, given: Given) -> object:
    return statements.add_statement(
        incident.pk,
        text=given["text"],
        url=given["url"],
        said_at=given["said_at"],
        meaning=given["meaning"],
        region_code=given["region"].strip() or None,
        by=by,
        now=clock.now(),
    )


def _override(incident: Incident, by: User, given: Given) -> object:
    return lifecycle.override_region(
        incident.pk,
        given["region"].strip(),
        state=given["state"],
        at=given["at"],
        reason=given["reason"],
        by=by,
        now=clock.now(),
        revision=given["revision"],
    )


def _reopen(incident: Incident, by: User, given: Given) -> object:
    return lifecycle.reopen(
        incident.pk,
        regions=[given["region"].strip()] if given["region"].strip() else [],
        at=given["at"],
        reason=given["reason"],
        by=by,
        now=clock.now(),
        revision=given["revision"],
    )


def _merge(incident: Incident, by: User, given: Given) -> object:
    return joining.merge(
        incident.pk,
        into=given["into"],
        reason=given["reason"],
        by=by,
        at=clock.now(),
        revision=given["revision"],
    )


def _split(incident: Incident, by: User, given: Given) -> object:
    return joining.split(
        incident.pk,
        regions=given["regions"],
        reason=given["reason"],
        by=by,
        at=clock.now(),
        revision=given["revision"],
    )


def _undo(incident: Incident, by: User, given: Given) -> object:
    act = Act.objects.filter(pk=given["act"]).first()
    if act is None or incident.pk not in (act.incident_id, act.other_id):
        raise ValueError("There is no such act of this incident.")
    return undo.undo(
        act.pk, reason=given["reason"], by=by, at=clock.now(), revision=given["revision"], seen_on=incident.pk
    )


_CHANGE = "reports.change_incident"
_JUDGE, _SAY, _FORM = "Is it an outage?", "What is known of it", "Where it begins and ends"
DOABLE: Mapping[str, Doable] = {
    "confirm": Doable(_CHANGE, ConfirmForm, _confirm, "{ref} is confirmed.", "Confirm the outage", "Confirm", _JUDGE),
    "reject": Doable(_CHANGE, RejectForm, _reject, "{ref} is rejected.", "Reject it", "Reject", _JUDGE),
    "undo-rejection": Doable(
        _CHANGE,
        UndoRejectionForm,
        _undo_rejection,
        "{ref} is no longer rejected.",
        "Take the rejection back",
        "Take back",
        _JUDGE,
    ),
    "statement": Doable(
        "reports.add_statement",
        StatementForm,
        _state,
        "The statement is recorded with {ref}.",
        "Add what the provider said",
        "Add the statement",
        _SAY,
    ),
    "override": Doable(
        "reports.change_regionaloutage",
        OverrideForm,
        _override,
        "Your word on the region is recorded with {ref}.",
        "Declare a region down or restored",
        "Declare",
        _SAY,
    ),
    "reopen": Doable(_CHANGE, ReopenForm, _reopen, "{ref} is open again.", "Reopen it", "Reopen", _SAY),
    "merge": Doable(_CHANGE, MergeForm, _merge, "{ref} is merged.", "Merge it into another incident", "Merge", _FORM),
    "split": Doable(
        _CHANGE,
        SplitForm,
        _split,
        "Regions of {ref} are an incident of their own.",
        "Split regions off",
        "Split off",
        _FORM,
    ),
    "undo": Doable(_CHANGE, UndoForm, _undo, "Taken back: {ref} stands as if that had not been done."),
}


def makes_sense(name: str, incident: Incident) -> bool:
    """Whether the act can be offered for an incident as it stands."""
    if name == "undo":
        return False
    if incident.merged_at:
        return name == "statement"
    if incident.rejected_at:
        return name in ("undo-rejection", "statement")
    return {
        "confirm": not incident.confirmed_at,
        "undo-rejection": False,
        "reopen": incident.resolved_at is not None,
    }.get(name, True)


@dataclass(frozen=True)
class Offered:
    """An act as the page offers it."""

    name: str
    button: str
    target: str
    form: ActForm


class Acting(ReadOnlyAdmin):
    """The part of an incident's admin that does the acts."""

    def get_urls(self) -> list[URLPattern]:
        """Those of every model, and one for each act."""
        acts = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(self._act_view(name)),
                name=f"reports_incident_{name.replace('-', '_')}",
            )
            for name in DOABLE
        ]
        return [*acts, *super().get_urls()]

    def _incident(self, request: HttpRequest, pk: str | int) -> Incident:
        raise NotImplementedError

    def _page(
        self,
        request: HttpRequest,
        incident: Incident,
        *,
        filled: Mapping[str, ActForm] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        raise NotImplementedError

    def offered(
        self, request: HttpRequest, incident: Incident, *, filled: Mapping[str, ActForm] | None = None
    ) -> dict[str, list[Offered]]:
        """What this administrator can do to the incident, by what it is about."""
        now = clock.now()
        said = Statement.objects.filter(incident__in=kinship.told_in(incident.pk), withdrawn_at=None)
        blank = {
            "revision": incident.revision,
            "said_at": now,
            "at": now,
            "meaning": Statement.Meaning.UPDATE if said.exists() else Statement.Meaning.ACKNOWLEDGED,
        }
        groups: dict[str, list[Offered]] = {}
        for name, act in DOABLE.items():
            if not (request.user.has_perm(act.permission) and makes_sense(name, incident)):
                continue
            form = (filled or {}).get(name) or act.form(initial=blank, incident=incident)
            if form.has_choices:
                target = reverse(f"admin:reports_incident_{name.replace('-', '_')}", args=[incident.pk])
                groups.setdefault(act.group, []).append(Offered(act.name, act.button, target, form))
        return groups

    def _act_view(self, name: str) -> Callable[..., HttpResponse]:
        act = DOABLE[name]

        def view(request: HttpRequest, pk: int) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            incident = self._incident(request, pk)
            if not request.user.has_perm(act.permission):
                raise PermissionDenied
            form = act.form(request.POST, incident=incident)
            back = request.POST.get("back", "")
            if form.is_valid():
                try:
                    self.do(request, incident, act, form.cleaned_data, back=back)
                except ValidationError as error:
                    form.add_error(None, error)
                except ValueError as error:
                    form.add_error(None, str(error))
                else:
                    return HttpResponseRedirect(_back(back, incident))
            elif name == "undo":
                # It has no place on the page where its fault could be shown.
                return HttpResponseBadRequest("Expected the number of an act.", content_type="text/plain")
            return self._page(request, incident, filled={name: form}, status=400)

        return view

    def do(self, request: HttpRequest, incident: Incident, act: Doable, given: Given, *, back: str = "") -> None:
        """The act, which writes its own line of the log; a conflict is shown and changes nothing."""
        assert isinstance(request.user, User)
        said = act.done.format(ref=incident.ref)
        before = _newest(incident)
        try:
            act.do(incident, request.user, given)
        except ConflictError as conflict:
            self.message_user(request, f"{incident.ref}: {conflict}", messages.ERROR)
            return
        done = _newest(incident)
        if done is None or done == before or done.kind == Act.Kind.UNDONE or not request.user.has_perm(_CHANGE):
            self.message_user(request, said, messages.SUCCESS)
        else:
            self.message_user(request, _undoable(said, incident, done, back), messages.SUCCESS, extra_tags="undoable")


def _newest(incident: Incident) -> Act | None:
    return acts_of(incident).first()


def _undoable(said: str, incident: Incident, act: Act, back: str) -> SafeString:
    """The message with the button that takes the act back; the page puts it into a form of its own."""
    revision = Incident.objects.values_list("revision", flat=True).get(pk=incident.pk)
    return format_html(
        '{} <input type="hidden" name="act" value="{}"><input type="hidden" name="revision" value="{}">'
        '<input type="hidden" name="back" value="{}">'
        '<button type="submit" class="button" formaction="{}">Undo</button>',
        said,
        act.pk,
        revision,
        back,
        reverse("admin:reports_incident_undo", args=[incident.pk]),
    )


def _back(back: str, incident: Incident) -> str:
    if back == "duty":
        return reverse("admin:reports_incident_duty")
    return reverse("admin:reports_incident_change", args=[incident.pk])


@admin.register(Act)
class ActAdmin(ReadOnlyAdmin):
    """Every act of an administrator, as the database keeps it and lets nobody change it."""

    list_display = ("at", "incident_ref", "kind", "by", "reason", "what", "taken_back")
    list_select_related = ("incident", "other", "by", "undoes", "undone_by__by")
    list_filter = ("kind", ("by", admin.RelatedOnlyFieldListFilter), "at")
    search_fields = ("incident__ref", "other__ref", "reason", "by__username")
    date_hierarchy = "at"
    ordering = ("-id",)
    list_per_page = 100
    show_full_result_count = False
    actions = ("export",)

    @admin.display(description="incident", ordering="incident__ref")
    def incident_ref(self, act: Act) -> str:
        """The incident by its ref; of a merger or a split both."""
        return act.incident.ref if act.other is None else f"{act.incident.ref}, {act.other.ref}"

    @admin.display(description="what")
    def what(self, act: Act) -> str:
        """What the facts say of it in a few words."""
        return told(act)

    @admin.display(description="taken back")
    def taken_back(self, act: Act) -> str:
        """When and by whom."""
        undone: Act | None = getattr(act, "undone_by", None)
        return f"{undone.at:%Y-%m-%d %H:%M}, {undone.by}" if undone else "–"

    @admin.action(description="Export the selected acts as CSV", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[Act]) -> HttpResponse:
        """The acts as a table, the oldest first."""
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="acts.csv"'
        writer = csv.writer(response)
        writer.writerow(["id", "at", "written_at", "incident", "other", "kind", "by", "reason", "what", "undoes"])
        for act in queryset.select_related("incident", "other", "by").order_by("pk"):
            other = act.other.ref if act.other else ""
            cells = [act.incident.ref, other, act.kind, act.by or "", act.reason, told(act)]
            instants = [act.at.isoformat(), act.written_at.isoformat()]
            writer.writerow([act.pk, *instants, *(_plain(str(cell)) for cell in cells), act.undoes_id or ""])
        return response


def told(act: Act) -> str:
    """What an act was about, beyond its kind."""
    changes = act.facts.get("changes", ())
    if changes:
        return ", ".join(f"{change['region']} {change['state']}" for change in changes)
    if act.kind == Act.Kind.SPLIT:
        return ", ".join(act.facts["asked"]["regions"])
    if act.kind == Act.Kind.STATEMENT:
        return f"{act.facts['meaning']}: {act.facts['text']}"
    if act.undoes is not None:
        return f"{act.undoes.kind}, of {act.undoes.at:%Y-%m-%d %H:%M}"
    return ""


def _plain(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
