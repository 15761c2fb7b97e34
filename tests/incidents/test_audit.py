"""The log of acts: one line for each, and nobody can change one."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from reports.incidents import joining, lifecycle, statements, undo
from reports.models import Act, Incident
from tests.incidents.acts import open_incident, over
from tests.incidents.world import World


@pytest.fixture
def incident(world: World) -> Incident:
    return open_incident(world, "OUT-2026-0007")


def everything(incident: Incident, duty: User, world: World) -> list[str]:
    """Does one act of each kind; the kinds in order."""
    at = iter(range(20, 60))

    def given(**more: Any) -> dict[str, Any]:
        return {"by": duty, "at": world.at(next(at)), **more}

    lifecycle.confirm(incident.pk, **given())
    statements.add_statement(incident.pk, text="We know.", said_at=world.at(19), by=None, now=world.at(next(at)))
    lifecycle.override_region(
        incident.pk, "GB-ENG", state="restored", at=world.at(15), reason="they called", by=duty, now=world.at(next(at))
    )
    joining.split(incident.pk, regions=["BR-SP"], **given())
    lifecycle.reject(incident.pk, reason="a load test", **given())
    rejected = Act.objects.get(kind="rejected")
    undo.undo(rejected.pk, reason="it was none", **given())
    earlier = over(open_incident(world, "OUT-2026-0001", -60), world, -30)
    joining.merge(incident.pk, into=earlier.ref, reason="the same", **given())
    done = Incident.objects.get(pk=earlier.pk)
    lifecycle.reopen(done.pk, at=world.at(40), reason="still down", by=duty, now=world.at(45))
    return list(Act.objects.order_by("id").values_list("kind", flat=True))


def test_every_act_leaves_a_line_that_says_who_when_and_why(incident: Incident, duty: User, world: World) -> None:
    assert everything(incident, duty, world) == [
        "confirmed", "statement", "overridden", "split", "rejected", "undone", "merged", "reopened"
    ]  # fmt: skip
    assert {act.by for act in Act.objects.exclude(kind="statement")} == {duty}
    assert Act.objects.get(kind="statement").by is None
    rejected = Act.objects.get(kind="rejected")
    assert (rejected.reason, rejected.at, rejected.undone_by.reason) == ("a load test", world.at(24), "it was none")
    assert not Act.objects.filter(written_at__isnull=True).exists()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE reports_act SET reason = 'something else'",
        "UPDATE reports_act SET by_id = NULL",
        "DELETE FROM reports_act",
        "DELETE FROM reports_act WHERE kind = 'confirmed'",
    ],
)
def test_the_database_refuses_to_change_the_log(incident: Incident, duty: User, world: World, change: str) -> None:
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    before = list(Act.objects.values())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert list(Act.objects.values()) == before


def test_an_act_is_taken_back_once(incident: Incident, duty: User, world: World) -> None:
    lifecycle.confirm(incident.pk, by=duty, at=world.at(20))
    act = Act.objects.get()
    undone = undo.undo(act.pk, by=duty, at=world.at(21))
    assert undo.undo(act.pk, by=duty, at=world.at(22)) == undone
    with pytest.raises(DatabaseError), transaction.atomic():
        Act.objects.create(incident=incident, kind="undone", at=world.at(23), revision=9, undoes=act)


def test_an_act_that_fails_leaves_no_line(incident: Incident, duty: User, world: World) -> None:
    with pytest.raises(lifecycle.ConflictError):
        lifecycle.override_region(
            incident.pk, "GB-SCT", state="restored", at=world.at(15), reason="x", by=duty, now=world.at(20)
        )
    assert not Act.objects.exists()
