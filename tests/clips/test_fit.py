"""Scaled, then cropped: pixel by pixel as the models' owners do, and frames, flow and masks alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sdmetrics.clips.decode import read_image, read_video
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.sampling import Window
from sdmetrics.errors import InputError
from tests.helpers.requests import open_clips, open_segmentation
from tests.helpers.videos import write_video

SHAPES = [(240, 427), (427, 240), (288, 352), (120, 161), (256, 256)]
"""Landscape, portrait, smaller than what is read; the overhang is even, odd and half a pixel."""


def smooth(height: int, width: int, seed: int = 0, grain: int = 16) -> np.ndarray:
    """A picture with structure everywhere and no sharp edge, uint8 (height, width, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // grain + 2, width // grain + 2, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def assert_alike(ours: np.ndarray, theirs: np.ndarray, limit: float = 1) -> None:
    """Assert that pictures differ by what interpolation allows, and that one pixel beside would be noticed."""
    assert ours.shape == theirs.shape
    ours, theirs = ours.astype(float), theirs.astype(float)
    error = np.abs(ours - theirs)
    assert error.mean() < limit
    assert np.quantile(error, 0.999) < 8
    inner = (slice(1, -1), slice(1, -1))
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        assert np.abs(ours[inner] - np.roll(theirs, (down, right), (0, 1))[inner]).mean() > 2 * limit


@given(
    height=st.integers(1, 999), width=st.integers(1, 999), crop=st.integers(1, 99), more=st.integers(0, 99),
)  # fmt: skip
def test_sizes_and_corners(height: int, width: int, crop: int, more: int):
    """As torchvision, in its own words: the longer side is cut off, half a pixel goes to the even one."""
    side = crop + more
    fit = Fit((crop, crop), side)
    short, long = min(height, width), max(height, width)
    expected = (side, int(side * long / short)) if height <= width else (int(side * long / short), side)
    scaled = fit.scaled((height, width), Path("a.png"))
    assert scaled == expected
    assert fit.corner(scaled) == tuple(round((length - crop) / 2.0) for length in scaled)
    assert Fit((crop, crop), (side, side + 7)).scaled((height, width), Path("a.png")) == (side, side + 7)
    assert fit.turned() == fit
    assert Fit((1, 2), (3, 4)).turned() == Fit((2, 1), (4, 3))


@pytest.mark.parametrize("name", ["R2Plus1D_18", "MC3_18", "S3D", "MViT_V1_B", "Swin3D_T"])
def test_torchvisions_presets(name: str, tmp_path: Path):
    torch, video = pytest.importorskip("torch"), pytest.importorskip("torchvision.models.video")
    preset = getattr(video, f"{name}_Weights").KINETICS400_V1.transforms()
    resize = preset.resize_size[0] if len(preset.resize_size) == 1 else tuple(preset.resize_size)
    fit = Fit(tuple(preset.crop_size), resize)
    for number, shape in enumerate(SHAPES[:3]):
        picture = smooth(*shape, seed=number)
        Image.fromarray(picture).save(tmp_path / "a.png")
        clip = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]
        values = preset(clip)[:, 0].permute(1, 2, 0).numpy()
        theirs = (values * np.array(preset.std) + np.array(preset.mean)) * 255
        assert_alike(read_image(tmp_path / "a.png", fit), theirs)


def test_transformers_processor(tmp_path: Path):
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    theirs = transformers.VJEPA2VideoProcessor(do_normalize=False, do_rescale=False)
    fit = Fit((theirs.crop_size["height"], theirs.crop_size["width"]), theirs.size["shortest_edge"])
    assert fit == Fit((256, 256), 292)
    # Half a pixel is rounded down there: of an odd overhang, 263, the crop is one pixel further left.
    for number, (shape, beside) in enumerate({(240, 426): 0, (288, 352): 0, (240, 427): 1}.items()):
        picture = smooth(*shape, seed=number, grain=14)
        Image.fromarray(picture).save(tmp_path / "a.png")
        clip = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]
        (made,) = theirs([clip], return_tensors="pt")["pixel_values_videos"][0]
        shown = made.permute(1, 2, 0).numpy()
        assert_alike(read_image(tmp_path / "a.png", fit)[:, : 256 - beside], shown[:, beside:])


def image_of(picture: np.ndarray, fit: Fit, folder: Path) -> np.ndarray:
    """Return how a picture is read from an image file, which the tests above compare with others."""
    Image.fromarray(np.ascontiguousarray(picture)).save(folder / "image.png")
    return read_image(folder / "image.png", fit)


@pytest.mark.parametrize("fit", [Fit((56, 56), 64), Fit((56, 56), (64, 86)), Fit((48, 72)), Fit((56, 60), (56, 60))])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_videos_upright_and_not(fit: Fit, turns: int, tmp_path: Path):
    """A frame that is stored turned is cropped as it is shown."""
    picture = np.repeat(smooth(90, 130, seed=3, grain=18)[..., :1], 3, axis=-1)
    path = write_video(tmp_path / "a.mp4", [picture] * 2, options={"qp": "0"}, rotation=-90 * turns)
    read = read_video(path, Window(1, 1), fit)[0]
    shown = [image_of(np.rot90(picture, turn), fit, tmp_path) for turn in range(4)]
    errors = [np.abs(read - image.astype(float)).mean() for image in shown]
    turn = int(np.argmin(errors))
    assert turn % 2 == turns % 2
    assert sorted(errors)[1] > 10
    assert_alike(read, shown[turn], limit=2.5)  # grey levels lose some through their storage as video


