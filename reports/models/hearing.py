"""Providers' status pages, and what was heard from them."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from reports.models.catalogue import Provider, Service


class StatusFeed(models.Model):
    """A status page that is asked for what a provider says.

    Asked again when its time has come: claimed by moving ``asked_at`` in one conditional update, so that no two workers
    ask at once; never before ``wait_until``. ``etag`` and ``last_modified`` are those of the document that was last
    taken in whole.
    """

    class Format(models.TextChoices):
        STATUSPAGE = "statuspage", "Statuspage, version 2 (incidents.json)"
        SYNDICATION = "feed", "Atom or RSS"

    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="feeds")
    url = models.URLField(
        "address", max_length=500, help_text="Begins with https://. Of a Statuspage: …/api/v2/incidents.json."
    )
    format = models.CharField(max_length=12, choices=Format)
    default_service = models.ForeignKey(
        Service,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="What it is about where it names no service. Empty: such updates wait at the desk.",
    )
    enabled = models.BooleanField(default=False, help_text="Whether this site asks it, every 15 minutes or more often.")
    asked_at = models.DateTimeField(null=True, blank=True, editable=False)
    read_at = models.DateTimeField(null=True, blank=True, editable=False)
    wait_until = models.DateTimeField(null=True, blank=True, editable=False)
    etag = models.CharField(max_length=200, blank=True, editable=False)
    last_modified = models.CharField(max_length=100, blank=True, editable=False)
    faults = models.PositiveSmallIntegerField(default=0, editable=False)
    fault = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["provider", "id"]
        constraints = [models.UniqueConstraint(fields=["provider", "url"], name="one_feed_per_provider_and_address")]

    def __str__(self) -> str:
        return self.url


class Heard(models.Model):
    """One update of a status page, kept from when it was first read: it waits for an incident, belongs to one or
    several by its statements, or was dismissed.

    ``key`` names the update and ``thread`` the page's own incident, within the feed. The text stays as it was first
    read; what the page says by now, where that is something else, is ``revised_text``.
    """

    feed = models.ForeignKey(StatusFeed, on_delete=models.PROTECT, related_name="heard")
    thread = models.CharField(max_length=64)
    key = models.CharField(max_length=64)
    title = models.CharField(max_length=300, blank=True)
    text = models.TextField()
    url = models.URLField(max_length=500, blank=True)
    meaning = models.CharField(max_length=12)
    planned = models.BooleanField(default=False)
    services = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    regions = ArrayField(models.CharField(max_length=10), default=list, blank=True)
    began_at = models.DateTimeField()
    said_at = models.DateTimeField()
    heard_at = models.DateTimeField()
    revised_text = models.TextField(blank=True)
    revised_at = models.DateTimeField(null=True, blank=True)
    attached_at = models.DateTimeField(null=True, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)
    dismissed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    dismissed_reason = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-said_at", "-id"]
        verbose_name = "update of a status page"
        verbose_name_plural = "updates of status pages"
        constraints = [
            models.UniqueConstraint(fields=["feed", "key"], name="an_update_is_heard_once"),
            models.CheckConstraint(
                condition=Q(attached_at__isnull=True) | Q(dismissed_at__isnull=True),
                name="not_both_attached_and_dismissed",
            ),
        ]
        indexes = [
            models.Index(
                fields=["said_at"],
                condition=Q(attached_at__isnull=True, dismissed_at__isnull=True),
                name="updates_that_wait",
            )
        ]

    def __str__(self) -> str:
        return self.title or self.text[:80]
