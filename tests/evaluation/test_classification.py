"""How often a model is right, against counting by hand, and on models whose answer is known."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sdmetrics.clips import Clip
from sdmetrics.clips.views import clip_generator
from sdmetrics.errors import InputError, Note
from sdmetrics.evaluation.classification import evaluate
from sdmetrics.evaluation.ranks import top_k
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import jackknife, mean_replicates
from tests import naive
from tests.helpers.fakes import NumpyRunner, broken_clip

FRAMES = 6
RAMP = {"brighter": 0, "darker": 1}


class NumpyClassifier(NumpyRunner):
    """Gives its functions of the ordered frames as the model's own outputs."""

    def run(self, feeds):
        return {**self(feeds), "features": np.zeros((len(feeds["rgb"]), 2, 3))}


def ends(frames):
    """Tell brighter from darker by the first and the last frame."""
    rise = frames[:, -1].mean((1, 2, 3)) - frames[:, 0].mean((1, 2, 3))
    return np.stack([rise, -rise], axis=1)


def brightness(frames):
    """Blind to the order of frames."""
    mean = np.sort(frames.mean((2, 3, 4)), axis=1).mean(axis=1)
    return np.stack([mean - 100, 100 - mean], axis=1)


def ramp(number, video=""):
    """Return a clip that gets brighter or darker; which one, its mean brightness tells too."""
    label = number % 2
    steps = 10 * np.arange(FRAMES) + (120 if label == 0 else 0) + number
    values = steps if label == 0 else steps[::-1]
    frames = np.broadcast_to(values[:, None, None, None], (FRAMES, 8, 8, 3)).astype(np.uint8)
    return Clip(f"ramp-{number:03d}", lambda: frames, video=video, label=list(RAMP)[label])


def still():
    return Clip("still", lambda: np.full((FRAMES, 8, 8, 3), 7, np.uint8), label="darker")


def classifier(function, frames=FRAMES):
    return NumpyClassifier({"logits": function}, frames=frames, size=8)


def values(evaluation, order):
    return [evaluation.scores[order][top]["value"] for top in ("top1", "top5")]


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.sampled_from([0, 1, 2, np.inf])
    ),
    st.integers(1, 8),
    st.data(),
)
def test_top_k_is_what_sorting_gives_whatever_the_ties(outputs, k, data):
    rows, classes = outputs.shape
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows)))
    assert np.array_equal(top_k(outputs, labels, k), naive.top_k(outputs, labels, k))
    everyone = [top_k(outputs, np.full(rows, label), k) for label in range(classes)]
    assert np.sum(everyone, axis=0).tolist() == [min(k, classes)] * rows


def test_top_k_refuses_what_has_no_rank():
    outputs = np.array([[1, 2, 3], [1, np.nan, 3]], np.float32)
    with pytest.raises(InputError, match=r"clip number 1: the output of class 1 is NaN"):
        top_k(outputs, np.array([0, 0]), 1)
    with pytest.raises(InputError, match=r"clip 'wave': the output of class 1 is NaN"):
        top_k(outputs, np.array([0, 0]), 1, ["still", "wave"])
    for label in (3, -1):
        with pytest.raises(InputError, match=rf"label is class {label}, .* output scores 3 classes, 0 to 2"):
            top_k(outputs[:1], np.array([label]), 1)


@given(st.integers(0, 12), st.integers(1, 4), st.data())
def test_replicates_of_a_mean_are_the_means_without_each_group(clips, columns, data):
    rows = data.draw(hnp.arrays(np.float64, (clips, columns), elements=st.floats(-5, 5)))
    groups = data.draw(hnp.arrays(np.int64, clips, elements=st.integers(0, 19)))
    found = mean_replicates(rows, groups)
    expected = [rows, *naive.without_each_group(rows, groups)]
    assert found.shape == (len(expected), columns)
    for replicate, kept in zip(found, expected, strict=True):
        assert np.isnan(replicate).all() if len(kept) == 0 else np.allclose(replicate, kept.mean(axis=0))


