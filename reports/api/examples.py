"""Realistic answers for the OpenAPI document: one outage of WhatsApp, as each call tells it."""

from __future__ import annotations

from typing import Any

EVIDENCE: dict[str, Any] = {
    "id": 90211,
    "decision": "opened",
    "decided_at": "2026-04-03T18:06:00Z",
    "region": "GB-ENG",
    "observed": 412,
    "expected": 9.1,
    "log10_p": -311.42,
    "threshold": -7.5,
    "window_minutes": 5,
    "window_end_at": "2026-04-03T18:06:00Z",
    "level": "region",
    "rule": "tail",
    "networks": 371,
    "largest_network": 6,
    "largest_share": 0.0146,
    "working": 2,
    "baseline_version": "1f2e3d4c5b6a",
    "detector_version": "7",
    "figures": {"ratio": 45.27},
}
INCIDENT: dict[str, Any] = {
    "ref": "OUT-2026-0142",
    "service": "whatsapp",
    "provider": "meta",
    "group": "meta@29586246",
    "group_incidents": ["OUT-2026-0143"],
    "scope": "several products",
    "state": "recovering",
    "review": "confirmed",
    "rejected_reason": "",
    "confidence": 0.998,
    "onset_at": "2026-04-03T18:02:00Z",
    "detected_at": "2026-04-03T18:06:00Z",
    "acknowledged_at": "2026-04-03T18:41:00Z",
    "peak_at": "2026-04-03T18:31:00Z",
    "peak_reports": 4870,
    "first_restored_at": "2026-04-03T19:22:00Z",
    "resolved_at": None,
    "duration_s": None,
    "reports": 88213,
    "working": 1904,
    "currently_affected_regions": ["GB-ENG", "GB-SCT"],
    "previously_affected_regions": ["BR-SP"],
    "people_reached": 109_512_000,
    "siblings": [
        {
            "service": "instagram",
            "state": "down",
            "observed": 1210,
            "expected": 14.2,
            "window_minutes": 30,
            "incident": "OUT-2026-0143",
        },
        {
            "service": "facebook",
            "state": "normal",
            "observed": 14,
            "expected": 11.0,
            "window_minutes": 30,
            "incident": None,
        },
    ],
    "echo_of": None,
    "merged_into": None,
    "split_from": None,
    "statements": [
        {
            "said_at": "2026-04-03T18:41:00Z",
            "meaning": "acknowledged",
            "text": "We know that some people cannot send messages, and are working on it.",
            "url": "https://status.example/incidents/1",
            "region": None,
            "revised_text": "",
            "revised_at": None,
        }
    ],
    "evidence": EVIDENCE,
}
REGIONAL_OUTAGE: dict[str, Any] = {
    "region": "BR-SP",
    "region_name": "São Paulo",
    "state": "restored",
    "onset_at": "2026-04-03T18:10:00Z",
    "detected_at": "2026-04-03T18:14:00Z",
    "peak_at": "2026-04-03T18:33:00Z",
    "peak_reports": 611,
    "recovering_at": "2026-04-03T19:15:00Z",
    "unknown_at": None,
    "restored_at": "2026-04-03T19:22:00Z",
    "restored_low": "2026-04-03T19:19:00Z",
    "restored_high": "2026-04-03T19:27:00Z",
    "declared_at": "2026-04-03T19:30:00Z",
    "basis": "votes",
    "relapses": [
        {
            "restored_at": "2026-04-03T18:50:00Z",
            "declared_at": "2026-04-03T18:58:00Z",
            "basis": "rate",
            "reopened_at": "2026-04-03T19:02:00Z",
        }
    ],
    "reports": 12044,
    "working": 733,
    "networks": 5120,
    "evidence": {**EVIDENCE, "id": 90240, "region": "BR-SP", "decided_at": "2026-04-03T18:14:00Z"},
}
TIMELINE: list[dict[str, Any]] = [
    {
        "at": "2026-04-03T18:06:00Z",
        "recorded_at": "2026-04-03T18:06:11Z",
        "kind": "region_down",
        "region": "GB-ENG",
        "text": "England is down: 412 reports in 5 minutes where 9 were expected.",
        "source": {"type": "engine", "url": "", "evidence": EVIDENCE},
    },
    {
        "at": "2026-04-03T18:41:00Z",
        "recorded_at": "2026-04-03T18:44:02Z",
        "kind": "statement",
        "region": None,
        "text": "Meta: We know that some people cannot send messages, and are working on it.",
        "source": {"type": "statement", "url": "https://status.example/incidents/1", "evidence": None},
    },
]
SHAPES: dict[str, Any] = {
    "type": "FeatureCollection",
    "at": "2026-04-03T18:40:00Z",
    "features": [
        {
            "type": "Feature",
            "id": "GB-WLS",
            "properties": {
                "region": "GB-WLS",
                "name": "Wales",
                "state": "down",
                "since": "2026-04-03T18:07:00Z",
                "covered_by": None,
            },
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [[[[-3.09, 53.26], [-2.67, 51.58], [-5.25, 51.73], [-4.14, 52.82], [-3.09, 53.26]]]],
            },
        }
    ],
}
_HEADLINE = "WhatsApp down in England, Scotland and Wales"
_SENTENCE = "People began to report that WhatsApp is down at 18:02 UTC."
ARTICLE: dict[str, Any] = {
    "ref": "OUT-2026-0142",
    "service": "whatsapp",
    "url": "https://outages.example/incidents/OUT-2026-0142/article/",
    "version": "b7c1d2e3f4a5",
    "as_of": "2026-04-03T19:31:00Z",
    "over": False,
    "headline": _HEADLINE,
    "lead": [
        {
            "kind": "prose",
            "sentences": [
                {
                    "text": _SENTENCE,
                    "spans": [
                        {
                            "text": "People began to report that WhatsApp is down at ",
                            "kind": "text",
                            "value": None,
                            "notes": [],
                        },
                        {"text": "18:02", "kind": "instant", "value": "2026-04-03T18:02:00Z", "notes": [1]},
                        {"text": " UTC.", "kind": "text", "value": None, "notes": []},
                    ],
                }
            ],
        }
    ],
    "sections": [],
    "notes": [
        {
            "number": 1,
            "kind": "evidence",
            "text": "Decision of 18:06 UTC: 412 reports in 5 minutes where 9.1 were expected.",
            "page": "https://outages.example/incidents/OUT-2026-0142/#evidence-90211",
            "data": "https://outages.example/api/v1/incidents/OUT-2026-0142/",
            "said": "",
            "evidence": EVIDENCE,
        }
    ],
}
ARTICLE_MARKDOWN = (
    f"# {_HEADLINE}\n\n{_SENTENCE[:-1]}[^1].\n\n"
    "[^1]: Decision of 18:06 UTC: 412 reports in 5 minutes where 9.1 were expected.\n"
)
ARTICLE_HTML = f'<!doctype html>\n<html lang="en"><head><title>{_HEADLINE}</title></head><body>…</body></html>\n'
EXPORT = (
    "minute,region,reports,working,networks,service_networks,expected,upper,baseline_version\n"
    "2026-04-03T18:02Z,GB-ENG,41,0,39,58,1.82,6,1f2e3d4c5b6a\n"
)
_FIGURES: dict[str, Any] = {
    "incidents": 412,
    "real": 398,
    "brier": 0.021,
    "skill": 0.36,
    "reliability": 0.0008,
    "resolution": 0.0126,
    "uncertainty": 0.0328,
    "bands": [
        {
            "low": 0.9,
            "high": 1.0,
            "incidents": 380,
            "told": 0.981,
            "real": 374,
            "share": 0.984,
            "least": 0.966,
            "most": 0.993,
        }
    ],
}
CALIBRATION: dict[str, Any] = {
    "made_on": "2026-03-30",
    "detector_version": "7",
    "current": True,
    "suites": [{"suite": "mixed", "seeds": [1, 2, 3], "days": 28, "opening": _FIGURES, "later": _FIGURES}],
    "reviewed": None,
    "enough_reviewed": False,
    "needed_reviewed": 50,
    "shift": 0.0,
}
PROOF_NEEDED: dict[str, Any] = {
    "detail": "Very many reports are coming. Solve the challenge and send the same report again with the solution as "
    "`altcha`, or come again in 7 minutes.",
    "code": "proof_needed",
    "challenge": {
        "algorithm": "SHA-256",
        "challenge": "5f0c1ad0b5c1bb3bbfb0c61f5b7d6b4c1f1e6f3f5a2e9d1c4b7a8e0d3c6f9a21",
        "maxNumber": 50_000,
        "salt": "9b2d41c07f?expires=1775239752",
        "signature": "0c7d5be1f9a34a8e2b6d1f0c9e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a",
    },
}


def page_of(*results: dict[str, Any]) -> dict[str, Any]:
    """A page that is the only one."""
    return {"next": None, "previous": None, "results": list(results)}
