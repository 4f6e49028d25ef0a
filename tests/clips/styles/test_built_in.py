"""The built-in styles: steady, strong, the same everywhere."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.clips.styles.built_in import STYLES
from sdmetrics.clips.styles.steadiness import STEADY, STRONG, difference, texture_difference, warp_error, warps
from tests.helpers.requests import open_clips

PAIRS = list(itertools.combinations(STYLES, 2))
CLIPS = ["arm_wrestling.mp4", "bikes.mp4", "carphone.mp4", "flipping_a_pancake.mkv", "test.mp4"]


@pytest.fixture(scope="module", params=CLIPS)
def clips(request: pytest.FixtureRequest, shared: Path) -> list[Frames]:
    """Eight consecutive frames from the beginning and from the end of a real video."""
    path = shared / "clips" / request.param
    return [clip.frames for clip in open_clips(path, frames=8, stride=1, size=(224, 224), clips_per_video=2)]


def test_there_are_four():
    assert len(STYLES) == 4


def test_styles_are_steady(clips: list[Frames]):
    for frames in clips:
        steps = warps(frames)
        plain = warp_error(frames, steps)
        for name, style in STYLES.items():
            assert warp_error(style(frames), steps) <= STEADY * plain, name


def test_flicker_is_measured(clips: list[Frames]):
    """The bound is not vacuous: a brightness that changes by a tenth from frame to frame breaks it."""
    frames = clips[0]
    gain = np.where(np.arange(len(frames)) % 2, 0.85, 1.0)[:, None, None, None]
    steps = warps(frames)
    assert warp_error((frames * gain).astype(np.uint8), steps) > STEADY * warp_error(frames, steps)


def test_styles_are_strong_in_value_and_texture(clips: list[Frames]):
    for frames in clips:
        styled = {name: style(frames) for name, style in STYLES.items()}
        for a, b in PAIRS:
            assert difference(styled[a], styled[b]) >= STRONG, (a, b)
            assert texture_difference(styled[a], styled[b]) >= 0.3, (a, b)


def test_texture_difference_ignores_colour_and_contrast(clips: list[Frames]):
    frames = clips[0]
    assert texture_difference(frames, 255 - frames // 2) < 0.15


def test_motion_stays(clips: list[Frames]):
    """The flow between styled frames is that between the unstyled ones where the scene has contours."""
    frames = clips[0][:2]
    for name, style in STYLES.items():
        (plain, _), (styled, _) = warps(frames)[0], warps(style(frames))[0]
        assert np.median(np.abs(plain - styled)) < 1, name


@pytest.mark.parametrize("value", [0, 60, 128, 200, 255])
def test_styles_differ_on_plain_frames(value: int):
    frames = np.full((1, 32, 32, 3), value, np.uint8)
    for a, b in PAIRS:
        assert difference(STYLES[a](frames), STYLES[b](frames)) >= STRONG, (a, b)


def test_styles_are_strong_on_generated_clips():
    for clip in world_clips(8):
        for a, b in PAIRS:
            assert difference(STYLES[a](clip.frames), STYLES[b](clip.frames)) >= STRONG, (a, b)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (16, 16), (40, 40), (97, 33), (1080, 1920)])
def test_any_size(size: tuple[int, int]):
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    before = frames.copy()
    for style in STYLES.values():
        styled = style(frames)
        assert (styled.dtype, styled.shape) == (np.uint8, frames.shape)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("name", STYLES)
def test_a_style_looks_the_same_at_every_resolution(name: str, clips: list[Frames]):
    large = clips[0][:1]
    small = cv2.resize(large[0], (112, 112), interpolation=cv2.INTER_AREA)[None]
    shrunk = cv2.resize(STYLES[name](large)[0], (112, 112), interpolation=cv2.INTER_AREA)[None]
    assert difference(STYLES[name](small), shrunk) < 0.06


@pytest.mark.parametrize("name", STYLES)
def test_a_frame_is_styled_by_itself_in_any_memory_layout_and_thread(name: str):
    frames = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8)
    style = STYLES[name]
    styled = style(frames)
    np.testing.assert_array_equal(style(frames[::-1])[::-1], styled)
    np.testing.assert_array_equal(style(np.asfortranarray(frames)), styled)
    threads = cv2.getNumThreads()
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(style, [frames] * 8):
            np.testing.assert_array_equal(result, styled)
    assert cv2.getNumThreads() == threads
