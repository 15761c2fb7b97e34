"""Who sent how much, at the desk: the networks of a flow beside what a crowd looks like; and the ban of networks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import ngettext

from reports import clock
from reports.admin.forms import Moment
from reports.admin.readonly import ReadOnlyAdmin
from reports.intake import bans, quarantine, shares
from reports.intake.shares import MOST_NETWORKS, MOST_TIME, Share, Shares, TooMany, Window
from reports.models import Ban, Kind, Region, Service

REASONS = {
    "repeated": "said before by the same person",
    "damped": "damped: many of one network",
    "concentrated": "set aside: from too few networks",
    "hosting": "set aside: from a hosting company’s network",
    "misplaced": "set aside: from another country’s network",
    "regular": "set aside: by the clock",
    "banned": "set aside: banned",
}
_ONE_HOUR = timedelta(hours=1)
# Instants that ids of reports and the arithmetic of days can hold, with room around them.
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


class WindowForm(forms.Form):
    """Which reports: also the parameters of the page's address."""

    service = forms.ModelChoiceField(queryset=Service.objects.order_by("name"), to_field_name="slug")
    region = forms.CharField(
        label="Region (its code; 001: the world)",
        max_length=10,
        widget=forms.TextInput(attrs={"size": 8, "autocapitalize": "characters"}),
    )
    kind = forms.ChoiceField(choices=[("", "either"), *((k.label, k.label) for k in Kind)], required=False)

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        # "from" is no name that a class could give.
        self.fields["from"] = Moment(label="From (UTC)")
        self.fields["to"] = Moment(label="To (UTC)")

    def clean_region(self) -> Region:
        """The region of the code."""
        code = self.cleaned_data["region"].strip().upper()
        region = Region.objects.filter(code=code).first()
        if region is None:
            raise ValidationError(f"There is no region {code}.")
        return region

    def clean(self) -> dict[str, Any]:
        """Refuses a window without a length."""
        given = super().clean() or self.cleaned_data
        if given.get("from") and given.get("to"):
            if given["from"] >= given["to"]:
                raise ValidationError("It has to begin before it ends.")
            if given["from"] < _FIRST or given["to"] > _LAST:
                raise ValidationError("Nobody reported then.")
        return given

    def window(self) -> Window:
        """What was asked for, and no more than ``MOST_TIME`` of it."""
        given = self.cleaned_data
        return Window(
            service_id=given["service"].pk,
            region_id=given["region"].pk,
            start=given["from"],
            end=min(given["to"], given["from"] + MOST_TIME),
            kind=next((kind for kind in Kind if kind.label == given["kind"]), None),
        )


