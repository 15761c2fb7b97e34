"""What people did to incidents: the log that nobody changes."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from reports.models.incidents import Incident


class Act(models.Model):
    """One act on an incident: who did what, when and why, and what is needed to take it back.

    Append-only: the database refuses to change or delete a row (see migration 0010). What takes an act back is an act
    of its own. ``other`` is the incident it was merged into, or the part that was split off. ``at`` is the site's time,
    ``written_at`` the database's; they differ in a replay. ``by`` is empty for a program.
    """

    class Kind(models.TextChoices):
        CONFIRMED = "confirmed"
        REJECTED = "rejected"
        MERGED = "merged"
        SPLIT = "split"
        OVERRIDDEN = "overridden"
        STATEMENT = "statement"
        REOPENED = "reopened"
        UNDONE = "undone"

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="acts")
    other = models.ForeignKey(Incident, on_delete=models.PROTECT, null=True, blank=True, related_name="acts_beside")
    kind = models.CharField(max_length=12, choices=Kind)
    at = models.DateTimeField()
    written_at = models.DateTimeField(db_default=Now())
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.TextField(blank=True)
    # The incident's revision before the act: a form that is sent twice is known by it.
    revision = models.PositiveIntegerField()
    facts = models.JSONField(default=dict, blank=True)
    undoes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="undone") | Q(undoes__isnull=True), name="only_an_undoing_names_an_act"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.incident.ref}"
