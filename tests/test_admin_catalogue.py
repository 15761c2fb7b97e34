"""Regions found by their code at the desk, and countries of services and providers that have to be countries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.test_admin import desk, log, owner, staff  # noqa: F401

if TYPE_CHECKING:
    from django.test import Client

    from tests.intake.making import Catalogue

pytestmark = pytest.mark.django_db


@pytest.fixture
def known() -> Catalogue:
    from tests.intake.making import make_catalogue

    return make_catalogue()


@pytest.mark.parametrize(
    ("typed", "kept"), [("", []), ("gb", ["GB"]), (" fr,DE , fr", ["DE", "FR"]), ("GB,XX", None), ("GB-ENG", None)]
)
def test_a_service_is_offered_in_countries_only(
    desk: Client,  # noqa: F811
    known: Catalogue,
    typed: str,
    kept: list[str] | None,
) -> None:
    service = known.lloyds
    before = service.countries
    given = {"name": service.name, "provider": service.provider_id, "category": service.category_id, "homepage": ""}
    given |= {"modelled_weight": "1", "countries": typed}
    given |= {f"{what}-{form}_FORMS": "0" for what in ("aliases", "dependencies") for form in ("TOTAL", "INITIAL")}
    response = desk.post(f"/admin/reports/service/{service.pk}/change/", given)
    assert response.status_code == (200 if kept is None else 302)
    service.refresh_from_db()
    assert service.countries == (before if kept is None else kept)


@pytest.mark.parametrize(("typed", "kept"), [("us", "US"), ("", ""), ("XX", None), ("1", None)])
def test_a_providers_country_is_one(
    desk: Client,  # noqa: F811
    known: Catalogue,
    typed: str,
    kept: str | None,
) -> None:
    provider = known.lloyds.provider
    given = {"name": provider.name, "country": typed, "homepage": "", "status_url": ""}
    response = desk.post(f"/admin/reports/provider/{provider.pk}/change/", given)
    assert response.status_code == (200 if kept is None else 302)
    provider.refresh_from_db()
    assert provider.country == (kept or "")


def test_a_click_on_the_map_leads_to_the_region_of_its_code(desk: Client, known: Catalogue) -> None:  # noqa: F811
    found = desk.get("/admin/reports/region/of/GB-SCT/")
    assert found["Location"] == f"/admin/reports/region/{known.scotland.pk}/change/"
    page = desk.get(found["Location"]).content.decode()
    assert "England" in page
    assert "data-region-map" in page
    assert "Nothing was counted." in page
    # Of the tree, and not in this site's table; no region; not even text.
    for odd in ("FR", "nowhere", "%00", "x" * 3000):
        assert desk.get(f"/admin/reports/region/of/{odd}/").status_code == 404


def test_who_may_not_look_at_regions_is_led_nowhere(client: Client, known: Catalogue) -> None:
    staff(client)
    assert client.get("/admin/reports/region/of/GB-SCT/").status_code == 403


def test_neighbours_share_a_border() -> None:
    from reports import regions

    assert "GB-WLS" in regions.neighbours("GB-ENG")
    assert {"IE-L", "IE-U"} <= set(regions.neighbours("GB"))
    assert not any(code.startswith("GB") for code in regions.neighbours("GB"))
    assert regions.neighbours("IS") == ()
    for code in regions.neighbours("CH"):
        assert any(near.startswith("CH") for near in regions.neighbours(code))
