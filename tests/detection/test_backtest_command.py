from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command

from tests.detection.conftest import START

REGIONS = "region,parent,utc_offset_minutes\nAA-1,AA,60\nAA-2,AA,60\nBB-1,BB,0\n"


def _time(minute: int) -> str:
    return datetime.fromtimestamp((START + minute) * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _recording(path: Path, *, days: int = 3) -> None:
    rng = np.random.default_rng(2)
    lines = ["minute,service,region,reports"]
    for minute in range(days * 1440):
        for region in ("AA-1", "AA-2", "BB-1"):
            down = region != "BB-1" and days * 1440 - 500 <= minute < days * 1440 - 400
            reports = rng.poisson(2.0 if down else 0.1)
            if reports:
                lines.append(f"{_time(minute)},mail,{region},{reports}")
    path.write_text("\n".join(lines) + "\n")


def test_the_backtest_writes_one_row_per_regional_outage(tmp_path: Path) -> None:
    _recording(tmp_path / "counts.csv")
    (tmp_path / "regions.csv").write_text(REGIONS)
    output = tmp_path / "found.csv"
    tree, start = tmp_path / "regions.csv", _time(2 * 1440)
    call_command("backtest", tmp_path / "counts.csv", output=output, regions=tree, start=start)
    rows = {row["region"]: row for row in csv.DictReader(output.open())}
    assert {"AA-1", "AA-2"} <= set(rows)
    assert "BB-1" not in rows
    begin, end = _time(3 * 1440 - 500), _time(3 * 1440 - 400)
    assert rows["AA-1"]["onset_at"][:15] in {_time(3 * 1440 - 500 + k)[:15] for k in (-10, 0, 10)}
    assert begin <= rows["AA-1"]["detected_at"] < end
    assert rows["AA-1"]["basis"] == "rate"
    assert rows["AA-1"]["restored_low"] <= rows["AA-1"]["restored_at"] <= rows["AA-1"]["restored_high"]
    assert _time(3 * 1440 - 410) <= rows["AA-1"]["restored_at"] <= _time(3 * 1440 - 390)
    assert rows["AA-1"]["incident"] == rows["AA-2"]["incident"]
    assert rows["AA-1"]["declared_at"] > rows["AA-1"]["restored_at"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("minute,service,region\n", "line 1: expected a header"),
        ("minute,service,region,reports\nyesterday,mail,AA-1,3\n", "line 2: expected a minute like"),
        ("minute,service,region,reports\n2026-01-05T00:00Z,mail,ZZ,3\n", "line 2: expected a known region"),
        (
            "minute,service,region,reports\n2026-01-05T00:00Z,mail,AA-1,-3\n",
            "line 2: expected a whole number of reports",
        ),
        ("minute,service,region,reports\n2026-01-05T00:00Z,mail,AA-1\n", "line 2: expected 4 fields"),
        (
            "minute,service,region,reports\n2026-01-05T00:01Z,mail,AA-1,1\n2026-01-05T00:00Z,mail,AA-1,1\n",
            "line 3: expected minutes in order",
        ),
        (
            "minute,service,region,reports\n2026-01-05T00:01Z,mail,AA-1,1\n2026-01-05T00:01Z,mail,AA-1,1\n",
            "line 3: expected each service and region once a minute",
        ),
    ],
)
def test_bad_input_is_named_by_its_line_and_leaves_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, expected: str
) -> None:
    (tmp_path / "counts.csv").write_text(lines)
    (tmp_path / "regions.csv").write_text(REGIONS)
    output = tmp_path / "found.csv"
    with pytest.raises(SystemExit) as stop:
        call_command("backtest", tmp_path / "counts.csv", output=output, regions=tmp_path / "regions.csv")
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["counts.csv", "regions.csv"]
