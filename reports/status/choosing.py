"""Which incidents are asked for: each filter by name, as a condition of the query."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from django.db.models import BigIntegerField, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django_filters import BaseInFilter, BooleanFilter, CharFilter, FilterSet, IsoDateTimeFilter, NumberFilter

from reports.incidents import kinship
from reports.models import Incident, RegionalOutage, Statement
from reports.status import catalogue, shares

Incidents = QuerySet[Incident]

# The world above a country above a nation above a subdivision.
_ABOVE = ("region__parent", "region__parent__parent", "region__parent__parent__parent")
_GONE_ON = Q(resolved_at__isnull=False) | Q(rejected_at__isnull=False) | Q(merged_at__isnull=False)
_REVIEWS = {
    "merged": Q(merged_at__isnull=False),
    "rejected": Q(merged_at=None, rejected_at__isnull=False),
    "confirmed": Q(merged_at=None, rejected_at=None, confirmed_at__isnull=False),
    "automatic": Q(merged_at=None, rejected_at=None, confirmed_at=None),
}


class _AnyOfFilter(BaseInFilter, CharFilter):  # type: ignore[misc]  # without types
    """One of several texts."""


class IncidentFilter(FilterSet):  # type: ignore[misc]  # without types
    """The filters of the list of incidents. Values that do not fit a filter are an error of the caller's."""

    ref = _AnyOfFilter(field_name="ref", lookup_expr="in")
    service = CharFilter(field_name="service__slug")
    provider = CharFilter(field_name="service__provider__slug")
    category = CharFilter(field_name="service__category__slug")
    region = CharFilter(method="in_region")
    state = CharFilter(method="in_state")
    review = CharFilter(method="reviewed_as")
    scope = CharFilter()
    group = CharFilter(field_name="group__key")
    since = IsoDateTimeFilter(field_name="detected_at", lookup_expr="gte")
    until = IsoDateTimeFilter(field_name="detected_at", lookup_expr="lt")
    min_confidence = NumberFilter(field_name="confidence", lookup_expr="gte")
    min_regions = NumberFilter(method="in_so_many_regions")
    min_people = NumberFilter(method="among_so_many_people")
    echo = BooleanFilter(field_name="echo_of", lookup_expr="isnull", exclude=True)
    has_statement = BooleanFilter(method="spoken_of")
    search = CharFilter(method="told_of")

    class Meta:
        model = Incident
        fields = ()

    @property
    def qs(self) -> Incidents:
        """The incidents that fit. Raises ``ValueError`` for a value that no filter takes."""
        # The library leaves such a filter out, which would answer another question than the one that was asked.
        if self.is_bound and not self.form.is_valid():
            raise ValueError(f"no such incidents: {self.form.errors.as_json()}")
        chosen: Incidents = super().qs
        return chosen

    def in_region(self, rows: Incidents, _name: str, region: str) -> Incidents:
        """The region, all that lies in it, and incidents of a whole country or the world that cover it."""
        return rows.filter(Exists(_regions(region_code__in=_codes_around(region))))

    def in_state(self, rows: Incidents, _name: str, state: str) -> Incidents:
        """Open, recovering or resolved; of anything else there is none."""
        return rows.filter(_in_state(state))

    def reviewed_as(self, rows: Incidents, _name: str, review: str) -> Incidents:
        """What became of it at the desk; of anything else there is none."""
        return rows.filter(_REVIEWS.get(review, Q(pk=None)))

    def in_so_many_regions(self, rows: Incidents, _name: str, regions: int) -> Incidents:
        """Those that reached so many regions or more, those that are back included."""
        number = _regions().order_by().values("incident").annotate(n=Count("pk")).values("n")
        return rows.filter(Q(pk__in=rows.annotate(n=_or_zero(number)).filter(n__gte=regions).values("pk")))

    def among_so_many_people(self, rows: Incidents, _name: str, people: int) -> Incidents:
        """Those in whose regions so many people live or more."""
        # As ``shares.counted_rows`` has it: what was rejected reached those whom it reached.
        counted = Q(withdrawn_at=None) | Q(withdrawn_at__gte=F("incident__rejected_at"))
        beside_others = shares.people_beside_others()
        enough = [pk for pk, number in beside_others.items() if number >= people]
        alone = rows.annotate(n=inhabitants(counted)).filter(n__gte=people).exclude(pk__in=list(beside_others))
        return rows.filter(Q(pk__in=alone.values("pk")) | Q(pk__in=enough))

    def spoken_of(self, rows: Incidents, _name: str, spoken: bool) -> Incidents:
        """Those of which the provider said something, or nothing."""
        return rows.filter(_said() if spoken else ~_said())

    def told_of(self, rows: Incidents, _name: str, text: str) -> Incidents:
        """Those whose ref, service, provider or statements the text is found in."""
        known = catalogue.catalogue()
        services = [entry.id for entry in catalogue.ranked(text, known.entries)]
        return rows.filter(Q(ref__icontains=text) | Q(service__in=services) | _said(text__icontains=text))


