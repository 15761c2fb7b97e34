"""Outages as they were decided: incidents, their regions, what was said, and the evidence for each line."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from reports.models.catalogue import Provider, Region, Service
from reports.models.hearing import Heard


class OutageGroup(models.Model):
    """Incidents that belong together: siblings of one provider, or services with one cause."""

    key = models.CharField(max_length=120, unique=True)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, null=True, blank=True, related_name="groups")
    scope = models.CharField(max_length=30, blank=True)
    formed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


OPEN = Q(resolved_at__isnull=True, rejected_at__isnull=True, merged_at__isnull=True)
"""An incident that goes on: for queries of :class:`Incident`."""


class Incident(models.Model):
    """One outage of one service. Its state is derived from its instants; see ``state`` and ``review``."""

    ref = models.CharField(max_length=20, unique=True)
    # The engine's own key, stable over replays: two runs of one minute cannot open two incidents.
    key = models.CharField(max_length=120, unique=True)
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="incidents")
    group = models.ForeignKey(OutageGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="incidents")
    scope = models.CharField(max_length=30, blank=True)
    echo_of = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="echoes")
    onset_at = models.DateTimeField()
    detected_at = models.DateTimeField()
    peak_at = models.DateTimeField(null=True, blank=True)
    peak_reports = models.PositiveIntegerField(default=0)
    resolved_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    rejected_at = models.DateTimeField(null=True, blank=True)
    rejected_reason = models.TextField(blank=True)
    merged_at = models.DateTimeField(null=True, blank=True)
    merged_into = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged")
    # Regions of that incident which an administrator told apart. To the engine the two are one: what it decides of
    # these regions under the other's key is this one's.
    split_from = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="parts")
    confidence = models.FloatField()
    # The siblings that were looked at, with their figures, as decided.
    siblings = models.JSONField(default=list, blank=True)
    # Counts the acts of administrators, so that no two can overwrite each other. The engine's minutes do not count:
    # in a storm nobody could read an incident and judge it within one.
    revision = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-detected_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["service"],
                condition=Q(
                    resolved_at__isnull=True, rejected_at__isnull=True, merged_at__isnull=True, split_from__isnull=True
                ),
                name="one_open_incident_per_service",
            ),
            models.CheckConstraint(condition=Q(onset_at__lte=F("detected_at")), name="incident_onset_before_detection"),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True) | Q(resolved_at__gte=F("onset_at")),
                name="incident_resolved_after_onset",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at__isnull=True) | Q(rejected_at__isnull=True),
                name="not_both_confirmed_and_rejected",
            ),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1), name="confidence_is_a_probability"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ref} {self.service}"

    @property
    def review(self) -> str:
        """``automatic``, ``confirmed``, ``rejected`` or ``merged``."""
        if self.merged_at:
            return "merged"
        if self.rejected_at:
            return "rejected"
        return "confirmed" if self.confirmed_at else "automatic"


class RegionalOutage(models.Model):
    """The incident in one region, with its own onset and restoration. Code and name are frozen as they were then."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="regions")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="outages")
    region_code = models.CharField(max_length=10)
    region_name = models.CharField(max_length=120)
    onset_at = models.DateTimeField()
    detected_at = models.DateTimeField()
    peak_at = models.DateTimeField(null=True, blank=True)
    peak_reports = models.PositiveIntegerField(default=0)
    recovering_at = models.DateTimeField(null=True, blank=True)
    unknown_at = models.DateTimeField(null=True, blank=True)
    restored_at = models.DateTimeField(null=True, blank=True)
    restored_low = models.DateTimeField(null=True, blank=True)
    restored_high = models.DateTimeField(null=True, blank=True)
    declared_at = models.DateTimeField(null=True, blank=True)
    basis = models.CharField(max_length=12, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["onset_at", "region_code"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "region"], name="one_row_per_incident_and_region"),
            models.CheckConstraint(condition=Q(onset_at__lte=F("detected_at")), name="region_onset_before_detection"),
            models.CheckConstraint(
                condition=Q(restored_at__isnull=True, declared_at__isnull=True, basis="")
                | (Q(restored_at__isnull=False, declared_at__isnull=False) & ~Q(basis="")),
                name="restoration_has_declaration_and_basis",
            ),
            models.CheckConstraint(
                condition=Q(restored_at__isnull=True) | Q(restored_at__gte=F("onset_at")),
                name="restored_after_onset",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.region_name}: {self.state}"

    @property
    def state(self) -> str:
        """``down``, ``recovering``, ``restored`` or ``unknown``, or ``normal`` for a row that was withdrawn."""
        if self.withdrawn_at:
            return "normal"
        if self.restored_at:
            return "restored"
        if self.unknown_at:
            return "unknown"
        return "recovering" if self.recovering_at else "down"


