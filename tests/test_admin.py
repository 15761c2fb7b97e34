"""The desk from the outside: who gets in, what is seen, and every act with its traces."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.test import Client

    from reports.models import Incident

pytestmark = pytest.mark.django_db

ACTS: dict[str, dict[str, Any]] = {
    "confirm": {},
    "reject": {"reason": "a load test"},
    "undo-rejection": {"reason": "it was none"},
    "statement": {"text": "We know.", "url": "https://e.org/", "said_at": "2026-03-18T12:20", "meaning": "update"},
    "override": {"region": "GB-ENG", "state": "restored", "at": "2026-03-18T12:30", "reason": "they called"},
    "reopen": {"region": "GB-ENG", "at": "2026-03-18T12:40", "reason": "still down"},
    "merge": {"into": "OUT-2026-0001", "reason": "the same fault"},
    "split": {"chosen": ["GB-ENG"], "reason": "another fault"},
    "undo": {"act": "1"},
}


@pytest.fixture
def incident() -> Incident:
    from tests.incidents.world import build_world

    return make_incident(build_world(), "OUT-2026-0007", "whatsapp")


def make_incident(world: Any, ref: str, service: str, *, codes: tuple[str, ...] = ("GB-ENG", "BR-SP")) -> Incident:
    from reports.models import Incident, Region

    incident = Incident.objects.create(
        ref=ref,
        key=ref,
        service_id=world.services[service],
        onset_at=world.at(10),
        detected_at=world.at(12),
        confidence=0.93,
        siblings=[
            {
                "service": "facebook",
                "name": "Facebook",
                "state": "normal",
                "observed": 41,
                "expected": 37.3,
                "window_minutes": 60,
            }
        ],
    )
    for region in Region.objects.filter(code__in=codes):
        row = incident.regions.create(
            region=region,
            region_code=region.code,
            region_name=region.name,
            onset_at=world.at(10),
            detected_at=world.at(12),
        )
        evidence = incident.evidence.create(
            region=region,
            decision="opened",
            decided_at=world.at(12),
            observed=41,
            expected=3.2,
            log10_p=-9.4,
            threshold=-7.5,
            window_minutes=12,
            window_end_at=world.at(12),
            level="region",
            rule="cell",
            networks=30,
            baseline_version="b1",
            detector_version="1.0",
        )
        incident.timeline.create(
            kind="region_down", at=row.detected_at, recorded_at=world.at(12), region=region, evidence=evidence
        )
    return incident


@pytest.fixture
def owner() -> User:
    from django.contrib.auth.models import User

    return User.objects.create_superuser("owner", password="a-long-password")


@pytest.fixture
def desk(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def staff(client: Client, *permissions: str) -> User:
    from django.contrib.auth.models import Permission, User

    user = User.objects.create_user("duty", password="a-long-password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return user


def page_of(incident: Incident) -> str:
    return f"/admin/reports/incident/{incident.pk}/change/"


def act(client: Client, incident: Incident, name: str, **given: Any) -> Any:
    address = f"/admin/reports/incident/{incident.pk}/{name}/"
    return client.post(address, {"revision": incident.revision, **ACTS[name], **given})


def kinds(incident: Incident) -> list[str]:
    return list(incident.timeline.exclude(kind="region_down").order_by("id").values_list("kind", flat=True))


def log() -> list[str]:
    """What Django's own log holds, which everything but acts on incidents goes to."""
    from django.contrib.admin.models import LogEntry

    return [entry.get_change_message() for entry in LogEntry.objects.order_by("id")]


def acts_log() -> list[str]:
    """The log of acts, each with its reason."""
    from reports.models import Act

    acts = Act.objects.order_by("id").values_list("kind", "reason")
    return [f"{kind}: {reason}" if reason else kind for kind, reason in acts]


# --- who gets in ---


def test_a_visitor_is_sent_to_the_sign_in(client: Client, incident: Incident) -> None:
    for address in ("/admin/", "/admin/reports/incident/", page_of(incident)):
        response = client.get(address)
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")
    assert client.get("/admin/login/").status_code == 200


