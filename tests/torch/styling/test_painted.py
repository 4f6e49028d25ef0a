"""Painted frames are read with the frames that they show, or one line says why they cannot be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sdmetrics.errors import InputError
from sdmetrics.torch.styling.painted import read_painted
from tests.helpers.videos import write_video

HEIGHT, WIDTH = 48, 64


def write_image(path: Path, image: np.ndarray) -> Path:
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of nine frames, each of a brightness of its own, and paintings beside it."""
    (tmp_path / "frames").mkdir()
    for number in range(9):
        ramp = np.tile(np.linspace(0, 100, WIDTH), (HEIGHT, 1)) + 15 * number
        write_image(tmp_path / "frames" / f"{number:03d}.png", np.stack([ramp] * 3, axis=-1).astype(np.uint8))
    inverted = 255 - cv2.imread(str(tmp_path / "frames" / "002.png"))
    write_image(tmp_path / "painted.png", inverted)
    write_image(tmp_path / "flat.png", np.full((HEIGHT, WIDTH, 3), 7, np.uint8))
    write_image(tmp_path / "small.png", inverted[:40])
    return tmp_path


def test_frames_and_their_paintings_are_scaled_alike(folder):
    read = read_painted(folder / "frames", {2: folder / "painted.png"}, short_side=24)
    assert read.frames.shape == read.paintings.shape == (1, 24, 32, 3)
    assert np.abs(255 - read.frames.astype(int) - read.paintings).max() <= 1
    assert int(read.frames[0].min()) == pytest.approx(30, abs=2), "frame 2 counted from 0"
    assert int(read.held_out.min()) == pytest.approx(15 * 8, abs=2), "frame 8 is farthest from frame 2"


def test_what_is_held_out_may_lie_between(folder):
    paintings = {8: folder / "painted.png", 0: folder / "painted.png"}
    read = read_painted(folder / "frames", paintings, short_side=24)
    assert [round(int(frame.min()) / 15) for frame in read.frames] == [0, 8]
    assert int(read.held_out.min()) == pytest.approx(15 * 4, abs=2)


def test_a_video_file(tmp_path):
    path = tmp_path / "video.mp4"
    write_video(path, 12)
    with pytest.raises(InputError, match=r"frame 12 is painted, and .*video.mp4 has the frames 0 to 11"):
        read_painted(path, {12: tmp_path / "any.png"})


@pytest.mark.parametrize(
    ("number", "image", "message"),
    [
        (9, "painted.png", "frame 9 is painted, and .* has the frames 0 to 8; count from 0"),
        (-1, "painted.png", "frame -1 is painted"),
        (2, "small.png", "small.png is 64 × 40 pixels and frame 2 is 64 × 48; paint the frame in its own size"),
        (2, "flat.png", "flat.png has one colour only, from which no style can be learnt"),
        (2, "frames/002.png", "002.png is frame 2 as it is; pass one that is painted"),
        (2, "missing.png", "missing.png"),
    ],
)
def test_what_nothing_can_be_learnt_from(folder, number, image, message):
    with pytest.raises(InputError, match=message):
        read_painted(folder / "frames", {number: folder / image})


def test_what_is_no_video(folder):
    for path, message in (
        (folder / "none.mp4", "does not exist; expected a video, or a folder of frames"),
        (folder / "frames" / "000.png", "frame 3 is painted"),
        (folder, "patterns of names"),
    ):
        with pytest.raises(InputError, match=message):
            read_painted(path, {3: folder / "painted.png"})
    with pytest.raises(InputError, match="no frame is painted"):
        read_painted(folder / "frames", {})
