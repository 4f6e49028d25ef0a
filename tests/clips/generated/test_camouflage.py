"""The camouflage world: no frame shows a camouflaged object, any two do, and flow and masks are exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from sdmetrics.clips.generated.camouflage import HIDDEN, CamouflageVariant, camouflage_batch, camouflage_clips
from sdmetrics.clips.generated.camouflage_scenes import hidden_scene
from sdmetrics.clips.generated.hidden_objects import REACH

VISIBLE = CamouflageVariant(camouflaged=0)


def auc(scores, positive):
    """Return how often a positive has the higher score, ties counted half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place.reshape(-1)]
    positive = np.ravel(positive)
    n = positive.sum()
    return (rank[positive].sum() - n * (n + 1) / 2) / (n * (positive.size - n))


def grey(frames):
    return frames.astype(np.float32).mean(-1)


def mean_over(values, where):
    return (values * where).sum((1, 2)) / np.maximum(where.sum((1, 2)), 1)


def differences(frame, mask):
    """Return how a region differs from the rest, each a number per frame: what a camouflaged object must not show."""
    image, inside = grey(frame), mask > 0
    slopes = np.hypot(np.diff(image, axis=1)[:, :, :-1], np.diff(image, axis=2)[:, :-1])
    around = inside[:, :-1, :-1]
    mean = mean_over(image, inside), mean_over(image, ~inside)
    spread = [mean_over((image - m[:, None, None]) ** 2, w) for m, w in zip(mean, (inside, ~inside), strict=True)]
    seam = inside[:, :, 1:] != inside[:, :, :-1]
    steps = np.abs(np.diff(image, axis=2))
    colours = [
        mean_over(frame[..., c].astype(np.float32), inside) - mean_over(frame[..., c], ~inside) for c in range(3)
    ]
    return {
        "mean": np.abs(mean[0] - mean[1]),
        "colour": np.hypot(*np.diff(colours, axis=0)),
        "variance": np.log(spread[0] / spread[1]),
        "gradient": np.log(mean_over(slopes, around) / mean_over(slopes, ~around)),
        "seam": mean_over(steps, seam) / mean_over(steps, ~seam),
    }


def windows(images, size):
    """Return the neighbourhood of every pixel that has one, `(pixels, size * size)`."""
    return sliding_window_view(images, (size, size), axis=(1, 2)).reshape(-1, size * size)


def patch_auc(images, masks, size=5):
    """Return how well ridge regression on patches, their squares and products finds objects in held-out images."""
    edge = size // 2
    images = (images - images.mean((1, 2), keepdims=True)) / images.std((1, 2), keepdims=True)
    features = windows(images, size)
    centred = features - features.mean(1, keepdims=True)
    products = centred[:, 1:] * centred[:, :-1]
    features = np.concatenate([features, features**2, products, np.ones((len(features), 1))], axis=1)
    goal = masks[:, edge:-edge, edge:-edge].reshape(-1) > 0
    half = len(goal) // 2
    seen, wanted = features[:half], goal[:half]
    weights = np.linalg.solve(seen.T @ seen + 10 * np.eye(seen.shape[1]), seen.T @ wanted)
    return auc(features[half:] @ weights, goal[half:])


def unoccluded(mask):
    """Return where a pixel and all that the lens sees around it are of one surface."""
    around = sliding_window_view(mask, (2 * REACH + 1, 2 * REACH + 1))
    inner = np.zeros(mask.shape, bool)
    inner[REACH:-REACH, REACH:-REACH] = around.min((2, 3)) == around.max((2, 3))
    return inner


def own_and_other(frames, masks):
    """Return the differences between the regions of a clip's own mask, and of another clip's."""
    return differences(frames, masks), differences(frames, np.roll(masks, 1, axis=0))


def told_apart(own, other):
    return auc(np.r_[own, other], np.repeat([True, False], len(own)))


@pytest.fixture(scope="module")
def camouflaged():
    batch = camouflage_batch(1200, frames=1, seed=5)
    return batch.frames[:, 0], batch.masks[:, 0]


@pytest.fixture(scope="module")
def visible():
    batch = camouflage_batch(300, frames=1, seed=5, variant=VISIBLE)
    return batch.frames[:, 0], batch.masks[:, 0]


@pytest.fixture(scope="module")
def hidden_differences(camouflaged):
    return own_and_other(*camouflaged)


@pytest.fixture(scope="module")
def crowd():
    return camouflage_batch(
        12, frames=10, size=64, seed=3, variant=CamouflageVariant(objects=3, occlusion=0.8, camouflaged=0.5)
    )


