"""The desk's question to the past: which incidents would other settings have opened or missed?

Nothing is edited: a question is asked, worked on by a task, and its answer kept. Asking, cancelling and starting again
leave a line in the administrators' log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_datetime
from kombu.exceptions import OperationalError

from reports import clock, tasks
from reports.admin.forms import WhatIfForm
from reports.admin.readonly import ReadOnlyAdmin
from reports.incidents import what_if
from reports.incidents.lifecycle import ConflictError
from reports.models import WhatIf

log = logging.getLogger(__name__)

REFRESH_SECONDS = 3


@admin.register(WhatIf)
class WhatIfAdmin(ReadOnlyAdmin):
    """Questions and their answers, the newest first."""

    list_display = ("__str__", "stands", "days", "about", "other_settings", "asked_by", "answer")
    list_select_related = ("service", "provider", "asked_by")
    list_per_page = 30

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may ask."""
        return bool(request.user.has_perm("reports.add_whatif"))

    @admin.display(description="state")
    def stands(self, asked: WhatIf) -> str:
        """Where the answer is."""
        return what_if.state(asked)

    @admin.display(description="about")
    def about(self, asked: WhatIf) -> str:
        """Which services."""
        return str(asked.service or asked.provider or "every service")

    @admin.display(description="other settings")
    def other_settings(self, asked: WhatIf) -> str:
        """The values that were tried."""
        return ", ".join(f"{name} {value:g}" for name, value in asked.settings.items())

    @admin.display(description="answer")
    def answer(self, asked: WhatIf) -> str:
        """The answer in a sentence."""
        return what_if.summary(asked.result, what_if.reviews(asked.result)) if asked.result else asked.fault

    def get_urls(self) -> list[URLPattern]:
        """Those of every model, and one for each act."""
        acts = [("cancel", self._cancel), ("again", self._again)]
        return [
            *(
                path(f"<int:pk>/{name}/", self.admin_site.admin_view(self._act(do)), name=f"reports_whatif_{name}")
                for name, do in acts
            ),
            *super().get_urls(),
        ]

    # --- asking ---

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form, and what it asks."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        form = WhatIfForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            asked = self._asked(request, form)
            if asked is not None:
                return HttpResponseRedirect(reverse("admin:reports_whatif_change", args=[asked.pk]))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "What if?", "form": form}
        status = 400 if form.errors else 200
        return TemplateResponse(request, "admin/reports/what_if_form.html", context, status=status)

    def _asked(self, request: HttpRequest, form: WhatIfForm) -> WhatIf | None:
        assert isinstance(request.user, User)
        given = form.cleaned_data
        try:
            with transaction.atomic():
                asked = what_if.ask(
                    values=form.values(),
                    days=given["days"],
                    service=given["service"],
                    provider=given["provider"],
                    by=request.user,
                    now=clock.now(),
                )
                self.log_addition(request, asked, f"Asked: {self.other_settings(asked)} over {asked.days} days.")
        except ValidationError as error:
            form.add_error(None, error)
        except ConflictError as conflict:
            form.add_error(None, str(conflict))
        else:
            self._send(request, asked)
            return asked
        return None

    def _send(self, request: HttpRequest, asked: WhatIf) -> None:
        def send() -> None:
            try:
                tasks.answer_what_if.delay(asked.pk)
            except OperationalError:
                log.exception("the broker did not take what-if %d", asked.pk)
                self.message_user(request, "No worker could be told: start it again later.", messages.WARNING)

        transaction.on_commit(send)

    # --- the page of one ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The question, how far its answer is, and the answer."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        asked = self._one(request, object_id)
        known = what_if.reviews(asked.result) if asked.result else {}
        state = what_if.state(asked)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(asked),
            "asked": asked,
            "about": self.about(asked),
            "state": state,
            "refresh": REFRESH_SECONDS if state in ("waiting", "running") else None,
            "percent": round(100 * asked.progress),
            "settings": _settings(asked),
            "may_ask": self.has_add_permission(request),
            "summary": what_if.summary(asked.result, known) if asked.result else "",
            "span": [parse_datetime(asked.result[name]) for name in ("from", "until")] if asked.result else [],
            "lists": _lists(asked.result, known) if asked.result else [],
        }
        return TemplateResponse(request, "admin/reports/what_if.html", context)

    def _one(self, request: HttpRequest, pk: str | int) -> WhatIf:
        if not self.has_view_permission(request) and not self.has_add_permission(request):
            raise PermissionDenied
        asked = WhatIf.objects.select_related("service", "provider", "asked_by")
        found = asked.filter(pk=pk if str(pk).isdecimal() else 0).first()
        if found is None:
            raise Http404
        return found

    def _act(self, do: Callable[[HttpRequest, WhatIf], str]) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, pk: int) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            if not self.has_add_permission(request):
                raise PermissionDenied
            asked = self._one(request, pk)
            with transaction.atomic():
                said = do(request, asked)
                self.log_change(request, asked, said)
            self.message_user(request, said)
            return HttpResponseRedirect(reverse("admin:reports_whatif_change", args=[pk]))

        return view

    def _cancel(self, request: HttpRequest, asked: WhatIf) -> str:
        return "It is cancelled." if what_if.cancel(asked.pk, now=clock.now()) else "It had ended already."

    def _again(self, request: HttpRequest, asked: WhatIf) -> str:
        if asked.ended_at is not None:
            return "It had ended already: ask anew."
        self._send(request, asked)
        return "A worker is told to start it again."


def _settings(asked: WhatIf) -> list[dict[str, Any]]:
    """What was asked, setting by setting; the value then in force is known once there is an answer."""
    then = (asked.result or {}).get("present", {})
    return [
        {"setting": s, "present": then.get(s.name, s.present), "other": asked.settings[s.name]}
        for s in what_if.SETTINGS
        if s.name in asked.settings
    ]


def _lists(result: dict[str, Any], known: dict[int, Any]) -> list[dict[str, Any]]:
    """The incidents of the answer, in the order in which they matter."""
    titles = (
        ("missed", "Would not have opened"),
        ("more", "Would have opened"),
        ("both", "Opened either way"),
        ("only_on_site", "On this site, but not from its counts alone with the present settings"),
    )
    return [
        {
            "title": title,
            "name": name,
            "rows": [
                {
                    **row,
                    "site": known.get(row["incident"]),
                    "shown": _shown(row.get("present") or row.get("site") or row["other"]),
                    "other_shown": _shown(row["other"]) if "present" in row and "other" in row else None,
                }
                for row in result[name]
            ],
        }
        for name, title in titles
    ]


def _shown(told: dict[str, Any]) -> dict[str, Any]:
    regions = ", ".join(told["regions"])
    rest = told["regions_number"] - len(told["regions"])
    return {
        "onset_at": parse_datetime(told["onset_at"]),
        "detected_at": parse_datetime(told["detected_at"]),
        "regions": f"{regions} and {rest} more" if rest else regions,
        "regions_number": told["regions_number"],
        "confidence": f"{100 * told['confidence']:.0f} %",
    }
