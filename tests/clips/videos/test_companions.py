"""Which folders of images go with the frames of a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdmetrics.clips.videos.companions import companions


def paths(*names: str) -> set[Path]:
    return {Path(name) for name in names}


@pytest.mark.parametrize(
    ("folders", "frames"),
    [
        (("v/i", "v/x", "v/y"), "v/i"),
        (("v", "v/x", "v/y"), "v"),
        ((".", "flow_x", "flow_y"), "."),
        (("rgb/a", "flow/x/a", "flow/y/a"), "rgb/a"),
        (("style_1/a/img", "style_1/a/x", "style_1/a/y"), "style_1/a/img"),
        (("i/a", "x/a", "y/a"), "i/a"),
        (("uv/u/a", "uv/v/a", "rgb/a", "other/a"), "rgb/a"),
        (("flow/u/a", "flow/v/a", "any/a"), "any/a"),
    ],
)
def test_frames_of_a_flow(folders: tuple[str, ...], frames: str):
    found = companions(paths(*folders))
    assert list(found.flow) == [Path(frames)]
    assert not found.alone
    assert not found.unclear


@pytest.mark.parametrize(
    "folders",
    [
        ("x", "y"),
        ("x", "y", "walk"),
        ("u/1", "v/1", "a/1", "b/1"),
        ("v/x", "v/y", "v/img", "v/rgb"),
        ("u/1", "v/1", "w/1"),
        ("i/1", "u/1", "v/1", "w/1"),
        ("i", "u", "v", "w"),
        ("u/flower", "v/flower", "w/flower"),
    ],
)
def test_what_may_be_flow_and_has_no_frames_stays_what_it_is(folders: tuple[str, ...]):
    found = companions(paths(*folders))
    assert not found.flow
    assert len(found.unclear) == 1


def test_one_part_of_flow_alone_is_a_video():
    found = companions(paths("v/img", "v/x", "w/flow_y"))
    assert not found.flow
    assert not found.unclear
    assert not found.alone


def test_masks_need_frames_beside_them():
    folders = paths("a", "a/masks", "b/frames", "b/mask", "c/i", "c/mask")
    assert set(companions(folders).masks) == paths("a/masks", "b/mask", "c/mask")
    assert not companions(paths("mask/1", "no_mask/1")).masks
