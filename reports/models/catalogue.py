"""What can be reported on, and where: providers, services, problems, regions."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower


class Provider(models.Model):
    """Who runs services (Meta runs WhatsApp)."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    country = models.CharField(max_length=2, blank=True)
    homepage = models.URLField(blank=True)
    status_url = models.URLField(blank=True)

    def __str__(self) -> str:
        return self.name


class Category(models.Model):
    """A kind of service; it decides which problems can be reported."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Problem(models.Model):
    """What fails, in the words of one category ("Sending and receiving messages")."""

    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="problems")
    slug = models.SlugField()
    label = models.CharField(max_length=100)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["category", "position"]
        constraints = [models.UniqueConstraint(fields=["category", "slug"], name="one_problem_per_category_and_slug")]

    def __str__(self) -> str:
        return self.label


class Service(models.Model):
    """What people report on (WhatsApp). Without ``countries`` it is offered everywhere."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="services")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="services")
    countries = ArrayField(models.CharField(max_length=2), default=list, blank=True)
    homepage = models.URLField(blank=True)
    # A modelled share of ordinary reports, for synthetic history only; never shown as a measurement.
    modelled_weight = models.FloatField(default=1.0)
    depends_on = models.ManyToManyField(
        "self", through="ServiceDependency", symmetrical=False, related_name="depended_on_by"
    )
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ServiceAlias(models.Model):
    """Another name people type for a service; no two services share one."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="aliases")
    alias = models.CharField(max_length=100)

    class Meta:
        verbose_name_plural = "service aliases"
        constraints = [models.UniqueConstraint(Lower("alias"), name="one_service_per_alias")]

    def __str__(self) -> str:
        return self.alias


class ServiceDependency(models.Model):
    """A publicly known dependency: ``service`` needs ``upstream`` to work."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="dependencies")
    upstream = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="dependents")

    class Meta:
        verbose_name_plural = "service dependencies"
        constraints = [
            models.UniqueConstraint(fields=["service", "upstream"], name="one_dependency_per_pair"),
            models.CheckConstraint(
                condition=~models.Q(service=models.F("upstream")), name="no_service_depends_on_itself"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} → {self.upstream}"


class Region(models.Model):
    """A named area with a code of its own; regions nest: world > country > nation > subdivision."""

    class Kind(models.TextChoices):
        WORLD = "world"
        COUNTRY = "country"
        NATION = "nation"
        SUBDIVISION = "subdivision"

    code = models.CharField(max_length=10, unique=True)
    name = models.CharField(max_length=120)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    kind = models.CharField(max_length=12, choices=Kind)
    population = models.BigIntegerField(null=True, blank=True)
    population_source = models.CharField(max_length=20, blank=True)
    timezone = models.CharField(max_length=50, default="UTC")
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=(models.Q(parent__isnull=True) & models.Q(kind="world"))
                | (models.Q(parent__isnull=False) & ~models.Q(kind="world")),
                name="only_the_world_has_no_parent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"
