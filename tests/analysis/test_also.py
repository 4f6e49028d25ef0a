"""Further factors have pairs of their own, and leave the numbers of the paper as they are, to the bit."""

from __future__ import annotations

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import sdmetrics as sd
from sdmetrics.analysis.measure import measure_biases, measure_part
from sdmetrics.analysis.parallel.executors import RemoteModel
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.until import widened
from sdmetrics.clips.manipulations.manipulate import manipulated_view
from sdmetrics.clips.render import feeds, render
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.report.page import write_report
from tests.helpers.fakes import NumpyRunner, broken_clip, changes, colours, noise_clip
from tests.helpers.sources import NumpySource, noise

CLIPS = [*(noise_clip(number, video=f"video {number // 2}") for number in range(60)), broken_clip()]


def onward(frames):
    """Sees the direction of time: how much more of the last frame there is than of the first."""
    return (frames[:, -1] - frames[:, 0]).mean(axis=(1, 2)) + frames[:, 0].mean(axis=(1, 2)) / 1e3


class Mixing(NumpyRunner):
    """Its last bits depend on what is in a batch, as those of fast kernels do."""

    def __call__(self, fed):
        count = len(fed["rgb"])
        return {name: units * np.float32(1 + count * 3e-7) for name, units in super().__call__(fed).items()}


def fake():
    return Mixing({"colours": colours, "changes": changes, "onward": onward})


def analysed(also=("reverse", "freeze"), out=None, **more):
    return measure_biases(more.pop("runner", fake()), CLIPS, out=out, also=also, progress=False, **more)


def without(results):
    """The rows of layers and units without those of further factors."""
    layers = [{key: value for key, value in row.items() if key != "also"} for row in results.layers]
    kept = ("layer", "unit", "label")
    units = [
        {key: value for key, value in row.items() if key in kept or key.startswith(("dynamic", "static"))}
        for row in results.units
    ]
    return layers, units


@pytest.mark.parametrize("estimator", ["pearson", "icc", "reference"])
@pytest.mark.parametrize("batch", [4, 6])
def test_the_numbers_of_the_paper_stay_to_the_bit(estimator, batch):
    bare = analysed((), estimator=estimator, batch=batch)
    more = analysed(("appearance-free", "reverse"), estimator=estimator, batch=batch)
    assert without(more) == (bare.layers, bare.units)
    assert list(more.layers[0]["also"]) == ["reverse", "appearance-free"]
    assert "also" not in bare.layers[0]
    assert more.clips == bare.clips


def test_a_run_without_is_what_it_was(tmp_path):
    analysed((), tmp_path)
    assert "also" not in json.loads((tmp_path / "shards" / "settings.json").read_text())
    assert (
        (tmp_path / "units.csv")
        .read_text()
        .startswith("layer,unit,dynamic,dynamic_low,dynamic_high,static,static_low,static_high,label\n")
    )


