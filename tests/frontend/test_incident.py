"""The page of an incident: its modes, its small maps, its list by country, and the pieces that it loads."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import brotli
import pytest
from django.test import Client

from frontend.deltas import applied
from frontend.keeping import DELTA
from reports import clock, status
from reports.incidents import timeline
from reports.incidents.timeline import EntryKind
from reports.models import Incident, Region, RegionalOutage
from reports.status import snapshots
from tests.frontend import wide
from tests.frontend.scene import PAST_REF

NOT_BACK = {"restored_at": None, "restored_low": None, "restored_high": None, "declared_at": None, "basis": ""}
SVG = "{http://www.w3.org/2000/svg}"


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


def paints(client: Client, address: str) -> set[str]:
    root = ElementTree.fromstring(client.get(address).content)
    return {path.attrib["fill"] for path in root.iter(f"{SVG}path") if "fill" in path.attrib}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_mode_has_its_drawing(client: Client, outage: str, theme: str) -> None:
    from frontend.drawings import PALETTES

    colours = PALETTES[theme]
    state, rate, restore = (
        paints(client, f"/incidents/{outage}/map.svg?mode={mode}&theme={theme}")
        for mode in ("state", "rate", "restore")
    )
    assert state == paints(client, f"/incidents/{outage}/map.svg?theme={theme}&mode=rubbish")
    assert colours["restored"] in state
    assert not state & {colours[f"rate-{n}"] for n in range(1, 6)}
    assert rate & {colours[f"rate-{n}"] for n in range(1, 6)}
    assert {colours["back-1"], colours["back-5"], "url(#d)"} <= restore


def test_a_rate_is_the_reports_of_a_quarter_of_an_hour_against_the_usual(client: Client, outage: str) -> None:
    history = client.get(f"/incidents/{outage}/history.json").json()
    rates = client.get(f"/incidents/{outage}/rates.json").json()
    start, end = (datetime.fromisoformat(history[edge]) for edge in ("start", "end"))
    minutes = round((end - start) / timedelta(minutes=1))
    assert rates["step"] == history["step"]
    assert set(rates["regions"]) <= set(history["regions"])
    assert {len(classes) for classes in rates["regions"].values()} == {-(-minutes // rates["step"]) + 1}
    # Recomputed from the counts that anybody can ask for.
    at = start + 40 * timedelta(minutes=1)
    step = round(40 / rates["step"])
    at = start + step * rates["step"] * timedelta(minutes=1)
    series = status.service_counts(
        "whatsapp", region="US-CA", start=at - timedelta(minutes=15), end=at, step=timedelta(minutes=15)
    )
    multiple = (series.reports[0] + 0.5) / (series.expected[0] + 0.5)
    expected = 1 + sum(multiple >= limit for limit in (2, 5, 10, 30))
    assert rates["regions"]["US-CA"][step] == str(expected)
    assert expected > 2
    # Before it began there was too little, or nothing unusual, everywhere.
    assert {classes[0] for classes in rates["regions"].values()} <= {"0", "1"}


def test_the_legend_of_a_mode_has_numbers(client: Client, outage: str) -> None:
    page = words_of(text(client, f"/incidents/{outage}/?mode=rate"))
    for line in ("less than 2 times the usual", "2 to 5", "10 to 30", "30 times and more", "not back yet"):
        assert line in page
    assert re.search(r"back within .*? min", page)


def test_a_mode_survives_without_a_script(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/?mode=restore&t=2020-01-01T00:00Z")
    assert 'value="restore" autocomplete="off" checked' in html
    assert "map.svg?mode=restore" in html
    assert 'data-mode="restore"' in html


def test_small_maps_tell_the_course_in_order(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/")
    names = re.findall(r'class="moment-name">([^<]+)<', html)
    assert names[0] == "Before"
    assert names[-1] == "So far"
    assert {"The worst", "Half are back"} <= set(names)
    assert 4 <= len(names) <= 6
    instants = re.findall(r'data-moment="([^"]+)"', html)
    assert instants == sorted(set(instants))
    version = re.search(r"moments\.svg\?v=(\w+)#m0", html)[1]
    assert f"moments.svg?v={version}#m{len(names) - 1}" in html
    links = re.findall(r'<a href="\?t=([^"]+)" data-moment', html)
    assert len(links) == len(names)
    root = ElementTree.fromstring(client.get(f"/incidents/{outage}/moments.svg").content)
    views = [view.attrib["id"] for view in root.iter(f"{SVG}view")]
    assert [f"m{n}" for n in range(len(names))] == views
    ids = {path.attrib["id"] for path in root.iter(f"{SVG}path") if "id" in path.attrib}
    used = {use.attrib["href"][1:] for use in root.iter(f"{SVG}use")} - {"land"}
    assert used
    assert used <= ids


def test_many_regions_are_a_line_a_country_that_opens(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/")
    assert re.findall(r'data-country="(\w\w)"', html) == ["US", "GB", "DE", "BR", "IN"]
    assert "<tr data-region" not in html
    assert "10 of 10 back" in html
    opened = text(client, f"/incidents/{outage}/?open=GB")
    assert opened.count("<tr data-region") == 10
    assert opened.count('<details class="group" id="country-GB" data-country="GB"') == 1
    rows = text(client, f"/incidents/{outage}/?part=country&open=GB")
    assert rows.count("<tr data-region") == 10
    assert "<html" not in rows
    digest = re.search(r'data-country="GB" data-digest="(\w+)"', html)[1]
    assert f'data-rows="GB" data-digest="{digest}"' in rows


def test_the_list_has_other_orders_and_can_be_searched(client: Client, outage: str) -> None:
    def countries(query: str) -> list[str]:
        return re.findall(r'data-country="(\w\w)"', text(client, f"/incidents/{outage}/?part=order&{query}"))

    assert countries("sort=name") == ["BR", "DE", "IN", "GB", "US"]
    assert countries("sort=people")[0] == "IN"
    assert countries("sort=last")[0] in ("IN", "BR")
    assert countries("sort=rubbish") == countries("")
    assert countries("q=SAO+paulo") == ["BR"]
    found = text(client, f"/incidents/{outage}/?part=order&q=bavaria")
    assert found.count("<tr data-region") == 1
    assert "1 region found." in found
    assert "No affected region is called “Atlantis”" in text(client, f"/incidents/{outage}/?part=order&q=Atlantis")
    # By the country's name come all its regions.
    assert text(client, f"/incidents/{outage}/?part=order&q=germ").count("<tr data-region") == 10


def test_a_region_says_its_own_sentence(client: Client, outage: str) -> None:
    def sentence(code: str) -> str:
        html = text(client, f"/incidents/{outage}/?part=mine&region={code}")
        return words_of(html[html.index("mine-heading") : html.index("</h2>")]).split(">")[-1].strip()

    assert re.match(
        r"London: back since .*UTC( ± \d+ min)?, because (people said|reports fell).*\.", sentence("GB~LON")
    )
    assert re.match(r"Gujarat: down since .* UTC\.", sentence("IN-GJ"))
    assert re.match(r"United Kingdom: all 10 parts that were down are back, the first since .*", sentence("GB"))
    assert sentence("FR") == "France: no outage was seen there."
    assert 'id="mine-why"' in text(client, f"/incidents/{outage}/?region=GB~LON")
    assert "And where you are?" in text(client, f"/incidents/{outage}/")
    # The two fields of the picker name the narrower place.
    assert "London: back" in words_of(text(client, f"/incidents/{outage}/?country=GB&region=GB~LON"))
    assert "France: no outage" in words_of(text(client, f"/incidents/{outage}/?country=FR&region=GB~LON"))


def test_one_of_several_is_back_in_the_singular(client: Client, outage: str) -> None:
    kept = RegionalOutage.objects.filter(region_code="US-CA", incident__ref=outage)
    others = RegionalOutage.objects.filter(incident__ref=outage).exclude(pk__in=kept)
    others.update(**NOT_BACK)
    snapshots.forget()
    html = text(client, f"/incidents/{outage}/")
    assert re.search(r"; 1 of them is back\.", words_of(html[html.index("<h1>") : html.index("</h1>")]))


def news_bytes(client: Client, address: str, since: str) -> tuple[dict[str, Any], int]:
    """What changed since a version, and how many bytes it costs a browser."""
    since = f"{'&' if '?' in address else '?'}since={since}"
    response = client.get(f"{address}{since}", headers={"Accept-Encoding": "br"})
    assert response.headers["Content-Type"] == DELTA
    body = response.content
    if response.headers.get("Content-Encoding") == "br":
        return json.loads(brotli.decompress(body)), len(body)
    return json.loads(body), len(body)


def version_of(response: Any) -> str:
    return str(re.match(r'"([0-9a-f]+)', response.headers["ETag"])[1])  # type: ignore[index]


def one_more_is_back(ref: str) -> None:
    """What a cycle writes that finds one region back."""
    now = clock.now()
    outage = RegionalOutage.objects.filter(incident__ref=ref, restored_at=None).exclude(region_code="001").first()
    assert outage is not None
    outage.restored_at = outage.declared_at = outage.restored_low = outage.restored_high = now
    outage.basis = "votes"
    outage.save()
    facts = {key: now.isoformat() for key in ("restored_at", "low", "high", "declared_at")}
    entry = timeline.entry(
        Incident.objects.get(ref=ref),
        kind=EntryKind.REGION_RESTORED,
        at=now,
        recorded_at=now,
        region_id=outage.region_id,
        facts=facts | {"basis": "votes", "working": 3},
    )
    timeline.write([entry])
    snapshots.forget()


def pass_minutes(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    later = clock.now() + minutes * timedelta(minutes=1)
    monkeypatch.setattr(clock, "now", lambda: later)


@pytest.mark.parametrize("address", ["?part=live", "history.json"])
def test_what_changed_of_an_outage_of_570_regions_costs_some_hundred_bytes(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    address = f"/incidents/{wide.lay(clock.now(), regions=570)}/{address}"
    former = client.get(address)
    monkeypatch.setattr(snapshots, "LOOK_AGAIN_SECONDS", 0.0)
    one_more_is_back("OUT-2026-0009")
    pass_minutes(monkeypatch, 1)
    current = client.get(address)
    assert current.content != former.content
    news, size = news_bytes(client, address, version_of(former))
    assert applied(former.content, news["edits"]) == current.content
    assert (news["since"], news["name"]) == (version_of(former), version_of(current))
    whole = len(client.get(address, headers={"Accept-Encoding": "br"}).content)
    assert size < 900 < whole, (size, whole)


def test_a_version_that_nobody_knows_gets_the_whole(client: Client, outage: str) -> None:
    address = f"/incidents/{outage}/history.json"
    whole = client.get(address)
    for since in ("0" * 24, "rubbish", "\x00", version_of(client.get("/services/whatsapp/?part=live"))):
        answer = client.get(address, {"since": since})
        assert (answer.status_code, answer.content) == (200, whole.content), since
    known = {"since": version_of(whole)}
    again = client.get(address, known, headers={"If-None-Match": f'"{known["since"]}-parts"', "Accept-Encoding": "br"})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(address, known).content == whole.content


def test_the_page_itself_is_a_version_to_go_on_from(client: Client, outage: str) -> None:
    page = client.get(f"/incidents/{outage}/")
    live = client.get(f"/incidents/{outage}/?part=live")
    news, size = news_bytes(client, f"/incidents/{outage}/?part=live", version_of(page))
    assert applied(page.content, news["edits"]) == live.content
    assert size < 1000 < len(live.content)


def test_long_stretches_of_the_timeline_are_folded(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/")
    timeline = words_of(html[html.index("timeline-heading") :])
    assert re.search(r"\d+ regions went down\.", timeline)
    assert re.search(r"\d+ regions came back\.", timeline)


def test_evidence_of_a_region_begins_with_a_sentence(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/?open=GB")
    why = html[html.index('id="why-GB~LON"') :]
    why = words_of(why[: why.index("</details>")])
    assert re.search(r"We say that London is back since .*, because .*\. We could say so from", why)
    assert "With nine chances in ten it came back between" in why
    assert why.index("We say that") < why.index("log₁₀ p")
    assert "Check it yourself" in why


def test_the_pieces_of_the_page_are_light(client: Client, outage: str) -> None:
    def size(query: str) -> int:
        return len(client.get(f"/incidents/{outage}/{query}", headers={"Accept-Encoding": "gzip"}).content)

    assert size("history.json") < 3_000
    assert size("rates.json") < 4_000
    assert size("?part=live") < 22_000
    assert json.loads(client.get(f"/incidents/{outage}/rates.json").content)["regions"]


def test_where_nobody_was_heard_at_the_end_it_is_not_called_back(client: Client, outage: str) -> None:
    def headline() -> str:
        snapshots.forget()
        found = re.search(r"<h1.*?</h1>", text(client, f"/incidents/{PAST_REF}/"), re.DOTALL)
        assert found
        return words_of(found[0])

    assert "and back everywhere by" in headline()
    whole = RegionalOutage.objects.get(incident__ref=PAST_REF)
    RegionalOutage.objects.filter(pk=whole.pk).update(**NOT_BACK, unknown_at=whole.declared_at)
    assert headline().endswith("UTC. From 1 region too little is heard to say.")
    whole.pk, whole.region_code, whole.region_name = None, "ES", "Spain"
    whole.region = Region.objects.get(code="ES")
    whole.save()
    assert "It is back in 1 region; from 1 region too little is heard to say." in headline()


def the_head(client: Client, ref: str) -> str:
    """Headline and facts of the page as they read."""
    snapshots.forget()
    html = text(client, f"/incidents/{ref}/")
    return words_of(html[html.index("<h1") : html.index("data-course data-mode")])


def test_silent_regions_are_neither_down_nor_back(client: Client, outage: str) -> None:
    rows = RegionalOutage.objects.filter(incident__ref=outage)
    silent = rows.filter(restored_at=None).exclude(unknown_at=None).count()
    out = rows.filter(restored_at=None, unknown_at=None).count()
    back = rows.exclude(restored_at=None).count()
    assert min(silent, out, back) > 1
    page = the_head(client, outage)
    heard = f"From {silent} regions too little is heard to say."
    assert f"; {back} of them are back. {heard}" in page
    assert f"Last region back{out} regions still affected{heard}" in page
    # Nobody is known to be down any more: that is no return.
    rows.filter(restored_at=None).update(unknown_at=clock.now() - timedelta(minutes=3))
    assert f"Last region backToo few reports to say{silent + out} regions" in the_head(client, outage)
    rows.update(**NOT_BACK, unknown_at=clock.now() - timedelta(minutes=3))
    page = the_head(client, outage)
    assert " is down in " not in page
    assert f"From {silent + out + back} regions too little is heard to say." in page


def test_the_last_return_known_is_not_called_the_last(client: Client, outage: str) -> None:
    rows = RegionalOutage.objects.filter(incident__ref=outage)
    silent = rows.filter(restored_at=None).count()
    rows.filter(restored_at=None).update(unknown_at=clock.now() - timedelta(minutes=3))
    Incident.objects.filter(ref=outage).update(resolved_at=clock.now())
    page = the_head(client, outage)
    assert re.search(rf"Last known back\S.*? UTCafter .*?From {silent} regions too little is heard to say\.", page)
    assert "Last region back" not in page
    rows.update(**NOT_BACK, unknown_at=clock.now() - timedelta(minutes=3))
    page = the_head(client, outage)
    assert "First region backnot that we know" in page
    assert f"Last region backToo few reports to say{rows.count()} regions" in page
    assert not re.search(r"(?<!\d)0 regions", page)


def test_how_long_it_was_is_the_same_everywhere_and_no_wait_for_the_silent(client: Client, outage: str) -> None:
    incident = Incident.objects.select_related("service__provider").get(ref=PAST_REF)
    row = RegionalOutage.objects.get(incident=incident)
    assert row.restored_at is not None
    assert incident.resolved_at is not None
    assert row.restored_at < incident.resolved_at
    service, provider = incident.service.slug, incident.service.provider.slug

    def told(address: str) -> str:
        """What a page says of the incident: the element that leads to it, with its mark."""
        snapshots.forget()
        html = text(client, address)
        at = html.index(f"/incidents/{PAST_REF}/")
        row_at = max(html.rindex(edge, 0, at) for edge in ("<li>", "<tr>") if edge in html[:at])
        return html[row_at : html.index("</li>" if html[row_at:].startswith("<li>") else "</tr>", at)]

    lists = {
        address: told(address) for address in ("/", f"/services/{service}/", f"/providers/{provider}/", "/incidents/")
    }
    for address, line in lists.items():
        assert "2 h" in line, address
        assert "15 min" not in words_of(line), address
        assert "mark-restored" in line, address
    assert "back everywhere by" in told("/incidents/")
    assert f'by <time datetime="{row.restored_at:%Y-%m-%dT%H:%M:%SZ}"' in told("/incidents/")

    another = {"incident": incident, "detected_at": row.detected_at, "onset_at": row.onset_at}
    spain = Region.objects.get(code="ES")
    RegionalOutage.objects.create(
        region=spain, region_code="ES", region_name="Spain", unknown_at=incident.resolved_at, **another
    )
    for address in lists:
        line = told(address)
        assert "2 h" in line, address
        assert "mark-unknown" in line, address
        assert "mark-restored" not in line, address

    RegionalOutage.objects.filter(pk=row.pk).update(**NOT_BACK, unknown_at=incident.resolved_at)
    for address in lists:
        line = told(address)
        assert not re.search(r"\d h\b", words_of(line)), address
        assert "mark-unknown" in line, address
        assert "oo few reports to say" in line or "too little is heard to say" in line, address


@pytest.mark.parametrize("closed", ["merged_at", "rejected_at"])
def test_what_is_told_elsewhere_or_was_none_has_no_facts_and_waits_for_nothing(
    client: Client, outage: str, closed: str
) -> None:
    Incident.objects.filter(ref=outage).update(**{closed: clock.now()}, confirmed_at=None)
    head = the_head(client, outage)
    for said in ("Confidence that", "Provider acknowledged", "people live in", "Last region back", "so far"):
        assert said not in head, said
    assert re.search(r"We counted [\d,]+ reports that it was down", head)
    assert "The whole of it as an article" in head
    page = words_of(text(client, f"/incidents/{outage}/?all=1"))
    for said in ("So far", "not back yet", "not yet", "none back yet"):
        assert said not in page, said
    assert "At the end" in page


def test_where_no_region_was_part_of_it_no_line_of_zeros_stands(client: Client, outage: str) -> None:
    RegionalOutage.objects.filter(incident__ref=PAST_REF).update(withdrawn_at=clock.now())
    head = the_head(client, PAST_REF)
    assert "About" not in head
    assert not re.search(r"(?<!\d)0 ", head)
    assert "We counted no reports that it was down." in head


def test_one_report_is_in_the_singular(client: Client, outage: str) -> None:
    from reports.models import Evidence

    row = RegionalOutage.objects.get(incident__ref=PAST_REF)
    Evidence.objects.create(
        incident=row.incident,
        region=row.region,
        decision="opened",
        decided_at=row.detected_at,
        observed=1,
        expected=0.3,
        log10_p=-8.0,
        threshold=-7.5,
        window_minutes=30,
        window_end_at=row.detected_at,
        level="region",
        rule="cell",
        baseline_version="scene-1",
        detector_version="scene",
    )
    snapshots.forget()
    page = words_of(text(client, f"/incidents/{PAST_REF}/"))
    assert "1 report within 30 minutes, where 0.3 were expected." in page
    assert not re.search(r"(?<!\d)1 reports", page)
    head = the_head(client, outage)
    assert re.search(r"We counted [\d,]+ reports that it was down, and [\d,]+ that it worked again\.", head)


def test_the_strips_draw_every_state_over_a_hatched_ground(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/")
    strip = html[html.index('class="strip"') :]
    strip = strip[: strip.index("</svg>")]
    assert set(re.findall(r"fill-(\w+)", strip)) == {"down", "recovering", "restored", "unknown", "normal"}
    groups = re.findall(r'<span class="group-course".*?</svg>', html)
    assert len(groups) == 5
    assert all("fill-normal" in group for group in groups)


def test_how_to_drag_is_said_only_where_something_can_be_dragged(client: Client, outage: str) -> None:
    html = text(client, f"/incidents/{outage}/")
    said = re.search(r"<span([^>]*)>Drag it,", html)
    assert said
    assert "script-only" in said[1]
    assert "When the incident opened" not in html
    assert "As last checked" in html
