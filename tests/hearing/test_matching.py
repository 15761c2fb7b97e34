from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.hearing import matching
from reports.hearing.matching import Offer, Subject
from reports.hearing.updates import Update

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
META = Subject(
    "meta",
    (
        Offer("facebook", ("facebook", "fb")),
        Offer("messenger", ("facebook messenger", "messenger")),
        Offer("whatsapp", ("whatsapp", "whats app", "wa")),
    ),
)
DISNEY = Subject("disney", (Offer("disney-plus", ("disney plus", "disney+", "disney")), Offer("hulu", ("hulu",))))
ALONE = Subject("cloudflare", (Offer("cloudflare", ("cloudflare",)),), default="cloudflare")


def update(title: str = "", *components: str) -> Update:
    return Update("t", "k", title, title, "", NOW, NOW, "update", False, components)


@pytest.mark.parametrize(
    ("title", "components", "services"),
    [
        ("WhatsApp messages are delayed", (), ("whatsapp",)),
        ("Problems with Facebook Messenger", (), ("messenger",)),
        ("Facebook and WhatsApp are down", (), ("facebook", "whatsapp")),
        ("Errors", ("WhatsApp", "Business API"), ("whatsapp",)),
        ("Errors on Facebook", ("WhatsApp",), ("whatsapp",)),
        ("Errors", ("WA",), ("whatsapp",)),
        ("Errors of a wa", (), ()),
        ("WhatsAppening?", (), ()),
        ("Meta is down", (), ()),
        ("Something is down", (), ()),
        ("Whats-App!", (), ("whatsapp",)),
        ("ＷｈａｔｓＡｐｐ is down", (), ("whatsapp",)),
    ],
)
def test_a_service_is_named_by_whole_words_the_longest_first(
    title: str, components: tuple[str, ...], services: tuple[str, ...]
) -> None:
    assert matching.services(update(title, *components), META) == services


def test_the_providers_own_name_is_no_service_where_it_has_several() -> None:
    assert matching.services(update("Disney is down"), DISNEY) == ()
    assert matching.services(update("Disney+ is down"), DISNEY) == ("disney-plus",)
    assert matching.services(update("Anything at all"), ALONE) == ("cloudflare",)


@pytest.mark.parametrize(
    ("title", "codes"),
    [
        ("Login problems in Germany", ("DE",)),
        ("Problems in the UK and Ireland", ("GB", "IE")),
        ("Northern Ireland", ("GB-NIR",)),
        ("Outage in New Mexico", ("US-NM",)),
        ("South Korea", ("KR",)),
        ("Papua New Guinea", ("PG",)),
        ("GB-ENG: calls fail", ("GB-ENG",)),
        ("US: calls fail", ("US",)),
        ("Calls fail in Türkiye", ("TR",)),
        ("Calls fail", ()),
        ("Contact us", ()),
        ("It is so: no calls", ()),
    ],
)
def test_a_region_is_found_by_its_name(title: str, codes: tuple[str, ...]) -> None:
    assert matching.places(update(title)) == matching.Places(codes, partly=False)


@pytest.mark.parametrize(
    "title",
    [
        "EU: errors",
        "North America",
        "Latin America",
        "us-east-1 API errors",
        "Errors in eu-west-1",
        "europe-west4",
        "Azure: eastus2",
        "US East (N. Virginia)",
        "Australia Southeast",
        "Mexico Central",
        "India 2",
        "Georgia",
        "Payments - DE",
        "IN: payments",
        "Outage in California",
        "APAC",
        "North West",
        "France, Spain, Italy, Portugal, Germany and Poland",
    ],
)
def test_what_is_no_region_here_is_none_and_known_to_be_a_part(title: str) -> None:
    assert matching.places(update(title)) == matching.Places((), partly=True)


def test_a_component_may_be_called_like_a_subdivision() -> None:
    assert matching.places(update("Calls fail", "California")).codes == ("US-CA",)
    assert matching.places(update("Calls fail", "Calls - England", "United Kingdom")).codes == ("GB",)
    assert matching.places(update("Calls fail", "Georgia")) == matching.Places((), partly=True)
    assert matching.places(update("Calls fail", "API - FR")).codes == ("FR",)


@given(st.text(), st.lists(st.text(), max_size=3))
def test_whatever_is_written_the_regions_exist(title: str, components: list[str]) -> None:
    from reports import regions

    found = matching.places(update(title, *components))
    assert all(code in regions.tree() for code in found.codes)
    assert set(matching.services(update(title, *components), META)) <= {"facebook", "messenger", "whatsapp"}
