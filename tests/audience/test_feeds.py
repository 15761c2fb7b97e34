"""The Atom feeds, read with feedparser and held against RFC 4287."""

import re
from datetime import datetime, timedelta
from xml.etree import ElementTree

import feedparser
import pytest

from reports.audience import recent
from reports.incidents.timeline import EntryKind
from reports.models import Incident, Provider, Service, TimelineEntry
from reports.status import snapshots
from reports.status.milestones import _WHOLE
from tests.status.making import World, at, note, open_incident, say, speak, staggered, take_down

FEEDS = [
    "/incidents.atom",
    "/providers/meta/history.atom",
    "/services/whatsapp/history.atom",
    "/services/whatsapp/GB-ENG/history.atom",
]
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def read(client):
    def parsed(address):
        snapshots.forget()
        response = client.get(address)
        assert response.status_code == 200, response.content
        feed = feedparser.parse(response.content)
        assert not feed.bozo, feed.get("bozo_exception")
        return feed

    return parsed


def whole_course(world: World):
    """An incident that spreads, comes back, relapses and ends."""
    incident = open_incident(world.whatsapp)
    regions = [world.regions[code] for code in ("GB-ENG", "GB-SCT", "GB-WLS", "BR-SP")]
    note(incident, "detected", when=at("18:06"), facts={"regions": 1})
    for minute, region in enumerate(regions):
        take_down(incident, region)
        decided = at(f"18:{6 + 2 * minute:02}")
        note(incident, "region_down", when=decided, region=region, evidence=speak(incident, region, decided_at=decided))
    statement = say(incident, "We are <b>aware</b>.", said_at=at("18:30"))
    note(incident, "statement", when=at("18:30"), statement=statement)
    note(incident, "confirmed", when=at("18:35"))
    restored = {"basis": "votes", "restored_at": "2026-04-03T19:00:00+00:00"}
    note(incident, "region_restored", when=at("19:05"), region=regions[1], facts=restored)
    note(incident, "region_restored", when=at("19:06"), region=regions[0], facts=restored)
    note(incident, "region_relapsed", when=at("19:20"), region=regions[0])
    note(incident, "resolved", when=at("19:50"), facts={"restored": 4})
    return incident


@pytest.mark.parametrize("address", FEEDS)
def test_a_feed_is_valid_atom(world: World, client, address: str):
    """What RFC 4287 demands of a feed and of each entry."""
    whole_course(world)
    response = client.get(address)
    assert response.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    root = ElementTree.fromstring(response.content)
    assert root.tag == f"{ATOM}feed"
    for element in (root, *root.findall(f"{ATOM}entry")):
        for name in ("id", "title", "updated"):
            assert len(element.findall(ATOM + name)) == 1, name
            assert element.findtext(ATOM + name)
        updated = datetime.fromisoformat(element.findtext(ATOM + "updated", ""))
        assert updated.tzinfo is not None
        assert re.fullmatch(r"tag:[a-z0-9.-]+,\d{4}:\S+", element.findtext(ATOM + "id", ""))
        for link in element.findall(f"{ATOM}link"):
            assert link.get("href").startswith("http://testserver/")
    assert root.find(f"{ATOM}author/{ATOM}name").text == "Outagemap"
    assert {link.get("rel") for link in root.findall(f"{ATOM}link")} == {"self", "alternate"}
    own = next(link.get("href") for link in root.findall(f"{ATOM}link") if link.get("rel") == "self")
    assert own == f"http://testserver{address}"
    entries = root.findall(f"{ATOM}entry")
    assert entries
    assert all(entry.find(f"{ATOM}content").get("type") == "html" for entry in entries)
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(ids)


