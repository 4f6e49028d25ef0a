"""A run in parts, by real processes, and merged: the same bits as an undivided run; what is missing is named."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

import sdmetrics as sd
from sdmetrics.analysis.merge import MissingShardsError
from sdmetrics.demo import demo_model
from sdmetrics.errors import Note
from tests.helpers.fakes import NumpyRunner, broken_clip, changes, colours, noise_clip

OPTIONS = ("--provider", "cpu", "--threads", "1", "--batch", "6")
CLIPS = [noise_clip(number) for number in range(90)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with demo_model("motion") as path:
        return shutil.copy(path, tmp_path_factory.mktemp("model") / "model.onnx")


def started(model, run, *more):
    words = [sys.executable, "-m", "sdmetrics", "analyze", str(model), "world:60", "-o", str(run), *OPTIONS, *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return out


def content(run):
    """Everything of a run's results but which processes computed how many of its shards."""
    document = json.loads((run / "results.json").read_text(encoding="utf-8"))
    for name in ("sha256", "ran_on"):
        document.pop(name)
    return document, (run / "units.csv").read_bytes()


def runner(**layers):
    return NumpyRunner({"colours": colours, "changes": changes, **layers})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    sd.analyze(runner(), CLIPS, out=run, batch=6, progress=False)
    return run


def test_three_processes_one_of_them_killed_are_one_run(model, tmp_path, command):
    run, alone = tmp_path / "run", tmp_path / "alone"
    parts = [started(model, run, "--part", f"{index}/3") for index in (1, 2, 3)]
    while not list(run.glob("shards/[0-9]*.npz")):
        time.sleep(0.005)
    parts[2].send_signal(signal.SIGKILL)
    parts[2].communicate(timeout=60)
    assert parts[2].returncode == -signal.SIGKILL
    for part in parts[:2]:
        ended(part)
    names = {path.name for path in run.iterdir()}
    assert names == {"shards", "source.json"}
    code, out, err = command("merge", run)
    assert (code, out) == (1, "")
    assert " shards of " in err
    assert ".npz" in err
    assert err.count("\n") == 1
    assert "part 3/3: " in ended(started(model, run, "--part", "3/3"))
    assert command("merge", run)[0] == 0
    ended(started(model, alone))
    assert content(run) == content(alone)
    assert (run / "report.html").exists()


