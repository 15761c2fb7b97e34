"""Every page answers, says what is the case, and costs nothing when nothing changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from django.db import OperationalError, connection
from django.test import Client

from frontend.templatetags import pages
from reports import clock, status
from reports.detection.parameters import Parameters
from reports.intake import inbox, shapes, weighing
from reports.models import DetectorState, InboxBlock, Region, Service
from reports.status import snapshots
from tests.frontend import scene
from tests.status.making import open_incident, take_down

T = TypeVar("T")

PAGES = (
    "/",
    "/services/",
    "/services/whatsapp/",
    "/services/whatsapp/GB/",
    "/services/whatsapp/GB~LON/",
    "/services/facebook/",
    "/providers/meta/",
    "/incidents/",
    f"/incidents/{scene.REF}/",
    f"/incidents/{scene.PAST_REF}/",
    "/search/?q=face",
    "/methodology/",
    "/privacy/",
    "/status/",
)


def heading(html: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)
    assert found
    return re.sub(r"<[^>]+>", "", found[1]).strip()


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def test_people_are_said_to_live_where_it_is_down_or_coming_back_since_both_are_counted(
    client: Client, outage: str
) -> None:
    assert re.search(
        r"In the world, about [^.]+ live where it is down or coming back\.", text(client, "/services/whatsapp/")
    )
    assert re.search(r"About [^.]+ live where it is down or coming back\.", text(client, "/"))


def in_thread(call: Callable[[], T]) -> T:
    """What ``call`` answers, from a thread of its own: the browser's tests leave an event loop running in this one."""

    def run() -> T:
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(run).result()


def test_a_region_that_was_silent_when_an_outage_ended_is_not_shown_as_fine(client: Client, quiet_day: None) -> None:
    now = clock.now()
    service = Service.objects.get(slug="whatsapp")
    incident = open_incident(
        service, ref="OUT-2026-0090", onset_at=now - timedelta(hours=3), resolved_at=now - timedelta(hours=1)
    )
    london, wales = (Region.objects.get(code=code) for code in ("GB~LON", "GB-WLS"))
    take_down(incident, wales, restored_at=now - timedelta(hours=2))
    take_down(incident, london, unknown_at=now - timedelta(hours=2))
    snapshots.forget()
    page = text(client, "/services/whatsapp/GB~LON/")
    assert heading(page).startswith("WhatsApp was down in London today; too few reports have come since")
    assert heading(text(client, "/services/whatsapp/GB/")).startswith("WhatsApp is back in Wales. Too few reports from")
    # Beside the others it is marked as what it is.
    tile = re.search(r'<a href="/services/whatsapp/GB~LON/">.*?</a>', text(client, "/services/whatsapp/GB/"), re.DOTALL)
    assert tile
    assert "Too few reports to say" in tile[0]
    assert "1 back, 1 silent" in text(client, "/services/whatsapp/")


# One test for all of them: laying the scene costs more than looking at it.
def test_every_page_answers_without_inline_code_or_cookies(client: Client, outage: str) -> None:
    for address in PAGES:
        response = client.get(address)
        assert response.status_code == 200, address
        html = response.content.decode()
        assert html.count("<h1") == 1, address
        assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:", html), address
        for attributes in re.findall(r"<script([^>]*)>", html):
            assert "src=" in attributes or 'type="application/json"' in attributes
        assert not re.search(r"\bid=\"([^\"]+)\".*\bid=\"\1\"", html), f"an id twice on {address}"
        assert not response.cookies
        # The API's documentation and the links of a page stay on the site, but for named sources.
        for link in re.findall(r"href=\"(http[^\"]+)\"", html):
            assert urlsplit(link).hostname in {"testserver", "www.geonames.org", "creativecommons.org", "example.org"}


def test_home_says_what_is_down_worst_first(client: Client, outage: str) -> None:
    html = text(client, "/")
    assert heading(html) == "WhatsApp is down right now. Instagram is coming back."
    assert html.index("/services/whatsapp/") < html.index("/services/instagram/")
    states = json.loads(re.search(r'<script id="map-states"[^>]*>(.*?)</script>', html).group(1))  # type: ignore[union-attr]
    assert states["IN-GJ"][0] == "down"
    assert states["US-CA"][0] == "restored"