class TestSingleFrames:
    """Own masks against those of other clips: a frame that tells nothing fits both alike."""

    @pytest.mark.parametrize("what", ["mean", "colour", "variance", "gradient", "seam"])
    def test_a_camouflaged_object_shows_in_no_statistic(self, hidden_differences, what):
        own, other = (found[what] for found in hidden_differences)
        assert told_apart(own, other) == pytest.approx(0.5, abs=0.03)
        paired = own - other
        assert abs(paired.mean()) < 3 * paired.std() / np.sqrt(len(paired))

    def test_a_visible_object_does(self, visible):
        own, other = own_and_other(*visible)
        assert told_apart(own["mean"], other["mean"]) > 0.9
        assert told_apart(own["seam"], other["seam"]) > 0.9

    def test_the_statistics_would_notice_surfaces_that_are_blurred_apart(self):
        """Had the noise been blurred before the objects are put in place, each border would show."""
        away = [replace(s, places=s.places + 1000) for s in (hidden_scene(k, 1, 48, 5) for k in range(300))]
        grounds = np.concatenate([s.render() for s in away])
        objects = np.concatenate([replace(s, noise=s.noise + 1).render() for s in away])
        masks = np.concatenate([replace(s, places=s.places - 1000).masks() for s in away])
        own, other = own_and_other(np.where(masks[..., None] > 0, objects, grounds), masks)
        assert told_apart(own["seam"], other["seam"]) > 0.8

    def test_a_model_of_patches_learns_nothing_from_camouflaged_frames(self, camouflaged, visible):
        hidden, seen = (patch_auc(grey(frames[:160]), masks[:160]) for frames, masks in (camouflaged, visible))
        assert hidden == pytest.approx(0.5, abs=0.03)
        assert seen > 0.85

    def test_it_learns_from_two_frames(self):
        still = CamouflageVariant(camera=0)
        frames, _, masks, _ = camouflage_batch(120, frames=2, seed=6, variant=still)
        change = np.abs(grey(frames[:, 1]) - grey(frames[:, 0]))
        assert patch_auc(change, masks[:, 0]) > 0.95

    def test_every_pixel_is_a_draw_of_its_own(self):
        scene = hidden_scene(0, 2, 48, variant=CamouflageVariant(objects=3, occlusion=1))
        for image in scene._noise():
            assert len(np.unique(image)) > image.size - 5
            assert abs(np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1]) < 0.08


class TestFlow:
    def test_every_frame_is_the_last_one_moved_by_its_flow(self, crowd):
        checked = np.zeros(4, int)
        for frames, flow, masks in zip(crowd.frames, crowd.flow, crowd.masks, strict=True):
            for t in range(len(frames) - 1):
                y, x = np.nonzero(unoccluded(masks[t]))
                right, down = flow[t, y, x].astype(int).T
                inside = (x + right >= 0) & (x + right < 64) & (y + down >= 0) & (y + down < 64)
                there = y[inside] + down[inside], x[inside] + right[inside]
                here = y[inside], x[inside]
                stays = unoccluded(masks[t + 1])[there] & (masks[t + 1][there] == masks[t][here])
                before, after = frames[t][here][stays], frames[t + 1][there][stays]
                assert np.array_equal(before, after)
                checked += np.bincount(masks[t][here][stays], minlength=4)
        assert (checked[0] > 100_000) & (checked[1:] > 400).all()

    def test_objects_move_with_the_flow_and_not_with_the_ground(self):
        for k in range(20):
            scene = hidden_scene(k, 6, 48)
            flow, masks = scene.flow(), scene.masks()
            for t, step in enumerate(np.diff(scene.places, axis=0)[:, 0]):
                assert (flow[t][masks[t] == 1] == step).all()
                assert (flow[t][masks[t] == 0] == scene.pan).all()
                assert (step != scene.pan).any()

    def test_masks_move_with_the_flow(self):
        moved = 0
        for k in range(20):
            scene = hidden_scene(k, 6, 48)
            masks = scene.masks()
            for t, (right, down) in enumerate(np.diff(scene.places, axis=0)[:-1, 0]):
                shifted = np.roll(masks[t], (down, right), (0, 1))[4:-4, 4:-4]
                assert np.array_equal(shifted, masks[t + 1][4:-4, 4:-4])
                moved += shifted.any()
        assert moved > 80

    def test_the_last_frame_s_flow_leads_to_the_frame_that_would_follow(self):
        longer, clip = hidden_scene(4, 6, 48), hidden_scene(4, 5, 48)
        assert np.array_equal(longer.places[:-1], clip.places)
        assert np.array_equal(longer.flow()[4], clip.flow()[4])
        assert len(clip.render(following=True)) == 6
        assert np.array_equal(clip.render(following=True)[:5], clip.render())

    @pytest.mark.parametrize("variant", [HIDDEN, CamouflageVariant(speed=3, camera=2), VISIBLE])
    @pytest.mark.parametrize("size", [48, 64])
    def test_estimated_flow_finds_the_objects(self, variant, size):
        pytest.importorskip("cv2")
        settings = {"n": 25, "frames": 3, "size": size, "seed": 8, "variant": variant}
        estimated, exact = (camouflage_batch(**settings, flow=kind) for kind in ("estimated", "exact"))
        assert np.array_equal(estimated.frames, exact.frames)
        ground = np.median(estimated.flow, axis=(2, 3), keepdims=True)
        apart = np.hypot(*np.moveaxis(estimated.flow - ground, -1, 0))
        assert auc(apart, exact.masks > 0) > 0.93
        errors = np.hypot(*np.moveaxis(estimated.flow - exact.flow, -1, 0))
        assert np.median(errors) < 0.1
        assert errors.mean() < 0.4