def test_a_feed_tells_what_matters_the_newest_first(world: World, read):
    whole_course(world)
    feed = read("/services/whatsapp/history.atom")
    assert [(entry.title, entry.updated[11:16]) for entry in feed.entries] == [
        ("WhatsApp: the outage is over", "19:50"),
        ("WhatsApp is down again in England", "19:20"),
        ("WhatsApp comes back, first in Scotland", "19:05"),
        ("WhatsApp: an administrator confirmed the outage", "18:35"),
        ("Meta speaks of the outage of WhatsApp for the first time", "18:30"),
        ("WhatsApp: the outage spreads", "18:10"),
        ("WhatsApp is down", "18:06"),
    ]
    assert feed.feed.updated == feed.entries[0].updated
    opened = feed.entries[-1]
    assert "412 in 12 minutes where 9.1 were expected" in opened.content[0].value
    assert opened.link == "http://testserver/incidents/OUT-2026-0001/#timeline-heading"
    assert "3 regions have gone down" in feed.entries[-2].content[0].value


def test_what_a_provider_said_is_told_as_text(world: World, read):
    whole_course(world)
    said = next(entry for entry in read("/incidents.atom").entries if "first time" in entry.title)
    assert "&lt;b&gt;aware&lt;/b&gt;" in said.content[0].value
    assert 'href="https://status.example/1"' in said.content[0].value


def test_an_entry_keeps_its_id_and_its_instant_when_its_words_are_refined(world: World, read):
    incident = whole_course(world)
    before = {entry.id: entry.updated for entry in read("/incidents.atom").entries}
    TimelineEntry.objects.filter(incident=incident, kind="resolved").update(facts={"restored": 3, "unknown": 1})
    note(incident, "reopened", when=at("19:55"))
    note(incident, "rejected", when=at("19:57"), facts={"reason": "A slip."})
    after = read("/incidents.atom").entries
    assert {entry.id: entry.updated for entry in after[2:]} == before
    assert "1 to say" in after[2].content[0].value
    assert [entry.title for entry in after[:2]] == ["WhatsApp: this was no outage", "WhatsApp: the outage is not over"]


def test_ids_do_not_depend_on_the_name_by_which_the_site_was_asked(world: World, client):
    whole_course(world)
    ids = [
        [entry.id for entry in feedparser.parse(client.get("/incidents.atom", headers={"Host": host}).content).entries]
        for host in ("localhost", "127.0.0.1:8000")
    ]
    assert ids[0] == ids[1]
    assert all(one.startswith("tag:localhost,2026:OUT-2026-0001/") for one in ids[0])


def test_a_region_hears_of_itself_and_of_what_lies_above_it(world: World, read):
    whole_course(world)
    titles = [entry.title for entry in read("/services/whatsapp/GB-ENG/history.atom").entries]
    assert {"WhatsApp is down in England", "WhatsApp is back in England"} <= set(titles)
    assert "WhatsApp is back in Scotland" not in titles
    # London lies in England.
    assert "WhatsApp is back in England" in [
        entry.title for entry in read("/services/whatsapp/GB~LON/history.atom").entries
    ]
    assert read("/services/whatsapp/IN/history.atom").entries == []


def test_each_feed_has_its_own_incidents(world: World, read):
    whole_course(world)
    other = Service.objects.create(
        slug="signal",
        name="Signal",
        provider=Provider.objects.create(slug="signal", name="Signal Foundation"),
        category=world.whatsapp.category,
    )
    incident = open_incident(other, ref="OUT-2026-0009", onset_at=at("19:00"))
    take_down(incident, world.regions["GB-ENG"])
    note(incident, "detected", when=at("19:04"), facts={"regions": 1})

    def services(address):
        return {tag.term for entry in read(address).entries for tag in entry.tags} & {"whatsapp", "signal"}

    assert services("/incidents.atom") == {"whatsapp", "signal"}
    assert services("/providers/meta/history.atom") == {"whatsapp"}
    assert services("/services/signal/history.atom") == {"signal"}


def test_a_merged_incident_says_where_it_is_told(world: World, read):
    into = open_incident(world.whatsapp, ref="OUT-2026-0002")
    merged = open_incident(world.whatsapp, merged_at=at("18:40"), merged_into=into)
    note(merged, "merged", when=at("18:40"), facts={"ref": into.ref})
    (entry,) = read("/services/whatsapp/history.atom").entries
    assert entry.title == "WhatsApp: told with another outage"
    assert "OUT-2026-0002" in entry.content[0].value


