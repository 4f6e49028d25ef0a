"""Lists of paths and labels in the forms that training code reads, and lines that can be read in several ways."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sdmetrics.clips.videos.manifest import names_columns
from sdmetrics.clips.videos.path_lists import Entry, check_alike, read_path_list
from sdmetrics.errors import InputError


def read(text: str, *there: str, folders: Sequence[str] = ()) -> list[tuple[str, str | None, int | None, int | None]]:
    entries = read_path_list("list.txt", text, lambda path: path in there, lambda path: path in folders)
    return [(entry.path, entry.label, entry.first, entry.frames) for entry in entries]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b.mp4 0\nc.avi 12\n", [("a/b.mp4", "0"), ("c.avi", "12")]),
        ("\ufeffa.mp4\t0\r\n\r\nb.mp4\t1\r\n".lstrip("\ufeff"), [("a.mp4", "0"), ("b.mp4", "1")]),
        ("a.mp4,0\nb.mp4,1", [("a.mp4", "0"), ("b.mp4", "1")]),
        ("a.mp4, jump\nb.mp4, run", [("a.mp4", "jump"), ("b.mp4", "run")]),
        ("a.mp4 riding a bike\nb.mp4 run", [("a.mp4", "riding a bike"), ("b.mp4", "run")]),
        ("my clips/a b.mp4 3\nc.mp4 4", [("my clips/a b.mp4", "3"), ("c.mp4", "4")]),
        ("a,b/c.mp4 3\nd,e/f.mp4 4", [("a,b/c.mp4", "3"), ("d,e/f.mp4", "4")]),
        ("a,b/c.mp4,3\nd,e/f.mp4,4", [("a,b/c.mp4", "3"), ("d,e/f.mp4", "4")]),
        ('"a,b.mp4","riding, mule"\nc.mp4,run', [("a,b.mp4", "riding, mule"), ("c.mp4", "run")]),
        ('"a b.mp4" 3\nc.mp4 4', [("a b.mp4", "3"), ("c.mp4", "4")]),
        ("a.mp4\nb c.mp4", [("a.mp4", None), ("b c.mp4", None)]),
        ("Archery/v_x.avi 1\nArchery/v_y.avi 1", [("Archery/v_x.avi", "1"), ("Archery/v_y.avi", "1")]),
        ("a.mp4.mp4 1", [("a.mp4.mp4", "1")]),
        ("a.MP4 1", [("a.MP4", "1")]),
        ("a.mp4 -1", [("a.mp4", "-1")]),
    ],
)
def test_videos_with_and_without_labels(text: str, expected: list[tuple[str, str | None]]):
    assert read(text) == [(*entry, None, None) for entry in expected]


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", ", "  "])
def test_folders_with_their_numbers_of_frames(separator: str):
    def joined(*fields: str) -> str:
        return separator.join(fields)

    assert read(joined("some/clip_1", "163", "3"), "some/clip_1") == [("some/clip_1", "3", None, 163)]
    assert read(joined("some/clip_1", "12", "163", "3"), "some/clip_1") == [("some/clip_1", "3", 12, 163)]
    assert read(joined("some/clip_1", "3"), "some/clip_1") == [("some/clip_1", "3", None, None)]
    assert read(joined("some/clip_1", "run"), "some/clip_1") == [("some/clip_1", "run", None, None)]
    assert read(joined("74225", "3"), "74225") == [("74225", "3", None, None)]
    # Where nothing is there, the path is what no number could be part of.
    assert read(joined("some/clip_1", "163", "3")) == [("some/clip_1", "3", None, 163)]


def test_folders_of_frames_that_are_named_after_videos():
    text = "a.avi 120 3\nb c.avi 5 90 4\ngone.avi 60 5"
    expected = [("a.avi", "3", None, 120), ("b c.avi", "4", 5, 90), ("gone.avi", "5", None, 60)]
    assert read(text, "a.avi", "b c.avi", folders=["b c.avi"]) == expected
    for there in ([], ["a.avi"]):
        with pytest.raises(InputError, match=r"line 1, is 'a\.avi 120 3', which can be read in no way"):
            read(text, *there)


@pytest.mark.parametrize(
    ("line", "there", "columns"),
    [
        ("path,label", ["path"], True),
        ('"path","label"', [], True),
        ("clip_name;label", ["clip_name"], True),
        ("path label", [], True),
        ("clip_wave wave", ["clip_wave"], False),
        ('"My clip" riding', ["My clip"], False),
        ("my clip\triding", ["my clip"], False),
        ("my clip riding a bike", ["my clip"], False),
        ("clip_wave wave", [], True),
        ("clips/wave wave", [], False),
    ],
)
def test_first_lines_that_name_columns(line: str, there: list[str], columns: bool):
    assert names_columns(f"{line}\nb c\n", lambda path: path in there) == columns


def test_of_several_readings_the_one_that_is_there_is_right():
    assert read("my clip 1 30 2", "my clip 1") == [("my clip 1", "2", None, 30)]
    assert read("my clip 1 30 2", "my clip") == [("my clip", "2", 1, 30)]
    assert read("my clip riding a bike", "my clip") == [("my clip", "riding a bike", None, None)]
    assert read("my clip", "my clip") == [("my clip", None, None, None)]
    assert read("a.mp4 b.mp4 3", "a.mp4 b.mp4") == [("a.mp4 b.mp4", "3", None, None)]


@pytest.mark.parametrize(
    ("line", "there", "message"),
    [
        ("my clip 1 30 2", ["my clip", "my clip 1"], "'my clip' with the label '2' or 'my clip 1' with the label '2'"),
        ("a.mp4 b.mp4 run", [], "'a.mp4' with the label 'b.mp4 run' or 'a.mp4 b.mp4' with the label 'run'"),
        ("a.mp4 3 5", [], "in no way; expected a path and one label"),
        ("a.mp4,3,12,5", [], "in no way"),
        ("a.mp4 12 riding", [], "in no way"),
        ("x " * 2049, [], "has 4,097 characters; expected a path and a label"),
        ("x " * 100, [], "has 100 fields; expected a path and a label"),
    ],
)
def test_lines_that_are_ambiguous_are_errors_with_their_numbers(line: str, there: list[str], message: str):
    with pytest.raises(InputError) as raised:
        read(f"{line}\n", *there)
    assert message in str(raised.value)
    assert str(raised.value).startswith("list.txt, line 1, ")
    assert "\n" not in str(raised.value)


def test_lines_that_differ_in_their_fields():
    first = Entry("list.txt, line 1,", "a", "1")
    check_alike([first, Entry("list.txt, line 2,", "b", "2")])
    with pytest.raises(InputError, match=r"line 3, is only a path, and list\.txt, line 1 is a path with a label"):
        check_alike([first, Entry("list.txt, line 3,", "b")])
    with pytest.raises(InputError, match="line 3, is a folder with a number of frames"):
        check_alike([first, Entry("list.txt, line 3,", "b", "1", frames=9)])
