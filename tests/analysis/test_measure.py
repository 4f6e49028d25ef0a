import json
from dataclasses import replace

import numpy as np
import pytest

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.clips import Clip
from sdmetrics.clips.views import PAIRS
from sdmetrics.errors import InputError
from tests.helpers.fakes import NumpyRunner, broken_clip, changes, colours, noise_clip

CLIPS = [noise_clip(i, video=f"video {i // 2}") for i in range(60)]


def both():
    return NumpyRunner({"colours": colours, "changes": changes})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return measure_biases(both(), CLIPS, out=tmp_path_factory.mktemp("run"))


def test_a_model_blind_to_frame_order_is_static(results):
    row = results.layer("colours")
    assert row["scores"]["static"] == 1
    assert row["scores"]["dynamic"] < 0.9
    assert row["ci95"]["scores"]["static"] == [1, 1]


def test_a_model_blind_to_the_values_of_pixels_is_dynamic(results):
    row = results.layer("changes")
    assert row["scores"]["dynamic"] == 1
    assert row["scores"]["static"] < 0.9


def test_results_count_every_pair_and_unit(results):
    for row in results.layers:
        assert row["pairs"] == {"dynamic": 60, "static": 60}
        assert sum(row["counts"][c] for c in ("dynamic", "static", "joint", "residual")) == row["units"]
    assert len(results.units) == sum(row["units"] for row in results.layers)
    assert results.clips == {"used": 60, "looped": 0, "skipped": []}


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_the_batch_size_changes_no_number(results, batch):
    again = measure_biases(both(), CLIPS, batch=batch)
    assert again.layers == results.layers
    assert again.units == results.units


def test_the_order_of_the_clips_changes_no_number(results):
    assert measure_biases(both(), CLIPS[::-1]).layers == results.layers


def test_the_seed_changes_the_numbers(results):
    assert measure_biases(both(), CLIPS, seed=1).layers != results.layers


def test_a_batch_is_never_larger_than_requested():
    runner = both()
    measure_biases(runner, CLIPS[:20], batch=4)
    assert max(runner.batches) <= 4
    assert sum(runner.batches) == 60


def test_scores_are_those_of_the_pairs_of_views(results):
    """A naive twin: every clip by itself, whole arrays, NumPy's correlation."""
    from sdmetrics.clips.render import feeds, render

    runner = both()
    units = [runner(feeds(*render(clip, 0, runner.inputs)))["colours"] for clip in CLIPS]
    for factor, (i, j) in PAIRS.items():
        one, two = np.array([u[i] for u in units]), np.array([u[j] for u in units])
        expected = np.mean([np.corrcoef(one[:, u], two[:, u])[0, 1] for u in range(3)])
        assert results.layer("colours")["scores"][factor] == pytest.approx(expected, abs=1e-12)


def test_a_clip_that_cannot_be_used_is_listed_and_not_fatal(results):
    def crash():
        raise RuntimeError("out of luck")

    still = Clip("still", lambda: np.full((6, 16, 16, 3), 7, np.uint8))
    small = Clip("small", lambda: np.zeros((6, 8, 8, 3), np.uint8))
    found = measure_biases(both(), [*CLIPS, broken_clip(), Clip("crash", crash), still, small])
    reasons = {row["id"]: row["reason"] for row in found.clips["skipped"]}
    assert reasons["broken"] == "the file is damaged; remove it"
    assert reasons["crash"] == "RuntimeError: out of luck"
    assert "cannot be shuffled" in reasons["still"]
    assert "8×8" in reasons["small"]
    assert found.clips["used"] == results.clips["used"]
    # The last bits are those of other shards: clips that are skipped move where one ends.
    for row, expected in zip(found.layers, results.layers, strict=True):
        assert row["percent"] == pytest.approx(expected["percent"], rel=1e-12)
        assert row["counts"] == expected["counts"]


def test_pre_rendered_styles_stand_in_for_the_built_in_ones():
    def styled(i, gain):
        return lambda: np.clip(noise_clip(i).frames * gain, 0, 255).astype(np.uint8)

    def never():
        raise AssertionError("the unstyled clip was read")

    clips = [Clip(f"c{i}", never, styled={"dim": styled(i, 0.3), "dark": styled(i, 0.1)}) for i in range(8)]
    assert measure_biases(both(), clips).clips["used"] == 8


