"""What changed between two texts: whatever they are, the new one comes out of the old one, and little costs little."""

from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from frontend.deltas import applied, edits

texts = st.text(st.sampled_from("ab<>é字🌍 \n0"), max_size=300)


@given(texts, texts)
def test_the_new_text_comes_out_of_the_old_one(old: str, new: str) -> None:
    assert applied(old.encode(), edits(old.encode(), new.encode())) == new.encode()


@given(texts, texts, texts, st.integers(0, 3))
def test_pieces_moved_doubled_and_taken_out_come_out_right(one: str, two: str, three: str, times: int) -> None:
    old, new = (one + two * 3 + three).encode(), (three + two * times + one).encode()
    assert applied(old, edits(old, new)) == new


def test_a_text_that_did_not_change_is_one_copy() -> None:
    text = "<li>São Paulo: down</li>\n".encode() * 40
    assert edits(text, text) == [0, len(text)]


def test_a_changed_word_in_much_that_repeats_costs_that_word() -> None:
    lines = [f"<tr><td>region {number}</td><td>down</td><td>not yet</td></tr>" for number in range(600)]
    old = "\n".join(lines)
    chosen = random.Random(3).sample(range(600), 12)
    for number in chosen:
        lines[number] = lines[number].replace("not yet", "20:14 UTC").replace("down", "restored")
    new = "\n".join(lines)
    found = edits(old.encode(), new.encode())
    assert applied(old.encode(), found) == new.encode()
    assert len(json.dumps(found)) < 80 * len(chosen)
    assert sum(len(each) for each in found if isinstance(each, str)) < 30 * len(chosen)


def test_no_copy_cuts_a_character_in_two() -> None:
    old, new = "größer als Ägypten " * 9, "größer als Ölmühlen " * 9
    found = edits(old.encode(), new.encode())
    assert applied(old.encode(), found).decode() == new
