"""Harder worlds: each variant changes its own property and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sdmetrics.clips.generated.world import (
    APPEARANCES,
    MOTIONS,
    ORDERS,
    PLAIN,
    Variant,
    scene,
    world_batch,
    world_clips,
)
from sdmetrics.errors import InputError


def scenes(n, **settings):
    return [scene(k, seed=2, variant=Variant(**settings)) for k in range(n)]


@pytest.mark.parametrize("settings", [{"shortcut": 1.0}, {"clutter": 0.1}, {"camera": 0.2}, {"tail": 1.0}])
def test_what_a_variant_does_not_speak_of_stays(settings):
    for plain, other in zip(scenes(20), scenes(20, **settings), strict=True):
        if "tail" not in settings:
            assert other.motion == plain.motion
            assert np.array_equal(other.start, plain.start)
            assert np.array_equal(other.colours, plain.colours)
        if "shortcut" not in settings and "tail" not in settings:
            assert other.appearance == plain.appearance


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"tail": -1.0}, "tail is -1"), ({"shortcut": 1.5}, "shortcut is 1.5"), ({"clutter": 1.0}, "clutter is 1"),
     ({"camera": np.nan}, "camera is nan"), ({"speed": 2.0}, "speed is 2")],
)  # fmt: skip
def test_a_variant_out_of_range_is_refused(settings, named):
    with pytest.raises(InputError, match=f"{named}.*; allowed: 0 to"):
        Variant(**settings)


def test_a_variant_is_in_the_stamp():
    assert world_clips(1)[0].stamp == world_clips(1, variant=Variant())[0].stamp
    assert world_clips(1)[0].stamp != world_clips(1, variant=Variant(camera=0.1))[0].stamp


@pytest.mark.parametrize("shortcut", [0.0, 0.6, 1.0])
def test_the_shortcut_gives_the_motion_away_in_its_share_of_clips(shortcut):
    found = scenes(3000, shortcut=shortcut)
    agree = np.mean([s.motion == s.appearance for s in found])
    assert agree == pytest.approx(shortcut + (1 - shortcut) / len(APPEARANCES), abs=0.03)


def test_rare_labels_follow_zipf_s_law():
    variant = Variant(tail=1.0)
    drawn = np.bincount([s.motion for s in scenes(4000, tail=1.0)], minlength=len(MOTIONS)) / 4000
    expected = (1 / np.arange(1, 9)) / np.sum(1 / np.arange(1, 9))
    assert variant.frequencies == pytest.approx(expected)
    assert drawn == pytest.approx(expected, abs=0.03)
    assert PLAIN.frequencies == pytest.approx(np.full(8, 1 / 8))


@pytest.fixture(scope="module")
def ordered():
    return scenes(6000, ordered=True)


class TestOrders:
    def test_two_properties_change_one_after_the_other(self, ordered):
        for s in ordered[:200]:
            first, second = s.label.partition("/")[0].split(" then ")
            steps = np.abs(np.diff(s.poses(8), axis=0)) > 1e-12
            moved = {"slide": 0, "lift": 1, "scale": 2, "turn": 3}
            assert set(np.flatnonzero(steps.any(0))) == {moved[first], moved[second]}
            assert np.flatnonzero(steps[:, moved[first]]).max() <= np.flatnonzero(steps[:, moved[second]]).min()

    def test_played_backwards_a_clip_is_of_the_opposite_order(self, ordered):
        """So the set of frames does not tell the order: each set belongs to both labels alike."""
        first = np.stack([s.poses(8) - s.middle for s in ordered if s.motion == ORDERS.index("slide then lift")])
        other = np.stack([s.poses(8)[::-1] - s.middle for s in ordered if s.motion == ORDERS.index("lift then slide")])
        for value in np.linspace(-0.2, 0.2, 9):
            assert (first[..., :2] < value).mean(0) == pytest.approx((other[..., :2] < value).mean(0), abs=0.12)

    def test_the_labels_are_uniform(self, ordered):
        shares = np.bincount([s.motion for s in ordered], minlength=len(ORDERS)) / len(ordered)
        assert shares == pytest.approx(np.full(12, 1 / 12), abs=0.015)


def test_clutter_varies_the_background_by_its_contrast_and_no_more():
    for s in scenes(10, clutter=0.1):
        bare = replace(s, reach=np.zeros(4), middle=np.array([9.0, 9.0, -3.0, 0.0]))
        frame = bare.render(2, 32)[0].astype(float)
        added = frame - np.clip(np.rint(bare.colours[0]), 0, 255)
        assert 5 < np.ptp(added) <= 2 * 25.5 + 2
        assert np.abs(added).max() <= 25.5 + 1


def test_the_camera_moves_background_and_object_alike():
    for s in scenes(10, camera=0.25, clutter=0.1):
        still = replace(s, pan=np.zeros(2))
        away = np.array([0.5, 0.5]) * s.pan
        assert np.allclose((s.poses(5) - still.poses(5))[-1, :2], away)
        assert np.allclose((s.poses(5) - still.poses(5))[:, 2:], 0)
        assert np.hypot(*s.pan) == pytest.approx(0.25)
        assert np.allclose(s.panned(5)[-1] - s.panned(5)[0], s.pan)


def test_the_background_shifts_by_whole_pixels_where_the_pan_does():
    s = replace(scenes(1, clutter=0.2)[0], pan=np.array([0.25, 0.0]), middle=np.array([9.0, 9.0, -3.0, 0.0]))
    first, last = s.render(2, 32)
    assert np.array_equal(first[:, :24], last[:, 8:])


def test_at_half_the_speed_everything_moves_half_as_far():
    for fast, slow in zip(scenes(10), scenes(10, speed=0.5), strict=True):
        steps = np.diff(fast.poses(5), axis=0), np.diff(slow.poses(5), axis=0)
        assert np.allclose(steps[1], steps[0] / 2)


def test_bright_backgrounds_do_not_wrap_around():
    video = world_batch(60, frames=2, size=16, seed=3, variant=Variant(clutter=0.2))[0].astype(int)
    assert np.abs(np.diff(video, axis=2)).mean() < 30
    assert {0, 255} & set(np.unique(video).tolist())
