import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0005_standby"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CrowdShape",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "service", "region", "kind", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "service",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="reports.service",
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
                ("kind", models.PositiveSmallIntegerField(choices=[(0, "down"), (1, "working")])),
                ("at", models.DateTimeField()),
                ("reports", models.FloatField()),
                ("squares", models.FloatField()),
                ("pauses", models.FloatField()),
                ("pause_squares", models.FloatField()),
                ("pairs", models.FloatField()),
                ("same", models.FloatField()),
                ("problem_key", models.IntegerField(default=0)),
                ("exempt_until", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Quarantine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.PositiveSmallIntegerField(choices=[(0, "down"), (1, "working")])),
                ("shape", models.CharField(max_length=20)),
                ("began_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("reports", models.PositiveIntegerField()),
                ("figures", models.JSONField(default=dict)),
                ("released_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-last_at"],
            },
        ),
        migrations.AddField(
            model_name="reportcount",
            name="service_networks",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="seen",
            name="reports",
            field=models.PositiveIntegerField(db_default=1, default=1),
        ),
        migrations.AddConstraint(
            model_name="reportcount",
            constraint=models.CheckConstraint(
                condition=models.Q(("service_networks__lte", models.F("reports"))), name="no_new_network_without_report"
            ),
        ),
        migrations.AddField(
            model_name="quarantine",
            name="region",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="reports.region"),
        ),
        migrations.AddField(
            model_name="quarantine",
            name="released_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="quarantine",
            name="service",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="quarantines", to="reports.service"
            ),
        ),
        migrations.AddIndex(
            model_name="quarantine",
            index=models.Index(fields=["service", "region", "kind", "last_at"], name="quarantines_of_a_flow"),
        ),
    ]
