"""``manage.py snapshot DIRECTORY``: a copy of the site for the hour in which the site cannot answer."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from frontend import snapshot
from reports import clock


class Command(BaseCommand):
    help = "Writes a copy of the site as it is now, which any web server can show: DIRECTORY/current."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, metavar="DIRECTORY")
        parser.add_argument(
            "--seconds",
            type=float,
            default=snapshot.MOST_SECONDS,
            help="after this long, pages of services of which no outage is seen keep their former copy",
        )

    def handle(self, *args: Any, directory: Path, seconds: float, **options: Any) -> None:
        try:
            made = snapshot.write(directory, now=clock.now(), seconds=seconds)
        except snapshot.BusyError:
            raise CommandError(f"another copy is being made in {directory}") from None
        if self.stdout.isatty() or options["verbosity"] > 1:
            self.stdout.write(
                f"{made.pages} pages ({made.left} kept), {made.files} files ({made.unchanged} unchanged), "
                f"{made.seconds:.1f} s: {directory / snapshot.CURRENT}"
            )
