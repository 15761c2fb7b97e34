"""Every benchmark, one after another, each on a site of its own: a table on standard output, the same as JSON.

``python -m tests.benchmarks [--json FILE] [NAME ...]``; without names all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

# In this order; a name is a module of this folder with a ``run()`` that returns figures by name.
NAMES = ("start", "intake", "batch", "watch", "pages", "readers", "detection", "attack")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NAMES)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    figures: dict[str, dict[str, Any]] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "processor": platform.machine()}
    }
    failed = False
    show("machine", figures["machine"])
    for name in arguments.names or NAMES:
        run = subprocess.run([sys.executable, "-m", "tests.benchmarks.site", name], stdout=subprocess.PIPE, check=False)
        if run.returncode:
            sys.stdout.write(f"\n{name}: failed, see above\n")
            failed = True
            continue
        figures[name] = json.loads(run.stdout)
        show(name, figures[name])
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return int(failed)


def show(name: str, figures: dict[str, Any]) -> None:
    """Writes one benchmark's figures as lines of a table."""
    sys.stdout.write(f"\n{name}\n")
    width = max(map(len, figures), default=0)
    for what, figure in figures.items():
        shown = json.dumps(figure) if isinstance(figure, (dict, list)) else figure
        sys.stdout.write(f"  {what:<{width}}  {shown}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
