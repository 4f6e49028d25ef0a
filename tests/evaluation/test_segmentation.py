"""How well a model segments, against scoring by hand, with models and masks whose overlap is known."""

import json

import cv2
import numpy as np
import pytest

from sdmetrics.clips import Clip
from sdmetrics.errors import InputError, Note
from sdmetrics.evaluation.foreground_maps import MapReader, map_output
from sdmetrics.evaluation.segmentation import evaluate_segmentation, mirrored
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import jackknife
from sdmetrics.probes.inputs import ModelInput
from tests import naive
from tests.helpers.fakes import broken_clip

SIZE = 16
IMAGE = ModelInput("image", frames=1, size=(SIZE, SIZE), layout="NCHW", mean=(0, 0, 0), std=(1, 1, 1))


class NumpySegmenter:
    """Gives a function of its feeds as the map of foreground: by default, how bright a frame is."""

    def __init__(self, function=lambda feeds: feeds["rgb"].mean(axis=-1)[:, :, None] / 255, inputs=(IMAGE,)):
        self.function, self.inputs = function, list(inputs)
        self.identity = {"name": "numpy"}
        self.batches = []

    def run(self, feeds):
        self.batches.append(len(next(iter(feeds.values()))))
        return {"mask": self.function(feeds)}


def clip_of(name, marked, masks, video="", **more):
    """Return a clip whose brightness is `marked` `(T, H, W)`, 0 to 1, and whose masks are `masks`."""
    frames = np.repeat(np.rint(255 * np.asarray(marked, float))[..., None], 3, axis=-1).astype(np.uint8)
    return Clip(name, lambda: frames, video=video, load_masks=lambda: np.asarray(masks, np.uint8), **more)


def square(left, top, side, size=SIZE):
    mask = np.zeros((1, size, size), np.uint8)
    mask[:, top : top + side, left : left + side] = 1
    return mask


def shifted(number, video=""):
    """Return a clip of one frame in which a square of 8 pixels is seen `number % 9` pixels beside where it is."""
    return clip_of(f"frame-{number:03d}", square(number % 9, 4, 8), square(0, 4, 8), video=video)


def overlap(number):
    shift = number % 9
    return (8 - shift) / (8 + shift)


def overlaps(evaluation):
    return {row["id"]: row["overlaps"] for row in evaluation.clips}


@pytest.mark.parametrize("protocol", ["region", "moca"])
def test_scores_and_intervals_are_those_worked_out_by_hand(protocol):
    clips = [shifted(number, video=f"video {number % 13}") for number in range(40)]
    found = evaluate_segmentation(NumpySegmenter(), clips, protocol=protocol, batch=7)
    assert overlaps(found) == {clip.id: [pytest.approx(overlap(number))] for number, clip in enumerate(clips)}
    values = np.array([overlap(number) for number in range(40)])
    names = np.array([clip.video for clip in clips])
    videos = np.unique(names)
    groups = np.array([group_of(video) for video in videos])
    means = np.array([values[names == video].mean() for video in videos])
    replicates = np.array([means.mean(), *(kept.mean() for kept in naive.without_each_group(means, groups))])
    assert found.scores["miou"]["value"] == pytest.approx(replicates[0])
    assert found.scores["miou"]["value"] != pytest.approx(values.mean()), "videos of 3 and 4 frames count the same"
    assert found.scores["miou"]["ci95"] == pytest.approx([float(end) for end in jackknife(replicates)])
    if protocol == "region":
        assert list(found.scores) == ["miou"]
        return
    frames_of = np.array([group_of(name) for name in names])
    expected = {}
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9):
        success = (values > threshold).astype(float)
        kept = np.array([success.mean(), *(kept.mean() for kept in naive.without_each_group(success, frames_of))])
        expected[f"success_{threshold}"] = kept
    expected["success_mean"] = np.mean(list(expected.values()), axis=0)
    assert list(found.scores) == ["miou", *expected]
    for name, kept in expected.items():
        assert found.scores[name]["value"] == pytest.approx(kept[0])
        low, high = jackknife(kept)
        assert found.scores[name]["ci95"] == pytest.approx([max(low, 0), min(high, 1)])


