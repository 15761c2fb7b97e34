"""How much one person and one network may send, and what is asked of those who send more."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from altcha import v1 as altcha
from django.conf import settings
from django.test import AsyncClient
from django.urls import reverse

from reports.intake import coalescer, flood, proof
from reports.intake.flood import (
    BUSY_WAITING,
    EASIEST,
    HARDEST,
    NETWORK_LIMIT,
    NETWORK_SOFT,
    PERSON_LIMIT,
    PERSON_SOFT,
    Gate,
    ProofNeeded,
    Refusal,
    TooMany,
)
from reports.intake.guard import Pseudonyms
from reports.models import InboxBlock
from tests.intake.making import Catalogue
from tests.intake.test_endpoint import GOOD, Answer, ask, asked

ADDRESS = "198.51.100.77"
Verdicts = list[Refusal | None]


@pytest.fixture(autouse=True)
def no_counts(broker: str) -> None:
    """A window of its own for every test, which does not end within it."""
    while time.time() % flood.WINDOW_SECONDS > flood.WINDOW_SECONDS - 15:
        time.sleep(1)
    forget_counts()


def forget_counts() -> None:
    """As if the window had just begun."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        for key in client.scan_iter("{outagemap:flood}:*"):
            client.delete(key)


def with_gate(use: Callable[[Gate], Awaitable[Any]], *, away: bool = False) -> Any:
    async def run() -> Any:
        gate = Gate()
        if away:
            gate._away_until = time.monotonic() + 60
        try:
            return await use(gate)
        finally:
            await gate.close()

    return asyncio.run(run())


def kinds(verdicts: Verdicts) -> Counter[str]:
    return Counter("taken" if one is None else type(one).__name__ for one in verdicts)


def visits(reports: int, *, person: int | None = None, network: int | None = None, flags: int = 3) -> list[flood.Visit]:
    """Everybody is another one from elsewhere, unless said otherwise. Pseudonyms are spread evenly, as real ones."""
    spread = 0x9E37_79B9_7F4A_7C15
    numbers = [(i + 1) * spread % 2**63 for i in range(reports)]
    return [(Pseudonyms(person or one, network or one ^ 0x5DEECE66D), flags) for one in numbers]


@pytest.mark.parametrize("away", [False, True], ids=["broker", "broker away"])
def test_a_person_is_asked_for_proof_and_then_sent_away(away: bool):
    async def use(gate: Gate) -> Verdicts:
        return [(await gate.judge(visits(1, person=7), waiting=0))[0] for _ in range(PERSON_LIMIT + 5)]

    found = with_gate(use, away=away)
    assert found[:PERSON_SOFT] == [None] * PERSON_SOFT
    assert {type(one) for one in found[PERSON_SOFT:PERSON_LIMIT]} == {ProofNeeded}
    assert {type(one) for one in found[PERSON_LIMIT:]} == {TooMany}
    assert not found[-1].network
    assert 0 < found[-1].retry_after <= flood.WINDOW_SECONDS + 31
    hashes = [one.hashes for one in found[PERSON_SOFT:PERSON_LIMIT]]
    assert EASIEST <= hashes[0] < hashes[-1] <= HARDEST


@pytest.mark.parametrize("away", [False, True], ids=["broker", "broker away"])
def test_a_network_has_a_much_higher_limit_and_no_neighbour_pays_for_it(away: bool):
    async def use(gate: Gate) -> tuple[Verdicts, Verdicts, Verdicts]:
        unproved: Verdicts = []
        for _ in range(3):
            unproved += await gate.judge(visits(1000, network=5), waiting=0)
        proved: Verdicts = []
        for _ in range(5):
            proved += await gate.judge(visits(1000, network=5, flags=7), waiting=0)
        return unproved, proved, await gate.judge(visits(50), waiting=0)

    unproved, proved, others = with_gate(use, away=away)
    assert kinds(unproved[:NETWORK_SOFT]) == {"taken": NETWORK_SOFT}
    # However many come without proof, they take nothing from those who have it.
    assert kinds(unproved[NETWORK_SOFT:]) == {"ProofNeeded": 3000 - NETWORK_SOFT}
    left = NETWORK_LIMIT - NETWORK_SOFT
    assert kinds(proved[:left]) == {"taken": left}
    assert kinds(proved[left:]) == {"TooMany": 5000 - left}
    assert proved[-1].network
    # They come while everybody's rate is high, but far below what is too much for everybody.
    assert kinds(others) == {"taken": 50}


