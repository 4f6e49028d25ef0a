"""Published annotations: miniature files in the layouts of the data sets, whole and with mistakes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

import sdmetrics.clips.videos.listing as listing
from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError, Note
from tests.helpers.requests import open_clips
from tests.helpers.videos import numbers_of, write_video


def opened(path: Path, clips_per_video: int = 1, videos: Path | None = None) -> list[Clip]:
    """Return the clips; notes of videos that are not there are tested apart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)
        return open_clips(path, frames=4, stride=2, size=(32, 64), clips_per_video=clips_per_video, videos=videos)


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def activitynet(**videos: object) -> dict[str, object]:
    return {
        "database": {
            name: {"subset": "validation", "duration": 2.4, "resolution": "128x64", "url": "", "annotations": segments}
            for name, segments in videos.items()
        },
        "taxonomy": [{"nodeId": 0, "nodeName": "Root", "parentId": None, "parentName": None}],
        "version": "VERSION 1.3",
    }


def segment(start: object, end: object, label: object = "Archery") -> dict[str, object]:
    return {"segment": [start, end], "label": label}


def something(name: object, **more: object) -> dict[str, object]:
    return {
        "id": name,
        "label": "moving a cup up",
        "template": "Moving [something] up",
        "placeholders": ["a cup"],
    } | more


def diving(name: object, label: object = 12) -> dict[str, object]:
    return {"vid_name": name, "label": label, "start_frame": 0, "end_frame": 60}


def test_activitynet(tmp_path: Path):
    (tmp_path / "val").mkdir()
    write_video(tmp_path / "val" / "v_-one.mp4")
    write_video(tmp_path / "two.mkv")
    segments = [segment(1.0, 2.0), segment(0.2, 0.5, "Ballet")]
    content = activitynet(**{"-one": segments, "two": [segment(0, 0.4)], "hidden": [], "gone": segments})
    path = written(tmp_path / "activity_net.v1-3.min.json", content)
    one, two, gone = opened(path)
    assert (one.id, one.video, one.label) == ("val/v_-one.mp4@1-2", "val/v_-one.mp4", "Archery")
    assert numbers_of(one.frames) == [33, 35, 37, 40]
    assert (two.id, two.video) == ("two.mkv@0-0.4", "two.mkv")
    assert set(numbers_of(two.frames)) <= set(range(10))
    assert gone.id == "v_gone.mp4@1-2"
    with pytest.raises(InputError, match=r"v_gone\.mp4 or gone\.mp4 is not below"):
        gone.load()
    assert [clip.id for clip in opened(path, clips_per_video=2)][:2] == ["val/v_-one.mp4@1-2#0", "val/v_-one.mp4@1-2#1"]


def test_kinetics(tmp_path: Path):
    (tmp_path / "riding mule").mkdir()
    write_video(tmp_path / "riding mule" / "abc_000010_000020.mp4")
    write_video(tmp_path / "whole.mp4", 61)
    header, rows = "label,youtube_id,time_start,time_end,split", ["abc,10,20", "whole,1,2", "gone,1,11"]
    path = written(tmp_path / "k.csv", "\n".join([f"{header},is_cc"] + [f'"riding, mule",{row},val,0' for row in rows]))
    trimmed, whole, gone = opened(path)
    assert (trimmed.id, trimmed.label) == ("riding mule/abc_000010_000020.mp4", "riding, mule")
    assert numbers_of(trimmed.frames) == [26, 28, 30, 33]
    assert (whole.id, whole.video) == ("whole.mp4@1-2", "whole.mp4")
    assert numbers_of(whole.frames) == [33, 35, 37, 40]
    with pytest.raises(InputError, match=r"gone_000001_000011\.mp4 or gone\.mp4 is not below"):
        gone.load()
    unlabelled = written(tmp_path / "test.csv", "youtube_id,time_start,time_end,split\nwhole,1,2,test\n")
    assert [(clip.id, clip.label) for clip in opened(unlabelled)] == [("whole.mp4@1-2", None)]


def test_something_something_and_somethingelse(tmp_path: Path):
    write_video(tmp_path / "7.webm", codec="libvpx")
    records = [something("7"), something("8", template="Tilting [something] with [something] on it"), {"id": "9"}]
    label_only = {"id": "10", "label": "moving a cup up"}
    clips = opened(written(tmp_path / "validation.json", [*records, label_only]))
    assert [clip.id for clip in clips] == ["7.webm", "8.webm", "9.webm", "10.webm"]
    labels = ["Moving something up", "Tilting something with something on it", None, "moving a cup up"]
    assert [clip.label for clip in clips] == labels
    assert numbers_of(clips[0].frames) == [26, 28, 30, 33]
    with pytest.raises(InputError, match=r"8\.webm is not below"):
        clips[1].load()


def test_diving48(tmp_path: Path):
    write_video(tmp_path / "rgb.a_00001.mp4")
    clip, gone = opened(written(tmp_path / "Diving48_V2_test.json", [diving("rgb.a_00001"), diving("gone", 0)]))
    assert (clip.id, clip.label, gone.label) == ("rgb.a_00001.mp4", "12", "0")
    assert numbers_of(clip.frames) == [26, 28, 30, 33]


