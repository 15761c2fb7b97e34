from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0013_groups"),
    ]

    operations = [
        # What was withdrawn leaves room for the same update to be stated again, by hand.
        migrations.RemoveConstraint(model_name="statement", name="an_update_is_one_statement_of_an_incident"),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.UniqueConstraint(
                condition=models.Q(heard__isnull=False, withdrawn_at__isnull=True),
                fields=("heard", "incident", "region"),
                name="an_update_is_one_statement_of_an_incident",
                nulls_distinct=False,
            ),
        ),
    ]
