"""Two administrators at once, each with a connection of his own: one wins, the other is told."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from reports.incidents import joining, lifecycle, statements, undo
from reports.incidents.acting import ConflictError
from reports.models import Act, Incident, Statement
from tests.incidents.acts import open_incident, over
from tests.incidents.world import World, build_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def committed(transactional_db: None) -> World:
    """The catalogue with two incidents of WhatsApp, one over and one open; every row committed."""
    world = build_world()
    over(open_incident(world, "OUT-2026-0001", 10), world, 30)
    open_incident(world, "OUT-2026-0002", 50)
    return world


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Does them in threads of their own that start together; what each came to."""
    start = Barrier(len(acts))
    came_to: list[str] = []

    def run(act: Callable[[], object]) -> None:
        try:
            start.wait(timeout=30)
            act()
            came_to.append("done")
        except ConflictError as conflict:
            came_to.append(f"told: {conflict}")
        except Exception as error:
            came_to.append(f"failed: {error!r}")
        finally:
            connection.close()

    threads = [Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return sorted(came_to)


def _confirm(incident: Incident, world: World, by: User) -> object:
    return lifecycle.confirm(incident.pk, by=by, at=world.at(60), revision=incident.revision)


def _reject(incident: Incident, world: World, by: User) -> object:
    return lifecycle.reject(incident.pk, reason="none", by=by, at=world.at(60), revision=incident.revision)


def _override(incident: Incident, world: World, by: User) -> object:
    return lifecycle.override_region(
        incident.pk,
        "GB-ENG",
        state="restored",
        at=world.at(58),
        reason="they called",
        by=by,
        now=world.at(60),
        revision=incident.revision,
    )


def _merge(incident: Incident, world: World, by: User) -> object:
    return joining.merge(incident.pk, into="OUT-2026-0001", by=by, at=world.at(60), revision=incident.revision)


def _split(incident: Incident, world: World, by: User) -> object:
    return joining.split(incident.pk, regions=["GB-ENG"], by=by, at=world.at(60), revision=incident.revision)


def _reopen(incident: Incident, world: World, by: User) -> object:
    earlier = Incident.objects.get(ref="OUT-2026-0001")
    return lifecycle.reopen(
        earlier.pk, at=world.at(58), reason="still", by=by, now=world.at(60), revision=earlier.revision
    )


def _undo(incident: Incident, world: World, by: User) -> object:
    return undo.undo(Act.objects.get(kind="confirmed").pk, by=by, at=world.at(62), revision=incident.revision)


ACTS = {act.__name__: act for act in (_confirm, _reject, _override, _merge, _split, _reopen, _undo)}


@pytest.mark.parametrize("name", ACTS)
def test_of_two_administrators_one_wins_and_the_other_is_told(committed: World, name: str) -> None:
    first, second = (User.objects.create_user(who, password="a-long-password") for who in ("first", "second"))
    if name == "_reopen":
        Incident.objects.filter(ref="OUT-2026-0002").update(resolved_at=committed.at(55))
    if name == "_undo":
        lifecycle.confirm(Incident.objects.get(ref="OUT-2026-0002").pk, by=first, at=committed.at(55))
    incident = Incident.objects.get(ref="OUT-2026-0002")
    before = Act.objects.count()
    came_to = at_once(*(lambda by=by: ACTS[name](incident, committed, by) for by in (first, second)))
    assert came_to[0] == "done"
    assert came_to[1].startswith("told: Somebody else has"), came_to
    assert Act.objects.count() == before + 1


@pytest.mark.parametrize("name", ACTS)
def test_one_form_sent_twice_at_once_is_one_act(committed: World, name: str) -> None:
    duty = User.objects.create_user("duty", password="a-long-password")
    if name == "_reopen":
        Incident.objects.filter(ref="OUT-2026-0002").update(resolved_at=committed.at(55))
    if name == "_undo":
        lifecycle.confirm(Incident.objects.get(ref="OUT-2026-0002").pk, by=duty, at=committed.at(55))
    incident = Incident.objects.get(ref="OUT-2026-0002")
    before = Act.objects.count()
    assert at_once(*([lambda: ACTS[name](incident, committed, duty)] * 2)) == ["done", "done"]
    assert Act.objects.count() == before + 1


def test_two_mergers_in_opposite_directions_do_not_wait_for_each_other(committed: World) -> None:
    first, second = (User.objects.create_user(who, password="a-long-password") for who in ("first", "second"))
    one, other = Incident.objects.order_by("ref")

    def into(incident: Incident, ref: str, by: User) -> Callable[[], object]:
        return lambda: joining.merge(incident.pk, into=ref, by=by, at=committed.at(60), revision=0)

    came_to = at_once(into(one, other.ref, first), into(other, one.ref, second))
    assert came_to[0] == "done"
    assert came_to[1].startswith("told: ")
    assert Incident.objects.exclude(merged_at=None).count() == 1


def test_two_administrators_who_enter_the_same_statement_enter_it_once(committed: World) -> None:
    by = [User.objects.create_user(who, password="a-long-password") for who in ("first", "second")]
    incident = Incident.objects.get(ref="OUT-2026-0002")
    said: dict[str, Any] = {"text": "We know.", "said_at": committed.at(55), "now": committed.at(60)}
    acts = [lambda user=user: statements.add_statement(incident.pk, by=user, **said) for user in by]
    assert at_once(*acts) == ["done", "done"]
    assert (Statement.objects.count(), Act.objects.count()) == (1, 1)