@pytest.mark.parametrize("name", ACTS)
def test_a_visitor_can_do_nothing(client: Client, incident: Incident, name: str) -> None:
    assert act(client, incident, name).status_code == 302
    assert kinds(incident) == []


@pytest.mark.parametrize("name", ACTS)
def test_staff_without_permission_can_do_nothing(client: Client, incident: Incident, name: str) -> None:
    staff(client)
    assert act(client, incident, name).status_code == 403
    assert client.get(page_of(incident)).status_code == 403
    assert (kinds(incident), acts_log()) == ([], [])


@pytest.mark.parametrize("name", ACTS)
def test_who_may_only_look_sees_everything_and_can_do_nothing(client: Client, incident: Incident, name: str) -> None:
    staff(client, "view_incident")
    page = client.get(page_of(incident)).content.decode()
    assert incident.ref in page
    assert "Your judgement" not in page
    assert act(client, incident, name).status_code == 403
    assert (kinds(incident), acts_log()) == ([], [])


def test_a_permission_opens_its_own_acts_only(client: Client, incident: Incident) -> None:
    staff(client, "view_incident", "add_statement")
    page = client.get(page_of(incident)).content.decode()
    assert "Add the statement" in page
    assert "Reject" not in page
    assert act(client, incident, "reject").status_code == 403
    assert act(client, incident, "statement").status_code == 302
    assert kinds(incident) == ["statement"]


def test_an_act_without_the_secret_of_the_form_is_refused(owner: User, incident: Incident) -> None:
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert act(client, incident, "confirm").status_code == 403
    assert kinds(incident) == []


def test_acts_are_sent_not_fetched(desk: Client, incident: Incident) -> None:
    assert desk.get(f"/admin/reports/incident/{incident.pk}/confirm/").status_code == 405
    assert desk.post(page_of(incident)).status_code == 405


# --- what is seen ---


def test_incidents_that_wait_come_first_the_most_people_before_the_others(desk: Client) -> None:
    from reports.models import Incident, Region
    from tests.incidents.world import build_world

    world = build_world()
    for code, people in (("GB", 67_000_000), ("GB-ENG", 56_000_000), ("BR-SP", 46_000_000), ("GB-SCT", 5_000_000)):
        Region.objects.filter(code=code).update(population=people)
    make_incident(world, "OUT-2026-0001", "whatsapp", codes=("GB-SCT",))
    # A country and a region in it: nobody is counted twice. Down in the world as a whole is down somewhere.
    Region.objects.filter(code="001").update(population=8_100_000_000)
    make_incident(world, "OUT-2026-0002", "facebook", codes=("001", "GB", "GB-ENG"))
    judged = make_incident(world, "OUT-2026-0003", "att", codes=("GB", "BR-SP"))
    Incident.objects.filter(pk=judged.pk).update(confirmed_at=world.at(20))
    page = desk.get("/admin/reports/incident/").content.decode()
    assert re.findall(r">(OUT-2026-\d+)<", page) == ["OUT-2026-0002", "OUT-2026-0001", "OUT-2026-0003"]
    assert ">67,000,000<" in page
    # With Django's own scripts, by which all rows are chosen at once, beside our sheet.
    assert all(name in page for name in ("admin/js/actions.js", "reports/admin.css"))
    waiting = desk.get("/admin/reports/incident/?review=waiting").content.decode()
    assert "OUT-2026-0003" not in waiting
    for query in ("?review=confirmed", "?review=rejected", "?state=open", "?state=resolved", "?q=whatsapp", "?o=5"):
        assert desk.get(f"/admin/reports/incident/{query}").status_code == 200


def test_the_page_of_an_incident_shows_its_figures_and_its_picture(desk: Client, incident: Incident) -> None:
    page = desk.get(page_of(incident)).content.decode()
    assert f'src="/incidents/{incident.ref}/chart.svg"' in page
    for figure in ("93 %", "41", "3.20", "-9.4", "England", "São Paulo", "Facebook", "b1, 1.0"):
        assert figure in page
    assert "41 in 12 minutes where 3.2 were expected (p &lt; 10⁻⁹)" in page


