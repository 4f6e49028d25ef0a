"""Noise that moves as a video does: against its naive twin, and white in every single frame."""

from __future__ import annotations

import numpy as np
import pytest

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.colour import flow_to_rgb
from sdmetrics.clips.flow.estimate import estimate_flow
from sdmetrics.clips.generated.camouflage import camouflage_clips
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.clips.manipulations.manipulate import manipulated
from sdmetrics.clips.manipulations.noise import carried_noise, motion_of
from sdmetrics.probes.inputs import ModelInput
from tests import naive

VIDEO = [ModelInput("video", size=(40, 40))]


def noise_of(clip: Clip, seed: int = 0) -> np.ndarray:
    return manipulated("appearance-free", clip, seed, VIDEO)[1]["rgb"]


def test_grains_go_where_the_naive_twin_carries_them():
    rng = np.random.default_rng(3)
    for frames in (rng.integers(0, 256, (5, 9, 12, 3), np.uint8), rng.integers(0, 2, (5, 9, 12, 3), np.uint8)):
        # Eighths of a pixel add up exactly in float32 and in float64.
        flow = (rng.integers(-20, 21, (4, 9, 12, 2)) / 8).astype(np.float32)
        fast = carried_noise(frames, flow, np.random.default_rng(7))
        np.testing.assert_array_equal(fast, naive.carried_noise(frames, flow, np.random.default_rng(7)))


def test_parts_of_a_pixel_add_up():
    frames = np.zeros((11, 6, 12, 3), np.uint8)
    flow = np.broadcast_to(np.array([0.25, -0.125], np.float32), (10, 6, 12, 2))
    noise = carried_noise(frames, flow, np.random.default_rng(0))
    np.testing.assert_array_equal(noise[1], noise[0])
    np.testing.assert_array_equal(noise[8, :-1, 2:], noise[0, 1:, :-2])
    assert not np.array_equal(noise[8, -1], noise[0, -1])


def test_what_is_in_front_stays_in_front():
    # A bright square moves right over a dark ground that stands still.
    frames = np.full((5, 12, 24, 3), 40, np.uint8)
    flow = np.zeros((4, 12, 24, 2), np.float32)
    for t in range(5):
        frames[t, 3:9, 2 + 3 * t : 8 + 3 * t] = 200
        flow[t : t + 1, 3:9, 2 + 3 * t : 8 + 3 * t, 0] = 3
    noise = carried_noise(frames, flow, np.random.default_rng(0))
    np.testing.assert_array_equal(noise[4, 3:9, 14:20], noise[0, 3:9, 2:8])
    np.testing.assert_array_equal(noise[4, 9:], noise[0, 9:])
    assert (noise[1, 3:9, 2:5] == noise[0, 3:9, 2:5]).mean() < 0.1  # uncovered: new grains


def test_every_frame_is_white_noise_and_no_grain_is_there_twice():
    clips = world_clips(96, seed=5)
    noise = np.stack([noise_of(clip) for clip in clips])
    last = noise[:, -1]
    counts = np.bincount(last.ravel(), minlength=256)
    chi2 = ((counts - last.size / 256) ** 2 / (last.size / 256)).sum()
    assert abs(chi2 - 255) < 5 * np.sqrt(2 * 255)
    centred = last.astype(float) - 127.5
    for across, down in ((0, 1), (1, 0), (1, 1), (2, 0), (0, 2)):
        beside = centred[:, down:, across:] * centred[:, : 40 - down, : 40 - across]
        assert abs(beside.mean() / centred.var()) < 5 / np.sqrt(beside.size), (across, down)
    assert abs((centred[..., 0] * centred[..., 1]).mean() / centred.var()) < 5 / np.sqrt(last[..., 0].size)
    # Two grains have the same colour by chance only: 1600 of 2 ** 24 colours.
    colours = last.reshape(len(last), -1, 3) @ np.array([1, 256, 65536])
    doubled = sum(len(of_frame) - len(np.unique(of_frame)) for of_frame in colours)
    assert doubled < 3 * len(last) * 1600**2 / 2 / 2**24


def test_a_frame_does_not_show_where_the_objects_are():
    clips = camouflage_clips(60, size=48, seed=2)
    video = [ModelInput("video", size=(48, 48))]
    inside, outside = [], []
    for clip in clips:
        noise = manipulated("appearance-free", clip, 0, video)[1]["rgb"].astype(float)
        objects = clip.masks[-1] > 0
        inside.append(noise[-1][objects].ravel())
        outside.append(noise[-1][~objects].ravel())
    inside, outside = np.concatenate(inside), np.concatenate(outside)
    error = np.sqrt(inside.var() / inside.size + outside.var() / outside.size)
    assert abs(inside.mean() - outside.mean()) < 5 * error
    assert abs(inside.std() - outside.std()) < 5 * error


def test_the_noise_moves_as_the_video_does():
    pattern = np.kron(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
    frames = np.stack([np.roll(pattern, 2 * t, axis=1) for t in range(8)])
    noise = manipulated("appearance-free", Clip("a", lambda: frames), 0, [ModelInput("video", size=(64, 64))])[1]["rgb"]
    flow = estimate_flow(noise[:-1], noise[1:])[:, 20:44, 24:56]
    assert np.median(flow[..., 0]) == pytest.approx(2, abs=0.2)
    assert np.median(flow[..., 1]) == pytest.approx(0, abs=0.2)


def test_a_still_video_gives_noise_that_stands_still():
    frame = np.random.default_rng(1).integers(0, 256, (1, 40, 40, 3), np.uint8)
    noise = noise_of(Clip("a", lambda: np.repeat(frame, 8, axis=0)))
    np.testing.assert_array_equal(noise, np.repeat(noise[:1], 8, axis=0))


def test_noise_depends_on_seed_and_clip_alone():
    one, other = world_clips(2)
    np.testing.assert_array_equal(noise_of(one), noise_of(one))
    assert not np.array_equal(noise_of(one)[0], noise_of(one, seed=1)[0])
    assert not np.array_equal(noise_of(one)[0], noise_of(other)[0])


def test_flow_of_its_own_is_taken_where_it_matches_the_frames():
    (clip,) = camouflage_clips(1)
    frames = clip.frames
    np.testing.assert_array_equal(motion_of(clip, frames), clip.flow[:-1])
    # Every fourth frame: the flow to the next frame of the video no longer leads to the next frame of the clip.
    few = camouflage_clips(1, frames=16)[0]
    apart, flow = few.frames[::4], few.flow[::4]
    sparse = Clip("a", lambda: apart, load_flow=lambda: flow)
    np.testing.assert_array_equal(motion_of(sparse, apart), estimate_flow(apart[:-1], apart[1:]))
    coded = Clip("a", lambda: frames, load_flow=lambda: flow_to_rgb(clip.flow))
    np.testing.assert_array_equal(motion_of(coded, frames), estimate_flow(frames[:-1], frames[1:]))
