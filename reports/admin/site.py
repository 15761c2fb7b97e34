"""The desk's door: password, second factor, and how often one may try.

Who has set a second factor up is asked for it at every sign-in. With REQUIRE_TWO_FACTOR nobody gets further than to the
page where it is set up. Failed attempts are counted by django-axes, for a network's keyed name: no address is kept.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from ipaddress import IPv6Address
from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, include, path, reverse
from django.utils.safestring import mark_safe
from django_otp import login as remember_device
from django_otp import match_token, user_has_device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from reports.admin import duty
from reports.intake import guard
from reports.models import Incident

RECOVERY_CODES = 8
RECENT_ACTIONS = 10


def keyed_address(request: HttpRequest) -> str:
    """The client's network under a keyed name, in the shape of an address, which is what django-axes stores.

    The same network has the same name for as long as SECRET_KEY does; it leads back to no address. Within fd00::/8,
    which nobody is reached by.
    """
    address, _client = guard.request_client(request)
    name = hmac.digest(settings.SECRET_KEY.encode(), b"sign-in " + address.encode(), sha256)
    return str(IPv6Address(b"\xfd" + name[:15]))


_APP_NAMES = {
    "reports": "Outages",
    "auth": "Who may do what",
    "axes": "Attempts to sign in",
    "otp_totp": "Second factor: apps that show a code",
    "otp_static": "Second factor: recovery codes",
}


class SignInForm(AdminAuthenticationForm):
    """Name, password, and the code of the second factor for whoever has set one up."""

    code = forms.CharField(
        label="Code",
        required=False,
        max_length=20,
        help_text="From your authenticator, or a recovery code; leave it empty if you have set up no second factor.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autocapitalize": "none"}),
    )

    def confirm_login_allowed(self, user: Any) -> None:
        """Refuses whom Django's admin refuses, and a wrong or missing code of whoever has a second factor."""
        super().confirm_login_allowed(user)
        if not user_has_device(user):
            return
        code = "".join(self.data.get("code", "").split())
        device = match_token(user, code) if code else None
        if device is None:
            raise ValidationError(
                "The code is missing or wrong. Codes change every 30 seconds; after a wrong one, wait a moment."
            )
        # The signal of signing in writes it into the session.
        user.otp_device = device


