"""The first sentences of a page: in the reader's region, elsewhere, and what else of the provider is down."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from frontend import verdicts
from reports import status
from reports.status.answers import CountryState, HomeStatus, RegionLink, RegionState, ServiceLink, ServiceStatus

NOW = datetime(2026, 4, 3, 20, 0, tzinfo=UTC)
ONSET = NOW - timedelta(hours=2)
WHATSAPP = ServiceLink("whatsapp", "WhatsApp", "meta", "Meta", "messaging", "Messaging")


def link(code: str) -> RegionLink:
    found = status.region(code)
    assert found is not None
    return found


def region(code: str, state: str, since: datetime = ONSET) -> RegionState:
    return RegionState(link(code), state, since, reports=10, expected=1.0)


def country(code: str, state: str, **parts: int) -> CountryState:
    numbers = {"down": 0, "recovering": 0, "restored": 0, "unknown": 0, **parts}
    return CountryState(link(code), state, ONSET, people_affected=1, reports=10, expected=1.0, **numbers)


def service(
    state: str = "normal",
    *regions: RegionState,
    countries: tuple[CountryState, ...] = (),
    ongoing: bool = True,
    name: str = "WhatsApp",
) -> ServiceStatus:
    affected = state != "normal" and ongoing
    return ServiceStatus(
        link=replace(WHATSAPP, name=name),
        state=state,
        since=ONSET if affected else None,
        regions_down=0,
        people_affected=0,
        reports_last_hour=10,
        baseline_last_hour=1.0,
        working_last_hour=0,
        incident="OUT-2026-0001" if affected else None,
        down=tuple(each for each in regions if each.state != "restored" and ongoing),
        restored=tuple(each for each in regions if each.state == "restored"),
        silent=tuple(each for each in regions if each.state == "unknown" and not ongoing),
        countries=countries,
    )


def plain(sentence: str) -> str:
    return re.sub(r"<[^>]+>", "", sentence)


# --- the world --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "where"),
    [
        (("BR",), "Brazil"),
        (("BR", "IN"), "Brazil and India"),
        (("BR", "IN", "US"), "Brazil, India and the United States"),
        (("BR", "IN", "US", "GB"), "Brazil, India and 2 more countries"),
    ],
)
def test_countries_are_named_and_the_rest_counted(codes: tuple[str, ...], where: str) -> None:
    whole = service("down", countries=tuple(country(code, "down") for code in codes))
    assert plain(verdicts.service_verdict(whole, NOW)) == f"WhatsApp is down in {where} since 18:00 UTC."


def test_what_is_back_is_told_beside_what_is_down() -> None:
    whole = service("down", countries=(country("BR", "down"), country("US", "restored")))
    said = "WhatsApp is down in Brazil since 18:00 UTC, and back in the United States."
    assert plain(verdicts.service_verdict(whole, NOW)) == said


def test_since_when_is_that_of_the_places_which_are_down() -> None:
    later = (ONSET + timedelta(minutes=12), ONSET + timedelta(minutes=9))
    down = tuple(replace(country(code, "down"), since=since) for code, since in zip(("ID", "IN"), later, strict=True))
    whole = service("down", countries=(*down, country("BR", "restored")))
    said = "WhatsApp is down in Indonesia and India since 18:09 UTC, and back in Brazil."
    assert plain(verdicts.service_verdict(whole, NOW)) == said
    # The outage as a whole, where it is coming back.
    whole = service("recovering", countries=(*(replace(each, state="recovering") for each in down),))
    assert plain(verdicts.service_verdict(whole, NOW)).endswith("it went down at 18:00 UTC.")
    # A place that joined may seem to have begun before the outage did: it did not.
    early = replace(down[0], since=ONSET - timedelta(minutes=10))
    whole = service("down", countries=(early, down[1]))
    assert plain(verdicts.service_verdict(whole, NOW)).endswith("since 18:00 UTC.")


def test_of_one_country_its_parts_are_named() -> None:
    rows = tuple(region(code, "down") for code in ("IN-GJ", "IN-MH", "IN-TN", "IN-KA"))
    whole = service("down", *rows, countries=(country("IN", "down", down=4),))
    assert "is down in Tamil Nadu, Maharashtra and 2 more parts of India since" in verdicts.service_verdict(whole, NOW)


def test_a_country_from_which_too_little_is_heard_is_not_said_to_be_back() -> None:
    india, states = country("IN", "unknown", restored=2, unknown=13), country("US", "unknown", restored=8, unknown=27)
    went = "it went down at 18:00 UTC."
    whole = service("recovering", countries=(country("BR", "restored"), india, states))
    silent = "Too few reports from India and the United States to say whether WhatsApp works there."
    assert plain(verdicts.service_verdict(whole, NOW)) == f"WhatsApp is back in Brazil; {went} {silent}"
    # Where none is back as a whole, how much of some is.
    whole = service("recovering", countries=(states, india, country("MX", "unknown", restored=1, unknown=9)))
    said = "8 of 35 parts of the United States and 2 of 15 parts of India"
    assert plain(verdicts.service_verdict(whole, NOW)) == f"WhatsApp is back in {said}; {went}"
    whole = service("recovering", countries=(country("BR", "recovering"), india))
    assert plain(verdicts.service_verdict(whole, NOW)) == f"WhatsApp is coming back in Brazil; {went}"


def test_an_outage_seen_only_in_the_world_as_a_whole_names_no_place() -> None:
    whole = service("down", region("001", "down"))
    assert plain(verdicts.service_verdict(whole, NOW)).startswith("WhatsApp is down since 18:00 UTC; no single country")


def test_a_rise_that_another_outage_explains_is_said_to_follow_it() -> None:
    whole = replace(service(), echo_of=replace(WHATSAPP, name="Instagram"))
    assert "its reports follow that of Instagram" in verdicts.service_verdict(whole, NOW)
    assert "itself shows no outage in France" in verdicts.here_verdict(service(), link("FR"), whole, NOW)


# --- where the reader is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("down", "WhatsApp is down in Scotland since 18:00 UTC."),
        ("recovering", "WhatsApp is coming back in Scotland: reports fall, but are not yet usual."),
        ("restored", "WhatsApp is back in Scotland since 18:00 UTC."),
        ("unknown", "Too few reports from Scotland to say whether WhatsApp works there."),
    ],
)
def test_a_region_that_was_decided_on_is_told_by_its_state(state: str, said: str) -> None:
    local = service(state, region("GB-SCT", state))
    assert plain(verdicts.here_verdict(local, link("GB-SCT"), service("down"), NOW)) == said


def test_a_region_nobody_decided_on_is_never_called_fine() -> None:
    whole = service("down", countries=(country("BR", "down"),))
    silent, seen = service("unknown", ongoing=False), service("normal")
    scotland = link("GB-SCT")
    assert "Too few reports from Scotland" in verdicts.here_verdict(silent, scotland, whole, NOW)
    assert "No outage of WhatsApp is seen in Scotland" in verdicts.here_verdict(seen, scotland, whole, NOW)
    # Nobody has looked, anywhere.
    assert "We cannot say right now" in verdicts.here_verdict(silent, scotland, silent, NOW)


def test_a_country_is_told_by_its_parts_the_most_populous_first() -> None:
    local = service("down", region("GB-WLS", "down"), region("GB-SCT", "restored"), region("GB~NW", "restored"))
    said = "WhatsApp is down in Wales since 18:00 UTC, and back in North West England and Scotland."
    assert plain(verdicts.here_verdict(local, link("GB"), local, NOW)) == said


MOST_OF_BRITAIN = ("GB~LON", "GB~SE", "GB~NW", "GB~EE", "GB~WM", "GB-SCT", "GB~YH")


def test_a_country_is_named_where_most_of_its_people_are_affected() -> None:
    local = service("down", *(region(code, "down") for code in MOST_OF_BRITAIN))
    said = "WhatsApp is down in the United Kingdom since 18:00 UTC."
    assert plain(verdicts.here_verdict(local, link("GB"), local, NOW)) == said
    whole = replace(local, countries=(country("GB", "down", down=7),))
    assert plain(verdicts.service_verdict(whole, NOW)) == said


def test_a_country_is_not_named_for_most_of_its_parts_while_one_is_in_another_state() -> None:
    rows = [region(code, "down") for code in MOST_OF_BRITAIN]
    local = service("down", *rows, region("GB-WLS", "restored"))
    said = "WhatsApp is down in London, South East England and 5 more parts of the United Kingdom since 18:00 UTC"
    assert plain(verdicts.here_verdict(local, link("GB"), local, NOW)) == f"{said}, and back in Wales."
    whole = replace(local, countries=(country("GB", "down", down=7, restored=1),))
    assert plain(verdicts.service_verdict(whole, NOW)) == f"{said}."


_UK = "the United Kingdom"
_MOST = "London, South East England and 5 more parts of the United Kingdom"
_ALL = "London, South East England and 6 more parts of the United Kingdom"
_OTHER = "other parts of the United Kingdom"
_SINCE = "since 18:00 UTC"
_SILENT = "Too few reports from {} to say whether WhatsApp works there."
_FALL = f"coming back in {_UK}: reports fall, but are not yet usual."
_PAIRS = {
    # The country's own row (None: it has none), most of its parts, Wales: what is said.
    (None, "down", "down"): f"down in {_UK} {_SINCE}.",
    (None, "down", "recovering"): f"down in {_MOST} {_SINCE}.",
    (None, "down", "restored"): f"down in {_MOST} {_SINCE}, and back in Wales.",
    (None, "down", "unknown"): f"down in {_MOST} {_SINCE}.",
    (None, "recovering", "down"): f"down in Wales {_SINCE}.",
    (None, "recovering", "recovering"): f"coming back in {_UK}.",
    (None, "recovering", "restored"): f"coming back in {_MOST}, and is back in Wales.",
    (None, "recovering", "unknown"): f"coming back in {_MOST}.",
    (None, "restored", "down"): f"down in Wales {_SINCE}, and back in {_MOST}.",
    (None, "restored", "recovering"): f"coming back in Wales, and is back in {_MOST}.",
    (None, "restored", "restored"): f"back in {_UK}: in all 8 parts that were down, in the last of them {_SINCE}.",
    (None, "restored", "unknown"): f"back in {_MOST}. {_SILENT.format('Wales')}",
    (None, "unknown", "down"): f"down in Wales {_SINCE}.",
    (None, "unknown", "recovering"): "coming back in Wales.",
    (None, "unknown", "restored"): f"back in Wales. {_SILENT.format(_MOST)}",
    (None, "unknown", "unknown"): _SILENT.format(_UK),
    ("down", "down", "down"): f"down in {_UK} {_SINCE}.",
    ("down", "down", "restored"): f"down in {_UK} {_SINCE}, and back in Wales.",
    ("down", "recovering", "recovering"): f"down in {_UK} {_SINCE}.",
    ("down", "restored", "restored"): f"down in {_UK} {_SINCE}, and back in {_ALL}.",
    ("down", "restored", "unknown"): f"down in {_UK} {_SINCE}, and back in {_MOST}.",
    ("down", "unknown", "unknown"): f"down in {_UK} {_SINCE}.",
    ("recovering", "down", "down"): f"down in {_ALL} {_SINCE}.",
    ("recovering", "restored", "down"): f"down in Wales {_SINCE}, and back in {_MOST}.",
    ("recovering", "recovering", "recovering"): _FALL,
    ("recovering", "recovering", "restored"): f"coming back in {_UK}, and is back in Wales.",
    ("recovering", "restored", "restored"): f"coming back in {_UK}, and is back in {_ALL}.",
    ("recovering", "unknown", "unknown"): _FALL,
    ("restored", "down", "down"): f"down in {_ALL} {_SINCE}, and back in {_OTHER}.",
    ("restored", "restored", "down"): f"down in Wales {_SINCE}, and back in {_OTHER}.",
    ("restored", "restored", "recovering"): f"coming back in Wales, and is back in {_OTHER}.",
    ("restored", "restored", "restored"): f"back in {_UK} {_SINCE}.",
    ("restored", "restored", "unknown"): f"back in {_UK} {_SINCE}. {_SILENT.format('Wales')}",
    ("unknown", "down", "restored"): f"down in {_MOST} {_SINCE}, and back in Wales.",
    ("unknown", "restored", "recovering"): f"coming back in Wales, and is back in {_MOST}.",
    ("unknown", "restored", "unknown"): f"back in {_MOST}. {_SILENT.format('Wales')}",
    ("unknown", "restored", "restored"): f"back in {_ALL}. {_SILENT.format(_OTHER)}",
    ("unknown", "unknown", "unknown"): _SILENT.format(_UK),
}


@pytest.mark.parametrize(("own", "most", "wales"), _PAIRS)
def test_no_place_is_in_two_states_in_one_sentence(own: str | None, most: str, wales: str) -> None:
    rows = [region(code, most) for code in MOST_OF_BRITAIN] + [region("GB-WLS", wales)]
    local = service("down", *rows, *([region("GB", own)] if own else []))
    said = _PAIRS[own, most, wales]
    told = plain(verdicts.here_verdict(local, link("GB"), local, NOW))
    assert told == (said if said.startswith("Too few") else f"WhatsApp is {said}")


def test_what_is_down_is_told_though_the_country_was_found_back() -> None:
    rows = (region("GB", "restored"), region("GB~LON", "down"), region("GB-SCT", "down"))
    said = f"WhatsApp is down in London and Scotland {_SINCE}, and back in {_OTHER}."
    assert plain(verdicts.here_verdict(service("down", *rows), link("GB"), service("down"), NOW)) == said


def test_a_nation_is_not_back_while_a_part_of_it_is_not() -> None:
    rows = (region("GB-ENG", "restored"), region("GB~LON", "down"), region("GB-SCT", "restored"))
    said = f"WhatsApp is down in London {_SINCE}, and back in Scotland."
    assert plain(verdicts.here_verdict(service("down", *rows), link("GB"), service("down"), NOW)) == said


def test_a_country_is_back_when_all_its_parts_are() -> None:
    local = service(
        "recovering", region("GB-SCT", "restored"), region("GB-WLS", "restored", NOW - timedelta(minutes=9))
    )
    said = "WhatsApp is back in the United Kingdom: in all 2 parts that were down, in the last of them since 19:51 UTC."
    assert plain(verdicts.here_verdict(local, link("GB"), local, NOW)) == said
    one = service("recovering", region("GB-SCT", "restored"))
    assert plain(verdicts.here_verdict(one, link("GB"), one, NOW)) == "WhatsApp is back in Scotland since 18:00 UTC."


def test_a_part_that_fell_silent_is_not_counted_as_back() -> None:
    local = service("recovering", region("GB-SCT", "restored"), region("GB-WLS", "unknown"))
    said = "WhatsApp is back in Scotland. Too few reports from Wales to say whether WhatsApp works there."
    assert plain(verdicts.here_verdict(local, link("GB"), local, NOW)) == said


def test_what_was_silent_when_an_outage_ended_is_neither_back_nor_fine() -> None:
    never = "WhatsApp was down in {} today; too few reports have come since to say whether it is back there."
    scotland, wales = region("GB-SCT", "unknown"), region("GB-WLS", "unknown")
    over = service("normal", region("GB-WLS", "restored"), ongoing=False)
    local = service("unknown", scotland, ongoing=False)
    assert plain(verdicts.here_verdict(local, link("GB-SCT"), over, NOW)) == never.format("Scotland")
    # A country of which a part is back, and one of which none is.
    local = service("unknown", scotland, region("GB-WLS", "restored"), ongoing=False)
    said = f"WhatsApp is back in Wales. {_SILENT.format('Scotland')}"
    assert plain(verdicts.here_verdict(local, link("GB"), over, NOW)) == said
    local = service("unknown", scotland, wales, ongoing=False)
    assert plain(verdicts.here_verdict(local, link("GB"), over, NOW)) == never.format(_UK)
    # And to whoever is not there.
    whole = service("normal", scotland, wales, countries=(country("GB", "unknown", unknown=2),), ongoing=False)
    assert plain(verdicts.elsewhere_verdict(whole, link("FR"), NOW)) == never.format(_UK)
    assert plain(verdicts.elsewhere_verdict(whole, link("GB~LON"), NOW)) == never.format(_OTHER)


# --- elsewhere --------------------------------------------------------------------------------------------------------


def test_elsewhere_leaves_out_the_readers_own_country() -> None:
    whole = service(
        "down",
        region("GB", "down"),
        countries=(country("GB", "down"), country("BR", "down"), country("US", "restored")),
    )
    said = "Elsewhere, WhatsApp is down in Brazil, and back in the United States."
    assert plain(verdicts.elsewhere_verdict(whole, link("GB"), NOW)) == said


def test_elsewhere_knows_of_the_other_parts_of_the_country() -> None:
    whole = service(
        "down",
        region("GB-SCT", "restored"),
        region("GB-WLS", "down"),
        countries=(country("GB", "down", down=1, restored=1),),
    )
    said = "Elsewhere, WhatsApp is down in other parts of the United Kingdom."
    assert plain(verdicts.elsewhere_verdict(whole, link("GB-SCT"), NOW)) == said
    # To a reader in Wales the other part is the one that is back.
    said = "Elsewhere, WhatsApp is back in other parts of the United Kingdom."
    assert plain(verdicts.elsewhere_verdict(whole, link("GB-WLS"), NOW)) == said


def test_elsewhere_silence_is_neither_back_nor_fine() -> None:
    rows = (region("GB-SCT", "restored"), region("GB-WLS", "restored"), region("GB~LON", "unknown"))
    whole = service("recovering", *rows, countries=(country("GB", "unknown", restored=2, unknown=1),))
    # To a reader in Scotland, Wales is back and London is silent.
    assert plain(verdicts.elsewhere_verdict(whole, link("GB-SCT"), NOW)) == _SILENT.format(_OTHER)
    said = "Elsewhere, WhatsApp is back in other parts of the United Kingdom."
    assert plain(verdicts.elsewhere_verdict(whole, link("GB~LON"), NOW)) == said
    assert plain(verdicts.elsewhere_verdict(whole, link("FR"), NOW)) == _SILENT.format(_UK)


def test_elsewhere_other_parts_of_a_country_are_not_down_and_back_at_once() -> None:
    rows = (region("GB-SCT", "down"), region("GB-WLS", "restored"), region("GB~LON", "down"))
    whole = service("down", *rows, countries=(country("GB", "down", down=2, restored=1),))
    said = "Elsewhere, WhatsApp is down in other parts of the United Kingdom."
    assert plain(verdicts.elsewhere_verdict(whole, link("GB-SCT"), NOW)) == said


def test_elsewhere_says_nothing_on_a_quiet_day_and_when_it_is_only_here() -> None:
    assert verdicts.elsewhere_verdict(service(), link("FR"), NOW) == ""
    only = service("down", region("FR", "down"), countries=(country("FR", "down"),))
    assert verdicts.elsewhere_verdict(only, link("FR"), NOW) == "Elsewhere, no outage of WhatsApp is seen."
    world = service("down", region("001", "down"))
    assert "In the world as a whole, WhatsApp is down" in verdicts.elsewhere_verdict(world, link("FR"), NOW)


# --- siblings and the home page ---------------------------------------------------------------------------------------


def test_siblings_are_told_while_something_is_down_and_not_on_a_quiet_day() -> None:
    facebook, threads = service(name="Facebook"), service(name="Threads")
    instagram = service("down", name="Instagram")
    assert verdicts.sibling_sentences(service("down"), [facebook, instagram, threads]) == (
        "Instagram is down too.",
        "Facebook and Threads show no outage.",
    )
    assert verdicts.sibling_sentences(service(), [instagram]) == ("Instagram, of the same provider, is down.",)
    assert verdicts.sibling_sentences(service(), [facebook, threads]) == ()
    assert verdicts.sibling_sentences(service("down"), [facebook])[0] == "Facebook shows no outage."


def test_a_sibling_that_is_coming_back_is_not_said_to_be_down() -> None:
    instagram, threads = service("recovering", name="Instagram"), service("down", name="Threads")
    facebook = service(name="Facebook")
    assert verdicts.sibling_sentences(service("down"), [instagram, threads, facebook]) == (
        "Threads is down too.",
        "Instagram is coming back.",
        "Facebook shows no outage.",
    )
    assert verdicts.sibling_sentences(service(), [instagram]) == ("Instagram, of the same provider, is coming back.",)
    # Nor is it down "too" beside one that is coming back.
    assert verdicts.sibling_sentences(instagram, [threads]) == ("Threads, of the same provider, is down.",)
    # One that fell silent is neither.
    assert verdicts.sibling_sentences(service("down"), [service("unknown", name="Instagram")]) == ()


def test_home_tells_what_is_down_where_the_reader_is() -> None:
    france = link("FR")
    down, back = service("down"), service("restored", name="Instagram")
    assert verdicts.here_sentences([down, back], france, stale=False) == (
        "In France, WhatsApp is down.",
        "In France, Instagram is back.",
    )
    silent = service("unknown", ongoing=False)
    assert "Too few reports from France" in verdicts.here_sentences([silent], france, stale=False)[0]
    assert verdicts.here_sentences([service()], france, stale=False) == ("None of it is seen in France.",)
    assert verdicts.here_sentences([], france, stale=False) == ("Nothing is seen down in France either.",)
    # A site that has not looked says nothing of the kind.
    assert verdicts.here_sentences([], france, stale=True) == ()


def test_home_names_up_to_three_and_counts_more() -> None:
    def home(*down: ServiceStatus) -> HomeStatus:
        return HomeStatus(NOW, "1", down, (), (), services_watched=9, reports_last_hour=5)

    names = ["A", "B", "C", "D"]
    down = [service("down", name=name) for name in names]
    assert verdicts.home_verdict(home(*down[:1]), stale=False) == "A is down right now."
    assert verdicts.home_verdict(home(*down[:3]), stale=False) == "A, B and C are down right now."
    assert verdicts.home_verdict(home(*down), stale=False) == "4 services are down right now."
    assert verdicts.home_verdict(home(down[0], service("recovering", name="B")), stale=False) == (
        "A is down right now. B is coming back."
    )
    silent = service("unknown", name="C")
    assert verdicts.home_verdict(home(down[0], service("recovering", name="B"), silent), stale=False) == (
        "A is down right now. B is coming back. Too few reports to say whether C is back."
    )
    assert verdicts.home_verdict(home(silent), stale=False) == "Too few reports to say whether C is back."
    assert verdicts.home_verdict(home(silent), stale=True) == "We cannot say what is down right now."
    assert verdicts.home_verdict(home(), stale=False) == "Nothing is down right now."
    assert verdicts.home_verdict(home(), stale=True) == "We cannot say what is down right now."
