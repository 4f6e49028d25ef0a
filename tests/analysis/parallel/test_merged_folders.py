"""What `merge` knows beyond shards: where a run stopped, and from which model and clips it is made."""

from __future__ import annotations

import shutil

import pytest

import sdmetrics as sd
from sdmetrics.analysis.merge import MissingShardsError
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.demo import demo_model
from sdmetrics.errors import Note
from sdmetrics.loading.run_source import RunSource
from tests.analysis.parallel.test_parts import runner
from tests.helpers.sources import noise

CLIPS = [noise(number) for number in range(300)]
MORE = {"batch": 6, "progress": False}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run that stopped."""
    run = tmp_path_factory.mktemp("runs") / "stopped"
    results = sd.analyze(runner(), CLIPS, out=run, until=2.0, **MORE)
    assert results.stopped["reached"]
    assert results.rounds is not None
    return run


@pytest.fixture
def stopped(measured, tmp_path):
    return shutil.copytree(measured, tmp_path / "stopped")


@pytest.mark.parametrize("out", ["stopped", "elsewhere"])
def test_a_run_that_stopped_is_merged_as_it_is(stopped, tmp_path, out, command):
    results = sd.Results.load(stopped)
    code, printed, err = command("merge", stopped, *([] if out == "stopped" else ["-o", tmp_path / out]))
    assert (code, err) == (0, "")
    assert f"Stopped after {results.clips['used']} of 300 clips" in printed
    assert sd.Results.load(tmp_path / out) == results
    assert (tmp_path / out / "results.json").read_bytes() == (stopped / "results.json").read_bytes()
    assert sd.merge([tmp_path / out]) == results


def test_shards_before_the_stop_are_missed(stopped):
    sorted((stopped / "shards").glob("[0-9]*-00002.npz"))[0].unlink()
    used = sd.Results.load(stopped).clips["used"]
    with pytest.raises(MissingShardsError, match=rf"^1 of \d+ shards of .* with \d of {used} clips: \d\d-00002.npz"):
        sd.merge([stopped])


def test_an_estimator_that_decided_nothing_needs_all_shards(stopped):
    with pytest.raises(MissingShardsError, match=r"of 300 clips: .* without --part and --until"):
        sd.merge([stopped], estimator="icc")
    with pytest.raises(MissingShardsError, match="of 300 clips"):
        sd.merge([stopped], threshold=0.4)


def test_a_run_that_is_continued_needs_all_shards(stopped):
    sd.analyze_part(runner(), CLIPS, "1/2", out=stopped, **MORE)
    with pytest.raises(MissingShardsError, match="of 300 clips"):
        sd.merge([stopped])
    sd.analyze_part(runner(), CLIPS, "2/2", out=stopped, **MORE)
    merged = sd.merge([stopped])
    assert merged == sd.analyze(runner(), CLIPS, **MORE)
    assert merged.stopped is None


def test_a_run_that_stopped_is_no_summand(stopped, tmp_path):
    sd.analyze(runner(), [noise(number) for number in range(300, 340)], out=tmp_path / "other", **MORE)
    with pytest.raises(MissingShardsError, match=r"shards of .*stopped are missing, .* without --part and --until"):
        sd.merge([tmp_path / "other", stopped], out=tmp_path / "sum")


@pytest.fixture
def model(tmp_path):
    with demo_model("motion") as path:
        return shutil.copy(path, tmp_path / "model.onnx")


def test_the_sum_of_folders_of_one_run_knows_its_model_and_clips(model, tmp_path, command):
    for index, name in enumerate("ab", 1):
        sd.analyze_part(model, "world:40", f"{index}/2", out=tmp_path / name, progress=False)
    # The first folder comes from a machine whose files are elsewhere.
    RunSource("/elsewhere/model.onnx", RunSource.load(tmp_path / "a").request).save(tmp_path / "a")
    assert command("merge", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "sum")[0] == 0
    source = RunSource.load(tmp_path / "sum")
    assert source == RunSource.load(tmp_path / "b")
    assert (source.model, source.request.path) == (str(model), "world:40")
    shards = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "sum" / "shards").iterdir()}
    sd.analyze(model, "world:40", out=tmp_path / "sum", progress=False)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "sum" / "shards").iterdir()} == shards


def test_a_folder_among_those_that_are_merged_keeps_its_own(model, tmp_path):
    for index, name in enumerate("ab", 1):
        sd.analyze_part(model, "world:40", f"{index}/2", out=tmp_path / name, progress=False)
    RunSource("/elsewhere/model.onnx", None).save(tmp_path / "b")
    before = (tmp_path / "b" / "source.json").read_bytes()
    sd.merge([tmp_path / "a", tmp_path / "b"], out=tmp_path / "b")
    assert (tmp_path / "b" / "source.json").read_bytes() == before


def test_the_sum_of_runs_over_different_clips_knows_its_model(model, tmp_path):
    clips = world_clips(80)
    sd.analyze(model, "world:40", out=tmp_path / "a", progress=False)
    sd.analyze(model, clips[40:], out=tmp_path / "b", progress=False)
    sd.merge([tmp_path / "a", tmp_path / "b"], out=tmp_path / "sum")
    source = RunSource.load(tmp_path / "sum", clips="world:80")
    assert (source.model, source.request.path) == (str(model), "world:80")
    with pytest.raises(sd.InputError, match="were not opened from a path; pass one with --clips"):
        RunSource.load(tmp_path / "sum")


def test_a_damaged_source_is_said(model, tmp_path):
    for index, name in enumerate("ab", 1):
        sd.analyze_part(model, "world:40", f"{index}/2", out=tmp_path / name, progress=False)
    (tmp_path / "a" / "source.json").write_text("{")
    with pytest.warns(Note, match=r"sum has no source.json: .*a/source.json"):
        sd.merge([tmp_path / "a", tmp_path / "b"], out=tmp_path / "sum")
    assert not (tmp_path / "sum" / "source.json").exists()
