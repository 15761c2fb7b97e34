import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

REPORT_TABLE = """
CREATE TABLE reports_report (
    id uuid PRIMARY KEY,
    received_at timestamptz NOT NULL,
    service_id bigint NOT NULL,
    region_id bigint NOT NULL,
    kind smallint NOT NULL CHECK (kind IN (0, 1)),
    problem_id bigint,
    person bigint NOT NULL,
    network bigint NOT NULL,
    counted boolean NOT NULL,
    reason varchar(20) NOT NULL DEFAULT ''
) PARTITION BY RANGE (id)
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Baseline",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("version", models.CharField(max_length=40, unique=True)),
                ("fitted_at", models.DateTimeField()),
                ("history_from", models.DateTimeField()),
                ("history_until", models.DateTimeField()),
                ("fit", models.BinaryField()),
            ],
            options={
                "get_latest_by": "fitted_at",
            },
        ),
        migrations.CreateModel(
            name="Category",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("slug", models.SlugField(unique=True)),
                ("name", models.CharField(max_length=100)),
                ("position", models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "categories",
                "ordering": ["position", "name"],
            },
        ),
        migrations.CreateModel(
            name="DrainBatch",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("drained_at", models.DateTimeField(db_index=True)),
                ("blocks", models.PositiveIntegerField()),
                ("reports", models.PositiveIntegerField()),
                ("counted", models.PositiveIntegerField()),
                ("oldest_minute", models.DateTimeField()),
                ("newest_minute", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="InboxBlock",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("reports", models.PositiveIntegerField()),
                ("block", models.BinaryField()),
                ("written_at", models.DateTimeField()),
                ("broken_at", models.DateTimeField(blank=True, null=True)),
                ("fault", models.CharField(blank=True, max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="OutageGroup",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("key", models.CharField(max_length=120, unique=True)),
                ("scope", models.CharField(blank=True, max_length=30)),
                ("formed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Provider",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("slug", models.SlugField(unique=True)),
                ("name", models.CharField(max_length=100)),
                ("country", models.CharField(blank=True, max_length=2)),
                ("homepage", models.URLField(blank=True)),
                ("status_url", models.URLField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="RefCounter",
            fields=[
                ("year", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("last", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Salt",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("secret", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="Seen",
            fields=[
                ("key", models.BigIntegerField(primary_key=True, serialize=False)),
                ("counted_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.BrinIndex(
                        autosummarize=True, fields=["counted_at"], name="seen_by_time", pages_per_range=16
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("ref", models.CharField(max_length=20, unique=True)),
                ("key", models.CharField(max_length=120, unique=True)),
                ("scope", models.CharField(blank=True, max_length=30)),
                ("onset_at", models.DateTimeField()),
                ("detected_at", models.DateTimeField()),
                ("peak_at", models.DateTimeField(blank=True, null=True)),
                ("peak_reports", models.PositiveIntegerField(default=0)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("rejected_at", models.DateTimeField(blank=True, null=True)),
                ("rejected_reason", models.TextField(blank=True)),
                ("merged_at", models.DateTimeField(blank=True, null=True)),
                ("confidence", models.FloatField()),
                ("siblings", models.JSONField(blank=True, default=list)),
                ("revision", models.PositiveIntegerField(default=0)),
                (
                    "echo_of",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="echoes",
                        to="reports.incident",
                    ),
                ),
                (
                    "merged_into",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="merged",
                        to="reports.incident",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="incidents",
                        to="reports.outagegroup",
                    ),
                ),
            ],
            options={
                "ordering": ["-detected_at"],
            },
        ),
        migrations.CreateModel(
            name="Problem",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("slug", models.SlugField()),
                ("label", models.CharField(max_length=100)),
                ("position", models.PositiveSmallIntegerField(default=0)),
                (
                    "category",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="problems",
                        to="reports.category",
                    ),
                ),
            ],
            options={
                "ordering": ["category", "position"],
            },
        ),
        migrations.AddField(
            model_name="outagegroup",
            name="provider",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="groups",
                to="reports.provider",
            ),
        ),
        migrations.CreateModel(
            name="Region",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("code", models.CharField(max_length=10, unique=True)),
                ("name", models.CharField(max_length=120)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("world", "World"),
                            ("country", "Country"),
                            ("nation", "Nation"),
                            ("subdivision", "Subdivision"),
                        ],
                        max_length=12,
                    ),
                ),
                ("population", models.BigIntegerField(blank=True, null=True)),
                ("population_source", models.CharField(blank=True, max_length=20)),
                ("timezone", models.CharField(default="UTC", max_length=50)),
                ("latitude", models.FloatField(blank=True, null=True)),
                ("longitude", models.FloatField(blank=True, null=True)),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="reports.region",
                    ),
                ),
            ],
            options={
                "ordering": ["code"],
            },
        ),
        migrations.CreateModel(
            name="Evidence",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("decision", models.CharField(max_length=12)),
                ("decided_at", models.DateTimeField()),
                ("observed", models.PositiveIntegerField()),
                ("expected", models.FloatField()),
                ("log10_p", models.FloatField()),
                ("threshold", models.FloatField()),
                ("window_minutes", models.PositiveIntegerField()),
                ("window_end_at", models.DateTimeField()),
                ("level", models.CharField(max_length=12)),
                ("rule", models.CharField(max_length=40)),
                ("networks", models.PositiveIntegerField(blank=True, null=True)),
                ("working", models.PositiveIntegerField(default=0)),
                ("baseline_version", models.CharField(max_length=40)),
                ("detector_version", models.CharField(max_length=20)),
                ("figures", models.JSONField(blank=True, default=dict)),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="evidence",
                        to="reports.incident",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.region",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "evidence",
                "ordering": ["decided_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="RegionalOutage",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("region_code", models.CharField(max_length=10)),
                ("region_name", models.CharField(max_length=120)),
                ("onset_at", models.DateTimeField()),
                ("detected_at", models.DateTimeField()),
                ("peak_at", models.DateTimeField(blank=True, null=True)),
                ("peak_reports", models.PositiveIntegerField(default=0)),
                ("recovering_at", models.DateTimeField(blank=True, null=True)),
                ("unknown_at", models.DateTimeField(blank=True, null=True)),
                ("restored_at", models.DateTimeField(blank=True, null=True)),
                ("restored_low", models.DateTimeField(blank=True, null=True)),
                ("restored_high", models.DateTimeField(blank=True, null=True)),
                ("declared_at", models.DateTimeField(blank=True, null=True)),
                ("basis", models.CharField(blank=True, max_length=12)),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True)),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="regions",
                        to="reports.incident",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="outages",
                        to="reports.region",
                    ),
                ),
            ],
            options={
                "ordering": ["onset_at", "region_code"],
            },
        ),
        migrations.CreateModel(
            name="Relapse",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("restored_at", models.DateTimeField()),
                ("declared_at", models.DateTimeField()),
                ("basis", models.CharField(max_length=12)),
                ("reopened_at", models.DateTimeField()),
                (
                    "outage",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="relapses",
                        to="reports.regionaloutage",
                    ),
                ),
            ],
            options={
                "ordering": ["reopened_at"],
            },
        ),
        migrations.CreateModel(
            name="ScenarioClock",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("scenario", models.SlugField()),
                ("real_at", models.DateTimeField()),
                ("scenario_at", models.DateTimeField()),
                ("sent_until", models.DateTimeField()),
                ("speed", models.FloatField()),
                ("volume_scale", models.FloatField(default=1.0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="one_scenario_clock"),
                    models.CheckConstraint(condition=models.Q(("speed__gte", 0)), name="time_does_not_run_backwards"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Service",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("slug", models.SlugField(unique=True)),
                ("name", models.CharField(max_length=100)),
                (
                    "countries",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=2), blank=True, default=list, size=None
                    ),
                ),
                ("homepage", models.URLField(blank=True)),
                ("modelled_weight", models.FloatField(default=1.0)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
                (
                    "category",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="services",
                        to="reports.category",
                    ),
                ),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="services",
                        to="reports.provider",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="ReportCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "minute",
                        "service",
                        "region",
                        "kind",
                        "problem_key",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("kind", models.PositiveSmallIntegerField(choices=[(0, "down"), (1, "working")])),
                ("problem_key", models.IntegerField(default=0)),
                ("reports", models.PositiveIntegerField()),
                ("networks", models.PositiveIntegerField()),
                (
                    "region",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.region",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.service",
                    ),
                ),
            ],
        ),
        # Django cannot declare a partitioned table: the table is made by hand, one partition a day, bounds on the
        # UUIDv7 key (its first 48 bits are milliseconds). No DEFAULT partition: see reports/partitions.py.
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(REPORT_TABLE, "DROP TABLE reports_report")],
            state_operations=[
                migrations.CreateModel(
                    name="Report",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        ("received_at", models.DateTimeField()),
                        ("kind", models.PositiveSmallIntegerField(choices=[(0, "down"), (1, "working")])),
                        ("person", models.BigIntegerField()),
                        ("network", models.BigIntegerField()),
                        ("counted", models.BooleanField()),
                        ("reason", models.CharField(blank=True, max_length=20)),
                        (
                            "problem",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="reports.problem",
                            ),
                        ),
                        (
                            "region",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="reports.region",
                            ),
                        ),
                        (
                            "service",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="reports.service",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "reports_report",
                    },
                ),
            ],
        ),
        migrations.AddField(
            model_name="incident",
            name="service",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="incidents", to="reports.service"
            ),
        ),
        migrations.CreateModel(
            name="AcceptedId",
            fields=[
                ("client_id", models.UUIDField(primary_key=True, serialize=False)),
                ("report_id", models.UUIDField()),
                ("kind", models.PositiveSmallIntegerField(choices=[(0, "down"), (1, "working")])),
                ("received_at", models.DateTimeField(db_index=True)),
                (
                    "problem",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reports.problem",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reports.region",
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reports.service",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ServiceAlias",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("alias", models.CharField(max_length=100)),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="aliases",
                        to="reports.service",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "service aliases",
            },
        ),
        migrations.CreateModel(
            name="ServiceDependency",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dependencies",
                        to="reports.service",
                    ),
                ),
                (
                    "upstream",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dependents",
                        to="reports.service",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "service dependencies",
            },
        ),
        migrations.AddField(
            model_name="service",
            name="depends_on",
            field=models.ManyToManyField(
                related_name="depended_on_by", through="reports.ServiceDependency", to="reports.service"
            ),
        ),
        migrations.CreateModel(
            name="Statement",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "meaning",
                    models.CharField(
                        choices=[
                            ("acknowledged", "Acknowledged"),
                            ("update", "Update"),
                            ("restored", "Restored"),
                            ("denied", "Denied"),
                        ],
                        max_length=12,
                    ),
                ),
                ("text", models.TextField()),
                ("url", models.URLField(blank=True, max_length=500)),
                ("said_at", models.DateTimeField()),
                ("entered_at", models.DateTimeField()),
                (
                    "entered_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="statements",
                        to="reports.incident",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.region",
                    ),
                ),
            ],
            options={
                "ordering": ["said_at", "id"],
            },
        ),
        migrations.CreateModel(
            name="TimelineEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                ("kind", models.CharField(max_length=30)),
                ("facts", models.JSONField(blank=True, default=dict)),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "evidence",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.evidence",
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="timeline",
                        to="reports.incident",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.region",
                    ),
                ),
                (
                    "statement",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.statement",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "timeline entries",
                "ordering": ["at", "id"],
            },
        ),
        migrations.CreateModel(
            name="Word",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("kind", models.CharField(max_length=20)),
                ("at", models.DateTimeField()),
                ("given_at", models.DateTimeField()),
                ("heeded_at", models.DateTimeField(blank=True, null=True)),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="words",
                        to="reports.incident",
                    ),
                ),
                (
                    "region",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.region",
                    ),
                ),
                (
                    "statement",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reports.statement",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DetectorState",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("minute", models.DateTimeField()),
                ("mark", models.UUIDField()),
                ("last_batch", models.BigIntegerField(default=0)),
                ("detector_version", models.CharField(max_length=20)),
                ("state", models.BinaryField()),
                ("saved_at", models.DateTimeField()),
                (
                    "baseline",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="reports.baseline",
                    ),
                ),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_detector_state")],
            },
        ),
        migrations.AddConstraint(
            model_name="problem",
            constraint=models.UniqueConstraint(fields=("category", "slug"), name="one_problem_per_category_and_slug"),
        ),
        migrations.AddConstraint(
            model_name="region",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("parent__isnull", True), ("kind", "world")),
                    models.Q(("parent__isnull", False), models.Q(("kind", "world"), _negated=True)),
                    _connector="OR",
                ),
                name="only_the_world_has_no_parent",
            ),
        ),
        migrations.AddConstraint(
            model_name="regionaloutage",
            constraint=models.UniqueConstraint(fields=("incident", "region"), name="one_row_per_incident_and_region"),
        ),
        migrations.AddConstraint(
            model_name="regionaloutage",
            constraint=models.CheckConstraint(
                condition=models.Q(("onset_at__lte", models.F("detected_at"))),
                name="region_onset_before_detection",
            ),
        ),
        migrations.AddConstraint(
            model_name="regionaloutage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("basis", ""), ("declared_at__isnull", True), ("restored_at__isnull", True)),
                    models.Q(
                        ("declared_at__isnull", False),
                        ("restored_at__isnull", False),
                        models.Q(("basis", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="restoration_has_declaration_and_basis",
            ),
        ),
        migrations.AddConstraint(
            model_name="regionaloutage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("restored_at__isnull", True), ("restored_at__gte", models.F("onset_at")), _connector="OR"
                ),
                name="restored_after_onset",
            ),
        ),
        migrations.AddIndex(
            model_name="reportcount",
            index=models.Index(fields=["service", "minute"], name="counts_of_a_service"),
        ),
        migrations.AddConstraint(
            model_name="reportcount",
            constraint=models.CheckConstraint(
                condition=models.Q(("networks__lte", models.F("reports"))), name="no_network_without_report"
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("merged_at__isnull", True), ("rejected_at__isnull", True), ("resolved_at__isnull", True)
                ),
                fields=("service",),
                name="one_open_incident_per_service",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(("onset_at__lte", models.F("detected_at"))),
                name="incident_onset_before_detection",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("resolved_at__isnull", True), ("resolved_at__gte", models.F("onset_at")), _connector="OR"
                ),
                name="incident_resolved_after_onset",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(("confirmed_at__isnull", True), ("rejected_at__isnull", True), _connector="OR"),
                name="not_both_confirmed_and_rejected",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.CheckConstraint(
                condition=models.Q(("confidence__gte", 0), ("confidence__lte", 1)),
                name="confidence_is_a_probability",
            ),
        ),
        migrations.AddConstraint(
            model_name="servicealias",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("alias"), name="one_service_per_alias"
            ),
        ),
        migrations.AddConstraint(
            model_name="servicedependency",
            constraint=models.UniqueConstraint(fields=("service", "upstream"), name="one_dependency_per_pair"),
        ),
        migrations.AddConstraint(
            model_name="servicedependency",
            constraint=models.CheckConstraint(
                condition=models.Q(("service", models.F("upstream")), _negated=True),
                name="no_service_depends_on_itself",
            ),
        ),
        migrations.AddIndex(
            model_name="word",
            index=models.Index(
                condition=models.Q(("heeded_at__isnull", True)),
                fields=["given_at"],
                name="words_not_yet_heeded",
            ),
        ),
    ]
