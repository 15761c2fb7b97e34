"""Every read of the public. Import the questions from here; the answers are in ``reports.status.answers``."""

from reports.status.article import article
from reports.status.article.facts import incident_problems
from reports.status.calibration import calibration, confidence_basis
from reports.status.health import readiness, scenario_banner
from reports.status.history import incident, incident_history, incident_regions, incident_timeline
from reports.status.leads import provider, providers
from reports.status.listing import ORDERINGS, CursorError, incidents
from reports.status.milestones import milestones
from reports.status.places import locate, place_name, region, regions
from reports.status.present import (
    home,
    problem_choices,
    reporting_countries,
    search,
    service_map,
    service_status,
    services,
    siblings,
    world_map,
)
from reports.status.rates import IncidentRates, incident_rates
from reports.status.regional import region_records
from reports.status.series import MOST_STEPS, TooManyStepsError, incident_chart, incident_export, service_counts
from reports.status.shapes import incident_shapes
from reports.status.snapshots import digest

__all__ = [
    "MOST_STEPS",
    "ORDERINGS",
    "CursorError",
    "IncidentRates",
    "TooManyStepsError",
    "article",
    "calibration",
    "confidence_basis",
    "digest",
    "home",
    "incident",
    "incident_chart",
    "incident_export",
    "incident_history",
    "incident_problems",
    "incident_rates",
    "incident_regions",
    "incident_shapes",
    "incident_timeline",
    "incidents",
    "locate",
    "milestones",
    "place_name",
    "problem_choices",
    "provider",
    "providers",
    "readiness",
    "region",
    "region_records",
    "regions",
    "reporting_countries",
    "scenario_banner",
    "search",
    "service_counts",
    "service_map",
    "service_status",
    "services",
    "siblings",
    "world_map",
]