def test_one_usable_clip_is_too_few(tmp_path):
    with pytest.raises(InputError, match=r"1 of 2 clips could be used.*broken: the file is damaged"):
        measure_biases(both(), [CLIPS[0], broken_clip()], out=tmp_path)
    assert list((tmp_path / "shards").glob("*.npz"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_activation_that_is_not_finite_names_layer_unit_and_clip(tmp_path, bad):
    target = CLIPS[17].frames.mean()

    def poisoned(frames):
        values = colours(frames)
        values[np.isclose(frames.mean(axis=(1, 2, 3, 4)), target), 1] = bad
        return values

    clips = [Clip(c.id, c.load, styled={"as it is": c.load, "shifted": lambda c=c: c.frames // 2 + 1}) for c in CLIPS]
    with pytest.raises(InputError, match=rf"layer 'poisoned', unit 1, clip '{CLIPS[17].id}': the activation is {bad}"):
        measure_biases(NumpyRunner({"poisoned": poisoned}), clips, out=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"clips": []}, "no clips"),
        ({"seed": -1}, "seed is -1"),
        ({"batch": 0}, "batch is 0"),
        ({"clips": [CLIPS[0], CLIPS[0]]}, "two clips have the id"),
        ({"runner": NumpyRunner({"colours": colours}, frames=1)}, "single frame"),
        ({"estimator": "spearman"}, "spearman"),
        ({"threshold": 1.5}, "1.5"),
    ],
)
def test_bad_arguments_are_errors_before_any_work(arguments, words):
    runner = arguments.setdefault("runner", both())
    with pytest.raises(InputError, match=words):
        measure_biases(**{"clips": CLIPS, **arguments})
    assert not runner.batches


def test_a_finished_run_is_not_computed_again(tmp_path):
    first = measure_biases(both(), CLIPS, out=tmp_path)
    runner = both()
    assert measure_biases(runner, CLIPS, out=tmp_path) == first
    assert not runner.batches
    assert Results.load(tmp_path) == first


def test_a_damaged_shard_is_computed_again(tmp_path):
    measure_biases(both(), CLIPS, out=tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    for shard in sorted((tmp_path / "shards").glob("*.npz"))[:2]:
        shard.write_bytes(shard.read_bytes()[:-40])
    runner = both()
    measure_biases(runner, CLIPS, out=tmp_path)
    assert runner.batches
    assert (tmp_path / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 3}, "seed was 0, is 3"),
        ({"clips": CLIPS[:50]}, "clips.count was 60, is 50"),
        ({"clips": [*CLIPS[:59], noise_clip(99)]}, "clips.sha256 was"),
        ({"runner": NumpyRunner({"changes": changes})}, r"layers was \[.*model.layers was"),
    ],
)
def test_another_run_under_the_same_folder_is_an_error_that_names_the_difference(tmp_path, change, words):
    measure_biases(both(), CLIPS, out=tmp_path)
    with pytest.raises(InputError, match=rf"already contains a run with different settings: .*{words}"):
        measure_biases(**{"runner": both(), "clips": CLIPS, "out": tmp_path, **change})


def test_another_window_of_the_same_clips_is_another_run(tmp_path):
    measure_biases(both(), CLIPS, out=tmp_path)
    other = [replace(clip, stamp=f"{clip.stamp}, stride 4") for clip in CLIPS]
    with pytest.raises(InputError, match=r'clips.first was "clip-0000: 0", is "clip-0000: 0, stride 4"'):
        measure_biases(both(), other, out=tmp_path)


def test_the_threshold_may_change_under_the_same_folder(tmp_path):
    measure_biases(both(), CLIPS, out=tmp_path)
    assert measure_biases(both(), CLIPS, out=tmp_path, threshold=0.9).threshold == 0.9
    assert json.loads((tmp_path / "results.json").read_text())["threshold"] == 0.9


def test_results_hold_no_time_and_no_undefined_number(tmp_path):
    dead = NumpyRunner({"dead": lambda frames: np.zeros((len(frames), 4))})
    measure_biases(dead, CLIPS[:4], out=tmp_path)
    text = (tmp_path / "results.json").read_text()
    assert "NaN" not in text
    row = json.loads(text)["layers"][0]
    assert row["counts"] == {"dynamic": 0, "static": 0, "joint": 0, "residual": 4, "dead": 4}
    assert row["scores"] == {"dynamic": None, "static": None}
    assert (tmp_path / "units.csv").read_text().splitlines()[1] == "dead,0,,,,,,,residual"
