"""The page of whoever is on duty, from the outside: what waits, in which order, and what each is judged by."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.test import Client

    from reports.models import Incident
    from tests.incidents.world import World

pytestmark = pytest.mark.django_db

PAGE = "/admin/reports/incident/duty/"
CHANGES = "/admin/reports/incident/duty/changes.json"
MINUTE = timedelta(minutes=1)
PASSWORD = "a-long-password"

_numbers = count(1)


@pytest.fixture
def world() -> World:
    from tests.incidents.world import build_world

    return build_world()


@pytest.fixture
def owner() -> User:
    from django.contrib.auth.models import User

    return User.objects.create_superuser("owner", password=PASSWORD)


@pytest.fixture
def desk(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def lay(
    world: World,
    service: str,
    *,
    codes: tuple[str, ...] = ("GB-ENG",),
    confidence: float = 0.9,
    ago: int = 60,
    over: int | None = None,
    **more: Any,
) -> Incident:
    """An incident that began ``ago`` minutes before now, and was over ``over`` minutes before now."""
    from reports import clock
    from reports.models import Incident, Region

    now = clock.now()
    ref = f"OUT-2026-{next(_numbers):04d}"
    incident = Incident.objects.create(
        ref=ref,
        key=ref,
        service_id=world.services[service],
        onset_at=now - ago * MINUTE,
        detected_at=now - (ago - 2) * MINUTE,
        resolved_at=None if over is None else now - over * MINUTE,
        confidence=confidence,
        **more,
    )
    for region in Region.objects.filter(code__in=codes):
        incident.regions.create(
            region=region,
            region_code=region.code,
            region_name=region.name,
            onset_at=incident.onset_at,
            detected_at=incident.detected_at,
        )
        evidence = incident.evidence.create(
            region=region,
            decision="opened",
            decided_at=incident.detected_at,
            observed=41,
            expected=3.2,
            log10_p=-9.4,
            threshold=-7.5,
            window_minutes=12,
            window_end_at=incident.detected_at,
            level="region",
            rule="cell",
            networks=30,
            largest_network=3,
            baseline_version="b1",
            detector_version="1.0",
        )
        incident.timeline.create(
            kind="region_down",
            at=incident.detected_at,
            recorded_at=incident.detected_at,
            region=region,
            evidence=evidence,
        )
    return incident


def watched_now() -> None:
    """Detection has seen everything up to the present minute."""
    from reports import clock
    from tests.status.making import watch

    watch(until=clock.now())


def plain(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", page))


def shown(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    return plain(response.content.decode())


def order(page: str) -> list[str]:
    return re.findall(r"data-incident=\"(\d+)\"", page)


def side(client: Client, name: str, incident: Incident) -> str:
    """What speaks ``for`` or ``against`` an incident, as it is read."""
    page = client.get(PAGE).content.decode()
    card = page[page.index(f'id="{incident.ref}"') :]
    found = re.search(rf'<div class="{name}".*?</div>', card, re.DOTALL)
    assert found is not None
    return plain(re.sub(r"<[^>]+>", "", found[0])).strip()


# --- who gets in ---


def test_a_visitor_is_sent_to_the_sign_in(client: Client) -> None:
    for address in (PAGE, CHANGES):
        assert client.get(address)["Location"].startswith("/admin/login/")


def test_who_may_not_look_at_incidents_sees_nothing(client: Client) -> None:
    from tests.test_admin import staff

    staff(client, "view_service")
    assert [client.get(address).status_code for address in (PAGE, CHANGES)] == [403, 403]


def test_who_may_only_look_is_offered_no_act(client: Client, world: World) -> None:
    from tests.test_admin import staff

    lay(world, "whatsapp")
    staff(client, "view_incident")
    page = shown(client)
    assert "WhatsApp" in page
    assert "/confirm/" not in page
    assert "/reject/" not in page


def test_it_is_looked_at_and_nothing_is_sent_to_it(desk: Client) -> None:
    assert [desk.post(address).status_code for address in (PAGE, CHANGES)] == [405, 405]


# --- what waits, in which order ---


def test_the_incident_that_costs_most_to_leave_comes_first(desk: Client, world: World) -> None:
    sure = lay(world, "whatsapp", codes=("GB",), confidence=0.99)
    doubtful = lay(world, "facebook", codes=("BR-SP",), confidence=0.4)
    judged = lay(world, "att", codes=("GB",), confidence=0.2, confirmed_at=sure.detected_at)
    page = shown(desk)
    assert order(page) == [str(doubtful.pk), str(sure.pk)]
    assert judged.ref not in page


def test_what_is_over_and_was_never_judged_comes_after_what_goes_on(desk: Client, world: World) -> None:
    over = lay(world, "whatsapp", codes=("GB",), confidence=0.2, ago=600, over=60)
    open_ = lay(world, "facebook", codes=("GB-SCT",), confidence=0.99)
    long_over = lay(world, "att", codes=("GB",), confidence=0.2, ago=6000, over=5000)
    page = shown(desk)
    assert order(page) == [str(open_.pk), str(over.pk)]
    assert long_over.ref not in page
    assert "1 incident waits" in page
    assert "1 more is over and was never judged in the last 3 days" in page


def test_the_cost_is_shown_with_the_parts_that_it_is_made_of(desk: Client, world: World) -> None:
    from reports.admin.grounds import people
    from reports.incidents.stakes import stakes
    from reports.status import catalogue

    lay(world, "whatsapp", codes=("GB-ENG",), confidence=0.9, ago=62)
    index = catalogue.index_of("GB-ENG")
    assert index is not None
    residents = catalogue.links()[index].population
    assert residents is not None
    found = stakes(confidence=0.9, residents=residents, subscribers=0, told=timedelta(hours=1), is_open=True)
    page = shown(desk)
    assert f"<strong>{people(found.if_left)}</strong> misinformed if it is left and is none" in page
    assert f"<strong>{people(found.if_rejected)}</strong> if it is rejected and is true" in page
    assert f"10 % chance that it is none × (1 % an hour of {residents:,} people who live there" in page
    assert "over 60 minutes and 60 minutes to come, and 0 subscribers" in page


def test_a_region_within_one_that_is_down_adds_nobody(desk: Client, world: World) -> None:
    from reports import clock
    from reports.admin import pictures

    lay(world, "whatsapp", codes=("GB",))
    lay(world, "facebook", codes=("GB", "GB-ENG"))
    one, other = pictures.waiting(now=clock.now())
    assert one.stakes.residents == other.stakes.residents > 60_000_000


def test_subscribers_count_where_they_would_be_told(desk: Client, world: World) -> None:
    from reports import clock
    from reports.admin import pictures
    from reports.models import Subscription

    def subscribe(code: str, severity: str = "minor", **more: Any) -> None:
        values = {"confirmed_at": clock.now(), "service_id": world.services["whatsapp"], "wish": "outages"} | more
        Subscription.objects.create(
            id=uuid4(),
            group=uuid4(),
            channel="mail",
            target="a@example.org",
            target_digest=uuid4().hex,
            region_id=world.regions[code],
            severity=severity,
            created_at=clock.now(),
            **values,
        )

    lay(world, "whatsapp", codes=("GB-SCT",))
    subscribe("001")
    subscribe("GB")
    subscribe("GB-SCT")
    for not_told in ({"confirmed_at": None}, {"service_id": world.services["att"]}, {"wish": "back"}):
        subscribe("GB-SCT", **not_told)
    subscribe("GB-ENG")
    subscribe("BR")
    # Five million people are no very large outage.
    subscribe("001", severity="critical")
    (found,) = pictures.waiting(now=clock.now())
    assert found.stakes.subscribers == 3
    assert "and 3 subscribers)" in shown(desk)


def test_an_incident_of_the_world_alone_concerns_those_at_least_who_reported(world: World) -> None:
    from reports import clock
    from reports.admin import pictures

    lay(world, "whatsapp", codes=("001",), peak_reports=812)
    (found,) = pictures.waiting(now=clock.now())
    assert found.stakes.residents == 812
    assert found.places == ("the world as a whole",)


def test_only_so_many_have_a_card_and_the_others_a_row(desk: Client, world: World) -> None:
    many(world, 33)
    page = shown(desk)
    assert page.count("<article") == 30
    assert "And 3 more" in page
    assert len(order(page)) == 33


# --- the picture of each ---


def test_both_sides_are_told_with_their_figures(desk: Client, world: World) -> None:
    watched_now()
    incident = lay(world, "whatsapp", codes=("GB-ENG", "BR-SP"))
    incident.statements.create(
        meaning="acknowledged", text="We know <b>it</b>.", said_at=incident.detected_at, entered_at=incident.detected_at
    )
    incident.evidence.filter(region__code="GB-ENG").update(log10_p=-9.5)
    page = shown(desk)
    speaks_for = side(desk, "for", incident)
    assert "1 statement The provider speaks of it itself." in speaks_for
    assert "30 networks, largest 7 % As widely spread as a crowd of 41 is." in speaks_for
    assert "12.8 × the ordinary In England: 41 in 12 minutes, 3.2 expected (p < 10⁻⁹)." in speaks_for
    assert "2 regions Rose together: Brazil and United Kingdom." in speaks_for
    assert "90 % The detector is sure." in speaks_for
    speaks_against = side(desk, "against", incident)
    assert "0 reports In all; a handful of people can send as many." in speaks_against
    assert "Reports are down to the ordinary: 0 in the last hour" in speaks_against
    assert "41 reports of the strongest decision came from 30 networks; the largest sent 3 (7 %)" in page
    assert "An honest crowd of that size comes from at least 6 networks" in page
    assert "Reports from England exceeded the ordinary: 41 in 12 minutes where 3.2 were expected (p < 10⁻⁹)." in page
    assert "simulated incidents told with 90 to 97 %" in page
    assert f'src="/incidents/{incident.ref}/chart.svg"' in page
    assert f'src="/incidents/{incident.ref}/map.svg?theme=dark"' in page
    assert page.count('loading="lazy"') == 4


def test_a_rise_from_one_network_speaks_against_it(desk: Client, world: World) -> None:
    from reports.models import Evidence

    incident = lay(world, "whatsapp")
    Evidence.objects.update(networks=4, largest_network=36)
    assert "4 networks, largest 88 % Closer together than a crowd of 41 would be." in side(desk, "against", incident)


def test_a_far_bigger_outage_of_a_sibling_is_named_as_what_it_may_be_an_echo_of(desk: Client, world: World) -> None:
    fill_the_hour(world, {"whatsapp": 2000, "facebook": 25})
    incident = lay(world, "facebook", codes=("GB-SCT",), confidence=0.3)
    cause = lay(world, "whatsapp", codes=("GB",))
    against = side(desk, "against", incident)
    assert "80 × It may be an echo: WhatsApp" in against
    assert f"({cause.ref}) has 2,000 reports beyond the ordinary in the last hour, this 25." in against


def test_two_siblings_that_rose_alike_are_no_echoes(desk: Client, world: World) -> None:
    fill_the_hour(world, {"whatsapp": 2000, "facebook": 1500})
    lay(world, "facebook", codes=("GB",))
    lay(world, "whatsapp", codes=("GB",))
    assert "echo" not in shown(desk).replace("siblings, statements", "")


def test_what_detection_noted_as_an_echo_stays_one(desk: Client, world: World) -> None:
    cause = lay(world, "whatsapp", codes=("GB",))
    incident = lay(world, "facebook", codes=("GB-SCT",), confidence=0.1, echo_of=cause)
    assert f"{cause.ref} Noted as an echo of WhatsApp." in side(desk, "against", incident)


def test_flows_that_were_set_aside_at_the_same_time_are_told(desk: Client, world: World) -> None:
    from reports.models import Quarantine

    incident = lay(world, "whatsapp")
    values = {
        "service_id": world.services["whatsapp"],
        "region_id": world.regions["GB"],
        "began_at": incident.onset_at,
        "last_at": incident.detected_at,
        "shape": "regular",
    }
    Quarantine.objects.create(kind=0, reports=1200, **values)
    Quarantine.objects.create(kind=1, reports=7, **values)
    Quarantine.objects.create(kind=0, reports=99, **values | {"service_id": world.services["att"]})
    Quarantine.objects.create(kind=0, reports=98, **values | {"last_at": incident.onset_at - timedelta(hours=2)})
    page = shown(desk)
    assert "1,200 reports Set aside at the same time, in 1 flow unlike a crowd" in side(desk, "against", incident)
    assert "7 votes “Works again” votes were set aside too" in side(desk, "for", incident)
    assert "1,200 “down” in United Kingdom, by the clock." in page
    assert "98 “down”" not in page
    assert "99 “down”" not in page


def test_a_denial_speaks_against_it_and_earlier_judgements_on_their_side(desk: Client, world: World) -> None:
    for minutes in (9000, 8000):
        earlier = lay(world, "whatsapp", ago=minutes, over=minutes - 60)
        earlier.rejected_at, earlier.rejected_reason = earlier.resolved_at, "none"
        earlier.save()
    incident = lay(world, "whatsapp")
    incident.statements.create(
        meaning="denied", text="All is well.", said_at=incident.onset_at, entered_at=incident.onset_at
    )
    against = side(desk, "against", incident)
    assert against.index("denied The provider denies an outage.") < against.index("0 of 2 Earlier incidents")


def test_what_people_wrote_is_shown_and_not_run(desk: Client, world: World) -> None:
    incident = lay(world, "whatsapp")
    wrong = "<script>alert(1)</script>"
    incident.statements.create(
        meaning="update", text=wrong, said_at=incident.detected_at, entered_at=incident.detected_at
    )
    incident.service.name = f'"><img src=x onerror=alert(1)>{wrong}'
    incident.service.save()
    answer = desk.get(PAGE).content.decode()
    assert wrong not in answer
    assert "<img src=x" not in answer
    assert answer.count("&lt;script&gt;") >= 2


def test_nothing_needs_inline_script_or_style(desk: Client, world: World) -> None:
    lay(world, "whatsapp")
    answer = desk.get(PAGE)
    page = answer.content.decode()
    assert "unsafe-inline" not in answer["Content-Security-Policy"]
    assert not re.search(r"<[^>]+\s(style|on[a-z]+)=", page)
    assert "<style" not in page
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", page))


def test_a_picture_takes_the_same_number_of_queries_for_one_incident_and_for_thirty(
    desk: Client, world: World, django_assert_max_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from reports.status import snapshots

    def queries() -> int:
        snapshots.forget()
        with CaptureQueriesContext(connection) as asked:
            assert desk.get(PAGE).status_code == 200
        return len(asked)

    fill_the_hour(world, {"whatsapp": 2000, "facebook": 25})
    lay(world, "whatsapp", codes=("GB", "GB-ENG", "BR-SP"))
    queries()
    one = queries()
    many(world, 29)
    assert queries() == one
    assert one <= 45


# --- judging from the card ---


def test_a_card_confirms_and_rejects_at_the_addresses_of_the_acts(desk: Client, world: World) -> None:
    incident = lay(world, "whatsapp", revision=4)
    page = shown(desk)
    for name in ("confirm", "reject"):
        form = re.search(
            rf'<form method="post" action="/admin/reports/incident/{incident.pk}/{name}/">.*?</form>', page
        )
        assert form is not None
        assert '<input type="hidden" name="revision" value="4">' in form[0]
        assert '<input type="hidden" name="back" value="duty">' in form[0]
        assert "csrfmiddlewaretoken" in form[0]
    given = {"revision": "4", "back": "duty"}
    assert desk.post(f"/admin/reports/incident/{incident.pk}/confirm/", given).status_code == 302
    incident.refresh_from_db()
    assert incident.review == "confirmed"
    page = shown(desk)
    assert "Nothing waits." in page
    assert f"{incident.ref}</a>, WhatsApp, confirmed by owner" in page


def test_a_ready_made_reason_goes_before_an_empty_line(desk: Client, world: World) -> None:
    incident = lay(world, "whatsapp")
    reasons = re.findall(r'name="reason" value="([^"]+)" formnovalidate', shown(desk))
    assert len(reasons) >= 3
    # What a browser sends of the field and of the button, in the order of the page.
    given = {"revision": "0", "back": "duty", "reason": ["", reasons[0]]}
    desk.post(f"/admin/reports/incident/{incident.pk}/reject/", given)
    incident.refresh_from_db()
    assert incident.rejected_reason == reasons[0]


# --- kept fresh ---


def test_the_marks_are_those_of_the_page_and_cost_a_304_while_nothing_changes(desk: Client, world: World) -> None:
    incident = lay(world, "whatsapp")
    first = desk.get(CHANGES)
    on_page = dict(re.findall(r'data-incident="(\d+)" data-mark="([^"]+)"', shown(desk)))
    assert json.loads(first.content)["incidents"] == on_page
    tag = first["ETag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}'):
        again = desk.get(CHANGES, headers={"If-None-Match": sent})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    incident.timeline.create(kind="region_unknown", at=incident.detected_at, recorded_at=incident.detected_at)
    changed = desk.get(CHANGES, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert list(json.loads(changed.content)["incidents"]) == list(on_page)
    assert json.loads(changed.content)["incidents"] != on_page


def test_whether_something_changed_is_asked_with_few_queries(
    desk: Client, world: World, django_assert_max_num_queries: Any
) -> None:
    many(world, 20)
    desk.get(CHANGES)
    # The session, the account, two for a second factor, and two of its own.
    with django_assert_max_num_queries(6):
        desk.get(CHANGES)


# --- nothing waits, nobody watches ---


def test_where_nothing_waits_the_page_says_so_and_when_was_last_looked(desk: Client, world: World) -> None:
    watched_now()
    page = shown(desk)
    assert "Nothing waits." in page
    assert "Detection has seen the counts up to" in page
    assert "Nobody has judged anything yet." in page
    assert "<article" not in page
    assert "has not looked" not in page


def test_that_nobody_watches_is_said_before_anything_else(desk: Client, world: World) -> None:
    page = shown(desk)
    assert page.index("Detection has not looked at anything yet.") < page.index("Nothing waits.")


# --- the way there ---


def test_who_is_on_duty_gets_to_what_waits_when_signing_in(client: Client, owner: User) -> None:
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command

    call_command("make_roles", verbosity=0)
    night = User.objects.create_user("night", password=PASSWORD, is_staff=True)
    night.groups.add(Group.objects.get(name="duty"))

    def lands(name: str, asked: str = "/admin/") -> str:
        client.logout()
        given = {"username": name, "password": PASSWORD, "next": asked}
        return str(client.post(f"/admin/login/?next={asked}", given)["Location"])

    assert lands("night") == PAGE
    assert lands("night", "/admin/reports/service/") == "/admin/reports/service/"
    assert lands("owner") == "/admin/"


def test_the_first_page_of_the_desk_leads_there_with_how_many_wait(desk: Client, world: World) -> None:
    assert "no open incident waits" in html.unescape(desk.get("/admin/").content.decode())
    lay(world, "whatsapp")
    lay(world, "facebook", over=5)
    page = desk.get("/admin/").content.decode()
    assert f'href="{PAGE}"' in page
    assert "1 incident waits for a judgement." in page


# --- what the above is made of ---


def many(world: World, number: int) -> None:
    """So many incidents, each of a service of its own, with a statement and a note."""
    from reports.models import Category, Provider, Service

    for n in range(number):
        slug = f"service-{next(_numbers)}"
        world.services[slug] = Service.objects.create(
            slug=slug, name=slug, provider=Provider.objects.get(slug="meta"), category=Category.objects.get()
        ).pk
        incident = lay(world, slug, codes=("GB", "GB-ENG", "BR-SP"), confidence=0.5 + n / 100)
        at = incident.detected_at
        incident.statements.create(meaning="update", text="We look.", said_at=at, entered_at=at)
        incident.timeline.create(kind="scope", at=at, recorded_at=at, facts={"scope": "product"})


def fill_the_hour(world: World, reports: dict[str, int]) -> None:
    """So many reports of each service in England, half an hour ago, which detection has seen."""
    from reports import clock
    from reports.clock import minute_of
    from tests.incidents.world import START

    watched_now()
    minute = minute_of(clock.now()) - 30 - minute_of(START)
    for service, number in reports.items():
        world.count(service, "GB-ENG", {minute: number})
