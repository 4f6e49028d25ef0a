"""The optical flow of videos and of folders of frames, and clips by the names of generated worlds."""

import cv2
import numpy as np
import pytest

from sdmetrics.clips.flow.estimate import estimate_flow
from sdmetrics.clips.sampling import Neighbours, Window
from sdmetrics.errors import InputError
from tests.helpers.requests import open_clips

SIZE = (48, 64)
SHIFT = 3


@pytest.fixture(scope="module")
def drifting():
    """Frames of a smooth texture that moves to the right by three pixels each."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (12, 40, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return [np.roll(image, SHIFT * t, axis=1)[:, 48:112] for t in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, drifting):
    folder = tmp_path_factory.mktemp("drifting")
    for number, frame in enumerate(drifting):
        cv2.imwrite(str(folder / f"{number}.png"), np.ascontiguousarray(frame[..., ::-1]))
    return folder


def test_flow_is_from_each_frame_to_the_next_of_the_video(folder, drifting):
    (clip,) = open_clips(folder, frames=3, stride=2, size=SIZE)
    read = Window(3, 2).indices(np.arange(10.0)).tolist()
    first = np.stack([drifting[i] for i in read])
    second = np.stack([drifting[i + 1] for i in read])
    assert np.array_equal(clip.frames, first)
    assert np.array_equal(clip.flow, estimate_flow(first, second))
    assert np.median(clip.flow[:, 8:-8, 8:-8, 0]) == pytest.approx(SHIFT, abs=0.2)


def test_the_last_frame_has_the_flow_that_led_to_it():
    seconds = np.arange(4.0)
    assert Neighbours(4, 1).indices(seconds).tolist() == [0, 1, 1, 2, 2, 3, 2, 3]
    with pytest.raises(InputError, match="a single frame"):
        Neighbours(1, 1).indices(np.zeros(1))


def test_flow_is_kept_beside_the_run_and_is_the_same_from_there(folder, tmp_path):
    (clip,) = open_clips(folder, frames=2, stride=1, size=SIZE, cache=tmp_path / "flow")
    assert not (tmp_path / "flow").exists()
    made = clip.flow
    (file,) = (tmp_path / "flow").iterdir()
    before = file.stat().st_mtime_ns
    assert np.array_equal(clip.flow, made)
    assert file.stat().st_mtime_ns == before


def test_flow_of_a_video_file(shared):
    (clip,) = open_clips(shared / "clips" / "carphone.mp4", frames=2, stride=4, size=(64, 64))
    assert clip.flow.shape == (2, 64, 64, 2)
    assert 0 < np.abs(clip.flow).max() < 64


@pytest.mark.parametrize(("name", "masks"), [("world:3", False), ("camouflage:3:5", True)])
def test_generated_clips_by_name(name, masks):
    clips = open_clips(name, frames=2, stride=1, size=(48, 48))
    assert len(clips) == 3
    assert (clips[0].load_masks is not None) == masks
    for text in ("camouflage:x", "world:0"):
        with pytest.raises(InputError, match="is not a generated world; use"):
            open_clips(text, frames=2, stride=1, size=(48, 48))
