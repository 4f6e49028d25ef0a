"""What is kept under manipulation: against counting by hand, and on models whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS, world_clips
from sdmetrics.clips.manipulations.manipulate import MANIPULATIONS, manipulated
from sdmetrics.demo import demo_model
from sdmetrics.errors import InputError, Note
from sdmetrics.evaluation.classification import evaluate
from sdmetrics.evaluation.kept import correlations
from sdmetrics.evaluation.segmentation import evaluate_segmentation
from sdmetrics.loading.open import open_model
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import jackknife, mean_replicates
from sdmetrics.probes.inputs import ModelInput
from tests import naive
from tests.evaluation.test_classification import RAMP, brightness, classifier, ends, ramp, still
from tests.evaluation.test_segmentation import SIZE, NumpySegmenter, clip_of

IN_TIME = ("shuffle", "reverse", "freeze", "loop")


def frame_wise(frames):
    """Give the mean over frames of a function of each, summed in an order that the frames' order cannot change."""
    each = np.tanh((frames.mean((2, 3, 4)) - 110) / 20)
    mean = np.sort(each, axis=1).mean(axis=1)
    return np.stack([mean, -mean], axis=1)


def unlabelled(clips):
    return [replace(clip, label=None) for clip in clips]


def test_a_frame_wise_model_keeps_all_when_frames_change_places_and_guesses_on_noise():
    clips = [ramp(number) for number in range(60)]
    found = evaluate(classifier(frame_wise), clips, RAMP, manipulate=["shuffle", "reverse", "appearance-free"])
    assert found.scores["in_order"]["top1"]["value"] == 1
    for name in ("shuffle", "reverse"):
        kept = found.manipulated[name]
        assert kept["top1_ratio"] == kept["top5_ratio"] == {"value": 1, "ci95": [1, 1]}
        assert kept["agreement"] == {"value": 1, "ci95": [1, 1]}
        assert kept["correlation"]["value"] == pytest.approx(1, abs=1e-12)
    # Chance is 0.5, and 60 clips are within 4.5 deviations of it.
    noise = found.manipulated["appearance-free"]
    assert abs(noise["top1"]["value"] - 0.5) < 4.5 * np.sqrt(0.25 / 60)
    assert abs(noise["correlation"]["value"]) < 0.6


def test_a_model_blind_to_order_has_a_relative_accuracy_of_exactly_1():
    clips = [ramp(number) for number in range(40)]
    # Some labels are wrong, so that accuracy is not 1.
    clips = [replace(clip, label="darker") if number % 7 == 0 else clip for number, clip in enumerate(clips)]
    found = evaluate(classifier(brightness), clips, RAMP, shuffle=True, manipulate=["reverse", "shuffle"])
    assert 0.5 < found.scores["in_order"]["top1"]["value"] < 1
    for ratio in (found.scores["ratio"], *({"top1": kept["top1_ratio"]} for kept in found.manipulated.values())):
        assert ratio["top1"] == {"value": 1, "ci95": [1, 1]}


def test_freeze_leaves_nothing_of_motion_and_reverse_turns_it_around():
    clips = [ramp(number) for number in range(40)]
    found = evaluate(classifier(ends), clips, RAMP, manipulate=["freeze", "reverse"])
    assert found.manipulated["reverse"]["top1"] == {"value": 0, "ci95": [0, 0]}
    assert found.manipulated["reverse"]["correlation"]["value"] == pytest.approx(-1)
    assert found.manipulated["freeze"]["top1"]["value"] == 0.5, "what does not move is always the first class"
    assert found.manipulated["freeze"]["correlation"] == {"value": None, "ci95": [None, None]}, "it never varies"


