"""Estimated and resized optical flow: right, the same at every call, and possible at every size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdmetrics.clips.flow.colour import flow_to_rgb
from sdmetrics.clips.flow.estimate import estimate_flow, estimator, resized_flow
from sdmetrics.errors import InputError
from tests.helpers.requests import open_clips

CLIPS = ["arm_wrestling.mp4", "bikes.mp4", "carphone.mp4", "flipping_a_pancake.mkv", "test.mp4"]


def texture(height, width, seed=0):
    """Return a frame with fine and coarse structure."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    frame = cv2.GaussianBlur(noise, (0, 0), 1.5) + 4 * cv2.GaussianBlur(noise, (0, 0), 5)
    return cv2.normalize(frame, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moved(frame, right, down):
    """Return a frame whose content has moved."""
    there = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = frame.shape[1::-1]
    return cv2.warpAffine(frame, there, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def error(flow, right, down, margin=16):
    """Return the mean length of what a flow is off, in the interior."""
    return np.linalg.norm(flow - np.array([right, down]), axis=-1)[..., margin:-margin, margin:-margin].mean()


@pytest.mark.parametrize("shift", [(1.9, -0.7), (-1.4, 1.3), (0.0, 1.9), (6.0, 3.0)])
def test_a_known_shift_is_found(shift):
    frame = texture(240, 320)
    flow = estimate_flow(frame[None], moved(frame, *shift)[None])
    assert flow.dtype == np.float32
    assert flow.shape == (1, 240, 320, 2)
    assert error(flow, *shift) < 0.15
    assert error(flow, -shift[0], -shift[1]) > 2


@pytest.mark.parametrize("name", CLIPS)
def test_a_known_shift_of_a_real_frame_is_found(name, shared: Path):
    (clip,) = open_clips(shared / "clips" / name, frames=2, stride=1, size=(224, 224), clips_per_video=1)
    second = np.stack([moved(frame, 1.9, -0.7) for frame in clip.frames])
    flow = estimate_flow(clip.frames, second)
    off = np.linalg.norm(flow - np.float32([1.9, -0.7]), axis=-1)[:, 16:-16, 16:-16]
    # Not the mean: where a real frame has no structure nothing can be seen to move.
    assert np.median(off) < 0.2


@pytest.mark.parametrize("size", [(32, 32), (40, 40), (48, 64), (112, 112), (33, 500), (500, 33)])
def test_small_frames_are_followed(size):
    frame = texture(*size)
    assert error(estimate_flow(frame[None], moved(frame, 1, -0.5)[None]), 1, -0.5, margin=8) < 0.3


@pytest.mark.parametrize(
    "size", [(1, 1), (4, 300), (8, 40), (8, 256), (13, 40), (16, 100), (31, 600), (600, 8), (31, 31)]
)
def test_any_size_can_be_followed(size):
    """OpenCV fails for some of these, gives NaN for others, and ends the process at the rest."""
    frame = texture(*size)
    flow = estimate_flow(frame[None], moved(frame, 1, 0)[None])
    assert flow.shape == (1, *size, 2)
    assert (np.abs(flow) < 32).all()


def test_what_is_smaller_than_the_estimator_reads_is_followed_too():
    frame = texture(24, 28)
    assert error(estimate_flow(frame[None], moved(frame, 1, 0)[None]), 1, 0, margin=6) < 0.3


def test_nothing_moves_between_equal_frames():
    frames = np.stack([texture(60, 80), np.zeros((60, 80, 3), np.uint8), np.full((60, 80, 3), 255, np.uint8)])
    assert np.abs(estimate_flow(frames, frames)).max() < 1e-3


def test_the_same_frames_give_the_same_bits_in_any_number_of_threads():
    first = np.stack([texture(200, 300, seed) for seed in range(3)])
    second = np.stack([moved(frame, 2.5, 1) for frame in first])
    flow, threads = estimate_flow(first, second), cv2.getNumThreads()
    try:
        for number in (1, 2, 4):
            cv2.setNumThreads(number)
            np.testing.assert_array_equal(estimate_flow(first, second), flow)
    finally:
        cv2.setNumThreads(threads)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(estimate_flow, [first] * 8, [second] * 8):
            np.testing.assert_array_equal(result, flow)


def test_a_frame_is_followed_by_itself_in_any_memory_layout():
    """OpenCV's own object is stateful: earlier frames change later results."""
    first = np.stack([texture(64, 80, seed) for seed in range(4)])
    second = np.stack([moved(frame, 1, 1) for frame in first])
    before = first.copy(), second.copy()
    flow = estimate_flow(first, second)
    np.testing.assert_array_equal(estimate_flow(first[2], second[2]), flow[2])
    np.testing.assert_array_equal(estimate_flow(first[::-1], second[::-1])[::-1], flow)
    np.testing.assert_array_equal(estimate_flow(np.asfortranarray(first), second), flow)
    nested = estimate_flow(first.reshape(2, 2, 64, 80, 3), second.reshape(2, 2, 64, 80, 3))
    np.testing.assert_array_equal(nested.reshape(flow.shape), flow)
    np.testing.assert_array_equal(first, before[0])
    np.testing.assert_array_equal(second, before[1])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((1, 8, 8, 3), np.float32), np.zeros((1, 8, 8, 3), np.uint8), "frames are float32 of shape"),
        (
            np.zeros((1, 8, 8, 3), np.uint8),
            np.zeros((1, 8, 8, 1), np.uint8),
            r"frames are uint8 of shape \(1, 8, 8, 1\)",
        ),
        (np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8), "at least one frame"),
        (np.zeros((8, 3), np.uint8), np.zeros((8, 3), np.uint8), "expected uint8 of shape"),
        (
            np.zeros((2, 8, 8, 3), np.uint8),
            np.zeros((1, 8, 8, 3), np.uint8),
            r"first has the shape \(2, 8, 8, 3\) and second the shape \(1, 8, 8, 3\); expected two of the same",
        ),
    ],
)
def test_what_cannot_be_followed_is_named(first, second, message):
    with pytest.raises(InputError, match=message):
        estimate_flow(first, second)


