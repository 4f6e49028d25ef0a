"""Where a unit responds: the map of a tensor in any order of axes has the unit's response as its mean."""

import numpy as np
import pytest

from sdmetrics.inspection.maps import Places, places_of, unit_map

RNG = np.random.default_rng(0)
KNOWN = RNG.normal(size=(5, 4, 3, 2)).astype(np.float32)
"""Units, time, height, width."""


@pytest.mark.parametrize(
    ("tensor", "axes"),
    [
        (KNOWN[None], {"batch_axis": 0, "channel_axis": 1, "time_axis": 2, "fold": None}),
        # (N, H, W, T, C) of the model, as a runner returns it: clips, units, then height, width, time.
        (KNOWN.transpose(0, 2, 3, 1)[None], {"batch_axis": 0, "channel_axis": 4, "time_axis": 3, "fold": None}),
        (KNOWN.swapaxes(0, 1), {"batch_axis": 0, "channel_axis": 1, "time_axis": None, "fold": "batch-major"}),
        (KNOWN[None], {"batch_axis": 0, "channel_axis": 1, "time_axis": None, "fold": None}),
    ],
)
def test_every_order_of_axes_gives_the_same_map(tensor, axes):
    places = places_of(tensor.shape, axes, (12, 8))
    assert places.grid == (4, 3, 2)
    found = unit_map(tensor, 2, axes, places)
    np.testing.assert_array_equal(found, KNOWN[2])
    assert bool(places.basis) == (axes["time_axis"] is None and axes["fold"] is None)


def test_a_frame_s_tokens_are_its_patches_after_a_class_token():
    tensor = RNG.normal(size=(1, 5, 4, 1 + 6)).astype(np.float32)
    axes = {"batch_axis": 0, "channel_axis": 3, "time_axis": 1, "fold": None}
    places = places_of(tensor.shape, axes, (48, 32))
    assert (places.grid, places.skipped) == ((4, 3, 2), 1)
    assert "patches" in places.basis
    np.testing.assert_array_equal(unit_map(tensor, 1, axes, places), tensor[0, 1, :, 1:].reshape(4, 3, 2))


@pytest.mark.parametrize(
    ("shape", "axes", "why"),
    [
        ((1, 64), {"time_axis": None, "fold": None}, "pooled already"),
        ((1, 64, 1568), {"time_axis": None, "fold": None}, "1568 do not tell time from space"),
    ],
)
def test_what_is_not_known_is_said(shape, axes, why):
    assert why in places_of(shape, {"batch_axis": 0, "channel_axis": 1, **axes}, (224, 224))


def test_time_without_space_covers_the_frame():
    axes = {"batch_axis": 0, "channel_axis": 2, "time_axis": 1, "fold": None}
    assert places_of((1, 5, 4), axes, (8, 8)) == Places((4, 1, 1))
