"""`manage.py translations`: brings the catalogues of messages up to the code and compiles them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from frontend import translations


class Command(BaseCommand):
    help = "Brings frontend/locale up to code, templates and data, compiles it, and says what is missing or wrong."
    requires_system_checks: list[str] = []  # noqa: RUF012 - the shape is Django's

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("languages", nargs="*", help="only these: de es ...")
        parser.add_argument("--missing", action="store_true", help="list what has no translation")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = 0
        for language in options["languages"] or translations.PLURALS:
            if language not in translations.PLURALS:
                raise CommandError(f"{language}: expected one of {', '.join(translations.PLURALS)}")
            catalogue = translations.update(language)
            # As it was written, so that what is compiled is what others compile from it.
            catalogue = translations.read(language)
            translations.path_of(language).with_suffix(".mo").write_bytes(translations.compiled(catalogue))
            missing, faults = translations.untranslated(catalogue), translations.faults(catalogue)
            self.stdout.write(f"{language}: {len(catalogue)} messages, {len(missing)} untranslated")
            for text in missing if options["missing"] else ():
                self.stdout.write(f"  {text}")
            for fault in faults:
                self.stderr.write(f"  {fault}")
            wrong += len(faults)
        if wrong:
            raise CommandError(f"{wrong} faults")
