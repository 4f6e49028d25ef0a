"""Animated images are videos, whatever their suffix, or are refused as what they are; never their first frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import pytest

from sdmetrics.clips.videos.animations import is_animated
from sdmetrics.errors import InputError, Note
from tests.helpers.requests import open_clips
from tests.helpers.videos import numbered, numbers_of

SIZE = (32, 64)


def write_animation(path: Path, frames: int = 20) -> Path:
    """Write an animated image of numbered frames."""
    codec, form, pixels = {
        ".png": ("apng", "apng", "rgb24"),
        ".apng": ("apng", "apng", "rgb24"),
        ".webp": ("libwebp_anim", "webp", "bgra"),
        ".gif": ("gif", "gif", "rgb8"),
    }[path.suffix]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=form) as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width, _ = numbered(0).shape
        stream.pix_fmt = pixels
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24").reformat(format=pixels)
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_still(path: Path, number: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), numbered(number))
    return path


def opened(path: Path):
    return open_clips(path, frames=4, stride=2, size=SIZE)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".apng"])
def test_every_animation_of_a_folder_is_a_video(tmp_path: Path, suffix: str):
    for name, frames in (("a", 20), ("b", 20), ("c", 21)):
        write_animation(tmp_path / f"{name}{suffix}", frames)
    with pytest.warns(Note, match="1 of 3 videos have the content of another"):
        clips = opened(tmp_path)
    assert [clip.id for clip in clips] == [f"{name}{suffix}" for name in "abc"]
    assert numbers_of(clips[0].frames) == numbers_of(clips[2].frames) == [6, 8, 10, 13]
    assert numbers_of(opened(tmp_path / f"b{suffix}")[0].frames) == [6, 8, 10, 13]


@pytest.mark.parametrize("pick", [lambda folder: folder, lambda folder: folder / "a.webp"])
def test_an_animated_webp_is_no_damaged_file(tmp_path: Path, pick: Callable[[Path], Path]):
    write_animation(tmp_path / "a.webp")
    with pytest.raises(InputError, match=r"a\.webp is an animated WebP, which FFmpeg does not read; convert it"):
        _ = opened(pick(tmp_path))[0].frames


def test_stills_beside_animations_are_left_out_and_said(tmp_path: Path):
    write_animation(tmp_path / "a.png")
    write_still(tmp_path / "cover.png")
    with pytest.warns(Note, match=r"1 image in 1 folder left out \(beside 1 video\)"):
        clips = opened(tmp_path)
    assert [clip.id for clip in clips] == ["a.png"]


def test_an_animation_among_frames_is_never_its_first_image(tmp_path: Path):
    for number in range(8):
        write_still(tmp_path / "v" / f"{number}.png", number)
    write_animation(tmp_path / "v" / "4.png")
    with pytest.raises(InputError, match=r"4\.png is an animated image among single frames"):
        _ = opened(tmp_path)[0].frames


def test_only_the_header_says_what_is_animated(tmp_path: Path):
    assert is_animated(write_animation(tmp_path / "a.png"))
    assert is_animated(write_animation(tmp_path / "a.webp"))
    for name in ("b.png", "b.webp", "b.jpg"):
        assert not is_animated(write_still(tmp_path / name))
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:20])
    (tmp_path / "c.webp").write_bytes(b"RIFF")
    (tmp_path / "d.png").mkdir()
    assert not any(is_animated(tmp_path / name) for name in ("c.png", "c.webp", "d.png", "gone.png"))
    # A long profile before the chunk that announces the animation, as cameras write it.
    content = (tmp_path / "a.png").read_bytes()
    place = content.index(b"acTL") - 4
    profile = (9000).to_bytes(4) + b"iCCP" + bytes(9004)
    (tmp_path / "e.png").write_bytes(content[:place] + profile + content[place:])
    assert is_animated(tmp_path / "e.png")
