"""Frames at a rate and spread over the video: against plain twins, and against the loaders that they are taken from."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.clips.fit import Fit
from sdmetrics.clips.open import list_clips
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape, Neighbours, Window, spread_windows
from sdmetrics.errors import InputError, Note
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.requests import open_clips
from tests.helpers.videos import numbered, numbers_of, write_video


def silent(window: Window) -> Window:
    """The same window, which says nothing."""
    return type(window)(**{**vars(window), "said": None})


def shown_at(stamps: list[float], time: float) -> int:
    """The last frame whose stamp is not after a time, one by one; a millisecond late is not late."""
    last = 0
    for number, stamp in enumerate(stamps):
        if stamp - stamps[0] <= time + 1e-3:
            last = number
    return last


rates = st.sampled_from([7.5, 10, 12, 15, 24, 25, 30, 50, 60])


@given(
    own=rates, fps=rates, frames=st.integers(1, 12), stride=st.integers(1, 5), length=st.integers(1, 200),
    part=st.integers(0, 2),
)  # fmt: skip
def test_frames_at_a_rate(own: float, fps: float, frames: int, stride: int, length: int, part: int):
    stamps = [3 + number / own for number in range(length)]
    ticks = max(1, math.floor(Fraction(length) * Fraction(fps) / Fraction(own)))
    span = frames * stride
    begin = max(ticks - span, 0) * part // 2
    places = [(begin + Fraction(i * (span - 1), max(frames - 1, 1))) % ticks for i in range(frames)]
    window = silent(Window(frames, stride, part, 3, fps=fps))
    expected = [shown_at(stamps, float(place) / fps) for place in places]
    assert window.indices(np.array(stamps)).tolist() == expected
    assert window.is_looped() == (frames > 1 and ticks < span)


@given(own=rates, fps=rates, length=st.integers(40, 300))
def test_the_rate_is_torchvisions(own: float, fps: float, length: int):
    """`VideoClips` keeps frame `floor(i * own / fps)` of `floor(length * fps / own)` frames."""
    resampled = [math.floor(Fraction(i) * Fraction(own) / Fraction(fps)) for i in range(int(length * fps / own))]
    windows = [silent(Window(4, 1, part, 9, fps=fps)) for part in range(9)]
    for window in windows:
        read = window.indices(np.arange(length) / own).tolist()
        runs = [resampled[begin : begin + 4] for begin in range(len(resampled) - 3)]
        assert read in runs or len(resampled) < 4
    assert len(resampled) < 4 or windows[0].indices(np.arange(length) / own).tolist() == resampled[:4]
    assert len(resampled) < 4 or windows[8].indices(np.arange(length) / own).tolist() == resampled[-4:]


@given(own=rates, frames=st.integers(2, 32), stride=st.integers(1, 8), length=st.integers(1, 2000))
def test_the_rate_is_slowfasts(own: float, frames: int, stride: int, length: int):
    """It reads `frames` places from the middle `frames * stride * own / 30` frames, rounded down."""
    span = frames * stride * own / 30
    if length < span + 1:
        return
    begin = (length - span) / 2
    theirs = np.floor(np.linspace(begin, begin + span - 1, frames))
    read = silent(Window(frames, stride, fps=30)).indices(np.arange(length) / own)
    assert np.abs(read - theirs).max() <= 1 + own / 30 + abs(own / 30 - 1)


@pytest.mark.parametrize("own", [12, 24, 25, 29.97, 30, 50, 59.94])
def test_times_in_milliseconds_are_those_of_the_frames(own: float):
    """Matroska rounds time stamps; a video at the rate that is asked for is read frame by frame."""
    stamps = np.round(np.arange(90) / own, 3)
    assert silent(Window(30, 1, fps=own)).indices(stamps).tolist() == list(range(30, 60))


def test_a_rate_within_a_segment_and_over_gaps():
    stamps = np.array([0, 0.1, 0.2, 0.9, 1.0, 1.1, 1.2])
    # A frame is shown until the next one: nothing else is there between 0.2 and 0.9 s.
    assert silent(Window(6, 2, fps=10)).indices(stamps).tolist() == [1, 2, 2, 2, 3, 6]
    assert silent(Window(3, 1, start=0.15, end=0.95, fps=5)).indices(stamps).tolist() == [2, 2, 2]
    assert silent(Window(2, 1, start=0.95, fps=10)).indices(stamps).tolist() == [5, 6]
    assert silent(Window(3, 1, fps=5)).indices(np.array([7.0])).tolist() == [0, 0, 0]


def test_frames_of_a_video_at_a_rate(tmp_path):
    """At 25 frames a second, read by the times in the file, in several containers."""
    for name in ("a.mp4", "a.mkv", "a.avi"):
        path = write_video(tmp_path / name, 60)
        (clip,) = open_clips(path, frames=4, stride=2, size=(32, 64), shape={"fps": 10})
        expected = [shown_at([i / 25 for i in range(60)], (8 + 7 * i / 3) / 10) for i in range(4)]
        assert numbers_of(clip.frames) == expected == [20, 25, 31, 37]
        assert not clip.looped
    uneven = [0, 1, 2, 12, 13, 14, 30, 31, 32, 40]
    path = write_video(tmp_path / "uneven.mkv", 10, ticks=uneven)
    (clip,) = open_clips(path, frames=8, stride=1, size=(32, 64), shape={"fps": 5})
    assert numbers_of(clip.frames) == [shown_at([tick / 25 for tick in uneven], i / 5) for i in range(8)]


@given(data=st.data(), frames=st.integers(1, 20), parts=st.integers(1, 5), length=st.integers(1, 400))
def test_frames_spread_over_the_video(data: st.DataObject, frames: int, parts: int, length: int):
    """Frame `i` of clip `k` lies at `(2 k + 1) / (2 parts)` of the `i`-th of `frames` equal parts."""
    part = data.draw(st.integers(0, parts - 1))
    window = silent(Window(frames, 7, part, parts, sampling="spread"))
    places = [(i + Fraction(2 * part + 1, 2 * parts)) * Fraction(length, frames) for i in range(frames)]
    read = window.indices(np.arange(length) / 25).tolist()
    assert read == [math.floor(place) for place in places]
    assert window.is_looped() == (frames > 1 and length < frames)
    if length >= frames:
        assert len(set(read)) == frames


@given(frames=st.integers(1, 64), length=st.integers(1, 1000))
def test_spread_frames_are_tsns_and_nearly_slowfasts(frames: int, length: int):
    read = silent(Window(frames, 1, sampling="spread")).indices(np.arange(length) / 12).tolist()
    tick = Fraction(length, frames)
    assert read == [int(tick / 2 + tick * i) for i in range(frames)], "TSN, and mmaction2's test mode"
    ends = np.round((length - 1) / frames * np.arange(frames + 1)).astype(int)
    assert np.abs(np.array(read) - (ends[:-1] + ends[1:]) // 2).max() <= 1, "SlowFast on Something-Something"


def test_several_spread_clips_of_a_video(tmp_path):
    path = write_video(tmp_path / "a.mp4", 24)
    clips = open_clips(path, frames=4, stride=1, size=(32, 64), shape={"sampling": "spread"}, clips_per_video=3)
    assert [numbers_of(clip.frames) for clip in clips] == [[1, 7, 13, 19], [3, 9, 15, 21], [5, 11, 17, 23]]
    window = Window(2, 1, sampling="spread", start=0.4, end=0.8)
    assert window.indices(np.arange(24) / 25).tolist() == [12, 17]
    assert silent(Neighbours(2, 1, sampling="spread")).indices(np.arange(4)).tolist() == [1, 2, 2, 3]


def test_repeats_are_said_once():
    spread = spread_windows(ClipShape(8, 4, (8, 8), sampling="spread"), 2)
    with pytest.warns(
        Note, match="5 frames is shorter than the 8 frames that a clip spans, so its frames are rep.*ed;"
    ):
        spread[0].indices(np.arange(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spread[1].indices(np.arange(5))
    with pytest.warns(Note, match="15 frames is shorter than its 2 clips of 8 frames, so they overlap"):
        spread[0].indices(np.arange(15))
    (at_a_rate,) = spread_windows(ClipShape(4, 4, (8, 8), fps=10), 1)
    with pytest.warns(Note, match="a video of 12 frames at 10 frames per second is shorter than the 16 frames"):
        at_a_rate.indices(np.arange(30) / 25)


def test_images_have_no_times(tmp_path):
    """A rate is not applied to folders of frames, which is said once; the stride counts images."""
    from PIL import Image

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(20):
            Image.fromarray(numbered(number, 64 + 8 * (folder == "b"))).save(tmp_path / folder / f"{number:02}.png")
    with pytest.warns(Note) as said:
        clips = open_clips(tmp_path, frames=3, stride=4, size=(32, 64), shape={"fps": 30})
    assert len([note for note in said if "rate of 30 frames per second is not applied" in str(note.message)]) == 1
    assert [numbers_of(clip.frames) for clip in clips] == [[4, 9, 15]] * 2
    (clip, _) = open_clips(tmp_path, frames=4, stride=4, size=(32, 64), shape={"sampling": "spread"})
    assert numbers_of(clip.frames) == [2, 7, 12, 17]


def test_what_a_model_reads_can_be_replaced():
    model = [ModelInput("slow", frames=4, stride=8, resize=256, fps=30), ModelInput("fast", resize=256, fps=30)]
    read = ClipShape.read_by(model)
    assert (read.frames, read.stride, read.fps, read.fit) == (8, 8, 30, Fit((224, 224), 256))
    assert ClipShape.read_by(model, 2, fps=15) == ClipShape(8, 2, (224, 224), 256, "window", 15)
    assert ClipShape.read_by(model, sampling="spread") == ClipShape(8, 8, (224, 224), 256, "spread", None)
    spread = [ModelInput("video", sampling="spread")]
    assert ClipShape.read_by(spread, sampling="window", fps=12).fps == 12
    whole, decimal = (spread_windows(ClipShape.read_by(model, fps=fps), 1) for fps in (15, 15.0))
    assert repr(whole) == repr(decimal), "clips are identified by the words of their windows"
    with pytest.raises(InputError, match="fps is 12, but the model reads frames from the whole video"):
        ClipShape.read_by(spread, fps=12)
    with pytest.raises(InputError, match="the clips have fps 12 and sampling 'spread'"):
        ClipShape.read_by(model, sampling="spread", fps=12)
    with pytest.raises(InputError, match=r"'slow' and 'fast' have fps 30\.0 and None"):
        ClipShape.read_by([model[0], ModelInput("fast", resize=256)])


@pytest.mark.parametrize(
    ("request_", "shape", "reason"),
    [
        ({"sampling": "all"}, {}, "the request has sampling 'all'; allowed: window, spread"),
        ({"sampling": ""}, {}, "sampling ''; allowed"),
        ({"fps": 0}, {}, "the request has fps 0; expected frames per second"),
        ({"fps": "30"}, {}, "fps '30'; expected frames per second"),
        ({"fps": 30, "sampling": "spread"}, {}, "leave fps out"),
        ({"stride": 2}, {"sampling": "spread"}, "stride is 2, but frames are read from the whole video whatever the"),
        ({"fps": 30}, {"frames": 1}, "fps is 30, but single frames are read, which have no distance; leave fps out"),
    ],
)
def test_wrong_values(request_, shape, reason, tmp_path):
    path = write_video(tmp_path / "a.mp4", 4)
    with pytest.raises(InputError) as caught:
        list_clips(ClipRequest(path, **request_), ClipShape(**{"frames": 4, "stride": 1, "size": (8, 8), **shape}))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_generated_clips_span_themselves():
    shape = ClipShape(4, 1, (40, 40))
    for name, value in (("stride", 2), ("fps", 30), ("sampling", "spread")):
        with pytest.raises(InputError, match=f"{name} is {value}, but world:2 is generated.*leave {name} out"):
            list_clips(ClipRequest("world:2", **{name: value}), shape)
    read = list_clips(ClipRequest("world:2"), replace(shape, resize=64, fps=30))
    assert not read[0].looped
    np.testing.assert_array_equal(list_clips(ClipRequest("world:2"), shape)[0].frames, read[0].frames)


def test_a_video_of_fewer_frames_per_second_than_are_read_is_pointed_out():
    stamps = np.arange(40) / 10
    window = Window(8, 1, fps=15)
    with pytest.warns(
        Note, match=r"a video of 10 frames per second is read at 15, so some of its frames are read twice"
    ):
        assert (np.diff(window.indices(stamps)) == 0).any()
    window.indices(stamps)  # once for all videos
    Window(8, 2, fps=15).indices(stamps)
    Window(8, 1, fps=30).indices(np.arange(60) / 29.97)
