"""What people said and what was counted: reports, counts, and the fits and state of the detector."""

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from reports.models.catalogue import Problem, Region, Service


class Kind(models.IntegerChoices):
    """What a report says. Stored as a number: hundreds of millions of rows carry it."""

    DOWN = 0, "down"
    WORKING = 1, "working"


class InboxBlock(models.Model):
    """Accepted reports of one short moment, written together and fsynced before any of them is acknowledged.

    ``block`` is expanded by the drain, which deletes the row in the transaction that stores the reports. A block that
    cannot be read stays, with the time and the ``fault`` that was found. ``id`` is that of the report that came in
    first, and ``written_at`` the instant of it: a writer may have to write the same block again without knowing whether
    the first attempt was committed. A block of which an earlier attempt may still come about is ``uncertain``: the
    drain empties it at ``drained_at`` instead of deleting it, so that its id stays taken for a while.
    """

    id = models.UUIDField(primary_key=True)
    reports = models.PositiveIntegerField()
    block = models.BinaryField()
    written_at = models.DateTimeField()
    broken_at = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(max_length=200, blank=True)
    uncertain = models.BooleanField(default=False, db_default=False)
    drained_at = models.DateTimeField(null=True, blank=True)


class AcceptedId(models.Model):
    """A client's own ``id`` and the answer it got, so that sending it again changes nothing.

    Holds what the answer said; kept for as long as a client may try again.
    """

    client_id = models.UUIDField(primary_key=True)
    report_id = models.UUIDField()
    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    region = models.ForeignKey(Region, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")
    kind = models.PositiveSmallIntegerField(choices=Kind)
    problem = models.ForeignKey(
        Problem, on_delete=models.CASCADE, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    received_at = models.DateTimeField(db_index=True)


class Report(models.Model):
    """One person's statement. Partitioned by day on its UUIDv7 key, so that retention is a DROP TABLE.

    ``person`` and ``network`` are keyed pseudonyms, never addresses. ``counted`` is false for a report that the
    counting rule keeps but does not count; ``reason`` says why.
    """

    id = models.UUIDField(primary_key=True)
    received_at = models.DateTimeField()
    service = models.ForeignKey(
        Service, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    region = models.ForeignKey(
        Region, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    kind = models.PositiveSmallIntegerField(choices=Kind)
    problem = models.ForeignKey(
        Problem, on_delete=models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    person = models.BigIntegerField()
    network = models.BigIntegerField()
    counted = models.BooleanField()
    reason = models.CharField(max_length=20, blank=True)

    class Meta:
        # Created by hand in the first migration: Django cannot declare a partitioned table.
        db_table = "reports_report"


class ReportCount(models.Model):
    """Counted reports of one service, region, kind and problem in the minute ``[minute, minute + 60 s)``.

    ``networks`` are the networks whose first counted report in the counting window this minute holds, so that a
    sum over minutes counts no network twice; ``service_networks`` those of them that were new to the service and kind
    in all regions, so that a sum over regions does not either.
    """

    pk = models.CompositePrimaryKey("minute", "service", "region", "kind", "problem_key")
    minute = models.DateTimeField()
    service = models.ForeignKey(
        Service, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    region = models.ForeignKey(Region, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+")
    kind = models.PositiveSmallIntegerField(choices=Kind)
    # The id of a Problem, or 0 where nobody said what fails: a key cannot hold NULL.
    problem_key = models.IntegerField(default=0)
    reports = models.PositiveIntegerField()
    networks = models.PositiveIntegerField()
    service_networks = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        indexes = [models.Index(fields=["service", "minute"], name="counts_of_a_service")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(networks__lte=models.F("reports")), name="no_network_without_report"
            ),
            models.CheckConstraint(
                condition=models.Q(service_networks__lte=models.F("reports")), name="no_new_network_without_report"
            ),
        ]


class Seen(models.Model):
    """When a person (for a service and kind) or a network (for a cell and kind) was last counted; and since when a
    network (for a service and kind) has been sending, with how many ``reports``.

    ``key`` is a 64-bit hash of who and what; rows past the counting window are swept away.
    """

    key = models.BigIntegerField(primary_key=True)
    counted_at = models.DateTimeField()
    reports = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        # Rows come in order of time: a BRIN finds the old ones too, and costs the drain next to nothing.
        indexes = [BrinIndex(fields=["counted_at"], name="seen_by_time", pages_per_range=16, autosummarize=True)]


class CrowdShape(models.Model):
    """What is kept of a flow (a service, a country, a kind) to tell a crowd from a brigade: sums that fade.

    See ``reports.intake.shapes``. A flow that an administrator has released is left alone until ``exempt_until``.
    """

    pk = models.CompositePrimaryKey("service", "region", "kind")
    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    region = models.ForeignKey(Region, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")
    kind = models.PositiveSmallIntegerField(choices=Kind)
    at = models.DateTimeField()
    reports = models.FloatField()
    squares = models.FloatField()
    variations = models.FloatField()
    pairs = models.FloatField()
    same = models.FloatField()
    hosting = models.FloatField(default=0.0, db_default=0.0)
    misplaced = models.FloatField(default=0.0, db_default=0.0)
    last_pause = models.FloatField()
    problem_key = models.IntegerField(default=0)
    exempt_until = models.DateTimeField(null=True, blank=True)


class Quarantine(models.Model):
    """Reports of one flow that were set aside for its ``shape``: kept, and not counted until somebody releases them.

    They are the reports of the service, kind and country between ``began_at`` and ``last_at`` whose ``reason`` is the
    shape.
    """

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="quarantines")
    region = models.ForeignKey(Region, on_delete=models.CASCADE, related_name="+")
    kind = models.PositiveSmallIntegerField(choices=Kind)
    shape = models.CharField(max_length=20)
    began_at = models.DateTimeField()
    last_at = models.DateTimeField()
    reports = models.PositiveIntegerField()
    figures = models.JSONField(default=dict)
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-last_at"]
        indexes = [models.Index(fields=["service", "region", "kind", "last_at"], name="quarantines_of_a_flow")]

    def __str__(self) -> str:
        return f"{self.service}, {self.region.name}: {self.shape}"


class Ban(models.Model):
    """Reports of one network about a service in a region, of one kind, that an administrator has set aside from
    ``began_at`` on: kept, and not counted.

    ``network`` is the pseudonym under which the network was seen; no ban reaches beyond its day. It is forgotten with
    the last report that bears it. What was counted before ``began_at`` stays counted.
    """

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="bans")
    region = models.ForeignKey(Region, on_delete=models.CASCADE, related_name="+")
    kind = models.PositiveSmallIntegerField(choices=Kind)
    network = models.BigIntegerField(null=True, blank=True)
    began_at = models.DateTimeField()
    until_at = models.DateTimeField(db_index=True)
    why = models.CharField(max_length=300)
    banned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reports = models.PositiveIntegerField(default=0)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-began_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(until_at__gt=models.F("began_at")), name="a_ban_has_a_time"),
            # The number of a partner's network is negative: a partner has a key, which can be revoked.
            models.CheckConstraint(condition=models.Q(network__gte=0), name="no_ban_of_a_partner"),
        ]

    def __str__(self) -> str:
        return f"{self.service}, {self.region.name}: a network banned on {self.began_at:%Y-%m-%d %H:%M}"


class DrainBatch(models.Model):
    """One transaction of the drain: what came in and which minutes it touched."""

    drained_at = models.DateTimeField(db_index=True)
    blocks = models.PositiveIntegerField()
    reports = models.PositiveIntegerField()
    counted = models.PositiveIntegerField()
    oldest_minute = models.DateTimeField()
    newest_minute = models.DateTimeField()


class Salt(models.Model):
    """The secret of one UTC day for pseudonyms; destroyed when the counting window no longer reaches into that day."""

    day = models.DateField(primary_key=True)
    secret = models.BinaryField()


class Baseline(models.Model):
    """One fit of what is ordinary. Evidence names its version for ever; the fit itself may be dropped when old."""

    version = models.CharField(max_length=40, unique=True)
    fitted_at = models.DateTimeField()
    history_from = models.DateTimeField()
    history_until = models.DateTimeField()
    fit = models.BinaryField()

    class Meta:
        get_latest_by = "fitted_at"


class DetectorState(models.Model):
    """The engine's rolling state after ``minute``, written with the decisions of that minute: one row.

    ``mark`` is another one with each write, so that a process knows whether the engine in its memory is this one.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    minute = models.DateTimeField()
    mark = models.UUIDField()
    last_batch = models.BigIntegerField(default=0)
    baseline = models.ForeignKey(Baseline, on_delete=models.PROTECT, null=True, related_name="+")
    detector_version = models.CharField(max_length=20)
    state = models.BinaryField()
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_detector_state")]


class ScenarioClock(models.Model):
    """The clock of a replaying site: it showed ``scenario_at`` at ``real_at`` and runs ``speed`` times as fast.

    It never passes ``sent_until``: up to there the replay has sent its reports, and a minute may not be judged before.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    scenario = models.SlugField()
    real_at = models.DateTimeField()
    scenario_at = models.DateTimeField()
    sent_until = models.DateTimeField()
    speed = models.FloatField()
    # How many published reports one replayed report stands for.
    volume_scale = models.FloatField(default=1.0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="one_scenario_clock"),
            models.CheckConstraint(condition=models.Q(speed__gte=0), name="time_does_not_run_backwards"),
        ]
