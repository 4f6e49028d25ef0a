"""Optical flow as an image: the usual colour wheel, encoded and decoded."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchvision.utils import flow_to_image

from sdmetrics.clips.flow.colour import flow_to_rgb, rgb_to_flow
from sdmetrics.errors import InputError

FLOWS = arrays(np.float32, (2, 3, 5, 2), elements=st.floats(-50, 50, width=32))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 3, (*shape, 2)).astype(np.float32)


def naive_wheel():
    """Return the 55 colours of the wheel, one after the other."""
    corners = [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255), (255, 0, 0)]
    wheel = []
    for before, after, steps in zip(corners[:-1], corners[1:], (15, 6, 4, 11, 13, 6), strict=True):
        pairs = list(zip(before, after, strict=True))
        wheel += [[b + (a - b) * step / steps for b, a in pairs] for step in range(steps)]
    return wheel


def naive_flow_to_rgb(flow, scale):
    """Return the colours of one frame, pixel by pixel, before they are rounded."""
    wheel, (height, width, _) = naive_wheel(), flow.shape
    image = np.empty((height, width, 3))
    for y in range(height):
        for x in range(width):
            u, v = flow[y, x].tolist()
            place = (math.atan2(-v if v else -0.0, -u if u else -0.0) / math.pi + 1) / 2 * 54
            first = int(place)
            saturation = min(math.hypot(u, v) / scale, 1)
            for channel in range(3):
                colour = wheel[first][channel]
                colour += (wheel[(first + 1) % 55][channel] - colour) * (place - first)
                image[y, x, channel] = 255 - saturation * (255 - colour)
    return image


@given(FLOWS)
def test_it_draws_what_the_textbook_draws(flow):
    for frame in flow:
        scale = max(float(np.hypot(*frame.reshape(-1, 2).T).max()), 1e-5)
        # Half a step is lost by rounding; the rest is float32 about a jump from the wheel's end to its beginning.
        jump = (np.abs(frame[..., 1]) < 1e-6 * np.abs(frame[..., 0])) & (frame[..., 0] > 0)
        off = np.abs(flow_to_rgb(frame) - naive_flow_to_rgb(frame, scale))
        assert (off[~jump] <= 0.51).all()
        assert (off[jump] <= 44).all()


def test_it_draws_what_torchvision_draws():
    for flow in (noise(64, 48), noise(9, 7, seed=1)):
        theirs = flow_to_image(torch.from_numpy(flow).permute(2, 0, 1)).permute(1, 2, 0).numpy()
        assert np.abs(flow_to_rgb(flow).astype(int) - theirs).max() <= 2


@pytest.mark.parametrize(
    ("direction", "colour"),
    [
        ((1, 0), (255, 0, 0)),  # right: red
        ((1, -0.0), (255, 0, 0)),
        ((0, 1), (255, 229.5, 0)),  # down: yellow
        ((-1, 0), (0, 208.6, 255)),  # left: cyan
        ((0, -1), (88.3, 0, 255)),  # up: violet
        ((0, 0), (255, 255, 255)),
        ((-0.0, -0.0), (255, 255, 255)),
        ((0.5, 0), (255, 127.5, 127.5)),
    ],
)
def test_known_directions(direction, colour):
    found = flow_to_rgb(np.array([[direction]], np.float32), scale=1)[0, 0]
    assert np.abs(found - colour).max() <= 0.55


@given(FLOWS, st.floats(0.01, 100))
def test_there_and_back(flow, scale):
    length = np.hypot(flow[..., 0], flow[..., 1])
    cut = flow * np.minimum(1, scale / np.maximum(length, 1e-30))[..., None]
    off = np.hypot(*np.moveaxis(rgb_to_flow(flow_to_rgb(flow, scale), scale) - cut, -1, 0))
    assert off.max() <= 0.008 * scale


def test_there_and_back_in_all_directions_and_lengths():
    angle, length = np.meshgrid(np.linspace(-np.pi, np.pi, 2001), np.linspace(0, 5, 101))
    flow = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=-1).astype(np.float32)
    off = np.hypot(*np.moveaxis(rgb_to_flow(flow_to_rgb(flow, 5), 5) - flow, -1, 0))
    assert 0.005 * 5 < off.max() <= 0.008 * 5


def test_every_colour_of_the_wheel_is_saturated_and_has_its_place():
    angle = np.linspace(-np.pi, np.pi, 4000, endpoint=False)
    colours = flow_to_rgb(np.stack([-np.cos(angle), -np.sin(angle)], axis=-1).astype(np.float32)[None], scale=0.99)[0]
    assert (colours.min(axis=-1) == 0).all()
    assert (colours.max(axis=-1) == 255).all()
    assert len(np.unique(colours, axis=0)) > 1300


def test_each_frame_is_measured_by_its_own_longest_vector():
    flow = noise(3, 4, 5)
    image = flow_to_rgb(flow)
    assert image.dtype == np.uint8
    assert image.shape == (3, 4, 5, 3)
    for frame, drawn in zip(flow, image, strict=True):
        np.testing.assert_array_equal(flow_to_rgb(frame), drawn)
        np.testing.assert_array_equal(flow_to_rgb(frame, scale=float(np.hypot(*frame.reshape(-1, 2).T).max())), drawn)
        np.testing.assert_array_equal(flow_to_rgb(frame * 4), drawn)
        assert (drawn.min(axis=-1) == 0).sum() >= 1


def test_no_motion_is_white_and_noise_far_below_a_pixel_hardly_seen():
    assert (flow_to_rgb(np.zeros((2, 3, 3, 2), np.float32)) == 255).all()
    assert (flow_to_rgb(np.full((1, 1, 2), 1e-8, np.float32)) >= 254).all()


def test_what_is_longer_than_the_scale_has_the_colour_of_the_scale():
    flow = noise(20, 20)
    unit = flow / np.hypot(flow[..., :1], flow[..., 1:])
    off = flow_to_rgb(unit * 1e6, scale=2).astype(int) - flow_to_rgb(unit * 2.001, scale=2)
    assert np.abs(off).max() <= 1


def test_grey_is_no_motion():
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=-1)
    assert (rgb_to_flow(greys, scale=7) == 0).all()


def test_hues_that_no_direction_has_are_to_the_right():
    back = rgb_to_flow(np.array([[[255, 0, 20], [255, 0, 42]]], np.uint8), scale=1)
    np.testing.assert_allclose(back, [[[1, 0], [1, 0]]], atol=1e-6)


def test_memory_layout_and_type_do_not_matter():
    flow = noise(6, 8)
    drawn = flow_to_rgb(flow)
    before = flow.copy()
    np.testing.assert_array_equal(flow_to_rgb(np.asfortranarray(flow)), drawn)
    np.testing.assert_array_equal(flow_to_rgb(flow[::-1])[::-1], drawn)
    np.testing.assert_array_equal(flow_to_rgb(flow.astype(np.float64)), drawn)
    np.testing.assert_array_equal(flow, before)
    back = rgb_to_flow(drawn, 3)
    np.testing.assert_array_equal(rgb_to_flow(np.asfortranarray(drawn), 3), back)
    np.testing.assert_array_equal(rgb_to_flow(drawn[:, ::-1], 3)[:, ::-1], back)
    whole = np.array([[[3, -4]]])
    np.testing.assert_array_equal(flow_to_rgb(whole), flow_to_rgb(whole.astype(np.float32)))


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"flow is float32 of shape \(4, 4, 3\); expected numbers of shape"),
        (np.zeros((4, 2), np.float32), r"flow is float32 of shape \(4, 2\)"),
        (np.zeros((0, 4, 2), np.float32), r"flow is float32 of shape \(0, 4, 2\)"),
        (np.zeros((1, 1, 2), complex), "flow is complex128"),
        (np.zeros((1, 1, 2), object), "flow is object"),
        (np.full((1, 1, 2), np.nan), "not finite or not below 1e\\+09 pixels; set unknown vectors to 0"),
        (np.full((1, 1, 2), -np.inf), "not finite"),
        (np.full((1, 1, 2), 1.7e9), "not finite or not below"),
    ],
)
def test_what_is_no_flow_is_named(flow, message):
    with pytest.raises(InputError, match=message):
        flow_to_rgb(flow)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros((3,), np.uint8), np.zeros((0, 1, 3), "u1")]
)
def test_what_is_no_image_is_named(image):
    with pytest.raises(InputError, match=r"a flow image is .* expected uint8 of shape \(…, H, W, 3\)"):
        rgb_to_flow(image, scale=1)


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf, 1e9, 1e-9])
def test_what_is_no_scale_is_named(scale):
    message = f"scale is {scale}; allowed: from 1e-05 to below 1e+09 pixels"
    with pytest.raises(InputError, match=re.escape(message)):
        flow_to_rgb(np.ones((1, 1, 2), np.float32), scale)
    with pytest.raises(InputError, match="scale is"):
        rgb_to_flow(np.zeros((1, 1, 3), np.uint8), scale)
