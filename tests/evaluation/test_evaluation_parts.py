"""Evaluations in parts: the sum is the whole to the last bit, and nothing foreign is taken for stored."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from sdmetrics._files import load_npz, save_npz
from sdmetrics.errors import InputError
from sdmetrics.evaluation.centre_bias import centre_bias
from sdmetrics.evaluation.classification import evaluate
from sdmetrics.evaluation.segmentation import evaluate_segmentation
from tests.evaluation.test_classification import RAMP, classifier, ends, ramp
from tests.evaluation.test_manipulated import bright, turning
from tests.evaluation.test_segmentation import NumpySegmenter, shifted
from tests.helpers.fakes import broken_clip

CLIPS = 50


def classified(**more):
    clips = [ramp(number, video=f"video {number % 9}") for number in range(CLIPS)] + [
        replace(broken_clip("broken"), label="darker")
    ]
    return evaluate(classifier(ends), clips[::-1], RAMP, shuffle=True, batch=5, **more)


def manipulated(**more):
    return classified(manipulate=["reverse", "loop"], **more)


def masks_manipulated(**more):
    clips = [turning(number, video=f"video {number % 9}") for number in range(CLIPS)]
    return evaluate_segmentation(bright(4), clips, manipulate=["reverse", "freeze"], skip_ends=True, batch=5, **more)


def segmented(runner=None, **more):
    clips = [shifted(number, video=f"video {number % 9}") for number in range(CLIPS)]
    return evaluate_segmentation(runner or NumpySegmenter(), clips, skip_ends=True, batch=5, **more)


def centred(**more):
    return centre_bias([shifted(number, video=f"video {number % 9}") for number in range(CLIPS)], (5, 7), **more)


class Looped:
    """Loads a clip from a video that is shorter."""

    looped = True

    def __init__(self, load):
        self.load = load

    def __call__(self):
        return self.load()


ALL = pytest.mark.parametrize("measure", [classified, manipulated, segmented, masks_manipulated, centred])


def exact(found):
    return {key: value.tobytes() if isinstance(value, np.ndarray) else value for key, value in asdict(found).items()}


def stored(folder):
    return sorted(folder.rglob("*-*.npz"))


@ALL
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_add_up_to_the_whole_to_the_last_bit(measure, count, tmp_path):
    whole = exact(measure())
    out = tmp_path / "out"
    parts = [measure(out=out, part=f"{index}/{count}") for index in range(1, count + 1)]
    assert sum(len(part.clips) if isinstance(part.clips, list) else part.clips for part in parts) == CLIPS
    assert not out.is_file(), "only parts are written"
    times = {path: path.stat().st_mtime_ns for path in stored(tmp_path)}
    assert len(times) == (26 if measure in (classified, manipulated) else 4)
    assert exact(measure(out=out)) == whole
    assert {path: path.stat().st_mtime_ns for path in stored(tmp_path)} == times, "nothing is computed again"


@ALL
@pytest.mark.parametrize("damage", ["cut", "foreign rows", "missing"])
def test_what_is_damaged_or_missing_is_computed_again(measure, damage, tmp_path):
    whole = exact(measure(out=tmp_path / "out"))
    first, second, *_ = stored(tmp_path)
    before = load_npz(first)
    if damage == "cut":
        first.write_bytes(first.read_bytes()[:-40])
    elif damage == "missing":
        first.unlink()
    else:
        header, arrays = load_npz(second)
        save_npz(first, header | {"file": first.name}, arrays)
    assert exact(measure(out=tmp_path / "out")) == whole
    assert load_npz(first)[0] == before[0]


@ALL
@pytest.mark.parametrize(
    "hostile", [{"rows": 3}, {"rows": [{}]}, {"looped": 999}, {"skipped": [{"id": 1}]}, {"read": {"logits": 1}}]
)
def test_a_header_of_another_shape_is_computed_again(measure, hostile, tmp_path):
    whole = exact(measure(out=tmp_path / "out"))
    for path in stored(tmp_path):
        header, arrays = load_npz(path)
        save_npz(path, header | hostile, arrays)
    assert exact(measure(out=tmp_path / "out")) == whole


@ALL
def test_a_part_of_another_evaluation_is_refused(measure, tmp_path):
    measure(out=tmp_path / "out")
    first = stored(tmp_path)[0]
    header, arrays = load_npz(first)
    save_npz(first, header | {"identity": "0" * 64}, arrays)
    with pytest.raises(InputError, match="belongs to another run"):
        measure(out=tmp_path / "out")


@ALL
def test_a_part_needs_a_place(measure):
    with pytest.raises(InputError, match=r"part is 1/2, .* pass out \(--out\)"):
        measure(part="1/2")


def test_other_settings_use_other_parts(tmp_path):
    segmented(out=tmp_path / "out")
    assert segmented(out=tmp_path / "out", threshold=0.3).settings["threshold"] == 0.3
    assert len(stored(tmp_path)) == 8


def test_an_interrupted_evaluation_goes_on(tmp_path):
    class Stopped(NumpySegmenter):
        def run(self, feeds):
            if len(self.batches) == 5:
                raise KeyboardInterrupt
            return super().run(feeds)

    with pytest.raises(KeyboardInterrupt):
        segmented(Stopped(), out=tmp_path / "out")
    assert len(stored(tmp_path)) == 1
    runner = NumpySegmenter()
    assert exact(segmented(runner, out=tmp_path / "out")) == exact(segmented())
    assert sum(runner.batches) == CLIPS - 16


def test_whether_maps_are_logits_is_settled_by_the_first_slice_whatever_the_parts(tmp_path):
    """Each part alone would read its maps otherwise: those of the first slice are outside 0 to 1."""

    def function(feeds):
        bright = feeds["rgb"].mean(axis=-1)[:, :, None] / 255
        offset = np.where(bright[..., :3].sum(axis=(1, 2, 3, 4)) > 0, -4.0, 0.0)
        return bright + offset[:, None, None, None, None] * (bright > 0)

    def bright(**more):
        clips = [shifted(0 if number < 16 else 8, video=f"v{number}") for number in range(40)]
        named = [replace(clip, id=f"{number:03d}") for number, clip in enumerate(clips)]
        return evaluate_segmentation(NumpySegmenter(function), named, **more)

    for index in (2, 1, 3):
        bright(out=tmp_path / "out", part=f"{index}/3")
    assert exact(bright(out=tmp_path / "out")) == exact(bright())


@pytest.mark.parametrize("evaluation", ["classification", "segmentation"])
def test_clips_that_repeat_frames_are_counted_in_parts_too(evaluation, tmp_path):
    make = ramp if evaluation == "classification" else shifted
    clips = [make(number, video=f"video {number % 9}") for number in range(40)]
    clips = [replace(clip, load=Looped(clip.load)) if number % 4 == 0 else clip for number, clip in enumerate(clips)]

    def measure(**more):
        if evaluation == "classification":
            return evaluate(classifier(ends), clips, RAMP, **more)
        return evaluate_segmentation(NumpySegmenter(), clips, **more)

    out = tmp_path / "out.json"
    parts = [measure(out=out, part=f"{index}/2").looped for index in (1, 2)]
    assert sum(parts) == 10
    assert min(parts) > 0
    assert (measure().looped, measure(out=out).looped) == (10, 10)
    assert json.loads(out.read_text())["looped"] == 10
