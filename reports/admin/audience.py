"""The keys of partners: made here, where the token is shown once, and revoked here. None is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from reports.intake import keys
from reports.models import ApiKey, Scope

# The stubs are generic where Django's classes are not.
if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[ApiKey]
    _ModelForm = forms.ModelForm[ApiKey]
else:
    _ModelAdmin, _ModelForm = admin.ModelAdmin, forms.ModelForm


class _KeyForm(_ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, initial=[Scope.REPORTS_WRITE], widget=forms.CheckboxSelectMultiple, label="May"
    )
    rate_per_minute = forms.IntegerField(
        min_value=1, max_value=10_000_000, initial=20_000, help_text=ApiKey._meta.get_field("rate_per_minute").help_text
    )
    expires_at = forms.SplitDateTimeField(
        required=False,
        widget=AdminSplitDateTime,
        label="Expires at (UTC)",
        help_text="Empty: it does not expire. A partner does well to get a new key from time to time.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "owner", "scopes", "rate_per_minute", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(_ModelAdmin):
    """Who may report in bulk, how much, and since when."""

    form = _KeyForm
    list_display = (
        "name",
        "prefix",
        "owner",
        "rate_per_minute",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), ("last_used_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "owner", "prefix")
    actions = ("revoke",)
    readonly_fields = ("prefix", "created_at", "last_used_at", "revoked_at")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """What is filled in, and what is known of a key that exists."""
        return _KeyForm.Meta.fields + (self.readonly_fields if obj is not None else ())

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Nobody: a key that is no longer wanted is revoked, and goes on telling what it was for."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Not for a key that is revoked: nothing about it matters any more."""
        return super().has_change_permission(request, obj) and (obj is None or obj.revoked_at is None)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Makes a new key, and keeps its token for the answer to this very request."""
        if change:
            super().save_model(request, obj, form, change)
            return
        given = form.cleaned_data
        made, token = keys.issue(
            given["name"],
            owner=given["owner"],
            now=timezone.now(),
            scopes=given["scopes"],
            rate_per_minute=given["rate_per_minute"],
            expires_at=given["expires_at"],
        )
        obj.__dict__.update(made.__dict__)
        request.META[_NEW] = token

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The token, in the answer itself: a message would be kept in a cookie or in a table."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new key",
            "opts": self.opts,
            "key": obj,
            "token": request.META.pop(_NEW),
        }
        return TemplateResponse(
            request, "admin/reports/new_key.html", context, headers={"Cache-Control": "no-store, private"}
        )

    @admin.action(description="Revoke the chosen keys for good", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Ends keys."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        ended = [key for key in queryset if keys.revoke(key.pk, now=timezone.now())]
        for key in ended:
            self.log_change(request, key, "Revoked.")
        seconds = round(keys.REFRESH_SECONDS)
        self.message_user(request, f"{len(ended)} revoked; within {seconds} s no server takes them.", messages.SUCCESS)


_NEW = "outagemap.new_key"
