"""A storm of five hundred regions, as each channel hears of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage

from reports.api.serializers import incident_json
from reports.audience import alerts, deliveries
from reports.models import Incident, Region, RegionalOutage
from reports.status import catalogue, snapshots
from tests.audience.service import PushService
from tests.audience.test_alerts import REAL, confirmed, read
from tests.audience.test_mail import Mailbox, mailbox
from tests.audience.test_mail import confirmed as confirmed_mail
from tests.status import making
from tests.status.making import NOW, World

__all__ = ["mailbox"]

REGIONS = 500
GROWS, LASTS, COMES_BACK = timedelta(minutes=20), timedelta(minutes=60), timedelta(minutes=80)
STEP = timedelta(minutes=1)
# Each pause is twice as long as the one before, up to eight times the first: messages in 160 minutes, with the first
# and the last.
MOST = {"webhook": 17, "slack": 5, "mail": 4}


def fresh_regions() -> list[Region]:
    """Rows of five hundred parts of countries, as the catalogue has them."""
    links = {link.code: link for link in catalogue.links()}
    rows = {region.code: region for region in Region.objects.all()}

    def row(code: str) -> Region:
        if code not in rows:
            link = links[code]
            parent = row(link.parent) if link.parent else None
            rows[code] = Region.objects.create(
                code=code, name=link.name, kind=link.kind, parent=parent, population=link.population
            )
        return rows[code]

    parts = [code for code, link in sorted(links.items()) if link.kind not in ("country", "nation") and link.parent]
    return [row(code) for code in parts if code != "001"][:REGIONS]


def test_a_storm_of_five_hundred_regions_is_a_message_with_updates_and_so_is_its_end(
    world: World, push_service: PushService, mailbox: Mailbox, record_property: Callable[[str, object], None]
) -> None:
    hook = confirmed(push_service)
    confirmed(push_service, "/slack", channel="slack")
    confirmed_mail(mailbox, region="001")
    regions = fresh_regions()
    assert len(regions) == REGIONS
    incident = making.open_incident(world.whatsapp)
    counts: Counter[str] = Counter()
    laid = 0
    back = 0
    for step in range((GROWS + LASTS + COMES_BACK) // STEP + 10):
        after = step * STEP
        # Some regions more each minute; later a few come back, in the same order.
        grown = min(REGIONS, 1 + int(REGIONS * (after / GROWS)))
        for region in regions[laid:grown]:
            making.take_down(incident, region)
        returned = min(REGIONS, max(0, int(REGIONS * ((after - GROWS - LASTS) / COMES_BACK))))
        if returned > back:
            codes = [region.code for region in regions[back:returned]]
            RegionalOutage.objects.filter(region_code__in=codes).update(
                restored_at=NOW, restored_low=NOW, restored_high=NOW, declared_at=NOW, basis="votes"
            )
        changed = grown > laid or returned > back
        laid, back = grown, returned
        if back == REGIONS and incident.resolved_at is None:
            Incident.objects.filter(pk=incident.pk).update(resolved_at=NOW)
            incident.resolved_at = NOW
            changed = True
        if changed:
            snapshots.forget()
        alerts.find(now=REAL + after, site=NOW, incident_json=incident_json)
        deliveries.send_due(compose=alerts.message, now=lambda after=after: REAL + after)  # type: ignore[misc]
    counts["webhook"] = sum(each.path == "/hook" for each in push_service.received)
    counts["slack"] = sum(each.path == "/slack" for each in push_service.received)
    counts["mail"] = len(mailbox.received)
    record_property("storm", dict(counts))
    assert {channel for channel, most in MOST.items() if not 2 <= counts[channel] <= most} == set(), counts
    # The first says that it began, the last that it is over, and what lies between has all the regions of its minute.
    said = [read(each, hook) for each in push_service.received if each.path == "/hook"]
    assert said[0]["type"] == "incident.opened"
    assert [each["type"] for each in said].count("incident.resolved") == 1
    assert said[-1]["type"] == "incident.resolved"
    assert max(each["data"]["regions_in_all"] for each in said) == REGIONS
    assert all(len(each["data"]["regions"]) <= 200 for each in said)
    assert said[-1]["data"]["regions_by_state"] == {"restored": REGIONS}
    first: EmailMessage = mailbox.received[0]
    assert first["Subject"] == "WhatsApp is down"
    assert mailbox.received[-1]["Subject"] == "The outage of WhatsApp is over"
    largest = max((json.dumps(json.loads(each.body)) for each in push_service.received), key=len)
    assert len(largest) < 100_000
    assert "and 493 more" in str(mailbox.received[1].get_body(("plain",)))
