"""What a frame of the slider costs the scripts of the page, from three regions to every region there is.

The bounds are generous, for a machine that does other things besides; the figures are printed (``-s``).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser_fixtures import show_new_day, watch_page

pytestmark = pytest.mark.alone

# One frame at 60 a second is 16.7 ms, and scripts must leave room for painting: half of it in the middle of all frames.
# The slowest twentieth on a machine that does other things besides says how busy it was.
SCRIPT_MS = 8
SLOWEST_MS = 100
# A cheap telephone computes so many times slower than this machine, by the way in which Lighthouse counts.
CHEAP_PHONE = 4
PLAYS = """async () => {
  const slider = document.querySelector("input[type=range]");
  const script = [];
  const frames = [];
  for (let step = 0; step <= Number(slider.max); step += 1) {
    slider.value = String(step);
    // The page's own request comes first, so it runs before ours in the same frame.
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((resolve) => {
      const asked = performance.now();
      requestAnimationFrame(() => { script.push(performance.now()); resolve(); });
    });
    frames.push(performance.now());
  }
  const gaps = frames.slice(1).map((at, i) => at - frames[i]).sort((a, b) => a - b);
  return gaps;
}"""
MEASURE = """() => {
  window.spent = [];
  const plain = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (call) => plain((at) => {
    const begun = performance.now();
    call(at);
    window.spent.push(performance.now() - begun);
  });
}"""


@pytest.fixture
def wide(transactional_db: None, live_site: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    from reports import clock
    from reports.status import snapshots
    from tests.frontend import wide

    ref = wide.lay(clock.now(), regions=request.param)
    show_new_day(live_site)
    yield ref, request.param or 2718
    snapshots.forget()


@pytest.mark.parametrize("wide", [3, None], indirect=True)
def test_a_frame_costs_little_script_however_many_regions(
    wide: tuple[str, int], browser: Browser, live_site: str
) -> None:
    ref, regions = wide
    with browser.new_context(base_url=live_site, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        complaints = watch_page(page, live_site)
        page.add_init_script(f"({MEASURE})()")
        page.goto(f"/incidents/{ref}/", timeout=120_000)
        page.wait_for_selector("[data-incident-map][data-ready]", timeout=120_000)
        page.locator("[data-incident-map]").scroll_into_view_if_needed()
        devtools = context.new_cdp_session(page)
        for mode, slower in (("state", 1), ("state", CHEAP_PHONE), ("rate", 1)):
            if mode == "rate":
                page.get_by_role("radio", name="Reports against the usual").check(force=True)
                page.wait_for_url("**mode=rate**")
            devtools.send("Emulation.setCPUThrottlingRate", {"rate": slower})
            page.evaluate("window.spent.length = 0")
            gaps = page.evaluate(PLAYS)
            spent = sorted(time for time in page.evaluate("window.spent") if time > 0.02)
            middle, most = spent[len(spent) // 2], spent[int(0.95 * len(spent))]
            print(  # noqa: T201
                f"{regions} regions, {mode}, {slower} times slower: "
                f"script {middle:.1f} ms a frame, 95 % within {most:.1f} ms; "
                f"frames {gaps[len(gaps) // 2]:.1f} ms apart, 95 % within {gaps[int(0.95 * len(gaps))]:.1f} ms"
            )
            assert len(spent) > 50
            assert middle < SCRIPT_MS * slower
            assert most < SLOWEST_MS * slower
        assert not complaints
