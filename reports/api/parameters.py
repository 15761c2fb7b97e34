"""What may be asked for in a query string; a bad value is answered with ``400`` and the name of the parameter."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from rest_framework import serializers

from reports import regions as tree
from reports import status
from reports.api.serializers import ARTICLE_FORMATS, INCIDENT_STATES, REGION_KINDS, REVIEWS, SCOPES, SERVICE_STATES
from reports.status.catalogue import catalogue, folded

# Before the first outage site and after anybody's use for this one: what lies outside is a slip, and may not even fit
# into the database's arithmetic.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MOST_RESULTS = 1000
LONGEST_STEP = timedelta(days=1)
MOST_NAMES = 100
HINTS = 5
EVERYWHERE = ("format",)
"""What every call takes: the form of the answer."""
PASSED_OVER = ("_", "utm_")
"""How names begin that say nothing about the answer: what programs add against caches, and where a link came from."""


class InstantField(serializers.DateTimeField):
    """An instant, ISO 8601; UTC where it names no zone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(default_timezone=UTC, **options)

    def to_internal_value(self, value: Any) -> datetime:
        """The instant; an unescaped ``+`` in its zone is forgiven."""
        # An unescaped "+00:00" arrives as " 00:00".
        if isinstance(value, str) and "T" in value:
            value = value.replace(" ", "+")
        at: datetime = super().to_internal_value(value)
        if not EARLIEST <= at < LATEST:
            raise serializers.ValidationError(f"Expected an instant between {EARLIEST.year} and {LATEST.year}.")
        return at


class RegionField(serializers.CharField):
    """The code of a region; aliases are followed."""

    def to_internal_value(self, value: Any) -> str:
        """The one that is meant, or what it may be instead."""
        text = super().to_internal_value(value)
        found = status.region(text)
        if found is None:
            near = (status.region(code) for code in tree.nearest_codes(text, HINTS))
            raise _unknown("region", text, [f"{link.code} ({link.name})" for link in near if link])
        return found.code


class ServiceField(serializers.CharField):
    """The slug of a service, one that is no longer on offer included: it has a past."""

    def to_internal_value(self, value: Any) -> str:
        """The one that is meant, or what it may be instead."""
        text = super().to_internal_value(value)
        if text not in catalogue().by_slug:
            raise _unknown("service", text, [link.slug for link in status.search(text, limit=HINTS)])
        return text


class ProviderField(serializers.CharField):
    """The slug of a provider."""

    def to_internal_value(self, value: Any) -> str:
        """The one that is meant, or what it may be instead."""
        text = super().to_internal_value(value)
        known = sorted({entry.link.provider for entry in catalogue().entries})
        if text not in known:
            raise _unknown("provider", text, get_close_matches(text, known, n=HINTS))
        return text


class CategoryField(serializers.CharField):
    """The slug of a category."""

    def to_internal_value(self, value: Any) -> str:
        """The one that is meant, or what it may be instead."""
        text = super().to_internal_value(value)
        known = sorted({entry.link.category for entry in catalogue().entries})
        if text not in known:
            raise _unknown("category", text, known)
        return text


def _unknown(what: str, text: str, near: Iterable[str]) -> serializers.ValidationError:
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return serializers.ValidationError(f'Unknown {what} "{text}".{hint}')


class SearchField(serializers.CharField):
    """What is looked for: something of it has to be a letter or a digit."""

    def to_internal_value(self, value: Any) -> str:
        """The text as it was given."""
        text = super().to_internal_value(value)
        if not folded(text):
            raise serializers.ValidationError("Expected a letter or a digit at least.")
        return text


class FlagField(serializers.BooleanField):
    """Yes or no; not asked where it is not said."""

    # DRF takes a query string for a form, in which a box that is not ticked says "no".
    default_empty_html = serializers.empty


class ShareField(serializers.FloatField):
    """A number from 0 to 1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=1, **options)

    def to_internal_value(self, value: Any) -> float:
        """The number; a "nan" is none, though Python takes it for one that is neither too small nor too large."""
        share: float = super().to_internal_value(value)
        if not math.isfinite(share):
            raise serializers.ValidationError("Expected a number from 0 to 1.")
        return share


class NamesField(serializers.CharField):
    """Several names, separated by commas."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=2500, **options)

    def to_internal_value(self, value: Any) -> tuple[str, ...]:  # type: ignore[override]  # a text of texts
        """Each of them once, in alphabetical order: the same question however it is put."""
        names = {name.strip() for name in super().to_internal_value(value).split(",")} - {""}
        if not 1 <= len(names) <= MOST_NAMES:
            raise serializers.ValidationError(f"Expected 1 to {MOST_NAMES} names, separated by commas.")
        return tuple(sorted(names))


class Parameters(serializers.Serializer[Any]):
    """Those of a call without any."""

    def to_internal_value(self, data: Any) -> Any:
        """The values; a parameter that there is not is an error, for who asks wrongly for less would else get more."""
        errors = {**self._unknown(data), **self._repeated(data)}
        try:
            read = super().to_internal_value(data)
        except serializers.ValidationError as error:
            details: Any = error.detail
            raise serializers.ValidationError({**errors, **details}) from error
        if errors:
            raise serializers.ValidationError(errors)
        return read

    def _unknown(self, data: Iterable[str]) -> dict[str, list[str]]:
        known = sorted({*self.fields, *EVERYWHERE})
        return {
            name: [_hint(name, known, set(self.fields))]
            for name in data
            if name not in known and not name.startswith(PASSED_OVER)
        }

    def _repeated(self, data: Any) -> dict[str, list[str]]:
        listed = getattr(data, "getlist", lambda name: [data[name]])
        return {name: ["Expected once."] for name in data if name in self.fields and len(listed(name)) > 1}


