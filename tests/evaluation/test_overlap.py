"""Overlaps of regions and boxes, against counting pixel by pixel, and against TorchMetrics."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sdmetrics.errors import InputError
from sdmetrics.evaluation.overlap import (
    MOCA_THRESHOLD,
    Box,
    box_around,
    box_overlap,
    foreground,
    prominent_box,
    region_similarity,
    successes,
)
from tests import naive

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)
VALUES = st.sampled_from([0, 0, 1, 2, 254, 255])


@st.composite
def frames(draw):
    """Return a prediction and a truth of one small frame."""
    shape = draw(SHAPES)
    return draw(hnp.arrays(np.bool_, shape)), draw(hnp.arrays(np.uint8, shape, elements=VALUES))


@given(frames())
def test_region_similarity_is_what_counting_gives(pair):
    assert region_similarity(*pair) == pytest.approx(naive.region_similarity(*pair), abs=0, nan_ok=True)


@given(frames())
def test_region_similarity_is_torchmetrics_jaccard_index(pair):
    from torchmetrics.functional.classification import binary_jaccard_index  # which loads half of the field

    predicted, truth = pair
    binary = np.where(truth == 255, 255, truth > 0).astype(np.int64)
    assume(((predicted & (truth != 255)) | (binary == 1)).any())
    theirs = binary_jaccard_index(torch.tensor(predicted.astype(int)), torch.tensor(binary), ignore_index=255)
    assert float(region_similarity(predicted, truth)) == pytest.approx(float(theirs), abs=1e-6)


@given(frames())
def test_what_is_unknown_does_not_count(pair):
    predicted, truth = pair
    assert np.array_equal(
        region_similarity(predicted, truth), region_similarity(predicted ^ (truth == 255), truth), equal_nan=True
    )


def test_region_similarity_of_many_frames_is_that_of_each():
    rng = np.random.default_rng(0)
    predicted, truth = rng.random((2, 3, 7, 5)) > 0.5, rng.choice([0, 1, 9, 255], (2, 3, 7, 5)).astype(np.uint8)
    found = region_similarity(predicted, truth)
    assert found.shape == (2, 3)
    assert found.dtype == np.float64
    for index in np.ndindex(2, 3):
        assert found[index] == naive.region_similarity(predicted[index], truth[index])


def test_nothing_found_where_nothing_is_is_right_and_nothing_known_is_undefined():
    nothing, everything = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    background, unknown = np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)
    assert region_similarity(nothing, background) == 1
    assert region_similarity(everything, background) == 0
    assert region_similarity(nothing, background + 1) == 0
    assert np.isnan(region_similarity(everything, unknown))
    assert np.isnan(region_similarity(nothing, unknown))


@pytest.mark.parametrize(
    ("predicted", "truth"),
    [
        (np.zeros((2, 2)), np.zeros((2, 2), np.uint8)),
        (np.zeros((2, 2), bool), np.zeros((2, 2), bool)),
        (np.zeros((2, 2), bool), np.zeros((2, 3), np.uint8)),
        (np.zeros(4, bool), np.zeros(4, np.uint8)),
        (np.zeros((1, 2, 2), bool), np.zeros((2, 2), np.uint8)),
    ],
)
def test_arrays_that_are_not_masks_are_errors(predicted, truth):
    with pytest.raises(InputError, match=r"expected bool and uint8 of one shape \(…, H, W\)"):
        region_similarity(predicted, truth)


def test_objects_are_foreground_whatever_their_number():
    assert foreground(np.array([0, 1, 254, 255], np.uint8)).tolist() == [False, True, True, False]


@given(hnp.arrays(np.bool_, SHAPES))
def test_the_box_around_a_mask_is_the_smallest_that_holds_it(mask):
    box = box_around(mask)
    if not mask.any():
        assert box is None
        return
    rows, columns = np.nonzero(mask)
    assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


BOXES = st.builds(
    lambda left, top, width, height: Box(left, top, left + width, top + height),
    *(st.integers(0, 6), st.integers(0, 6), st.integers(1, 6), st.integers(1, 6)),
)


@given(BOXES, BOXES)
def test_boxes_overlap_as_their_pixels_do(one, other):
    drawn = np.zeros((2, 12, 12), np.uint8)
    for mask, box in zip(drawn, (one, other), strict=True):
        mask[box.top : box.bottom, box.left : box.right] = 1
    assert box_overlap(one, other) == pytest.approx(naive.region_similarity(drawn[0] > 0, drawn[1]))
    assert box_overlap(one, other) == box_overlap(other, one)
    assert (box_overlap(one, other) == 1) == (one == other)


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=9)))
def test_the_prominent_box_holds_most_of_the_foreground_of_all_boxes_around_a_region(mask):
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = False, False, False, False
    found = prominent_box(mask.astype(np.float32))
    held = {box_around_pixels(region): int(sum(mask[pixel] for pixel in naive.box_pixels(region)))
            for region in naive.regions(mask)}  # fmt: skip
    if not held:
        assert found is None
        return
    assert held[found] == max(held.values())


def box_around_pixels(region):
    rows, columns = zip(*region, strict=True)
    return Box(min(columns), min(rows), max(columns) + 1, max(rows) + 1)


def test_stray_pixels_do_not_widen_the_prominent_box_and_corners_connect():
    marked = np.zeros((20, 30), np.float32)
    marked[5:9, 10:14] = 0.9
    marked[9, 14] = 0.9
    marked[1, 1] = marked[18, 28] = 1
    assert prominent_box(marked) == Box(10, 5, 15, 10)


def test_a_small_ring_full_of_specks_wins_against_a_larger_thin_region():
    marked = np.zeros((30, 40), np.float32)
    marked[2:9, 2:9] = 1
    marked[3:8, 3:8] = 0
    marked[4:7, 4:7] = 1
    marked[20, 5:31] = 1
    assert [len(region) for region in naive.regions(marked > 0)].count(26) == 1
    assert prominent_box(marked) == Box(2, 2, 9, 9)


def test_a_map_of_the_background_is_inverted_where_most_of_the_border_is_in_it():
    marked = np.ones((12, 12), np.float32)
    marked[4:7, 5:9] = 0
    assert prominent_box(marked) == Box(5, 4, 9, 7)
    half = np.zeros((12, 12), np.float32)
    half[:, :6] = 1
    assert np.mean(np.r_[half[0], half[-1], half[1:-1, 0], half[1:-1, -1]]) == 0.5
    assert prominent_box(half) == Box(0, 0, 6, 12), "half of the border is not most of it"
    half[0, 6] = 1
    assert prominent_box(half) == Box(6, 0, 12, 12)


def test_foreground_exceeds_the_threshold_a_tie_does_not():
    marked = np.zeros((5, 5), np.float32)
    marked[2, 2] = MOCA_THRESHOLD
    assert prominent_box(marked) is None
    marked[2, 2] = np.nextafter(np.float32(MOCA_THRESHOLD), np.float32(1))
    assert prominent_box(marked) == Box(2, 2, 3, 3)
    assert prominent_box(marked, threshold=0.5) is None
    assert successes([0.5, np.nextafter(0.5, 1), np.nan], [0.5]).tolist() == [[False], [True], [False]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_the_smallest_maps_have_boxes_too(shape):
    marked = np.zeros(shape, np.float32)
    assert prominent_box(marked) is None
    marked[-1, -1] = 0.4
    assert prominent_box(marked) == Box(shape[1] - 1, shape[0] - 1, shape[1], shape[0])
