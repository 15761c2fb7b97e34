"""What can be reported on: edited here and in the catalogue's files. Nothing is deleted, since history names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from reports.admin.readonly import ReadOnlyAdmin
from reports.models import (
    Baseline,
    Category,
    Problem,
    Provider,
    Region,
    Service,
    ServiceAlias,
    ServiceDependency,
)

# The stubs are generic where Django's classes are not.
if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
else:
    _ModelAdmin, _TabularInline = admin.ModelAdmin, admin.TabularInline


class _KeptAdmin(_ModelAdmin):
    """No deletion; the slug is fixed once it is in addresses and in the keys of incidents."""

    actions = None
    # An address typed without a scheme; Django's own default for it changes with its next version.
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}  # noqa: RUF012

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody: a service that is no more is retired."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> tuple[str, ...]:
        """The slug of what exists."""
        return () if obj is None else ("slug",)


class _AliasInline(_TabularInline):
    model = ServiceAlias
    extra = 1


class _DependencyInline(_TabularInline):
    model = ServiceDependency
    fk_name = "service"
    autocomplete_fields = ("upstream",)
    extra = 1
    verbose_name = "service that it depends on"
    verbose_name_plural = "services that it depends on"


class _ProblemInline(_TabularInline):
    model = Problem
    extra = 1
    can_delete = False


@admin.register(Provider)
class ProviderAdmin(_KeptAdmin):
    """Who runs services."""

    list_display = ("name", "slug", "country", "status_url")
    # A field that completes what is typed pages through them.
    ordering = ("name",)
    search_fields = ("name", "slug")
    list_filter = ("country",)


@admin.register(Service)
class ServiceAdmin(_KeptAdmin):
    """What people report on, with the other names they type for it."""

    list_display = ("name", "slug", "provider", "category", "retired_at")
    ordering = ("name",)
    list_select_related = ("provider", "category")
    list_filter = ("category", ("retired_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "slug", "aliases__alias", "provider__name")
    autocomplete_fields = ("provider",)
    inlines = (_AliasInline, _DependencyInline)


@admin.register(Category)
class CategoryAdmin(_KeptAdmin):
    """Kinds of services and the problems that can be reported of each."""

    list_display = ("name", "slug", "position")
    inlines = (_ProblemInline,)


@admin.register(Region)
class RegionAdmin(ReadOnlyAdmin):
    """Regions come from the geographical files, with their codes; they are only looked at here."""

    list_display = ("code", "name", "kind", "parent", "population", "timezone")
    list_select_related = ("parent",)
    list_filter = ("kind", "population_source")
    search_fields = ("code", "name")


@admin.register(Baseline)
class BaselineAdmin(ReadOnlyAdmin):
    """The fits of what is ordinary."""

    list_display = ("version", "fitted_at", "history_from", "history_until")
    fields = list_display