def _hint(name: str, known: Iterable[str], own: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1) or [each for each in known if name.lower() in (each, f"{each}s")]
    if near:
        return f"Unknown parameter. Did you mean `{near[0]}`?"
    return f"Unknown parameter. There are {', '.join(sorted(own))}." if own else "This call takes no parameters."


class PageParameters(Parameters):
    """How much of a list, and from where on."""

    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_RESULTS, default=100, help_text="How many results at most."
    )
    cursor = serializers.CharField(
        required=False, max_length=500, help_text="From `next` or `previous` of another page; opaque."
    )


class ServicesParameters(PageParameters):
    """Which services."""

    slug = NamesField(required=False, help_text="Slugs of services, separated by commas.")
    category = CategoryField(required=False, help_text="Slug of a category.")
    provider = ProviderField(required=False, help_text="Slug of a provider.")
    region = RegionField(
        required=False, help_text="The present of each service in this region; `state` then asks for its state there."
    )
    state = serializers.ChoiceField(choices=SERVICE_STATES, required=False, help_text="State of the service.")
    search = SearchField(
        required=False,
        max_length=100,
        help_text="Name, alias or provider; small slips are forgiven. The likeliest first, on one page.",
    )


class ServiceParameters(Parameters):
    """Which part of a service."""

    region = RegionField(required=False, help_text="Its present in this region only.")


class CountsParameters(Parameters):
    """Which counts, and how coarse."""

    region = RegionField(default="001", help_text="With all that lies in it; `001` is the world.")
    to = InstantField(required=False, help_text="End, exclusive; now at most, and by default.")
    step = serializers.IntegerField(
        default=60,
        min_value=60,
        max_value=int(LONGEST_STEP.total_seconds()),
        help_text=f"Seconds, whole minutes. At most {status.MOST_STEPS} steps are answered.",
    )

    def get_fields(self) -> dict[str, Any]:
        """The fields above and ``from``, which Python keeps for itself."""
        start = InstantField(required=False, help_text="Start; a day before `to` by default.")
        return {**super().get_fields(), "from": start}

    def validate_step(self, value: int) -> int:
        """Whole minutes only: counts are kept by the minute."""
        if value % 60:
            raise serializers.ValidationError("Expected whole minutes, in seconds.")
        return value


class MapParameters(Parameters):
    """When."""

    at = InstantField(required=False, help_text="An instant in the past; now by default.")


class RegionsParameters(PageParameters):
    """Which regions."""

    parent = RegionField(required=False, help_text="Those directly in this one.")  # type: ignore[assignment]
    code = NamesField(required=False, help_text="Codes of regions, separated by commas; aliases are followed.")
    kind = serializers.ChoiceField(choices=REGION_KINDS, required=False, help_text="Kind of region.")
    search = SearchField(required=False, max_length=100, help_text="Beginning of a word of the name.")


class LocateParameters(Parameters):
    """A place on Earth."""

    lat = serializers.FloatField(min_value=-90, max_value=90, help_text="Degrees north, WGS 84.")
    lon = serializers.FloatField(min_value=-180, max_value=180, help_text="Degrees east, WGS 84.")


class ArticleParameters(Parameters):
    """In which form an article is wanted."""

    format = serializers.ChoiceField(
        choices=ARTICLE_FORMATS,
        required=False,
        help_text="`json`, `md` (Markdown) or `html`; without it, what `Accept` prefers.",
    )


class IncidentsParameters(PageParameters):
    """Which incidents."""

    ref = NamesField(required=False, help_text="Refs of incidents, separated by commas.")
    service = ServiceField(required=False, help_text="Slug of a service.")
    provider = ProviderField(required=False, help_text="Slug of a provider.")
    category = CategoryField(required=False, help_text="Slug of a category of services.")
    region = RegionField(
        required=False, help_text="The region, what lies in it, and incidents of a whole country that cover it."
    )
    state = serializers.ChoiceField(choices=INCIDENT_STATES, required=False, help_text="State of the incident.")
    review = serializers.ChoiceField(choices=REVIEWS, required=False, help_text="What became of it at the desk.")
    scope = serializers.ChoiceField(choices=SCOPES, required=False, help_text="How far it reaches in its provider.")
    group = serializers.CharField(required=False, max_length=120, help_text="Key of a group, from `group`.")
    since = InstantField(required=False, help_text="Detected at this instant or later.")
    until = InstantField(required=False, help_text="Detected before this instant.")
    min_confidence = ShareField(required=False, help_text="Confidence of so much at least, 0 to 1.")
    min_regions = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=10_000,
        help_text="It reached so many regions at least, those that are back included.",
    )
    min_people = serializers.IntegerField(
        required=False, min_value=1, max_value=10**10, help_text="`people_reached` of so many at least."
    )
    echo = FlagField(required=False, help_text="`true`: only what another incident explains; `false`: only the others.")
    has_statement = FlagField(required=False, help_text="Whether the provider said something about it.")
    search = SearchField(
        required=False, max_length=100, help_text="Part of a ref, a service, a provider, or words of a statement."
    )
    ordering = serializers.ChoiceField(
        choices=status.ORDERINGS, default=status.ORDERINGS[0], help_text="With a `-`: the latest or greatest first."
    )