def test_a_perfect_model_scores_1_and_a_blind_one_0():
    clips = [clip_of(f"frame-{k}", square(k, 2, 5), 7 * square(k, 2, 5)) for k in range(8)]
    perfect = evaluate_segmentation(NumpySegmenter(), clips, protocol="moca")
    assert {score["value"] for score in perfect.scores.values()} == {1}
    blind = evaluate_segmentation(NumpySegmenter(lambda feeds: np.zeros((len(feeds["rgb"]), 1, SIZE, SIZE))), clips)
    assert blind.scores["miou"]["value"] == 0


def test_boxes_are_compared_on_moca_and_pixels_elsewhere():
    disc = np.zeros((1, SIZE, SIZE), np.uint8)
    cv2.circle(disc[0], (8, 8), 5, 1, -1)
    clip = clip_of("disc", disc, square(3, 3, 11))
    assert overlaps(evaluate_segmentation(NumpySegmenter(), [clip], protocol="moca")) == {"disc": [1]}
    region = evaluate_segmentation(NumpySegmenter(), [clip]).scores["miou"]["value"]
    assert region == disc.sum() / 121


def test_thresholds_are_those_of_the_protocols_unless_another_is_passed():
    clip = clip_of("dim", 0.3 * square(4, 4, 6), square(4, 4, 6))
    for protocol, threshold, expected in (
        ("region", None, 0),
        ("moca", None, 1),
        ("region", 0.25, 1),
        ("moca", 0.4, 0),
    ):
        found = evaluate_segmentation(NumpySegmenter(), [clip], protocol=protocol, threshold=threshold)
        assert found.scores["miou"]["value"] == expected
        assert found.settings["threshold"] == (threshold or {"region": 0.5, "moca": 0.2}[protocol])


