"""Removing units: against loops that remove them by hand, against torch, interrupted, and on bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from sdmetrics.ablation import FRACTIONS, ablate
from sdmetrics.clips import Clip
from sdmetrics.clips.render import feeds, plain
from sdmetrics.errors import InputError
from sdmetrics.masks import removal_mask
from sdmetrics.removal_curves import Ablation
from sdmetrics.removals import plan_removals, stored_scores
from sdmetrics.results import Results
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.shards import group_of
from sdmetrics.views import ModelInput
from tests.fakes import broken_clip
from tests.models import CASES, exported, hooked, probed

CLASSES, UNITS = 4, 20
SIGNAL = 7
"""The unit that carries the class."""
CLASS_INDICES = {str(index): index for index in range(CLASSES)}


class Linear:
    """Units that a matrix turns into class scores; the grey of a clip's first frame is its class in unit `SIGNAL`."""

    inputs = (ModelInput("video", frames=2, stride=1, size=(4, 4)),)
    identity: ClassVar = {"name": "linear", "model_sha256": "ab" * 32}

    def __init__(self, deaf: tuple[str, ...] = (), noise: float = 0.0) -> None:
        self.layers = ["early", "late"]
        self.deaf = deaf
        self.noise = noise
        self.runs: list[dict[str, np.ndarray]] = []

    def units(self, fed):
        classes = fed["rgb"][:, 0, 0, 0, 0].astype(int) // 10
        rows = [np.random.default_rng(int(frames.astype(int).sum())).normal(size=UNITS) for frames in fed["rgb"]]
        units = self.noise * np.array(rows)
        units[:, SIGNAL] = classes - 1.5
        return units

    def __call__(self, fed):
        return {layer: self.units(fed) for layer in self.layers}

    def run(self, fed, masks=None):
        masks = dict(masks or {})
        self.runs.append(masks)
        kept = self.units(fed)
        for layer, mask in masks.items():
            if layer not in self.deaf:
                kept = kept * mask
        slopes = np.arange(CLASSES) - 1.5
        return {"logits": kept[:, [SIGNAL]] * slopes - 0.5 * slopes**2 + 0.3 * kept.sum(axis=1, keepdims=True) * slopes}


def clips_of(count, videos=None):
    def clip(i):
        def load():
            frames = np.random.default_rng(i).integers(0, 256, (2, 4, 4, 3), np.uint8)
            frames[0, 0, 0, 0] = 10 * (i % CLASSES)
            return frames

        return Clip(f"clip-{i:03d}", load, video=f"video {i % (videos or count)}", label=str(i % CLASSES))

    return [clip(i) for i in range(count)]


def results_of(layers=("early", "late"), *, seed=0, **edits):
    """A run whose unit `SIGNAL` is the most dynamic; scores of the others lie below, and differ."""
    rng = np.random.default_rng(seed)
    units = []
    for layer in layers:
        scores = {factor: rng.uniform(-0.2, 0.7, UNITS) for factor in ("dynamic", "static")}
        scores["dynamic"][SIGNAL], scores["static"][SIGNAL] = 0.95, -0.3
        units += [
            {"layer": layer, "unit": unit, "label": "joint"} | {f: float(scores[f][unit]) for f in scores}
            for unit in range(UNITS)
        ]
    rows = [{"name": layer, "units": UNITS} for layer in layers]
    made = Results(dict(Linear.identity), 0, "pearson", 0.5, {"used": 9, "skipped": []}, rows, units)
    return replace(made, **edits)


CLIPS = clips_of(48, videos=24)


def quickly(runner=None, clips=CLIPS, results=None, **arguments):
    arguments = {"fractions": (0.1, 0.5), "repeats": 3, "progress": False, "classes": CLASS_INDICES} | arguments
    return ablate(runner or Linear(noise=1), clips, results or results_of(), **arguments)


@pytest.fixture(scope="module")
def found():
    return quickly(layers=["early", "late"])


