"""What administrators made of past incidents, beside the confidence each was told with."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from reports.detection.calibration import intercept_shift
from reports.detection.confidence import incident_confidence, signs_of
from reports.models import Evidence, Incident

NEWEST = 1000
"""Only so many of the newest reviewed incidents count: a site's crowd changes."""


@dataclass(frozen=True)
class Reviewed:
    """One incident that somebody confirmed or rejected; ``told`` is the confidence last told, ``raw`` the same
    before the site's own correction, ``None`` where its evidence keeps no signs.
    """

    told: float
    raw: float | None
    real: bool


def reviewed_incidents() -> list[Reviewed]:
    """Those that the detector opened and somebody judged since, newest first.

    Merged ones were judged as another. Of one that was split nobody can say which part its confidence was about.
    """
    judged = Incident.objects.filter(Q(confirmed_at__isnull=False) | Q(rejected_at__isnull=False), merged_at=None)
    # What an administrator opened was certain from the start: it says nothing about the detector.
    by_hand = Evidence.objects.filter(decision="opened", rule="admin").values("incident")
    parts = Incident.objects.filter(split_from__isnull=False, merged_at=None)
    judged = judged.filter(split_from=None).exclude(pk__in=parts.values("split_from"))
    rows = judged.exclude(pk__in=by_hand).order_by("-detected_at").values_list("pk", "confidence", "rejected_at")
    found = list(rows[:NEWEST])
    raw = _raw([pk for pk, _, _ in found])
    return [Reviewed(told, raw.get(pk), rejected_at is None) for pk, told, rejected_at in found]


def _raw(ids: list[int]) -> dict[int, float]:
    evidence = Evidence.objects.filter(incident__in=ids, figures__has_key="sign_surplus")
    newest = evidence.order_by("incident_id", "-decided_at", "-id").distinct("incident_id")
    found = {}
    for incident_id, figures in newest.values_list("incident_id", "figures"):
        signs = signs_of(figures)
        if signs is not None:
            found[incident_id] = incident_confidence(signs)
    return found


def site_shift() -> float:
    """What this site's own reviews add to the log odds of every confidence; 0 while they are too few."""
    known = [(one.raw, one.real) for one in reviewed_incidents() if one.raw is not None]
    return intercept_shift([raw for raw, _ in known], [real for _, real in known])
