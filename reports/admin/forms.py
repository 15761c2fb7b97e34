"""What an administrator fills in on the page of an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from reports.audience import outgoing
from reports.incidents.joining import mergeable
from reports.incidents.lifecycle import RegionWord, likely_down
from reports.incidents.what_if import MOST_DAYS, SETTINGS, Setting
from reports.models import Incident, Provider, Region, Service, Statement, StatusFeed

# The stubs are generic where Django's classes are not.
if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[StatusFeed]
else:
    _ModelForm = forms.ModelForm

# Boxes to choose regions from, and incidents to merge into.
MOST_CHOICES = 60
MOST_OTHERS = 50


class Moment(forms.DateTimeField):
    """An instant, entered in UTC with the browser's own picker."""

    def __init__(self, *, label: str) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(label=label, widget=widget)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """An address tells seconds and a zone, which the browser's picker would not show."""
        try:
            return self.to_python(data)
        except forms.ValidationError:
            return data


class ActForm(forms.Form):
    """What every act carries: the revision of the incident that the administrator saw."""

    revision = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *arguments: Any, incident: Incident, **more: Any) -> None:
        # A page with several forms has every name several times.
        more.setdefault("auto_id", f"{type(self).__name__.lower()}_%s")
        super().__init__(*arguments, **more)
        self.incident = incident

    @property
    def has_choices(self) -> bool:
        """Whether there is anything that could be filled in."""
        return True


class ConfirmForm(ActForm):
    """Nothing further to say."""


class RejectForm(ActForm):
    """Why it is no outage."""

    reason = forms.CharField(
        label="Why it is no outage (public)", widget=forms.Textarea(attrs={"rows": 2}), max_length=1000
    )


class UndoRejectionForm(ActForm):
    """Why the rejection was wrong."""

    reason = forms.CharField(
        label="Why (public, may be empty)", widget=forms.Textarea(attrs={"rows": 2}), max_length=1000, required=False
    )


class StatementForm(ActForm):
    """What the provider said."""

    text = forms.CharField(label="What was said", widget=forms.Textarea(attrs={"rows": 3}), max_length=4000)
    url = forms.CharField(label="Where (address)", required=False, widget=forms.URLInput, max_length=500)
    said_at = Moment(label="When (UTC)")
    meaning = forms.ChoiceField(label="What it means", choices=Statement.Meaning.choices)
    region = forms.CharField(
        label="Of one region only (its code; empty: of all)",
        required=False,
        max_length=10,
        widget=forms.TextInput(attrs={"list": "regions-of-the-incident"}),
    )


class OverrideForm(ActForm):
    """An administrator's own word on a region."""

    region = forms.CharField(
        label="Region (its code)",
        max_length=10,
        widget=forms.TextInput(attrs={"list": "regions-of-the-incident"}),
    )
    state = forms.ChoiceField(label="Is", choices=[(word.value, word.value) for word in reversed(RegionWord)])
    at = Moment(label="Since (UTC)")
    reason = forms.CharField(label="Why (public)", widget=forms.Textarea(attrs={"rows": 2}), max_length=1000)


class ReopenForm(ActForm):
    """Which region is down again, or still: an incident is open while one is."""

    region = forms.CharField(
        label="Region that is down (its code)",
        required=False,
        max_length=10,
        widget=forms.TextInput(attrs={"list": "regions-of-the-incident"}),
    )
    at = Moment(label="Since (UTC)")
    reason = forms.CharField(label="Why (public)", widget=forms.Textarea(attrs={"rows": 2}), max_length=1000)

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        if self.incident.resolved_at is not None:
            likely = [f"{row.region_name} ({row.region_code})" for row in likely_down(self.incident)]
            shown = ", ".join(likely[:5]) + (f" and {len(likely) - 5} more" if len(likely) > 5 else "")
            self.fields["region"].help_text = f"Empty: {shown}, of which it is least sure that it is back."


class MergeForm(ActForm):
    """Which other incident it is a part of."""

    into = forms.ChoiceField(label="Is part of")
    reason = forms.CharField(
        label="Why (public, may be empty)", widget=forms.Textarea(attrs={"rows": 2}), max_length=1000, required=False
    )

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.others = [
            (other.ref, f"{other.ref}, from {other.onset_at:%m-%d %H:%M} UTC, {_standing(other)}")
            for other in mergeable(self.incident)[:MOST_OTHERS]
        ]
        into = self.fields["into"]
        assert isinstance(into, forms.ChoiceField)
        into.choices = self.others

    @property
    def has_choices(self) -> bool:
        """Whether the service has another incident."""
        return bool(self.others)


def _standing(incident: Incident) -> str:
    if incident.resolved_at is None:
        return "open"
    return f"over since {incident.resolved_at:%m-%d %H:%M} UTC"