def curve(ablation, ranking, fraction, score="top1", layer="late"):
    (point,) = (
        p
        for p in ablation.curves
        if (p["layer"], p["ranking"], p["fraction"], p["score"]) == (layer, ranking, fraction, score)
    )
    return point


class TestNumbers:
    def test_without_the_unit_that_carries_the_class_the_model_guesses(self):
        found = quickly(Linear(), fractions=[0.05], repeats=40)
        assert curve(found, "dynamic", 0)["mean"] == curve(found, "random", 0)["mean"] == 1
        assert curve(found, "dynamic", 0.05)["mean"] == 1 / CLASSES
        assert curve(found, "static", 0.05)["mean"] == 1
        random = curve(found, "random", 0.05)
        assert random["draws"] == 40
        hit = [row["mean"] for row in found.rows if row["ranking"] == "random" and row["fraction"] == 0.05]
        assert set(hit) == {1 / CLASSES, 1}
        assert hit.count(1) > 30  # one unit of twenty is drawn: the signal's in one draw of twenty
        worst, *_ = found.overall
        assert (worst["factor"], worst["against"]) == ("dynamic", "random")
        assert worst["difference"] == pytest.approx(1 / CLASSES - np.mean(hit))
        assert worst["ci95"][1] < -0.5
        assert worst["draws_above"] == hit.count(1)

    def test_every_row_is_what_a_loop_finds_that_removes_units_by_hand(self, found):
        runner, results = Linear(noise=1), results_of()
        labels = np.array([int(clip.label) for clip in CLIPS])
        fed = feeds(*zip(*(plain(clip, runner.inputs) for clip in CLIPS), strict=True))
        checked = set()
        for row in found.rows:
            units = stored_scores((u for u in results.units if u["layer"] == row["layer"]), 0.5, "pearson")
            how = {"method": row["ranking"]} if row["ranking"] in ("random", "least") else {"factor": row["ranking"]}
            mask = removal_mask(units, fraction=row["fraction"], seed=row["seed"] or 0, **how)
            assert row["removed"] == (mask == 0).sum()
            order = np.argsort(-runner.run(fed, {"late": mask})["logits"], axis=1, kind="stable")
            right = (order == labels[:, None]).argmax(axis=1)
            assert row["score"] == "top1"
            assert row["mean"] == pytest.approx((right < 1).mean(), abs=1e-12)
            checked.add((row["layer"], row["ranking"], row["fraction"], row["seed"]))
        assert len(checked) == len(found.rows)
        assert len({place[:3] for place in checked}) == 2 * 4 * 3

    def test_curves_and_differences_are_those_of_the_rows(self, found):
        means = {}
        for row in found.rows:
            means.setdefault((row["layer"], row["ranking"], row["fraction"]), []).append(row["mean"])
        for (layer, ranking, fraction), draws in means.items():
            point = curve(found, ranking, fraction, layer=layer)
            assert point["mean"] == pytest.approx(np.mean(draws))
            assert (point["lowest"], point["highest"]) == (min(draws), max(draws))
            assert point["draws"] == len(draws)
        assert len(found.differences) == 2 * 2 * 2 * 2
        for row in found.differences:
            ours, theirs = (means[row["layer"], name, row["fraction"]] for name in (row["factor"], row["against"]))
            assert row["difference"] == pytest.approx(np.mean(ours) - np.mean(theirs))
            every = theirs * (found.repeats // len(theirs))  # one stands for all where they agree
            assert row["draws_above"] == sum(mean > np.mean(ours) + 1e-9 for mean in every)
            low, high = row["ci95"]
            assert low <= row["difference"] <= high
        for row in found.overall:
            both = [
                d["difference"]
                for d in found.differences
                if all(d[key] == row[key] for key in ("layer", "factor", "against", "score"))
            ]
            assert row["difference"] == pytest.approx(np.mean(both))

    def test_intervals_are_paired_by_clip(self):
        """Without units every clip loses the same, so there is no doubt how much, however the clips differ."""

        def score(outputs, clips):
            return [hash_of(clip.id) - (outputs["logits"][0].sum() == 0) for clip in clips]

        def hash_of(name):
            return int(name[-3:]) ** 2

        class Gone(Linear):
            def run(self, fed, masks=None):
                gone = masks and masks["late"][SIGNAL] == 0
                return {"logits": np.full((len(fed["rgb"]), 2), 0.0 if gone else 1.0)}

        found = quickly(Gone(), score=score, fractions=[0.05], repeats=2, seed=3)
        row = next(r for r in found.differences if (r["factor"], r["against"]) == ("dynamic", "random"))
        assert row["difference"] == pytest.approx(-1)
        assert row["ci95"] == pytest.approx([-1, -1])
        low, high = curve(found, "dynamic", 0.05, "score")["ci95"]
        assert high - low > 100

    def test_shares_end_at_0_and_1_and_few_groups_give_no_interval(self, found):
        ends = [end for point in found.curves for end in point["ci95"]]
        assert min(ends) >= 0
        assert max(ends) <= 1
        few = quickly(clips=clips_of(12, videos=2))
        assert all(point["ci95"] == [None, None] for point in [*few.curves, *few.differences, *few.overall])

    def test_clips_are_dealt_to_groups_by_their_video(self):
        found = quickly(fractions=[0.5])
        groups = np.array([group_of(clip.video) for clip in CLIPS])
        point = curve(found, "static", 0.5)
        assert len(set(groups)) >= 5
        assert point["ci95"][0] < point["mean"] < point["ci95"][1]
        alone = quickly(clips=[replace(clip, video=clip.id) for clip in CLIPS], fractions=[0.5])
        assert curve(alone, "static", 0.5)["mean"] == pytest.approx(point["mean"])
        assert curve(alone, "static", 0.5)["ci95"] != point["ci95"]


class TestPlan:
    def test_a_seed_breaks_ties_and_nothing_else(self):
        results = results_of()
        assert {r["seed"] for r in quickly(results=results).rows if r["ranking"] == "static"} == {None}
        for unit in results.units[UNITS:]:
            unit["static"] = unit["dynamic"] = 0.4
        found = quickly(results=results, fractions=[0.5, 1], seed=5)
        seeds = {f: {r["seed"] for r in found.rows if r["fraction"] == f} for f in (0, 0.5, 1)}
        assert seeds == {0: {None}, 0.5: {5, 6, 7}, 1: {None}}

    def test_each_distinct_mask_is_in_the_plan_once(self):
        units = stored_scores([u for u in results_of().units if u["layer"] == "late"], 0.5, "pearson")
        plan = plan_removals({"late": units}, factors=["static"], fractions=[0, 0.5, 1], repeats=4)
        assert plan.masks[0] == {}
        distinct = {mask["late"].tobytes() for mask in plan.masks[1:]}
        assert len(distinct) == len(plan.masks) - 1 == 1 + 4 + 4 + 1
        for removal in plan.removals:
            removed = plan.masks[removal.mask].get("late", np.ones(UNITS)) == 0
            assert removed.sum() == removal.removed == removal.fraction * UNITS

    def test_scores_are_those_of_the_run_to_the_last_bit(self, tmp_path):
        results = results_of()
        results.units[3]["static"] = results.units[3]["dynamic"] = None
        columns = ("dynamic_low", "dynamic_high", "static_low", "static_high")
        results.units = [unit | dict.fromkeys(columns) for unit in results.units]
        loaded = Results.load(results.save(tmp_path))
        for one, other in zip(results.units, loaded.units, strict=True):
            assert one == other
        scores = stored_scores(loaded.units[:UNITS], 0.5, "pearson").scores["static"]
        assert np.isnan(scores[3])
        assert scores[5] == results.units[5]["static"]


class TestWork:
    def test_clips_are_decoded_once_and_run_once_per_mask(self):
        decoded = []

        def counted(clip):
            return replace(clip, load=lambda: decoded.append(clip.id) or clip.load())

        runner = Linear(noise=1)
        quickly(runner, [counted(clip) for clip in CLIPS], batch=1, fractions=[0, 0.5], repeats=2)
        assert sorted(decoded) == [clip.id for clip in CLIPS]
        assert len(runner.runs) == len(CLIPS) * (1 + 2 + 2 + 2)
        assert sum(masks == {} for masks in runner.runs) == len(CLIPS)

    @pytest.mark.parametrize("batch", [1, 3, 16])
    def test_the_batch_and_the_order_of_the_clips_change_nothing(self, found, batch):
        again = quickly(clips=CLIPS[::-1], batch=batch, layers=["early", "late"])
        assert again == found

    def test_an_interrupted_ablation_goes_on_to_the_same_bits(self, tmp_path):
        whole = quickly(out=tmp_path / "whole")
        runner = Linear(noise=1)
        stop = runner.run

        def interrupted(fed, masks=None):
            if len(runner.runs) > 100:
                raise KeyboardInterrupt
            return stop(fed, masks)

        runner.run = interrupted
        with pytest.raises(KeyboardInterrupt):
            quickly(runner, out=tmp_path / "stopped")
        (folder,) = (tmp_path / "stopped" / "ablation").iterdir()
        finished = sorted(folder.glob("*.npz"))
        assert finished
        assert not (tmp_path / "stopped" / "ablation.json").exists()
        (folder / finished[0].name).write_bytes(b"half a file")
        rest = Linear(noise=1)
        quickly(rest, out=tmp_path / "stopped")
        assert 0 < len(rest.runs) < len(CLIPS) * 20 - 100
        for name in ("ablation.json", "ablation.csv"):
            assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert Ablation.load(tmp_path / "stopped") == whole
        again = Linear(noise=1)
        quickly(again, out=tmp_path / "stopped")
        assert again.runs == []

    @pytest.mark.parametrize(
        "change", [{"fractions": (0.1, 0.6)}, {"batch": 5}, {"seed": 1}, {"layers": ["early"]}, {"results": 1}]
    )
    def test_other_settings_are_measured_anew(self, tmp_path, change):
        quickly(out=tmp_path)
        runner = Linear(noise=1)
        change = {key: results_of(seed=value) if key == "results" else value for key, value in change.items()}
        assert quickly(runner, out=tmp_path, **change) == quickly(**change)
        assert runner.runs
        assert len(list((tmp_path / "ablation").iterdir())) == 2

    def test_clips_that_cannot_be_decoded_are_listed_and_change_nothing(self, found):
        broken = [replace(broken_clip(name), label="1") for name in ("b-one", "b-two")]
        again = quickly(clips=[*CLIPS, *broken], layers=["early", "late"])
        assert {row["id"]: row["reason"] for row in again.clips["skipped"]} == dict.fromkeys(
            ("b-one", "b-two"), "the file is damaged; remove it"
        )
        assert again.clips["used"] == len(CLIPS)
        assert again.curves == found.curves

    def test_default_fractions_and_layer(self):
        results = results_of()
        late = {f: np.mean([unit[f] for unit in results.units[UNITS:]]) for f in ("dynamic", "static")}
        found = quickly(results=results, fractions=FRACTIONS, repeats=1)
        assert found.layers == [{"name": "late", "units": UNITS, "dominant": max(late, key=late.get)}]
        assert sorted({row["fraction"] for row in found.rows}) == list(FRACTIONS)


class TestScores:
    def test_labels_are_indices_unless_there_are_classes(self, found):
        bare = quickly(classes=None, layers=["early", "late"])
        assert bare.scores == ["top1", "top5"]
        assert [r for r in bare.rows if r["score"] == "top1"] == found.rows
        assert {r["mean"] for r in bare.rows if r["score"] == "top5"} == {1}

    def test_top_5_needs_more_than_five_classes(self, found):
        assert found.scores == ["top1"]
        six = {**CLASS_INDICES, "4": 4, "5": 5}
        assert quickly(classes=six).scores == ["top1", "top5"]

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
            (lambda *_: 0.5, r"score 'mine' gives float64 of shape \(\) for \d+ clip"),
            (lambda _, clips: ["good"] * len(clips), "score 'mine' gives <U4"),
            (lambda _, clips: [None] * len(clips), "score 'mine' gives object"),
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
            ({"fractions": [0.5, 1.1]}, "fraction is 1.1; allowed: 0 to 1. For 10 % give 0.1"),
            ({"fractions": [float("nan")]}, "fraction is nan"),
            ({"fractions": [0]}, "give at least one above 0"),
            ({"repeats": 0}, "repeats is 0; allowed: 1 and above"),
            ({"seed": -1}, "seed is -1; allowed: 0 and above"),
            ({"batch": 0}, "batch is 0; allowed: 1 and above"),
            ({"by": "rank"}, "by is 'rank'; allowed: softmax, score"),
            ({"factors": ["motion"]}, r"factors are \['motion'\]; allowed: dynamic, static"),
            ({"clips": []}, "there are no clips"),
            ({"clips": [CLIPS[0], CLIPS[0]]}, "two clips have the id"),
            ({"classes": {"walk": 0}}, "none of the 1 classes"),
            ({"output": "scores"}, "no output 'scores'"),
            (
                {"clips": [replace(broken_clip(), label="1")]},
                "none of 1 clips could be used; broken: the file is damaged",
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

    def test_a_layer_whose_removal_nothing_feels(self, tmp_path):
        with pytest.raises(InputError, match="without any unit of layer 'early' all outputs of all 48 clip"):
            quickly(Linear(deaf=("early",), noise=1), layers=["late", "early"], out=tmp_path)
        assert not (tmp_path / "ablation.json").exists()
        with pytest.raises(InputError, match="layer 'early'"):
            quickly(Linear(deaf=("early",), noise=1), layers=["late", "early"], out=tmp_path)

    def test_units_that_no_class_hangs_on_are_no_error(self):
        """The units removed are all 0, but the layer is not deaf: without all its units it guesses."""
        found = quickly(Linear(), factors=["static"], fractions=[0.1], repeats=1, by="score", seed=2)
        assert curve(found, "static", 0.1)["mean"] == 1


class TestFiles:
    def test_saved_and_loaded(self, found, tmp_path):
        assert Ablation.load(found.save(tmp_path)) == found
        document = json.loads((tmp_path / "ablation.json").read_text())
        assert document["schema"] == 1
        lines = (tmp_path / "ablation.csv").read_text().splitlines()
        assert lines[0] == "layer,ranking,fraction,seed,removed,score,mean"
        assert len(lines) == 1 + len(found.rows)
        assert lines[1] == f"early,dynamic,0.0,,0,top1,{found.rows[0]['mean']}"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "holds no ablation.json; make it: sdmetrics ablate"),
            ("half a {", "is damaged"),
            ("[]", "is damaged"),
            ("{}", "is damaged"),
            ('{"schema": 9}', "has schema 9; this version reads schema 1"),
            ('{"schema": 1, "by": "softmax"}', "is damaged"),
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


def made_results(identity, layers, units):
    rng = np.random.default_rng(1)
    rows = [
        {"layer": layer, "unit": unit, "label": "joint", "dynamic": rng.uniform(), "static": rng.uniform()}
        for layer in layers
        for unit in range(units[layer])
    ]
    named = [{"name": layer, "units": units[layer]} for layer in layers]
    return Results(dict(identity), 0, "pearson", 0.5, {"used": 9, "skipped": []}, named, rows)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("case", "layers"),
    [
        ("resnet", ("stem", "layer1", "layer2", "layer4")),
        ("transformer", ("blocks.0", "norm")),
        ("time-major", ("act",)),
    ],
)
class TestTorch:
    @pytest.fixture(autouse=True)
    def one_thread(self):
        """Two threads that wait for each other on a busy machine take a hundred times as long."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    @pytest.fixture
    def some(self, case):
        (model_input,) = CASES[case].inputs
        rng = np.random.default_rng(0)
        shape = (model_input.frames, *model_input.size, 3)
        frames = [rng.integers(0, 256, shape, np.uint8) for _ in range(6)]
        return [Clip(f"c{i}", lambda i=i: frames[i], label=str(i % 5)) for i in range(6)]

    def test_the_masks_of_a_run_do_what_zeroed_channels_do(self, case, layers, some):
        runner = OnnxRunner(probed(case), provider="cpu", threads=1)
        units = {layer.name: layer.units for layer in runner.metadata.layers}
        results = made_results(runner.identity, layers, units)
        ranked = {
            layer: stored_scores((u for u in results.units if u["layer"] == layer), 0.5, "pearson") for layer in layers
        }
        plan = plan_removals(ranked, factors=["dynamic", "static"], fractions=[0.3, 1], repeats=2)
        fed = feeds(*zip(*(plain(clip, runner.inputs) for clip in some), strict=True))
        module = CASES[case].make()
        video = TorchRunner(module, CASES[case].inputs, list(layers))._prepare(fed, CASES[case].inputs[0]).numpy()
        axes = {layer.name: layer.channel_axis for layer in runner.metadata.layers}
        whole = outputs_of(hooked(module, [], [video])[0])
        for masks in plan.masks[1:]:
            ((layer, mask),) = masks.items()
            expected = outputs_of(zeroed(module, layer, np.flatnonzero(mask == 0), axes[layer], video))
            (masked,) = runner.run(fed, masks).values()
            np.testing.assert_allclose(masked, expected, atol=1e-5)
            assert mask.any() or np.abs(expected - whole).max() > 1e-3

    def test_both_runners_give_one_ablation(self, case, layers, some):
        onnx = OnnxRunner(probed(case), provider="cpu", threads=1)
        hooks = TorchRunner(CASES[case].make(), CASES[case].inputs, list(layers))

        def first(outputs, _clips):
            return next(iter(outputs.values()))[:, 0]

        units = {layer.name: layer.units for layer in onnx.metadata.layers}
        one, other = (
            ablate(
                runner,
                some,
                made_results(runner.identity, layers, units),
                score=first,
                layers=layers,
                fractions=[0.4],
                repeats=1,
            )
            for runner in (onnx, hooks)
        )
        assert len(one.rows) == len(layers) * 8
        np.testing.assert_allclose([r["mean"] for r in one.rows], [r["mean"] for r in other.rows], atol=1e-5)


def zeroed(module, layer, channels, axis, video):
    """Return what a module gives when a part's channels are set to 0 by hand."""

    def hook(_module, _inputs, output):
        gone = output.clone()
        gone.index_fill_(axis, torch.as_tensor(channels), 0.0)
        return gone

    handle = dict(module.named_modules())[layer].register_forward_hook(hook)
    module.eval()
    with torch.no_grad():
        own = module(torch.from_numpy(video))
    handle.remove()
    return own


def outputs_of(own):
    own = next(iter(own.values())) if isinstance(own, dict) else own
    return own.numpy()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_real_probe_without_masks_is_refused(tmp_path: Path):
    from sdmetrics.opening import open_model

    (tmp_path / "model.onnx").write_bytes(exported("framewise"))
    runner = open_model(tmp_path / "model.onnx", provider="cpu", threads=1)
    results = made_results(runner.identity, ["conv"], {"conv": 8})
    with pytest.raises(InputError, match="has no masks"):
        ablate(runner, CLIPS, results)
    masked = open_model(tmp_path / "model.onnx", provider="cpu", threads=1, masks=True)
    assert masked.metadata.masks