def test_shares_agreement_and_correlation_are_those_counted_by_hand():
    clips = [ramp(number, video=f"video {number // 2}") for number in range(48)]
    clips = [replace(clip, label="darker") if number % 5 == 0 else clip for number, clip in enumerate(clips)]
    model = classifier(lambda frames: ends(frames) + brightness(frames) / 3)
    found = evaluate(model, clips, RAMP, manipulate=["loop"], seed=3, batch=5)
    outputs = []
    for clip in clips:
        frames = clip.frames.astype(float)[None]
        outputs.append([model.functions["logits"](shown)[0] for shown in (frames, frames[:, [0, 1, 2, 0, 1, 2]])])
    outputs = np.array(outputs, np.float32)
    expected = np.array([RAMP[clip.label] for clip in clips])
    right = (outputs.argmax(axis=2) == expected[:, None]).astype(float)
    agrees = (outputs[:, 0].argmax(axis=1) == outputs[:, 1].argmax(axis=1)).astype(float)
    groups = np.array([group_of(clip.video) for clip in clips])
    means = np.array([kept.mean(axis=0) for kept in (right, *naive.without_each_group(right, groups))])
    alike = [
        naive.pearson(kept[:, 0], kept[:, 1]).mean() for kept in (outputs, *naive.without_each_group(outputs, groups))
    ]
    kept = found.manipulated["loop"]
    for name, replicates in (
        ("top1", means[:, 1]),
        ("top1_ratio", means[:, 1] / means[:, 0]),
        ("agreement", mean_replicates(agrees, groups)),
        ("correlation", np.array(alike)),
    ):
        assert kept[name]["value"] == pytest.approx(replicates[0]), name
        assert kept[name]["ci95"] == pytest.approx(
            np.clip([float(end) for end in jackknife(replicates)], -1, 1 if name != "top1_ratio" else np.inf).tolist()
        ), name
    rows = [row["manipulated"]["loop"] for row in found.clips]
    assert [row["top1"] for row in rows] == (right[:, 1] > 0).tolist()
    assert [row["agrees"] for row in rows] == (agrees > 0).tolist()


