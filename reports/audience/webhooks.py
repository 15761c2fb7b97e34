"""Messages to programs: signed as Standard Webhooks says, or in the shapes that Slack and Teams take.

The key of a webhook is made of ``SECRET_KEY`` and the id of the group of its subscriptions: nothing that could be
stolen is kept, and it can be shown once, when it is asked for. One receiver of five services has one key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from django.utils.crypto import salted_hmac

from reports.audience import outgoing
from reports.audience.notices import Words
from reports.models import Channel

USER_AGENT = "Outagemap (+webhooks)"


def secret_of(group: UUID) -> str:
    """The key with which the receiver verifies, as the libraries of Standard Webhooks take it."""
    return "whsec_" + b64encode(_key(group)).decode()


def challenge_of(group: UUID) -> str:
    """What the receiver has to repeat before anything else is sent there."""
    return salted_hmac("outagemap.webhook.challenge", group.hex, algorithm="sha256").hexdigest()


def is_answered(group: UUID, answer: outgoing.Answer) -> bool:
    """Whether the challenge was repeated: alone, or as ``challenge`` of a JSON object."""
    text = answer.body.decode(errors="replace").strip()
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    repeated = said.get("challenge") if isinstance(said, dict) else said
    return isinstance(repeated, str) and hmac.compare_digest(repeated.encode(), challenge_of(group).encode())


def send_signed(
    url: str, message: Mapping[str, Any], *, group: UUID, subscription: UUID, event: str
) -> outgoing.Answer:
    """Sends ``message`` under an id that is the same for every attempt. Raises what ``outgoing.post`` raises."""
    body = _json(message)
    id, timestamp = f"msg_{uuid5(subscription, event).hex}", str(int(time.time()))
    signed = hmac.new(_key(group), f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return _post(
        url,
        body,
        {
            "webhook-id": id,
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + b64encode(signed).decode(),
        },
    )


def send_words(url: str, words: Words, *, channel: str) -> outgoing.Answer:
    """Sends ``words`` to a channel of Slack or Teams. Raises what ``outgoing.post`` raises."""
    return _post(url, _json(teams(words) if channel == Channel.TEAMS else slack(words)), {})


# What Slack takes in one section; of such sections 50, where we need two.
SECTION_CHARACTERS = 3_000
# What a card of Teams shows at most.
ACTIONS = 6
# A line of ours that is longer has a name in it that is no name. Escaped it still fits into a section; the whole stays
# far below the 28 KB that Teams takes.
LINE_CHARACTERS = 500


def slack(words: Words) -> dict[str, Any]:
    """Blocks, and the text that notifications and others who read this shape show."""
    links = " · ".join(f"<{link.url}|{_escaped(link.text)}>" for link in words.links)
    manage = f"<{words.manage.url}|{_escaped(words.manage.text)}>"
    said = f"*{_escaped(words.title)}*"
    for line in words.lines:
        # By whole lines: half of an escape or of a link is something else.
        if len(said) + len(_escaped(line)) < SECTION_CHARACTERS:
            said += f"\n{_escaped(line)}"
    return {
        "text": _escaped(words.title),
        "unfurl_links": False,
        "blocks": [
            _section(said),
            *([_section(links)] if links and len(links) <= SECTION_CHARACTERS else []),
            {"type": "context", "elements": [{"type": "mrkdwn", "text": manage}]},
        ],
    }


def teams(words: Words) -> dict[str, Any]:
    """A message with one adaptive card, as the workflow "when a webhook request is received" takes it."""
    said = [{"type": "TextBlock", "text": _plain(line), "wrap": True} for line in words.lines]
    title = {"type": "TextBlock", "text": _plain(words.title), "weight": "Bolder", "size": "Medium", "wrap": True}
    links = (*words.links[: ACTIONS - 1], words.manage)
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, *said],
        "actions": [{"type": "Action.OpenUrl", "title": link.text, "url": link.url} for link in links],
    }
    return {
        "type": "message",
        "summary": _short(words.title),
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _short(text: str) -> str:
    return text if len(text) <= LINE_CHARACTERS else text[: LINE_CHARACTERS - 1] + "…"


def _escaped(text: str) -> str:
    return _short(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    # A text block reads Markdown: a name is to be no link.
    return "".join(f"\\{sign}" if sign in "[]*_`#" else sign for sign in _short(text))


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> outgoing.Answer:
    told = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Connection": "close"}
    return outgoing.post(url, body=body, headers=told | dict(headers))


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _key(group: UUID) -> bytes:
    return salted_hmac("outagemap.webhook.key", group.hex, algorithm="sha256").digest()
