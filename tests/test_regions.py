"""The tree of regions, its codes, and the region of a coordinate."""

import json
import math
import re
from collections import Counter
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from reports.regions import (
    WORLD,
    WORLD_VIEW_BOX,
    aliases,
    ancestors,
    children,
    country_outline,
    descendants,
    displayed,
    locate,
    nearest_codes,
    resolve,
    tree,
    utc_offset_minutes,
    world_outline,
)

BROWSER = Path(__file__).resolve().parents[1] / "frontend" / "static" / "frontend" / "regions"

COUNTRIES = [region.code for region in tree().values() if region.kind == "country"]

CITIES = {
    "London": (51.5074, -0.1278, "GB~LON"),
    "Manchester": (53.4808, -2.2426, "GB~NW"),
    "Edinburgh": (55.9533, -3.1883, "GB-SCT"),
    "Cardiff": (51.4816, -3.1791, "GB-WLS"),
    "Belfast": (54.5973, -5.9301, "GB-NIR"),
    "Lerwick": (60.1530, -1.1426, "GB-SCT"),
    "Dublin": (53.3498, -6.2603, "IE-L"),
    "Paris": (48.8566, 2.3522, "FR-IDF"),
    "Marseille": (43.2965, 5.3698, "FR-PAC"),
    "Berlin": (52.5200, 13.4050, "DE-BE"),
    "Munich": (48.1351, 11.5820, "DE-BY"),
    "Madrid": (40.4168, -3.7038, "ES-MD"),
    "Las Palmas": (28.1235, -15.4363, "ES-CN"),
    "Ponta Delgada": (37.7412, -25.6756, "PT-20"),
    "Palermo": (38.1157, 13.3615, "IT-82"),
    "Monaco": (43.7384, 7.4246, "MC"),
    "Vatican City": (41.9029, 12.4534, "VA"),
    "Istanbul": (41.0082, 28.9784, "TR-34"),
    "Moscow": (55.7558, 37.6173, "RU-MOW"),
    # Natural Earth has the codes of these four the wrong way round.
    "Kolomna": (55.0794, 38.7783, "RU-MOS"),
    "Sharan": (33.176, 68.730, "AF-PKA"),
    "Gardez": (33.600, 69.230, "AF-PIA"),
    "Zalingei": (12.910, 23.470, "SD-DC"),
    "Vladivostok": (43.1155, 131.8855, "RU-PRI"),
    "Anadyr": (64.7337, 177.4968, "RU-CHU"),
    "Kyiv": (50.4501, 30.5234, "UA-30"),
    "New York": (40.7128, -74.0060, "US-NY"),
    "Los Angeles": (34.0522, -118.2437, "US-CA"),
    "Key West": (24.5551, -81.7800, "US-FL"),
    "Honolulu": (21.3069, -157.8583, "US-HI"),
    "Anchorage": (61.2181, -149.9003, "US-AK"),
    "San Juan": (18.4655, -66.1057, "PR"),
    "Toronto": (43.6532, -79.3832, "CA-ON"),
    "Vancouver": (49.2827, -123.1207, "CA-BC"),
    "St. John's": (47.5615, -52.7126, "CA-NL"),
    "Mexico City": (19.4326, -99.1332, "MX-CMX"),
    "Cancún": (21.1619, -86.8515, "MX-ROO"),
    "São Paulo": (-23.5505, -46.6333, "BR-SP"),
    "Rio de Janeiro": (-22.9068, -43.1729, "BR-RJ"),
    "Manaus": (-3.1190, -60.0217, "BR-AM"),
    "Buenos Aires": (-34.6037, -58.3816, "AR-C"),
    "Puerto Ayora": (-0.7402, -90.3138, "EC-W"),
    "Hanga Roa": (-27.1497, -109.4273, "CL-VS"),
    "Lagos": (6.4541, 3.3947, "NG-LA"),
    "Nairobi": (-1.2864, 36.8172, "KE-30"),
    "Johannesburg": (-26.2041, 28.0473, "ZA-GP"),
    "Cape Town": (-33.9249, 18.4241, "ZA-WC"),
    "Cairo": (30.0444, 31.2357, "EG-C"),
    "Saint-Denis": (-20.8823, 55.4504, "RE"),
    "Dubai": (25.2048, 55.2708, "AE-DU"),
    "Tehran": (35.6892, 51.3890, "IR-23"),
    "Mumbai": (19.0760, 72.8777, "IN-MH"),
    "Delhi": (28.6139, 77.2090, "IN-DL"),
    "Malé": (4.1755, 73.5093, "MV"),
    "Singapore": (1.3521, 103.8198, "SG-03"),
    "Jakarta": (-6.2088, 106.8456, "ID-JK"),
    "Denpasar": (-8.6705, 115.2126, "ID-BA"),
    "Manila": (14.5995, 120.9842, "PH-00"),
    "Hong Kong": (22.3193, 114.1694, "HK"),
    "Taipei": (25.0330, 121.5654, "TW-TPE"),
    "Shanghai": (31.2304, 121.4737, "CN-SH"),
    "Tokyo": (35.6762, 139.6503, "JP-13"),
    "Naha": (26.2124, 127.6809, "JP-47"),
    "Seoul": (37.5665, 126.9780, "KR-11"),
    "Sydney": (-33.8688, 151.2093, "AU-NSW"),
    "Hobart": (-42.8821, 147.3272, "AU-TAS"),
    "Auckland": (-36.8509, 174.7645, "NZ-AUK"),
    "Waitangi": (-43.9536, -176.5597, "NZ-CIT"),
    "Suva": (-18.1248, 178.4501, "FJ-C"),
    "Papeete": (-17.5516, -149.5585, "PF"),
}


