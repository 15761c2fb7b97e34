"""Messages to programs: signed as Standard Webhooks says, or in the shapes that Slack and Teams take.

The key of a webhook is made of ``SECRET_KEY`` and the subscription's id: nothing that could be stolen is kept, and it
can be shown once, when the subscription is made.
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


def secret_of(subscription: UUID) -> str:
    """The key with which the receiver verifies, as the libraries of Standard Webhooks take it."""
    return "whsec_" + b64encode(_key(subscription)).decode()


def challenge_of(subscription: UUID) -> str:
    """What the receiver has to repeat before anything else is sent there."""
    return salted_hmac("outagemap.webhook.challenge", subscription.hex, algorithm="sha256").hexdigest()


def is_answered(subscription: UUID, answer: outgoing.Answer) -> bool:
    """Whether the challenge was repeated: alone, or as ``challenge`` of a JSON object."""
    text = answer.body.decode(errors="replace").strip()
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    repeated = said.get("challenge") if isinstance(said, dict) else said
    return isinstance(repeated, str) and hmac.compare_digest(repeated.encode(), challenge_of(subscription).encode())


def send_signed(url: str, message: Mapping[str, Any], *, subscription: UUID, event: str) -> outgoing.Answer:
    """Sends ``message`` under an id that is the same for every attempt. Raises what ``outgoing.post`` raises."""
    body = _json(message)
    id, timestamp = f"msg_{uuid5(subscription, event).hex}", str(int(time.time()))
    signed = hmac.new(_key(subscription), f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
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


def slack(words: Words) -> dict[str, Any]:
    """Blocks, and the text that notifications and others who read this shape show."""
    links = " · ".join(f"<{link.url}|{_escaped(link.text)}>" for link in words.links)
    body = "\n".join(_escaped(line) for line in words.lines)
    manage = f"<{words.manage.url}|{_escaped(words.manage.text)}>"
    return {
        "text": _escaped(words.title),
        "blocks": [
            _section(f"*{_escaped(words.title)}*\n{body}"),
            _section(links),
            {"type": "context", "elements": [{"type": "mrkdwn", "text": manage}]},
        ],
    }


def teams(words: Words) -> dict[str, Any]:
    """A message with one adaptive card."""
    said = [{"type": "TextBlock", "text": _plain(line), "wrap": True} for line in words.lines]
    title = {"type": "TextBlock", "text": _plain(words.title), "weight": "Bolder", "size": "Medium", "wrap": True}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, *said],
        "actions": [
            {"type": "Action.OpenUrl", "title": link.text, "url": link.url} for link in (*words.links, words.manage)
        ],
    }
    return {
        "type": "message",
        "summary": words.title,
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }


def _section(text: str) -> dict[str, Any]:
    # What Slack takes in one section is 3000 characters.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:2900]}}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    # A text block reads Markdown: a name is to be no link.
    return "".join(f"\\{sign}" if sign in "[]*_`#" else sign for sign in text)


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> outgoing.Answer:
    told = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Connection": "close"}
    return outgoing.post(url, body=body, headers=told | dict(headers))


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _key(subscription: UUID) -> bytes:
    return salted_hmac("outagemap.webhook.key", subscription.hex, algorithm="sha256").digest()