class SplitForm(ActForm):
    """Which regions are an outage of their own."""

    chosen = forms.MultipleChoiceField(
        label="Regions, with all that lie in them", required=False, widget=forms.CheckboxSelectMultiple
    )
    codes = forms.CharField(
        label="Further ones (codes, with blanks between them)",
        required=False,
        max_length=20_000,
        widget=forms.TextInput(attrs={"list": "regions-of-the-incident"}),
    )
    reason = forms.CharField(
        label="Why (public, may be empty)", widget=forms.Textarea(attrs={"rows": 2}), max_length=1000, required=False
    )

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        rows = list(self.incident.regions.filter(withdrawn_at=None).order_by("region_code")[: MOST_CHOICES + 1])
        self.rows = len(rows)
        if len(rows) > MOST_CHOICES:
            # Of a storm its countries: a thousand boxes help nobody.
            countries = self.incident.regions.filter(withdrawn_at=None, region__kind=Region.Kind.COUNTRY)
            rows = list(countries.order_by("region_code")[:MOST_CHOICES])
        chosen = self.fields["chosen"]
        assert isinstance(chosen, forms.MultipleChoiceField)
        chosen.choices = [(row.region_code, f"{row.region_name} ({row.region_code}), {row.state}") for row in rows]

    @property
    def has_choices(self) -> bool:
        """Whether anything would be left."""
        return self.rows > 1

    def clean(self) -> dict[str, Any]:
        """Both together, by code."""
        given = super().clean() or self.cleaned_data
        typed = given.get("codes", "").replace(",", " ").upper().split()
        given["regions"] = [*given.get("chosen", []), *typed]
        return given


class UndoForm(ActForm):
    """Which act, and why."""

    act = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(max_length=1000, required=False)


class AttachForm(forms.Form):
    """Which outage an update of a status page is about, and what it means there."""

    incident = forms.CharField(
        label="Incident (its reference)",
        max_length=20,
        widget=forms.TextInput(attrs={"list": "incidents-it-may-be-about", "autocapitalize": "characters"}),
    )
    meaning = forms.ChoiceField(label="What it means", choices=Statement.Meaning.choices)


class DismissForm(forms.Form):
    """Why an update belongs to no outage."""

    reason = forms.CharField(label="Why (may be empty)", max_length=1000, required=False)


class StatusFeedForm(_ModelForm):
    """A status page, as an administrator describes it."""

    # Declared, because the model's own would take an address without a scheme for http, with a warning.
    url = forms.URLField(
        label="Address",
        max_length=500,
        assume_scheme="https",
        help_text=StatusFeed._meta.get_field("url").help_text,
        widget=forms.URLInput(attrs={"class": "vURLField"}),
    )

    class Meta:
        model = StatusFeed
        fields = ("provider", "url", "format", "default_service", "enabled")

    def clean_url(self) -> str:
        """The address, if it is one that this site asks."""
        url: str = self.cleaned_data["url"]
        try:
            outgoing.check(url)
        except outgoing.Refused as refused:
            raise forms.ValidationError(str(refused)) from refused
        return url

    def clean(self) -> dict[str, Any] | None:
        """A default service has to be the provider's own."""
        cleaned = super().clean()
        service, provider = self.cleaned_data.get("default_service"), self.cleaned_data.get("provider")
        if service is not None and provider is not None and service.provider_id != provider.pk:
            self.add_error("default_service", f"{service} is not run by {provider}.")
        return cleaned


def _number(setting: Setting) -> forms.Field:
    told = f"{setting.meaning} In force: {setting.present:g} {setting.unit}; {setting.least:g} to {setting.most:g}."
    if setting.whole:
        return forms.IntegerField(
            label=setting.label,
            min_value=int(setting.least),
            max_value=int(setting.most),
            initial=int(setting.present),
            help_text=told,
        )
    return forms.FloatField(
        label=setting.label,
        min_value=setting.least,
        max_value=setting.most,
        initial=setting.present,
        help_text=told,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )


class WhatIfForm(forms.Form):
    """Other values for the settings that matter at the desk, and which counts to try them on."""

    days = forms.IntegerField(
        label="Days", min_value=1, max_value=MOST_DAYS, initial=MOST_DAYS, help_text=f"The last 1 to {MOST_DAYS}."
    )
    service = forms.ModelChoiceField(
        label="Service",
        queryset=Service.objects.order_by("slug"),
        to_field_name="slug",
        required=False,
        empty_label="every service",
        help_text="One only: faster, and more days fit.",
    )
    provider = forms.ModelChoiceField(
        label="Provider",
        queryset=Provider.objects.order_by("slug"),
        to_field_name="slug",
        required=False,
        empty_label="every provider",
        help_text="All services of one.",
    )

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        for setting in SETTINGS:
            self.fields[setting.name] = _number(setting)

    def values(self) -> dict[str, float]:
        """The settings as they were filled in, by name."""
        return {setting.name: self.cleaned_data[setting.name] for setting in SETTINGS}