def test_nothing_is_down_is_said_plainly(client: Client, quiet_day: None) -> None:
    html = text(client, "/")
    assert heading(html) == "Nothing is down right now."
    assert "Facebook" in html
    assert heading(text(client, "/services/whatsapp/")) == "No outage of WhatsApp is seen right now."


def test_a_site_that_has_not_looked_does_not_say_that_nothing_is_down(client: Client, quiet_day: None) -> None:
    DetectorState.objects.update(minute=clock.now() - timedelta(hours=1))
    snapshots.forget()
    html = text(client, "/")
    assert heading(html) == "We cannot say what is down right now."
    assert re.search(
        r"Our counting is (1 h|59 min) behind: what you see is of <time [^>]+>\d\d:\d\d UTC</time>\.", html
    ), html
    assert "Our counting is" in text(client, "/?part=live")
    assert heading(text(client, "/services/whatsapp/")) == "We cannot say right now whether WhatsApp works."


def test_the_verdict_of_a_region_is_its_own(client: Client, outage: str) -> None:
    assert re.match(r"WhatsApp is back in London since .* UTC\.", heading(text(client, "/services/whatsapp/GB~LON/")))
    assert re.match(r"WhatsApp is down in Gujarat since .* UTC\.", heading(text(client, "/services/whatsapp/IN-GJ/")))
    whole = heading(text(client, "/services/whatsapp/GB/"))
    assert re.match(
        r"WhatsApp is back in the United Kingdom: in all 10 parts that were down, in the last of them", whole
    )
    # Nobody knows how many reports from France are usual.
    said = "Too few reports from France to say whether WhatsApp works there."
    assert heading(text(client, "/services/whatsapp/FR/")) == said


def test_a_code_in_another_spelling_leads_to_the_region(client: Client, outage: str) -> None:
    assert client.get("/services/whatsapp/gb/").headers["Location"] == "/services/whatsapp/GB/"
    assert client.get("/services/whatsapp/001/").headers["Location"] == "/services/whatsapp/"
    assert client.get("/services/whatsapp/ZZ-9/").status_code == 404
    assert client.get("/services/nothing/").status_code == 404


def test_the_first_line_is_that_of_the_reader_s_region(client: Client, outage: str) -> None:
    page = text(client, "/services/whatsapp/?here=IN-GJ")
    assert re.match(r"WhatsApp is down in Gujarat since .* UTC\.", heading(page))
    assert "Elsewhere, WhatsApp is down in other parts of India" in page
    assert "Gujarat, where you said you are" in page
    assert 'data-here="IN-GJ"' in page
    assert "In Gujarat, WhatsApp is down." in text(client, "/?here=IN-GJ")
    # A form says the same in two fields, and a code that means nothing is left out.
    assert heading(text(client, "/services/whatsapp/?country=IN&region=IN-GJ")) == heading(page)
    assert heading(text(client, "/services/whatsapp/?here=QQ")) == heading(text(client, "/services/whatsapp/"))


def test_a_name_nobody_has_leads_to_the_nearest_ones(client: Client, quiet_day: None) -> None:
    for address in ("/services/watsapp/", "/services/watsapp/GB/"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert 'href="/services/whatsapp/"' in answer.content.decode()
    assert client.get("/providers/nobody-at-all/").status_code == 404
    assert "No service is called" in text(client, "/search/?q=***")


def test_a_provider_is_told_how_long_after_the_crowd_it_spoke(client: Client, outage: str) -> None:
    page = re.sub(r"\s+", " ", text(client, "/providers/meta/"))
    # The scene: seen after 6 minutes, acknowledged after 58.
    assert (
        "Meta has spoken of one outage, as far as we know: 58 min after it began. The crowd knew 52 min earlier."
        in page
    )


def test_nothing_new_costs_a_304(client: Client, outage: str) -> None:
    for address in ("/?part=live", "/services/whatsapp/?part=live", f"/incidents/{outage}/?part=live", "/map.svg"):
        first = client.get(address)
        again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b""), address
        assert first.headers["Cache-Control"] == "no-cache"