def test_the_tree_is_the_world_its_countries_one_nation_and_the_regions_that_maps_draw():
    kinds = Counter(region.kind for region in tree().values())
    assert kinds == {"world": 1, "country": 249, "nation": 1, "subdivision": 2625}
    assert len(displayed()) == 2718
    assert sum(code in COUNTRIES for code in displayed()) == 93


def test_parents_come_before_their_children_and_share_the_country():
    seen: set[str] = set()
    for region in tree().values():
        if region.kind == "world":
            assert region.code == WORLD
            assert region.parent is None
        else:
            assert region.parent in seen
            assert region.country == region.code[:2]
            assert re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3}|~[A-Z0-9]{1,6})?", region.code)
        seen.add(region.code)


def test_no_two_regions_of_a_country_have_the_same_name():
    names = Counter((region.country, region.parent, region.name) for region in tree().values())
    assert [name for name, count in names.items() if count > 1] == []


def test_england_is_a_nation_that_holds_nine_regions_and_their_people():
    england = tree()["GB-ENG"]
    below = [tree()[code] for code in children("GB-ENG")]
    assert (england.parent, england.kind, len(below)) == ("GB", "nation", 9)
    assert england.population == sum(region.population or 0 for region in below)
    assert "GB-ENG" not in displayed()


def test_populations_of_regions_add_up_to_their_country():
    for code in COUNTRIES:
        parts = [tree()[below].population or 0 for below in descendants(code) if below in set(displayed())]
        if parts:
            assert sum(parts) == pytest.approx(tree()[code].population, rel=0.001)


def test_every_timezone_exists_and_every_label_point_is_on_earth():
    for region in tree().values():
        assert ZoneInfo(region.timezone).key == region.timezone
        assert -90 <= region.latitude <= 90
        assert -180 <= region.longitude <= 180


