"""Badges in a browser's own fonts."""

import pytest

from reports.audience import badges


@pytest.mark.browser
def test_texts_are_as_wide_as_the_badge_expects(browser):
    """Without ``textLength``, in a font with the widths of Helvetica, as it is where the browser has one."""
    page = browser.new_page()
    texts = ["WhatsApp, São Paulo", "down in 1,234 regions", "too few reports to say", "no outage seen"]
    for text in texts:
        page.set_content(
            f'<svg xmlns="http://www.w3.org/2000/svg"><text font-size="{badges.SIZE}"'
            f" font-family=\"Helvetica,Arial,'Liberation Sans'\">{text}</text></svg>"
        )
        measured = page.evaluate("document.querySelector('text').getComputedTextLength()")
        assert badges.width(text) == pytest.approx(measured, rel=0.08), text
    page.close()
