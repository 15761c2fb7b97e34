"""The shapes of Slack and Teams, within what each takes, whatever is told."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from reports.audience import notices, push, webhooks
from reports.audience.notices import Link, Words

# What Slack says of its blocks, and Teams of a message that comes by a workflow.
BLOCKS, SECTION, CONTEXT_ELEMENTS, TEXT = 50, 3_000, 10, 4_000
MESSAGE_BYTES, ACTIONS = 28 * 1024, 6

NAMES = st.text(max_size=40) | st.sampled_from(
    ["W" * 5_000, "<!channel>", "&" * 2_000, "[x](https://evil.example)", "*" * 900]
)
LINKS = st.builds(Link, text=NAMES, url=st.just("https://outages.example/alerts/" + "x" * 100))


def words(**more: Any) -> Words:
    link = Link("Yes", "https://outages.example/services/whatsapp/ask/?region=GB-ENG&kind=down")
    parts: dict[str, Any] = {"title": "WhatsApp is down", "lines": ("412 reports",), "links": (link,), "manage": link}
    return Words(**(parts | more))


@given(title=NAMES, lines=st.lists(NAMES, max_size=12), links=st.lists(LINKS, min_size=1, max_size=4))
def test_slack_gets_no_more_than_it_takes_and_no_markup_of_a_name(
    title: str, lines: list[str], links: list[Link]
) -> None:
    body = webhooks.slack(words(title=title, lines=tuple(lines), links=tuple(links)))
    assert len(body["blocks"]) <= BLOCKS
    assert len(body["text"]) <= TEXT
    for block in body["blocks"]:
        texts = [block["text"]] if block["type"] == "section" else block["elements"]
        assert len(texts) <= CONTEXT_ELEMENTS
        for text in texts:
            assert text["type"] == "mrkdwn"
            assert 1 <= len(text["text"]) <= SECTION
            # Every angle bracket is one of our links, whole.
            rest = text["text"]
            for link in links:
                rest = rest.replace(f"<{link.url}|", "").replace("<https://outages.example/services/", "")
            assert "<!" not in rest


@given(title=NAMES, lines=st.lists(NAMES, max_size=12), links=st.lists(LINKS, min_size=1, max_size=9))
def test_teams_gets_a_card_as_its_workflows_take_it(title: str, lines: list[str], links: list[Link]) -> None:
    body = webhooks.teams(words(title=title, lines=tuple(lines), links=tuple(links)))
    assert body["type"] == "message"
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {each["type"] for each in card["body"]} == {"TextBlock"}
    assert all(each["wrap"] for each in card["body"])
    assert len(card["actions"]) <= ACTIONS
    assert {each["type"] for each in card["actions"]} == {"Action.OpenUrl"}
    # Whatever else is left out, the way to end it is not.
    assert card["actions"][-1]["url"].startswith("https://outages.example/services/")


@pytest.mark.parametrize("language", [code for code, _name in settings.LANGUAGES])
def test_the_longest_message_of_each_language_fits_into_every_channel(db: None, language: str) -> None:
    from reports.status import catalogue

    links = [link for link in catalogue.links() if link.kind not in ("country", "nation")]
    longest = sorted(links, key=lambda link: -len(link.name))[:200]
    states = ("down", "recovering", "restored", "unknown")
    message = {
        "type": "incident.updated",
        "timestamp": "2026-11-22T20:00:00Z",
        "data": {
            "incident": {
                "ref": "OUT-2026-0001",
                "review": "automatic",
                "state": "open",
                "evidence": {"observed": 123456, "window_minutes": 60, "expected": 1234.5},
                "resolved_at": None,
            },
            "over": False,
            "regions": [
                {
                    "region": link.code,
                    "region_name": link.english,
                    "state": states[number % 4],
                    "onset_at": "2026-11-20T18:02:00Z",
                    "restored_at": None,
                }
                for number, link in enumerate(longest)
            ],
            "regions_in_all": 4_000,
            "regions_by_state": dict.fromkeys(states, 1_000),
            "still_working": [{"service": "x", "name": f"Quite a long name of a service {n}"} for n in range(12)],
            "links": dict.fromkeys(
                ("incident", "say_it_is_down", "say_it_works"), f"{settings.SITE_URL}/x/?region=GB-ENG"
            ),
            "subscription": {"manage": f"{settings.SITE_URL}/alerts/x/", "service": "whatsapp", "region": "001"},
        },
    }
    said = notices.words(message, service="W" * 80, region="001", language=language, time_zone="Asia/Kathmandu")
    slack, teams = webhooks.slack(said), webhooks.teams(said)
    assert all(len(block["text"]["text"]) <= SECTION for block in slack["blocks"] if block["type"] == "section")
    # All of its lines are in it.
    assert slack["blocks"][0]["text"]["text"].count("\n") == len(said.lines)
    assert len(json.dumps(teams, ensure_ascii=False).encode()) <= MESSAGE_BYTES
    shown = notices.notification(message, said, subscription=UUID(int=1), event="x/1", language=language)
    assert len(json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()) <= push.MESSAGE_BYTES