@pytest.mark.parametrize(
    ("code", "timezone"),
    [
        ("US-TX", "America/Chicago"),
        ("US-TN", "America/Chicago"),
        ("US-FL", "America/New_York"),
        ("US-AZ", "America/Phoenix"),
        ("BR-SP", "America/Sao_Paulo"),
        ("BR-AM", "America/Manaus"),
        ("RU-NVS", "Asia/Novosibirsk"),
        ("RU-KGD", "Europe/Kaliningrad"),
        ("AU-QLD", "Australia/Brisbane"),
        ("AU-WA", "Australia/Perth"),
        ("CA-SK", "America/Regina"),
        ("CA-NL", "America/St_Johns"),
        ("MX-BCN", "America/Tijuana"),
        ("MX-ROO", "America/Cancun"),
        ("ID-BA", "Asia/Makassar"),
        ("ID-PA", "Asia/Jayapura"),
        ("CN-XJ", "Asia/Shanghai"),
        ("ES-CN", "Atlantic/Canary"),
        ("XK", "Europe/Belgrade"),
    ],
)
def test_a_wide_country_keeps_the_hour_of_each_part(code: str, timezone: str):
    assert tree()[code].timezone == timezone


def test_an_offset_is_that_of_the_day_and_standard_time_without_one():
    assert utc_offset_minutes("US-CA") == -480
    assert utc_offset_minutes("US-CA", date(2024, 4, 3)) == -420
    assert utc_offset_minutes("AU-NSW") == 600
    assert utc_offset_minutes("AU-NSW", date(2024, 1, 3)) == 660
    assert utc_offset_minutes("IE-L") == 0
    assert utc_offset_minutes("IN-MH") == 330
    assert utc_offset_minutes(WORLD) == 0


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("GB-ENG", "GB-ENG"),
        ("  us-ca\n", "US-CA"),
        ("gb~lon", "GB~LON"),
        ("001", WORLD),
        ("FR-75", "FR-IDF"),
        ("IN-OR", "IN-OD"),
        ("US-PR", "PR"),
        ("UK", "GB"),
        ("AD-02", "AD"),
        ("US-ZZ", None),
        ("ZZ", None),
        ("", None),
        ("Bavaria", None),
    ],
)
def test_a_code_is_resolved_through_the_aliases_or_not_at_all(given: str, meant: str | None):
    assert resolve(given) == meant


def test_aliases_lead_to_regions_and_shadow_none():
    assert len(aliases()) > 2900
    assert [alias for alias in aliases() if alias in tree()] == []
    assert [code for code in aliases().values() if code not in tree()] == []


def test_ancestors_and_descendants_are_each_others_mirror():
    assert ancestors("GB~LON") == ("GB-ENG", "GB", WORLD)
    assert len(descendants(WORLD)) == len(tree()) - 1
    assert len(descendants("GB")) == 13
    for code in tree():
        assert all(code in descendants(above) for above in ancestors(code)[:-1])
    with pytest.raises(KeyError):
        descendants("ZZ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("england", "GB-ENG"),
        ("gb-englnd", "GB-ENG"),
        ("calif", "US-CA"),
        ("Sao Paulo", "BR-SP"),
        ("bavaria", "DE-BY"),
        ("uk-lon", "GB~LON"),
        ("Germny", "DE"),
    ],
)
def test_the_nearest_codes_begin_with_the_one_meant(text: str, expected: str):
    assert expected in nearest_codes(text)[:2]


def test_an_unknown_subdivision_is_answered_with_regions_of_its_country():
    assert all(code.startswith("US") for code in nearest_codes("US-ZZ"))
    assert len(nearest_codes("US-ZZ", limit=3)) == 3


def test_nothing_is_near_to_nothing():
    assert nearest_codes("") == nearest_codes("  \x00 ") == nearest_codes("東京") == ()


@pytest.mark.parametrize("city", CITIES)
def test_a_city_lies_in_its_region(city: str):
    latitude, longitude, code = CITIES[city]
    assert locate(latitude, longitude) == code


def test_a_label_point_lies_in_its_own_region():
    # Two atolls and a city of half a square kilometre are smaller than the rounding of their label points.
    elsewhere = {code for code in displayed() if locate(tree()[code].latitude, tree()[code].longitude) != code}
    assert elsewhere <= {"TK", "VA"}


