"""Data sets of video segmentation: miniature files in the layouts of the data sets, whole and with mistakes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import sdmetrics.clips.segmentation.annotated_video as annotated
import sdmetrics.clips.segmentation.datasets as segmentation_clips
from sdmetrics.clips.clip import VOID
from sdmetrics.errors import InputError
from sdmetrics.loading.open import open_clips as open_model_clips
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.requests import open_clips, open_segmentation
from tests.helpers.segmentation_files import (
    HEIGHT,
    SIZE,
    VIA,
    WIDTH,
    box_xml,
    compressed,
    ids,
    moving,
    opened,
    runs,
    shown,
    square,
    via,
    vis_file,
    vis_object,
    vis_video,
    write_davis,
    write_imagenet_vid,
    write_images,
    write_moca,
    write_png,
    write_youtube_vos,
    written,
)
from tests.helpers.videos import numbers_of


def test_davis(tmp_path: Path):
    write_davis(tmp_path, {"bear": 5, "camel": 4})
    bear, camel = opened(tmp_path)
    assert ids([bear, camel]) == [bear.video, camel.video] == ["bear", "camel"]
    assert (bear.label, bear.frames.shape) == (None, (1, *SIZE, 3))
    assert shown([bear, camel]) == [[2], [1]]
    assert (bear.masks == square(2, 1)).all()
    assert bear.masks.dtype == np.uint8


def test_frames_are_stretched_and_not_cropped(tmp_path: Path):
    write_davis(tmp_path, {"bear": 3})
    for size in ((20, 200), (200, 24), (64, 128)):
        (clip,) = open_segmentation(tmp_path, frames=1, stride=1, size=size)
        assert clip.frames.shape == (1, *size, 3)
        assert numbers_of(clip.frames) == [1]
        assert clip.masks.shape == (1, HEIGHT, WIDTH)


def test_all_annotated_frames_one_by_one(tmp_path: Path):
    write_davis(tmp_path, {"bear": 4})
    clips = opened(tmp_path, clips_per_video=None)
    assert ids(clips) == ["bear#0", "bear#1", "bear#2", "bear#3"]
    assert {clip.video for clip in clips} == {"bear"}
    assert shown(clips) == [[0], [1], [2], [3]]
    assert all((clip.masks == square(number, 1)).all() for number, clip in enumerate(clips))
    assert len({clip.stamp for clip in clips}) == 4


def test_splits_of_davis(tmp_path: Path):
    write_davis(tmp_path, {"bear": 3, "camel": 3, "dog": 3})
    pairs = [
        f"/JPEGImages/480p/{v}/0000{n}.jpg /Annotations/480p/{v}/0000{n}.png" for v in ("dog", "bear") for n in (0, 1)
    ]
    written(tmp_path / "ImageSets" / "480p" / "val.txt", "\n".join(pairs))
    written(tmp_path / "ImageSets" / "2016" / "train.txt", "camel\n")
    written(tmp_path / "ImageSets" / "2016" / "val.txt", "camel\n")
    written(tmp_path / "ImageSets" / "2017" / "few.txt", "bear\n\ndog\n")
    assert ids(opened(tmp_path, split="val")) == ["dog", "bear"]
    assert ids(opened(tmp_path, split="train")) == ["camel"]
    assert ids(opened(tmp_path, split="few")) == ["bear", "dog"]
    own = written(tmp_path / "mine.txt", "camel\ndog")
    assert ids(opened(tmp_path, split=own)) == ids(opened(tmp_path, split=str(own))) == ["camel", "dog"]
    with pytest.raises(InputError, match=r"split is test; allowed: a file .* in every line, or few, or train, or val"):
        opened(tmp_path, split="test")


def test_davis_in_several_resolutions(tmp_path: Path):
    write_davis(tmp_path / "DAVIS", {"bear": 3}, "1080p")
    assert ids(opened(tmp_path)) == ids(opened(tmp_path / "DAVIS")) == ["bear"]
    write_davis(tmp_path / "DAVIS", {"bear": 3, "camel": 3}, "480p")
    assert ids(opened(tmp_path / "DAVIS")) == ["bear", "camel"]


def test_youtube_vos(tmp_path: Path):
    write_youtube_vos(tmp_path / "train", {"003234408d": ["penguin", "penguin"], "0043f083b5": ["dog", "person"]})
    for path in (tmp_path, tmp_path / "train"):
        penguins, mixed = opened(path)
        assert ids([penguins, mixed]) == ["003234408d", "0043f083b5"]
        assert (penguins.label, mixed.label) == ("penguin", None)
        assert shown([penguins]) == [[5]]
        assert (penguins.masks == square(5, 1, 2)).all()
    assert shown(opened(tmp_path / "train", clips_per_video=None)[:3]) == [[0], [5], [10]]
    assert shown(opened(tmp_path / "train", clips_per_video=2)[:2]) == [[0], [10]]
    # Of a clip of several frames, those without a mask are not annotated.
    clip = opened(tmp_path / "train", frames=3, stride=2)[0]
    assert shown([clip]) == [[2, 4, 7]]
    assert (clip.masks == VOID).all()
    clip = opened(tmp_path / "train", frames=3, stride=3)[0]
    assert shown([clip]) == [[1, 5, 9]]
    assert (clip.masks[1] == square(5, 1, 2)).all()
    assert (clip.masks[[0, 2]] == VOID).all()


def test_splits_that_are_folders(tmp_path: Path):
    write_youtube_vos(tmp_path / "train", {"a": ["dog"]})
    write_youtube_vos(tmp_path / "valid", {"b": ["dog"]})
    assert ids(opened(tmp_path, split="valid")) == ["b"]
    with pytest.raises(InputError, match="several sets of annotated videos: train, valid; pass one of them as split"):
        opened(tmp_path)
    with pytest.raises(InputError, match="train, valid; pass one"):
        opened(tmp_path, split="test")


def test_tao_vos(tmp_path: Path):
    folder = Path("ArgoVerse", "aebe6aaa", "ring front")
    for number in (8, 9, 10, 11):
        write_images(tmp_path / "frames" / "train" / folder, [number], "frame{}.jpg")
        mask = square(number, 3, 200, VOID)
        write_png(tmp_path / "annotations" / "train" / folder / f"frame{number}.png", mask, palette=True)
    write_images(tmp_path / "frames" / "test" / "no annotation", [1])
    (clip,) = opened(tmp_path, clips_per_video=1, split="train")
    assert clip.id == "train/ArgoVerse/aebe6aaa/ring front"
    assert shown([clip]) == [[9]]
    assert (clip.masks == square(9, 3, 200, VOID)).all()
    with pytest.raises(InputError, match=r"split is test; allowed: .*, or train$"):
        opened(tmp_path, split="test")


def test_imagenet_vid(tmp_path: Path):
    video = "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000"
    small, large = (0, 10, 19, 20, 29), (4, -5, 300, 2, 63)
    write_imagenet_vid(tmp_path, video, [box_xml(), box_xml(small, large), box_xml(large, small)])
    write_images(tmp_path / "Data" / "VID" / "test" / "ILSVRC2015_test_00000000", [0])
    clips = opened(tmp_path, clips_per_video=None)
    assert ids(clips) == [f"{video}#0", f"{video}#1", f"{video}#2"]
    assert not clips[0].masks.any()
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[2:] = 5
    expected[20:30, 10:20] = 1
    assert (clips[1].masks == expected).all()
    assert (clips[2].masks == expected).all()
    assert ids(opened(tmp_path, split="train")) == [video]


def test_youtube_vis(tmp_path: Path):
    first, second = moving(1), [runs(square(number, 0, 1) > 0) for number in range(4)]
    second[1] = None
    second[2]["counts"] = compressed(second[2]["counts"])
    second[3] = [[4.0, 24.0, 24.0, 24.0, 24.0, 36.0, 4.0, 36.0]]
    objects = [vis_object(7, 2, first), vis_object(9, 2, second, category=2), vis_object(8, 5, moving(1), category=2)]
    content = vis_file([vis_video(2, "0043f083b5"), vis_video(5, "00f88c4f0a"), vis_video(6, "00f88c4f0b")], objects)
    path = written(tmp_path / "train.json", content)
    for name in ("0043f083b5", "00f88c4f0a", "00f88c4f0b"):
        write_images(tmp_path / "train" / "JPEGImages" / name, range(4))
    clips = opened(path, clips_per_video=None)
    assert ids(clips[::4]) == ["0043f083b5#0", "00f88c4f0a#0", "00f88c4f0b#0"]
    assert [clip.label for clip in clips[::4]] == [None, "dog", None]
    assert shown(clips[:4]) == [[0], [1], [2], [3]]
    still = square(0, 0, 2)
    expected = [square(0, 1, 2), square(1, 1), square(2, 1, 2), np.where(still > 0, still, square(3, 1))]
    for clip, mask in zip(clips, expected, strict=False):
        assert (clip.masks == mask).all()
    assert not clips[8].masks.any()
    (clip,) = opened(path, frames=3, stride=1, split=written(tmp_path / "one.txt", "00f88c4f0a"))
    assert (clip.masks == np.stack([square(number, 1) for number in range(3)])).all()


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("train.json", "train/JPEGImages"),
        ("train/instances.json", "train/JPEGImages"),
        ("annotations_train.json", "train"),
        ("annotations/train.json", "JPEGImages"),
        ("train.json", "."),
    ],
)
def test_images_near_the_json_file(tmp_path: Path, file: str, images: str):
    content = vis_file([vis_video(1, "gone"), vis_video(2, "a")], [vis_object(1, 2, moving(1))])
    path = written(tmp_path / file, content)
    write_images(tmp_path / images / "a", range(4))
    gone, clip = opened(path)
    assert shown([clip]) == [[1]]
    with pytest.raises(InputError, match=r"gone.00001\.jpg cannot be read"):
        gone.load()


def test_images_elsewhere(tmp_path: Path):
    path = written(tmp_path / "lists" / "train.json", vis_file([vis_video(2, "a")], [vis_object(1, 2, moving(1))]))
    write_images(tmp_path / "far" / "away" / "JPEGImages" / "a", range(4))
    with pytest.raises(InputError, match=r"lists a/00000\.jpg, but neither .* pass the folder of the images as videos"):
        opened(path)
    for videos in ("far/away", "far/away/JPEGImages"):
        assert shown(opened(path, videos=tmp_path / videos)) == [[1]]
    with pytest.raises(InputError, match=r"is below .*gone; pass the folder"):
        opened(path, videos=tmp_path / "gone")


def test_moca(tmp_path: Path):
    lines = [
        via("/crab/00000.jpg", "[2,10,20,30,15]"),
        via("/crab/00005.jpg", "[2,-4.5,60.2,20,300]"),
        via('"[""/crab/00010.jpg""]"', "[2,300,300,5,5]"),
        via("/crab/00003.jpg", "[]"),
        via("/owl_1/00000.jpg", "[2,0,0,2,2]"),
        via("/owl_1/00000.jpg", "[2,1,1,2,2]"),
    ]
    write_moca(tmp_path, VIA + "".join(lines), {"crab": 11, "owl_1": 2, "not listed": 2})
    for path in (tmp_path, tmp_path / "Annotations" / "annotations.csv"):
        clips = opened(path, clips_per_video=None)
        assert ids(clips) == ["crab#0", "crab#1", "crab#2", "owl_1"]
        assert shown(clips) == [[0], [5], [10], [0]]
        whole, cut, outside, two = (clip.masks[0] for clip in clips)
        assert np.argwhere(whole)[[0, -1]].tolist() == [[20, 10], [34, 39]]
        assert whole.sum() == 30 * 15
        assert np.argwhere(cut)[[0, -1]].tolist() == [[60, 0], [63, 14]]
        assert not outside.any()
        assert two[:3, :3].tolist() == [[1, 1, 0], [1, 2, 2], [0, 2, 2]]


def test_moca_as_a_plain_table(tmp_path: Path):
    lines = ",file_list,spatial_coordinates,metadata\n0,/crab/00001.jpg,\"[2,4,5,6,7]\",{'1': '0'}\n"
    write_moca(tmp_path, lines, {"crab": 3})
    shutil.move(tmp_path / "Annotations" / "annotations.csv", tmp_path / "annotations.csv")
    (clip,) = opened(tmp_path, split=written(tmp_path / "locomotion.txt", "crab\n"))
    assert shown([clip]) == [[1]]
    assert np.argwhere(clip.masks[0])[[0, -1]].tolist() == [[5, 4], [11, 9]]


def test_other_data_are_left_to_others(tmp_path: Path):
    write_images(tmp_path / "frames only" / "JPEGImages" / "bear", range(3))
    (tmp_path / "frames only" / "Annotations").mkdir()
    written(tmp_path / "manifest.csv", "path\na.mp4\n")
    written(tmp_path / "list.json", [{"id": "1", "template": "Moving [something]"}])
    written(tmp_path / "broken.json", "{")
    written(tmp_path / "empty.csv", "")
    written(tmp_path / "bytes.csv", "path").write_bytes(b"\xff\xfe\n")
    for name in (
        ".",
        "frames only",
        "manifest.csv",
        "list.json",
        "broken.json",
        "empty.csv",
        "bytes.csv",
        "a.mp4",
        "gone",
    ):
        assert open_segmentation(tmp_path / name, frames=1, stride=1, size=SIZE) is None


def test_open_clips_knows_these_data_sets(tmp_path: Path):
    write_davis(tmp_path / "set", {"bear": 3, "camel": 3})
    options = {"split": written(tmp_path / "list.txt", "camel"), "clips_per_video": None}
    found = open_clips(tmp_path / "set", frames=1, stride=1, size=SIZE, **options)
    assert ids(found) == ["camel#0", "camel#1", "camel#2"]
    assert [clip.stamp for clip in found] == [clip.stamp for clip in opened(tmp_path / "set", **options)]
    write_images(tmp_path / "frames", range(3))
    for path in (tmp_path / "frames", "world:3"):
        with pytest.raises(InputError, match=r"split is val, but .* is not a data set with masks; leave split out"):
            open_clips(path, frames=1, stride=1, size=(40, 40), split="val")
    with pytest.raises(InputError, match="clips_per_video is 0; expected at least 1"):
        open_clips(tmp_path / "frames", frames=1, stride=1, size=(40, 40), clips_per_video=0)
    assert len(open_clips(tmp_path / "frames", frames=1, stride=1, size=(40, 40), clips_per_video=None)) == 1
    assert len(open_clips("camouflage:3", frames=1, stride=1, size=(48, 48), clips_per_video=None)) == 3


def test_flow_is_kept_for_models_that_read_it(tmp_path: Path):
    write_davis(tmp_path / "set", {"bear": 3})
    image = ModelInput("image", frames=1, stride=1, size=SIZE, layout="NCHW")
    for inputs, files in (([image], 0), ([image, replace(image, name="flow", source="flow")], 1)):
        (clip,) = open_model_clips(tmp_path / "set", SimpleNamespace(inputs=inputs), cache=tmp_path / "kept")
        assert clip.flow.shape == (1, *SIZE, 2)
        assert len(list(tmp_path.glob("kept/*.npy"))) == files


def test_centre_bias_of_a_split(tmp_path: Path, command: Callable[..., tuple[int, str, str]]):
    write_davis(tmp_path / "DAVIS", {"bear": 3, "camel": 3})
    split = written(tmp_path / "list.txt", "camel\nbear\nfox")
    code, out, _ = command("centre-bias", tmp_path / "DAVIS", "--split", split, "--out", tmp_path / "out")
    assert code == 0
    row = next(line for line in out.splitlines() if line.strip().startswith("DAVIS "))
    assert row.split()[-3:] == ["6", "6", "1"]
    assert "DAVIS: skipped fox: " in out


# --- which frames --------------------------------------------------------------------------------------------------


def test_clips_of_several_frames_are_cut_as_windows(tmp_path: Path):
    write_davis(tmp_path, {"bear": 20})
    assert shown(opened(tmp_path, frames=4, stride=2)) == [[6, 8, 10, 13]]
    clips = opened(tmp_path, frames=4, stride=2, clips_per_video=3)
    assert ids(clips) == ["bear#0", "bear#1", "bear#2"]
    assert [numbers[0] for numbers in shown(clips)] == [0, 6, 12]


def test_opening_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_youtube_vos(tmp_path, {"a": ["dog"]})

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(segmentation_clips, "read_image", refuse)
    monkeypatch.setattr(annotated, "image_size", refuse)
    (clip,) = opened(tmp_path)
    for load in (clip.load, clip.load_masks, clip.load_flow):
        assert load is not None
        with pytest.raises(AssertionError, match="decoded"):
            load()


@pytest.mark.parametrize(("clips_per_video", "message"), [(-1, "clips_per_video is -1; expected at least 1")])
def test_numbers_of_clips(tmp_path: Path, clips_per_video: int, message: str):
    with pytest.raises(InputError, match=message):
        opened(write_davis(tmp_path, {"bear": 3}), clips_per_video=clips_per_video)
