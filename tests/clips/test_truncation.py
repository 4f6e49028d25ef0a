"""Whole videos whose headers count other frames, and videos whose end is missing."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from sdmetrics.clips.decode import read_video
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.truncation import segment_end
from sdmetrics.errors import InputError
from tests.helpers.videos import numbers_of, truncated, write_video

SIZE = (32, 64)
X264_OPEN = {"g": "12", "x264-params": "open-gop=1:repeat-headers=1:bframes=3:scenecut=0"}
X264_CLOSED = {"g": "12", "x264-params": "repeat-headers=1:bframes=3:scenecut=0"}
X265_OPEN = {"x265-params": "keyint=12:min-keyint=12:open-gop=1:repeat-headers=1:bframes=3:scenecut=0:log-level=none"}
MPEG2 = {"g": "12", "bf": "2"}


def decoded(path: Path) -> list[int]:
    """Return the numbers of the frames that FFmpeg decodes."""
    with av.open(str(path)) as file:
        return numbers_of(np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]))


def without_beginning(source: Path, target: Path, first: int) -> Path:
    """Copy a video's packets from the given one on, as a cut without encoding does."""
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0], opaque=True)
        start = None
        for place, packet in enumerate(packet for packet in read.demux(video=0) if packet.size):
            if place >= first:
                start = packet.dts if start is None else start
                packet.stream = stream
                packet.pts, packet.dts = packet.pts - start, packet.dts - start
                write.mux(packet)
    return target


def key_packets(path: Path) -> list[int]:
    """Return the places of the key frames among the packets."""
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    return [place for place, packet in enumerate(packets) if packet.is_keyframe]


@pytest.mark.parametrize("past_a_key", [0, 5])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    ("codec", "options"),
    [("libx264", X264_OPEN), ("libx264", X264_CLOSED), ("libx265", X265_OPEN), ("mpeg2video", MPEG2)],
    ids=["x264 open", "x264 closed", "x265 open", "mpeg2"],
)
def test_cuts_that_begin_between_key_frames(
    codec: str, options: dict[str, str], suffix: str, past_a_key: int, tmp_path: Path
):
    """Frames that refer to what was cut off are not there, as for FFmpeg; the others are, wherever one begins."""
    source = write_video(tmp_path / "source.ts", codec=codec, options=options)
    path = without_beginning(source, tmp_path / f"cut.{suffix}", key_packets(source)[1] + past_a_key)
    shown = decoded(path)
    assert shown == [*range(shown[0], 60)]
    for window in (Window(8, 1, 0, 2), Window(8, 1, 1, 2), Window(5, 3)):
        chosen = window.indices(np.arange(len(shown)) / 25)
        assert numbers_of(read_video(path, window, Fit(SIZE))) == [shown[place] for place in chosen]


def trimmed(path: Path, start: float, seconds: float) -> Path:
    """Write a video whose edit list shows a part, as trimming without encoding leaves it."""
    write_video(path, options={"x264-params": "keyint=20:bframes=2"})
    with av.open(str(path)) as file:
        scale = file.streams.video[0].time_base.denominator
    content = bytearray(path.read_bytes())
    place = content.find(b"elst") + 12
    whole, begin = struct.unpack(">Ii", content[place : place + 8])
    edit = round(whole * seconds / 2.4), begin + round(start * scale)  # the whole video lasts 2.4 seconds
    content[place : place + 8] = struct.pack(">Ii", *edit)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("start", "seconds"), [(1.0, 1.2), (0.4, 2.0), (0.0, 0.8), (1.6, 0.4)])
def test_a_part_that_an_edit_list_shows(start: float, seconds: float, tmp_path: Path):
    path = trimmed(tmp_path / "a.mp4", start, seconds)
    first, count = round(25 * start), round(25 * seconds)
    shown = decoded(path)
    assert shown == [*range(first, first + count)]
    for window in (Window(4, 1, 0, 2), Window(4, 1, 1, 2), Window(3, 2)):
        chosen = window.indices(np.arange(count) / 25)
        assert numbers_of(read_video(path, window, Fit(SIZE))) == [shown[place] for place in chosen]


@pytest.mark.parametrize("part", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("name", ["edit list", "a.mp4", "b.mov", "c.mkv", "d.webm", "e.avi", "f.mp4 in fragments"])
def test_files_whose_end_is_missing(name: str, part: float, tmp_path: Path):
    header_first = {"movflags": "faststart"}
    whole = {
        "edit list": lambda: trimmed(tmp_path / "whole.mp4", 1.0, 1.2),
        "a.mp4": lambda: write_video(tmp_path / "whole.mp4", container=header_first),
        "b.mov": lambda: write_video(tmp_path / "whole.mov", container=header_first),
        "c.mkv": lambda: write_video(tmp_path / "whole.mkv"),
        "d.webm": lambda: write_video(tmp_path / "whole.webm", codec="libvpx-vp9"),
        "e.avi": lambda: write_video(tmp_path / "whole.avi", codec="mpeg4"),
        "f.mp4 in fragments": lambda: write_video(
            tmp_path / "whole.mp4", options={"g": "12"}, container={"movflags": "frag_keyframe+empty_moov"}
        ),
    }[name]()
    assert len(read_video(whole, Window(8, 1), Fit(SIZE))) == 8
    cut = truncated(whole, tmp_path / f"cut{whole.suffix}", part)
    with pytest.raises(InputError, match=r"cut\.\w+ (is truncated|cannot be decoded \(.*\): it is truncated)"):
        read_video(cut, Window(8, 1), Fit(SIZE))


def test_a_last_frame_without_a_duration_is_no_proof(tmp_path: Path):
    """Matroska's duration may be longer than its frames are shown."""
    source = write_video(tmp_path / "source.webm", 20, codec="libvpx-vp9", options={"g": "12"})
    path = without_beginning(source, tmp_path / "cut.webm", key_packets(source)[1])
    assert numbers_of(read_video(path, Window(8, 1), Fit(SIZE))) == [*range(12, 20)]


def test_bytes_behind_the_end_are_no_harm(tmp_path: Path):
    for name in ("a.mp4", "a.mkv", "a.avi"):
        path = write_video(tmp_path / name)
        path.write_bytes(path.read_bytes() + b"\0\1\0\0some text that a download left behind")
        assert numbers_of(read_video(path, Window(4, 1), Fit(SIZE))) == [28, 29, 30, 31]


def test_matroska_that_does_not_tell_its_length():
    assert segment_end(b"") == 0
    assert segment_end(b"\x1a\x45\xdf\xa3") == 0
    assert segment_end(b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7) == 0
    assert segment_end(b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x00" + b"\xff" * 7) == 0
    assert segment_end(b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x08" + b"\0" * 3 + b"\5") == 19