def test_a_bridge_and_a_harbour_belong_to_the_coast_and_the_open_sea_to_nobody():
    assert locate(37.8199, -122.4783) == "US-CA"  # Golden Gate Bridge, mid-span
    assert locate(43.7333, 7.4330, snap_km=2) == "MC"
    assert locate(0.0, -30.0) is None
    assert locate(-75.0, 0.0) is None
    assert locate(90.0, 0.0) is None


def test_snapping_measures_kilometres_not_degrees():
    # 69.7 N, north of Norway's coast: one degree of longitude is 39 km there.
    west = locate(71.5, 25.8, snap_km=100)
    assert west is not None
    assert west.startswith("NO")
    assert locate(71.5, 25.8, snap_km=20) is None


def test_snapping_crosses_the_antimeridian():
    # Off Taveuni, Fiji, on both sides of the line; and the Russian coast that ends exactly on it.
    assert locate(-16.80, 179.999) == locate(-16.80, -179.999) == "FJ-N"
    assert locate(65.6, 180.0) == locate(65.6, -180.0) == "RU-CHU"


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(90.1, 0), (-91, 0), (0, 180.5), (0, -181), (math.nan, 0), (0, math.inf), (0, math.nan)],
)
def test_a_coordinate_that_is_not_on_earth_is_an_error(latitude: float, longitude: float):
    with pytest.raises(ValueError, match=r"latitude|longitude"):
        locate(latitude, longitude)


def path_box(path: str) -> tuple[int, int, int, int]:
    """The bounding box of path data made of M, l, h, v and z: left, top, right, bottom."""
    xs: list[int] = []
    ys: list[int] = []
    x = y = 0
    for letter, text in re.findall(r"([Mlhv])([^Mlhvz]*)", path):
        numbers = [int(number) for number in re.findall(r"-?\d+", text)]
        if letter == "h":
            numbers = [numbers[0], 0]
        elif letter == "v":
            numbers = [0, numbers[0]]
        elif letter == "M":
            x = y = 0
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            xs.append(x)
            ys.append(y)
    return min(xs), min(ys), max(xs), max(ys)


def test_the_world_is_drawn_whole_and_inside_its_frame():
    assert set(world_outline()) == set(COUNTRIES)
    assert set(world_outline("region")) == set(displayed())
    width, height = (int(size) for size in WORLD_VIEW_BOX.split()[2:])
    for level in ("country", "region"):
        for path in world_outline(level).values():
            left, top, right, bottom = path_box(path)
            assert 0 <= left <= right <= width
            assert 0 <= top <= bottom <= height


def test_each_country_is_drawn_with_its_regions_and_each_region_shows_in_the_frame():
    for country in COUNTRIES:
        view_box, paths = country_outline(country)
        assert set(paths) == {code for code in displayed() if code[:2] == country}
        x, y, width, height = (int(number) for number in view_box.split())
        for path in paths.values():
            left, top, right, bottom = path_box(path)
            assert right > x
            assert bottom > y
            assert left < x + width
            assert top < y + height
    with pytest.raises(KeyError):
        country_outline("ZZ")


def test_the_browser_gets_the_same_regions():
    meta = json.loads((BROWSER / "regions-meta.json").read_text(encoding="utf-8"))
    assert set(meta) == set(tree()) - {WORLD}
    drawn = json.loads((BROWSER / "regions-z4.topo.json").read_text(encoding="utf-8"))
    assert {shape["id"] for shape in drawn["objects"]["regions"]["geometries"]} == set(displayed())
    countries = json.loads((BROWSER / "countries-110.topo.json").read_text(encoding="utf-8"))
    assert {shape["id"] for shape in countries["objects"]["countries"]["geometries"]} == set(COUNTRIES)
    assert {path.name.split(".")[0] for path in (BROWSER / "by-country").iterdir()} == set(COUNTRIES)
