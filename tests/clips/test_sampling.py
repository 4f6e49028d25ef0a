"""Which frames of a video make a clip."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.clips.sampling import ClipShape, Window, spread_windows
from sdmetrics.errors import InputError, Note


def seconds(length: int) -> np.ndarray:
    return np.arange(length) / 25


@given(frames=st.integers(1, 64), stride=st.integers(1, 16), length=st.integers(1, 3000))
def test_indices_are_the_papers(frames: int, stride: int, length: int):
    """A centred window, cycled when short, then evenly spread: in exact fractions."""
    window = frames * stride
    start = max(length - window, 0) // 2
    step = (window - 1) / max(frames - 1, 1)
    expected = [(start + int(i * step + 1e-9)) % length for i in range(frames)]
    assert Window(frames, stride).indices(seconds(length)).tolist() == expected


def test_a_window_of_its_videos_length_reads_first_and_last_frame():
    assert Window(8, 8).indices(seconds(64)).tolist() == [0, 9, 18, 27, 36, 45, 54, 63]


def test_short_video_is_cycled():
    assert Window(4, 4).indices(seconds(6)).tolist() == [0, 5, 4, 3]


@given(parts=st.integers(2, 10), length=st.integers(1, 500))
def test_several_windows_are_spread_from_beginning_to_end(parts: int, length: int):
    starts = [int(Window(4, 4, part, parts).indices(seconds(length))[0]) for part in range(parts)]
    room = max(length - 16, 0)
    assert starts[0] == 0
    assert starts[-1] == room
    assert np.ptp(np.diff(starts)) <= 1


@given(start=st.floats(0, 3), duration=st.floats(0.1, 3), parts=st.integers(1, 3))
def test_a_segment_is_never_left(start: float, duration: float, parts: int):
    shown = seconds(200)
    for part in range(parts):
        read = Window(4, 8, part, parts, start, start + duration).indices(shown)
        assert (shown[read] >= start).all()
        assert (shown[read] < start + duration).all()


def test_seconds_count_from_the_first_frame():
    assert Window(1, 1, start=1.0, end=1.04).indices(seconds(50) + 7).tolist() == [25]


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (Window(4, 4, start=9.0, end=12.0), r"from 9 s to 12 s: its 50 frames are shown from 0 to 1\.96 s"),
        (Window(4, 4, start=2.0), "from 2 s to the end"),
        (Window(4, 4, start=0.05, end=0.07), "no frame is"),
    ],
)
def test_segment_without_frames(window: Window, message: str):
    with pytest.raises(InputError, match=message):
        window.indices(seconds(50))


@pytest.mark.parametrize(
    ("parts", "length", "words"),
    [
        (1, 15, "a video of 15 frames is shorter than the 16 frames that a clip spans"),
        (1, 15, "so its frames are repeated in a cycle; other short videos"),
        (3, 15, "so its frames are repeated in a cycle, and its 3 clips show the same frames; other short videos"),
        (3, 47, "a video of 47 frames is shorter than its 3 clips of 16 frames"),
    ],
)
def test_repeated_frames_are_said_once_for_all_videos(parts: int, length: int, words: str):
    windows = spread_windows(ClipShape(4, 4, (8, 8)), parts)
    with pytest.warns(Note, match=words) as said:
        _ = [each.indices(seconds(length)) for window in windows for each in (window, replace(window, start=0.0))]
    assert len(said) == 1


@pytest.mark.parametrize(("frames", "parts", "length"), [(4, 1, 16), (4, 3, 48), (1, 1, 2), (1, 2, 8)])
def test_nothing_is_said_where_nothing_is_repeated(frames: int, parts: int, length: int):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for window in spread_windows(ClipShape(frames, 4, (8, 8)), parts):
            window.indices(seconds(length))
            replace(window, said=None).indices(seconds(2))