def test_videos_in_another_folder_are_listed_once_and_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    videos = tmp_path / "videos"
    (videos / "deep").mkdir(parents=True)
    for name in ("1.webm", "deep/2.webm"):
        (videos / name).write_bytes(b"no video")
    walks, walk = [], listing.os.walk

    def counted(*args: object, **options: object) -> object:
        walks.append(args)
        return walk(*args, **options)

    monkeypatch.setattr(listing.os, "walk", counted)
    clips = opened(written(tmp_path / "list.json", [something("1"), something("2"), something("3")]), videos=videos)
    assert [clip.id for clip in clips] == ["1.webm", "deep/2.webm", "3.webm"]
    assert clips[0].stamp.startswith("1.webm 8 bytes, modified at ")
    assert len(walks) == 1
    with pytest.raises(InputError, match=r"1\.webm"):
        clips[0].load()


def test_layout_is_told_by_content(tmp_path: Path):
    clips = [
        *opened(written(tmp_path / "activity_net.csv", [diving("a")])),
        *opened(written(tmp_path / "diving.json", "\ufeffyoutube_id,time_start,time_end\nb,0,9.5\n")),
        *opened(written(tmp_path / "kinetics.JSON", activitynet(c=[segment(0, 1)]))),
    ]
    assert [clip.id for clip in clips] == ["a.mp4", "b_000000_000009.mp4", "v_c.mp4@0-1"]


def test_video_that_lies_at_two_places(tmp_path: Path):
    for folder in ("train", "val"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mp4").touch()
    (clip,) = opened(written(tmp_path / "list.json", [diving("a")]))
    with pytest.raises(InputError, match=r"a\.mp4 could be .*train.a\.mp4 or .*val.a\.mp4; keep one"):
        clip.load()


def test_a_name_is_not_a_path(tmp_path: Path):
    (tmp_path / "a.mp4").touch()
    (clip,) = opened(written(tmp_path / "list.json", [diving("../a")]))
    with pytest.raises(InputError, match=r"\.\./a\.mp4 is not below"):
        clip.load()


def test_empty_segment_fails_when_loaded(tmp_path: Path):
    write_video(tmp_path / "v_a.mp4", 20)
    (clip,) = opened(written(tmp_path / "list.json", activitynet(a=[segment(0.3, 0.3)])))
    with pytest.raises(InputError, match=r"no frame is in the segment from 0\.3 s to 0\.3 s"):
        clip.load()


@pytest.mark.parametrize(
    "content", ["{}", "[]", '["a"]', '{"a": 1}', '[{"name": "a"}]', "hello", "", '{"database": 1}']
)
def test_unknown_content(content: str, tmp_path: Path):
    match = r"list\.json has no supported annotations; allowed: .*ActivityNet.*Something.*Else.*Diving48.*Kinetics"
    with pytest.raises(InputError, match=match):
        opened(written(tmp_path / "list.json", content))


KINETICS = "label,youtube_id,time_start,time_end,split\nhop,a,0,10,val\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", r"list\.json is not JSON"),
        ("[" * 200_000, "nests too deeply"),
        (activitynet(), "lists no annotated video"),
        (activitynet(a=[]), "lists no annotated video"),
        (activitynet(a=None), r"list\.json, record 'a', has no annotations"),
        ({"database": {"a": []}}, r"record 'a', is \[\]; expected a record"),
        (activitynet(a=[3]), r"record 'a', annotations \[0\] is 3; expected a record"),
        (activitynet(a=[{"label": "x"}]), "record 'a', has no segment; expected"),
        (activitynet(a=[{"segment": [1], "label": "x"}]), r"record 'a', has the segment \[1\]"),
        (activitynet(a=[segment("0", 1)]), "record 'a', has the segment '0'; expected seconds"),
        (activitynet(a=[segment(True, 1)]), "has the segment True"),
        (activitynet(a=[segment(-1, 1)]), "has the segment -1"),
        (activitynet(a=[segment(0, float("nan"))]), "has the segment nan"),
        (activitynet(a=[segment(2, 1)]), r"has the segment \[2, 1\]; expected an end that is later"),
        (activitynet(a=[segment(0, 1, None)]), "record 'a', has no label"),
        ([something("1"), 5], r"list\.json, record \[1\], is 5; expected a record"),
        ([something("1"), something(2)], r"record \[1\], has the id 2; expected a text"),
        ([something("1", template=["x"])], r"record \[0\], has the template \['x'\]"),
        ([{"id": "1", "placeholders": []}], r"record \[0\], has no template"),
        (
            [something("1"), something("1", template="Tilting")],
            r"record \[1\], lists 1\.webm again with the label 'Tilting', after .*record \[0\] with .*; remove one",
        ),
        ([diving("a"), {"label": 1}], r"record \[1\], has no vid_name"),
        ([diving("a", "12")], r"record \[0\], has the label '12'; expected the number of a class"),
        ([diving("a", True)], "has the label True"),
        (KINETICS.splitlines()[0], "lists no annotated video"),
        (KINETICS + "hop,,0,10,val", r"list\.json, line 3, has the youtube_id ''"),
        (KINETICS + "hop,b,soon,10,val", "line 3, has the time_start 'soon'; expected seconds"),
        (KINETICS + "hop,b,1,inf,val", "line 3, has the time_end inf"),
        (KINETICS + "hop,b,1", "line 3, has no time_end"),
        (KINETICS + "hop,b,9,1,val", r"line 3, has the time_end \[9\.0, 1\.0\]"),
        (KINETICS + ",b,1,9,val", "line 3, has the label ''"),
        (KINETICS + "jump,a,0,10,val", r"line 3, lists a_000000_000010\.mp4 again with the label 'jump'"),
        (KINETICS + '"hop', "cannot be read as annotations"),
    ],
)
def test_mistakes(content: object, message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message) as error:
        opened(written(tmp_path / "list.json", content))
    assert "\n" not in str(error.value)