class TestScenes:
    def test_a_mask_is_the_front_most_object_of_every_pixel(self):
        """The twin goes through the pixels one by one."""
        scene = hidden_scene(2, 3, 40, variant=CamouflageVariant(objects=4, occlusion=0.7))
        twin = np.zeros((3, 40, 40), np.uint8)
        for t, y, x in np.ndindex(twin.shape):
            for k, shape in enumerate(scene.shapes):
                reach = len(shape) // 2
                right, down = (x, y) - scene.places[t, k] + reach
                if 0 <= right < len(shape) and 0 <= down < len(shape) and shape[down, right]:
                    twin[t, y, x] = k + 1
        assert np.array_equal(scene.masks(), twin)
        assert set(np.unique(twin)) == {0, 1, 2, 3, 4}

    @given(st.integers(1, 4), st.floats(0, 1), st.floats(1, 4), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**40))
    @settings(max_examples=40, deadline=None)
    def test_any_world_is_drawn_and_always_moves(self, objects, occlusion, speed, camera, centred, seed):
        variant = CamouflageVariant(
            objects=objects, occlusion=occlusion, speed=speed, camera=camera * speed, centred=centred
        )
        scene = hidden_scene(0, 12, variant.smallest, seed, variant)
        over_ground = np.diff(scene.places, axis=0) - scene.pan
        assert np.abs(np.hypot(*np.moveaxis(over_ground, -1, 0)) - speed).max() <= 0.5 + 1e-9
        assert abs(np.hypot(*scene.pan) - variant.camera) <= 0.5 + 1e-9
        masks, flow, frames = scene.masks(), scene.flow(), scene.render()
        assert masks.max() <= objects
        assert (masks.shape, flow.shape) == ((12, *[variant.smallest] * 2), (12, *[variant.smallest] * 2, 2))
        assert (frames.dtype, flow.dtype, masks.dtype) == (np.uint8, np.float32, np.uint8)
        assert len(np.unique(frames)) > 20
        assert np.isin(flow.reshape(-1, 2), [*np.diff(scene.places, axis=0).reshape(-1, 2), scene.pan]).all()

    @pytest.mark.parametrize("objects", [1, 2, 4])
    @pytest.mark.parametrize("camera", [0.0, 2.0])
    def test_objects_stay_in_the_frame_however_long_the_clip(self, objects, camera):
        for k in range(8):
            places = hidden_scene(k, 120, 48, 1, CamouflageVariant(objects=objects, camera=camera)).places
            assert (places > -2).all() & (places < 50).all()

    @pytest.mark.parametrize("settings", [{"camouflaged": 0.0}, {"centred": 0.5}, {"occlusion": 1.0}, {"camera": 0.0}])
    def test_what_a_variant_does_not_speak_of_stays(self, settings):
        for k in range(10):
            plain, other = (hidden_scene(k, 4, 48, variant=CamouflageVariant(objects=2, **s)) for s in ({}, settings))
            assert all(np.array_equal(a, b) for a, b in zip(plain.shapes, other.shapes, strict=True))
            if "camouflaged" in settings:
                assert np.array_equal(plain.masks(), other.masks())
                assert np.array_equal(plain.flow(), other.flow())
                assert np.array_equal(plain.render()[plain.masks() == 0], other.render()[plain.masks() == 0])
                assert not np.array_equal(plain.render(), other.render())

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_as_many_clips_are_camouflaged_as_asked_for(self, share):
        clips = camouflage_clips(500, frames=1, seed=2, variant=CamouflageVariant(camouflaged=share))
        labels = [clip.label for clip in clips]
        assert labels.count("camouflaged") / 500 == pytest.approx(share, abs=0.06 * (0 < share < 1))
        assert labels.count("camouflaged") + labels.count("visible") == 500
