"""A whole outage with the provider's page beside it: what people report decides, what the page says is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reports.hearing import listen
from reports.incidents import timeline, watch
from reports.models import Incident, Provider, RegionalOutage, Statement, StatusFeed, TimelineEntry, Word
from tests.hearing.page import StatusPage, incidents, update
from tests.hearing.page import incident as told

if TYPE_CHECKING:
    from tests.incidents.world import World

pytestmark = pytest.mark.django_db


def test_a_provider_that_says_resolved_while_people_go_on_closes_nothing(lived_in: World, page: StatusPage) -> None:
    world = lived_in
    world.outage("whatsapp", "GB-ENG", start=10, end=100, rate=12, votes=3)
    world.outage("whatsapp", "BR-SP", start=12, end=40, rate=8)
    StatusFeed.objects.create(
        provider=Provider.objects.get(slug="meta"), url=page.origin + "/x", format="statuspage", enabled=True
    )
    said = [update("a", "investigating", "We are looking into it.", world.at(14))]
    # The page is ahead of us: nothing is open, so it waits.
    page.says("/x", incidents(told(*said, components=("WhatsApp",))))
    for minute in range(160):
        if minute == 50:
            said.append(update("b", "resolved", "This incident has been resolved.", world.at(49)))
            page.says("/x", incidents(told(*said, components=("WhatsApp",))))
        listen.listen(now=lambda: world.at(minute + 0.1), seconds=60)  # noqa: B023
        watch.watch(now=world.at(minute + 0.2))
        if minute == 95:
            assert [each.meaning for each in Statement.objects.all()] == ["acknowledged", "restored"]
            assert not Word.objects.filter(heeded_at=None).exists()
            # Two thirds of the people who reported go on, three quarters of an hour after the provider said it is over.
            england = RegionalOutage.objects.get(region_code="GB-ENG")
            assert (england.state, england.restored_at) == ("down", None)
            assert Incident.objects.get().resolved_at is None
    england, brazil = (RegionalOutage.objects.get(region_code=code) for code in ("GB-ENG", "BR-SP"))
    assert abs((england.restored_at - world.at(100)).total_seconds()) <= 600
    assert abs((brazil.restored_at - world.at(40)).total_seconds()) <= 600
    # Where nobody voted, the provider's word is what it rests on.
    assert brazil.basis == "statement"
    lines = [timeline.text(entry) for entry in TimelineEntry.objects.filter(kind="statement").order_by("at")]
    assert "We are looking into it." in lines[0]
    assert "This incident has been resolved." in lines[1]
    assert Statement.objects.first().said_at == world.at(14)
