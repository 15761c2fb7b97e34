"""The catalogue's files, and the command that loads them."""

import json
import re
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from reports.management.commands.load_catalogue import FOLDER, Change, load
from reports.models import Category, Problem, Provider, Region, Service, ServiceAlias, ServiceDependency
from reports.regions import displayed, tree


def read(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return rows


CATEGORIES = read("categories")
PROVIDERS = read("providers")
SERVICES = read("services")
COUNTRIES = {code for code, region in tree().items() if region.kind == "country"}


@pytest.mark.parametrize("rows", [CATEGORIES, PROVIDERS, SERVICES])
def test_slugs_are_unique_and_fit_an_address(rows: list[dict[str, Any]]):
    slugs = Counter(row["slug"] for row in rows)
    assert [slug for slug, count in slugs.items() if count > 1] == []
    assert [slug for slug in slugs if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)] == []


def test_rows_have_the_fields_that_are_loaded_and_no_others():
    for category in CATEGORIES:
        assert set(category) == {"slug", "name", "problems"}
        assert all(set(problem) == {"slug", "label"} for problem in category["problems"])
    for provider in PROVIDERS:
        assert {"slug", "name"} <= set(provider) <= {"slug", "name", "country", "homepage", "status_url"}
    required = {"slug", "name", "provider", "category", "modelled_weight", "homepage", "aliases"}
    for service in SERVICES:
        assert required <= set(service) <= required | {"countries", "depends_on"}, service["slug"]


def test_references_lead_somewhere():
    providers = {row["slug"] for row in PROVIDERS}
    categories = {row["slug"] for row in CATEGORIES}
    services = {row["slug"] for row in SERVICES}
    for service in SERVICES:
        assert service["provider"] in providers
        assert service["category"] in categories
        assert set(service.get("countries", [])) <= COUNTRIES
        assert set(service.get("depends_on", [])) <= services - {service["slug"]}
    assert {row.get("country") for row in PROVIDERS} - {None} <= COUNTRIES
    assert providers == {service["provider"] for service in SERVICES}
    assert categories == {service["category"] for service in SERVICES}


def test_dependencies_have_no_circle():
    upstream = {service["slug"]: set(service.get("depends_on", [])) for service in SERVICES}
    while upstream:
        settled = {slug for slug, needs in upstream.items() if not needs & upstream.keys()}
        assert settled, f"a circle among {sorted(upstream)}"
        upstream = {slug: needs for slug, needs in upstream.items() if slug not in settled}


def test_addresses_are_https_and_bare_of_tracking():
    for row in [*PROVIDERS, *SERVICES]:
        for field in ("homepage", "status_url"):
            if field in row:
                parts = urlsplit(row[field])
                assert parts.scheme == "https"
                assert parts.netloc
                assert not parts.query


def test_an_alias_means_one_service_and_repeats_no_name():
    owners: dict[str, str] = {}
    for service in SERVICES:
        for word in [service["name"], *service["aliases"]]:
            assert word == word.strip()
            assert owners.setdefault(word.lower(), service["slug"]) == service["slug"], word
        assert service["name"].lower() not in [alias.lower() for alias in service["aliases"]]
        assert len({alias.lower() for alias in service["aliases"]}) == len(service["aliases"])


def test_the_catalogue_covers_what_people_look_up():
    assert len(SERVICES) >= 150
    carriers = {
        country for service in SERVICES if service["category"] == "mobile" for country in service.get("countries", [])
    }
    assert len(carriers) >= 10
    meta = {service["slug"] for service in SERVICES if service["provider"] == "meta"}
    assert meta == {"whatsapp", "instagram", "facebook", "messenger", "threads"}
    assert {"banks", "games", "cloud", "streaming", "messaging", "ai", "transport"} <= {
        service["category"] for service in SERVICES
    }


def test_every_category_ends_with_other_and_messaging_tells_messages_from_media():
    for category in CATEGORIES:
        slugs = [problem["slug"] for problem in category["problems"]]
        assert len(slugs) == len(set(slugs))
        assert slugs[-1] == "other"
    (messaging,) = (category for category in CATEGORIES if category["slug"] == "messaging")
    told = {problem["slug"] for problem in messaging["problems"]}
    assert {"messages", "media", "calls", "login", "connection", "app", "website"} <= told