@pytest.mark.parametrize("away", [False, True], ids=["broker", "broker away"])
def test_one_person_who_sends_for_ever_locks_no_network_out(away: bool):
    async def use(gate: Gate) -> tuple[Verdicts, Verdicts]:
        heavy: Verdicts = []
        for _ in range(7):
            heavy += await gate.judge(visits(1000, person=7, network=5, flags=7), waiting=0)
        return heavy, await gate.judge(visits(1, network=5), waiting=0)

    heavy, neighbour = with_gate(use, away=away)
    assert kinds(heavy) == {"taken": PERSON_LIMIT, "TooMany": 7000 - PERSON_LIMIT}
    assert kinds(neighbour) == {"taken": 1}


def test_web_servers_count_together_and_none_slips_through():
    async def use(gate: Gate) -> Verdicts:
        gates = [gate, Gate(), Gate(), Gate()]
        found = await asyncio.gather(*(one.judge(visits(10, person=7), waiting=0) for one in gates))
        await asyncio.gather(*(one.close() for one in gates[1:]))
        return [verdict for verdicts in found for verdict in verdicts]

    assert kinds(with_gate(use)) == {
        "taken": PERSON_SOFT,
        "ProofNeeded": PERSON_LIMIT - PERSON_SOFT,
        "TooMany": 40 - PERSON_LIMIT,
    }


def test_in_an_ordinary_hour_nobody_is_asked():
    async def use(gate: Gate) -> Verdicts:
        # The largest known outage, 900 a second, for ten seconds.
        return [one for _ in range(9) for one in await gate.judge(visits(1000), waiting=200)]

    assert kinds(with_gate(use)) == {"taken": 9000}


def test_under_load_everybody_is_asked_and_the_more_the_heavier_it_is():
    async def use(gate: Gate) -> list[Verdicts]:
        waiting = (BUSY_WAITING, 2 * BUSY_WAITING, 9 * BUSY_WAITING)
        return [await gate.judge(visits(1, person=i + 1), waiting=one) for i, one in enumerate(waiting)]

    (calm,), (busy,), (heavy,) = with_gate(use)
    assert calm is None
    assert (busy.hashes, heavy.hashes) == (4 * EASIEST, HARDEST)
    assert flood.judged(Pseudonyms(1, 1), 3, 1, 1, 2.0, 0.0).hashes == 4 * EASIEST


def test_who_has_solved_a_challenge_is_let_through_but_not_beyond_the_limit():
    who = Pseudonyms(1, 1)
    proved = flood.flags(ADDRESS, proved=True)
    assert flood.judged(who, proved, PERSON_LIMIT, 1, 0.0, 0.0) is None
    assert isinstance(flood.judged(who, proved, PERSON_LIMIT + 1, 1, 0.0, 0.0), TooMany)


def test_a_proxy_on_the_machine_that_nobody_told_us_of_shuts_nobody_out():
    async def use(gate: Gate) -> Verdicts:
        found: Verdicts = []
        for _ in range(7):
            found += await gate.judge(visits(1000, network=5, flags=flood.flags("127.0.0.1", proved=False)), waiting=0)
        return found

    assert kinds(with_gate(use)) == {"taken": 7000}


def test_a_flood_of_invented_senders_takes_no_more_memory(broker: str):
    async def use(gate: Gate) -> list[int]:
        taken = []
        for block in (visits(100), visits(20_000)):
            await gate.judge(block, waiting=0)
            with redis.Redis.from_url(broker) as client:
                taken.append(sum(client.memory_usage(key, 0) for key in client.scan_iter("{outagemap:flood}:*")))
        return taken

    few, many = with_gate(use)
    assert few == many < 12 << 20

    async def own(gate: Gate) -> int:
        for i in range(3):
            await gate.judge([(Pseudonyms(n, n), 1) for n in range(i * 50_000, (i + 1) * 50_000)], waiting=0)
        return len(gate._own.counts)

    assert with_gate(own, away=True) == flood.OWN_LIMIT


