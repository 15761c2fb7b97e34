from typing import Any

from django.db import migrations
from django.db.models import F


def as_by_chance(apps: Any, _schema_editor: Any) -> None:
    """Nothing is known of how past pauses followed each other."""
    apps.get_model("reports", "CrowdShape").objects.update(variations=F("reports"), last_pause=0.0)


class Migration(migrations.Migration):
    dependencies = [
        ("reports", "0014_withdrawn"),
    ]

    operations = [
        migrations.RenameField(model_name="crowdshape", old_name="pauses", new_name="last_pause"),
        migrations.RenameField(model_name="crowdshape", old_name="pause_squares", new_name="variations"),
        migrations.RunPython(as_by_chance, migrations.RunPython.noop, elidable=True),
    ]
