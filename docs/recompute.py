"""Works out again what Outagemap said of an incident, from what it published, and says where the two differ.

    python recompute.py https://site/api/v1/incidents/OUT-2026-0142/             asks the site
    python recompute.py https://site/api/v1/incidents/OUT-2026-0142/ --save kept and keeps kept.json and kept.csv
    python recompute.py kept.json kept.csv                                       later, without a network

Needs Python 3.9 or newer and nothing else: nothing of Outagemap, no database, no package. Exit status 0 where
everything agrees, 1 where something does not, 2 where the answers cannot be read.

What goes in: the incident, its regions and its timeline (JSON), and export.csv, with one line for each minute and
region: reports, "works again" votes, networks not seen within the last hour, and the reports expected by the fit that
`baseline_version` names (further fits that a decision names have columns `expected_VERSION`).

What is worked out, for each decision (formulae and parameters: docs/detection.md; figures by name: docs/data.md):

  observed, votes   sums over the window [end - minutes, end); networks likewise
  expected          sum over the window of the fit's expectation, averaged within each ten minutes of the clock, times
                    the slow factor of these ten minutes, plus `late_reports` (stragglers of an outage just over)
  log10 p           of P(N >= observed), N negative binomial with mean m = null_inflation x expected + 0.0001 and
                    1/k = clumping / m + dispersion + 1 / strength; and, where the decision was taken by it, that it
                    passes the threshold (with `rest_of_country` times the expected, where that is told)
  largest network   cannot be recomputed, because who sent what is not published: only that the share told is that of
                    the reports told, and no more than were counted
  since the onset   reports and votes of the last `minutes_since_onset` minutes, and of the last
                    `minutes_since_restored` where a region is said to be back
and for each region: reports, votes and networks in all, the peak, and that a restoration lies in its interval, after
the onset and before we said so. Told but not recomputed: onset, slow factor, the posterior of a restoration,
confidence, and echoes (told with the figures of another service).

One honest reason for a difference: reports that were accepted and written down only after the decision (the site was
overloaded) are in the export and were not seen by it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
import urllib.request
from collections import defaultdict
from datetime import datetime, timezone
from typing import Any, NamedTuple

KEPT_MINUTES = 128  # what the detector looks back on, and so averages its expectations over
SEGMENT = 10  # minutes for which one slow factor holds
PEAK = 5  # minutes that a peak is counted over
LARGEST_SHAPE = 1e7  # beyond it the negative binomial is a Poisson


class Row(NamedTuple):
    """What was said, what comes out, and whether they agree."""

    what: str
    told: str
    recomputed: str
    agrees: bool


def minute(text: str) -> int:
    """Whole minutes since 1970-01-01T00:00Z, of an instant in ISO 8601."""
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) // 60


def clock(at: int) -> str:
    """The minute as people read it."""
    return datetime.fromtimestamp(at * 60, timezone.utc).strftime("%Y-%m-%d %H:%M")


class Export:
    """The lines of export.csv, by region and minute."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, dict[int, dict[str, str]]] = defaultdict(dict)
        for line in csv.DictReader(io.StringIO(text)):
            self.lines[line["region"]][minute(line["minute"])] = line
        if not self.lines:
            raise ValueError("the export holds no line")

    def total(self, region: str, column: str, start: int, end: int) -> int:
        """The sum of a column over the minutes [start, end)."""
        lines = self.lines.get(region, {})
        return sum(int(lines[at][column]) for at in range(start, end) if at in lines)

    def fit(self, region: str, version: str, at: int) -> float | None:
        """Reports expected in a minute by a fit; None where the export does not say."""
        line = self.lines.get(region, {}).get(at)
        if line is None:
            return None
        text = line["expected"] if line["baseline_version"] == version else line.get("expected_" + version, "")
        return float(str(text)) if text else None


def slow_factor(figures: dict[str, float], back: int) -> float:
    """The slow factor of the ten minutes that lie `back` before the present ones; told only where it changed."""
    factor = figures["slow_factor"]
    for i in range(1, back + 1):
        factor = figures.get("slow_factor_%d" % i, factor)
    return factor


