"""What is told in words: in the reader's language and zone, with UTC beside."""

from __future__ import annotations

from typing import Any

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils import translation

from frontend import translations
from reports.audience import notices


def message(*states: str, review: str = "automatic", state: str = "open", **more: Any) -> dict[str, Any]:
    regions = [
        {
            "region": code,
            "region_name": code,
            "state": each,
            "onset_at": "2026-04-03T18:02:00Z",
            "restored_at": "2026-04-03T19:40:00Z" if each == "restored" else None,
        }
        for code, each in zip(("GB-ENG", "BR-SP", "001"), states, strict=False)
    ]
    data: dict[str, Any] = {
        "incident": {
            "ref": "OUT-2026-0001",
            "review": review,
            "state": state,
            "evidence": {"observed": 412, "window_minutes": 12, "expected": 9.1},
            "resolved_at": "2026-04-03T19:45:00Z" if state == "resolved" else None,
        },
        "over": state == "resolved",
        "regions": regions,
        "regions_in_all": len(regions),
        "still_working": [],
        "links": {
            "incident": f"{settings.SITE_URL}/incidents/OUT-2026-0001/",
            "say_it_is_down": f"{settings.SITE_URL}/services/whatsapp/ask/?region=GB-ENG&kind=down",
            "say_it_works": f"{settings.SITE_URL}/services/whatsapp/ask/?region=GB-ENG&kind=working",
        },
        "subscription": {"manage": f"{settings.SITE_URL}/alerts/x/", "service": "whatsapp", "region": "GB-ENG"},
    }
    return {"type": "incident.updated", "timestamp": "2026-04-03T20:00:00Z", "data": data | more}


def said(message: dict[str, Any], *, region: str = "001", language: str = "en", zone: str = "") -> notices.Words:
    return notices.words(message, service="WhatsApp", region=region, language=language, time_zone=zone)


@pytest.mark.parametrize(
    ("zone", "since"),
    [
        ("", "Since about 18:02 UTC."),
        ("Europe/Berlin", "Since about 20:02 (18:02 UTC)."),
        # There it is the day after already.
        ("Asia/Kathmandu", "Since about 3 Apr, 23:47 (18:02 UTC)."),
        ("Mars/Base", "Since about 18:02 UTC."),
        # And there it was when it began.
        ("Pacific/Auckland", "Since about 07:02 (18:02 UTC)."),
    ],
)
def test_a_time_is_the_readers_with_utc_beside(zone: str, since: str) -> None:
    assert since in said(message("down"), zone=zone).lines


def test_what_began_on_another_day_says_which() -> None:
    told = message("down") | {"timestamp": "2026-04-05T08:00:00Z"}
    assert "Since about 3 Apr, 18:02 UTC." in said(told).lines


def test_one_minute_is_one_and_almost_nothing_is_not_nought() -> None:
    told = message("down")
    told["data"]["incident"]["evidence"] = {"observed": 8, "window_minutes": 1, "expected": 0.02}
    assert said(told).lines[0] == "8 reports in 1 minute, where fewer than 0.1 are usual."


def test_all_of_the_world_is_not_named_beside_its_parts() -> None:
    assert "Down: England and São Paulo." in said(message("down", "down", "down")).lines


@pytest.mark.parametrize(
    ("told", "region", "title", "question"),
    [
        (message("down"), "GB-ENG", "WhatsApp is down in England", "Is WhatsApp down for you too?"),
        (message("down", "restored"), "001", "WhatsApp is down", "Is WhatsApp down for you too?"),
        (message("recovering"), "GB-ENG", "WhatsApp seems to come back in England", "Is WhatsApp back for you?"),
        (message("restored"), "GB-ENG", "WhatsApp seems to be back in England", "Is WhatsApp back for you?"),
        (message("restored", "recovering"), "001", "WhatsApp comes back", "Is WhatsApp back for you?"),
        (message("restored", state="resolved"), "001", "The outage of WhatsApp is over", None),
        (message("down", review="rejected"), "001", "WhatsApp: on review this was no outage", None),
    ],
)
def test_each_stage_has_its_words_and_its_question(
    told: dict[str, Any], region: str, title: str, question: str | None
) -> None:
    words = said(told, region=region)
    assert words.title == title
    assert (words.lines[-1] if "?" in words.lines[-1] else None) == question
    assert len(words.links) == (3 if question else 1)
    if question and "back" in question:
        assert words.links[0].text == "Yes, it works again"
        assert words.links[0].url.endswith("kind=working&back=1")


@pytest.mark.parametrize("language", [code for code, _name in settings.LANGUAGES])
def test_a_message_is_in_the_language_of_its_subscription_whatever_is_spoken_here(language: str) -> None:
    with translation.override("hi"):
        words = said(message("down"), region="GB-ENG", language=language, zone="Europe/Berlin")
    prefix = "" if language == "en" else f"/{language}"
    assert all(link.url.startswith(f"{settings.SITE_URL}{prefix}/") for link in words.links)
    if language != "en":
        catalogue = translations.LOCALE / language / "LC_MESSAGES" / "django.po"
        with catalogue.open("rb") as source:
            known = read_po(source)
        found = known.get("%(service)s is down in %(place)s")
        if found is not None and found.string:
            with translation.override(language):
                from reports import status

                region = status.region("GB-ENG")
                assert region is not None
                assert words.title == str(found.string) % {"service": "WhatsApp", "place": region.name}


def test_the_words_of_messages_are_among_what_is_to_be_translated() -> None:
    wanted = {message.id for message in translations.template()}
    for words in (
        "%(service)s is down in %(place)s",
        "Shall we tell you here of outages of %(service)s?",
        "Change or stop these messages",
        "{service} seems to be back in {place}.",
    ):
        assert words in wanted
