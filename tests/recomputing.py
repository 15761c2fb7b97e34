"""``docs/recompute.py`` as anybody would run it, and the public answers it works on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[1] / "docs" / "recompute.py"


def recompute(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The script in a process of its own, isolated from this environment's packages."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def saved(ref: str, folder: Path) -> tuple[Path, Path]:
    """What the public API answers about the incident, as the script saves it."""
    from django.test import Client

    from reports.status import snapshots

    snapshots.forget()
    client, path = Client(), f"/api/v1/incidents/{ref}/"
    answers: dict[str, Any] = {"incident": client.get(path).json()}
    for name in ("regions", "timeline"):
        answers[name], url = [], f"{path}{name}/?limit=500"
        while url:
            page = client.get(url).json()
            answers[name] += page["results"]
            url = page["next"]
    (folder / "kept.json").write_text(json.dumps(answers))
    (folder / "kept.csv").write_bytes(client.get(f"{path}export.csv").getvalue())
    return folder / "kept.json", folder / "kept.csv"