def test_the_broker_holds_nobodys_number_and_nothing_for_long(broker: str):
    who = Pseudonyms(-4_711_000_815, 1_234_567_890_123)

    async def use(gate: Gate) -> None:
        await gate.judge([(who, 3)] * 20, waiting=0)
        assert await gate.spend("a solution", seconds=360)

    with_gate(use)
    with redis.Redis.from_url(broker) as client:
        keys = list(client.scan_iter("{outagemap:flood}:*"))
        assert len(keys) == 3
        for key in keys:
            assert 0 < client.pttl(key) <= 2 * flood.WINDOW_SECONDS * 1000
            held = key + (client.get(key) or b"")
            for number in (who.person, who.network):
                for text in (str(number).encode(), number.to_bytes(8, "little", signed=True)):
                    assert text not in held


def test_the_counts_are_not_appended_to_the_brokers_file(broker: str):
    with redis.Redis.from_url(broker) as client:
        if not client.info("persistence")["aof_enabled"]:
            pytest.skip("this broker keeps no file")
        before = client.info("persistence")["aof_current_size"]
        with_gate(lambda gate: gate.judge(visits(1000), waiting=0))
        assert client.info("persistence")["aof_current_size"] - before < 200


# --- Solutions -------------------------------------------------------------------------------------------------------


