"""Who else is connected to the site: the keys of partners that report in bulk."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


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
