"""Standard output as it can be: in ASCII, in Latin-1, closed, or left by its reader."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sdmetrics.cli.console.tables import Estimate, plain_table, results_table
from sdmetrics.cli.console.terminal import BROKEN_PIPE, Terminal, prepare_streams
from sdmetrics.report.words import estimate
from tests.helpers.runs import run

SDMETRICS = (sys.executable, "-m", "sdmetrics")


def sdmetrics(*words, redirected="", **environment):
    """Run the command in a shell that redirects its streams."""
    line = f'"$@" {redirected}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, "bash", *SDMETRICS, *map(str, words)],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A finished run of few clips."""
    from sdmetrics.demo import run_demo

    out = tmp_path_factory.mktemp("demo")
    run_demo(out, clips=24)
    return out / "motion"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_signs_that_an_encoding_lacks_are_replaced(encoding, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_streams()
    console = Terminal(width=60)
    console.print(results_table(run({"étape漢": (0.5, 0.7)}), "model"))
    console.print(plain_table("t", ("a → b", "change"), [("“…” 8 × 8", Estimate(estimate(-0.07, (-0.19, 0.01))))]))
    stream.seek(0)
    text = stream.read()
    assert "tape?" in text
    assert "8 x 8" in text or "8 × 8" in text
    assert "-0.07 [-0.19, 0.01]" in text


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}])
@pytest.mark.parametrize("words", [("--help",), ("analyze", "--help"), ("check", "RUN", "--require", "é−漢 > 3")])
def test_a_command_prints_in_any_encoding(demo, words, environment):
    done = sdmetrics(*(demo if word == "RUN" else word for word in words), **environment)
    assert done.returncode == (2 if "RUN" in words else 0)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == ("RUN" in words)


def test_a_reader_that_leaves_ends_the_command_quietly(demo):
    words = [word for _ in range(9_000) for word in ("--require", "stage4.dynamic >= 1")]
    done = sdmetrics("check", demo, *words, redirected="| head -1")
    assert done.stdout.startswith("holds: stage4.dynamic >= 1")
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, "")


@pytest.mark.parametrize("redirected", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_runs_without_streams(demo, redirected):
    done = sdmetrics("check", demo, "--require", "stage4.dynamic >= 1", redirected=redirected)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_is_written_into_a_file_in_the_place_of_a_closed_stream(demo, tmp_path):
    page = tmp_path / "page.html"
    assert sdmetrics("report", demo, "-o", page, redirected=">&- 2>&-").returncode == 0
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_one_line(demo):
    done = sdmetrics("check", demo, "--require", "stage4.dynamic >= 1", redirected="> /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_only_the_terminal_makes_a_console():
    """What is printed past `Terminal` is markup, and may steer the terminal."""
    made = {
        path.name: re.findall(r"\bConsole\(|from_markup\(|\bmarkup=True|\bescape\(", path.read_text(encoding="utf-8"))
        for path in (Path(__file__).parents[3] / "sdmetrics").rglob("*.py")
    }
    # The progress bars on standard error, whose columns have markup off.
    assert {name: found for name, found in made.items() if found} == {"_progress.py": ["Console("]}