def test_the_command_without_a_part_measures_what_is_missing(whole, tmp_path):
    total = sd.analyze_part(runner(), CLIPS, "2/3", out=tmp_path, batch=6, progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("shards/[0-9]*.npz")}
    assert 0 < total.used < len(CLIPS)
    sd.analyze(runner(), CLIPS, out=tmp_path, batch=6, progress=False)
    assert content(tmp_path) == content(whole)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_parts_in_folders_that_share_no_disk_are_one_run(whole, tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for index, folder in enumerate(folders, 1):
        sd.analyze_part(runner(), CLIPS, f"{index}/3", out=folder, batch=6, progress=False)
    with pytest.raises(MissingShardsError, match=r"shards of .* are missing, with \d+ of 90 clips: \d\d-\d{5}.npz, "):
        sd.merge(folders[:2], out=tmp_path / "sum")
    assert not (tmp_path / "sum").exists()
    sd.merge(folders[::-1], out=tmp_path / "sum")
    assert content(tmp_path / "sum") == content(whole)
    assert sd.Results.load(tmp_path / "sum").settings == sd.Results.load(whole).settings


def test_another_estimator_is_computed_without_model_and_clips(whole, tmp_path):
    shutil.copytree(whole / "shards", tmp_path / "shards")
    merged = sd.merge([tmp_path], estimator="icc", threshold=0.4)
    again = sd.analyze(runner(), CLIPS, estimator="icc", threshold=0.4, batch=6, progress=False)
    assert (merged.layers, merged.units) == (again.layers, again.units)


def test_the_sum_of_runs_does_not_depend_on_their_order(tmp_path, command):
    runs = [tmp_path / name for name in ("x", "y", "z")]
    for number, run in enumerate(runs):
        sd.analyze(runner(), CLIPS[30 * number : 30 * number + 30], out=run, batch=6, progress=False)
    first, second, steps = (tmp_path / name for name in ("first", "second", "steps"))
    merged = sd.merge(runs, out=first)
    sd.merge([runs[2], runs[0], runs[1]], out=second)
    sd.merge([sd.merge(runs[:2], out=tmp_path / "two") and tmp_path / "two", runs[2]], out=steps)
    assert content(first) == content(second) == content(steps)
    whole = sd.analyze(runner(), CLIPS, batch=6, progress=False)
    assert merged.clips == whole.clips
    for mine, theirs in zip(merged.layers, whole.layers, strict=True):
        assert mine["scores"] == pytest.approx(theirs["scores"], abs=1e-9)
        assert mine["percent"] == pytest.approx(theirs["percent"], abs=1e-9)
    # The sum is a run: other commands read it, and it is merged again from its own shards.
    assert sd.Results.load(first) == merged
    assert sd.compare({"first": first, "second": second}).differences[-1]["percent_static"] == 0
    assert command("report", first)[0] == 0
    assert command("check", first, "--require", f"{merged.layers[0]['name']}.units >= 1")[0] in (0, 1, 2)
    assert sd.merge([first]).units == merged.units
    code, _, err = command("ablate", first)
    assert code == 2
    assert err.startswith("error: ")
    assert "was not made from a model file" in err
    next(iter((first / "shards").glob("[0-9]*.npz"))).unlink()
    with pytest.raises(MissingShardsError, match="of 90 clips; merge again the runs that it was made of"):
        sd.merge([first])


def test_runs_that_share_clips_are_refused_by_name(tmp_path):
    sd.analyze(runner(), CLIPS[:30], out=tmp_path / "x", batch=6, progress=False)
    sd.analyze(runner(), CLIPS[28:60], out=tmp_path / "y", batch=6, progress=False)
    names = ", ".join(sorted(clip.id for clip in CLIPS[28:30]))
    with pytest.raises(sd.InputError, match=rf"^2 clip\(s\) are in .* and in .*: {names}\. Leave one"):
        sd.merge([tmp_path / "x", tmp_path / "y"], out=tmp_path / "sum")


def test_runs_that_differ_in_more_than_clips_are_refused(tmp_path):
    sd.analyze(runner(), CLIPS[:30], out=tmp_path / "x", batch=6, progress=False)
    sd.analyze(runner(), CLIPS[30:60], seed=1, out=tmp_path / "y", batch=6, progress=False)
    with pytest.raises(sd.InputError, match=r"are not runs of one model over other clips: seed was [01], is [01]"):
        sd.merge([tmp_path / "x", tmp_path / "y"], out=tmp_path / "sum")


def test_a_clip_that_may_be_readable_later_keeps_its_shard_missing(tmp_path):
    import dataclasses
    import errno

    def fail():
        raise OSError(errno.EIO, "Input/output error")

    clips = [*CLIPS[:20], dataclasses.replace(CLIPS[20], load=fail)]
    with pytest.warns(Note, match="may be usable another time"):
        sd.analyze_part(runner(), clips, "1/1", out=tmp_path, batch=6, progress=False)
    with pytest.raises(MissingShardsError, match=r"^1 of "):
        sd.merge([tmp_path])


def test_a_clip_that_is_damaged_is_skipped_in_the_sum_too(tmp_path):
    clips = [*CLIPS[:20], broken_clip()]
    sd.analyze(runner(), clips, out=tmp_path / "alone", batch=6, progress=False)
    for index in (1, 2):
        sd.analyze_part(runner(), clips, f"{index}/2", out=tmp_path / "run", batch=6, progress=False)
    assert sd.merge([tmp_path / "run"]).clips["skipped"][0]["id"] == broken_clip().id
    assert content(tmp_path / "run") == content(tmp_path / "alone")


def test_what_is_no_run_is_one_line(tmp_path):
    with pytest.raises(sd.InputError, match="does not exist; pass the folder"):
        sd.merge([tmp_path / "nothing"])
    with pytest.raises(sd.InputError, match=r"has no shards/settings.json; pass the folder"):
        sd.merge([tmp_path])
    with pytest.raises(sd.InputError, match="there are no runs"):
        sd.merge([], out=tmp_path)
    with pytest.raises(sd.InputError, match=r"2 runs are to be merged; pass out \(--out\)"):
        sd.merge([tmp_path, tmp_path / "b"])
