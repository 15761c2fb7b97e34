"""Colours: one set, told apart by colour-blind readers and against their background."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

import frontend
from frontend.drawings import PALETTES, box_of, draw_map
from tests.frontend.colours import as_lab, contrast, seen_by

CSS = (Path(frontend.__file__).parent / "static/frontend/site.css").read_text()
INCIDENT = (Path(frontend.__file__).parent / "static/frontend/incident.css").read_text()
SHADES = dict(zip(("light", "dark"), re.findall(r":root \{(.*?)\n *\}", INCIDENT, re.DOTALL), strict=False))
THEMES = dict(zip(("light", "dark"), re.findall(r":root \{(.*?)\n *\}", CSS, re.DOTALL), strict=False))
MAPPED = ("down", "recovering", "restored", "normal")


def variable(theme: str, name: str) -> str:
    found = re.search(rf"--{name}: (#\w+);", THEMES[theme])
    assert found, name
    return found[1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_drawings_have_the_colours_of_the_pages(theme: str) -> None:
    for state in (*MAPPED, "unknown"):
        assert PALETTES[theme][state] == variable(theme, f"state-{state}")
    for name in ("sea", "hatch", "dots", "ink", "paper", "soft"):
        assert PALETTES[theme][name] == variable(theme, name)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eye", ["full", "protan", "deutan", "tritan"])
def test_states_are_told_apart_by_every_eye(theme: str, eye: str) -> None:
    """CIE76 of at least 20 between any two states, by Machado's simulation; patterns and words come on top."""
    for one, other in combinations(MAPPED, 2):
        apart = np.linalg.norm(
            as_lab(seen_by(eye, PALETTES[theme][one])) - as_lab(seen_by(eye, PALETTES[theme][other]))
        )
        assert apart >= 20, (one, other, apart)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("mode", ["rate", "back"])
@pytest.mark.parametrize("eye", ["full", "protan", "deutan", "tritan"])
def test_shades_of_a_mode_rise_in_one_direction_and_are_told_apart(theme: str, mode: str, eye: str) -> None:
    """Lightness carries the order for every eye and in print; neighbours differ by a CIE76 of at least 10, and what is
    not back from every shade by 20."""
    names = [f"{mode}-{number}" for number in range(1, 6)]
    for name in names:
        assert f"--{name}: {PALETTES[theme][name]};" in SHADES[theme]
    seen = [as_lab(seen_by(eye, PALETTES[theme][name])) for name in names]
    steps = [float(other[0] - one[0]) for one, other in pairwise(seen)]
    assert all(step > 7 for step in steps) or all(step < -7 for step in steps), steps
    assert min(np.linalg.norm(other - one) for one, other in pairwise(seen)) >= 10
    down = as_lab(seen_by(eye, PALETTES[theme]["down"]))
    if mode == "back":
        assert min(np.linalg.norm(down - shade) for shade in seen) >= 20
    normal = as_lab(seen_by(eye, PALETTES[theme]["normal"]))
    assert min(np.linalg.norm(normal - shade) for shade in seen) >= 6


def test_the_box_of_an_outline_holds_it() -> None:
    assert box_of("M10 20h5v5h-5z") == (10, 20, 5, 5)
    assert box_of("M100 50l-10 0 0-20 5-5zM0 0h1v1h-1z") == (0, 0, 100, 50)


def test_a_drawing_shows_the_part_of_the_world_that_it_is_about() -> None:
    whole = draw_map({}, theme="light", around=["GB-SCT", "AU-NSW", "CL-AP", "RU-KAM"])
    europe = draw_map({"GB-SCT": "down"}, theme="light", around=["GB-SCT", "DE-BY", "ES-AN"])
    land = draw_map({"GB-SCT": "down"}, theme="light", around=["GB-SCT"])
    left, top, width, height = map(float, europe.view_box.split())
    assert width < 700 < float(whole.view_box.split()[2])
    assert width / height == pytest.approx(2000 / 862, rel=0.02)
    for shape in europe.shapes:
        x, y, wide, tall = box_of(shape.path)
        assert left <= x
        assert x + wide <= left + width
        assert top <= y
        assert y + tall <= top + height
    assert land.view_box == "-10 -10 601 1020"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out(theme: str) -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for the edges of controls and the marks of states."""
    for ground in ("paper", "panel"):
        assert contrast(variable(theme, "ink"), variable(theme, ground)) >= 7
        assert contrast(variable(theme, "soft"), variable(theme, ground)) >= 4.5
        assert contrast(variable(theme, "edge"), variable(theme, ground)) >= 3
    assert contrast(variable(theme, "state-down"), variable(theme, "paper")) >= 3
    assert contrast(variable(theme, "mark-recovering"), variable(theme, "paper")) >= 3