def test_the_estimator_names_itself_and_its_version():
    assert estimator() == f"DIS fast, OpenCV {cv2.__version__}"


@given(
    arrays(np.float32, (2, 6, 8, 2), elements=st.floats(-20, 20, width=32)),
    st.integers(1, 14),
    st.integers(1, 14),
)
def test_resized_vectors_point_to_the_same_places(flow, height, width):
    resized = resized_flow(flow, (height, width))
    assert resized.dtype == np.float32
    assert resized.shape == (2, height, width, 2)
    back = resized / np.float32([width / 8, height / 6])
    tolerance = 1e-4
    assert (back.min(axis=(1, 2)) >= flow.min(axis=(1, 2)) - tolerance).all()
    assert (back.max(axis=(1, 2)) <= flow.max(axis=(1, 2)) + tolerance).all()
    if height <= 6 and width <= 8:
        np.testing.assert_allclose(back.mean(axis=(1, 2)), flow.mean(axis=(1, 2)), atol=tolerance)


@pytest.mark.parametrize("size", [(60, 80), (30, 40), (30, 160), (200, 40), (25, 33), (61, 81)])
def test_a_smooth_flow_stays_smooth_in_another_size(size):
    """A zoom about the centre is linear in the place, so that it is known in every size."""

    def zoom(height, width):
        y, x = np.mgrid[:height, :width] + 0.5
        return np.stack([0.1 * (x - width / 2), 0.1 * (y - height / 2)], axis=-1).astype(np.float32)

    off = np.abs(resized_flow(zoom(60, 80), size) - zoom(*size))
    assert off[4:-4, 4:-4].max() < 0.02


def test_resized_images_keep_their_colours():
    flow = np.zeros((3, 40, 40, 2), np.float32)
    flow[:, :, 20:] = [3, 1]
    image = flow_to_rgb(flow)
    resized = resized_flow(image, (10, 20))
    assert resized.dtype == np.uint8
    np.testing.assert_array_equal(resized, flow_to_rgb(resized_flow(flow, (10, 20)) * [2, 4]))


def test_the_same_size_changes_nothing():
    flow = np.random.default_rng(0).normal(size=(2, 9, 7, 2)).astype(np.float32)
    np.testing.assert_array_equal(resized_flow(flow, (9, 7)), flow)
    assert resized_flow(flow, (9, 7)) is not flow
    np.testing.assert_array_equal(resized_flow(flow[0], (4, 5)), resized_flow(flow, (4, 5))[0])
    np.testing.assert_array_equal(resized_flow(np.asfortranarray(flow), (4, 5)), resized_flow(flow, (4, 5)))


@pytest.mark.parametrize(
    ("flow", "size", "message"),
    [
        (
            np.zeros((4, 4, 3), np.float32),
            (2, 2),
            r"flow is float32 of shape \(4, 4, 3\); expected float32 \(…, H, W, 2\)",
        ),
        (np.zeros((4, 4, 2), np.float64), (2, 2), "flow is float64"),
        (np.zeros((4, 4, 2), np.uint8), (2, 2), "or colour-coded uint8"),
        (np.zeros((0, 4, 2), np.float32), (2, 2), r"flow is float32 of shape \(0, 4, 2\)"),
        (np.zeros((4, 4, 2), np.float32), (0, 2), r"size is \(0, 2\); expected \(height, width\), each at least 1"),
    ],
)
def test_what_cannot_be_resized_is_named(flow, size, message):
    with pytest.raises(InputError, match=message):
        resized_flow(flow, size)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("estimate", "estimate_flow"),
        ("estimate", "estimator"),
        ("estimate", "resized_flow"),
        ("cache", "cached"),
        ("colour", "flow_to_rgb"),
        ("colour", "rgb_to_flow"),
        ("files", "read_flow"),
        ("jitter", "draw_jitter"),
        ("jitter", "jittered"),
        ("jitter", "jittered_vectors"),
    ],
)
def test_public_functions_of_flow_have_an_example(module, name):
    assert ">>>" in (getattr(import_module(f"sdmetrics.clips.flow.{module}"), name).__doc__ or "")
