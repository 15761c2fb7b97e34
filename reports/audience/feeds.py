"""Atom feeds: the updates of incidents that matter, for the site, a provider, a service, or a service in a region.

An entry's id is that of its milestone and never changes; nor does its instant. Wording may be refined under the same
id, which readers show or ignore as they like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from django.conf import settings
from django.utils.feedgenerator import Atom1Feed
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from reports import status
from reports.audience import recent
from reports.status.answers import IncidentStatus, Milestone

MOST_INCIDENTS = 30
"""Of those that go on, and again of those of which something was told last."""
MOST_ENTRIES = 60

CONTENT_TYPE = "application/atom+xml; charset=utf-8"

_CONTROLS = re.compile(r"[\x00-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]")

Address = Callable[..., str]


@dataclass(frozen=True)
class Channel:
    """What a feed is about: its ``name`` within tags, its title, and the addresses of itself and of its page."""

    name: str
    title: str
    page: str
    own: str


class _Feed(Atom1Feed):
    """Django's Atom, with content as HTML: its own descriptions are summaries."""

    def add_item_elements(self, handler: Any, item: dict[str, Any]) -> None:
        super().add_item_elements(handler, item)
        handler.addQuickElement("content", item["html"], {"type": "html"})


def incidents(**which: str) -> tuple[IncidentStatus, ...]:
    """The incidents that a feed tells, of those that fit ``which``: all that the newest entries can be about."""
    going_on = recent.going_on(limit=MOST_INCIDENTS, **which)
    told_last = recent.told_last(entries=MOST_ENTRIES, **which)[:MOST_INCIDENTS]
    return recent.incidents(dict.fromkeys((*going_on, *told_last)))


def feed(
    channel: Channel, incidents: Sequence[IncidentStatus], *, address: Address, regions: Sequence[str] = ()
) -> bytes:
    """The feed of what happened in these incidents, the newest update first; with ``regions``, also what did there."""
    told = status.milestones([incident.ref for incident in incidents], regions=regions)
    entries = sorted(
        ((update, incident) for incident in incidents for update in told.get(incident.ref, ())),
        key=lambda pair: (pair[0].told_at, pair[0].number, pair[0].id),
        reverse=True,
    )[:MOST_ENTRIES]
    made = _Feed(
        title=channel.title,
        link=channel.page,
        description=None,
        feed_url=channel.own,
        feed_guid=_tag(2026, f"feed/{channel.name}"),
        author_name="Outagemap",
        language=get_language() or "en",
        subtitle=_("Outages as people report them, and what became of them."),
    )
    for update, incident in entries:
        page = address("incident", incident.ref)
        made.add_item(
            title=_plain(_title(update, incident)),
            link=f"{page}#timeline-heading",
            description=None,  # type: ignore[arg-type]  # it may be, and there is content instead
            unique_id=_tag(incident.detected_at.year, update.id),
            unique_id_is_permalink=False,
            pubdate=update.told_at,
            updateddate=update.told_at,
            categories=(update.kind, incident.service.slug),
            html=_html(update, incident, page=page, address=address),
        )
    if not entries:
        # Else Django dates it now, and every answer would be another one.
        made.latest_post_date = lambda: datetime(2026, 1, 1, tzinfo=UTC)  # type: ignore[method-assign]
    return made.writeString("utf-8").encode()


def _tag(year: int, name: str) -> str:
    """A tag URI (RFC 4151). Its authority is the site's first name, whatever name it is asked by."""
    return f"tag:{settings.SITE_NAME},{year}:{name}"


def _title(update: Milestone, incident: IncidentStatus) -> str:
    facts = {
        "service": incident.service.name,
        "provider": incident.service.provider_name,
        "place": update.region or _("the world as a whole"),
    }
    titles = {
        "opened": _("%(service)s is down"),
        "grew": _("%(service)s: the outage spreads"),
        "acknowledged": _("%(provider)s speaks of the outage of %(service)s for the first time"),
        "said": _("%(provider)s on the outage of %(service)s"),
        "denied": _("%(provider)s denies an outage of %(service)s"),
        "confirmed": _("%(service)s: an administrator confirmed the outage"),
        "first_back": _("%(service)s comes back, first in %(place)s"),
        "relapsed": _("%(service)s is down again in %(place)s"),
        "resolved": _("%(service)s: the outage is over"),
        "reopened": _("%(service)s: the outage is not over"),
        "rejected": _("%(service)s: this was no outage"),
        "reinstated": _("%(service)s: this was an outage after all"),
        "merged": _("%(service)s: told with another outage"),
        "joined": _("%(service)s: another outage was part of this one"),
        "split": _("%(service)s: a part of the outage is told by itself"),
        "split_from": _("%(service)s: a part of an outage, told by itself"),
        "corrected": _("%(service)s: an administrator corrected what was said"),
        "region_down": _("%(service)s is down in %(place)s"),
        "region_relapsed": _("%(service)s is down again in %(place)s"),
        "region_restored": _("%(service)s is back in %(place)s"),
        "region_unknown": _("%(service)s: too few reports from %(place)s"),
        "region_withdrawn": _("%(service)s: %(place)s was no part of the outage"),
        "region_overridden": _("%(service)s in %(place)s: an administrator's word"),
    }
    return titles[update.kind] % facts


def _html(update: Milestone, incident: IncidentStatus, *, page: str, address: Address) -> str:
    links = [(page, _("Region by region, and why we say so"))]
    if incident.evidence and update.kind in ("opened", "grew"):
        links.append((address("api:incident-timeline", incident.ref), _("The figures as JSON")))
    if update.source_url:
        links.append((update.source_url, _("What the provider said, where it said so")))
    listed = " · ".join(f'<a href="{escape(href)}">{escape(words)}</a>' for href, words in links)
    return _plain(f"<p>{escape(update.text)}</p><p>{listed}</p>")


def _plain(text: str) -> str:
    # XML has no place for them, and what was pasted into a statement may hold some.
    return _CONTROLS.sub("", text)


def lineage(region: str) -> tuple[str, ...]:
    """A region and those above it: what is said of any of them is said of it."""
    found: list[str] = []
    above = status.region(region)
    while above is not None:
        found.append(above.code)
        above = status.region(above.parent) if above.parent else None
    return tuple(found)
