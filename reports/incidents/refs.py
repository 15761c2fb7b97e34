"""The numbers by which people call incidents."""

from __future__ import annotations

from django.db import connection


def next_ref(year: int) -> str:
    """The next free ``OUT-2026-0142``; to be used in this transaction, which others who want one wait for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reports_refcounter (year, last) VALUES (%s, 1)"
            " ON CONFLICT (year) DO UPDATE SET last = reports_refcounter.last + 1 RETURNING last",
            [year],
        )
        return f"OUT-{year}-{cursor.fetchone()[0]:04d}"
