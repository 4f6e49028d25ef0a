"""A video under two names is in one group of the jackknife: links and copies of files and of folders of frames."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdmetrics.analysis.shards import slices
from sdmetrics.clips import same_content
from sdmetrics.clips.same_content import END, first_of_same_content
from sdmetrics.errors import Note
from tests.helpers.requests import open_clips
from tests.helpers.videos import numbered, write_video

SIZE = (32, 64)


def written(path: Path, content: bytes) -> list[Path]:
    path.write_bytes(content)
    return [path]


def test_links_and_copies_of_files(tmp_path: Path):
    content = np.random.default_rng(0).bytes(4 * END)
    videos = {"b": written(tmp_path / "b", content)}
    (tmp_path / "symlink").symlink_to(tmp_path / "b")
    os.link(tmp_path / "b", tmp_path / "a hard link")
    shutil.copyfile(tmp_path / "b", tmp_path / "copy")
    videos |= {name: [tmp_path / name] for name in ("symlink", "a hard link", "copy")}
    for name, place in {"begin": 0, "middle": 2 * END, "end": 4 * END - 1}.items():
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        videos[name] = written(tmp_path / name, changed)
    videos["longer"] = written(tmp_path / "longer", content + b"0")
    assert first_of_same_content(videos) == {
        **{name: name for name in videos},
        **dict.fromkeys(("a hard link", "b", "copy", "symlink"), "a hard link"),
    }


def test_links_to_a_copy_of_the_first(tmp_path: Path):
    videos = {name: written(tmp_path / name, b"1") for name in ("a", "b")}
    os.link(tmp_path / "b", tmp_path / "c")
    assert first_of_same_content(videos | {"c": [tmp_path / "c"]}) == {"a": "a", "b": "a", "c": "a"}


def test_folders_of_frames_of_one_size(tmp_path: Path):
    """Frames of BMP have one size, and many videos begin and end in black."""
    black, other = np.zeros((8, 8, 3), np.uint8), np.ones((8, 8, 3), np.uint8)
    contents = {"a": (black, black, black), "b": (black, other, black), "c": (black, other, black), "d": (black,) * 2}
    for name, frames in contents.items():
        (tmp_path / name).mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(tmp_path / name / f"{number}.bmp")
    (tmp_path / "e").symlink_to(tmp_path / "b")
    videos = {name: sorted((tmp_path / name).iterdir()) for name in "abcde"}
    assert first_of_same_content(videos) == {"a": "a", "b": "b", "c": "b", "d": "d", "e": "b"}


def test_what_cannot_be_compared_is_itself(tmp_path: Path):
    for name in ("fifo 1", "fifo 2"):
        os.mkfifo(tmp_path / name)
    videos = {name: [tmp_path / name] for name in ("fifo 1", "fifo 2", "gone 1", "gone 2")}
    videos |= {"empty 1": written(tmp_path / "1", b""), "empty 2": written(tmp_path / "2", b"")}
    videos |= {"nothing 1": [], "nothing 2": [], "null 1": [Path("a\0")], "null 2": [Path("a\0")]}
    assert first_of_same_content(videos) == {name: name for name in videos}


def test_only_what_may_be_a_copy_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    videos = {f"{size}": written(tmp_path / f"{size}", bytes(size)) for size in range(1, 9)}
    (tmp_path / "link").symlink_to(tmp_path / "8")
    monkeypatch.setattr(same_content, "_all_bytes", None)
    assert first_of_same_content(videos | {"link": [tmp_path / "link"]})["link"] == "8"
    videos = {f"{byte}": written(tmp_path / f"{byte}", bytes([byte])) for byte in range(9)}
    assert len(set(first_of_same_content(videos).values())) == 9


def test_clips_of_one_content_keep_their_videos_and_are_in_one_group(tmp_path: Path):
    write_video(tmp_path / "b.mp4")
    shutil.copyfile(tmp_path / "b.mp4", tmp_path / "c.mp4")
    (tmp_path / "a.mp4").symlink_to(tmp_path / "b.mp4")
    write_video(tmp_path / "d.mp4", 50)
    with pytest.warns(Note, match=r"2 of 4 videos have the content of another, e\.g\. b\.mp4 that of a\.mp4; they"):
        clips = open_clips(tmp_path, frames=4, stride=1, size=SIZE, clips_per_video=2)
    assert [(clip.id, clip.content) for clip in clips] == [
        ("a.mp4#0", "a.mp4"),
        ("a.mp4#1", "a.mp4"),
        ("b.mp4#0", "a.mp4"),
        ("b.mp4#1", "a.mp4"),
        ("c.mp4#0", "a.mp4"),
        ("c.mp4#1", "a.mp4"),
        ("d.mp4#0", "d.mp4"),
        ("d.mp4#1", "d.mp4"),
    ]
    assert [clip.video for clip in clips] == [f"{name}.mp4" for name in "aabbccdd"]
    groups: dict[int, set[str]] = {}
    for piece in slices(clips):
        groups.setdefault(piece.group, set()).update(clip.video[0] for clip in piece.clips)
    assert sorted(map(sorted, groups.values())) == [["a", "b", "c"], ["d"]]


def test_folders_of_frames_and_styles_of_one_content(tmp_path: Path):
    for style in ("style_0", "style_1"):
        for name in ("b", "a", "c"):
            (tmp_path / style / name).mkdir(parents=True)
            for number in range(3):
                shade = numbered(number + 10 * (name == "c") + 50 * (style == "style_1"))
                Image.fromarray(shade).save(tmp_path / style / name / f"{number}.png")
    with pytest.warns(Note, match=r"1 of 3 videos have the content of another"):
        styled = open_clips(tmp_path, frames=2, stride=1, size=SIZE)
    assert [clip.content for clip in styled] == ["a", "a", "c"]
    with pytest.warns(Note, match=r"1 of 3 videos have the content of another"):
        plain = open_clips(tmp_path / "style_0", frames=2, stride=1, size=SIZE)
    assert [clip.content for clip in plain] == ["a", "a", "c"]
