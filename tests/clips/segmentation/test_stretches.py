"""Which images clips of an annotated video show: every annotated image is scored once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.clips.clip import VOID
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.clips.segmentation.stretches import annotated_stretches
from sdmetrics.errors import Note
from tests.helpers.segmentation_files import ids, opened, shown, square, write_davis

SIZE = (8, 8)


@given(st.data())
def test_every_annotated_image_is_scored_once_whatever_the_clips(data: st.DataObject):
    images = data.draw(st.integers(1, 60))
    annotated = sorted(data.draw(st.sets(st.integers(0, images - 1), min_size=1)))
    frames, stride = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 7))
    stretches = annotated_stretches(images, annotated, ClipShape(frames, stride, SIZE), None)
    scored = Counter(stretch.images[place] for stretch in stretches for place in stretch.scored)
    assert scored == Counter(annotated)
    ends = Counter(stretch.images[place] for stretch in stretches for place in stretch.ends)
    assert ends == Counter({annotated[0], annotated[-1]})
    for stretch in stretches:
        assert len(stretch.images) == frames
        assert set(stretch.images) <= set(range(images))
        assert stretch.scored, "a clip that scores nothing is not made"
        if frames > 1:
            assert {step % images for step in np.diff(stretch.images)} == {stride % images}, "as far apart as asked"


@given(st.data())
def test_of_several_clips_per_video_none_shows_or_scores_what_another_does(data: st.DataObject):
    images = data.draw(st.integers(1, 40))
    annotated = sorted(data.draw(st.sets(st.integers(0, images - 1), min_size=1)))
    shape = ClipShape(data.draw(st.integers(1, 8)), data.draw(st.integers(1, 5)), SIZE)
    count = data.draw(st.integers(1, 25))
    stretches = annotated_stretches(images, annotated, shape, count)
    assert 1 <= len(stretches) == len({stretch.images for stretch in stretches}) <= count
    scored = Counter(stretch.images[place] for stretch in stretches for place in stretch.scored)
    assert set(scored.values()) <= {1}
    assert set(scored) == {index for stretch in stretches for index in stretch.images} & set(annotated)
    ends = {stretch.images[place] for stretch in stretches for place in stretch.ends}
    assert ends == scored.keys() & {annotated[0], annotated[-1]}


def test_a_video_without_annotated_images_has_no_clips():
    assert annotated_stretches(5, [], ClipShape(2, 1, SIZE), None) == []


def test_the_masks_of_images_that_are_shown_again_are_unknown(tmp_path: Path):
    write_davis(tmp_path, {"bear": 11})
    clips = opened(tmp_path, frames=4, clips_per_video=None)
    assert shown(clips) == [[0, 1, 2, 3], [4, 5, 6, 7], [7, 8, 9, 10]]
    assert (clips[2].masks[1:] == np.stack([square(number, 1) for number in (8, 9, 10)])).all()
    assert (clips[2].masks[0] == VOID).all(), "7 is scored in the clip before"
    assert [clip.mask_ends for clip in clips] == [(0,), (), (3,)]
    assert shown(opened(tmp_path, frames=2, stride=3, clips_per_video=None)) == [
        [0, 3], [1, 4], [2, 5], [5, 8], [6, 9], [7, 10]
    ]  # fmt: skip
    with pytest.warns(Note, match="1 of 1 videos are shorter than a clip of 6 frames with stride 2, so images are rep"):
        repeated = opened(tmp_path, frames=6, stride=2, clips_per_video=None)
    assert shown(repeated) == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 0]]
    assert [(mask == VOID).all() for mask in repeated[1].masks] == [False] * 5 + [True]


def test_fewer_images_than_clips_are_said_and_no_image_comes_twice(tmp_path: Path):
    write_davis(tmp_path, {"bear": 3, "camel": 6})
    with pytest.warns(Note, match=r": 1 of 2 videos are too short for 5 different clips and have fewer"):
        clips = opened(tmp_path, clips_per_video=5)
    assert ids(clips) == [f"bear#{k}" for k in range(3)] + [f"camel#{k}" for k in range(5)]
    assert shown(clips)[:3] == [[0], [1], [2]]