def expected(export: Export, spoke: dict[str, Any]) -> float | None:
    """Reports expected in the window of a decision."""
    end, region, version = minute(spoke["window_end_at"]), spoke["region"], spoke["baseline_version"]
    means: dict[int, list[float]] = defaultdict(list)
    for at in range(end - KEPT_MINUTES, end):
        usual = export.fit(region, version, at)
        if usual is not None:
            means[at // SEGMENT].append(usual)
    result = float(spoke["figures"].get("late_reports", 0.0))
    for at in range(end - spoke["window_minutes"], end):
        usual_here = means.get(at // SEGMENT)
        if not usual_here:
            return None
        factor = slow_factor(spoke["figures"], (end - 1) // SEGMENT - at // SEGMENT)
        result += factor * sum(usual_here) / len(usual_here)
    return result


def log10_tail(count: int, mean: float, shape: float) -> float:
    """log10 of P(N >= count) for N negative binomial with variance mean + mean^2 / shape: its terms, summed."""
    if count <= 0:
        return 0.0
    k, n = min(shape, LARGEST_SHAPE), float(count)
    q = mean / (mean + k)
    log_term = math.lgamma(n + k) - math.lgamma(k) - math.lgamma(n + 1) + k * math.log1p(-q) + n * math.log(q)
    term = total = 1.0
    while term > 1e-13 * total or n < mean:
        term *= (n + k) / (n + 1) * q
        total += term
        n += 1
    return min((log_term + math.log(total)) / math.log(10), 0.0)


def under_null(observed: int, usual: float, figures: dict[str, float]) -> float:
    """log10 of the probability of so many where `usual` are expected, by what the evidence says of the null."""
    mean = figures["null_inflation"] * usual + 1e-4
    spread = figures["clumping"] / mean + figures["dispersion"] + 1 / figures["strength"]
    return log10_tail(observed, mean, 1 / spread)


def close(told: float, found: float, relative: float, absolute: float) -> bool:
    """Whether two figures are the same but for rounding."""
    return abs(told - found) <= absolute + relative * abs(told)


def decision_row(export: Export, spoke: dict[str, Any]) -> Row:
    """One decision."""
    figures, end, region = spoke["figures"], minute(spoke["window_end_at"]), spoke["region"]
    start, wrong = end - spoke["window_minutes"], []
    observed, votes, networks = (export.total(region, c, start, end) for c in ("reports", "working", "networks"))
    for name, told, found in (("observed", spoke["observed"], observed), ("votes", spoke["working"], votes)):
        if told != found:
            wrong.append(name)
    if spoke["networks"] is not None and spoke["networks"] != networks:
        wrong.append("networks")
    once = figures.get("service_networks")
    if once is not None and once != export.total(region, "service_networks", start, end):
        wrong.append("networks of the service")
    # Decisions of the first versions did not tell what their null was made of.
    usual, tail = expected(export, spoke) if "null_inflation" in figures else None, None
    if usual is None or not close(spoke["expected"], usual, 1e-3, 1e-4):
        wrong.append("expected")
    if usual is not None:
        tail = under_null(observed, usual, figures)
        if not close(spoke["log10_p"], tail, 1e-3, 5e-3):
            wrong.append("log10 p")
        # A region in a busy country must stand out from that, too.
        least = under_null(observed, usual * figures.get("rest_of_country", 1.0), figures)
        if spoke["threshold"] is not None and least > spoke["threshold"] + 5e-3:
            wrong.append("threshold")
    largest = spoke["largest_network"]
    share = largest / observed if largest and observed else None
    if largest is not None and (share is None or share > 1 or not close(spoke["largest_share"], share, 1e-3, 0)):
        wrong.append("largest network")
    for event in ("onset", "restored"):
        since = end - int(figures.get("minutes_since_" + event, 0))
        for name, column in (("reports_since_" + event, "reports"), ("votes_since_" + event, "working")):
            if name in figures and figures[name] != export.total(region, column, since, end):
                wrong.append(name.replace("_", " "))
    what = "%s %-8s %-10s" % (clock(end), region, spoke["decision"])
    told = words(spoke["observed"], spoke["expected"], spoke["log10_p"], spoke["networks"], spoke["working"])
    known = networks if spoke["networks"] is not None else None
    return Row(what, told, words(observed, usual, tail, known, votes) + wrongs(wrong), not wrong)


def words(observed: int, usual: float | None, tail: float | None, networks: int | None, votes: int) -> str:
    """The figures of a decision in one line."""
    e, p, n = ("?" if x is None else f"{x:.{digits}f}" for x, digits in ((usual, 3), (tail, 2), (networks, 0)))
    return f"{observed} of {e}, p 10^{p}, {n} networks, {votes} votes"


def wrongs(names: list[str]) -> str:
    """What does not agree, in brackets."""
    found = ", ".join(names)
    return " [%s]" % found if found else ""


def region_row(export: Export, row: dict[str, Any], end: int | None) -> Row:
    """One region over the whole incident."""
    onset, columns = minute(row["onset_at"]), ("reports", "working", "networks")
    sums = [row[column] if end is None else export.total(row["region"], column, onset, end) for column in columns]
    wrong = [column for column, found in zip(columns, sums) if row[column] != found]
    if row["peak_at"] and not peak_agrees(export, row["region"], row["peak_at"], row["peak_reports"]):
        wrong.append("peak")
    if row["restored_at"]:
        order = [row[name] for name in ("onset_at", "restored_low", "restored_at", "restored_high")]
        if order != sorted(order) or row["restored_at"] > row["declared_at"] or not row["basis"]:
            wrong.append("interval")
    told = "%d reports, %d votes, %d networks" % tuple(row[column] for column in columns)
    found = "%d reports, %d votes, %d networks" % tuple(sums)
    return Row("%-16s %-8s %-10s" % ("in all", row["region"], row["state"]), told, found + wrongs(wrong), not wrong)


def peak_agrees(export: Export, region: str, at: str, reports: int) -> bool:
    """Whether so many reports came in the five minutes up to and with `at`."""
    last = minute(at)
    return export.total(region, "reports", last - PEAK + 1, last + 1) == reports


def rows(answers: dict[str, Any], export: Export) -> list[Row]:
    """Everything that can be worked out again, decisions in order of time, then regions."""
    incident, found = answers["incident"], {}
    spoken = [incident["evidence"], *(row["evidence"] for row in answers["regions"])]
    for spoke in spoken + [line["source"]["evidence"] for line in answers["timeline"]]:
        # An echo is told with the figures of the other service, which are in no export of this one.
        if spoke is not None and spoke["decision"] != "echo" and spoke["region"] is not None:
            found[spoke["id"]] = spoke
    decisions = [decision_row(export, spoke) for _, spoke in sorted(found.items())]
    regions = [region_row(export, row, last_minute(export, incident)) for row in answers["regions"]]
    if incident["peak_at"]:
        agrees = peak_agrees(export, "001", incident["peak_at"], incident["peak_reports"])
        regions.append(Row("peak of all", "%d" % incident["peak_reports"], "the same" if agrees else "another", agrees))
    return decisions + regions


def last_minute(export: Export, incident: dict[str, Any]) -> int | None:
    """Where counting ended: at the resolution, else with the export; None where an administrator ended it."""
    if incident["resolved_at"]:
        whole = minute(incident["resolved_at"])
        return whole if incident["resolved_at"].endswith(":00Z") else whole + 1
    if incident["review"] in ("rejected", "merged"):
        return None
    return 1 + max(at for lines in export.lines.values() for at in lines)


def ask(url: str) -> str:
    """What the site answers."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("expected an address that begins with http:// or https://")
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read(), "utf-8")


def every_page(url: str | None) -> list[Any]:
    """The results of all pages of a list."""
    results: list[Any] = []
    while url:
        page = json.loads(ask(url))
        results += page["results"]
        url = page["next"]
    return results


def read(arguments: list[str]) -> tuple[dict[str, Any], str]:
    """The public answers and the export, from the site or from files."""
    if not arguments[0].startswith("http"):
        with open(arguments[0], encoding="utf-8") as answers, open(arguments[1], encoding="utf-8") as export:
            return json.load(answers), export.read()
    url = arguments[0].rstrip("/") + "/"
    lists = {name: every_page(url + name + "/?limit=500") for name in ("regions", "timeline")}
    answers_now, text = {"incident": json.loads(ask(url)), **lists}, ask(url + "export.csv")
    if arguments[1:2] == ["--save"]:
        with open(arguments[2] + ".json", "w", encoding="utf-8") as kept:
            json.dump(answers_now, kept, indent=1)
        with open(arguments[2] + ".csv", "w", encoding="utf-8") as kept:
            kept.write(text)
    return answers_now, text


def main(arguments: list[str]) -> int:
    """Prints the table; 0 where everything agrees, 1 where something does not, 2 where nothing could be read."""
    try:
        answers, text = read(arguments)
        table = rows(answers, Export(text))
    except (IndexError, KeyError, TypeError, ValueError, OSError) as error:
        print(
            "recompute: %s: %s\n\n%s" % (type(error).__name__, error, (__doc__ or "").split("\n\n")[1]), file=sys.stderr
        )
        return 2
    what, told, found = (max((len(str(row[i])) for row in table), default=0) for i in range(3))
    print(f"{'decision':{what}} | {'told':{told}} | {'recomputed':{found}} | agrees")
    for row in table:
        print(f"{row.what:{what}} | {row.told:{told}} | {row.recomputed:{found}} | {'yes' if row.agrees else 'NO'}")
    differ = sum(not row.agrees for row in table)
    print("%d of %d agree%s" % (len(table) - differ, len(table), "; see NO above" if differ else ""))
    return 1 if differ or not table else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