def test_every_kind_of_clip_is_cropped_alike(tmp_path: Path):
    """Videos, folders of frames, and folders of styles."""
    picture = smooth(96, 150, grain=12)
    (tmp_path / "expected").mkdir()
    fit = Fit((56, 56), 64)
    shape = {"frames": 2, "stride": 1, "size": fit.size, "shape": {"resize": 64}}
    (tmp_path / "frames" / "one").mkdir(parents=True)
    for style in ("style_a", "style_b"):
        (tmp_path / "styles" / style / "one").mkdir(parents=True)
    for number in range(4):
        Image.fromarray(picture).save(tmp_path / "frames" / "one" / f"{number}.png")
        for tint, style in enumerate(("style_a", "style_b")):
            Image.fromarray(np.roll(picture, 1 + tint, 2)).save(tmp_path / "styles" / style / "one" / f"{number}.png")
    (clip,) = open_clips(tmp_path / "frames", **shape)
    for frame in clip.frames:
        np.testing.assert_array_equal(frame, image_of(picture, fit, tmp_path / "expected"))
    (styled,) = open_clips(tmp_path / "styles", **shape)
    for tint, style in enumerate(("style_a", "style_b")):
        expected = image_of(np.roll(picture, 1 + tint, 2), fit, tmp_path / "expected")
        np.testing.assert_array_equal(styled.styled[style]()[0], expected)
    (plain,) = open_clips(tmp_path / "frames", **{**shape, "shape": {}})
    assert np.abs(plain.frames[0] - image_of(picture, fit, tmp_path / "expected").astype(float)).mean() > 10


def placed_flow(height: int, width: int) -> np.ndarray:
    """Vectors that tell their own place: pixels from the left and from the top, float32 (height, width, 2)."""
    rows, columns = np.indices((height, width), np.float32)
    return np.stack([columns, rows], axis=-1)


def write_flo(path: Path, flow: np.ndarray) -> None:
    size = np.array(flow.shape[1::-1], "<i4")
    path.write_bytes(b"PIEH" + size.tobytes() + flow.astype("<f4").tobytes())


@pytest.mark.parametrize("resize", [48, (48, 70)])
def test_flow_is_cropped_as_its_frames(resize: int | tuple[int, int], tmp_path: Path):
    """Vectors are scaled like the frames; their place tells the crop to a fraction of a pixel."""
    stored, fit = (60, 96), Fit((40, 40), resize)
    (tmp_path / "frames" / "one").mkdir(parents=True)
    (tmp_path / "flow" / "one").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(smooth(*stored)).save(tmp_path / "frames" / "one" / f"{number}.png")
        write_flo(tmp_path / "flow" / "one" / f"{number}.flo", placed_flow(*stored))
    (clip,) = open_clips(
        tmp_path / "frames", frames=2, stride=1, size=fit.size, shape={"resize": resize}, flow=tmp_path / "flow"
    )
    scaled = fit.scaled(stored, Path("a.png"))
    corner = fit.corner(scaled)
    for axis in (0, 1):
        ratio = scaled[axis] / stored[axis]
        expected = ((corner[axis] + np.arange(40) + 0.5) / ratio - 0.5) * ratio
        along = clip.flow[0].mean(axis=1 - axis)[:, 1 - axis]
        np.testing.assert_allclose(along, expected, atol=0.3)


@pytest.mark.parametrize("resize", [48, (48, 70), None])
def test_masks_are_cropped_as_their_frames(resize: int | tuple[int, int] | None, tmp_path: Path):
    """A bright disc is where its mask is; without a size before the crop, nothing is cropped."""
    rows, columns = np.indices((60, 96))
    disc = (rows - 33) ** 2 + (columns - 55) ** 2 < 18**2
    for kind, picture in (("JPEGImages", disc * 255), ("Annotations", disc * 1)):
        folder = tmp_path / kind / "480p" / "one"
        folder.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(picture.astype(np.uint8)).convert("RGB" if kind == "JPEGImages" else "L").save(
                folder / f"{number:05}.png"
            )
    (clip,) = open_segmentation(tmp_path, frames=2, stride=1, size=(40, 40), shape={"resize": resize})
    if resize is None:
        assert clip.masks.shape == (2, 60, 96)
        return
    assert clip.masks.shape == (2, 40, 40)
    differ = clip.masks.astype(bool) != (clip.frames[..., 0] > 127)
    assert differ.mean() < 0.02
    beside = np.roll(clip.masks.astype(bool), 1, axis=2) != (clip.frames[..., 0] > 127)
    assert beside.mean() > 2 * differ.mean() + 0.01


def test_frames_that_would_be_too_large(tmp_path: Path):
    Image.new("RGB", (3, 60_000)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="which are scaled to 256 × 5120000"):
        read_image(tmp_path / "a.png", Fit((224, 224), 256))