def test_a_map_is_resized_to_the_masks_not_the_masks_to_the_map():
    truth = np.zeros((1, 60, 100), np.uint8)
    truth[:, 13:40, 21:77] = 3
    small = cv2.resize(truth[0].astype(np.float32) / 3, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    frames = np.rint(255 * small) / 255
    large = cv2.resize(frames.astype(np.float32), (100, 60), interpolation=cv2.INTER_LINEAR)
    found = evaluate_segmentation(NumpySegmenter(), [clip_of("wide", frames[None], truth)])
    assert found.scores["miou"]["value"] == pytest.approx(naive.region_similarity(large > 0.5, truth[0]))
    assert 0.8 < found.scores["miou"]["value"] < 1


def test_logits_are_detected_by_their_values_or_declared():
    clips = [shifted(number) for number in range(6)]

    def logits(feeds):
        return 40 * (feeds["rgb"].mean(axis=-1) / 255 - 0.6)

    told = evaluate_segmentation(NumpySegmenter(logits), clips)
    probable = evaluate_segmentation(NumpySegmenter(lambda feeds: 1 / (1 + np.exp(-logits(feeds)))), clips)
    assert told.clips == probable.clips
    faint = NumpySegmenter(lambda feeds: 0.4 * (feeds["rgb"].mean(axis=-1) / 255))
    assert evaluate_segmentation(faint, clips).scores["miou"]["value"] == 0
    everywhere = evaluate_segmentation(faint, clips, logits=True)
    assert everywhere.scores["miou"]["value"] > 0, "the sigmoid of what is above 0 is above 0.5"


def test_an_output_that_turns_out_to_be_logits_after_a_while_is_an_error():
    clips = [shifted(0), shifted(1), clip_of("loud", square(0, 0, 4), square(0, 0, 4))]

    def later(feeds):
        loud = feeds["rgb"][:, 0, 0, 0, 0] == 255
        return feeds["rgb"].mean(axis=-1) / 255 * np.where(loud, 5, 0.5)[:, None, None, None]

    with pytest.raises(InputError, match=r"clip 'loud': the model's output is outside 0 to 1.*logits=True"):
        evaluate_segmentation(NumpySegmenter(later), clips, batch=2)
    assert evaluate_segmentation(NumpySegmenter(later), clips, batch=2, logits=False).clips


def test_a_map_that_is_nan_names_its_clip():
    def undefined(feeds):
        maps = feeds["rgb"].mean(axis=-1) / 255
        maps[1, 0, 3, 3] = np.nan
        return maps

    with pytest.raises(InputError, match=r"clip 'frame-001': the model's output has NaN"):
        evaluate_segmentation(NumpySegmenter(undefined), [shifted(0), shifted(1)])


@pytest.mark.parametrize("shape", [(2, 7, 5), (2, 1, 7, 5), (2, 3, 1, 7, 5), (2, 1, 3, 7, 5), (2, 1, 1, 7, 5)])
def test_maps_of_every_shape_are_found_among_other_outputs(shape):
    values = np.random.default_rng(0).random(shape)
    outputs = {"features": np.zeros((2, 64, 7, 5)), "mask": values, "classes": np.zeros((2, 10))}
    found = map_output(outputs)
    assert found.shape == (2, max(shape[1:-2], default=1) if len(shape) > 3 else 1, 7, 5)
    assert np.array_equal(found.ravel(), values.ravel())


def test_the_output_that_maps_foreground_is_found_or_named():
    mask, edge, features = np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 8, 8)), np.zeros((1, 9, 4, 4))
    assert map_output({"mask": mask, "edge": edge}, "edge").shape == (1, 1, 8, 8)
    for outputs, name, words in (
        ({"mask": mask, "edge": edge}, None, r"several outputs .* mask \(1, 1, 4, 4\), edge \(1, 1, 8, 8\); name one"),
        ({"features": features}, None, r"no output has the shape of a map of the foreground .*features \(1, 9, 4, 4\)"),
        ({"mask": mask}, "masks", r"no output 'masks'; allowed: mask \(1, 1, 4, 4\)"),
        (
            {"mask": mask, "features": features},
            "features",
            r"'features' does not have the shape of a map",
        ),
    ):
        with pytest.raises(InputError, match=words):
            map_output(outputs, name)


def test_every_frame_of_a_clip_is_scored_and_unknown_ones_are_not():
    marked = np.concatenate([square(0, 4, 8), square(4, 4, 8), square(0, 0, 2), square(8, 8, 8)])
    truth = np.concatenate([square(0, 4, 8), square(0, 4, 8), 255 * square(0, 0, SIZE), 0 * square(0, 0, 1)])
    several = ModelInput("image", frames=4, stride=1, size=(SIZE, SIZE))
    runner = NumpySegmenter(inputs=[several])
    with pytest.warns(Note, match="3 of 4 frames are scored; the others are not annotated"):
        assert overlaps(evaluate_segmentation(runner, [clip_of("long", marked, truth)]))["long"] == [1, 1 / 3, None, 0]
    with pytest.warns(Note, match="2 of 4 frames are scored"):
        found = evaluate_segmentation(runner, [clip_of("long", marked, truth)], protocol="moca")
    assert overlaps(found)["long"] == [1, 1 / 3, None, None], "a frame without a box is not scored on MoCA"
    assert found.scores["miou"]["value"] == pytest.approx(2 / 3)
    assert found.scores["success_0.5"]["value"] == 0.5


def test_the_ends_of_videos_are_left_out_on_request_whether_or_not_they_can_be_used():
    clips = [shifted(0, "a"), shifted(1, "a"), shifted(2, "b"), shifted(3, "a"), shifted(4, "a"), shifted(5, "b")]
    last = Clip("frame-009", broken_clip().load, video="a", load_masks=lambda: square(0, 0, 1))
    found = evaluate_segmentation(NumpySegmenter(), [*clips, last, shifted(6, "b")], skip_ends=True)
    scored = {name for name, row in overlaps(found).items() if row != [None]}
    assert scored == {"frame-001", "frame-003", "frame-004", "frame-005"}
    expected = (np.mean([overlap(1), overlap(3), overlap(4)]) + overlap(5)) / 2
    assert found.scores["miou"]["value"] == pytest.approx(expected)
    assert found.settings["skip_ends"]
    with pytest.raises(InputError, match=r"no frame of 2 clip\(s\) is scored.*ends of their videos"):
        evaluate_segmentation(NumpySegmenter(), clips[:2], skip_ends=True)