KINETICS_JSON = {
    name: {"annotations": {"label": "hop", "segment": [1.0, 11.0]}, "duration": 10.0, "subset": "train", "url": "u"}
    for name in ("a", "b", "c")
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train.json", KINETICS_JSON),
        (
            "train.txt",
            "label,youtube_id,time_start,time_end,split\nhop,a,1,11,train\nhop,b,1,11,train\nhop,c,1,11,train",
        ),
        ("train.tsv", "youtube_id\ttime_start\ttime_end\tlabel\na\t1\t11\thop\nb\t1\t11\thop\nc\t1\t11\thop\n"),
        (
            "train.csv",
            "label,youtube_id,time_start,time_end,split,is_cc\n" + "".join(f"hop,{x},1,11,train,0\n" for x in "abc"),
        ),
    ],
)
def test_kinetics_in_every_published_form(name: str, content: object, tmp_path: Path):
    (tmp_path / "videos" / "hop").mkdir(parents=True)
    for video in ("a_000001_000011.mp4", "b.mkv"):
        (tmp_path / "videos" / "hop" / video).touch()
    path = written(tmp_path / name, content)
    with pytest.warns(Note) as notes:
        clips = open_clips(path, frames=4, stride=2, size=(32, 64), videos=tmp_path / "videos")
    assert [(clip.id, clip.label) for clip in clips] == [
        ("hop/a_000001_000011.mp4", "hop"),
        ("hop/b.mkv@1-11", "hop"),
        ("c_000001_000011.mp4", "hop"),
    ]
    assert sorted(str(shown.message) for shown in notes) == [
        f"{path}: 1 of 3 entries are named without their times and are taken for whole videos, of which the listed "
        "segment is read",
        f"{path}: 1 of 3 entries are not there and are skipped",
    ]


def test_records_of_kinetics_with_mistakes(tmp_path: Path):
    for record, message in (
        ({"subset": "val", "url": "u"}, "record 'a', annotations is None; expected a record"),
        ({"subset": "val", "url": "u", "annotations": {"label": "hop"}}, "has no segment"),
        ({"subset": "val", "url": "u", "annotations": {"label": 3, "segment": [0, 1]}}, "has the label 3"),
    ):
        with pytest.raises(InputError, match=message):
            opened(written(tmp_path / "val.json", {"a": record}))


def test_what_is_listed_again_alike_is_left_out_and_counted(tmp_path: Path):
    (tmp_path / "1.webm").touch()
    path = written(tmp_path / "list.json", [something("1"), something("1"), something("1")])
    with pytest.warns(Note, match="2 of 3 entries are listed again, with the same label, and are left out"):
        (clip,) = open_clips(path, frames=4, stride=2, size=(32, 64))
    assert clip.id == "1.webm"


def test_published_kinetics(shared: Path):
    path = shared / "real" / "annotations" / "kinetics-400_val.csv"
    if not path.exists():
        pytest.skip("no folder real/annotations in shared/: published lists are not part of the checkout")
    clips = opened(path)
    assert len(clips) > 19_000
    assert (clips[0].id, clips[0].label) == ("0wR5jVB-WPk_000417_000427.mp4", "abseiling")
    assert len({clip.label for clip in clips}) == 400


def test_videos_that_do_not_apply(tmp_path: Path):
    manifest = written(tmp_path / "manifest.csv", "path\na.mp4\n")
    assert [clip.id for clip in opened(manifest)] == ["a.mp4"]
    with pytest.raises(InputError, match=r"manifest\.csv is a manifest"):
        opened(manifest, videos=tmp_path)
    with pytest.raises(InputError, match="is not a file of annotations; leave videos out"):
        opened(tmp_path, videos=tmp_path)
    with pytest.raises(InputError, match="gone, which is not a folder"):
        opened(written(tmp_path / "list.json", [diving("a")]), videos=tmp_path / "gone")
