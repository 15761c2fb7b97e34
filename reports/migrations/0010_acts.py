import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# The log of acts is append-only for every client of the database, not only for this program. TRUNCATE is left alone:
# it is how a test empties its tables, and nothing that a program of ours does by accident.
APPEND_ONLY = """
CREATE FUNCTION reports_act_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'reports_act is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER reports_act_append_only BEFORE UPDATE OR DELETE ON reports_act
    FOR EACH ROW EXECUTE FUNCTION reports_act_is_append_only();
"""
NO_LONGER = """
DROP TRIGGER reports_act_append_only ON reports_act;
DROP FUNCTION reports_act_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0009_alerts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="incident", name="one_open_incident_per_service"),
        migrations.AddField(
            model_name="incident",
            name="split_from",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="parts",
                to="reports.incident",
            ),
        ),
        migrations.AddConstraint(
            model_name="incident",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("merged_at__isnull", True),
                    ("rejected_at__isnull", True),
                    ("resolved_at__isnull", True),
                    ("split_from__isnull", True),
                ),
                fields=("service",),
                name="one_open_incident_per_service",
            ),
        ),
        migrations.AddField(
            model_name="statement",
            name="withdrawn_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name="Act",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("confirmed", "Confirmed"),
                            ("rejected", "Rejected"),
                            ("merged", "Merged"),
                            ("split", "Split"),
                            ("overridden", "Overridden"),
                            ("statement", "Statement"),
                            ("reopened", "Reopened"),
                            ("undone", "Undone"),
                        ],
                        max_length=12,
                    ),
                ),
                ("at", models.DateTimeField()),
                ("written_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("reason", models.TextField(blank=True)),
                ("revision", models.PositiveIntegerField()),
                ("facts", models.JSONField(blank=True, default=dict)),
                (
                    "by",
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
                        on_delete=django.db.models.deletion.PROTECT, related_name="acts", to="reports.incident"
                    ),
                ),
                (
                    "other",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="acts_beside",
                        to="reports.incident",
                    ),
                ),
                (
                    "undoes",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="undone_by",
                        to="reports.act",
                    ),
                ),
            ],
            options={"ordering": ["-id"]},
        ),
        migrations.AddConstraint(
            model_name="act",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind", "undone"), ("undoes__isnull", True), _connector="OR"),
                name="only_an_undoing_names_an_act",
            ),
        ),
        migrations.RunSQL(APPEND_ONLY, NO_LONGER),
    ]