def inhabitants(counted: Q) -> Coalesce:
    """For a query of incidents: how many people live in the regions of each that fit ``counted``, a condition of
    regional outages. Nobody twice, and the world as a whole is nobody.

    The same figure as :func:`reports.status.outages.people` makes of regions that are all down; too much for one beside
    which others tell some of them (see :func:`reports.status.shares.people_beside_others`).
    """
    lived_in = RegionalOutage.objects.filter(counted, region__parent__isnull=False)
    reached = lived_in.filter(incident=OuterRef("incident"))
    covered = Q()
    for above in _ABOVE:
        covered |= Q(Exists(reached.filter(region=OuterRef(above))))
    number = lived_in.filter(incident=OuterRef("pk")).exclude(covered).order_by().values("incident")
    return _or_zero(number.annotate(n=Sum("region__population")).values("n"))


def chosen(asked: Mapping[str, object]) -> Incidents:
    """The incidents that fit what is asked by name. Raises ``ValueError`` for a filter or a value there is not."""
    if unknown := set(asked) - set(IncidentFilter.base_filters):
        raise ValueError(f"no such filter: {', '.join(sorted(unknown))}")
    given = {name: _told(value) for name, value in asked.items()}
    found: Incidents = IncidentFilter(given, queryset=Incident.objects.all()).qs
    return found


def _told(value: object) -> object:
    """As the library reads it."""
    return ",".join(value) if isinstance(value, Collection) and not isinstance(value, str) else value


def _or_zero(number: QuerySet[Any, Any]) -> Coalesce:
    return Coalesce(Subquery(number, output_field=BigIntegerField()), 0, output_field=BigIntegerField())


def _regions(**which: object) -> QuerySet[RegionalOutage]:
    return RegionalOutage.objects.filter(incident=OuterRef("pk"), withdrawn_at=None, **which)


def _said(**which: object) -> Q:
    """Whether the provider said something of the incident, or of one that it tells, that nobody withdrew."""
    said = Statement.objects.filter(withdrawn_at=None, **which)
    found = Q()
    # One look for each, so that the database finds what was merged by its index.
    for teller in kinship.TELLERS:
        found |= Q(Exists(said.filter(**{f"incident__{teller}": OuterRef("pk")})))
    return found


def _codes_around(region: str) -> list[str]:
    index = catalogue.index_of(region)
    if index is None:
        return []
    codes, lineage = catalogue.codes(), catalogue.tree().lineage
    inside = np.flatnonzero((lineage == index).any(axis=1)).tolist()
    return [codes[i] for i in {*inside, *(i for i in lineage[index].tolist() if i >= 0)}]


def _in_state(state: str) -> Q:
    down = Exists(_regions(restored_at=None, unknown_at=None, recovering_at=None))
    back = Exists(_regions().filter(Q(restored_at__isnull=False) | Q(unknown_at=None, recovering_at__isnull=False)))
    recovering = ~Q(down) & Q(back)
    return {
        "resolved": _GONE_ON,
        "recovering": ~_GONE_ON & recovering,
        "open": ~_GONE_ON & ~recovering,
    }.get(state, Q(pk=None))