def test_it_leads_to_who_sent_how_much_while_it_lasted(desk: Client, incident: Incident) -> None:
    for page in (page_of(incident), "/admin/reports/incident/duty/"):
        found = re.search(r'href="([^"]+)">Who sent how much', desk.get(page).content.decode())
        assert found, page
        answer = desk.get(html.unescape(found[1]))
        assert answer.status_code == 200
        shown = answer.content.decode()
        assert "errorlist" not in shown
        assert "2026-03-18T12:10" in shown


def test_no_page_of_the_desk_needs_inline_script_or_style(desk: Client, incident: Incident) -> None:
    act(desk, incident, "statement")
    pages = ["", "reports/incident/", f"reports/incident/{incident.pk}/change/", "password_change/"]
    pages += [f"reports/{model}/" for model in ("service", "provider", "category", "region", "evidence", "statement")]
    pages += ["reports/service/add/", "reports/timelineentry/", "reports/baseline/", "auth/user/", "auth/group/add/"]
    for address in pages:
        response = desk.get(f"/admin/{address}")
        assert response.status_code == 200, address
        assert "unsafe-inline" not in response["Content-Security-Policy"]
        page = response.content.decode()
        assert not re.search(r"<[^>]+\sstyle=", page), address
        assert not re.search(r"<[^>]+\son[a-z]+=", page), address
        assert "<style" not in page, address
        for script in re.findall(r"<script[^>]*>", page):
            assert "src=" in script or 'type="application/json"' in script, (address, script)


def test_an_incident_that_is_not_there_is_not_found(desk: Client, incident: Incident) -> None:
    assert desk.get("/admin/reports/incident/999999/change/").status_code == 404
    assert desk.get("/admin/reports/incident/nonsense/change/").status_code == 404


def test_nobody_edits_or_deletes_what_was_recorded(desk: Client, incident: Incident) -> None:
    assert desk.get("/admin/reports/incident/add/").status_code == 403
    assert desk.post(f"/admin/reports/incident/{incident.pk}/delete/", {"post": "yes"}).status_code == 403
    entry = incident.timeline.first()
    assert entry is not None
    assert desk.post(f"/admin/reports/timelineentry/{entry.pk}/change/", {"kind": "x"}).status_code == 403
    assert desk.post(f"/admin/reports/timelineentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403


# --- the acts ---


def test_a_confirmation_shows_in_the_timeline_and_in_the_log(desk: Client, incident: Incident, owner: User) -> None:
    response = act(desk, incident, "confirm")
    assert response["Location"] == page_of(incident)
    incident.refresh_from_db()
    assert incident.review == "confirmed"
    entry = incident.timeline.get(kind="confirmed")
    assert entry.actor == owner
    assert acts_log() == ["confirmed"]
    page = desk.get(page_of(incident)).content.decode()
    assert "OUT-2026-0007 is confirmed." in page
    assert "Confirmed by an administrator." in page


def test_a_rejection_asks_for_a_reason_and_keeps_it(desk: Client, incident: Incident) -> None:
    response = act(desk, incident, "reject", reason=" ")
    assert response.status_code == 400
    assert "This field is required." in response.content.decode()
    assert kinds(incident) == []
    act(desk, incident, "reject")
    incident.refresh_from_db()
    assert (incident.review, incident.rejected_reason) == ("rejected", "a load test")
    assert acts_log() == ["rejected: a load test"]


def test_a_rejection_can_be_taken_back(desk: Client, incident: Incident) -> None:
    act(desk, incident, "reject")
    incident.refresh_from_db()
    assert "Take the rejection back" in desk.get(page_of(incident)).content.decode()
    act(desk, incident, "undo-rejection")
    incident.refresh_from_db()
    assert incident.review == "automatic"
    assert kinds(incident) == ["rejected", "rejection_undone"]


def test_a_statement_is_recorded_with_its_source(desk: Client, incident: Incident, owner: User) -> None:
    assert act(desk, incident, "statement", meaning="restored", region="BR-SP").status_code == 302
    statement = incident.statements.get()
    assert (statement.text, statement.url, statement.meaning) == ("We know.", "https://e.org/", "restored")
    assert statement.region is not None
    assert (statement.region.code, statement.entered_by) == ("BR-SP", owner)
    assert incident.words.get().kind == "statement_restored"
    assert kinds(incident) == ["statement"]


def test_what_was_said_of_a_merged_incident_is_on_the_page_of_the_one_that_tells_it(
    desk: Client, incident: Incident
) -> None:
    from reports.models import Incident

    merged = Incident.objects.create(
        ref="OUT-2026-0001",
        key="OUT-2026-0001",
        service=incident.service,
        onset_at=incident.onset_at,
        detected_at=incident.detected_at,
        confidence=0.9,
        merged_at=incident.detected_at,
        merged_into=incident,
    )
    shown = desk.get(page_of(incident)).content.decode()
    assert "Statements (0)" in shown
    assert '<option value="acknowledged" selected>' in shown
    merged.statements.create(
        meaning="acknowledged", text="We know.", said_at=incident.onset_at, entered_at=incident.onset_at
    )
    shown = desk.get(page_of(incident)).content.decode()
    assert "Statements (1)" in shown
    assert "(of OUT-2026-0001)" in shown
    # It has spoken: what is entered next is an update.
    assert '<option value="update" selected>' in shown


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "javascript:alert(1)"}, "http:// or https://"),
        ({"said_at": "2999-01-01T00:00"}, "future"),
        ({"said_at": "yesterday"}, "valid date"),
        ({"region": "XX"}, "no region XX"),
        ({"text": ""}, "required"),
    ],
)
def test_a_statement_with_a_fault_comes_back_with_what_was_typed(
    desk: Client, incident: Incident, wrong: dict[str, str], said: str
) -> None:
    response = act(desk, incident, "statement", **{"text": "Our engineers look into it.", **wrong})
    page = response.content.decode()
    assert response.status_code == 400
    assert said in page
    assert "Our engineers look into it." in page or "text" in wrong
    assert not incident.statements.exists()


