"""Real frames and palette masks, in the published layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sdmetrics.errors import InputError, Note
from tests.helpers.requests import open_clips


@pytest.fixture(scope="module")
def real(shared: Path) -> Path:
    folder = shared / "real"
    if not (folder / "davis").is_dir() or not (folder / "something").is_dir():
        pytest.skip("no folder real/ with davis and something in shared/: real frames are not part of the checkout")
    return folder


def test_davis(real: Path):
    clips = open_clips(real / "davis", frames=1, stride=1, size=(120, 213), clips_per_video=None)
    assert [(clip.id, clip.video) for clip in clips] == [("bike", "bike"), *((f"judo#{n}", "judo") for n in range(4))]
    assert clips[0].frames.shape == (1, 120, 213, 3)
    assert Counter(clips[0].masks.ravel().tolist()) == {0: 395_483, 1: 6_466, 2: 7_971}
    numbers = [[0, 1], None, [0, 3], [0, 4]]
    for clip, objects in zip(clips[1:], numbers, strict=True):
        if objects is not None:
            assert sorted(Counter(clip.masks.ravel().tolist())) == objects
    with pytest.raises(InputError, match=r"00005\.jpg is 480 × 854 pixels and its mask 480 × 853"):
        clips[2].masks  # noqa: B018


def test_frames_of_something_something(real: Path):
    clips = open_clips(real / "something", frames=8, stride=4, size=(112, 112))
    assert [clip.id for clip in clips] == ["13201", "151201", "2", "22983", "3201", "4", "44862", "57082"]
    assert all(clip.frames.shape == (8, 112, 112, 3) for clip in clips)
    assert not any(clip.looped for clip in clips)
    with pytest.warns(Note, match="a video of 49 frames is shorter than the 64 frames that a clip spans"):
        looped = open_clips(real / "something", frames=8, stride=8, size=(112, 112))
    for clip in looped:
        clip.load()
    assert [clip.looped for clip in looped] == [clip.id != "22983" for clip in looped]
