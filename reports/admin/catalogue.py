"""What can be reported on: edited here and in the catalogue's files. Nothing is deleted, since history names it.

Maps are Leaflet's, from django-leaflet's static files, with the shapes that the public pages draw: no tiles, no GDAL.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import URLPattern, path, reverse

from reports import clock, counts, regions
from reports.admin import networks
from reports.admin.readonly import ReadOnlyAdmin
from reports.intake import bans
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
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelAdmin, _TabularInline, _ModelForm = admin.ModelAdmin, admin.TabularInline, forms.ModelForm

LATELY = timedelta(hours=24)
MOST_SERVICES = 20


def map_files(codes: Iterable[str] = ()) -> dict[str, Any]:
    """Where the script of a map finds Leaflet, the shapes of the world, and those of the countries of ``codes``."""
    folder = "frontend/regions"
    divided = sorted({code[:2] for code in codes if len(code) > 3})
    return {
        "leaflet": static("leaflet/leaflet.js"),
        "style": static("leaflet/leaflet.css"),
        "countries": static(f"{folder}/countries-110.topo.json"),
        "regions": static(f"{folder}/regions-z4.topo.json"),
        "names": static(f"{folder}/regions-meta.json"),
        "fine": json.dumps({code: static(f"{folder}/by-country/{code}.topo.json") for code in divided}),
    }


def _unknown(codes: Iterable[str]) -> list[str]:
    """Which of these are no country."""
    return [code for code in codes if code not in regions.tree() or regions.tree()[code].kind != "country"]


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


class _CountryMapAdmin(_KeptAdmin):
    """A form with countries in it, which a map beneath it helps to choose."""

    change_form_template = "admin/reports/country_form.html"
    country_field: str
    several: bool

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **more: Any
    ) -> HttpResponse:
        """With the map."""
        context |= {"map": map_files(), "field": f"id_{self.country_field}", "several": self.several}
        return super().render_change_form(request, context, *args, **more)


class _ProviderForm(_ModelForm):
    def clean_country(self) -> str:
        """Refuses what is no country."""
        code: str = self.cleaned_data["country"].strip().upper()
        if code and _unknown([code]):
            raise ValidationError(f"{code} is no country: two letters of ISO 3166-1.")
        return code


class _ServiceForm(_ModelForm):
    def clean_countries(self) -> list[str]:
        """Refuses what is no country, and what stands there twice."""
        codes = sorted({code.strip().upper() for code in self.cleaned_data["countries"]})
        if unknown := _unknown(codes):
            raise ValidationError(f"No country: {', '.join(unknown)}. Expected two letters of ISO 3166-1 each.")
        return codes


@admin.register(Provider)
class ProviderAdmin(_CountryMapAdmin):
    """Who runs services."""

    form = _ProviderForm
    country_field, several = "country", False

    list_display = ("name", "slug", "country", "status_url")
    search_fields = ("name", "slug")
    list_filter = ("country",)


@admin.register(Service)
class ServiceAdmin(_CountryMapAdmin):
    """What people report on, with the other names they type for it."""

    form = _ServiceForm
    country_field, several = "countries", True

    list_display = ("name", "slug", "provider", "category", "retired_at")
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
    """Regions come from the geographical files, with their codes, and are brought up to them at every start; here they
    are found on a map and looked at."""

    list_display = ("code", "name", "kind", "parent", "population", "timezone")
    list_select_related = ("parent",)
    list_filter = ("kind", "population_source")
    search_fields = ("code", "name")
    change_list_template = "admin/reports/regions.html"

    def get_urls(self) -> list[URLPattern]:
        """Those of every model, and the region of a code, where a click on the map leads."""
        by_code = path("of/<str:code>/", self.admin_site.admin_view(self._of_code), name="reports_region_of")
        return [by_code, *super().get_urls()]

    def _of_code(self, request: HttpRequest, code: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        known = regions.resolve(code.replace("\0", "")) or ""
        pk = Region.objects.filter(code=known).values_list("pk", flat=True).first()
        if pk is None:
            raise Http404
        return HttpResponseRedirect(reverse("admin:reports_region_change", args=[pk]))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, and the map of the world above it."""
        return super().changelist_view(request, {"map": map_files(), "shown": "[]", **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What is known of a region, its outline, what lies in and beside it, and what was reported there lately."""
        more: dict[str, Any] = {}
        region = Region.objects.filter(pk=object_id if object_id.isdecimal() else 0).first()
        if region is not None and region.code in regions.tree():
            inside = regions.descendants(region.code)
            drawn = [code for code in (region.code, *inside) if code in set(regions.displayed())]
            beside = regions.neighbours(region.code)
            more = {
                "map": map_files(drawn),
                "region": region,
                "shown": json.dumps(drawn),
                "beside": json.dumps(beside),
                "children": _named(regions.children(region.code)),
                "neighbours": _named(beside),
                "aliases": sorted(alias for alias, code in regions.aliases().items() if code == region.code),
                "lately": _lately(region),
                "hours": LATELY // timedelta(hours=1),
            }
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    change_form_template = "admin/reports/region.html"


def _named(codes: Iterable[str]) -> list[regions.RegionInfo]:
    return [regions.tree()[code] for code in codes]


def _lately(region: Region) -> list[dict[str, Any]]:
    """What was counted in the region and all that lies in it, the most first, with where to see who sent it."""
    now = clock.now()
    totals = counts.totals(region_ids=bans.inside(region.pk), start=now - LATELY, end=now)
    reports = dict(zip(totals.service_id.tolist(), totals.reports.tolist(), strict=True))
    working = dict(zip(totals.service_id.tolist(), totals.working.tolist(), strict=True))
    largest = sorted(reports, key=lambda one: (-reports[one] - working[one], one))[:MOST_SERVICES]
    services = Service.objects.in_bulk(largest)
    return [
        {
            "service": services[pk],
            "reports": reports[pk],
            "working": working[pk],
            "networks": networks.address(service=services[pk].slug, region=region.code, start=now - LATELY, end=now),
        }
        for pk in largest
        if pk in services
    ]


@admin.register(Baseline)
class BaselineAdmin(ReadOnlyAdmin):
    """The fits of what is ordinary."""

    list_display = ("version", "fitted_at", "history_from", "history_until")
    fields = list_display
