"""Colours: one set, told apart by colour-blind readers and against their background."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import frontend
from frontend.drawings import PALETTES
from tests.frontend.colours import as_lab, contrast, seen_by

CSS = (Path(frontend.__file__).parent / "static/frontend/site.css").read_text()
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
def test_text_stands_out(theme: str) -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for the edges of controls and the marks of states."""
    for ground in ("paper", "panel"):
        assert contrast(variable(theme, "ink"), variable(theme, ground)) >= 7
        assert contrast(variable(theme, "soft"), variable(theme, ground)) >= 4.5
        assert contrast(variable(theme, "edge"), variable(theme, ground)) >= 3
    assert contrast(variable(theme, "state-down"), variable(theme, "paper")) >= 3
    assert contrast(variable(theme, "mark-recovering"), variable(theme, "paper")) >= 3