FLOW_INPUTS = [
    IMAGE,
    ModelInput("picture", "flow", frames=1, size=(SIZE, SIZE), layout="NCHW"),
    ModelInput("vectors", "flow_vectors", frames=1, size=(SIZE, SIZE), layout="NCHW"),
]


def test_flipping_averages_the_maps_of_a_clip_and_of_its_mirror_image():
    rng = np.random.default_rng(3)
    marked, truth = rng.random((1, SIZE, SIZE)), rng.integers(0, 2, (1, SIZE, SIZE))
    clip = clip_of("noise", marked, truth)

    def leftmost(feeds):
        return feeds["rgb"].mean(axis=-1) / 255 * np.linspace(1, 0, SIZE)

    seen = clip.frames.mean(axis=-1) / 255
    averaged = (seen * np.linspace(1, 0, SIZE) + seen * np.linspace(0, 1, SIZE)) / 2
    runner = NumpySegmenter(leftmost)
    found = evaluate_segmentation(runner, [clip], flip=True, threshold=0.3)
    assert runner.batches == [1, 1]
    assert found.scores["miou"]["value"] == naive.region_similarity(averaged[0] > 0.3, truth[0])
    once = evaluate_segmentation(NumpySegmenter(leftmost), [clip], threshold=0.3)
    assert once.scores["miou"]["value"] != found.scores["miou"]["value"]
    assert (once.settings["flip"], found.settings["flip"]) == (False, True)


def test_a_mirror_image_moves_the_other_way_and_twice_mirrored_is_as_before():
    rng = np.random.default_rng(0)
    fed = {
        "rgb": rng.integers(0, 256, (2, 1, 4, 6, 3), np.uint8),
        "flow": rng.integers(0, 256, (2, 1, 4, 6, 3), np.uint8),
        "flow_vectors": rng.normal(size=(2, 1, 4, 6, 2)).astype(np.float32),
        "image/order": np.zeros((2, 1), np.int64),
    }
    before = {name: array.copy() for name, array in fed.items()}
    turned = mirrored(fed)
    assert np.array_equal(turned["rgb"][:, :, :, 0], fed["rgb"][:, :, :, -1])
    assert np.array_equal(turned["flow"][:, :, :, 1], fed["flow"][:, :, :, -2])
    assert np.array_equal(turned["flow_vectors"][..., 0, :], fed["flow_vectors"][..., -1, :] * [-1, 1])
    assert turned["image/order"] is fed["image/order"]
    for name, array in mirrored(turned).items():
        assert np.array_equal(array, before[name])
        assert np.array_equal(fed[name], before[name]), "what was fed is left as it was"


def test_models_of_flow_are_fed_the_clips_flow_and_clips_without_are_skipped():
    flow = np.zeros((1, SIZE, SIZE, 2), np.float32)
    flow[:, 4:12, 5:13] = (3, 0)
    moving = clip_of("moving", square(0, 0, SIZE) * 0.5, square(5, 4, 8), load_flow=lambda: flow)
    still = clip_of("still", square(0, 0, SIZE), square(5, 4, 8))

    def moves(feeds):
        speed = np.hypot(*np.moveaxis(feeds["flow_vectors"], -1, 0)) / 3
        assert ((feeds["flow"] < 255).any(axis=-1) == (speed > 0)).all()
        return speed

    found = evaluate_segmentation(NumpySegmenter(moves, FLOW_INPUTS), [moving, still])
    assert overlaps(found) == {"moving": [1]}
    assert found.skipped[0]["id"] == "still"
    assert "no optical flow" in found.skipped[0]["reason"]


