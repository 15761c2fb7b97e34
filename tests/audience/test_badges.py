"""/badges/SLUG.svg and .json"""

from datetime import timedelta
from xml.etree import ElementTree

import pytest

from reports.audience import badges
from reports.status import snapshots
from tests.frontend.colours import contrast
from tests.status.making import NOW, World, open_incident, staggered, take_down, watch

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("service", "region", "message", "state"),
    [
        ("whatsapp", "", "down in 1 region", "down"),
        ("whatsapp", "GB-ENG", "down", "down"),
        ("whatsapp", "GB~LON", "down", "down"),
        ("whatsapp", "GB-SCT", "recovering", "recovering"),
        ("whatsapp", "BR-SP", "restored", "restored"),
        ("whatsapp", "BR-RJ", "too few reports to say", "unknown"),
        ("whatsapp", "IN", "too few reports to say", "unknown"),
        ("facebook", "", "no outage seen", "normal"),
    ],
)
def test_a_badge_says_the_state_in_words(world: World, client, service: str, region: str, message: str, state: str):
    staggered(world)
    response = client.get(f"/badges/{service}.json", {"region": region} if region else {})
    told = response.json()
    assert (told["schemaVersion"], told["message"]) == (1, message)
    assert f"#{told['color']}" == badges.COLOURS[state]
    assert told["label"].startswith("WhatsApp" if service == "whatsapp" else "Facebook")
    drawing = ElementTree.fromstring(client.get(f"/badges/{service}.svg", {"region": region} if region else {}).content)
    assert drawing.findtext(f"{SVG}title") == f"{told['label']}: {message}"
    assert [text.text for text in drawing.iter(f"{SVG}text")] == [told["label"], message]


def test_the_schema_is_that_of_shields(world: World, client):
    told = client.get("/badges/whatsapp.json").json()
    # The properties that an endpoint badge of shields.io may have.
    assert set(told) <= {
        "schemaVersion",
        "label",
        "message",
        "color",
        "labelColor",
        "isError",
        "namedLogo",
        "logoSvg",
        "logoColor",
        "logoSize",
        "style",
        "cacheSeconds",
    }
    assert told["cacheSeconds"] >= 300


def test_while_nobody_watches_a_badge_says_that_it_cannot_say(world: World, client):
    watch(NOW - timedelta(hours=1))
    snapshots.forget()
    assert client.get("/badges/whatsapp.json").json()["message"] == "cannot say now"


def test_an_outage_of_a_whole_country_is_told_to_its_regions(world: World, client):
    take_down(open_incident(world.whatsapp), world.regions["GB"])
    assert client.get("/badges/whatsapp.json?region=GB-SCT").json()["message"] == "down"


@pytest.mark.parametrize("kind", ["svg", "json"])
def test_nothing_new_costs_neither_a_body_nor_a_query(world: World, client, django_assert_num_queries, kind: str):
    staggered(world)
    first = client.get(f"/badges/whatsapp.{kind}?region=GB-ENG")
    with django_assert_num_queries(0):
        again = client.get(f"/badges/whatsapp.{kind}?region=GB-ENG", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.headers["Cache-Control"] == "public, max-age=60, stale-if-error=600"


def test_each_region_has_a_badge_of_its_own_and_what_is_unknown_has_none(world: World, client):
    staggered(world)
    assert client.get("/badges/whatsapp.svg?region=GB").content != client.get("/badges/whatsapp.svg").content
    assert (
        client.get("/badges/whatsapp.svg?region=gb-eng").content
        == client.get("/badges/whatsapp.svg?region=GB-ENG").content
    )
    assert client.get("/badges/whatsapp.svg?region=Utopia").status_code == 404
    assert client.get("/badges/myspace.svg").status_code == 404


def test_a_name_with_signs_of_xml_stays_text(world: World, client):
    from reports.models import Service

    Service.objects.filter(slug="whatsapp").update(name='<Who> & "What"')
    snapshots.forget()
    ElementTree.fromstring(client.get("/badges/whatsapp.svg").content)


def test_white_on_every_colour_can_be_read():
    assert all(contrast("#ffffff", colour) >= 4.5 for colour in (badges.LABEL, *badges.COLOURS.values()))