class Relapse(models.Model):
    """A restoration that did not hold: what had been declared, and when the region went down again."""

    outage = models.ForeignKey(RegionalOutage, on_delete=models.CASCADE, related_name="relapses")
    restored_at = models.DateTimeField()
    declared_at = models.DateTimeField()
    basis = models.CharField(max_length=12)
    reopened_at = models.DateTimeField()

    class Meta:
        ordering = ["reopened_at"]


class Evidence(models.Model):
    """The figures one decision rests on. Never changed after it was written."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="evidence")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decision = models.CharField(max_length=12)
    decided_at = models.DateTimeField()
    observed = models.PositiveIntegerField()
    expected = models.FloatField()
    log10_p = models.FloatField()
    threshold = models.FloatField()
    window_minutes = models.PositiveIntegerField()
    window_end_at = models.DateTimeField()
    level = models.CharField(max_length=12)
    rule = models.CharField(max_length=40)
    networks = models.PositiveIntegerField(null=True, blank=True)
    # Of the observed reports, those of the network that sent the most; counted when it was decided, because single
    # reports are not kept. Unknown where none were at hand.
    largest_network = models.PositiveIntegerField(null=True, blank=True)
    working = models.PositiveIntegerField(default=0)
    baseline_version = models.CharField(max_length=40)
    detector_version = models.CharField(max_length=20)
    figures = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["decided_at", "id"]
        verbose_name_plural = "evidence"


class Statement(models.Model):
    """What the provider said, where and when; the first one about an incident is the acknowledgement."""

    class Meaning(models.TextChoices):
        ACKNOWLEDGED = "acknowledged"
        UPDATE = "update"
        RESTORED = "restored"
        DENIED = "denied"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="statements")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    meaning = models.CharField(max_length=12, choices=Meaning)
    text = models.TextField()
    url = models.URLField(max_length=500, blank=True)
    said_at = models.DateTimeField()
    entered_at = models.DateTimeField()
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Kept, marked, and no longer counted: entered with the wrong incident, or never said.
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    # The update of a status page that it was made of; empty for one entered by hand.
    heard = models.ForeignKey(Heard, on_delete=models.PROTECT, null=True, blank=True, related_name="statements")

    class Meta:
        ordering = ["said_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["heard", "incident", "region"],
                condition=Q(heard__isnull=False, withdrawn_at__isnull=True),
                nulls_distinct=False,
                name="an_update_is_one_statement_of_an_incident",
            )
        ]

    def __str__(self) -> str:
        return self.text[:80]


class Word(models.Model):
    """A word from outside the counts that the engine is to heed: a statement's or an administrator's, once.

    ``kind`` is one of ``reports.detection.decisions.SignalKind``; ``at`` the instant it speaks of; without a region
    it speaks of every open region of the incident.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="words")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    kind = models.CharField(max_length=20)
    at = models.DateTimeField()
    given_at = models.DateTimeField()
    heeded_at = models.DateTimeField(null=True, blank=True)
    statement = models.ForeignKey(Statement, on_delete=models.CASCADE, null=True, blank=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["given_at"], condition=Q(heeded_at__isnull=True), name="words_not_yet_heeded")]


class TimelineEntry(models.Model):
    """One dated fact of an incident. ``kind`` and ``facts`` say what; the words are made when it is read.

    Append-only: a correction is a further entry. ``actor`` is the administrator, empty for the engine.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="timeline")
    at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    kind = models.CharField(max_length=30)
    region = models.ForeignKey(Region, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    facts = models.JSONField(default=dict, blank=True)
    evidence = models.ForeignKey(Evidence, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["at", "id"]
        verbose_name_plural = "timeline entries"


class RefCounter(models.Model):
    """The last number given to an incident of a year: ``OUT-2026-0142``."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    last = models.PositiveIntegerField()


class WhatIf(models.Model):
    """A question of an administrator: which incidents would other settings have opened or missed? And its answer.

    ``settings`` are the values that differ from those in force then, by name; ``result`` is what
    ``reports.incidents.what_if`` found. Whether somebody works on it now, the database's locks know.
    """

    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    settings = models.JSONField()
    days = models.PositiveSmallIntegerField()
    service = models.ForeignKey(Service, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    started_at = models.DateTimeField(null=True, blank=True)
    progress = models.FloatField(default=0.0)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(max_length=300, blank=True)
    result = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at", "-id"]
        verbose_name = "what-if"
        verbose_name_plural = "what-ifs"
        constraints = [
            models.UniqueConstraint(
                fields=["ended_at"],
                condition=Q(ended_at__isnull=True),
                nulls_distinct=False,
                name="one_what_if_at_a_time",
            ),
            models.CheckConstraint(condition=Q(days__gte=1, days__lte=30), name="what_if_of_a_month_at_most"),
        ]

    def __str__(self) -> str:
        return f"What-if of {self.asked_at:%Y-%m-%d %H:%M}"
