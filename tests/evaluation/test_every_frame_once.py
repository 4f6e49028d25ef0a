"""Every annotated frame of a video is scored once, whatever clips a model reads: against scoring video by video."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.ablation.scoring import Scoring
from sdmetrics.ablation.segmentation_scores import moca_score, region_score
from sdmetrics.clips import Clip
from sdmetrics.errors import InputError, Note
from sdmetrics.evaluation.centre_bias import centre_bias
from sdmetrics.evaluation.segmentation import evaluate_segmentation
from sdmetrics.probes.inputs import ModelInput
from tests import naive
from tests.evaluation.test_segmentation import NumpySegmenter, clip_of
from tests.evaluation.test_segmentation import square as small_square
from tests.helpers.segmentation_files import SIZE, opened, square, write_images, write_png
from tests.helpers.videos import numbers_of

LENGTHS = {"ant": 2, "bear": 7, "camel": 23}
"""Images of each video: shorter and longer than the clips."""


def write_set(root: Path, every: int) -> dict[str, dict[int, np.ndarray]]:
    """Write a data set of which every `every`-th image is annotated; return the masks by video and number."""
    truth = {video: {n: square(n, 1) for n in range(0, length, every)} for video, length in LENGTHS.items()}
    for video, masks in truth.items():
        write_images(root / "JPEGImages" / video, range(LENGTHS[video]))
        for number, mask in masks.items():
            write_png(root / "Annotations" / video / f"{number:05d}.png", mask)
    return truth


def predicted(number: int) -> np.ndarray:
    """Return what the model marks in an image: the object, the more beside it the later the image."""
    return np.roll(square(number, 1), number % 11, axis=1)


def segmenter(frames: int) -> NumpySegmenter:
    """Return a model of several frames, which reads the number of each."""
    inputs = [ModelInput("video", frames=frames, stride=1, size=SIZE, layout="NCTHW" if frames > 1 else "NCHW")]

    def marked(feeds):
        return np.stack([[[predicted(number)] for number in numbers_of(clip)] for clip in feeds["rgb"]]).astype(float)

    return NumpySegmenter(marked, inputs)


def by_hand(truth: dict[str, dict[int, np.ndarray]], skip_ends: bool = False) -> float:
    """Return the mean over videos of the mean over their annotated frames."""
    counted = [masks for masks in truth.values() if len(masks) > 2 or not skip_ends]
    marked = [{number: predicted(number) > 0 for number in masks} for masks in counted]
    return float(np.mean([naive.video_score(*both, skip_ends) for both in zip(marked, counted, strict=True)]))


def scored(evaluation) -> int:
    return sum(value is not None for row in evaluation.clips for value in row["overlaps"])


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
@pytest.mark.parametrize("every", [1, 5])
@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_scores_are_those_of_whole_videos(tmp_path: Path, frames: int, every: int):
    truth = write_set(tmp_path, every)
    annotated = sum(map(len, truth.values()))
    ends = sum(min(len(masks), 2) for masks in truth.values())
    for stride in (1, 2, 5):
        clips = opened(tmp_path, frames=frames, stride=stride, clips_per_video=None)
        whole = evaluate_segmentation(segmenter(frames), clips)
        assert scored(whole) == annotated
        assert whole.scores["miou"]["value"] == pytest.approx(by_hand(truth))
        inner = evaluate_segmentation(segmenter(frames), clips, skip_ends=True)
        assert scored(inner) == annotated - ends
        assert inner.scores["miou"]["value"] == pytest.approx(by_hand(truth, skip_ends=True))
        assert centre_bias(clips).frames == annotated


def test_what_is_not_scored_is_counted(tmp_path: Path):
    write_set(tmp_path, 5)
    with pytest.warns(Note, match="2 of 3 videos are shorter than a clip of 8 frames with stride 1"):
        clips = opened(tmp_path, frames=8, clips_per_video=None)
    with pytest.warns(Note, match="8 of 40 frames are scored; the others are not annotated, show a frame that is sco"):
        evaluate_segmentation(segmenter(8), clips)


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
@pytest.mark.parametrize(("frames", "count"), [(1, 10), (3, 4), (8, 5)])
def test_of_several_clips_per_video_every_frame_that_is_shown_counts_once(tmp_path: Path, frames: int, count: int):
    truth = write_set(tmp_path, 1)
    clips = opened(tmp_path, frames=frames, stride=2, clips_per_video=count)
    seen: dict[str, set[int]] = {}
    for clip in clips:
        seen.setdefault(clip.video, set()).update(numbers_of(clip.frames))
    expected = {video: {n: truth[video][n] for n in numbers} for video, numbers in seen.items()}
    found = evaluate_segmentation(segmenter(frames), clips)
    assert scored(found) == sum(map(len, seen.values()))
    assert found.scores["miou"]["value"] == pytest.approx(by_hand(expected))
    assert centre_bias(clips).frames == scored(found)


def test_centre_bias_does_not_count_a_frame_twice(tmp_path: Path):
    write_set(tmp_path, 5)
    every = centre_bias(opened(tmp_path, clips_per_video=None))
    with pytest.warns(Note, match="3 of 3 videos are too short for 6 different clips"):
        several = centre_bias(opened(tmp_path, clips_per_video=6))
    assert several.frames == every.frames == 8
    assert several.number == every.number
    assert np.array_equal(several.map, every.map)


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
def test_the_scores_of_an_ablation_skip_clips_without_a_scored_frame(tmp_path: Path):
    truth = write_set(tmp_path, 5)
    runner = segmenter(3)
    for score in (region_score(), moca_score()):
        work = Scoring(runner, None, {score.__name__: score}, 4, "")
        usable = 0
        for clip in opened(tmp_path, frames=3, stride=2, clips_per_video=3):
            if (clip.masks == 255).all():
                with pytest.raises(InputError, match="no frame has anything to score"):
                    work.render(clip)
                continue
            work.render(clip)
            usable += 1
            numbers = [n for n, mask in zip(numbers_of(clip.frames), clip.masks, strict=True) if (mask != 255).any()]
            assert set(numbers) <= set(truth[clip.video])
            if score.__name__ == "iou":
                expected = np.mean([naive.region_similarity(predicted(n) > 0, square(n, 1)) for n in numbers])
                outputs = {"mask": runner.function({"rgb": clip.frames[None]})}
                assert score(outputs, [clip])[0] == pytest.approx(expected)
        assert usable == 4


def test_the_ends_of_your_own_clips_are_their_annotated_ones():
    unknown = 255 * small_square(0, 0, 16)
    sparse = np.concatenate([unknown, small_square(0, 4, 8), small_square(1, 4, 8), unknown])
    marked = np.concatenate([small_square(k, 4, 8) for k in range(4)])
    several = ModelInput("image", frames=4, stride=1, size=(16, 16))
    clips = [clip_of(f"c{k}", marked, sparse, video="v") for k in range(3)]
    blank = clip_of("blank", marked, np.concatenate([unknown] * 4), video="v")
    runner = NumpySegmenter(inputs=[several])
    for listed in ([*clips], [blank, *clips, blank_of(blank)]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Note)
            found = evaluate_segmentation(runner, listed, skip_ends=True)
        rows = {row["id"]: [value is not None for value in row["overlaps"]] for row in found.clips}
        assert rows["c0"] == [False, False, True, False]
        assert rows["c1"] == [False, True, True, False]
        assert rows["c2"] == [False, True, False, False]


def blank_of(clip: Clip) -> Clip:
    """Return the same clip under another name."""
    return Clip("blank again", clip.load, video=clip.video, load_masks=clip.load_masks)
