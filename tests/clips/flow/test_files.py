"""Files of optical flow: Middlebury's, KITTI's and images, whole and damaged."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdmetrics.clips.flow.colour import flow_to_rgb, rgb_to_flow
from sdmetrics.clips.flow.files import read_flow
from sdmetrics.clips.media import MOST_PIXELS
from sdmetrics.errors import InputError


def noise(height=7, width=5):
    return np.random.default_rng(0).normal(0, 3, (height, width, 2)).astype(np.float32)


def flo(flow, magic=202021.25, size=None):
    """Return the bytes of a .flo file."""
    header = np.array(size or flow.shape[1::-1], "<i4").tobytes()
    return np.array(magic, "<f4").tobytes() + header + flow.astype("<f4").tobytes()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def png(path: Path, image) -> Path:
    """Write an image whose channels are in the order red, green, blue, alpha, as many as there are."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[-1]]]
    assert cv2.imwrite(str(path), image)
    return path


@pytest.mark.parametrize("name", ["a.flo", "a.FLO"])
def test_middlebury(tmp_path: Path, name: str):
    flow = read_flow(written(tmp_path / name, flo(noise())))
    assert flow.dtype == np.float32
    assert flow.flags.writeable
    np.testing.assert_array_equal(flow, noise())


def test_what_middlebury_does_not_know_is_0(tmp_path: Path):
    stored = noise()
    stored[0, 0], stored[0, 1], stored[0, 2], stored[0, 3] = [1.7e9, 1.7e9], [np.nan, 1], [2, -np.inf], [9e8, 5]
    flow = read_flow(written(tmp_path / "a.flo", flo(stored)))
    assert (flow[0, :3] == 0).all()
    np.testing.assert_array_equal(flow[0, 3:], stored[0, 3:])
    np.testing.assert_array_equal(flow[1:], stored[1:])


def test_kitti(tmp_path: Path):
    stored = np.random.default_rng(0).integers(0, 2**16, (7, 5, 3), np.uint16)
    stored[..., 2] = 1
    stored[0, 0] = [2**15 + 3 * 64, 2**15 - 32, 1]
    stored[0, 1] = [2**15 + 3 * 64, 2**15 - 32, 0]
    flow = read_flow(png(tmp_path / "000000_10.png", stored))
    assert flow.dtype == np.float32
    assert flow[0, :2].tolist() == [[3, -0.5], [0, 0]]
    np.testing.assert_array_equal(flow[1:], (stored[1:, :, :2].astype(float) - 2**15) / 64)


def test_coded_images(tmp_path: Path):
    image = flow_to_rgb(noise(32, 48))
    np.testing.assert_array_equal(read_flow(png(tmp_path / "a.png", image)), image)
    with_alpha = np.concatenate([image, np.full((32, 48, 1), 255, np.uint8)], axis=-1)
    np.testing.assert_array_equal(read_flow(png(tmp_path / "b.png", with_alpha)), image)


def test_coded_images_that_were_compressed(tmp_path: Path):
    smooth = np.stack(np.meshgrid(np.linspace(-3, 3, 64), np.linspace(-2, 2, 48)), axis=-1).astype(np.float32)
    image = read_flow(png(tmp_path / "a.jpg", flow_to_rgb(smooth, scale=4)))
    assert image.dtype == np.uint8
    off = np.linalg.norm(rgb_to_flow(image, scale=4) - smooth, axis=-1)
    assert off.mean() < 0.15


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin with PIEH, so it is not a .flo file; copy it again"),
        (b"PIE", "does not begin with PIEH"),
        (flo(noise(), magic=202021.2), "does not begin with PIEH"),
        (np.array(202021.25, ">f4").tobytes() + flo(noise())[4:], "does not begin with PIEH"),
        (flo(noise())[:11], "is truncated: it has 11 bytes"),
        (
            flo(noise())[:12],
            "has 12 bytes; expected 292 for 5 × 7 pixels. It is truncated or damaged; copy it again",
        ),
        (flo(noise())[:-1], "has 291 bytes; expected 292 for 5 × 7 pixels"),
        (flo(noise()) + b"0", "has 293 bytes; expected 292 for 5 × 7 pixels"),
        (flo(noise(), size=(0, 7)), "has a header for 0 × 7 pixels; allowed: 1 to 99999 each"),
        (flo(noise(), size=(5, -7)), "has a header for 5 × -7 pixels"),
        (flo(noise(), size=(2**31 - 1, 2**31 - 1)), "has a header for 2147483647 × 2147483647 pixels"),
        (flo(noise(), size=(99_999, 99_999)), "has 292 bytes; expected 79998400020 for 99999 × 99999 pixels"),
    ],
)
def test_damaged_middlebury(tmp_path: Path, content: bytes, message: str):
    path = written(tmp_path / "a.flo", content)
    with pytest.raises(InputError, match=f"^{path} {message}"):
        read_flow(path)


@pytest.mark.parametrize("suffix", ["flo", "png", "jpg"])
def test_files_that_are_not_there(tmp_path: Path, suffix: str):
    path = tmp_path / f"a.{suffix}"
    with pytest.raises(InputError, match=f"^{path} cannot be read: No such file or directory. Check the path"):
        read_flow(path)
    path.mkdir()
    with pytest.raises(InputError, match=f"^{path} is a folder, not a file, and was not opened"):
        read_flow(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(InputError, match=f"^{path} is a FIFO, not a file, and was not opened"):
        read_flow(path)


def test_a_header_over_the_limit_reserves_no_memory(tmp_path: Path):
    """A file with a hole of 80 GB, as large as its header says."""
    path = written(tmp_path / "a.flo", flo(noise(1, 1), size=(99_999, 99_999))[:12])
    os.truncate(path, 12 + 8 * 99_999**2)
    with pytest.raises(InputError, match=f"^{path} has flow of 99999 × 99999 pixels; allowed: at most {MOST_PIXELS}"):
        read_flow(path)
    os.truncate(path, 8 * 99_999**2)
    with pytest.raises(InputError, match="has 79998400008 bytes; expected 79998400020 for 99999 × 99999 pixels"):
        read_flow(path)


@pytest.mark.parametrize(
    ("kind", "channels"), [(np.uint8, 1), (np.uint16, 1), (np.uint16, 4)], ids=["gray", "gray16", "rgba64"]
)
def test_other_images(tmp_path: Path, kind: type, channels: int):
    stored = np.random.default_rng(0).integers(0, 255, (8, 8, channels), kind)
    path = png(tmp_path / "a.png", stored[..., 0] if channels == 1 else stored)
    with pytest.raises(InputError, match=f"^{path} is an image of the format .*; allowed: colour-coded flow"):
        read_flow(path)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_damaged_images(tmp_path: Path, kind: type):
    whole = png(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), kind)).read_bytes()
    for part in (0.1, 0.5, 0.9):
        path = written(tmp_path / "a.png", whole[: int(part * len(whole))])
        with pytest.raises(InputError, match=f"^{path} "):
            read_flow(path)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 64
    for content in (bytes(flipped), b"", b"no image at all"):
        path = written(tmp_path / "a.png", content)
        with pytest.raises(InputError, match=f"^{path} "):
            read_flow(path)