def solution(challenge: dict[str, Any], **other: Any) -> str:
    made = altcha.Challenge(**{("max_number" if name == "maxNumber" else name): v for name, v in challenge.items()})
    number = altcha.solve_challenge(made).number
    said = {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")}
    text = json.dumps({**said, "number": number, **other})
    return b64encode(text.encode()).decode()


def test_a_solution_proves_something_for_whom_it_was_asked_of():
    challenge = proof.challenge(-7, hashes=500)
    assert proof.solved(solution(challenge), person=-7) == challenge["signature"]
    assert proof.solved(solution(challenge), person=8) is None


def test_a_forged_solution_proves_nothing():
    challenge = proof.challenge(7, hashes=500)
    options = altcha.ChallengeOptions(max_number=5, hmac_key="mine", salt=str(challenge["salt"]))
    own = altcha.create_challenge(options).to_dict()
    for forged in (
        solution(own),
        solution(challenge, number=-1),
        solution(challenge, number="1"),
        solution(challenge, signature="0" * 64),
        solution(challenge, algorithm="SHA-1"),
        solution(challenge, salt=5),
        # The same with another expiry, and one that the library would take for the same.
        solution(challenge, salt=str(challenge["salt"]).replace("expires=1", "expires=2")),
        solution(challenge, salt=str(challenge["salt"]).removesuffix("&")),
        "",
        "no base64!",
        b64encode(b"[1]").decode(),
        b64encode(b"[" * 700).decode(),
        "x" * 2000,
        17,
        None,
    ):
        assert proof.solved(forged, person=7) is None


def test_a_solution_comes_too_late_after_five_minutes():
    from datetime import UTC, datetime, timedelta

    asked_at = datetime.now(UTC) - timedelta(seconds=proof.EXPIRES_SECONDS + 2)
    assert proof.solved(solution(proof.challenge(7, hashes=100, now=asked_at)), person=7) is None


@pytest.mark.parametrize("away", [False, True], ids=["broker", "broker away"])
def test_a_solution_serves_once(away: bool):
    async def use(gate: Gate) -> list[bool]:
        return [await gate.spend("one", seconds=60) for _ in range(2)] + [await gate.spend("two", seconds=60)]

    assert with_gate(use, away=away) == [True, False, True]


@pytest.mark.parametrize("away", [False, True], ids=["broker", "broker away"])
def test_however_many_solutions_were_spent_a_new_one_serves(away: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flood, "OWN_LIMIT", 100)

    async def use(gate: Gate) -> tuple[list[bool], int]:
        spent = [await gate.spend(f"solution {number}", seconds=60) for number in range(150)]
        spent.append(await gate.spend("solution 149", seconds=60))
        return spent, len(gate._spent)

    spent, noted = with_gate(use, away=away)
    assert spent == [True] * 150 + [False]
    assert noted == 100


# --- What is answered ------------------------------------------------------------------------------------------------


def post(**more: str) -> Any:
    return ask(json.dumps({**GOOD, **more}).encode(), client=(ADDRESS, 1))


def test_over_the_soft_limit_the_endpoint_asks_and_takes_the_solution_once(committed: Catalogue):
    before = asked(*(post() for _ in range(PERSON_SOFT)))
    assert {one.status for one in before} == {202}
    refused = asked(post())[0]
    assert refused.status == 403
    assert refused.json["code"] == "proof_needed"
    assert refused.headers["access-control-allow-origin"] == "*"
    solved = solution(refused.json["challenge"])
    accepted, again = asked(post(altcha=solved), post(altcha=solved))
    assert sorted((accepted.status, again.status)) == [202, 403]
    assert asked(post(altcha="forged"))[0].status == 403
    assert sum(InboxBlock.objects.values_list("reports", flat=True)) == PERSON_SOFT + 1


def test_over_the_limit_the_endpoint_says_when_to_come_again(committed: Catalogue):
    answers = asked(*(post() for _ in range(PERSON_LIMIT + 1)))
    last: Answer = next(one for one in answers if one.status == 429)
    assert 0 < int(last.headers["retry-after"]) <= flood.WINDOW_SECONDS + 31
    assert "come again in" in last.json["detail"]
    # Somebody else is not concerned.
    assert asked(ask(json.dumps(GOOD).encode(), client=("198.51.100.78", 1)))[0].status == 202


def test_a_solution_in_ordinary_times_does_no_harm(committed: Catalogue):
    assert asked(post(altcha="what is this?"))[0].status == 202


def test_the_form_says_it_kindly(committed: Catalogue):
    form = {"country": "GB", "region": "", "kind": "down", "problem": ""}

    async def run() -> list[Any]:
        coalescer.of_this_loop()
        client = AsyncClient()
        try:
            sent = [await client.post(reverse("report", args=["whatsapp"]), form) for _ in range(PERSON_LIMIT + 1)]
        finally:
            await coalescer.of_this_loop().close()
        return sent

    # The client's address is the machine's own: the network has no limit, the person has.
    answers = asyncio.run(run())
    assert [one.status_code for one in answers[:PERSON_SOFT]] == [303] * PERSON_SOFT
    asks, ends = answers[PERSON_SOFT], answers[-1]
    assert (asks.status_code, ends.status_code) == (403, 429)
    for one, said in ((asks, "tell people from programs"), (ends, "as many reports as we take from one person")):
        text = one.content.decode()
        assert said in text
        assert "noscript" in text
        assert re.search(r'<option value="GB"[^>]* selected>', text)
        assert 0 < int(one["Retry-After"]) <= flood.WINDOW_SECONDS + 31
        assert not one.cookies


def test_no_address_is_stored_or_logged(
    committed: Catalogue, broker: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    answers = asked(*(post() for _ in range(PERSON_LIMIT + 2)))
    challenge = next(one for one in answers if one.status == 403)
    asked(post(altcha=solution(challenge.json["challenge"])))
    with_gate(lambda gate: gate.judge(visits(3), waiting=0), away=True)
    said = [caplog.text, *capfd.readouterr(), *(one.text for one in answers)]
    with redis.Redis.from_url(broker) as client:
        for key in client.scan_iter("{outagemap:flood}:*"):
            said += [repr(key), repr(client.get(key))]
    packed = bytes(int(part) for part in ADDRESS.split("."))
    for text in said:
        assert ADDRESS not in text
        assert ADDRESS.rpartition(".")[0] not in text
        assert repr(packed)[2:-1] not in text
