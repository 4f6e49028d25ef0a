"""What can be given to `ablate` and what cannot: scores, arguments, models, files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sdmetrics.ablation.result import Ablation
from sdmetrics.errors import InputError, Note
from tests.helpers.fakes import broken_clip
from tests.helpers.removable import CLASS_INDICES, CLASSES, CLIPS, UNITS, Linear, quickly, results_of


@pytest.fixture(scope="module")
def found():
    return quickly(layers=["early", "late"])


class TestScores:
    def test_labels_are_indices_unless_there_are_classes(self, found):
        bare = quickly(classes=None, layers=["early", "late"])
        assert bare.scores == ["top1", "top5"]
        assert [r for r in bare.rows if r["score"] == "top1"] == found.rows
        assert {r["mean"] for r in bare.rows if r["score"] == "top5"} == {1}

    def test_top_5_needs_more_than_five_classes(self, found):
        assert found.scores == ["top1"]

        class Wider(Linear):
            def run(self, fed, masks=None):
                return {"logits": np.pad(super().run(fed, masks)["logits"], ((0, 0), (0, 2)), constant_values=-9)}

        six = {**CLASS_INDICES, "4": 4, "5": 5}
        assert quickly(Wider(noise=1), classes=six).scores == ["top1", "top5"]

    def test_scores_of_frames_are_averaged_and_it_is_said(self, found):
        class PerFrame(Linear):
            def run(self, fed, masks=None):
                logits = super().run(fed, masks)["logits"]
                return {"logits": np.stack([logits - 1, logits + 1], axis=1)}

        with pytest.warns(Note, match="the mean over 2 frames is taken"):
            per_frame = quickly(PerFrame(noise=1), layers=["early", "late"])
        assert per_frame.rows == found.rows

    def test_scores_of_ones_own(self):
        def margin(outputs, _clips):
            return outputs["logits"][:, 0] - outputs["logits"][:, 1]

        found = quickly(score=margin)
        assert found.scores == ["margin"]
        several = quickly(score={"a": margin, "first": lambda _, clips: [c.label == "0" for c in clips]})
        assert several.scores == ["a", "first"]
        means = [r["mean"] for r in several.rows if r["score"] == "a"]
        assert means == pytest.approx([r["mean"] for r in found.rows])
        assert {r["mean"] for r in several.rows if r["score"] == "first"} == {1 / CLASSES}

    @pytest.mark.parametrize(
        ("score", "message"),
        [
            (lambda *_: 0.5, r"score 'mine' returns float64 of shape \(\) for \d+ clip"),
            (lambda _, clips: ["good"] * len(clips), "score 'mine' returns <U4"),
            (lambda _, clips: [None] * len(clips), "score 'mine' returns object"),
            (lambda _, clips: [np.nan if "7" in c.id else 1 for c in clips], r"of clip 'clip-0\d7' is nan"),
        ],
    )
    def test_a_score_is_a_finite_number_per_clip(self, score, message):
        with pytest.raises(InputError, match=message):
            quickly(score={"mine": score})

    def test_no_score(self):
        with pytest.raises(InputError, match="score is empty"):
            quickly(score={})


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"layers": ["lat"]}, "there is no layer 'lat' in both run and probe; allowed: early, late"),
            ({"layers": []}, "layers is empty; allowed: early, late"),
            ({"fractions": [0.5, 1.1]}, "fraction is 1.1; expected: 0 to 1. For 10 % pass 0.1"),
            ({"fractions": [float("nan")]}, "fraction is nan"),
            ({"fractions": [0]}, "expected at least one above 0"),
            ({"repeats": 0}, "repeats is 0; expected at least 1"),
            ({"seed": -1}, "seed is -1; expected at least 0"),
            ({"batch": 0}, "batch is 0; expected at least 1"),
            ({"by": "rank"}, "by is 'rank'; allowed: softmax, score"),
            ({"factors": ["motion"]}, r"factors are \['motion'\]; allowed: dynamic, static"),
            ({"clips": []}, "there are no clips"),
            ({"clips": [CLIPS[0], CLIPS[0]]}, "two clips have the id"),
            ({"classes": dict.fromkeys("abcd", 0), "clips": [replace(CLIPS[0], label="walk")]}, "one of the 4 classes"),
            ({"classes": {**CLASS_INDICES, "4": 4}}, "name 5 classes, and output 'logits' has 4 scores"),
            ({"output": "scores"}, "no output 'scores'"),
            (
                {"clips": [replace(broken_clip(), label="1")]},
                "0 of 1 clips could be used, expected at least 1; broken: the file is damaged",
            ),
        ],
    )
    def test_what_is_wrong_is_named(self, arguments, message):
        with pytest.raises(InputError, match=message):
            quickly(**arguments)

    def test_a_run_of_another_model(self):
        other = results_of(model={"name": "other", "model_sha256": "cd" * 32})
        with pytest.raises(
            InputError, match="of the model 'other' with model_sha256 cdcdcdcdcdcd…, and the runner runs"
        ):
            quickly(results=other)

    def test_a_model_that_is_fed_differently_than_in_the_run(self):
        results = results_of()
        fed = json.loads(json.dumps([item.document() for item in Linear.inputs]))
        results.settings = {"inputs": fed}
        assert quickly(results=results).rows
        fed[0]["mean"][0] = 0.5
        with pytest.raises(InputError, match=r"fed the model differently: inputs.video.mean was \[0\.5, .*with masks"):
            quickly(results=results)

    def test_a_layer_whose_units_have_no_score(self):
        results = results_of()
        for unit in results.units[UNITS:]:
            unit["static"] = None
        with pytest.raises(InputError, match="no unit of layer 'late' has a score to rank by"):
            quickly(results=results)
        assert quickly(results=results, layers=["early"]).rows

    def test_layers_that_the_probe_lacks(self):
        with pytest.raises(InputError, match="the run measured a, b, and the runner's probe has early, late"):
            quickly(results=results_of(("a", "b")))

    def test_a_probe_without_masks(self):
        runner = Linear()
        runner.metadata = type("Metadata", (), {"masks": False})
        with pytest.raises(InputError, match=r"has no masks.*open_model\(MODEL, masks=True\).*--masks -o PROBE"):
            quickly(runner)

    def test_a_layer_whose_removal_changes_no_output(self, tmp_path):
        with pytest.raises(
            InputError, match="zeroing all units of layer 'early' does not change any output for 48 clip"
        ):
            quickly(Linear(deaf=("early",), noise=1), layers=["late", "early"], out=tmp_path)
        assert not (tmp_path / "ablation.json").exists()
        with pytest.raises(InputError, match="layer 'early'"):
            quickly(Linear(deaf=("early",), noise=1), layers=["late", "early"], out=tmp_path)

    def test_units_that_no_class_depends_on_are_not_an_error(self):
        """The units removed are all 0, but the layer has an effect: without all its units the model guesses."""
        found = quickly(Linear(), factors=["static"], fractions=[0.05], repeats=1)
        assert {row["mean"] for row in found.rows} == {1}
        assert {row["removed"] for row in found.rows} == {0, 1}


class TestFiles:
    def test_saved_and_loaded(self, found, tmp_path):
        assert Ablation.load(found.save(tmp_path)) == found
        document = json.loads((tmp_path / "ablation.json").read_text())
        assert document["schema"] == 3
        lines = (tmp_path / "ablation.csv").read_text().splitlines()
        assert lines[0] == "layer,ranking,fraction,seed,removed,score,mean"
        assert len(lines) == 1 + len(found.rows)
        assert lines[1] == f"early,dynamic,0.0,,0,top1,{found.rows[0]['mean']}"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "has no ablation.json; create it with: sdmetrics ablate"),
            ("half a {", "is damaged"),
            ("[]", "is damaged"),
            ("{}", "is damaged"),
            ('{"schema": 9}', "has schema 9; this version reads schema 3"),
            ('{"schema": 3, "by": "softmax"}', "is damaged"),
        ],
    )
    def test_what_cannot_be_loaded(self, tmp_path, text, message):
        if text is not None:
            (tmp_path / "ablation.json").write_text(text)
        with pytest.raises(InputError, match=message):
            Ablation.load(tmp_path)

    def test_a_folder_that_cannot_be_written_to(self, tmp_path):
        (tmp_path / "run").write_text("a file")
        with pytest.raises(InputError, match="cannot write to the folder"):
            quickly(out=tmp_path / "run")