def test_a_model_blind_to_order_keeps_all_and_one_that_needs_it_does_not():
    clips = [ramp(number) for number in range(40)]
    blind = evaluate(classifier(brightness), clips, RAMP, shuffle=True)
    assert [row["in_order"] == row["shuffled"] for row in blind.clips] == [True] * 40
    assert blind.scores["ratio"]["top1"] == {"value": 1, "ci95": [1, 1]}
    needs = evaluate(classifier(ends), clips, RAMP, shuffle=True)
    assert values(needs, "in_order") == [1, 1]
    assert needs.scores["shuffled"]["top1"]["ci95"][1] < 0.9
    assert values(needs, "shuffled")[1] == 1, "of two classes, both are among the first five"


def test_shares_and_intervals_are_those_counted_by_hand():
    clips = [ramp(number, video=f"video {number // 2}") for number in range(48)]
    # Every fourth clip is labelled wrongly, so that some are right only when they are shuffled.
    labels = [c.label if k % 4 else {"brighter": "darker", "darker": "brighter"}[c.label] for k, c in enumerate(clips)]
    clips = [Clip(c.id, c.load, video=c.video, label=label) for c, label in zip(clips, labels, strict=True)]
    found = evaluate(classifier(ends), clips, RAMP, shuffle=True, seed=3, batch=5)

    right = []
    for clip in clips:
        frames = clip.frames[:, 0, 0, 0].astype(int)
        # Seeds of the same clip give the same shuffle, drawn again while it shows the frames in their order.
        order, rng = np.arange(FRAMES), clip_generator(3, clip.id)
        while np.array_equal(order, np.arange(FRAMES)):
            order = rng.permutation(FRAMES)
        guesses = [0 if shown[-1] >= shown[0] else 1 for shown in (frames, frames[order])]
        right.append([guess == RAMP[clip.label] for guess in guesses])
    right = np.array(right, float)
    assert [[row["in_order"]["top1"], row["shuffled"]["top1"]] for row in found.clips] == right.astype(bool).tolist()
    assert [row["label"] for row in found.clips] == [RAMP[label] for label in labels]

    groups = np.array([group_of(clip.video) for clip in clips])
    means = np.array([kept.mean(axis=0) for kept in (right, *naive.without_each_group(right, groups))])
    for order, replicates in (
        ("in_order", means[:, 0]),
        ("shuffled", means[:, 1]),
        ("ratio", means[:, 1] / means[:, 0]),
    ):
        score = found.scores[order]["top1"]
        assert score["value"] == pytest.approx(replicates[0])
        assert score["ci95"] == pytest.approx([float(end) for end in jackknife(replicates)])


def test_numbers_do_not_depend_on_batch_or_order_of_the_clips():
    clips = [ramp(number) for number in range(11)]
    one = evaluate(classifier(ends), clips, RAMP, shuffle=True, seed=1, batch=1)
    other = evaluate(classifier(ends), clips[::-1], RAMP, shuffle=True, seed=1, batch=7)
    assert one.clips == other.clips[::-1]
    assert one.scores == other.scores
    seeds = {
        str([row["shuffled"] for row in evaluate(classifier(ends), clips, RAMP, shuffle=True, seed=seed).clips])
        for seed in range(4)
    }
    assert len(seeds) > 1


def test_without_shuffling_every_clip_runs_once_and_nothing_else_is_reported():
    runner = classifier(ends)
    found = evaluate(runner, [ramp(number, video="one") for number in range(7)], RAMP, batch=4)
    assert runner.batches == [2, 2, 2, 1]
    assert found.seed is None
    assert list(found.scores) == ["in_order"]
    assert set(found.clips[0]) == {"id", "video", "label", "in_order"}


def test_a_clip_that_cannot_be_used_is_skipped_in_both_orders():
    bad = broken_clip()
    clips = [ramp(0), Clip(bad.id, bad.load, label="darker"), ramp(1), still(), ramp(2)]
    found = evaluate(classifier(ends), clips, RAMP, shuffle=True, batch=3)
    assert [row["id"] for row in found.clips] == ["ramp-000", "ramp-001", "ramp-002"]
    assert [row["id"] for row in found.skipped] == ["broken", "still"]
    assert "damaged" in found.skipped[0]["reason"]
    assert "cannot be shuffled" in found.skipped[1]["reason"]
    in_order = evaluate(classifier(ends), clips, RAMP)
    assert [row["id"] for row in in_order.skipped] == ["broken"]
    with pytest.raises(InputError, match=r"0 of 1 clips could be used, .*; still: .*cannot be shuffled"):
        evaluate(classifier(ends), [still()], RAMP, shuffle=True)


