"""Clips of lists: where their videos are looked for, what is counted, and what is not a list of videos."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError, Note
from tests.clips.videos.test_datasets import write_frames
from tests.helpers.requests import open_clips
from tests.helpers.videos import numbers_of, write_video


def opened(path: Path, **request: object) -> list[Clip]:
    return open_clips(path, frames=4, stride=2, size=(32, 64), **request)


def labelled(clips: Sequence[Clip]) -> list[tuple[str, str | None]]:
    return [(clip.id, clip.label) for clip in clips]


def written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.tsv"])
@pytest.mark.parametrize("separator", [" ", ",", "\t"])
def test_paths_and_labels(name: str, separator: str, tmp_path: Path):
    write_video(tmp_path / "a.mp4")
    touched(tmp_path / "deep" / "b.webm")
    clips = opened(written(tmp_path / name, f"a.mp4{separator}0", f"deep/b.webm{separator}1"))
    assert labelled(clips) == [("a.mp4", "0"), ("deep/b.webm", "1")]
    assert numbers_of(clips[0].frames) == [26, 28, 30, 33]


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv"])
@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ('"my clips/a b.mp4" 1', ("my clips/a b.mp4", "1")),
        ('"my clips/a b.mp4",1', ("my clips/a b.mp4", "1")),
        ('my clips/5" b.mp4 1', ('my clips/5" b.mp4', "1")),
    ],
)
def test_paths_may_be_in_quotes_or_hold_some(suffix: str, line: str, entry: tuple[str, str], tmp_path: Path):
    touched(tmp_path / entry[0])
    assert labelled(opened(written(tmp_path / f"list{suffix}", line))) == [entry]


def test_ucf101(tmp_path: Path):
    videos = tmp_path / "UCF-101"
    touched(videos / "Archery" / "v_Archery_g08_c01.avi", videos / "YoYo" / "v_YoYo_g01_c01.avi")
    lists = tmp_path / "ucfTrainTestlist"
    train = written(lists / "trainlist01.txt", "Archery/v_Archery_g08_c01.avi 3\r", "YoYo/v_YoYo_g01_c01.avi 101\r")
    assert labelled(opened(train, videos=videos)) == [
        ("Archery/v_Archery_g08_c01.avi", "3"),
        ("YoYo/v_YoYo_g01_c01.avi", "101"),
    ]
    test = written(lists / "testlist01.txt", "YoYo/v_YoYo_g01_c01.avi")
    assert labelled(opened(test, videos=videos)) == [("YoYo/v_YoYo_g01_c01.avi", "YoYo")]


def test_frame_folders_as_mmaction2_lists_them(tmp_path: Path):
    write_frames(tmp_path / "jump" / "one", range(20))
    write_frames(tmp_path / "jump" / "two", range(20))
    path = written(tmp_path / "rawframes.txt", "jump/one 20 4", "jump/two 10 5", "gone 9 5")
    with pytest.warns(Note) as notes:
        one, two, gone = opened(path)
    assert labelled([one, two, gone]) == [("jump/one", "4"), ("jump/two", "5"), ("gone", "5")]
    assert numbers_of(one.frames) == [6, 8, 10, 13]
    assert numbers_of(two.frames) == [1, 3, 5, 8]
    with pytest.raises(InputError, match="gone is not below"):
        gone.load()
    assert sorted(str(shown.message) for shown in notes) == [
        f"{path}: 1 of 3 entries are not there and are skipped",
        f"{path}: 1 of 3 entries name fewer frames than their folders hold; the first ones are read",
    ]


def test_frame_folders_that_are_named_after_videos(tmp_path: Path):
    write_frames(tmp_path / "one.avi", range(20))
    write_frames(tmp_path / "clip_wave", range(20))
    path = written(tmp_path / "rawframes.txt", "one.avi 10 4", "gone.avi 9 5")
    with pytest.warns(Note) as notes:
        one, gone = opened(path)
    assert labelled([one, gone]) == [("one.avi", "4"), ("gone.avi", "5")]
    assert numbers_of(one.frames) == [1, 3, 5, 8]
    assert len(notes) == 2
    assert labelled(opened(written(tmp_path / "list.txt", "clip_wave wave"))) == [("clip_wave", "wave")]


def test_frame_folders_from_a_first_frame(tmp_path: Path):
    write_frames(tmp_path / "one", range(20))
    first, last, beyond = opened(written(tmp_path / "a.txt", "one 0 8 1", "one 12 8 2", "one 13 8 2"))
    assert labelled([first, last]) == [("one@0-8f", "1"), ("one@12-20f", "2")]
    assert {clip.video for clip in (first, last)} == {"one"}
    assert numbers_of(last.frames) == [12, 14, 16, 19]
    with pytest.raises(InputError, match=r"one has 20 frames, and the list counts 8 after the first 13"):
        beyond.load()


def test_frames_that_are_counted_of_a_video_file_are_not_all_of_its_frames(tmp_path: Path):
    write_video(tmp_path / "P01.mp4")
    path = written(tmp_path / "a.txt", "P01 20 10 3", "P01 40 10 4", "gone 0 10 3", "gone 10 10 4")
    with pytest.warns(Note) as notes:
        clips = opened(path)
    assert labelled(clips) == [("P01@20-30f", "3"), ("P01@40-50f", "4"), ("gone@0-10f", "3"), ("gone@10-20f", "4")]
    assert {clip.video for clip in clips} == {"P01", "gone"}
    for clip in clips[:2]:
        with pytest.raises(
            InputError, match=r"P01\.mp4 is a video file, and the list counts 10 frames of a folder; ext"
        ):
            clip.load()
    assert sorted(str(shown.message) for shown in notes) == [
        f"{path}: 2 of 4 entries are not there and are skipped",
        f"{path}: 2 of 4 entries count frames of a folder, but are video files, and are skipped",
    ]
    with pytest.warns(Note, match="1 of 1 entries count frames"):
        (clip,) = opened(written(tmp_path / "b.txt", "P01 60 3"))
    with pytest.raises(InputError, match="the list counts 60 frames of a folder"):
        clip.load()


def test_a_folder_that_cannot_be_listed_is_one_entry_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_frames(tmp_path / "open", range(20))
    write_frames(tmp_path / "closed", range(20))
    (tmp_path / "empty").mkdir()
    listed = Path.iterdir

    def refusing(folder: Path) -> Iterator[Path]:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    for path in (
        written(tmp_path / "list.txt", "open 20 4", "closed 20 4"),
        written(tmp_path / "list.csv", "path", "open", "closed"),
    ):
        good, bad = opened(path)
        assert numbers_of(good.frames) == [6, 8, 10, 13]
        with pytest.raises(InputError, match=r"closed cannot be listed \(Permission denied\); correct its permissions"):
            bad.load()
    _, bad = opened(written(tmp_path / "list.txt", "open 20 4", "empty 20 4"))
    with pytest.raises(InputError, match=r"empty holds no frames \(\.bmp .*\); add them"):
        bad.load()


def test_names_that_are_too_long(tmp_path: Path):
    (tmp_path / "list.json").write_text('[{"id": "1", "template": "x"}]')
    with pytest.raises(InputError, match="does not exist"):
        opened(Path("a" * 300))
    with pytest.raises(InputError, match="which is not a folder; use the folder of the listed videos"):
        opened(tmp_path / "list.json", videos="a" * 300)
    write_frames(tmp_path / "v", range(8))
    with pytest.raises(InputError, match="which is not a folder; pass one with the flow of every image"):
        opened(tmp_path / "v", flow="a" * 300)


def test_control_characters_in_names_are_escaped_in_every_message(tmp_path: Path):
    root = tmp_path / "a\x1b[2J"
    touched(root / "1" / "b.mp4", root / "2" / "b.mp4", root / "c\x1b.avi", root / "c\x1b.mkv")
    json = '[{"id": "b", "template": "x"}, {"id": "gone\\u001b", "template": "x"}]'
    with pytest.warns(Note, match="1 of 2 entries are not there"):
        annotated = opened(written(tmp_path / "list.json", json), videos=root)
    with pytest.warns(Note) as notes:
        listed = opened(written(tmp_path / "list.txt", "c\x1b.mp4 1", "d\x1b.mp4 1", "1/b.mp4 1"), videos=root)
    assert all(str(said.message).isprintable() for said in notes)
    for clip in (*annotated, *listed[:2]):
        with pytest.raises(InputError) as raised:
            clip.load()
        assert str(raised.value).isprintable()


def test_folder_per_class(tmp_path: Path):
    touched(tmp_path / "val" / "riding a bike" / "a.mp4", tmp_path / "val" / "yoga" / "deep" / "b.mp4")
    touched(tmp_path / "c.mp4")
    assert labelled(opened(tmp_path)) == [
        ("c.mp4", None),
        ("val/riding a bike/a.mp4", "val/riding a bike"),
        ("val/yoga/deep/b.mp4", "val/yoga/deep"),
    ]
    write_frames(tmp_path / "frames" / "yoga" / "one", range(8))
    assert labelled(opened(tmp_path / "frames")) == [("yoga/one", "yoga")]


def test_hmdb51(tmp_path: Path):
    videos = tmp_path / "hmdb51"
    touched(videos / "brush_hair" / "a b.avi", videos / "brush_hair" / "c.avi", videos / "cartwheel" / "d.avi")
    splits = tmp_path / "splits"
    hair = written(splits / "brush_hair_test_split1.txt", "a b.avi 1 ", "c.avi 2 ", "unused.avi 0 ")
    written(splits / "cartwheel_test_split1.txt", "d.avi 2 ")
    written(splits / "cartwheel_test_split2.txt", "d.avi 1 ")
    with pytest.warns(Note, match=": 1 video of the split test1 read; 2 of other splits or of none left out$"):
        assert labelled(opened(hair, videos=videos)) == [("brush_hair/c.avi", "brush_hair")]
    with pytest.warns(Note, match="split train1"):
        assert labelled(opened(hair, videos=videos, split="train")) == [("brush_hair/a b.avi", "brush_hair")]
    with pytest.warns(Note, match=": 2 videos of the split test1 read; 2 of"):
        clips = opened(splits, videos=videos, split="test1")
    assert labelled(clips) == [("brush_hair/c.avi", "brush_hair"), ("cartwheel/d.avi", "cartwheel")]
    with pytest.warns(Note, match=": 1 video of the split train2 read$"):
        opened(splits, videos=videos, split="train2")
    for split in (None, "test", "test3", "val"):
        with pytest.raises(InputError, match="has the splits train1, test1, train2, test2; pass one of them"):
            opened(splits, videos=videos, split=split)
    with pytest.raises(InputError, match=r"line 1, is 'c\.avi'; expected a video, then 0"):
        opened(written(splits / "yoga_test_split1.txt", "c.avi"), videos=videos)
    with pytest.raises(InputError, match="has no video of the split test1"):
        opened(written(splits / "yoga_test_split1.txt", "c.avi 1"), videos=videos)


def test_a_video_with_another_suffix_or_as_frames_is_found_and_it_is_said(tmp_path: Path):
    touched(tmp_path / "a.mp4", tmp_path / "74225.webm", tmp_path / "both.mkv", tmp_path / "both.webm")
    write_frames(tmp_path / "frames", range(8))
    path = written(tmp_path / "list.txt", "a.avi 1", "frames.avi 2", "both.avi 3", f"{tmp_path / 'a.mp4'} 4")
    with pytest.warns(
        Note, match="2 of 4 entries are read from a file with another suffix, or from a folder of frames"
    ):
        clips = opened(path)
    assert labelled(clips) == [("a.avi", "1"), ("frames.avi", "2"), ("both.avi", "3"), (f"{tmp_path}/a.mp4", "4")]
    assert clips[0].stamp.startswith("a.mp4 0 bytes")
    assert clips[1].frames.shape == (4, 32, 64, 3)
    with pytest.raises(InputError, match=r"both\.avi could be .*both\.mkv or .*both\.webm; keep one"):
        clips[2].load()
    with pytest.warns(Note, match="another suffix"):
        assert opened(written(tmp_path / "ids.txt", "74225 1"))[0].stamp.startswith("74225.webm")


def test_what_is_missing_or_listed_again_is_counted(tmp_path: Path):
    touched(tmp_path / "a.mp4")
    path = written(tmp_path / "list.txt", "a.mp4 1", "gone.mp4 1", "a.mp4 1", "a\0.mp4 2", f"{'x' * 300}.mp4 2")
    with pytest.warns(Note) as notes:
        clips = opened(path)
    assert sorted(str(shown.message).partition(": ")[2] for shown in notes) == [
        "1 of 5 entries are listed again, with the same label, and are left out",
        "3 of 5 entries are not there and are skipped",
    ]
    assert len(clips) == 4
    for clip in clips[1:]:
        with pytest.raises(InputError, match="is not below"):
            clip.load()
    with pytest.raises(InputError, match=r"line 2, lists a\.mp4 again with the label '2', after .*line 1 with '1'"):
        opened(written(tmp_path / "list.txt", "a.mp4 1", "a.mp4 2"))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("classInd.txt", ["1 ApplyEyeMakeup", "2 Archery"]),
        ("classes.txt", ["riding a bike", "yoga"]),
        ("README.txt", ["These are videos.", "", "They were filmed in 2019 by nobody."]),
        ("empty.txt", []),
        ("list.tsv", ["gone.mp4\t3"]),
        ("list.csv", ["gone.mp4 3"]),
        ("world.txt", ["12"]),
    ],
)
def test_text_that_names_no_video_is_an_error_with_what_is_read(name: str, lines: list[str], tmp_path: Path):
    with pytest.raises(InputError, match=r"names nothing that is below .* one of: a CSV file .*Kinetics") as raised:
        opened(written(tmp_path / name, *lines))
    assert "\n" not in str(raised.value)
    assert name in str(raised.value)


@pytest.mark.parametrize("suffix", [".txt", ".tsv", ".csv", ".json"])
def test_special_files_and_bytes_are_errors(suffix: str, tmp_path: Path):
    os.mkfifo(tmp_path / f"fifo{suffix}")
    (tmp_path / f"bytes{suffix}").write_bytes(b"\xff\xfe\x00")
    for name in ("fifo", "bytes"):
        with pytest.raises(InputError, match=f"{name}{suffix} is"):
            opened(tmp_path / f"{name}{suffix}")


def test_a_split_of_a_list_that_has_none(tmp_path: Path):
    touched(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"split is val, but .*list\.txt has no splits"):
        opened(written(tmp_path / "list.txt", "a.mp4 1"), split="val")


def test_published_lists(shared: Path, tmp_path: Path):
    lists = shared / "real" / "annotations"
    if not lists.is_dir():
        pytest.skip("no folder real/annotations in shared/: published lists are not part of the checkout")
    touched(tmp_path / "ApplyEyeMakeup" / "v_ApplyEyeMakeup_g01_c01.avi")
    touched(tmp_path / "ApplyEyeMakeup" / "v_ApplyEyeMakeup_g08_c01.avi")
    with pytest.warns(Note, match="3782 of 3783 entries are not there"):
        test = opened(lists / "ucf101-testlist01.txt", videos=tmp_path)
    assert labelled(test[:1]) == [("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "ApplyEyeMakeup")]
    assert len({clip.label for clip in test}) == 101
    with pytest.warns(Note, match="499 of 500 entries are not there"):
        train = opened(lists / "ucf101-trainlist01-500.txt", videos=tmp_path)
    assert labelled(train[:1]) == [("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "1")]
    with pytest.warns(Note, match="2000 of 2000 entries are not there"):
        something = opened(lists / "something-else-oneobject-train-2000.json", videos=tmp_path)
    assert len(something) == 2000