def test_an_overridden_region_holds_at_once(desk: Client, incident: Incident) -> None:
    assert act(desk, incident, "override").status_code == 302
    row = incident.regions.get(region_code="GB-ENG")
    assert (row.state, row.basis) == ("restored", "admin")
    assert row.restored_at == datetime.fromisoformat("2026-03-18T12:30Z")
    assert kinds(incident) == ["region_overridden"]


def test_an_override_that_does_not_fit_is_explained(desk: Client, incident: Incident) -> None:
    response = act(desk, incident, "override", region="XX")
    assert response.status_code == 400
    assert "There is no region XX." in response.content.decode()
    act(desk, incident, "override", region="GB-SCT")
    page = desk.get(page_of(incident)).content.decode()
    assert "OUT-2026-0007: Scotland is no part of OUT-2026-0007." in page
    assert (kinds(incident), acts_log()) == ([], [])


def test_a_judgement_on_an_outdated_page_is_refused(desk: Client, incident: Incident) -> None:
    act(desk, incident, "confirm")
    # The incident in hand still has the revision of before the confirmation.
    response = act(desk, incident, "reject")
    assert response["Location"] == page_of(incident)
    assert "Somebody else has changed this incident in the meantime." in desk.get(page_of(incident)).content.decode()
    incident.refresh_from_db()
    assert incident.review == "confirmed"
    assert kinds(incident) == ["confirmed"]
    assert acts_log() == ["confirmed"]


def test_several_incidents_are_confirmed_together(desk: Client, incident: Incident) -> None:
    given = {"action": "confirm_selected", "_selected_action": [incident.pk]}
    assert desk.post("/admin/reports/incident/", given).status_code == 302
    incident.refresh_from_db()
    assert incident.review == "confirmed"
    assert acts_log() == ["confirmed"]


def test_who_may_only_look_is_offered_no_action(client: Client, incident: Incident) -> None:
    staff(client, "view_incident")
    given = {"action": "confirm_selected", "_selected_action": [incident.pk]}
    client.post("/admin/reports/incident/", given)
    assert "confirm_selected" not in client.get("/admin/reports/incident/").content.decode()
    assert kinds(incident) == []


