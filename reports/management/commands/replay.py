"""``manage.py replay SCENARIO``: a day with a known truth, sent through the same code as real reports."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from reports import replay, scenarios


class Command(BaseCommand):
    help = "Replays a scenario: its history as counts, its day report by report. Goes on where it was stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("scenario", help=f"one of: {', '.join(scenarios.slugs())}")
        parser.add_argument(
            "--speed",
            type=float,
            default=20.0,
            metavar="N",
            help="scenario minutes per real minute once people look on (default 20); 0: as fast as possible to the end",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        slug, speed = options["scenario"], options["speed"]
        if speed < 0:
            raise CommandError("--speed: expected 0 or more")
        try:
            scenario = scenarios.read(slug)
        except KeyError as error:
            raise CommandError(error.args[0]) from None
        if slug != settings.REPLAY:
            raise CommandError(
                f"This site does not follow the clock of {slug}: start it, and this command, with REPLAY={slug}. "
                "A site that holds real reports must not be given a scenario's."
            )
        replay.play(scenario, speed=speed, progress=self._show)

    def _show(self, phase: str, at: datetime, sent: int) -> None:
        if not sys.stdout.isatty():
            return
        self.stdout.write(f"\r{phase}: {at:%d %b %Y %H:%M} UTC, {sent} reports sent \033[K", ending="")
        if phase == "done":
            self.stdout.write("")
        self.stdout.flush()
