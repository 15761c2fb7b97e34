from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0012_ban"),
    ]

    operations = [
        migrations.CreateModel(
            name="Refusal",
            fields=[
                ("digest", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="subscription",
            name="group",
            field=models.UUIDField(null=True),
        ),
        # Each was a group of its own: its link and its key stay what they were.
        migrations.RunSQL('UPDATE reports_subscription SET "group" = id', migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="subscription",
            name="group",
            field=models.UUIDField(db_index=True),
        ),
        migrations.AddField(
            model_name="subscription",
            name="time_zone",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="subscription",
            name="paused_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="subscription",
            name="failures",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["channel", "target_digest"], name="subscriptions_of_one_address"),
        ),
    ]
