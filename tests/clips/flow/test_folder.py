"""Flow that is given for folders of frames and of styles, and estimated from the unstyled frames."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import sdmetrics.clips.videos.footage as footage
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.colour import flow_to_rgb
from sdmetrics.clips.flow.estimate import estimate_flow
from sdmetrics.clips.render import plain, render
from sdmetrics.clips.styles.built_in import STYLES
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.requests import open_clips
from tests.helpers.segmentation_files import write_flo, write_png
from tests.helpers.videos import write_video

HEIGHT, WIDTH = 64, 128
SIZE = (32, 32)
IMAGE = ModelInput("image", frames=1, stride=1, size=SIZE, layout="NCHW")
FLOW = ModelInput("flow", "flow_vectors", frames=1, stride=1, size=SIZE, layout="NCHW")


def opened(path: Path, frames: int = 2, size: tuple[int, int] = SIZE, **more: object) -> list[Clip]:
    return open_clips(path, frames=frames, stride=2, size=size, **more)


def filmed(length: int = 5) -> np.ndarray:
    """A camera that pans 4 pixels a frame over a texture."""
    import cv2

    texture = np.random.default_rng(0).integers(0, 256, (HEIGHT // 4, WIDTH // 2, 3), np.uint8)
    texture = cv2.resize(texture, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.stack([texture[:, 4 * number : 4 * number + WIDTH] for number in range(length)])


def write_frames(folder: Path, frames: np.ndarray) -> None:
    for number, frame in enumerate(frames):
        write_png(folder / f"{number:05d}.png", frame)


def write_styles(root: Path, unstyled: bool = False) -> Path:
    frames = filmed()
    for number, style in enumerate(STYLES.values()):
        write_frames(root / f"style_{number}" / "pan", style(frames))
    if unstyled:
        write_frames(root / "unstyled" / "pan", frames)
    return root


def test_flow_is_cut_out_as_the_frames_are(tmp_path: Path):
    rng = np.random.default_rng(1)
    # A frame of its own values, and flow that says where in the frame each pixel is.
    write_frames(tmp_path / "set" / "a", rng.integers(0, 256, (3, HEIGHT, WIDTH, 3), np.uint8))
    rows, columns = np.indices((HEIGHT, WIDTH), np.float32)
    for number in range(3):
        write_flo(tmp_path / "flow" / "a" / f"{number:05d}.flo", np.stack([columns, rows + number], axis=-1))
    (clip,) = opened(tmp_path / "set", frames=3, size=(64, 64), flow=tmp_path / "flow")
    assert clip.flow.shape == (3, 64, 64, 2)
    assert np.array_equal(clip.flow[0, ..., 0], columns[:, 32:96])
    assert [moves[0, 0, 1] for moves in clip.flow] == [0, 2, 2]
    (half,) = opened(tmp_path / "set", flow=tmp_path / "flow")
    assert half.flow.shape == (2, *SIZE, 2)
    # Sides halve, and vectors with them: the first pixel is the mean of columns 32 and 33, halved.
    assert half.flow[0, 0, :2, 0].tolist() == [16.25, 17.25]


def test_flow_of_another_size_covers_its_frame(tmp_path: Path):
    write_frames(tmp_path / "set" / "a", np.zeros((3, HEIGHT, WIDTH, 3), np.uint8))
    ramp = np.zeros((16, 16, 2), np.float32)
    ramp[..., 1] = np.arange(16)[:, None]
    for number in range(3):
        write_flo(tmp_path / "flow" / "a" / f"{number:05d}.flo", ramp)
    (clip,) = opened(tmp_path / "set", size=(64, 128), flow=tmp_path / "flow")
    assert clip.flow.shape == (2, 64, 128, 2)
    assert clip.flow[0, -1, 0, 1] == 15 * 4


def test_given_flow_of_styles(tmp_path: Path):
    styles = write_styles(tmp_path / "styles")
    for number in range(5):
        write_flo(tmp_path / "flow" / "pan" / f"{number:05d}.flo", np.full((HEIGHT, WIDTH, 2), number + 1, np.float32))
        write_png(
            tmp_path / "coded" / "pan" / f"{number:05d}.png", flow_to_rgb(np.ones((HEIGHT, WIDTH, 2), np.float32))
        )
    (clip,) = opened(styles, frames=1, flow=tmp_path / "flow")
    (coded,) = opened(styles, frames=1, flow=tmp_path / "coded")
    (none,) = opened(styles, frames=1)
    assert len({clip.stamp, coded.stamp, none.stamp}) == 3
    assert coded.flow.dtype == np.uint8
    views, shown = render(clip, 0, [IMAGE, FLOW])
    assert views[0].style == views[2].style != views[1].style
    assert np.array_equal(shown[0]["flow_vectors"], shown[1]["flow_vectors"])
    assert (shown[0]["flow_vectors"] == 1).all()
    assert not np.array_equal(shown[0]["flow_vectors"], shown[2]["flow_vectors"])
    assert np.array_equal(shown[0]["rgb"], clip.styled[views[0].style]())
    with pytest.raises(InputError, match=r"clip 'pan' has no optical flow.* in a folder 'unstyled'"):
        render(none, 0, [IMAGE, FLOW])


def test_flow_of_styles_is_that_of_the_unstyled_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = tmp_path / "kept"
    (clip,) = opened(write_styles(tmp_path / "styles", unstyled=True), frames=1, size=(64, 64), cache=kept)
    assert sorted(clip.styled) == ["style_0", "style_1", "style_2", "style_3"]
    frames = filmed()[1:3, :, 32:96]
    assert np.array_equal(clip.frames[0], frames[0])
    assert np.array_equal(clip.flow, estimate_flow(frames[:1], frames[1:]))
    assert np.median(clip.flow[..., 0]) == pytest.approx(-4, abs=0.2)
    image, flow = (ModelInput(i.name, i.source, frames=1, stride=1, size=(64, 64)) for i in (IMAGE, FLOW))
    view, shown = plain(clip, [image, flow])
    assert (view.style, shown["rgb"].tolist()) == ("", frames[:1].tolist())
    monkeypatch.setattr(footage, "estimate_flow", None)
    (again,) = opened(tmp_path / "styles", frames=1, size=(64, 64), cache=kept)
    assert np.array_equal(again.flow, clip.flow)


def test_an_unstyled_video_that_is_missing_or_shorter_fails_its_clip(tmp_path: Path):
    write_styles(tmp_path, unstyled=True)
    (tmp_path / "unstyled" / "pan" / "00004.png").unlink()
    (clip,) = opened(tmp_path)
    with pytest.raises(InputError, match=r"pan differs in its number of frames \(.*unstyled 4\)"):
        _ = clip.frames
    for image in (tmp_path / "unstyled" / "pan").iterdir():
        image.unlink()
    write_frames(tmp_path / "unstyled" / "other", filmed())
    for clip in opened(tmp_path):
        with pytest.raises(InputError, match="is missing; every style needs the same videos"):
            _ = clip.frames


def test_flow_that_is_not_a_file_is_not_opened(tmp_path: Path):
    write_frames(tmp_path / "set" / "a", filmed(3))
    (tmp_path / "flow" / "a").mkdir(parents=True)
    for number in range(3):
        os.mkfifo(tmp_path / "flow" / "a" / f"{number:05d}.flo")
    (clip,) = opened(tmp_path / "set", flow=tmp_path / "flow")
    with pytest.raises(InputError, match=r"0000.\.flo is a FIFO, not a file, and was not opened"):
        _ = clip.flow


def test_narrow_images_do_not_scale_flow_beyond_the_limit(tmp_path: Path):
    write_png(tmp_path / "set" / "a" / "0.png", np.zeros((1, 20_000, 3), np.uint8))
    write_flo(tmp_path / "flow" / "a" / "0.flo", np.zeros((4, 4, 2), np.float32))
    (clip,) = opened(tmp_path / "set", frames=1, size=(224, 224), flow=tmp_path / "flow")
    with pytest.raises(InputError, match=r"0\.png has frames of 20000 × 1 pixels, which are scaled to 4480000 × 224"):
        _ = clip.flow


def test_flow_that_cannot_be_given(tmp_path: Path):
    write_frames(tmp_path / "set" / "a", filmed(3))
    (tmp_path / "flow").mkdir()
    (clip,) = opened(tmp_path / "set", flow=tmp_path / "flow")
    with pytest.raises(InputError, match=r"flow.a.00000 has no flow \(\.flo .*\); add it, or use another folder"):
        _ = clip.flow
    with pytest.raises(InputError, match=r"flow is .*gone, which is not a folder"):
        opened(tmp_path / "set", flow=tmp_path / "gone")
    (tmp_path / "videos").mkdir()
    video = write_video(tmp_path / "videos" / "b.mp4", 8)
    with pytest.raises(InputError, match=r"flow is given image by image, and b\.mp4 is a video file"):
        opened(tmp_path / "videos", flow=tmp_path / "flow")
    for path in (video, "world:3"):
        with pytest.raises(InputError, match=r"flow is .*, but .* is not a folder of frames; leave flow out"):
            opened(path, flow=tmp_path / "flow")
