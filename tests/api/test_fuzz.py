"""Our own schema against the running site: whatever is asked, no 5xx, no trace, and an answer as it is promised.

``--fuzz-examples N`` tries N requests for each call and way of asking instead of a few.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

if TYPE_CHECKING:
    from django.test import Client

KNOWN = {"slug": "whatsapp", "code": "GB-ENG", "ref": "OUT-2026-0001"}
EXAMPLES = 8


@pytest.fixture
def site(live_site: str, transactional_db: None) -> tuple[str, str]:
    """The address of a site with an incident in its past, and a key to it."""
    from reports.intake import keys
    from tests.status import making

    world = making.make_world()
    making.watch()
    incident = making.open_incident(world.whatsapp, ref=KNOWN["ref"])
    making.take_down(incident, world.regions["GB-ENG"], restored_at=making.at("19:30"))
    making.take_down(incident, world.regions["BR-SP"])
    _, token = keys.issue("fuzz", owner="tests", now=datetime.now(UTC), rate_per_minute=10_000_000)
    return live_site, token


# One test for all calls: what they are is known only once there is a database.
def test_every_answer_is_as_promised(
    site: tuple[str, str], subtests: pytest.Subtests, request: pytest.FixtureRequest
) -> None:
    import schemathesis
    from schemathesis import GenerationMode

    from tests.api.conftest import schema

    described = schemathesis.openapi.from_dict(schema())
    examples = request.config.getoption("--fuzz-examples") or EXAMPLES
    asked: Counter[GenerationMode] = Counter()
    for path, item in schema()["paths"].items():
        for method in item:
            for mode in GenerationMode:
                with subtests.test(f"{method.upper()} {path}, {mode.value}"):
                    asked[mode] += fuzz(described[path][method], mode, site, examples)
    assert asked[GenerationMode.POSITIVE] > len(schema()["paths"]) * examples / 2
    assert asked[GenerationMode.NEGATIVE] > len(schema()["paths"]) * examples / 2


def fuzz(operation: Any, mode: Any, site: tuple[str, str], examples: int) -> int:
    """Asks one call; how often."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    address, token = site
    asked = 0
    checks = [
        not_a_server_error,
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    ]

    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans(), key=st.integers(0, 3))
    def ask(case: Any, known: bool, key: int) -> None:
        nonlocal asked
        if known and case.path_parameters:
            case.path_parameters = {name: KNOWN[name] for name in case.path_parameters}
        if operation.path.endswith("/batch/") and key:
            case.headers = {**(case.headers or {}), "Authorization": f"Api-Key {token}"}
        response = case.call(base_url=address, timeout=20)
        case.validate_response(response, checks=checks)
        assert "Traceback" not in response.text
        asked += 1

    try:
        ask()
    except Unsatisfiable:
        # Of a call without parameters and body nothing can be wrong.
        assert mode.value == "negative"
        assert not asked
    return asked


RAW = st.binary(max_size=12).map(quote_from_bytes) | st.sampled_from(
    [
        "%00",
        "%ff",
        "%ED%A0%80",
        "-1",
        "9" * 30,
        "1e999",
        "NaN",
        "2026-02-30T00:00Z",
        "0001-01-01T00:00:00%2B23:59",
        "%2B",
    ]
)


PATHS = ["services/", "services/{}/", "services/{}/counts/", "services/{}/map/", "regions/", "regions/{}/"]
PATHS += ["regions/locate/", "incidents/", "incidents/{}/", "incidents/{}/regions/", "incidents/{}/timeline/"]


@pytest.mark.parametrize("path", PATHS)
def test_no_address_breaks_a_call(path: str, client: Client, db: None) -> None:
    from tests.api.conftest import schema
    from tests.status import making

    world = making.make_world()
    making.watch()
    making.take_down(making.open_incident(world.whatsapp, ref=KNOWN["ref"]), world.regions["GB-ENG"])
    described = re.sub(
        r"\{\}", f"{{{'code' if 'regions/{' in path else 'ref' if 'incidents' in path else 'slug'}}}", path
    )
    asked = schema()["paths"][f"/api/v1/{described}"]["get"].get("parameters", [])
    names = [one["name"] for one in asked if one["in"] == "query"] or ["nothing"]
    known = KNOWN["code"] if "regions/{" in path else KNOWN["ref"] if "incidents" in path else KNOWN["slug"]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(st.sampled_from(names), RAW), max_size=3), st.just(known) | RAW)
    def ask(query: list[tuple[str, str]], name: str) -> None:
        # A fault of ours is raised here, not answered.
        response = client.get(f"/api/v1/{path.format(name)}", QUERY_STRING="&".join(f"{k}={v}" for k, v in query))
        assert response.status_code in (200, 301, 400, 404)

    ask()
