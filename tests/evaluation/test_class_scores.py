"""Which output scores the classes: two axes, axes of size 1, and scores of every frame."""

from __future__ import annotations

import numpy as np
import pytest

from sdmetrics.errors import InputError, Note
from sdmetrics.evaluation.class_scores import ScoreReader

FIVE = {name: index for index, name in enumerate("abcde")}


def class_scores(outputs, name=None):
    return ScoreReader(name)(outputs, clips=2)


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_the_output_with_class_scores_is_found_or_named():
    logits, other, image = np.zeros((2, 5)), np.zeros((2, 9)), np.zeros((2, 3, 4, 4))
    assert np.shares_memory(class_scores({"image": image, "logits": logits}), logits)
    assert np.shares_memory(class_scores({"other": other, "logits": logits}, "logits"), logits)
    with pytest.raises(InputError, match=r"several outputs .* other \(2, 9\), logits \(2, 5\); name one"):
        class_scores({"other": other, "logits": logits})
    with pytest.raises(InputError, match=r"no output has the shape of class scores .*image \(2, 3, 4, 4\)"):
        class_scores({"image": image})
    with pytest.raises(InputError, match=r"no output 'logit'; allowed: logits \(2, 5\)"):
        class_scores({"logits": logits}, "logit")
    with pytest.raises(InputError, match=r"'image' does not have the shape of class scores"):
        class_scores({"image": image, "logits": logits}, "image")


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 1), (2, 5, 1, 1), (2, 5, 1, 1, 1)])
def test_axes_of_size_one_after_the_classes_are_dropped(shape):
    logits = random(*shape)
    read = ScoreReader(classes=FIVE, frames={5, 8})
    assert np.array_equal(read({"image": random(2, 3, 4, 4), "logits": logits}, clips=2), logits.reshape(2, 5))
    assert read.read == {"output": "logits", "classes": 5, "frames": 1}


@pytest.mark.parametrize(
    ("shape", "classes", "frames", "axis"),
    [
        ((2, 8, 5), FIVE, {8}, 1),
        ((2, 5, 8), FIVE, {8}, 2),
        ((2, 4, 5), FIVE, {8}, 1),
        ((2, 8, 5), None, {32, 8}, 1),
        ((2, 5, 8), None, {8}, 2),
    ],
)
def test_scores_of_frames_are_averaged_and_it_is_said(shape, classes, frames, axis):
    logits, read = random(*shape), ScoreReader(None, classes, frames)
    with pytest.warns(Note, match=rf"'logits' scores every frame, .*; the mean over {shape[axis]} frames is taken"):
        found = read({"logits": logits}, clips=2)
    assert np.allclose(found, logits.mean(axis=axis))
    assert read.read == {"output": "logits", "classes": 5, "frames": shape[axis]}
    read({"logits": logits}, clips=2)  # said once


@pytest.mark.parametrize(
    ("shape", "classes", "frames"),
    [((2, 5, 5), FIVE, {5}), ((2, 5, 5), FIVE, {8}), ((2, 4, 6), None, {8}), ((2, 8, 8), None, {8})],
)
def test_axes_that_cannot_be_told_apart(shape, classes, frames):
    with pytest.raises(InputError, match=r"'logits' has the shape \(2, ., .\), in which axis 1 or 2 may be"):
        ScoreReader(None, classes, frames)({"logits": random(*shape)}, clips=2)


def test_a_row_per_frame_is_averaged_over_the_frames_of_a_clip():
    logits, read = random(16, 5), ScoreReader(None, FIVE, {8})
    with pytest.warns(Note, match="the mean over 8 frames"):
        found = read({"logits": logits}, clips=2)
    assert np.allclose(found, [logits[:8].mean(axis=0), logits[8:].mean(axis=0)])
    for rows in (1, 3, 4, 17):
        with pytest.raises(InputError, match=rf"the shape \({rows}, 5\) for 2 clip\(s\); expected a row per clip"):
            ScoreReader(None, FIVE, {8})({"logits": random(rows, 5)}, clips=2)


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 1, 1, 1), (2, 8, 6), (2, 4)])
def test_there_are_as_many_scores_as_classes(shape):
    number = {6: 6, 1: 6, 4: 4}[shape[-1]]
    with pytest.raises(InputError, match=f"the labels name 5 classes, and output 'logits' has {number} scores"):
        ScoreReader(None, FIVE, {8})({"logits": random(*shape)}, clips=2)
