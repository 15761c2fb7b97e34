"""What time it is for this site.

Ordinarily the machine's UTC clock. A site that replays a scenario (``REPLAY``) follows the scenario's clock instead, so
that reports, detection and pages all live in the same, accelerated day. Only the intake, the task layer and the views
ask; everything else is given its ``now``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings

from reports import scenarios
from reports.models import ScenarioClock

# How long a process may go on with a scenario clock it has read: a change of speed shows within this time.
REFRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Scenario:
    """The clock of a replay: at ``real_at`` it showed ``scenario_at``; it runs ``speed`` times as fast as real time."""

    slug: str
    real_at: datetime
    scenario_at: datetime
    sent_until: datetime
    speed: float
    volume_scale: float

    def at(self, real: datetime) -> datetime:
        """The scenario's time at the real instant ``real``.

        It waits at ``sent_until``: a minute whose reports nobody has sent yet must not look silent.
        """
        elapsed = max(real - self.real_at, timedelta())
        return min(self.scenario_at + elapsed * self.speed, self.sent_until)


_read_at = 0.0
_scenario: Scenario | None = None


def now() -> datetime:
    """The present instant, aware, UTC: the scenario's on a replaying site, else the machine's."""
    current = scenario()
    real = datetime.now(UTC)
    return current.at(real) if current else real


def scenario() -> Scenario | None:
    """The scenario whose clock the site follows, read at most once a second; ``None`` on an ordinary site.

    Before the replay has begun the clock stands at the scenario's start: nothing may happen in the real present of a
    site that is about to live in another day.
    """
    global _read_at, _scenario
    if not settings.REPLAY:
        return None
    if _scenario is None or time.monotonic() - _read_at > REFRESH_SECONDS:
        row = ScenarioClock.objects.filter(scenario=settings.REPLAY).first()
        if row is None:
            plan = scenarios.read(settings.REPLAY)
            row = ScenarioClock(
                scenario=plan.slug,
                real_at=datetime.now(UTC),
                scenario_at=plan.start,
                sent_until=plan.start,
                speed=0.0,
                volume_scale=plan.volume_scale,
            )
        _scenario = Scenario(
            slug=row.scenario,
            real_at=row.real_at,
            scenario_at=row.scenario_at,
            sent_until=row.sent_until,
            speed=row.speed,
            volume_scale=row.volume_scale,
        )
        _read_at = time.monotonic()
    return _scenario


def at_hand() -> datetime | None:
    """The present instant like `now`, or ``None`` where the database would have to be asked; for the event loop."""
    real = datetime.now(UTC)
    if not settings.REPLAY:
        return real
    return _scenario.at(real) if _scenario and time.monotonic() - _read_at <= 2 * REFRESH_SECONDS else None


def speed_at_hand() -> float | None:
    """How fast the site's clock ran when it was last asked; ``None`` for the machine's own."""
    return _scenario.speed if settings.REPLAY and _scenario else None


def set_scenario(slug: str, *, scenario_at: datetime, sent_until: datetime, speed: float, volume_scale: float) -> None:
    """From now on the site's clock shows ``scenario_at`` and runs ``speed`` times as fast, up to ``sent_until``."""
    global _read_at
    ScenarioClock.objects.update_or_create(
        id=1,
        defaults={
            "scenario": slug,
            "real_at": datetime.now(UTC),
            "scenario_at": scenario_at,
            "sent_until": sent_until,
            "speed": speed,
            "volume_scale": volume_scale,
        },
    )
    _read_at = 0.0


def minute_of(instant: datetime) -> int:
    """Whole minutes since 1970-01-01T00:00Z that are over or running at ``instant``."""
    return int(instant.timestamp() // 60)


def instant_of(minute: int) -> datetime:
    """The instant at which ``minute`` begins."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
