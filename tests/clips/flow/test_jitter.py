"""Jittered flow: drawn as the paper draws it, the same on images and on vectors."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest, kstest

from sdmetrics.clips.flow.colour import flow_to_rgb, rgb_to_flow
from sdmetrics.clips.flow.jitter import Jitter, draw_jitter, jittered, jittered_vectors
from sdmetrics.errors import InputError

DRAWS = 20_000
PICTURES = arrays(np.uint8, (2, 3, 4, 3))


@st.composite
def jitters(draw, frames=2, most=2.0):
    turn = draw(arrays(np.float64, frames, elements=st.floats(-0.5, 0.5)))
    saturation = draw(arrays(np.float64, frames, elements=st.floats(0, most)))
    return Jitter(turn, saturation, draw(arrays(np.bool_, frames)))


def one(turn=0.0, saturation=1.0, hue_first=True, frames=1):
    return Jitter(np.full(frames, turn), np.full(frames, saturation), np.full(frames, hue_first))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 3, (*shape, 2)).astype(np.float32)


def naive_jittered(image, jitter):
    """Return the changed colours, pixel by pixel, before they are rounded."""

    def turned(colour, turn):
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        return colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)

    def blended(colour, factor):
        grey = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
        return [min(max(factor * channel + (1 - factor) * grey, 0), 1) for channel in colour]

    changed = np.empty(image.shape)
    for place in np.ndindex(image.shape[:3]):
        turn, factor = jitter.turn[place[0]], jitter.saturation[place[0]]
        colour = image[place] / 255
        if jitter.hue_first[place[0]]:
            colour = blended(turned(colour, turn), factor)
        else:
            colour = turned(blended(colour, factor), turn)
        changed[place] = 255 * np.array(colour)
    return changed


@given(PICTURES, jitters())
def test_images_change_as_pixel_by_pixel(image, jitter):
    assert np.abs(jittered(image, jitter) - naive_jittered(image, jitter)).max() <= 0.51


@given(jitters(frames=3))
def test_what_does_not_move_stays_so(jitter):
    white = np.full((3, 2, 2, 3), 255, np.uint8)
    np.testing.assert_array_equal(jittered(white, jitter), white)
    assert (jittered_vectors(np.zeros((3, 2, 2, 2), np.float32), jitter) == 0).all()


def test_the_draws_are_the_papers():
    jitter = draw_jitter(DRAWS, np.random.default_rng(3))
    h, s = (np.linspace(low, high, 4001) for low, high in ((0.1, 0.5), (0.1, 1)))

    def spread(strengths, around):
        grid = np.linspace(-1, 1, 2001)
        below = [np.clip((x + strengths) / (2 * strengths), 0, 1).mean() for x in grid]
        return lambda x: np.interp(x - around, grid, below)

    assert kstest(jitter.turn, spread(h, 0)).pvalue > 0.01
    assert kstest(jitter.saturation, spread(s, 1)).pvalue > 0.01
    assert binomtest(int(jitter.hue_first.sum()), DRAWS).pvalue > 0.01
    # E x² = E h² / 3, and E h² = mean² + range² / 12.
    assert np.var(jitter.turn) == pytest.approx((0.3**2 + 0.4**2 / 12) / 3, rel=0.03)
    assert np.var(jitter.saturation) == pytest.approx((0.55**2 + 0.9**2 / 12) / 3, rel=0.03)
    assert np.abs(jitter.turn).max() < 0.5
    assert 0 <= jitter.saturation.min() < jitter.saturation.max() < 2


def test_draws_are_independent_of_one_another():
    jitter = draw_jitter(DRAWS, np.random.default_rng(4))
    columns = np.array([jitter.turn, np.abs(jitter.turn), jitter.saturation, jitter.hue_first])
    both = np.concatenate([columns[:, :-1], columns[:, 1:]])  # each frame and the next
    off_diagonal = np.corrcoef(both) - np.eye(8)
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(DRAWS)


def test_the_generator_decides():
    drawn = [draw_jitter(5, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    for part in ("turn", "saturation", "hue_first"):
        assert getattr(drawn[0], part).shape == (5,)
        np.testing.assert_array_equal(getattr(drawn[0], part), getattr(drawn[1], part))
    assert (drawn[0].turn != drawn[2].turn).all()
    assert len(drawn[0]) == 5


def test_motion_never_stays_as_it_is():
    flow = noise(200, 4, 4)
    jitter = draw_jitter(200, np.random.default_rng(0))
    image = flow_to_rgb(flow)
    assert (jittered(image, jitter) != image).any(axis=(1, 2, 3)).all()
    assert (np.abs(jittered_vectors(flow, jitter) - flow).max(axis=(1, 2, 3)) > 1e-3).all()


def test_every_frame_has_its_own_change():
    flow, jitter = np.repeat(noise(1, 4, 4), 3, axis=0), draw_jitter(3, np.random.default_rng(0))
    for change, frames in ((jittered, flow_to_rgb(flow)), (jittered_vectors, flow)):
        changed = change(frames, jitter)
        assert (changed[0] != changed[1]).any()
        for t in range(3):
            alone = Jitter(jitter.turn[t : t + 1], jitter.saturation[t : t + 1], jitter.hue_first[t : t + 1])
            np.testing.assert_array_equal(change(frames[t : t + 1], alone)[0], changed[t])


def test_the_order_matters_to_images():
    image = flow_to_rgb(noise(1, 8, 8))
    first, last = (jittered(image, one(0.3, 0.5, hue_first)) for hue_first in (True, False))
    assert np.abs(first.astype(int) - last).max() > 20


def test_no_change_is_no_change():
    flow = noise(1, 20, 20)
    image = flow_to_rgb(flow)
    np.testing.assert_array_equal(jittered(image, one()), image)
    np.testing.assert_array_equal(jittered(image, one(turn=1.0)), image)
    np.testing.assert_allclose(jittered_vectors(flow, one()), flow, atol=1e-5)
    np.testing.assert_allclose(jittered_vectors(flow, one(turn=-2.0)), flow, atol=1e-4)


@given(st.floats(-0.5, 0.5), st.floats(0, 2))
def test_lengths_are_multiplied(turn, factor):
    flow = noise(1, 6, 6)
    changed = jittered_vectors(flow, one(turn, factor))
    np.testing.assert_allclose(np.hypot(*changed[0].T), factor * np.hypot(*flow[0].T), rtol=1e-5, atol=1e-6)


@given(st.floats(-0.5, 0.5), st.floats(0, 1), st.booleans())
def test_images_and_vectors_agree_where_no_colour_is_cut(turn, factor, hue_first):
    flow = noise(1, 12, 12)
    scale = float(np.hypot(*flow[0].T).max())
    jitter = one(turn, factor, hue_first)
    seen = rgb_to_flow(jittered(flow_to_rgb(flow, scale), jitter), scale)
    off = np.hypot(*np.moveaxis(seen - jittered_vectors(flow, jitter), -1, 0))
    assert off.max() <= 0.016 * scale


def test_arguments_stay_as_they_are():
    flow, jitter = noise(2, 4, 4), one(0.2, 0.5, frames=2)
    image = flow_to_rgb(flow)
    kept = flow.copy(), image.copy()
    jittered(image, jitter), jittered_vectors(flow, jitter)
    np.testing.assert_array_equal(flow, kept[0])
    np.testing.assert_array_equal(image, kept[1])
    np.testing.assert_array_equal(jittered(image[:, ::-1], jitter)[:, ::-1], jittered(image, jitter))


@pytest.mark.parametrize("change", [jittered, jittered_vectors])
@pytest.mark.parametrize("shape", [(3, 4, 4), (4, 4), (0, 4, 4)])
def test_the_number_of_frames_must_fit(change, shape):
    frames = noise(*shape) if change is jittered_vectors else np.zeros((*shape, 3), np.uint8)
    with pytest.raises(InputError, match=r"flow of shape .* cannot be changed by a jitter of 2 frames; .* draw_jitter"):
        change(frames, one(frames=2))


def test_what_is_no_flow_is_named():
    with pytest.raises(InputError, match="flow has components that are not finite"):
        jittered_vectors(np.full((1, 2, 2, 2), np.nan, np.float32), one())
    with pytest.raises(InputError, match="flow is float32 of shape"):
        jittered_vectors(np.zeros((1, 2, 2, 3), np.float32), one())
    with pytest.raises(InputError, match="a flow image is float32"):
        jittered(np.zeros((1, 2, 2, 3), np.float32), one())