def test_the_page_takes_the_same_number_of_queries_however_many_regions(
    desk: Client, incident: Incident, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(25):
        desk.get(page_of(incident))


def earlier_one(incident: Incident) -> Incident:
    from reports.models import Incident, RefCounter

    # Its number was not drawn: that of a part must not meet it.
    RefCounter.objects.get_or_create(year=datetime.now(UTC).year, defaults={"last": 100})
    earlier: Incident = Incident.objects.create(
        ref="OUT-2026-0001",
        key="earlier",
        service=incident.service,
        onset_at=incident.onset_at - timedelta(hours=2),
        detected_at=incident.onset_at - timedelta(hours=2),
        resolved_at=incident.onset_at - timedelta(hours=1),
        confidence=0.9,
    )
    return earlier


def undo_button(page: str) -> dict[str, str]:
    """What the button in the message of an act sends."""
    form = re.search(r'<form method="post" class="undoable">(.*?)</form>', page, re.DOTALL)
    assert form is not None
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[1]))
    target = re.search(r'formaction="([^"]+)"', form[1])
    assert target is not None
    return {"target": target[1], **{name: fields[name] for name in ("act", "revision", "back")}}


@pytest.mark.parametrize("name", ["confirm", "reject", "statement", "override", "merge", "split"])
def test_the_message_after_an_act_takes_it_back_with_one_click(desk: Client, incident: Incident, name: str) -> None:
    from reports.models import Act
    from tests.incidents.acts import standing

    earlier_one(incident)
    before = standing()
    assert act(desk, incident, name).status_code == 302
    sent = undo_button(desk.get(page_of(incident)).content.decode())
    response = desk.post(sent.pop("target"), sent)
    assert response["Location"] == page_of(incident)
    page = desk.get(page_of(incident)).content.decode()
    assert "Taken back: OUT-2026-0007 stands as if that had not been done." in page
    assert 'class="undoable"' not in page
    parts = [done.other.ref for done in Act.objects.filter(kind="split") if done.other]
    assert standing(without=parts) == before
    assert Act.objects.filter(kind="undone").count() == 1


def test_the_log_of_an_incident_says_what_can_be_taken_back_and_why_not(desk: Client, incident: Incident) -> None:
    act(desk, incident, "confirm")
    incident.refresh_from_db()
    act(desk, incident, "reject")
    page = desk.get(page_of(incident)).content.decode()
    assert page.count(f' action="/admin/reports/incident/{incident.pk}/undo/"') == 1
    assert "Something was done on top of it" in page
    assert "a load test" in page


def test_an_incident_is_opened_again_from_its_page(desk: Client, incident: Incident) -> None:
    from tests.incidents.acts import over
    from tests.incidents.world import World

    over(incident, World({}, {}), 30)
    page = desk.get(page_of(incident)).content.decode()
    assert "of which it is least sure that it is back" in page
    assert act(desk, incident, "reopen").status_code == 302
    incident.refresh_from_db()
    assert incident.resolved_at is None
    assert kinds(incident) == ["reopened", "region_overridden"]


def test_only_incidents_of_the_same_service_and_days_are_offered_to_merge_into(
    desk: Client, incident: Incident
) -> None:
    from reports.models import Incident as Model

    page = desk.get(page_of(incident)).content.decode()
    assert "Merge it into another incident" not in page
    other = earlier_one(incident)
    assert "OUT-2026-0001, from 03-18 10:10 UTC, over since" in desk.get(page_of(incident)).content.decode()
    Model.objects.filter(pk=other.pk).update(onset_at=incident.onset_at - timedelta(days=30))
    response = act(desk, incident, "merge")
    assert response.status_code == 400
    assert not Model.objects.exclude(merged_at=None).exists()


def test_regions_that_do_not_fit_are_not_split_off(desk: Client, incident: Incident) -> None:
    assert act(desk, incident, "split", chosen=[], codes="").status_code == 400
    act(desk, incident, "split", chosen=[], codes="gb-eng, br-sp")
    assert "Nothing would be left of OUT-2026-0007." in desk.get(page_of(incident)).content.decode()
    assert act(desk, incident, "split", chosen=["XX"]).status_code == 400
    assert kinds(incident) == []
    act(desk, incident, "split", chosen=[], codes="gb-eng")
    assert kinds(incident) == ["split"]


