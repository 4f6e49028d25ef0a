"""Data sets: which clips a path stands for, and that nothing is decoded or lost on the way."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import sdmetrics.clips.videos.footage as footage
import sdmetrics.clips.videos.listing as listing
from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError, Note
from tests.helpers.requests import open_clips
from tests.helpers.videos import numbered, numbers_of, write_audio, write_video

SIZE = (32, 64)
NOTES = "ignore::sdmetrics.errors.Note"


def opened(path: Path, clips_per_video: int = 1, frames: int = 4) -> list[Clip]:
    return open_clips(path, frames=frames, stride=2, size=SIZE, clips_per_video=clips_per_video)


def ids(clips: Sequence[Clip]) -> list[str]:
    return [clip.id for clip in clips]


def write_frames(folder: Path, numbers: Sequence[int], suffix: str = ".png") -> Path:
    import cv2

    folder.mkdir(parents=True)
    for place, number in enumerate(numbers):
        assert cv2.imwrite(str(folder / f"frame{place}{suffix}"), numbered(number))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with good videos, at several depths, and bad ones."""
    write_video(tmp_path / "b.mp4", 20)
    (tmp_path / "class" / "deep").mkdir(parents=True)
    write_video(tmp_path / "class" / "deep" / "a.MP4", 20, options={"g": "5"})
    write_audio(tmp_path / "class" / "sound.mp4")
    (tmp_path / "zero.avi").touch()
    (tmp_path / "notes.txt").write_text("not a video")
    (tmp_path / "thumbnail.jpg").write_bytes(b"not looked at")
    (tmp_path / "._b.mp4").write_bytes(b"what some systems leave behind")
    return tmp_path


def test_folder_of_videos(folder: Path):
    with pytest.warns(Note) as notes:
        clips = opened(folder)
    assert [str(said.message) for said in notes] == [
        f"{folder}: 1 file left out (no clips): notes.txt",
        f"{folder}: 1 image in 1 folder left out (beside 4 videos): .",
    ]
    assert ids(clips) == ["b.mp4", "class/deep/a.MP4", "class/sound.mp4", "zero.avi"]
    assert [clip.video for clip in clips] == ids(clips)
    assert clips[0].stamp.startswith(f"b.mp4 {(folder / 'b.mp4').stat().st_size} bytes, modified at ")
    assert numbers_of(clips[0].frames) == numbers_of(clips[1].frames) == [6, 8, 10, 13]
    for bad in clips[2:]:
        with pytest.raises(InputError, match=Path(bad.id).name):
            bad.load()


def test_several_clips_of_a_video(folder: Path):
    clips = opened(folder / "b.mp4", clips_per_video=3)
    assert ids(clips) == ["b.mp4#0", "b.mp4#1", "b.mp4#2"]
    assert {clip.video for clip in clips} == {"b.mp4"}
    assert [numbers_of(clip.frames)[0] for clip in clips] == [0, 6, 12]


@pytest.mark.filterwarnings(NOTES)
def test_opening_decodes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(footage, "read_video", refuse)
    clips = opened(folder)
    with pytest.raises(AssertionError, match="decoded"):
        clips[0].load()