class Desk(admin.AdminSite):
    """Django's admin, behind a second factor where there is one or one is required."""

    site_header = site_title = "Outagemap desk"
    index_title = "What can be done here"
    login_form = SignInForm
    login_template = "admin/sign_in.html"
    index_template = "admin/desk.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the request comes from an administrator who is as sure to be one as this site demands."""
        if not super().has_permission(request):
            return False
        assert isinstance(request.user, User)
        if _verified(request):
            return True
        return not settings.REQUIRE_TWO_FACTOR and not user_has_device(request.user)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The form; for one who has signed in where a second factor is required and has none yet, the way to it.

        Who is on duty gets to what waits, unless it was another page that they were asked to sign in for.
        """
        known = super().has_permission(request) and isinstance(request.user, User)
        if known and settings.REQUIRE_TWO_FACTOR and not user_has_device(request.user):
            return HttpResponseRedirect(reverse("admin:two_factor"))
        response = super().login(request, extra_context)
        signed_in = request.method == "POST" and response.status_code == 302
        if signed_in and response["Location"] == reverse("admin:index") and _is_on_duty(request.user):
            return HttpResponseRedirect(reverse("admin:reports_incident_duty"))
        return response

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Django's, with how many incidents wait at its top, and no link to what the reader may not see."""
        waiting = duty.number_waiting() if request.user.has_perm("reports.view_incident") else 0
        done = self.get_log_entries(request).filter(user=request.user.pk)[:RECENT_ACTIONS]
        recent = [(entry, self._link(request, entry)) for entry in done]
        return super().index(request, {**(extra_context or {}), "number_waiting": waiting, "recent": recent})

    def _link(self, request: HttpRequest, entry: LogEntry) -> str:
        """Where what was done can be seen; empty where it is gone, or where the reader would be refused."""
        model = entry.content_type.model_class() if entry.content_type else None
        if entry.is_deletion() or model is None or not self.is_registered(model):
            return ""
        may_look = self.get_model_admin(model).has_view_or_change_permission(request)
        return entry.get_admin_url() or "" if may_look else ""

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Django's, the page of the second factor, and that of whoever is on duty."""
        on_duty = [path("reports/incident/", include(duty.urls(self.get_model_admin(Incident))))]
        return [path("two-factor/", self.two_factor, name="two_factor"), *on_duty, *super().get_urls()]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Django's, with names that say what the libraries are for."""
        found = super().get_app_list(request, app_label)
        for app in found:
            app["name"] = _APP_NAMES.get(app["app_label"], app["name"])
        return found

    def two_factor(self, request: HttpRequest) -> HttpResponse:
        """Where an administrator sets the second factor up, makes new recovery codes, or takes it away."""
        user = request.user
        if isinstance(user, AnonymousUser) or not super().has_permission(request):
            return HttpResponseRedirect(reverse("admin:login"))
        assert isinstance(user, User)
        if user_has_device(user) and not _verified(request):
            raise PermissionDenied
        given = "".join(request.POST.get("code", "").split())
        codes: list[str] = []
        if request.method == "POST":
            codes = self._change(request, user, request.POST.get("act", ""), given)
        device = None if user_has_device(user) else _unconfirmed(user)
        context = {
            **self.each_context(request),
            "title": "Second factor",
            "codes": codes,
            "picture": mark_safe(  # noqa: S308  # drawn by segno from a key of our own
                segno.make(device.config_url, micro=False).svg_inline(scale=5, border=4, dark="#000", light="#fff")
            )
            if device
            else "",
            "key": _in_fours(device.config_url.partition("secret=")[2].partition("&")[0]) if device else "",
            "left": StaticToken.objects.filter(device__user=user).count(),
            "required": settings.REQUIRE_TWO_FACTOR,
        }
        response = TemplateResponse(request, "admin/two_factor.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def _change(self, request: HttpRequest, user: User, act: str, code: str) -> list[str]:
        """Does what was asked if the code is right, and returns recovery codes where new ones were made."""
        with transaction.atomic():
            # Two windows that set it up at once would else confirm two keys.
            User.objects.select_for_update().get(pk=user.pk)
            if act == "confirm" and not user_has_device(user):
                device = _unconfirmed(user)
                if not device.verify_token(code):
                    messages.error(request, "That is not the present code. Compare the clocks, then try the next one.")
                    return []
                device.confirmed = True
                device.save(update_fields=["confirmed"])
                remember_device(request, device)
                _log(user, "Set up a second factor")
                messages.success(request, "The second factor is set up. It is asked for from now on.")
                return _new_codes(user)
            if act in ("codes", "remove") and user_has_device(user):
                if match_token(user, code) is None:
                    messages.error(request, "That is not the present code. After a wrong one, wait a moment.")
                    return []
                if act == "codes":
                    _log(user, "Made new recovery codes")
                    return _new_codes(user)
                TOTPDevice.objects.filter(user=user).delete()
                StaticDevice.objects.filter(user=user).delete()
                _log(user, "Took the second factor away")
                messages.success(request, "The second factor is gone.")
        return []


def _is_on_duty(user: Any) -> bool:
    return bool(user.has_perm("reports.view_incident")) and user.groups.filter(name="duty").exists()


def _verified(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "otp_device", None))


def _unconfirmed(user: User) -> TOTPDevice:
    device = TOTPDevice.objects.filter(user=user, confirmed=False).order_by("pk").first()
    return device or TOTPDevice.objects.create(user=user, name="authenticator", confirmed=False)


def _new_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    tokens = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    device.token_set.bulk_create(StaticToken(device=device, token=token) for token in tokens)
    return tokens


def _log(user: User, what: str) -> None:
    LogEntry.objects.log_actions(user.pk, [user], CHANGE, what, single_object=True)


def _in_fours(key: str) -> str:
    return " ".join(key[start : start + 4] for start in range(0, len(key), 4))
