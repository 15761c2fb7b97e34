"""Pages of lists that are at hand whole."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.api.pagination import page
from reports.status import CursorError


def key(item: tuple[str, int]) -> tuple[str | int, ...]:
    return item


ITEMS = st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9)), unique=True, max_size=20).map(sorted)


@given(ITEMS, st.integers(1, 7))
def test_pages_hold_every_element_once_and_lead_back_the_same_way(items: list[tuple[str, int]], limit: int):
    pages = [page(items, key=key, limit=limit)]
    while pages[-1].next:
        pages.append(page(items, key=key, limit=limit, cursor=pages[-1].next))
    assert [item for one in pages for item in one.results] == items
    assert pages[0].previous is None
    for before, after in pairwise(pages):
        assert after.previous is not None
        assert page(items, key=key, limit=limit, cursor=after.previous).results == before.results


@given(ITEMS, st.integers(1, 7), st.data())
def test_elements_that_went_away_take_no_others_with_them(
    items: list[tuple[str, int]], limit: int, data: st.DataObject
):
    first = page(items, key=key, limit=limit)
    if first.next is None:
        return
    left = [item for item in items if data.draw(st.booleans())]
    second = page(left, key=key, limit=limit, cursor=first.next)
    assert list(second.results) == [item for item in left if item > first.results[-1]][:limit]


@pytest.mark.parametrize("cursor", ["", "!", "bm9wZQ", "W10", "WyJ4IiwxXQ"])
def test_a_made_up_cursor_is_refused(cursor: str):
    if cursor:
        with pytest.raises(CursorError):
            page([("a", 1)], key=key, limit=1, cursor=cursor)


@given(st.text(max_size=30))
def test_no_text_at_all_breaks_it(cursor: str):
    with suppress(CursorError):
        page([("a", 1), ("b", 2)], key=key, limit=1, cursor=cursor)
