"""Who else is connected to the site: the keys of partners that report in bulk, and who wants to be told what."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from reports.models.catalogue import Region, Service
from reports.models.incidents import Incident


class Scope(models.TextChoices):
    """What a key may be used for."""

    REPORTS_WRITE = "reports:write", "send reports in bulk"


class ApiKey(models.Model):
    """A partner's key. Only the SHA-256 of the token is kept: it is shown once, when the key is made.

    The token holds 256 random bits, which no dictionary finds: a slow hash would add nothing but work for each call.
    ``prefix`` is its beginning, by which a key is named and found. A key that is no longer wanted is revoked, never
    deleted.
    """

    name = models.CharField(max_length=100, help_text="What it is used for.")
    owner = models.CharField(max_length=200, help_text="Who holds it, and how to reach them.")
    prefix = models.CharField(max_length=8, unique=True)
    digest = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=40, choices=Scope))
    rate_per_minute = models.PositiveIntegerField(default=20_000, help_text="Reports a minute, on average.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True, help_text="In UTC; empty: it does not expire.")
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        constraints = [models.CheckConstraint(condition=models.Q(rate_per_minute__gt=0), name="a_key_has_a_rate")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Channel(models.TextChoices):
    """How somebody is told."""

    PUSH = "push", "web push"
    WEBHOOK = "webhook", "signed webhook"
    SLACK = "slack", "Slack webhook"
    TEAMS = "teams", "Teams webhook"
    MAIL = "mail", "e-mail"


class Wish(models.TextChoices):
    """What somebody wants to be told."""

    # Once: the service is back in the region.
    BACK = "back", "when it is back"
    # From then on: each outage, as it begins, changes and ends.
    OUTAGES = "outages", "outages"


class Severity(models.TextChoices):
    """From how many people on somebody wants to hear of an outage; as in the Statuspage shape."""

    MINOR = "minor", "any outage"
    MAJOR = "major", "large outages"
    CRITICAL = "critical", "very large outages"


class Subscription(models.Model):
    """Somebody's wish to be told, on one channel.

    ``target`` is where to (for web push the address that the browser's push service gave), ``secret`` what the channel
    needs beside it. Nothing is sent before ``confirmed_at``; past ``expires_at`` it is deleted. ``worst`` is the worst
    state of the region since it was made: what is no news is not told (outages are told by :class:`Notice` instead).
    ``language`` is that of the page it was made on, ``time_zone`` that of the browser, where it said so.

    What was asked for at once, five services perhaps, is one ``group``: one question, one link, and for a signed
    webhook one key, which is made of ``group`` and not kept. ``failures`` counts the attempts since one last succeeded.
    """

    id = models.UUIDField(primary_key=True)
    group = models.UUIDField(db_index=True)
    channel = models.CharField(max_length=10, choices=Channel)
    target = models.TextField()
    # A unique key over long texts would be an index of long texts.
    target_digest = models.CharField(max_length=32)
    secret = models.JSONField(default=dict)
    wish = models.CharField(max_length=10, choices=Wish)
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="+")
    region = models.ForeignKey(Region, on_delete=models.CASCADE, related_name="+")
    severity = models.CharField(max_length=12, blank=True)
    language = models.CharField(max_length=15, default="en")
    time_zone = models.CharField(max_length=64, blank=True)
    worst = models.CharField(max_length=12, default="normal")
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "target_digest", "wish", "service", "region"],
                name="one_subscription_per_target_and_wish",
            ),
        ]
        indexes = [models.Index(fields=["channel", "target_digest"], name="subscriptions_of_one_address")]

    def __str__(self) -> str:
        return f"{self.channel}: {self.wish}, {self.service_id}, {self.region_id}"


class Refusal(models.Model):
    """An address whose holder wants no further question. Only a keyed digest of it is kept, which names nobody."""

    digest = models.CharField(max_length=32, primary_key=True)
    created_at = models.DateTimeField()


class Notice(models.Model):
    """What is told of an incident, as it stood: the same for everybody who is told of it for one region.

    ``standing`` names how it stood, so that nothing is told twice; ``facts`` are what a webhook gets, in English.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="+")
    standing = models.CharField(max_length=32)
    facts = models.JSONField()
    created_at = models.DateTimeField(db_index=True)


class Delivery(models.Model):
    """One message to one subscription, and what became of it.

    ``event`` names what is told: one message about it, however often it is found. Claimed by raising ``attempts`` and
    putting ``next_attempt_at`` ahead in one conditional update, so that no two workers send it and what a dead one had
    claimed comes up again. ``dead_at``: given up, for ``fault``.
    """

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=80)
    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries")
    created_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["subscription", "event"], name="one_delivery_per_subscription_and_event"),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(delivered_at__isnull=True, dead_at__isnull=True),
                name="deliveries_to_be_made",
            ),
        ]