def test_modelled_weights_are_reports_a_day():
    for service in SERVICES:
        assert 1 <= service["modelled_weight"] <= 1000


@pytest.mark.django_db
def test_loading_fills_the_tables_with_the_files():
    load(FOLDER)
    assert Service.objects.count() == len(SERVICES)
    assert Provider.objects.count() == len(PROVIDERS)
    assert Category.objects.count() == len(CATEGORIES)
    assert Problem.objects.count() == sum(len(category["problems"]) for category in CATEGORIES)
    assert ServiceAlias.objects.count() == sum(len(service["aliases"]) for service in SERVICES)
    assert Region.objects.count() == len(tree())
    assert ServiceDependency.objects.filter(service__slug="netflix", upstream__slug="aws").exists()
    whatsapp = Service.objects.get(slug="whatsapp")
    assert (whatsapp.provider.name, whatsapp.category.slug, whatsapp.countries) == ("Meta", "messaging", [])
    england = Region.objects.select_related("parent").get(code="GB-ENG")
    assert england.parent is not None
    assert (england.kind, england.parent.code, england.children.count()) == ("nation", "GB", 9)
    assert Region.objects.filter(children__isnull=True).count() == len(displayed())


@pytest.mark.django_db
def test_loading_again_changes_nothing():
    load(FOLDER)
    before = dict(Service.objects.values_list("slug", "pk"))
    changes = load(FOLDER)
    assert {change.added + change.changed + change.kept for change in changes.values()} == {0}
    assert changes["services"] == Change(unchanged=len(SERVICES))
    assert changes["regions"] == Change(unchanged=len(tree()))
    assert dict(Service.objects.values_list("slug", "pk")) == before


@pytest.mark.django_db
def test_loading_restores_what_the_files_say_and_keeps_what_they_do_not_know():
    load(FOLDER)
    whatsapp = Service.objects.get(slug="whatsapp")
    Service.objects.filter(pk=whatsapp.pk).update(name="Whatsup", countries=["GB"])
    Region.objects.filter(code="GB-ENG").update(population=None, parent=Region.objects.get(code="001"))
    ours = Service.objects.create(
        slug="town-hall", name="Town hall", provider=whatsapp.provider, category=whatsapp.category
    )
    ServiceAlias.objects.create(service=ours, alias="rathaus")
    # An alias that moved to another service in the files, spelt in another case by hand.
    ServiceAlias.objects.filter(alias="insta").update(service=ours, alias="Insta")

    changes = load(FOLDER)

    whatsapp.refresh_from_db()
    assert (whatsapp.name, whatsapp.countries) == ("WhatsApp", [])
    england = Region.objects.get(code="GB-ENG")
    assert england.parent is not None
    assert (england.parent.code, england.population) == ("GB", tree()["GB-ENG"].population)
    assert list(ours.aliases.values_list("alias", flat=True)) == ["rathaus"]
    assert ServiceAlias.objects.get(alias="Insta").service.slug == "instagram"
    assert changes["services"] == Change(changed=1, unchanged=len(SERVICES) - 1, kept=1)
    assert changes["aliases"].changed == 1
    assert changes["regions"].changed == 1


@pytest.mark.django_db
def test_the_command_tells_what_changed_unless_asked_to_be_quiet():
    out = StringIO()
    call_command("load_catalogue", stdout=out)
    assert f"services: {len(SERVICES)} added, 0 changed, 0 unchanged" in out.getvalue()
    quiet = StringIO()
    call_command("load_catalogue", stdout=quiet, verbosity=0)
    assert quiet.getvalue() == ""


@pytest.mark.django_db
def test_an_operator_may_load_a_catalogue_of_their_own(tmp_path: Path):
    other = {"slug": "other", "label": "Something else"}
    rows: dict[str, list[dict[str, Any]]] = {
        "categories": [{"slug": "town", "name": "The town", "problems": [other]}],
        "providers": [{"slug": "town-hall", "name": "Town hall"}],
        "services": [
            {
                "slug": "bus-times",
                "name": "Bus times",
                "provider": "town-hall",
                "category": "town",
                "modelled_weight": 2,
            }
        ],
    }
    for name, content in rows.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    call_command("load_catalogue", folder=tmp_path, verbosity=0)
    assert Service.objects.get().provider.name == "Town hall"
