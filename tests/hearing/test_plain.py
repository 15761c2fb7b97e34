import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.hearing import plain


@pytest.mark.parametrize(
    ("markup", "read"),
    [
        ("<p>We are <b>looking</b> into it.</p><p>More&nbsp;soon.</p>", "We are looking into it.\nMore soon."),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("before<script>alert(1)</script>after<style>p{}</style>", "beforeafter"),
        ("<SCRIPT src=x>alert(1)</SCRIPT >said", "said"),
        ("<script>never closed", ""),
        ("<!-- hidden -->said<!-- never closed", "said"),
        ("<img src=x onerror=alert(1)>said", "said"),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("&lt;b&gt; is text", "<b> is text"),
        ("&#8238;dlrow&#x202e; olleh", "dlrow olleh"),
        ("pay\u200bpal \u2066x\u2069\ufeff", "paypal x"),
        ("nul\x00 and \ud800half", "nul and half"),
        ("e\u0301" + "\u0301" * 50, "é" + "\u0301" * 3),
        ("&#" + "9" * 5000 + ";x", "9" * 3999 + "…"),
    ],
)
def test_what_is_read_is_what_a_reader_sees(markup: str, read: str) -> None:
    assert plain.of_markup(markup) == read


def test_no_text_is_longer_than_allowed() -> None:
    assert len(plain.of_markup("word " * 10_000)) <= plain.MOST_LETTERS
    assert plain.of_markup("word " * 10_000).endswith("…")
    assert len(plain.line("x\n" * 1000)) <= plain.TITLE_LETTERS


@pytest.mark.parametrize("piece", ["<", "<!--", "<a b=", "<a b='", "</", "<?", "<!", "&", "&#x", "<script>", "<p><"])
def test_hostile_markup_takes_no_longer_than_any_other(piece: str) -> None:
    began = time.monotonic()
    plain.of_markup(piece * 100_000)
    assert time.monotonic() - began < 5


@given(st.text() | st.text(alphabet="<>!-&#;/ab'\"=scriptx0\u202e\x00"))
def test_whatever_comes_is_text_without_signs_that_nobody_sees(markup: str) -> None:
    import unicodedata

    read = plain.of_markup(markup)
    read.encode()
    assert not [sign for sign in read if unicodedata.category(sign)[0] == "C" and sign != "\n"]
    assert plain.cleaned(read) == read


@pytest.mark.parametrize(
    ("given_address", "kept"),
    [
        ("https://stspg.io/x", True),
        ("http://status.example.org/x?a=b", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//status.example.org/", False),
        ("https://user:word@example.org/", False),
        ("https://example.org/" + "a" * 600, False),
        ("https://exa mple.org/", False),
        ("https://exämple.org/", False),
        ("", False),
        (None, False),
        (5, False),
    ],
)
def test_only_an_address_of_the_web_is_led_to(given_address: object, kept: bool) -> None:
    assert plain.address(given_address) == (given_address if kept else "")