def test_without_labels_predictions_and_scores_are_compared(tmp_path):
    clips = [ramp(number) for number in range(40)]
    labelled = evaluate(classifier(ends), clips, RAMP, manipulate=IN_TIME)
    found = evaluate(classifier(ends), unlabelled(clips), manipulate=IN_TIME)
    assert found.scores == {}
    for name in IN_TIME:
        assert set(found.manipulated[name]) == {"agreement", "correlation"}
        for score, value in found.manipulated[name].items():
            assert value == labelled.manipulated[name][score]
    assert found.clips[0]["label"] is None
    with pytest.warns(Note, match="40 of 40 clips have labels, not all of them are numbers, and no list .* left out"):
        named = evaluate(classifier(ends), clips, manipulate=IN_TIME)
    assert named.manipulated == found.manipulated
    document = json.loads(found.save(tmp_path / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert document["manipulated"] == found.manipulated


def test_the_short_form_has_the_same_numbers_and_no_other_keys(tmp_path):
    clips = [ramp(number) for number in range(20)]
    short = evaluate(classifier(ends), clips, RAMP, shuffle=True, seed=5)
    both = evaluate(classifier(ends), clips, RAMP, shuffle=True, manipulate=["reverse", "shuffle"], seed=5)
    assert short.scores == both.scores
    assert both.scores["shuffled"]["top1"] == both.manipulated["shuffle"]["top1"]
    assert both.scores["ratio"]["top1"] == both.manipulated["shuffle"]["top1_ratio"]
    assert set(short.clips[0]) == {"id", "video", "label", "in_order", "shuffled"}
    assert "manipulated" not in json.loads(short.save(tmp_path / "short.json").read_text())


def test_what_a_clip_cannot_do_is_skipped_in_all_views():
    clips = [ramp(0), still(), ramp(1)]
    found = evaluate(classifier(ends), clips, RAMP, manipulate=["reverse", "appearance-free"])
    assert [row["id"] for row in found.clips] == ["ramp-000", "ramp-001"]
    assert [row["id"] for row in found.skipped] == ["still"]
    assert "shows the same under 'reverse'" in found.skipped[0]["reason"]
    assert evaluate(classifier(ends), clips, RAMP, manipulate=["appearance-free"]).skipped == []


def test_one_class_has_no_prediction_and_outputs_that_are_not_finite_do_not_count():
    clips = unlabelled([ramp(number) for number in range(40)])
    one = evaluate(classifier(lambda frames: ends(frames)[:, :1]), clips, manipulate=["reverse"])
    assert one.manipulated["reverse"]["agreement"] == {"value": None, "ci95": [None, None]}
    assert one.manipulated["reverse"]["correlation"]["value"] == pytest.approx(-1)

    def masked(frames):
        return np.concatenate([ends(frames), np.full((len(frames), 1), -np.inf)], axis=1)

    with pytest.warns(Note, match="1 of 3 outputs are not finite"):
        found = evaluate(classifier(masked), clips, manipulate=["reverse"])
    assert found.manipulated["reverse"]["correlation"]["value"] == pytest.approx(-1)
    with pytest.warns(Note, match="1 of 1 outputs"):
        none = correlations(np.full((3, 2, 1), np.inf, np.float32), ["loop"], np.arange(3))
    assert none == {"loop": {"value": None, "ci95": [None, None]}}
    undefined = classifier(lambda frames: np.full((len(frames), 2), np.nan))
    with pytest.raises(InputError, match="the output of class 0 is NaN"):
        evaluate(undefined, clips, manipulate=["reverse"])


def test_what_is_not_known_is_an_early_error():
    runner = classifier(ends)
    with pytest.raises(InputError, match="manipulation 'revers' is not known"):
        evaluate(runner, [ramp(0)], RAMP, manipulate=["revers"])
    with pytest.raises(InputError, match="without a list of classes"):
        evaluate(runner, [ramp(0)])
    with pytest.raises(InputError, match="there are no clips"):
        evaluate(runner, [], manipulate=["reverse"])
    assert runner.batches == []


@pytest.mark.parametrize(("name", "labels"), [("motion", MOTIONS), ("appearance", APPEARANCES)])
def test_the_known_answers_of_the_world(name, labels):
    with demo_model(name) as path:
        runner = open_model(path, provider="cpu")
    classes = {label: index for index, label in enumerate(labels)}
    found = evaluate(runner, world_clips(80, seed=3), classes, manipulate=MANIPULATIONS, batch=48)
    kept = {manipulation: scores["top1_ratio"]["value"] for manipulation, scores in found.manipulated.items()}
    if name == "motion":
        assert kept["reverse"] < 0.05
        assert kept["freeze"] < 0.3
        assert kept["shuffle"] < 0.5
        assert kept["appearance-free"] > 0.8
        assert kept["loop"] > 0.8
    else:
        assert kept["appearance-free"] < 0.3
        assert min(kept[each] for each in IN_TIME) > 0.8


# Segmentation: masks follow their frames.


def video(frames):
    values = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    return ModelInput("video", frames=frames, stride=1, size=(SIZE, SIZE), layout="NTCHW", **values)


def bright(frames, faulty=0.0):
    """Return a segmenter that marks what is bright; in the first frame that it reads it marks less."""

    def marked(feeds):
        rgb, order = feeds["rgb"], feeds["video/order"]
        maps = rgb[np.arange(len(rgb))[:, None], order].mean(axis=-1)[:, :, None] / 255
        maps[:, 0] *= 1 - faulty
        return maps

    return NumpySegmenter(marked, [video(frames)])


def turning(number, video="", frames=4):
    """Return a clip whose object is a bar that grows, seen a little beside where it is."""
    masks = np.zeros((frames, SIZE, SIZE), np.uint8)
    marked = masks.astype(float)
    for t in range(frames):
        masks[t, 2:6, : 4 + 2 * t] = 1
        marked[t, 2:6, number % 3 : 4 + 2 * t + number % 3] = 1
    return clip_of(f"bar-{number:03d}", marked, masks, video=video)


def test_masks_follow_their_frames():
    clips = [turning(number, video=f"video {number // 2}") for number in range(12)]
    found = evaluate_segmentation(bright(4), clips, manipulate=IN_TIME, seed=2, batch=3)
    shown = {"reverse": [3, 2, 1, 0], "freeze": [2] * 4, "loop": [0, 1, 0, 1]}
    for clip, row in zip(clips, found.clips, strict=True):
        for name, frames in shown.items():
            assert row["manipulated"][name] == [row["overlaps"][frame] for frame in frames]
        view, _ = manipulated("shuffle", clip, 2, [video(4)])
        assert row["manipulated"]["shuffle"] == [row["overlaps"][frame] for frame in view.orders["video"]]
    # Frame by frame is blind to order, so that nothing is lost.
    for name in ("shuffle", "reverse"):
        assert found.manipulated[name]["miou_ratio"]["value"] == pytest.approx(1)
    assert found.manipulated["freeze"]["miou"]["value"] != pytest.approx(found.scores["miou"]["value"])


def test_what_masks_keep_is_worked_out_by_hand():
    clips = [turning(number, video=f"video {number // 2}") for number in range(40)]
    found = evaluate_segmentation(bright(4, faulty=0.8), clips, manipulate=["reverse"], protocol="moca", threshold=0.5)
    overlaps = np.array([[row["overlaps"], row["manipulated"]["reverse"]] for row in found.clips])
    means = overlaps.reshape(20, 2, 2, 4).mean(axis=(1, 3))
    groups = np.array([group_of(f"video {number}") for number in range(20)])
    replicates = np.array([kept.mean(axis=0) for kept in (means, *naive.without_each_group(means, groups))])
    kept = found.manipulated["reverse"]
    assert kept["miou"]["value"] == pytest.approx(replicates[0, 1])
    assert kept["miou_ratio"]["value"] == pytest.approx(replicates[0, 1] / replicates[0, 0])
    assert kept["miou_ratio"]["ci95"] == pytest.approx(
        [float(end) for end in jackknife(replicates[:, 1] / replicates[:, 0])]
    )
    assert kept["success_0.5"]["value"] == pytest.approx((overlaps[:, 1] > 0.5).mean())


def test_ends_that_are_left_out_are_left_out_where_they_are_shown():
    clips = [turning(number) for number in range(4)]
    found = evaluate_segmentation(bright(4), clips, manipulate=["reverse", "loop"], skip_ends=True)
    for row in found.clips:
        assert [overlap is None for overlap in row["overlaps"]] == [True, False, False, True]
        assert [overlap is None for overlap in row["manipulated"]["reverse"]] == [True, False, False, True]
        assert [overlap is None for overlap in row["manipulated"]["loop"]] == [True, False, True, False]


def test_a_mask_that_nothing_shows_makes_the_score_undefined():
    clip = turning(0)
    masks = clip.masks.copy()
    masks[2] = 255  # the frame that is frozen is not annotated
    with pytest.warns(Note, match="3 of 4 frames are scored"):
        found = evaluate_segmentation(bright(4), [replace(clip, load_masks=lambda: masks)], manipulate=["freeze"])
    assert found.manipulated["freeze"]["miou"] == found.manipulated["freeze"]["miou_ratio"]
    assert found.manipulated["freeze"]["miou"] == {"value": None, "ci95": [None, None]}


def test_appearance_free_masks_stay_and_a_model_of_appearance_fails():
    clips = [turning(number) for number in range(12)]
    found = evaluate_segmentation(bright(4), clips, manipulate=["appearance-free"])
    assert found.manipulated["appearance-free"]["miou_ratio"]["value"] < 0.5


def test_masks_cannot_follow_two_orders():
    two = [video(4), replace(video(2), name="slow")]
    with pytest.raises(InputError, match="shows the inputs 'video', 'slow' frames in different orders"):
        evaluate_segmentation(NumpySegmenter(inputs=two), [turning(0)], manipulate=["shuffle"])
    with pytest.raises(InputError, match="seed is -1"):
        evaluate_segmentation(bright(4), [turning(0)], manipulate=["reverse"], seed=-1)