def test_the_living_parts_are_those_of_the_page(client: Client, outage: str) -> None:
    for address in ("/", "/services/whatsapp/", f"/incidents/{outage}/"):
        whole, part = (
            set(re.findall(r'data-live="(\w+)"', text(client, a))) for a in (address, address + "?part=live")
        )
        assert part == whole != set()
        assert "<html" not in text(client, address + "?part=live")


def test_the_chosen_time_changes_states_and_drawing(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/?all=1")
    assert html.count('data-state="restored"') == 39
    history = client.get(f"/incidents/{outage}/history.json").json()
    assert len(history["regions"]) == 50
    early = text(client, f"/incidents/{outage}/?all=1&t={history['start']}")
    assert early.count('data-state="normal"') == 50
    assert "Earlier" not in early
    assert text(client, f"/incidents/{outage}/?all=1&t=rubbish").count('data-state="restored"') == 39
    drawn = text(client, f"/incidents/{outage}/map.svg?t={history['start']}")
    assert len(drawn) < len(text(client, f"/incidents/{outage}/map.svg"))


def test_drawings_are_well_formed_and_carry_no_style(client: Client, outage: str) -> None:
    for name in ("map.svg", "chart.svg", "chart.svg?theme=dark", "map.svg?theme=dark"):
        response = client.get(f"/incidents/{outage}/{name}")
        assert response.headers["Content-Type"].startswith("image/svg+xml")
        root = ElementTree.fromstring(response.content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert b"style" not in response.content
    assert client.get("/services/whatsapp/map.svg").status_code == 200


def test_why_do_you_say_so_is_answered_in_plain_words_and_can_be_checked(client: Client, outage: str) -> None:
    page = client.get(f"/incidents/{outage}/").content.decode()
    why = page[page.index("Why do you say so?") : page.index("</details>")]
    assert "18 reports within 8 minutes, where 0.7 were expected." in why
    assert "By chance, on an ordinary day: less than 1 in a million billions." in why
    assert "The most active network sent 6 % of them." in why
    assert "Reports behind the expectation" in why
    assert "null_inflation" not in why
    assert 'href="#data-heading"' in why
    assert f'href="/api/v1/incidents/{outage}/export.csv"' in page
    assert f"python recompute.py http://testserver/api/v1/incidents/{outage}/" in page
    script = client.get("/methodology/recompute.py")
    assert script.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert script.content == (Path(__file__).parents[2] / "docs" / "recompute.py").read_bytes()


def test_chance_is_told_of_openings_only(client: Client, outage: str) -> None:
    from django.template.loader import render_to_string

    from reports import status

    told = [line.evidence for line in status.incident_timeline(outage) if line.evidence]
    for evidence in told:
        shown = render_to_string("frontend/_evidence.html", {"evidence": evidence, "now": evidence.decided_at})
        assert ("By chance" in shown) == ("needed:" in shown) == (evidence.decision == "opened")


def test_order_of_restoration_is_the_scenes(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/?all=1")
    tables = re.findall(r"<tbody>.*?</tbody>", html, re.DOTALL)
    assert len([table for table in tables if "data-region" in table]) == 5
    for table in tables:
        backs = re.findall(r'class="back" data-value="([^"]*)"', table)
        restored = [back for back in backs if back]
        assert restored == sorted(restored)
        # Who is not back stands below.
        assert backs[len(restored) :] == [""] * (len(backs) - len(restored))
    assert "It seemed back at" in html


def test_incidents_can_be_filtered(client: Client, outage: str) -> None:
    def refs(query: str) -> set[str]:
        return set(re.findall(r"OUT-2026-\d{4}", text(client, f"/incidents/?{query}")))

    assert refs("") == {scene.REF, scene.SIBLING_REF, scene.PAST_REF}
    assert refs("state=resolved") == {scene.PAST_REF}
    assert refs("service=whatsap") == {scene.REF}
    assert refs("region=FR") == {scene.PAST_REF}
    assert refs("review=confirmed") == {scene.REF}
    assert refs("service=no+such+thing+at+all") == set()
    assert client.get("/incidents/?cursor=rubbish").status_code == 404
    # Well formed, but no days.
    for since in ("2026-02-30", "2026-13-45"):
        assert refs(f"since={since}") == refs("")
    assert client.get("/incidents/%00/").status_code == 404


def test_search_leads_straight_to_the_one_service_meant(client: Client, quiet_day: None) -> None:
    assert client.get("/search/?q=whatsapp").headers["Location"] == "/services/whatsapp/"
    assert "No service is called" in text(client, "/search/?q=qqqqqqq")
    found = client.get("/search/suggestions.json?q=insta").json()["services"]
    assert found[0] == {"name": "Instagram", "detail": "Meta", "href": "/services/instagram/"}


@pytest.mark.django_db(transaction=True)
def test_a_plain_form_is_taken_and_leads_to_a_receipt(client: Client, quiet_day: None) -> None:
    form = {"country": "GB", "region": "GB-SCT", "kind": "down", "problem": "messages"}
    answer = in_thread(lambda: client.post("/services/whatsapp/report/", form))
    assert answer.status_code == 303
    receipt = in_thread(lambda: text(client, answer.headers["Location"]))
    assert heading(receipt) == "Counted: WhatsApp is down for you."
    assert "Scotland" in receipt
    assert InboxBlock.objects.count() == 1
    # The region of a country that was chosen before another one means nothing.
    form |= {"country": "FR", "kind": "working"}
    answer = in_thread(lambda: client.post("/services/whatsapp/report/", form))
    assert "France" in in_thread(lambda: text(client, answer.headers["Location"]))


def test_a_form_that_means_nothing_is_refused_in_words(client: Client, quiet_day: None) -> None:
    answer = client.post("/services/whatsapp/report/", {"country": "QQ", "kind": "sideways"})
    assert answer.status_code == 400
    assert b"Your report could not be taken." in answer.content
    assert client.get("/services/whatsapp/report/").status_code == 405
    assert client.get("/services/whatsapp/reported/?receipt=forged").status_code == 404


def test_a_refused_form_comes_back_as_it_was_filled_in(client: Client, quiet_day: None) -> None:
    form = {"country": "GB", "region": "GB-SCT", "problem": "messages", "kind": "sideways"}
    for kind in ("sideways", ""):
        answer = client.post("/services/whatsapp/report/", {**form, "kind": kind})
        assert answer.status_code == 400
        html = answer.content.decode()
        assert re.findall(r'<option value="([^"]+)"[^>]* selected>', html) == ["GB", "GB-SCT"]
        assert re.findall(r'value="(\w+)" checked', html) == ["messages"]
    assert InboxBlock.objects.count() == 0


def test_parts_of_another_country_are_shown_on_the_page_of_a_region_too(client: Client, quiet_day: None) -> None:
    html = text(client, "/services/whatsapp/GB/")
    assert 'formmethod="get" formaction="/services/whatsapp/"' in html
    asked = text(client, "/services/whatsapp/?country=FR&region=GB-SCT&problem=messages")
    assert re.findall(r'<option value="([^"]+)"[^>]* selected>', asked) == ["FR"]
    assert re.findall(r'value="(\w+)" checked', asked) == ["messages"]


def test_a_report_that_cannot_be_stored_can_be_sent_again(
    client: Client, quiet_day: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_entries: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(inbox, "write", away)
    form = {"country": "GB", "region": "GB-SCT", "kind": "down", "problem": '"><b>'}
    assert client.post("/services/whatsapp/report/", form).status_code == 400
    form["problem"] = "messages"
    answer = client.post("/services/whatsapp/report/", form)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.content.decode())) == form


def test_the_country_is_guessed_from_the_language_only(client: Client, quiet_day: None) -> None:
    chosen = r'<option value="(\w+)" selected>'
    page = client.get("/services/whatsapp/", headers={"Accept-Language": "en,pt-BR;q=0.8"})
    assert re.findall(chosen, page.content.decode()) == ["BR"]
    assert "Accept-Language" in page.headers["Vary"]
    assert re.findall(chosen, text(client, "/services/whatsapp/")) == []
    assert client.get("/regions.json?country=GB").json()["regions"][0]["code"] == "GB~EM"


def test_readiness_is_told_to_machines_and_readers(client: Client, quiet_day: None, broker: str) -> None:
    assert client.get("/readyz").json()["ready"] is True
    assert heading(text(client, "/status/")) == "This site is up to date."
    DetectorState.objects.update(minute=clock.now() - timedelta(hours=1))
    snapshots.forget()
    assert client.get("/readyz").status_code == 503
    assert heading(text(client, "/status/")) == "This site is not up to date."


def test_what_is_not_there_is_said_in_the_sites_own_words(client: Client, db: None) -> None:
    answer = client.get("/no/such/page/")
    assert answer.status_code == 404
    assert b"There is nothing at this address." in answer.content


def test_methodology_states_the_parameters_in_force(client: Client, db: None) -> None:
    html = text(client, "/methodology/")
    p = Parameters()
    assert pages.power(-7.5) == "10⁻⁷·⁵"
    for log10 in (p.leaf_log10, p.pool_log10, p.joined_log10, p.shared_log10):
        assert pages.power(log10) in html
    assert f"at least {p.least_ratio} times the usual" in html
    assert f"at least {p.leaf_reports} ({p.soon_reports} where" in html
    assert f"the first {weighing.FULL} reports count in full" in html
    assert f"Where {shapes.LEAST} reports or more" in html
    assert f"at least {p.least_networks} networks" in html
    assert f"{p.certainty:.0%}".replace("%", " %") in html


def test_without_lists_nothing_is_said_of_looking_at_a_network(client: Client, db: None) -> None:
    assert "was given no list" in text(client, "/methodology/")
    assert "hosting company" not in text(client, "/privacy/")


def test_what_is_looked_at_of_a_network_is_said_where_it_is_done(client: Client, db: None, settings: Any) -> None:
    settings.HOSTING_NETWORKS = Path("anywhere")
    snapshots.forget()
    assert "at least 50% of 20 or more such reports come from hosting companies" in text(client, "/methodology/")
    assert "whether your network belongs to a hosting company" in text(client, "/privacy/")


def test_methodology_shows_how_confidence_was_kept_and_every_parameter(client: Client, db: None) -> None:
    html = text(client, "/methodology/")
    main = status.calibration().main
    for figures in (main.opening, main.later):
        assert figures
        assert f"{figures.incidents} incidents, {figures.real} of them outages" in html
        assert f"Brier score {figures.brier:.3f}" in html
    assert html.count('class="chart-point"') == len(main.opening.bands) + len(main.later.bands)
    assert "Reviewed on this site: 0 incidents so far, too few to say" in html
    for name, value in asdict(Parameters()).items():
        assert f"<code>{name}</code></th><td>{value}</td>" in html, name


def test_an_incident_says_what_its_confidence_rests_on(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/")
    assert 'href="/methodology/#confidence"' in html
    assert re.search(r"Of \d+ simulated incidents last told with \d+ to \d+ %, \d+ were outages\.", html)
    assert re.search(r"Reviewed here: \d+ incidents? so far, too few to say\.", html)


def test_a_page_stays_light(client: Client, outage: str) -> None:
    """Over the wire, compressed: a first visit without the map, on a slow line."""
    sizes = {
        address: len(client.get(address, headers={"Accept-Encoding": "gzip"}).content)
        for address in ("/", "/services/whatsapp/", f"/incidents/{outage}/")
    }
    assert sizes["/"] < 8_000
    assert sizes["/services/whatsapp/"] < 20_000
    assert sizes[f"/incidents/{outage}/"] < 40_000