def test_a_clip_that_cannot_be_used_is_skipped_and_none_at_all_is_an_error():
    bare = Clip("bare", shifted(0).load)
    large = clip_of("large", np.zeros((1, 9, SIZE)), square(0, 0, 2))
    bad = Clip("broken", broken_clip().load, load_masks=lambda: square(0, 0, 2))
    wrong = clip_of("wrong", square(0, 0, 2), square(0, 0, 2)[0])
    found = evaluate_segmentation(NumpySegmenter(), [bare, shifted(1), large, bad, wrong, shifted(2)], batch=2)
    assert list(overlaps(found)) == ["frame-001", "frame-002"]
    reasons = {row["id"]: row["reason"] for row in found.skipped}
    assert list(reasons) == ["bare", "large", "broken", "wrong"]
    for name, words in (("bare", "no masks"), ("large", "9×16"), ("broken", "damaged"), ("wrong", "(T, h, w)")):
        assert words in reasons[name]
    with pytest.raises(InputError, match=r"0 of 1 clips could be used, .*; bare: .*no masks"):
        evaluate_segmentation(NumpySegmenter(), [bare])


def test_what_cannot_be_evaluated_is_an_early_error():
    runner = NumpySegmenter()
    for words, clips, options in (
        ("there are no clips", [], {}),
        ("protocol is 'davis'; allowed: region, moca", [shifted(0)], {"protocol": "davis"}),
        ("threshold is 50; expected at least 0 and below 1", [shifted(0)], {"threshold": 50}),
        ("threshold is nan; expected at least 0 and below 1", [shifted(0)], {"threshold": float("nan")}),
        ("batch is 0", [shifted(0)], {"batch": 0}),
    ):
        with pytest.raises(InputError, match=words):
            evaluate_segmentation(runner, clips, **options)
    assert runner.batches == []
    two = clip_of("two", square(0, 0, 2), np.concatenate([square(0, 0, 2)] * 2))
    with pytest.raises(InputError, match=r"has 1 map\(s\) for clip 'two', which has 2 mask\(s\)"):
        evaluate_segmentation(runner, [two])
    unknown = clip_of("unknown", square(0, 0, 2), np.full((1, 4, 4), 255))
    with pytest.raises(InputError, match=r"no frame of 1 clip\(s\) is scored"):
        evaluate_segmentation(runner, [unknown])


def test_numbers_do_not_depend_on_the_batch_or_the_order_of_clips():
    clips = [shifted(number, f"video {number % 3}") for number in range(11)]
    one = evaluate_segmentation(NumpySegmenter(), clips, protocol="moca", batch=1)
    other = evaluate_segmentation(NumpySegmenter(), clips[::-1], protocol="moca", batch=7)
    assert one.clips == other.clips[::-1]
    assert list(one.scores) == list(other.scores)
    for name, score in one.scores.items():
        assert score["value"] == pytest.approx(other.scores[name]["value"])


def test_the_file_holds_all_of_it(tmp_path):
    found = evaluate_segmentation(NumpySegmenter(), [shifted(1), Clip("bare", shifted(0).load)], protocol="moca")
    document = json.loads(found.save(tmp_path / "new" / "scores.json").read_text(), parse_constant=pytest.fail)
    assert document["schema"] == 1
    assert document["scores"] == found.scores
    assert document["clips"] == found.clips
    assert document["skipped"] == found.skipped
    assert document["settings"] == {"protocol": "moca", "threshold": 0.2, "flip": False, "skip_ends": False}
    assert document["model"] == {"name": "numpy"}


def test_a_reader_keeps_what_the_first_outputs_said():
    read = MapReader()
    assert read({"mask": np.full((1, 2, 2), -4.0)}, ["a"]).max() < 0.02
    assert read({"mask": np.full((1, 2, 2), 0.0)}, ["b"]).tolist() == [[[[0.5, 0.5], [0.5, 0.5]]]]
    assert read({"mask": np.array([[[-1e9, 1e9]]])}, ["c"]).tolist() == [[[[0, 1]]]]
