"""Frames and images the way up they are shown: Exif, mirrored tracks, profiles of colours; nothing crashes."""

from __future__ import annotations

import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms, features

from sdmetrics.clips.decode import decoded_image, image_size, read_image, read_video
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.iso_boxes import is_mirrored, promised_end
from sdmetrics.clips.sampling import Window
from sdmetrics.errors import InputError
from tests.helpers.videos import numbered, write_video

STORED = np.zeros((64, 96, 3), np.uint8)
STORED[:32, :48], STORED[:32, 48:], STORED[32:, :48] = 85, 170, 255
SHOWN = {
    1: [85, 170, 255, 0],
    2: [170, 85, 0, 255],
    3: [0, 255, 170, 85],
    4: [255, 0, 85, 170],
    5: [85, 255, 170, 0],
    6: [255, 85, 0, 170],
    7: [0, 170, 255, 85],
    8: [170, 0, 85, 255],
}
"""By the orientation of Exif, the levels of the quarters: upper left, upper right, lower left, lower right."""


def with_exif(path: Path, orientation: int, pixels: np.ndarray = STORED) -> Path:
    """Write an image with Exif, as cameras and phones do. AVIF has the orientation in boxes of its own instead."""
    tags = Image.Exif()
    tags[0x0110], tags[0x0112] = "Camera", orientation
    Image.fromarray(pixels).save(path, exif=tags, **({} if path.suffix == ".tiff" else {"quality": 95}))
    return path


def quarters(frame: np.ndarray) -> np.ndarray:
    return frame[[8, 8, -9, -9], [8, -9, 8, -9]].mean(axis=-1)


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
def test_images_are_turned_upright(suffix: str, orientation: int, tmp_path: Path):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    path = with_exif(tmp_path / f"a.{suffix}", orientation)
    size = (96, 64) if orientation > 4 else (64, 96)
    assert image_size(path) == size
    image = read_image(path, Fit(size))
    assert image.shape == (*size, 3)
    np.testing.assert_allclose(quarters(image), SHOWN[orientation], atol=8)
    stretched = read_image(path, Fit((64, 64), resize=(64, 64)))
    np.testing.assert_allclose(quarters(stretched), SHOWN[orientation], atol=8)


@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_motion_jpeg_whose_frames_have_exif(orientation: int, tmp_path: Path):
    with av.open(str(tmp_path / "a.avi"), "w") as file:
        stream = file.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuvj420p"
        for number in range(4):
            packet = av.Packet(with_exif(tmp_path / "frame.jpg", orientation).read_bytes())
            packet.pts = packet.dts = number
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), True
            file.mux(packet)
    size = (96, 64) if orientation > 4 else (64, 96)
    frames = read_video(tmp_path / "a.avi", Window(2, 1), Fit(size))
    np.testing.assert_allclose([quarters(frame) for frame in frames], [SHOWN[orientation]] * 2, atol=8)


@pytest.mark.parametrize("container", ["a.mp4", "a.mov"])
@pytest.mark.parametrize(
    ("rotation", "mirrored", "orientation"),
    [(0, True, 2), (180, True, 4), (90, True, 7), (-90, True, 5), (-90, False, 6)],
)
def test_tracks_that_are_turned_and_mirrored(
    container: str, rotation: int, mirrored: bool, orientation: int, tmp_path: Path
):
    path = write_video(tmp_path / container, [STORED] * 3, rotation=rotation, mirrored=mirrored)
    size = (96, 64) if orientation > 4 else (64, 96)
    np.testing.assert_allclose(quarters(read_video(path, Window(1, 1), Fit(size))[0]), SHOWN[orientation], atol=8)
    assert is_mirrored(path, 1) == mirrored
    assert not is_mirrored(path, 2)


def test_boxes_that_are_damaged_or_endless_are_no_mirror(tmp_path: Path):
    path = tmp_path / "a.mp4"
    nested = b""
    for _ in range(2000):
        nested = struct.pack(">I4s", 8 + len(nested), b"trak") + nested
    for content in (b"", b"\0\0\0\5moov", b"\0\0\0\1moov", struct.pack(">I4s", 8, b"free") * 20_000, nested):
        path.write_bytes(content)
        assert not is_mirrored(path, 1)
        assert promised_end(path) <= len(content)


def test_images_with_a_profile_of_colours(tmp_path: Path):
    """In a process of its own, which would die if a profile's name were freed twice."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for number in range(8):
        Image.fromarray(numbered(number)).save(tmp_path / f"{number}.png", icc_profile=profile)
    code = (
        "import sys; from pathlib import Path\n"
        "from sdmetrics.clips.decode import decoded_image, read_image\n"
        "from sdmetrics.clips.fit import Fit\n"
        "from tests.helpers.videos import number_of\n"
        "files = [Path(sys.argv[1], f'{number}.png') for number in range(8)] * 5\n"
        "shown = [number_of(read_image(file, Fit((64, 128)))) for file in files]\n"
        "print(shown, len([decoded_image(file) for file in files]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, f"{[*range(8)] * 5} 40"), ran.stderr


def test_masks_and_flow_are_not_turned(tmp_path: Path):
    assert decoded_image(with_exif(tmp_path / "a.png", 1)).height == 64
    for orientation in range(2, 9):
        with pytest.raises(InputError, match=r"a\.png is stored turned or mirrored, by its Exif; store it upright"):
            decoded_image(with_exif(tmp_path / "a.png", orientation))
