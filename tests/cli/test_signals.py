"""Ctrl-C and SIGTERM end a command in one line at any time, and leave no temporary file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from sdmetrics.analysis.results import Results
from sdmetrics.clips.generated.world import MOTIONS

INTERRUPTED = "Interrupted.\n"
TERMINATED = "Terminated. What was finished is kept.\n"


def started(*arguments, launcher=(sys.executable, "-m", "sdmetrics"), own_group=False):
    return subprocess.Popen(
        [*launcher, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=own_group,
        # A shell that runs the tests in the background lets them, and what they start, ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("name", ["sdmetrics._interrupts", "numpy", "sdmetrics.run", "typer", "sdmetrics.cli.app"])
@pytest.mark.parametrize(
    ("number", "code", "line"), [(signal.SIGINT, 130, INTERRUPTED), (signal.SIGTERM, 143, TERMINATED)]
)
def test_a_signal_during_the_imports_is_one_line(name, number, code, line):
    process = started("doctor", launcher=[sys.executable, "-X", "importtime", "-m", "sdmetrics"])
    imported = ""
    while not imported.rstrip().endswith(f" {name}"):
        imported = process.stderr.readline()
        assert imported, "the command ended first"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert [line for line in err.splitlines(keepends=True) if not line.startswith("import time:")] == [line]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGUSR1, 0)])
def test_an_analysis_that_is_ended_is_resumed(demo_model_file, tmp_path, number, code, command):
    run = tmp_path / "run"
    process = started("analyze", demo_model_file, "world:60", "-o", run, "--provider", "cpu", "--threads", 1)
    while not list(run.glob("shards/[0-9]*.npz")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert "Interrupted. Run the same command again" in out
    else:
        assert re.search(r"Stopped: [1-9]\d* of \d+ shards are missing, so no results are written. Run the same", out)
        assert err == "The shard that is being measured is finished first.\n"
    assert not list(run.rglob(".*"))
    assert not (run / "results.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in run.glob("shards/*.npz")}
    assert command("analyze", demo_model_file, "world:60", "-o", run, "--provider", "cpu", "--batch", 48)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert Results.load(run).clips["used"] == 60


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_an_evaluation_that_is_ended_keeps_its_slices(demo_model_file, tmp_path, number):
    file, names = tmp_path / "scores.json", tmp_path / "names.txt"
    names.write_text("\n".join(MOTIONS))
    process = started(
        *("evaluate", demo_model_file, "world:400", "--labels", names, "-o", file, "--provider", "cpu", "--threads", 1)
    )
    while not list(tmp_path.rglob("scores.json.parts/*/[0-9]*.npz")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "The shard that is being measured is finished first.\n")
    assert re.search(r"Stopped: [1-9]\d* of 173 shards are missing", out)
    assert not file.exists()


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt, 130, INTERRUPTED),
        (EOFError, 2, "error: a file or the standard input ended before its content did\n"),
    ],
)
def test_any_command_that_is_interrupted_says_one_line(command, monkeypatch, error, code, line):
    def fail():
        raise error

    monkeypatch.setattr("sdmetrics.cli.doctor.diagnose", fail)
    assert [command("doctor")[0], command("doctor")[2].lstrip("\n")] == [code, line]


@pytest.fixture
def demo_model_file():
    from sdmetrics.demo import demo_model

    with demo_model("motion") as path:
        yield path


def test_a_library_leaves_the_handlers_of_its_program_alone():
    code = (
        "import signal; handlers = lambda: [signal.getsignal(number) for number in (2, 15)]; before = handlers();"
        "import sdmetrics; print(before == handlers())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def test_workers_of_a_cluster_print_nothing_of_an_interrupt(demo_model_file, tmp_path):
    pytest.importorskip("distributed", reason="distributed is not installed: runs on a Dask cluster are not tested")
    run = tmp_path / "run"
    options = ("-o", run, "--provider", "cpu", "--dask", "local:2")
    process = started("analyze", demo_model_file, "world:6000", *options, own_group=True)
    while not list(run.glob("shards/[0-9]*.npz")) and process.poll() is None:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert "Interrupted. Run the same command again to resume." in out