@pytest.mark.filterwarnings(NOTES)
def test_linked_folders_are_searched_once(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_video(elsewhere / "c.mp4", 20)
    (folder / "link").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    assert ids(opened(folder)).count("link/c.mp4") == 1
    assert len(opened(folder)) == 5


def test_folder_that_cannot_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def walk(root: Path, onerror: object, followlinks: bool) -> list[object]:
        assert followlinks
        assert callable(onerror)
        onerror(PermissionError(13, "Permission denied", str(root)))
        return []

    monkeypatch.setattr(listing.os, "walk", walk)
    with pytest.raises(InputError, match="cannot be listed"):
        opened(folder)


def test_nothing_there(tmp_path: Path):
    with pytest.raises(InputError, match=r"holds no video \(.*\.mp4.*\) and no folder of frames \(.*\.jpg"):
        opened(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        opened(tmp_path / "gone")
    (tmp_path / "a.mp4").touch()
    with pytest.raises(InputError, match="clips_per_video is 0"):
        opened(tmp_path, clips_per_video=0)


def test_names_that_are_no_text(tmp_path: Path):
    write_video(tmp_path / "x.mp4", 5).rename(tmp_path / b"\xff.mp4".decode("utf-8", "surrogateescape"))
    (clip,) = opened(tmp_path)
    assert clip.id.encode()
    assert clip.frames.shape == (4, *SIZE, 3)


def test_frame_folders_in_natural_order(tmp_path: Path):
    write_frames(tmp_path / "set" / "wave", range(100, 112))
    write_frames(tmp_path / "set" / "class" / "jump", range(8), ".jpg")
    clips = opened(tmp_path / "set")
    assert ids(clips) == ["class/jump", "wave"]
    assert numbers_of(clips[0].frames) == [0, 2, 4, 7]
    assert numbers_of(clips[1].frames) == [102, 104, 106, 109]
    assert ids(opened(tmp_path / "set" / "wave")) == ["wave"]


def test_image_that_cannot_be_read(tmp_path: Path):
    write_frames(tmp_path / "wave", range(8))
    (tmp_path / "wave" / "frame2.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"frame2\.png"):
        opened(tmp_path)[0].load()


def test_folder_per_style(tmp_path: Path):
    for style in range(1, 5):
        for video, first in (("wave", 10 * style), ("jump", 10 * style + 5)):
            write_frames(tmp_path / f"style_{style}" / video, range(first, first + 8))
    clips = opened(tmp_path)
    assert ids(clips) == ["jump", "wave"]
    assert list(clips[0].styled) == ["style_1", "style_2", "style_3", "style_4"]
    for number, load in enumerate(clips[1].styled.values(), 1):
        assert numbers_of(load()) == [10 * number, 10 * number + 2, 10 * number + 4, 10 * number + 7]
    assert numbers_of(clips[0].frames) == [15, 17, 19, 22]
    assert ids(opened(tmp_path, clips_per_video=2)) == ["jump#0", "jump#1", "wave#0", "wave#1"]


def test_styled_videos_of_other_lengths_pair_no_moments(tmp_path: Path):
    for style, frames in (("style_1", 20), ("style_2", 15), ("style_3", 20)):
        (tmp_path / style).mkdir()
        write_video(tmp_path / style / "cut.mp4", frames)
        write_video(tmp_path / style / "whole.mp4", 20)
    cut, whole = opened(tmp_path)
    for load in (*cut.styled.values(), cut.load):
        with pytest.raises(InputError, match=r"cut\.mp4 differs in its .* \(style_1 20, style_2 15, style_3 20\)"):
            load()
    assert numbers_of(whole.styled["style_2"]()) == numbers_of(whole.frames) == [6, 8, 10, 13]


def test_counting_the_frames_of_a_short_video_says_nothing(tmp_path: Path):
    for style in ("style_1", "style_2"):
        (tmp_path / style).mkdir()
        write_video(tmp_path / style / "wave.mp4", 1)
    (wave,) = opened(tmp_path, frames=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert numbers_of(wave.styled["style_1"]()) == [0]


def test_the_frames_of_styles_are_counted_whatever_the_header_says(tmp_path: Path):
    for style in ("style_1", "style_2"):
        (tmp_path / style).mkdir()
        write_video(tmp_path / style / "wave.avi", 20, codec="mpeg4")
    path = tmp_path / "style_2" / "wave.avi"
    content = bytearray(path.read_bytes())
    for header in (content.index(b"avih") + 24, content.index(b"strh") + 40):
        assert int.from_bytes(content[header : header + 4], "little") == 20
        content[header : header + 4] = (15).to_bytes(4, "little")
    path.write_bytes(content)
    (wave,) = opened(tmp_path)
    assert numbers_of(wave.styled["style_1"]()) == numbers_of(wave.styled["style_2"]())


def test_a_folder_beside_those_of_styles_is_named(tmp_path: Path):
    for top in ("style_1", "style_2", "backup"):
        write_frames(tmp_path / top / "wave", range(8))
    with pytest.raises(InputError, match=r"folders of styles \(style_1, style_2\) and others \(backup\); move"):
        opened(tmp_path)


def test_styles_that_disagree_fail_clip_by_clip(tmp_path: Path):
    write_frames(tmp_path / "style_1" / "wave", range(8))
    write_frames(tmp_path / "style_2" / "wave", range(8))
    write_frames(tmp_path / "style_1" / "lost", range(8))
    write_frames(tmp_path / "style_1" / "cut", range(8))
    write_frames(tmp_path / "style_2" / "cut", range(7))
    write_frames(tmp_path / "style_1" / "mixed", range(8))
    mixed_images = write_frames(tmp_path / "style_2" / "mixed", range(8))
    (mixed_images / "frame0.png").rename(mixed_images / "cover.png")
    cut, lost, mixed, wave = opened(tmp_path)
    with pytest.raises(InputError, match=r"style_2.mixed has images of 2 patterns of names"):
        mixed.styled["style_1"]()
    assert wave.frames.shape == (4, *SIZE, 3)
    with pytest.raises(InputError, match=r"cut differs in its number of frames \(style_1 8, style_2 7\)"):
        cut.styled["style_1"]()
    with pytest.raises(InputError, match=r"style_2.lost is missing"):
        lost.styled["style_1"]()


def manifest(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "list.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_manifest(folder: Path):
    write_frames(folder / "frames", range(8))
    path = manifest(
        folder,
        "path,label,start,end\n"
        "b.mp4,wave,,\n"
        'class/deep/a.MP4,"jump, high",0.2,0.6\n'
        "class/deep/a.MP4,,0.4,\n"
        "frames,walk,,\n"
        "gone.mp4,walk,,\n",
        encoding="utf-8-sig",
    )
    with pytest.warns(Note, match="1 of 5 entries are not there and are skipped"):
        clips = opened(path)
    assert ids(clips) == ["b.mp4", "class/deep/a.MP4@0.2-0.6", "class/deep/a.MP4@0.4-", "frames", "gone.mp4"]
    assert [clip.label for clip in clips] == ["wave", "jump, high", None, "walk", "walk"]
    assert [clip.video for clip in clips[1:3]] == ["class/deep/a.MP4"] * 2
    assert clips[1].stamp != clips[2].stamp
    assert numbers_of(clips[1].frames) == [6, 8, 10, 13]
    assert set(numbers_of(clips[2].frames)) <= set(range(10, 20))
    assert numbers_of(clips[3].frames) == [0, 2, 4, 7]
    with pytest.raises(InputError, match=r"gone\.mp4"):
        clips[4].load()
    with pytest.warns(Note):
        twice = ids(opened(path, clips_per_video=2))
    assert twice[2:4] == ["class/deep/a.MP4@0.2-0.6#0", "class/deep/a.MP4@0.2-0.6#1"]


def test_segments_of_a_long_video_have_ids_of_their_own(folder: Path):
    ends = ("3600.5", "3600.25", "1e-07", "12345678.9")
    clips = opened(manifest(folder, "path,start,end\n" + "".join(f"b.mp4,0,{end}\n" for end in ends)))
    assert ids(clips) == ["b.mp4@0-3600.5", "b.mp4@0-3600.25", "b.mp4@0-1e-07", "b.mp4@0-12345678.9"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"list\.csv has the columns none; allowed: path, label, start, end"),
        ("path;label\n", "has the columns path;label"),
        ("path,lable\nb.mp4,x\n", "has the columns path, lable"),
        ("label\nwave\n", "path is required"),
        ("path\n", "lists no video"),
        ("path,label\nb.mp4,x\n,y\n", r"list\.csv, line 3, has no path"),
        ("path,label\nb.mp4,x,y\n", "line 2, has more values than columns"),
        ("path,start\nb.mp4,soon\n", "line 2, has the start 'soon'; expected seconds"),
        ("path,start\nb.mp4,-1\n", "line 2, has the start '-1'"),
        ("path,end\nb.mp4,nan\n", "line 2, has the end 'nan'"),
        ("path,start,end\nb.mp4,3,2\n", "line 2, starts at 3 s and ends at 2 s"),
        (
            "path,label\nb.mp4,x\nzero.avi,x\nb.mp4,y\n",
            "line 4, lists b.mp4 again with the label 'y', after .*line 2 with 'x'; remove one",
        ),
        ("path\nclass\n", "line 2, names the folder class; allowed"),
        ('path\n"b.mp4\n', "cannot be read as a CSV manifest"),
    ],
)
def test_manifests_with_mistakes(text: str, message: str, folder: Path):
    with pytest.raises(InputError, match=message) as error:
        opened(manifest(folder, text))
    assert "\n" not in str(error.value)


def test_manifest_that_is_no_text(folder: Path):
    path = folder / "list.csv"
    path.write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(InputError, match="UTF-8"):
        opened(path)


@pytest.mark.filterwarnings(NOTES)
def test_real_folder(shared: Path):
    clips = open_clips(shared / "clips", frames=8, stride=8, size=(224, 224), clips_per_video=4)
    assert len(clips) == 20
    assert np.stack([clip.frames for clip in clips[::4]]).shape == (5, 8, 224, 224, 3)