class BanForm(forms.Form):
    """Which networks, for how long, and why."""

    network = forms.TypedMultipleChoiceField(coerce=int, label="Networks")
    hours = forms.TypedChoiceField(
        coerce=int,
        choices=[(1, "1 hour"), (6, "6 hours"), (24, "as long as it can be")],
        label="For",
        help_text="Until midnight UTC at the most: then every network gets another name, and nobody knows it again.",
    )
    why = forms.CharField(label="Why", max_length=300, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *arguments: Any, networks: Sequence[int], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.fields["network"].choices = [(one, bans.label(one)) for one in networks]  # type: ignore[attr-defined]
        self.fields["network"].error_messages["required"] = "Choose the networks in the table."


def address(*, service: str, region: str, start: datetime, end: datetime, kind: Kind | None = None) -> str:
    """Where the reports of a window are told."""
    query = {"service": service, "region": region, "kind": kind.label if kind is not None else ""}
    query |= {"from": start.isoformat(), "to": end.isoformat()}
    return f"{reverse('admin:reports_network_shares')}?{urlencode(query)}"


def show(
    model_admin: Any, request: HttpRequest, form: WindowForm, *, title: str, more: dict[str, Any] | None = None
) -> HttpResponse:
    """The page about the window of ``form``, or the form alone while it says nothing; does what was posted from it."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "form": form,
        "most_networks": MOST_NETWORKS,
        **(more or {}),
    }
    status = 200
    if form.is_bound and not form.is_valid():
        status = 400
    elif form.is_bound:
        window, now = form.window(), clock.now()
        given = form.cleaned_data
        here = address(
            service=given["service"].slug,
            region=given["region"].code,
            start=window.start,
            end=window.end,
            kind=window.kind,
        )
        context |= {"window": window, "cut": window.end < given["to"], "here": here}
        try:
            found = shares.network_shares(window)
        except TooMany:
            return TemplateResponse(request, "admin/reports/networks.html", context | {"too_many": True})
        rows = _rows(found, window, now=now)
        may_ban = request.user.has_perm("reports.add_ban")
        free = [row["share"].network for row in rows if not row["stands"]]
        ban_form = BanForm(request.POST if request.method == "POST" else None, networks=free)
        if request.method == "POST":
            if not may_ban:
                raise PermissionDenied
            if ban_form.is_valid():
                _ban(model_admin, request, ban_form, window, found, now=now)
                return HttpResponseRedirect(here)
            status = 400
        context |= {
            "shares": found,
            "rows": rows,
            "aside": [(REASONS.get(reason, reason), reports) for reason, reports in found.aside.items()],
            "others": found.spread.networks - len(rows),
            "ban_form": ban_form if may_ban and free else None,
        }
    return TemplateResponse(request, "admin/reports/networks.html", context, status=status)


def _rows(found: Shares, window: Window, *, now: datetime) -> list[dict[str, Any]]:
    standing = Ban.objects.filter(service_id=window.service_id, lifted_at=None, until_at__gt=now)
    standing = standing.filter(network__in=[row.network for row in found.rows])
    banned = dict(standing.filter(region_id__in=bans.about(window.region_id)).values_list("network", "until_at"))

    def stands(row: Share) -> str:
        """Why it cannot be banned; "" where it can."""
        if row.network in banned:
            return f"banned until {banned[row.network]:%H:%M} UTC"
        if row.of_partner:
            return "passed on by a partner: its key can be revoked"
        if bans.dies_at(row.last_at) <= now:
            return "has another name since midnight UTC"
        return ""

    return [
        {
            "share": row,
            "stands": stands(row),
            "percent": f"{100 * row.share:.1f}",
            "problems": ", ".join(f"{label} {n:,}" for label, n in _largest(row.problems)),
            "aside": ", ".join(f"{REASONS.get(reason, reason)} {n:,}" for reason, n in _largest(row.aside)),
            "kinds": ", ".join(f"{kind.label} {n:,}" for kind, n in _largest(row.kinds)),
        }
        for row in found.rows
    ]


def _largest(mix: Any) -> list[tuple[Any, int]]:
    return sorted(mix.items(), key=lambda one: -one[1])


def _ban(
    model_admin: Any, request: HttpRequest, form: BanForm, window: Window, found: Shares, *, now: datetime
) -> None:
    """Bans the chosen networks for each kind of report that they sent, and notes it in the log of the desk."""
    assert isinstance(request.user, User)
    given = form.cleaned_data
    done = 0
    for row in found.rows:
        for kind in row.kinds if row.network in given["network"] else ():
            try:
                with transaction.atomic():
                    made = quarantine.ban(
                        service_id=window.service_id,
                        region_id=window.region_id,
                        kind=int(kind),
                        network=row.network,
                        seen_at=row.last_at,
                        lasting=given["hours"] * _ONE_HOUR,
                        why=given["why"],
                        by=request.user,
                        now=now,
                    )
                    said = f"Banned {row.label} until {made.until_at:%Y-%m-%d %H:%M} UTC: {given['why']}"
                    model_admin.log_addition(request, made, said)
            except ValidationError as error:
                model_admin.message_user(request, f"{row.label}: {' '.join(error.messages)}", messages.ERROR)
            else:
                done += 1
    if done:
        said = ngettext("%d ban is in force.", "%d bans are in force.", done) % done
        said += " What the networks sent before stays counted; whoever sends from them is answered as ever."
        model_admin.message_user(request, said, messages.SUCCESS)


@admin.register(Ban)
class BanAdmin(ReadOnlyAdmin):
    """Networks whose reports are kept and not counted. Lifting a ban counts after all what it set aside."""

    list_display = (
        "began_at", "until_at", "state", "service", "region", "what", "name", "reports", "why", "banned_by",
    )  # fmt: skip
    fields = (*list_display, "lifted_at", "lifted_by")
    list_filter = ("kind", "began_at", ("lifted_at", admin.EmptyFieldListFilter))
    list_select_related = ("service", "region", "banned_by", "lifted_by")
    search_fields = ("service__name", "region__name", "region__code", "why")
    actions = ("lift",)

    @admin.display(description="reports of")
    def what(self, row: Ban) -> str:
        """``down`` or ``working``."""
        return row.get_kind_display()

    @admin.display(description="network")
    def name(self, row: Ban) -> str:
        """What the network is called for as long as there are reports of it."""
        return "forgotten" if row.network is None else bans.label(row.network)

    @admin.display(description="state")
    def state(self, row: Ban) -> str:
        """In force, over, or lifted by whom."""
        if row.lifted_at:
            return f"lifted by {row.lifted_by}"
        return "in force" if clock.now() < row.until_at else "over"

    def get_urls(self) -> list[URLPattern]:
        """Those of every model, and the page of the networks of a flow."""
        page = path("networks/", self.admin_site.admin_view(self.networks), name="reports_network_shares")
        return [page, *super().get_urls()]

    def networks(self, request: HttpRequest) -> HttpResponse:
        """Who sent what of a service in a region and a window, which the address tells."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = clock.now()
        blank = {"region": "001", "from": now - _ONE_HOUR, "to": now}
        form = WindowForm(request.GET if request.GET else None, initial=blank)
        return show(self, request, form, title="Networks: who sent how much")

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Whoever may change bans may lift them."""
        return bool(request.user.has_perm("reports.change_ban"))

    @admin.action(description="Lift: count what it set aside after all", permissions=["lift"])
    def lift(self, request: HttpRequest, rows: QuerySet[Ban]) -> None:
        """Lifts the chosen bans, and notes it in the log of the desk."""
        assert request.user.is_authenticated
        total = 0
        for row in rows:
            with transaction.atomic():
                given_back = quarantine.lift(row.pk, by=request.user, now=clock.now())
                self.log_change(request, row, f"Lifted: {given_back} reports are counted.")
            total += given_back
        said = ngettext("%d report is counted after all.", "%d reports are counted after all.", total) % total
        self.message_user(request, said, messages.SUCCESS)
