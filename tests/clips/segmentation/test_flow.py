"""The optical flow of annotated videos: given, estimated, kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import sdmetrics.clips.segmentation.datasets as segmentation_clips
from sdmetrics.clips.decode import read_video
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.estimate import estimate_flow
from sdmetrics.clips.sampling import Window
from sdmetrics.errors import InputError
from tests.helpers.requests import open_segmentation
from tests.helpers.segmentation_files import (
    HEIGHT,
    SIZE,
    WIDTH,
    opened,
    shown,
    write_davis,
    write_flo,
    write_png,
)


def test_flow_of_a_folder(tmp_path: Path):
    write_davis(tmp_path / "set", {"bear": 4})
    for number in range(4):
        vectors = np.broadcast_to(np.float32([number + 1, 2]), (HEIGHT, WIDTH, 2))
        write_flo(tmp_path / "flow" / "bear" / f"{number:05d}.flo", vectors)
        write_png(tmp_path / "colours" / "bear" / f"{number:05d}.png", np.full((9, 9, 3), 10 * number, np.uint8))
    clip = opened(tmp_path / "set", frames=2, stride=2, flow=tmp_path / "flow")[0]
    assert (clip.flow.shape, clip.flow.dtype) == ((2, *SIZE, 2), np.float32)
    assert np.allclose(clip.flow[:, 5, 5], [[1 * SIZE[1] / WIDTH, 2 * SIZE[0] / HEIGHT], [4 * SIZE[1] / WIDTH, 1.5]])
    coded = opened(tmp_path / "set", frames=2, stride=2, flow=tmp_path / "colours")[0]
    assert (coded.flow.shape, coded.flow.dtype) == ((2, *SIZE, 3), np.uint8)
    assert coded.flow[:, 0, 0, 0].tolist() == [0, 30]
    assert len({clip.stamp, coded.stamp, opened(tmp_path / "set", frames=2, stride=2)[0].stamp}) == 3


def test_flow_that_is_missing_or_mixed(tmp_path: Path):
    write_davis(tmp_path / "set", {"bear": 4})
    write_flo(tmp_path / "flow" / "bear" / "00000.flo", np.zeros((4, 4, 2), np.float32))
    first, second, *_ = opened(tmp_path / "set", clips_per_video=None, flow=tmp_path / "flow")
    assert not first.flow.any()
    with pytest.raises(InputError, match=r"flow.bear.00001 has no flow \(\.flo .*\); add it"):
        _ = second.flow
    write_png(tmp_path / "flow" / "bear" / "00003.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"flow.bear has vectors for some images and colour-coded flow for others"):
        _ = opened(tmp_path / "set", frames=2, stride=2, flow=tmp_path / "flow")[0].flow
    with pytest.raises(InputError, match=r"flow is .*gone, which is not a folder"):
        opened(tmp_path / "set", flow=tmp_path / "gone")


def write_pan(root: Path, length: int) -> None:
    """Write a video of a camera that pans 3 pixels an image over a texture."""
    import cv2

    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 160, 3), np.uint8), (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    (root / "JPEGImages" / "pan").mkdir(parents=True)
    for number in range(length):
        image = texture[:, 3 * number : 3 * number + 96]
        assert cv2.imwrite(str(root / "JPEGImages" / "pan" / f"{number:05d}.png"), image)
        write_png(root / "Annotations" / "pan" / f"{number:05d}.png", np.zeros((64, 96), np.uint8))


def test_estimated_flow(tmp_path: Path):
    write_pan(tmp_path, 4)
    clips = open_segmentation(tmp_path, frames=1, stride=1, size=(64, 48), clips_per_video=None)
    frames, flows = [clip.frames for clip in clips], [clip.flow for clip in clips]
    for number in range(3):
        assert np.array_equal(flows[number], estimate_flow(frames[number], frames[number + 1]))
    # After the last image, the flow that led to it is repeated.
    assert np.array_equal(flows[3], -estimate_flow(frames[3], frames[2]))
    for flow in flows:
        assert np.median(flow[..., 0]) == pytest.approx(-1.5, abs=0.15)
        assert np.median(flow[..., 1]) == pytest.approx(0, abs=0.15)
    (clip,) = open_segmentation(tmp_path, frames=2, stride=2, size=(64, 48))
    assert np.array_equal(clip.flow, np.concatenate([flows[0], flows[3]]))


def test_frames_and_flow_of_a_real_video(shared: Path, tmp_path: Path):
    import cv2

    frames = read_video(shared / "clips" / "bikes.mp4", Window(frames=3, stride=1), Fit((272, 640)))
    write_davis(tmp_path, {"bikes": 3})
    for number, frame in enumerate(frames):
        image = tmp_path / "JPEGImages" / "480p" / "bikes" / f"{number:05d}.jpg"
        assert cv2.imwrite(str(image), frame[..., ::-1])
        write_png(tmp_path / "Annotations" / "480p" / "bikes" / f"{number:05d}.png", np.zeros((272, 640), np.uint8))
    (clip,) = open_segmentation(tmp_path, frames=3, stride=1, size=(272, 640))
    assert np.abs(clip.frames.astype(int) - frames).mean() < 3
    assert clip.masks.shape == (3, 272, 640)
    moves = clip.flow
    assert np.abs(moves).mean() < 20
    shifted = [cv2.remap(frames[t + 1], *_grid(moves[t]), cv2.INTER_LINEAR) for t in range(2)]
    for t in range(2):
        error, still = (np.abs(other.astype(int) - frames[t]).mean() for other in (shifted[t], frames[t + 1]))
        assert error < 0.8 * still


def _grid(moves: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows, columns = np.indices(moves.shape[:2], np.float32)
    return columns + moves[..., 0], rows + moves[..., 1]


def test_flow_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_pan(tmp_path / "set", 3)
    clips = opened(tmp_path / "set", clips_per_video=None, cache=tmp_path / "kept")
    first = [clip.flow for clip in clips]
    assert np.allclose(first[0], opened(tmp_path / "set", clips_per_video=None)[0].flow, atol=0.01)
    monkeypatch.setattr(segmentation_clips, "estimate_flow", None)
    again = opened(tmp_path / "set", clips_per_video=None, cache=tmp_path / "kept")
    assert np.array_equal(first, [clip.flow for clip in again])
    larger = open_segmentation(tmp_path / "set", frames=1, stride=1, size=(64, 96), cache=tmp_path / "kept")
    with pytest.raises(TypeError):
        _ = larger[0].flow


def test_single_image_has_no_flow(tmp_path: Path):
    (clip,) = opened(write_davis(tmp_path, {"bear": 1}))
    assert shown([clip]) == [[0]]
    with pytest.raises(InputError, match="bear has a single image, which has no optical flow"):
        _ = clip.flow


@pytest.mark.parametrize("flow", ["JPEGImages/480p", "JPEGImages", "."])
def test_flow_must_not_be_the_images(tmp_path: Path, flow: str):
    write_davis(tmp_path, {"bear": 3})
    with pytest.raises(InputError, match=r"flow is .*, which holds the frames themselves .*bear.*; pass a folder with"):
        opened(tmp_path, flow=tmp_path / flow)
