"""The kill campaign: whatever operation on a file is disturbed, a second run gives the same bits and loses nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "points",
    [
        pytest.param({"analyze": 7, "resume": 5, "ablate": 5, "evaluate": 2, "track": 6}, id="some"),
        pytest.param(
            {"analyze": 100, "resume": 60, "ablate": 60, "evaluate": 30, "track": 90}, id="many", marks=pytest.mark.all
        ),
    ],
)
def test_a_run_disturbed_at_any_file_operation_is_made_whole_by_the_next(tmp_path, points):
    wanted = [f"{verb}={count}" for verb, count in points.items()]
    worker = [sys.executable, "-m", "tests.workers.fault_worker", str(tmp_path), *wanted]
    done = subprocess.run(worker, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert [problem for verb in outcome.values() for problem in verb["wrong"]] == []
    assert {verb: found["points"] for verb, found in outcome.items()} == points
