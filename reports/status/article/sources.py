"""Where each figure of an article can be checked: a place on a page, the address of the data, the evidence."""

from __future__ import annotations

from functools import cached_property
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from reports.status.answers import EvidenceFigures, RegionalOutageStatus, StatementFacts
from reports.status.article import wording
from reports.status.article.facts import Facts, Window
from reports.status.article.pieces import Source

# As many as the API gives on one page: an incident has rarely more regions.
_MOST = 1000


class Sources:
    """The sources of one incident, each made once: the same source gets the same number in the notes."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._ref = facts.incident.ref
        self._page = reverse("incident", args=[self._ref])
        self._day = facts.incident.onset_at.date()

    @cached_property
    def record(self) -> Source:
        """What is kept of the incident as a whole."""
        text = _("{ref}: what is kept of the incident as a whole.").format(ref=self._ref)
        return Source("incident", text, page=self._page, data=self._data("incident"))

    @cached_property
    def regions(self) -> Source:
        """The table of regions."""
        text = _("Every region, with its onset, restoration, interval, grounds and reports.")
        return Source("regions", text, page=f"{self._page}?all=1#order-heading", data=self._region_data)

    @cached_property
    def people(self) -> Source:
        """The same, with who lives there."""
        text = _("Every region, with its population: estimates, and nobody counted twice where regions nest.")
        return Source("people", text, page=f"{self._page}?all=1#order-heading", data=reverse("api:regions"))

    @cached_property
    def opening(self) -> Source:
        """The evidence on which the incident was opened."""
        evidence = self._facts.incident.evidence
        text = self._proof(evidence) if evidence else _("The evidence was not kept.")
        return Source("evidence", text, f"{self._page}#why", self._data("incident"), evidence=evidence)

    def region(self, row: RegionalOutageStatus) -> Source:
        """One region of the table, with the evidence on which it was found down."""
        name, code = row.region.name, row.region.code
        text = _("{region}, in the table of regions.").format(region=name)
        if row.evidence:
            text = _("{region}, in the table of regions. {evidence}").format(
                region=name, evidence=self._proof(row.evidence)
            )
        query = urlencode({"all": 1, "region": code})
        page = f"{self._page}?{query}#order-heading"
        return Source("region", text, page, self._region_data, evidence=row.evidence)

    @cached_property
    def problems(self) -> Source:
        """What people said fails."""
        text = _("Reports of the incident by the problem that they name.")
        return Source("problems", text, data=self._data("incident-problems"))

    @cached_property
    def siblings(self) -> Source:
        """The services of the provider that were checked."""
        text = _("Services of the provider that were checked, with their figures.")
        return Source("siblings", text, f"{self._page}#siblings-heading", self._data("incident"))

    @cached_property
    def catalogue(self) -> Source:
        """The services of the provider that are watched."""
        provider = self._facts.incident.service.provider
        text = _("The services of {provider} that we watch.").format(
            provider=self._facts.incident.service.provider_name
        )
        data = f"{reverse('api:services')}?{urlencode({'provider': provider})}"
        return Source("catalogue", text, reverse("provider", args=[provider]), data)

    @cached_property
    def timeline(self) -> Source:
        """The dated facts."""
        text = _("The timeline of the incident.")
        data = f"{self._data('incident-timeline')}?limit={_MOST}"
        return Source("timeline", text, f"{self._page}#timeline-heading", data)

    def statement(self, said: StatementFacts) -> Source:
        """One statement, and where it was made."""
        provider = self._facts.incident.service.provider_name
        text = _("{provider}, {instant}.").format(
            provider=provider, instant=wording.instant(said.said_at, self._day).text
        )
        return Source("statement", text, f"{self._page}#statements-heading", self._data("incident"), said.url)

    @cached_property
    def statements(self) -> Source:
        """That there are none, or how many."""
        text = _("What the provider said, as far as we know it.")
        return Source("statements", text, self._page, self._data("incident"))

    def incident(self, ref: str) -> Source:
        """Another incident."""
        text = _("{ref}: the other incident.").format(ref=ref)
        return Source("other", text, reverse("incident", args=[ref]), reverse("api:incident", args=[ref]))

    def counts(self, window: Window) -> Source:
        """Counts of a service in a stretch of time; the address gives the very figures."""
        asked = {
            "region": window.region.code,
            "from": wording.utc(window.start),
            "to": wording.utc(window.end),
            "step": int(window.step.total_seconds()),
        }
        text = _("Counts of {service} in {place} from {start} to {end}.").format(
            service=window.service.name,
            place=wording.place(window.region).text,
            start=wording.instant(window.start, self._day).text,
            end=wording.instant(window.end, self._day).text,
        )
        slug = window.service.slug
        data = f"{reverse('api:counts', args=[slug])}?{urlencode(asked)}"
        return Source("counts", text, reverse("service", args=[slug]), data)

    @cached_property
    def export(self) -> Source:
        """The counts minute by minute."""
        text = _("Counts and expectations minute by minute, as a file.")
        return Source("export", text, f"{self._page}#data-heading", self._data("incident-export"))

    @cached_property
    def confidence(self) -> Source:
        """How such a probability is checked."""
        text = _("How this probability is reckoned, and how often such ones were right.")
        return Source("confidence", text, f"{reverse('methodology')}#confidence", reverse("api:calibration"))

    def _proof(self, evidence: EvidenceFigures) -> str:
        return _("Evidence {id}: {reports} within {window}, against {expected} usually; decided at {instant}.").format(
            id=evidence.id,
            reports=wording.reports(evidence.observed).text,
            window=wording.minutes(evidence.window_minutes).text,
            expected=wording.expected(evidence.expected).text,
            instant=wording.instant(evidence.decided_at, self._day).text,
        )

    def _data(self, name: str) -> str:
        return reverse(f"api:{name}", args=[self._ref])

    @property
    def _region_data(self) -> str:
        return f"{self._data('incident-regions')}?limit={_MOST}"
