"""The known-answer world: independent labels, frames that hide the motion, and the two models that ship."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import sdmetrics
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS, scene, world_batch, world_clips
from sdmetrics.demo import demo_model
from sdmetrics.errors import InputError
from sdmetrics.loading.open import open_model

DATA = Path(sdmetrics.__file__).parent / "data"
STAGES = ["stem", "stage1", "stage2", "stage3", "stage4"]


@pytest.fixture(scope="module")
def batch():
    return world_batch(1200, frames=4, size=24, seed=5)


@pytest.fixture(scope="module")
def scenes():
    return [scene(k, seed=1) for k in range(6400)]


def test_a_clip_is_the_same_whenever_it_is_drawn():
    one, other = world_clips(6), world_clips(3)
    assert np.array_equal(one[2].frames, one[2].frames)
    assert np.array_equal(one[2].frames, other[2].frames)
    assert (one[2].id, one[2].label, one[2].stamp) == (other[2].id, other[2].label, other[2].stamp)


def test_clips_and_batch_are_one_world():
    clips = world_clips(5, frames=3, size=16, seed=4)
    video, motion, appearance = world_batch(5, frames=3, size=16, seed=4)
    assert np.array_equal(np.stack([clip.frames for clip in clips]), video)
    assert [clip.label for clip in clips] == [
        f"{MOTIONS[m]}/{APPEARANCES[a]}" for m, a in zip(motion, appearance, strict=True)
    ]


def test_every_setting_changes_the_stamp_and_every_seed_the_frames():
    stamps = {world_clips(1, **settings)[0].stamp for settings in ({}, {"frames": 6}, {"size": 32}, {"seed": 1})}
    assert len(stamps) == 4
    frames = {
        hashlib.sha256(clip.frames.tobytes()).hexdigest() for seed in range(4) for clip in world_clips(8, seed=seed)
    }
    assert len(frames) == 32


@pytest.mark.parametrize("settings", [{"n": -1}, {"n": 1, "seed": -1}, {"n": 1, "frames": 1}, {"n": 1, "size": 4}])
def test_a_world_that_cannot_be_drawn_is_refused(settings):
    with pytest.raises(InputError, match="cannot be drawn; allowed"):
        world_clips(**settings)


def test_labels_are_uniform_and_independent(scenes):
    table = np.zeros((len(MOTIONS), len(APPEARANCES)))
    for s in scenes:
        table[s.motion, s.appearance] += 1
    expected = len(scenes) / table.size
    chi_square = ((table - expected) ** 2 / expected).sum()
    assert 30 < chi_square < 110  # 63 degrees of freedom: below 30 or above 110 about once in 5,000 seeds


def test_a_clip_has_the_same_poses_under_every_motion(scenes):
    poses = np.stack([s.poses(8) for s in scenes])
    motion = np.array([s.motion for s in scenes])
    everywhere = poses.reshape(-1, 4)
    levels = np.quantile(everywhere, np.linspace(0.05, 0.95, 19), axis=0)
    for label, name in enumerate(MOTIONS):
        share = (poses[motion == label].reshape(-1, 1, 4) < levels).mean(0)
        assert np.abs(share - np.linspace(0.05, 0.95, 19)[:, None]).max() < 0.06, name


@pytest.mark.parametrize("motion", range(0, len(MOTIONS), 2))
def test_opposite_motions_differ_in_the_direction_of_time_alone(scenes, motion):
    moving = motion // 2
    there = np.stack([s.poses(8)[:, moving] for s in scenes if s.motion == motion])
    back = np.stack([s.poses(8)[::-1, moving] for s in scenes if s.motion == motion + 1])
    assert (np.diff(there) > 0).all()
    assert (np.diff(back) > 0).all()
    steps = np.diff(there).mean(), np.diff(back).mean()
    assert steps[0] == pytest.approx(steps[1], rel=0.03)
    assert np.allclose(there.mean(0), back.mean(0), atol=0.2 * np.ptp(there.mean(0)))
    still = np.stack([np.delete(s.poses(8), moving, 1) for s in scenes if s.motion == motion])
    assert (np.ptp(still, axis=1) == 0).all()


@pytest.mark.parametrize("motion", range(len(MOTIONS)), ids=MOTIONS)
def test_the_drawing_follows_the_poses(scenes, motion):
    """The object's centroid, area and long axis, in the pixels of an object that fits in the frame."""
    for drawn in [s for s in scenes if s.motion == motion][:12]:
        fitting = replace(drawn, middle=np.array([0.5, 0.5, np.log(0.15), drawn.middle[3]]))
        inside = np.abs(fitting.render(8, 64).astype(float) - drawn.colours[0]).max(-1) > 10
        y, x = np.mgrid[:64, :64]
        area = inside.sum((1, 2))
        centre_x, centre_y = ((inside * place).sum((1, 2)) / area for place in (x, y))
        axes = [np.linalg.eigh(np.cov(x[frame], y[frame]))[1][:, 1] for frame in inside]
        turn = sum(np.arcsin(np.cross(a, b * np.sign(a @ b))) for a, b in pairwise(np.c_[axes, np.zeros(8)]))[2]
        change = [np.ptp(centre_x) / 64, np.ptp(centre_y) / 64, np.log(area[-1] / area[0]) / 2, turn]
        change[0] *= np.sign(centre_x[-1] - centre_x[0])
        change[1] *= np.sign(centre_y[-1] - centre_y[0])
        found = int(np.argmax(np.abs(change) / drawn.reach))
        assert 2 * found + (change[found] < 0) == motion, change
        assert abs(change[found]) == pytest.approx(drawn.reach[found] * 7 / 8, rel=0.15)