def test_a_clip_of_another_size_is_skipped_with_what_the_model_reads():
    large = Clip("large", lambda: np.zeros((FRAMES, 9, 8, 3), np.uint8), label="darker")
    found = evaluate(classifier(ends), [ramp(0), large], RAMP)
    assert "6 frames of 9×8, and the model reads 6 frames of 8×8" in found.skipped[0]["reason"]


def test_what_cannot_be_evaluated_is_an_early_error():
    clips = [ramp(0), ramp(1)]
    with pytest.raises(InputError, match="there are no clips"):
        evaluate(classifier(ends), [], RAMP)
    with pytest.raises(InputError, match="seed is -1"):
        evaluate(classifier(ends), clips, RAMP, seed=-1)
    with pytest.raises(InputError, match="batch is 0"):
        evaluate(classifier(ends), clips, RAMP, batch=0)
    with pytest.raises(InputError, match="'video' reads a single frame, which cannot be shuffled"):
        evaluate(classifier(brightness, frames=1), clips, RAMP, shuffle=True)
    with pytest.raises(InputError, match="only numbers are allowed"):
        evaluate(classifier(ends), clips)


def test_classes_and_labels_that_do_not_fit_the_outputs_are_errors_of_the_first_batch():
    clips = [ramp(number) for number in range(9)]
    beyond = Clip("last", clips[0].load, label="2")
    numbers = [Clip(c.id, c.load, label=str(RAMP[c.label])) for c in clips]
    for classes, listed, message in (
        ({**RAMP, "sideways": 2}, clips, "name 3 classes, and output 'logits' has 2 scores"),
        (None, [*numbers, beyond], "a label is class 2, and the model's output scores 2 classes"),
    ):
        runner = classifier(ends)
        with pytest.raises(InputError, match=message):
            evaluate(runner, listed, classes, batch=2)
        assert runner.batches == [2]


def test_what_was_scored_is_recorded(tmp_path):
    clips = [ramp(number) for number in range(6)]
    plain = evaluate(classifier(ends), clips, RAMP)
    assert plain.scored == {"output": "logits", "classes": 2, "frames": 1}
    with pytest.warns(Note, match="the mean over 6 frames"):
        each = evaluate(
            classifier(lambda frames: ends(frames)[:, None] + np.arange(FRAMES)[:, None]), clips, RAMP, output="logits"
        )
    assert each.scores == plain.scores
    document = json.loads(each.save(tmp_path / "evaluation.json").read_text())
    assert document["scored"] == {"output": "logits", "classes": 2, "frames": 6}


def test_an_output_that_is_nan_names_its_clip():
    def undefined(frames):
        scores = ends(frames)
        scores[frames.mean((1, 2, 3, 4)) < 30] = np.nan
        return scores

    clips = [ramp(0), ramp(2), ramp(1), ramp(4)]
    with pytest.raises(InputError, match=r"clip 'ramp-001': the output of class 0 is NaN"):
        evaluate(classifier(undefined), clips, RAMP, shuffle=True, batch=3)


def test_what_is_undefined_is_null_in_the_file(tmp_path):
    wrong = [Clip(c.id, c.load, label="darker") for c in map(ramp, range(0, 40, 2))]
    never = evaluate(classifier(brightness), wrong, RAMP, shuffle=True)
    assert never.scores["in_order"]["top1"] == {"value": 0, "ci95": [0, 0]}
    assert never.scores["ratio"]["top1"] == {"value": None, "ci95": [None, None]}
    few = evaluate(classifier(ends), [ramp(0, "one"), ramp(1, "one")], RAMP, shuffle=True)
    assert few.scores["in_order"]["top1"] == {"value": 1, "ci95": [None, None]}
    for found in (never, few):
        document = json.loads(found.save(tmp_path / "new" / "evaluation.json").read_text(), parse_constant=pytest.fail)
        assert document["schema"] == 1
        assert document["scores"] == found.scores
        assert document["clips"] == found.clips
        assert document["seed"] == 0


def test_intervals_end_where_shares_do():
    clips = [ramp(number) for number in range(40)]
    clips[4] = Clip("wrong", clips[4].load, label="darker")
    right = [clip.id != "wrong" for clip in clips]
    low, high = jackknife(mean_replicates(right, np.array([group_of(clip.video) for clip in clips])))
    assert high > 1
    assert evaluate(classifier(ends), clips, RAMP).scores["in_order"]["top1"]["ci95"] == [low, 1]
