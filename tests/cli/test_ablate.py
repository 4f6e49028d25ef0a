"""`sdmetrics ablate` as a person meets it, on the demo's two models."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.results import Results
from sdmetrics.demo import run_demo
from tests.cli.test_commands import failed

QUICK = ("--fraction", 0.2, "--fraction", 0.8, "--repeats", 2, "--provider", "cpu", "--threads", 1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Runs of both models on few clips; a test that writes copies them."""
    out = tmp_path_factory.mktemp("demo")
    run_demo(out, clips=24)
    return out


@pytest.fixture
def run(demo, tmp_path):
    return shutil.copytree(demo / "motion", tmp_path / "motion")


def ablate(command, run, *options):
    return command("ablate", run, "--labels", run / "classes.txt", *QUICK, *options)


@pytest.mark.parametrize("name", ["motion", "appearance"])
def test_the_models_of_the_demo_lose_what_they_know(command, demo, name, tmp_path):
    run = shutil.copytree(demo / name, tmp_path / name)
    code, out, err = ablate(command, run)
    assert code == 0, err
    assert "stage4, top-1: 24 clips used, 0 skipped" in out
    assert out.count("minus random") == 2 * 2
    assert "units lowers top-1" in out
    assert "random draws that score higher: " in out
    stored = Ablation.load(run)
    assert stored.scores == ["top1", "top5"]
    whole = {p["mean"] for p in stored.curves if p["fraction"] == 0 and p["score"] == "top1"}
    assert len(whole) == 1
    assert whole.pop() > 0.9
    assert min(p["mean"] for p in stored.curves if p["score"] == "top1") < 0.8
    assert {(d["factor"], d["against"]) for d in stored.differences} == {
        (factor, against) for factor in ("dynamic", "static") for against in ("random", "least")
    }
    for point in stored.curves:
        if (point["fraction"], point["score"]) == (0.8, "top1"):
            assert f"{point['mean']:.2f}" in next(line for line in out.splitlines() if line.strip().startswith("80 %"))
    with (run / "ablation.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(stored.rows)
    assert "Unit ablation" in (run / "report.html").read_text()


def test_the_report_of_a_run_shows_what_was_stored(command, demo, run, tmp_path):
    page = tmp_path / "page.html"
    assert command("report", run, "-o", page)[0] == 0
    assert "Unit ablation" not in page.read_text()
    assert ablate(command, run)[0] == 0
    assert command("report", run, demo / "appearance", "-o", page)[0] == 0
    assert "Unit ablation" in page.read_text()
    (run / "ablation.json").write_text("half a {")
    assert failed(command("report", run, "-o", page), "ablation.json is damaged", "repeat `sdmetrics ablate`")


def test_layers_clips_and_model_can_be_chosen(command, run, tmp_path):
    model = shutil.move(run / "model.onnx", tmp_path / "elsewhere.onnx")
    assert failed(ablate(command, run), "model.onnx", "--model FILE")
    options = ("--model", model, "--clips", "world:6:3", "--layer", "stage2", "-l", "stage3", "--by", "score")
    code, out, err = ablate(command, run, *options)
    assert code == 0, err
    assert "stage2, top-1: 6 clips used" in out
    assert "stage3, top-5: 6 clips used" in out
    stored = Ablation.load(run)
    assert [layer["name"] for layer in stored.layers] == ["stage2", "stage3"]
    assert (stored.by, stored.clips["used"], stored.repeats) == ("score", 6, 2)


def test_a_probe_with_masks_stands_in_for_the_model(command, run, tmp_path):
    probe = tmp_path / "probe.onnx"
    assert command("probe", run / "model.onnx", "-o", probe, "--masks")[0] == 0
    assert ablate(command, run, "--model", probe, "--model-output", "output")[0] == 0
    assert command("probe", run / "model.onnx", "-o", probe)[0] == 0
    assert failed(ablate(command, run, "--model", probe), "has no masks", "--masks -o PROBE")


def test_what_an_ablation_does_differently_than_its_run_is_said(command, run):
    assert "note:" not in ablate(command, run)[1]
    results = Results.load(run)
    results.model["precision"] = "float16"
    results.save(run)
    source = json.loads((run / "source.json").read_text())
    source["clips"]["split"] = "val"
    (run / "source.json").write_text(json.dumps(source))
    code, out, err = ablate(command, run, "--clips", "world:24:0")
    assert code == 0, err
    assert "note: the run measured units with precision float16; the scores are computed with precision float32" in out
    assert "note: --clips replaces the run's clips; its split does not apply" in out


def test_an_interrupted_ablation_resumes(command, run, monkeypatch):
    from sdmetrics.ablation.scoring import Scoring

    store = Scoring.save
    stored = []

    def interrupt(scoring, part, path):
        if len(stored) == 4:
            raise KeyboardInterrupt
        store(scoring, part, path)
        stored.append(path)

    monkeypatch.setattr(Scoring, "save", interrupt)
    code, out, _ = ablate(command, run)
    assert code == 130
    assert "Interrupted. Run the same command again to resume." in out
    before = {path: path.stat().st_mtime_ns for path in stored}
    monkeypatch.setattr(Scoring, "save", store)
    assert ablate(command, run)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in stored} == before
    assert json.loads((run / "ablation.json").read_text())["clips"]["used"] == 24


class TestBadInput:
    def test_labels(self, command, run, tmp_path):
        assert failed(command("ablate", run), "has the label", "without a list of classes only numbers")
        assert failed(command("ablate", run, "--labels", tmp_path / "none.txt"), "none.txt", "cannot be read")
        (tmp_path / "other.txt").write_text("walking\nrunning\n")
        assert failed(command("ablate", run, "--labels", tmp_path / "other.txt"), "not one of the 2 classes")

    def test_another_model_than_the_run_s(self, command, demo, run):
        outcome = ablate(command, run, "--model", demo / "appearance" / "model.onnx")
        assert failed(outcome, "the run is of the model", "model_sha256")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--layer", "stage9"), ("stage9", "stage4")),
            (("--fraction", 30), ("fraction is 30.0", "For 10 % pass 0.1")),
            (("--by", "rank"), ("by is 'rank'", "softmax, score")),
            (("--model-output", "logits"), ("no output 'logits'", "output")),
            (("--clips", "nowhere"), ("nowhere",)),
        ],
    )
    def test_options(self, command, run, options, words):
        assert failed(ablate(command, run, *options), *words)

    def test_a_folder_that_is_no_run(self, command, tmp_path):
        assert failed(command("ablate", tmp_path), "results.json")


def test_analyzing_again_keeps_the_curves_of_an_ablation_that_fits(command, run):
    assert ablate(command, run)[0] == 0
    analyze = ("analyze", run / "model.onnx", "world:24:0", "-o", run, "--provider", "cpu")
    assert command(*analyze)[0] == 0
    assert "Unit ablation" in (run / "report.html").read_text()
    code, out, _ = command(*analyze, "--threshold", 0.4)
    assert code == 0
    assert "note: the report is written without the curves of the ablation" in out
    assert "repeat `sdmetrics ablate`" in out
    assert "Unit ablation" not in (run / "report.html").read_text()


def test_the_clips_of_another_run_are_said_to_be_others(command, run):
    source = json.loads((run / "source.json").read_text())
    source["clips"]["path"] = "world:24:5"
    (run / "source.json").write_text(json.dumps(source))
    code, out, _ = ablate(command, run)
    assert code == 0
    assert "note: the clips are not those that the run measured" in out
