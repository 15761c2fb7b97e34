"""A program: the SVG on standard input as a PNG on standard output, with the letters of the named font files only."""

from __future__ import annotations

import os
import sys

import resvg_py


def main() -> None:
    """Draws one picture, when nobody else needs the processor."""
    os.nice(19)
    svg = sys.stdin.buffer.read().decode()
    sys.stdout.buffer.write(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True, font_files=sys.argv[1:]))


if __name__ == "__main__":
    main()