def spectra(frames):
    """Per frame, without the place: sorted grey values, and the mean spectrum at every distance from zero."""
    grey = frames.astype(float).mean(-1)
    grey = (grey - grey.mean((1, 2), keepdims=True)) / grey.std((1, 2), keepdims=True)
    power = np.log(np.abs(np.fft.fft2(grey)) ** 2 + 1)
    frequency = np.fft.fftfreq(grey.shape[1]) * grey.shape[1]
    ring = np.hypot(*np.meshgrid(frequency, frequency)).round().astype(int).ravel()
    radial = np.stack([np.bincount(ring, p.ravel()) / np.bincount(ring) for p in power])
    return np.concatenate([radial, np.sort(grey.reshape(len(grey), -1))[:, ::8]], 1)


def pixels(frames):
    return frames.astype(float).mean(-1)[:, ::2, ::2].reshape(len(frames), -1)


def held_out_accuracy(features, labels):
    """Top-1 of a ridge classifier on the second half, trained on the first."""
    features = np.c_[(features - features.mean(0)) / (features.std(0) + 1e-9), np.ones(len(features))]
    half = len(features) // 2
    train, goal = features[:half], np.eye(8)[labels[:half]]
    weights = np.linalg.solve(train.T @ train + 30 * np.eye(train.shape[1]), train.T @ goal)
    return float(((features[half:] @ weights).argmax(1) == labels[half:]).mean())


def test_one_frame_tells_the_texture_and_not_the_motion(batch):
    video, motion, appearance = batch
    when = np.random.default_rng(0).integers(video.shape[1], size=len(video))
    frames = video[np.arange(len(video)), when]
    features = np.concatenate([spectra(frames), pixels(frames), pixels(frames) ** 2 / 255], 1)
    assert held_out_accuracy(features, motion) < 0.19  # chance is 0.125, five standard errors 0.068
    assert held_out_accuracy(spectra(frames), appearance) > 0.5


def test_the_motion_tells_nothing_about_the_texture(scenes):
    poses = np.stack([np.diff(s.poses(4), axis=0).ravel() for s in scenes])
    appearance = np.array([s.appearance for s in scenes])
    motion = np.array([s.motion for s in scenes])
    assert held_out_accuracy(poses, appearance) < 0.15
    assert held_out_accuracy(poses, motion) > 0.9


@pytest.mark.parametrize("task", ["motion", "appearance"])
def test_the_model_that_ships_knows_its_label(task):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    path = DATA / f"world-{task}.onnx"
    assert path.stat().st_size < 1_000_000
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    metadata = json.loads({p.key: p.value for p in model.metadata_props}["sdmetrics"])
    assert [layer["name"] for layer in metadata["layers"]] == STAGES
    video, motion, appearance = world_batch(64, seed=77)
    (wanted,) = (i for i in metadata["inputs"])
    x = (video / 255 - np.array(wanted["mean"])) / np.array(wanted["std"])
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    logits = session.run(metadata["outputs"], {wanted["name"]: x.transpose(0, 4, 1, 2, 3).astype(np.float32)})[0]
    labels = motion if task == "motion" else appearance
    assert (logits.argmax(1) == labels).mean() >= 0.95


@pytest.mark.parametrize("task", ["motion", "appearance"])
def test_the_measure_finds_what_a_model_was_trained_for(task, tmp_path):
    pytest.importorskip("onnxruntime")
    with demo_model(task) as model:
        runner = open_model(model)
    results = measure_biases(runner, world_clips(96, seed=3), seed=3, out=tmp_path / "run", batch=48, progress=False)
    (last,) = (layer for layer in results.layers if layer["name"] == "stage4")
    dynamic = last["counts"]["dynamic"] / last["units"]
    static = last["counts"]["static"] / last["units"]
    assert (dynamic >= 0.6 and static <= 0.05) if task == "motion" else (dynamic <= 0.05 and static >= 0.6)