def test_scores_are_those_of_the_first_view_and_its_twin():
    results = analysed(batch=6)
    runner = NumpyRunner({"colours": colours, "changes": changes, "onward": onward})
    first, twin = [], []
    for clip in CLIPS[:60]:
        views, shown = render(clip, 0, runner.inputs)
        view, drawn = manipulated_view("reverse", clip, views[0], shown[0], 0, runner.inputs)
        one, other = (runner(feeds([v], [s]))["onward"][0] for v, s in ((views[0], shown[0]), (view, drawn)))
        first.append(one)
        twin.append(other)
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(np.transpose(first), np.transpose(twin), strict=True)]
    row = results.layer("onward")["also"]["reverse"]
    assert row["pairs"] == 60
    assert row["score"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert row["ci95"][0] < row["score"] < row["ci95"][1]
    units = [unit["reverse"] for unit in results.units if unit["layer"] == "onward"]
    assert units == pytest.approx(expected, abs=1e-5)
    # Exact controls: a model blind to order cannot tell time's direction, and one that sees it can.
    assert results.layer("colours")["also"]["reverse"]["score"] == pytest.approx(1, abs=1e-5)
    assert row["score"] < 0
    # What only changes have is gone in a frozen clip: those units do not vary.
    assert results.layer("changes")["also"]["freeze"]["score"] is None
    assert results.layer("changes")["scores"]["dynamic"] == pytest.approx(1, abs=1e-5)


def test_results_are_stored_and_read_back(tmp_path):
    results = analysed(out=tmp_path)
    assert sd.Results.load(tmp_path) == results
    with (tmp_path / "units.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header[-6:] == ["reverse", "reverse_low", "reverse_high", "freeze", "freeze_low", "freeze_high"]
    assert list(results.to_frame("units", backend="polars").columns) == header
    page = write_report([results], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "further factors" in page
    assert '<th scope="col">reverse</th>' in page
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["layers"][2]["also"] == results.layer("onward")["also"]


def test_a_resumed_run_has_the_same_and_other_factors_are_another_run(tmp_path):
    results = analysed(out=tmp_path)
    for path in sorted((tmp_path / "shards").glob("[0-9]*.npz"))[::3]:
        path.unlink()
    runner = fake()
    assert analysed(("freeze", "reverse"), tmp_path, runner=runner) == results
    assert 0 < sum(runner.batches) < 5 * 60
    with pytest.raises(InputError, match=r"already contains a run with different settings: also"):
        analysed((), tmp_path)


def test_parts_and_merged_runs_have_them(tmp_path):
    results = analysed(batch=6)
    for index in (1, 2):
        measure_part(fake(), CLIPS, Part(index, 2), out=tmp_path, also=["reverse", "freeze"], batch=6, progress=False)
    merged = sd.merge([tmp_path])
    assert (merged.layers, merged.units) == (results.layers, results.units)
    halves = [tmp_path / "x", tmp_path / "y"]
    for half, clips in zip(halves, (CLIPS[:30], CLIPS[30:60]), strict=True):
        measure_biases(
            fake(), clips, out=half, also=["reverse", "freeze"], keep_responses=True, batch=6, progress=False
        )
    both = sd.merge(halves, out=tmp_path / "sum")
    assert both.layer("onward")["also"]["reverse"]["pairs"] == 60
    responses = both.responses("onward")
    assert responses.views == ("first", "other style", "other motion", "reverse", "freeze")
    scores = sd.layer_bias(responses.moments()).scores
    assert scores["reverse"] == both.layer("onward")["also"]["reverse"]["score"]


def test_workers_measure_them(tmp_path: Path):
    clips = [noise(number) for number in range(40)]
    own = measure_biases(NumpyRunner({"colours": colours, "changes": changes}), clips, also=["loop"])
    with ThreadPoolExecutor(1) as pool:
        spread = measure_biases(RemoteModel(NumpySource(tmp_path / "log"), pool), clips, also=["loop"])
    assert spread == own
    assert own.layers[0]["also"]["loop"]["pairs"] == 40


def test_a_clip_in_which_nothing_changes_is_skipped_for_all():
    def mirrored():
        half = np.random.default_rng(5).integers(0, 256, (3, 16, 16, 3), np.uint8)
        return np.concatenate([half, half[::-1]])

    clips = [*CLIPS[:40], sd.Clip("there and back", mirrored)]
    assert measure_biases(fake(), clips, progress=False).clips["used"] == 41
    results = measure_biases(fake(), clips, also=["reverse"], progress=False)
    assert results.clips["used"] == 40
    (skipped,) = results.clips["skipped"]
    assert skipped["id"] == "there and back"
    assert "shows the same under 'reverse' as untouched" in skipped["reason"]


def test_what_is_not_possible_is_one_line():
    with pytest.raises(InputError, match=r"^manipulation 'backwards' is not known; allowed: shuffle, reverse"):
        analysed(["backwards"])
    with pytest.raises(InputError, match=r"^manipulations are 'reverse'; expected a list of names"):
        analysed("reverse")
    runner = fake()
    runner.inputs = [*runner.inputs, ModelInput("image", frames=1, size=(16, 16))]
    with pytest.raises(InputError, match="single frame"):
        analysed(["shuffle"], runner=runner)


def test_the_command_takes_them(tmp_path, command):
    from sdmetrics.demo import demo_model

    with demo_model("motion") as path:
        words = ("analyze", path, "world:40", "--provider", "cpu", "-o")
        code, out, err = command(*words, tmp_path / "run", "--also", "reverse, appearance-free", "--keep-responses")
        assert (code, err) == (0, "")
        assert "40 clips × 5 views ×" in " ".join(out.split())
        code, out, err = command(*words, tmp_path / "other", "--also", "backwards")
        assert code == 2
        assert err.startswith("error: manipulation 'backwards' is not known")
    assert list(sd.Results.load(tmp_path / "run").layers[0]["also"]) == ["reverse", "appearance-free"]


def test_their_intervals_are_as_wide_as_the_others_where_a_run_stopped(tmp_path):
    clips = [noise_clip(number) for number in range(300)]
    results = measure_biases(
        fake(), clips, out=tmp_path, also=["reverse"], until=20, keep_responses=True, progress=False
    )
    assert results.stopped["reached"]
    raw = sd.layer_bias(results.responses("onward").moments())
    (low,), (high,) = (np.atleast_1d(end) for end in widened(raw.scores["reverse"], *raw.ci95.scores["reverse"], -1, 1))
    assert results.layer("onward")["also"]["reverse"]["ci95"] == pytest.approx([low, high])
    assert sd.Results.load(tmp_path) == results