@pytest.mark.parametrize("address", FEEDS)
def test_nothing_new_costs_neither_a_body_nor_a_query(world: World, client, django_assert_num_queries, address: str):
    staggered(world)
    first = client.get(address)
    with django_assert_num_queries(0):
        again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Access-Control-Allow-Origin"] == "*"


def test_an_empty_feed_is_the_same_feed_whenever_it_is_asked_for(world: World, client):
    first = client.get("/incidents.atom")
    snapshots.forget()
    assert client.get("/incidents.atom").headers["ETag"] == first.headers["ETag"]


def test_a_feed_takes_as_many_queries_for_a_storm_of_regions_as_for_one(
    world: World, client, django_assert_max_num_queries
):
    incident = whole_course(world)
    client.get("/incidents.atom")
    snapshots.forget()
    with django_assert_max_num_queries(40) as few:
        client.get("/incidents.atom")
    for code in ("BR-RJ", "US-CA", "US-NY", "IN"):
        take_down(incident, world.regions[code])
        note(incident, "region_down", when=at("18:40"), region=world.regions[code])
    other = open_incident(world.facebook, ref="OUT-2026-0003")
    note(other, "detected", when=at("18:06"), facts={"regions": 1})
    snapshots.forget()
    with django_assert_max_num_queries(40) as many:
        client.get("/incidents.atom")
    assert len(many) == len(few)


def small_ones(world: World, number: int):
    """So many incidents of Facebook, found and over one after the other from 18:50 on."""
    for place in range(number):
        when = at("18:50") + timedelta(seconds=20 * place)
        small = open_incident(
            world.facebook, ref=f"OUT-2026-{100 + place:04}", onset_at=when, detected_at=when, resolved_at=when
        )
        take_down(small, world.regions["IN"])
        note(small, "detected", when=when, facts={"regions": 1})
        note(small, "resolved", when=when, facts={"restored": 1})


@pytest.mark.parametrize("address", ["/incidents.atom", "/providers/meta/history.atom"])
def test_the_end_of_a_long_outage_is_told_however_many_were_found_since(world: World, read, address: str):
    incident = open_incident(world.whatsapp)
    take_down(incident, world.regions["GB-ENG"])
    note(incident, "detected", when=at("18:06"), facts={"regions": 1})
    small_ones(world, 40)
    # While it goes on, what is new of it is told too.
    note(incident, "region_restored", when=at("19:40"), region=world.regions["GB-ENG"], facts={"basis": "votes"})
    assert read(address).entries[0].title == "WhatsApp comes back, first in England"
    note(incident, "resolved", when=at("19:50"), facts={"restored": 1})
    Incident.objects.filter(pk=incident.pk).update(resolved_at=at("19:50"))
    told = read(address).entries
    assert [entry.title for entry in told[:2]] == [
        "WhatsApp: the outage is over",
        "WhatsApp comes back, first in England",
    ]
    assert len(told) == 60


def test_a_feed_takes_as_many_queries_for_forty_incidents_as_for_one(
    world: World, client, django_assert_max_num_queries
):
    whole_course(world)
    client.get("/incidents.atom")
    snapshots.forget()
    with django_assert_max_num_queries(40) as few:
        client.get("/incidents.atom")
    small_ones(world, 40)
    snapshots.forget()
    with django_assert_max_num_queries(40) as many:
        client.get("/incidents.atom")
    assert len(many) == len(few)


def test_every_kind_of_milestone_of_an_incident_as_a_whole_is_looked_for():
    assert set(recent.TOLD) == {*_WHOLE, EntryKind.MERGED}


def test_control_characters_in_a_statement_do_not_break_the_feed(world: World, read):
    incident = open_incident(world.whatsapp)
    note(incident, "statement", when=at("18:30"), statement=say(incident, "Back\x0b soon\x01.", said_at=at("18:30")))
    (entry,) = read("/incidents.atom").entries
    assert "Back soon." in entry.content[0].value


@pytest.mark.parametrize(
    "address",
    [
        "/providers/nobody/history.atom",
        "/services/myspace/history.atom",
        "/services/whatsapp/XX-YY/history.atom",
    ],
)
def test_a_feed_of_nothing_is_not_found(world: World, client, address: str):
    assert client.get(address).status_code == 404
