"""sd.analyze(out=…) leaves a folder that later commands need nothing else for."""

import json
import shutil

import pytest

import sdmetrics as sd
from sdmetrics.clips.generated.world import MOTIONS
from sdmetrics.clips.request import ClipRequest
from sdmetrics.demo import demo_model
from sdmetrics.errors import MissingExtra
from sdmetrics.loading.run_source import RunSource
from tests.helpers.fakes import NumpyRunner, colours, noise_clip
from tests.helpers.videos import write_video

CPU = {"provider": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with demo_model("motion") as path:
        return shutil.copy(path, tmp_path_factory.mktemp("model") / "model.onnx")


def test_analyze_from_python_leaves_what_ablate_needs(tmp_path, model, command):
    runner = sd.open_model(model, **CPU)
    run = tmp_path / "run"
    results = sd.analyze(runner, sd.open_clips("world:40:1", runner), out=run, batch=48, progress=False)
    names = {path.name for path in run.iterdir()}
    assert names == {"report.html", "results.json", "units.csv", "source.json", "shards"}
    assert sd.Results.load(run) == results
    assert "stage4" in (run / "report.html").read_text(encoding="utf-8")
    assert RunSource.load(run) == RunSource(str(model), ClipRequest("world:40:1"))

    (tmp_path / "classes.txt").write_text("\n".join(MOTIONS))
    options = ("--labels", tmp_path / "classes.txt", "--fraction", 0.5, "--repeats", 2, "--provider", "cpu")
    code, _, err = command("ablate", run, *options)
    assert (code, err) == (0, "")
    assert json.loads((run / "ablation.json").read_text(encoding="utf-8"))["clips"]["used"] == 40


def test_all_that_was_requested_of_the_clips_is_recorded(tmp_path, model):
    runner = sd.open_model(model, **CPU)
    (tmp_path / "videos").mkdir()
    for number in range(2):
        write_video(tmp_path / "videos" / f"{number}.mp4", 20 + number)
    clips = sd.open_clips(tmp_path / "videos", runner, stride=2)
    sd.analyze(runner, clips, out=tmp_path / "run", progress=False)
    assert RunSource.load(tmp_path / "run").request == ClipRequest(str(tmp_path / "videos"), stride=2)


def test_runners_and_clips_without_files_leave_a_report_and_a_source_that_says_so(tmp_path):
    runner = NumpyRunner({"colours": colours})
    sd.analyze(runner, (noise_clip(number) for number in range(8)), out=tmp_path, progress=False)
    assert (tmp_path / "report.html").exists()
    with pytest.raises(sd.InputError, match="was not made from a model file; pass the file with --model FILE"):
        RunSource.load(tmp_path)


def test_a_missing_report_extra_is_a_warning_and_the_results_are_kept(tmp_path, monkeypatch):
    def missing(*_, **__):
        raise MissingExtra("jinja2 cannot be imported")

    monkeypatch.setattr("sdmetrics.run.write_report", missing)
    with pytest.warns(UserWarning, match=r"the run has no report\.html: jinja2 cannot be imported"):
        sd.analyze(NumpyRunner({"colours": colours}), [noise_clip(n) for n in range(8)], out=tmp_path, progress=False)
    assert sd.Results.load(tmp_path).clips["used"] == 8


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sd.analyze(NumpyRunner({"colours": colours}), [noise_clip(number) for number in range(8)], progress=False)
    assert list(tmp_path.iterdir()) == []
