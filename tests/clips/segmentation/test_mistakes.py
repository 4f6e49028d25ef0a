"""Data sets of video segmentation with mistakes: each is named by file and record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.errors import InputError
from tests.helpers.segmentation_files import (
    HEIGHT,
    VIA,
    WIDTH,
    box_xml,
    ids,
    moving,
    opened,
    shown,
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

MASK, IMAGE = Path("Annotations", "480p", "bear", "00001.png"), Path("JPEGImages", "480p", "bear", "00001.jpg")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / MASK).unlink(), r"00001\.png cannot be read"),
        (lambda root: (root / MASK).write_bytes(b"no image"), r"00001\.png is damaged"),
        (lambda root: (root / MASK).write_bytes(b""), r"00001\.png is empty"),
        (
            lambda root: write_png(root / MASK, np.zeros((9, 7), np.uint8)),
            r"00001\.jpg is 64 × 128 pixels and its mask 9 × 7; take both",
        ),
        (lambda root: (root / IMAGE).unlink(), r"00001\.jpg cannot be read"),
    ],
)
def test_mistakes_of_one_frame(tmp_path: Path, damage: Callable[[Path], object], message: str):
    write_davis(tmp_path, {"bear": 3})
    clips = opened(tmp_path, clips_per_video=None)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        _ = clips[1].masks
    assert clips[0].masks.any()


def test_mistakes_of_one_video(tmp_path: Path):
    write_davis(tmp_path, {"bear": 3, "camel": 3, "dog": 3, "eel": 3})
    (tmp_path / IMAGE).unlink()
    shutil.rmtree(tmp_path / "JPEGImages" / "480p" / "camel")
    write_png(tmp_path / "JPEGImages" / "480p" / "dog" / "00001.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    listed = written(tmp_path / "list.txt", "bear\ncamel\ndog\nfox\neel\n")
    for options in ({}, {"clips_per_video": 2}, {"clips_per_video": None}):
        clips = opened(tmp_path, split=listed, **options)
        by_video = {clip.video: clip for clip in clips}
        assert shown([by_video.pop("eel")])
        assert len(ids(clips)) == len(set(ids(clips)))
        messages = {
            "bear": r"bear.00001 is annotated, but there is no such image",
            "camel": r"camel.00000 is annotated, but there is no such image",
            "dog": r"dog.00001 is there with two suffixes",
            "fox": r"list\.txt, line 4, lists fox, which is not an annotated video below",
        }
        assert by_video.keys() == messages.keys()
        for video, clip in by_video.items():
            for load in (clip.load, clip.load_masks, clip.load_flow):
                with pytest.raises(InputError, match=messages[video]):
                    load()


def test_images_of_different_sizes(tmp_path: Path):
    write_davis(tmp_path, {"bear": 2})
    write_png(tmp_path / IMAGE.with_suffix(".png"), np.zeros((10, 20), np.uint8))
    write_png(tmp_path / MASK, np.zeros((10, 20), np.uint8))
    (tmp_path / IMAGE).unlink()
    (clip,) = opened(tmp_path, frames=2)
    with pytest.raises(InputError, match="bear has images of different sizes"):
        _ = clip.masks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"list\.txt lists no video"),
        ("bear\nbear\n", r"list\.txt, line 2, lists bear again, after .*line 1; remove one"),
        (b"\xff\xfe", r"list\.txt cannot be read as a list of videos"),
    ],
)
def test_mistakes_of_a_split(tmp_path: Path, text: str | bytes, message: str):
    write_davis(tmp_path, {"bear": 3})
    (tmp_path / "list.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError, match=message) as error:
        opened(tmp_path, split=tmp_path / "list.txt")
    assert "\n" not in str(error.value)


def test_names_that_are_too_long(tmp_path: Path):
    write_davis(tmp_path / "set", {"bear": 3})
    with pytest.raises(InputError, match=r"split is a+; allowed: a file with the name"):
        opened(tmp_path / "set", split="a" * 300)
    video = vis_video(1, "a", file_names=[f"{'a' * 300}.jpg"])
    (tmp_path / "list.json").write_text(json.dumps(vis_file([video], [vis_object(1, 1, [])])))
    with pytest.raises(InputError, match=r"lists a+\.jpg, but neither it nor"):
        opened(tmp_path / "list.json")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("{", r"meta\.json cannot be read as JSON"),
        ([], r"meta\.json is \[\]; expected a record"),
        ({"videos": None}, r"meta\.json, videos, is None"),
        ({"videos": {"a": 5}}, r"meta\.json, video 'a', is 5"),
        ({"videos": {"a": {}}}, r"meta\.json, video 'a', objects, is None"),
        ({"videos": {"a": {"objects": {"1": 5}}}}, r"meta\.json, video 'a', object '1', is 5"),
    ],
)
def test_mistakes_of_categories(tmp_path: Path, meta: object, message: str):
    write_youtube_vos(tmp_path, {"a": ["dog"]})
    written(tmp_path / "meta.json", meta)
    with pytest.raises(InputError, match=message):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("no xml", r"000000\.xml cannot be read as XML"),
        ("", r"000000\.xml cannot be read as XML"),
        ("<annotation></annotation>", r"000000\.xml, size, has no size/height"),
        (box_xml(size=(10, 20)), r"000000\.xml is for 10 × 20 pixels, but its image has 64 × 128"),
        (box_xml((254, 1, 2, 1, 2)), r"000000\.xml has object number 255; allowed: 1 to 254"),
        (box_xml((0, 9, 2, 1, 2)), r"000000\.xml, object \[0\], ends before it begins, at \(2, 2\)"),
        (box_xml((0, 1, 2, 1, 2)).replace("<xmin>1</xmin>", ""), r"object \[0\], has no bndbox/xmin"),
        (box_xml((0, 1, 2, 1, 2)).replace("<trackid>0", "<trackid>x"), r"object \[0\], has the trackid 'x'"),
    ],
)
def test_mistakes_of_boxes(tmp_path: Path, xml: str, message: str):
    (clip,) = opened(write_imagenet_vid(tmp_path, "train/a", [xml]))
    assert shown([clip]) == [[0]]
    with pytest.raises(InputError, match=message):
        _ = clip.masks


VIDEO = vis_video(1, "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (vis_file([], [vis_object(1, 1, [])]), "lists no annotated video; use the file of a split"),
        (vis_file([VIDEO], None), "lists no annotated video"),
        (vis_file([VIDEO], []), "lists no annotated video"),
        (vis_file([VIDEO], {"a": 1}), r"list\.json has the annotations \{'a': 1\}; expected a list of objects"),
        (vis_file([VIDEO], [5]), r"list\.json, annotation \[0\], is 5; expected a record"),
        (vis_file([VIDEO], [{"id": 1}]), r"annotation \[0\], has no segmentations; expected a list"),
        (
            vis_file([VIDEO], [vis_object(1, 1, [])] * 2),
            r"annotation \[1\], has the id 1, as .*annotation \[0\]; remove",
        ),
        (vis_file([VIDEO], [vis_object("1", 1, [])]), r"annotation \[0\], has the id '1'; expected a whole number"),
        (vis_file([VIDEO], [vis_object(1, 7, [])]), r"annotation \[0\], has the video_id 7, which is not listed"),
        (vis_file([VIDEO], [vis_object(1, 1, [], category=None)]), r"annotation \[0\], has no category_id"),
        (vis_file([VIDEO], [vis_object(1, 1, [])], categories=None), r"list\.json has no categories; expected a list"),
        (vis_file([VIDEO], [vis_object(1, 1, [])], categories=[{"id": 1}]), r"category \[0\], has no name"),
        (vis_file([5], [vis_object(1, 1, [])]), r"video \[0\], is 5"),
        (vis_file([VIDEO, VIDEO], [vis_object(1, 1, [])]), r"video \[1\], has the id 1, as .*video \[0\]; remove one"),
        (
            vis_file([VIDEO, vis_video(2, "a")], [vis_object(1, 1, [])]),
            r"video \[1\], has images in a, which is the folder of another video",
        ),
        (vis_file([vis_video(True, "a")], [vis_object(1, 1, [])]), r"video \[0\], has the id True"),
        (vis_file([vis_video(1, "a", file_names=[])], [vis_object(1, 1, [])]), r"video \[0\], has the file_names \[\]"),
        (vis_file([vis_video(1, "a", file_names=None)], [vis_object(1, 1, [])]), r"video \[0\], has no file_names"),
        (vis_file([vis_video(1, "a", file_names=["../a.jpg"])], [vis_object(1, 1, [])]), "paths below the folder"),
        (vis_file([vis_video(1, "a", file_names=["/a.jpg"])], [vis_object(1, 1, [])]), "paths below the folder"),
        (vis_file([vis_video(1, "a", file_names=[5])], [vis_object(1, 1, [])]), "paths below the folder"),
    ],
)
def test_mistakes_of_a_json_file(tmp_path: Path, content: object, message: str):
    write_images(tmp_path / "a", range(4))
    with pytest.raises(InputError, match=message) as error:
        opened(written(tmp_path / "list.json", content))
    assert "\n" not in str(error.value)


HERE = r"annotation \[0\], frame 1, has "


@pytest.mark.parametrize(
    ("segmentations", "message"),
    [
        ([None] * 3, r"annotation \[0\], has 3 segmentations, but its video has 4 images"),
        ([5] * 4, r"annotation \[0\], frame 1, is 5"),
        ([{"counts": [1]}] * 4, HERE + r"no size; expected \[64, 128\], the size of its image"),
        ([{"counts": [1], "size": [1, 1]}] * 4, HERE + r"the size \[1, 1\]"),
        ([{"size": [64, 128]}] * 4, HERE + "no counts"),
        ([{"size": [64, 128], "counts": {}}] * 4, HERE + r"the counts \{\}"),
        ([{"size": [64, 128], "counts": [5, 5]}] * 4, HERE + r"runs that do not add up to 64 × 128 pixels: \[5, 5\]"),
        ([{"size": [64, 128], "counts": [8193, -1]}] * 4, HERE + "runs that do not add up"),
        ([{"size": [64, 128], "counts": "!"}] * 4, HERE + "the counts '!', which are not run lengths"),
        ([[5]] * 4, HERE + "the polygon 5"),
    ],
)
def test_masks_that_cannot_be_decoded(tmp_path: Path, segmentations: list[object], message: str):
    write_images(tmp_path / "a", range(4))
    (clip,) = opened(written(tmp_path / "list.json", vis_file([VIDEO], [vis_object(1, 1, segmentations)])))
    assert shown([clip]) == [[1]]
    with pytest.raises(InputError, match=message):
        _ = clip.masks


def test_more_objects_than_a_mask_holds(tmp_path: Path):
    write_images(tmp_path / "a", range(4))
    masks = moving(1)
    objects = [vis_object(number, 1, masks) for number in range(255)]
    (clip,) = opened(written(tmp_path / "list.json", vis_file([VIDEO], objects)))
    with pytest.raises(InputError, match=r"video \[0\], has object number 255; allowed: 1 to 254"):
        _ = clip.masks


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", r"annotations\.csv lists no box"),
        (via("/crab/00000.jpg", "[]"), "lists no box"),
        (via("/crab/00000.jpg", "[1,2,3]"), r"line 5, has the spatial_coordinates '\[1,2,3\]'; expected \[2, x, y,"),
        (via("/crab/00000.jpg", "[3,2,3,4,5]"), "line 5, has the spatial_coordinates"),
        (via("/crab/00000.jpg", "[2,2,3,4,NaN]"), "line 5, has the spatial_coordinates"),
        (via("/crab/00000.jpg", "[2,2,3,4,null]"), "line 5, has the spatial_coordinates"),
        (via("/crab/00000.jpg", "box"), "line 5, has the spatial_coordinates 'box'"),
        (via("", "[2,1,2,3,4]"), "line 5, has the file_list ''; expected one image"),
        (via("00000.jpg", "[2,1,2,3,4]"), r"line 5, has the file_list '00000\.jpg'"),
        (via("/../crab/00000.jpg", "[2,1,2,3,4]"), "line 5, has the file_list"),
        (via('"[""/a/1.jpg"",""/a/2.jpg""]"', "[2,1,2,3,4]"), "line 5, has the file_list"),
    ],
)
def test_mistakes_of_moca(tmp_path: Path, lines: str, message: str):
    write_moca(tmp_path, VIA + lines, {"crab": 2})
    with pytest.raises(InputError, match=message) as error:
        opened(tmp_path)
    assert "\n" not in str(error.value)


def test_mistakes_of_one_video_of_moca(tmp_path: Path):
    lines = via("/crab/00000.jpg", "[2,1,2,0,4]") + via("/owl/00000.jpg", "[2,1,2,3,4]")
    crab, owl = opened(write_moca(tmp_path, VIA + lines, {"crab": 2}))
    with pytest.raises(InputError, match=r"annotations\.csv, line 5, has a box of 0 × 4 pixels"):
        _ = crab.masks
    with pytest.raises(InputError, match=r"owl.00000 is annotated, but there is no such image"):
        owl.load()
    shutil.rmtree(tmp_path / "JPEGImages")
    with pytest.raises(InputError, match="needs the folder JPEGImages"):
        opened(tmp_path)