def test_rubbish_is_no_act_to_take_back(desk: Client, incident: Incident) -> None:
    assert act(desk, incident, "undo", act="nonsense").status_code == 400
    assert act(desk, incident, "undo", act="999999").status_code == 400
    assert kinds(incident) == []


def test_an_act_goes_back_to_where_it_came_from(desk: Client, incident: Incident) -> None:
    from django.urls import NoReverseMatch, reverse

    try:
        duty = reverse("admin:reports_incident_duty")
    except NoReverseMatch:
        duty = page_of(incident)
    assert act(desk, incident, "confirm", back="duty")["Location"] == duty
    incident.refresh_from_db()
    assert act(desk, incident, "reject", back="https://example.com/")["Location"] == page_of(incident)


def test_all_acts_are_listed_filtered_and_exported(desk: Client, incident: Incident) -> None:
    act(desk, incident, "confirm")
    incident.refresh_from_db()
    act(desk, incident, "reject", reason="=2+5")
    address = "/admin/reports/act/"
    assert "OUT-2026-0007" in desk.get(address).content.decode()
    for query in ("?kind__exact=rejected", "?q=OUT-2026-0007", "?at__year=2026", "?o=1"):
        assert desk.get(address + query).status_code == 200
    from reports.models import Act

    chosen = list(Act.objects.values_list("pk", flat=True))
    response = desk.post(address, {"action": "export", "_selected_action": chosen})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    lines = response.content.decode().splitlines()
    assert lines[0].startswith("id,at,written_at,incident")
    assert "confirmed,owner," in lines[1]
    assert "rejected,owner,'=2+5," in lines[2]
    assert desk.post(f"{address}{chosen[0]}/delete/", {"post": "yes"}).status_code == 403
    assert desk.get(f"{address}add/").status_code == 403


# --- the catalogue ---


def test_the_slug_of_a_service_is_fixed_once_it_exists(desk: Client, incident: Incident) -> None:
    service = incident.service
    page = desk.get(f"/admin/reports/service/{service.pk}/change/").content.decode()
    assert 'name="slug"' not in page
    assert 'name="name"' in page
    assert desk.post(f"/admin/reports/service/{service.pk}/delete/", {"post": "yes"}).status_code == 403


def test_an_alias_is_added_with_its_service(desk: Client, incident: Incident) -> None:
    service = incident.service
    given = {
        "name": "WhatsApp",
        "provider": service.provider_id,
        "category": service.category_id,
        "countries": "",
        "homepage": "",
        "modelled_weight": "1",
        "aliases-TOTAL_FORMS": "1",
        "aliases-INITIAL_FORMS": "0",
        "aliases-0-alias": "whats app",
        "dependencies-TOTAL_FORMS": "0",
        "dependencies-INITIAL_FORMS": "0",
    }
    response = desk.post(f"/admin/reports/service/{service.pk}/change/", given)
    assert response.status_code == 302, response.content.decode()
    assert service.aliases.get().alias == "whats app"


def test_a_region_is_only_looked_at(desk: Client, incident: Incident) -> None:
    from reports.models import Region

    region = Region.objects.get(code="GB-ENG")
    assert desk.get(f"/admin/reports/region/{region.pk}/change/").status_code == 200
    assert desk.post(f"/admin/reports/region/{region.pk}/change/", {"code": "GB-XXX"}).status_code == 403


def test_a_new_administrator_can_be_made(desk: Client) -> None:
    from django.contrib.auth.models import User

    given = {
        "username": "second",
        "usable_password": "true",
        "password1": "a-long-phrase-9",
        "password2": "a-long-phrase-9",
    }
    assert desk.post("/admin/auth/user/add/", given).status_code == 302
    assert User.objects.filter(username="second").exists()


def test_the_clock_of_the_forms_is_the_sites(desk: Client, incident: Incident) -> None:
    page = desk.get(page_of(incident)).content.decode()
    shown = re.search(r'name="said_at"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="said_at"', page)
    assert shown is not None
    instant = datetime.fromisoformat(f"{shown[1] or shown[2]}Z")
    assert abs(datetime.now(instant.tzinfo) - instant) < timedelta(minutes=2)
