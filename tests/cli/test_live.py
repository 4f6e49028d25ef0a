"""A model that cannot be exported, in the command: `sdmetrics analyze my_code.py:build CLIPS` and what follows."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.results import Results
from sdmetrics.clips.generated.world import MOTIONS, world_clips
from sdmetrics.loading.user_code import build_model
from tests.cli.test_commands import failed
from tests.helpers.user_code import write_code

CPU = ("--provider", "cpu")
CLIPS = "world:16"


@pytest.fixture
def code(tmp_path, monkeypatch):
    write_code(tmp_path)
    (tmp_path / "classes.txt").write_text("\n".join(MOTIONS))
    monkeypatch.chdir(tmp_path)
    return "my_code.py:build"


def logits(code, clips):
    """Return what the module itself returns for clips."""
    module = build_model(code).module.eval()
    frames = np.stack([clip.frames for clip in clips]).astype(np.float32)
    video = torch.from_numpy((frames / 255 - 0.45) / 0.225).permute(0, 4, 1, 2, 3).float()
    with torch.no_grad():
        return module(video)["logits"].numpy()


def test_layers(command, code):
    code_, out, err = command("layers", code)
    assert (code_, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "stem clips × 8 × 2 × 12 × 12 1 8 Conv3d" in lines
    assert "tokens clips × 288 × 6 2 6 Linear" in lines
    assert "input video: 4 frame(s) of 24 × 24 as NCTHW" in out
    assert "measured unless --layer names others: stem, tokens" in out
    assert "next: sdmetrics analyze my_code.py:build world:40" in out


def test_analyze_resumes_and_knows_the_model_by_what_it_is(command, code, tmp_path):
    assert command("analyze", code, CLIPS, *CPU)[0] == 0
    run = tmp_path / "runs" / "my_code.build"
    results = Results.load(run)
    assert [layer["name"] for layer in results.layers] == ["stem", "tokens"]
    assert results.model["framework"] == "torch"
    assert (run / "report.html").exists()
    before = {path: path.stat().st_mtime_ns for path in (run / "shards").glob("*.npz")}
    gone, kept = sorted(before)[:2]
    gone.unlink()
    code_, out, err = command("analyze", code, CLIPS, *CPU)
    assert (code_, err) == (0, "")
    assert "my_code.build: 16 clips used, 0 skipped" in out
    assert kept.stat().st_mtime_ns == before[kept]
    assert gone.exists()
    assert Results.load(run).layers == results.layers
    for other in ({"activation": "GELU"}, {"seed": 1}, {"width": 4}):
        write_code(tmp_path, **other)
        assert failed(command("analyze", code, CLIPS, *CPU), "already contains a run with different settings", "model.")


def test_layers_are_chosen_as_of_files(command, code, tmp_path):
    assert command("analyze", code, CLIPS, "-l", "act", "-l", "tokens axis=2", "-o", "run", *CPU)[0] == 0
    assert [layer["name"] for layer in Results.load(tmp_path / "run").layers] == ["act", "tokens"]
    assert failed(command("analyze", code, CLIPS, "-l", "tokenz", *CPU), "Net has no module 'tokenz'", "tokens")


def test_evaluate_scores_what_the_module_returns(command, code, tmp_path):
    options = ("--labels", "classes.txt", "--shuffle", "-o", "scores.json", *CPU)
    code_, out, err = command("evaluate", code, CLIPS, *options)
    assert (code_, err) == (0, "")
    assert "my_code.build: 16 clips used" in out
    assert "scores: output logits, 8 classes" in out
    clips = world_clips(16, frames=4, size=24)
    labels = np.array([MOTIONS.index(clip.label.split("/")[0]) for clip in clips])
    right = logits(code, clips).argmax(1) == labels
    document = json.loads((tmp_path / "scores.json").read_text())
    assert document["scores"]["in_order"]["top1"]["value"] == pytest.approx(right.mean())
    assert {row["id"]: row["in_order"]["top1"] for row in document["clips"]} == {
        clip.id: bool(one) for clip, one in zip(clips, right, strict=True)
    }


def test_ablate_removes_units_of_the_live_module(command, code, tmp_path):
    assert command("analyze", code, CLIPS, "-o", "run", *CPU)[0] == 0
    options = ("--labels", "classes.txt", "--fraction", 0.5, "--fraction", 1, "--repeats", 2)
    assert failed(command("ablate", "run", *options, *CPU), "which runs only where you name it: pass --model")
    command_line = ("ablate", "run", "--model", code, *options, "-l", "tokens", *CPU)
    code_, out, err = command(*command_line)
    assert (code_, err) == (0, "")
    assert "note:" not in out
    stored = Ablation.load(tmp_path / "run")
    assert [layer["name"] for layer in stored.layers] == ["tokens"]
    # Without any unit of `tokens` only the bias of the last layer is left: one class for all clips.
    clips = world_clips(16, frames=4, size=24)
    labels = np.array([MOTIONS.index(clip.label.split("/")[0]) for clip in clips])
    expected = {
        0: (logits(code, clips).argmax(1) == labels).mean(),
        1: (labels == build_model(code).module.fc.bias.argmax().item()).mean(),
    }
    for fraction, mean in expected.items():
        points = [p for p in stored.curves if (p["fraction"], p["score"]) == (fraction, "top1")]
        assert points
        assert all(point["mean"] == pytest.approx(mean) for point in points)
    with (tmp_path / "run" / "ablation.csv").open(newline="") as file:
        assert list(csv.DictReader(file))
    write_code(tmp_path, activation="GELU")
    assert "note: the model answers differently than in the run, with the same weights" in command(*command_line)[1]
    write_code(tmp_path, seed=5)
    assert failed(command(*command_line), "the run is of the model 'my_code.build' with model_sha256")


@pytest.mark.usefixtures("code")
def test_two_live_models_are_compared(command, tmp_path):
    write_code(tmp_path, "other.py", seed=3)
    for name in ("my_code", "other"):
        assert command("analyze", f"{name}.py:build", CLIPS, "-o", name, *CPU)[0] == 0
    code_, out, err = command("compare", "my_code", "other")
    assert (code_, err) == (0, "")
    assert "paired, 95 %" in out


def test_what_fails_in_the_code_has_a_traceback_on_request_only(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_code.py").write_text("def build():\n    return load()\ndef load():\n    return {}['\\x1b[31m']\n")
    outcome = command("analyze", "my_code.py:build", CLIPS)
    assert failed(outcome, "my_code.py:4 fails in build: KeyError:", "--verbose")
    code_, _, err = command("--verbose", "analyze", "my_code.py:build", CLIPS)
    assert code_ == 2
    assert "in load\n    return {}[" in err
    assert err.splitlines()[-1] == outcome[2].strip()
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("analyze", "none.py:build", CLIPS), ("none.py does not exist", "FILE.py:FUNCTION")),
        (("analyze", r"C:\none.py:build", CLIPS), (r"C:\none.py does not exist",)),
        (("evaluate", "nowhere.models:build", CLIPS), ("there is no module 'nowhere'",)),
        (("layers", "my_code.py"), ("names no function", "my_code.py:build")),
        (("analyze", "my_code.py:build", CLIPS, "--half"), ("--half", "ONNX models")),
        (("analyze", "my_code.py:build", CLIPS, "--tf32"), ("--tf32", "ONNX models")),
        (("probe", "my_code.py:build", "-o", "p.onnx"), ("my_code.py:build is code", "sdmetrics analyze")),
    ],
)
@pytest.mark.usefixtures("code")
def test_wrong_calls_are_one_line(command, arguments, words):
    assert failed(command(*arguments), *words)
