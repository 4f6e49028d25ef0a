"""Data sets of video segmentation: miniature files in the layouts of the data sets, whole and with mistakes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

import sdmetrics.clips.annotated as annotated
import sdmetrics.clips.segmentation as segmentation_clips
from sdmetrics.clips.clip import VOID, Clip
from sdmetrics.clips.datasets import open_clips
from sdmetrics.clips.flow import estimate_flow
from sdmetrics.clips.segmentation import open_segmentation
from sdmetrics.clips.video import read_video
from sdmetrics.clips.window import Window
from sdmetrics.errors import InputError
from sdmetrics.opening import open_clips as open_model_clips
from sdmetrics.views import ModelInput
from tests.segmentation_files import (
    HEIGHT,
    VIA,
    WIDTH,
    box_xml,
    compressed,
    runs,
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
)
from tests.videos import numbers_of

SIZE = (48, 40)


def opened(path: Path, frames: int = 1, stride: int = 1, **more: object) -> list[Clip]:
    clips = open_segmentation(path, frames=frames, stride=stride, size=SIZE, **more)
    assert clips is not None
    return clips


def ids(clips: Sequence[Clip]) -> list[str]:
    return [clip.id for clip in clips]


def shown(clips: Sequence[Clip]) -> list[list[int]]:
    return [numbers_of(clip.frames) for clip in clips]


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# --- layouts -------------------------------------------------------------------------------------------------------


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
    clips = opened(tmp_path, clips_per_video=0)
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
    assert shown(opened(tmp_path / "train", clips_per_video=0)[:3]) == [[0], [5], [10]]
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
    with pytest.raises(InputError, match="several sets of annotated videos: train, valid; give one of them as split"):
        opened(tmp_path)
    with pytest.raises(InputError, match="train, valid; give one"):
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
    clips = opened(tmp_path, clips_per_video=0)
    assert ids(clips) == [f"{video}#0", f"{video}#1", f"{video}#2"]
    assert not clips[0].masks.any()
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[2:] = 5
    expected[20:30, 10:20] = 1
    assert (clips[1].masks == expected).all()
    assert (clips[2].masks == expected).all()
    assert ids(opened(tmp_path, split="train")) == [video]


def moving(*values: int, length: int = 4) -> list[dict[str, object]]:
    return [runs(square(number, *values) > 0) for number in range(length)]


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
    clips = opened(path, clips_per_video=0)
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
    with pytest.raises(InputError, match=r"lists a/00000\.jpg, but neither .* give the folder of the images as videos"):
        opened(path)
    for videos in ("far/away", "far/away/JPEGImages"):
        assert shown(opened(path, videos=tmp_path / videos)) == [[1]]
    with pytest.raises(InputError, match=r"is below .*gone; give the folder"):
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
        clips = opened(path, clips_per_video=0)
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
    options = {"split": written(tmp_path / "list.txt", "camel"), "clips_per_video": 0}
    found = open_clips(tmp_path / "set", frames=1, stride=1, size=SIZE, **options)
    assert ids(found) == ["camel#0", "camel#1", "camel#2"]
    assert [clip.stamp for clip in found] == [clip.stamp for clip in opened(tmp_path / "set", **options)]
    write_images(tmp_path / "frames", range(3))
    for path in (tmp_path / "frames", "world:3"):
        for name in ("split", "flow"):
            with pytest.raises(InputError, match=f"{name} is val, but .* is no data set with masks; leave {name} out"):
                open_clips(path, frames=1, stride=1, size=(40, 40), **{name: "val"})
    with pytest.raises(InputError, match="clips_per_video is 0; without masks it must be at least 1"):
        open_clips(tmp_path / "frames", frames=1, stride=1, size=(40, 40), clips_per_video=0)
    assert len(open_clips("camouflage:3", frames=1, stride=1, size=(48, 48), clips_per_video=0)) == 3


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


def test_clips_of_several_frames_that_cover_a_video(tmp_path: Path):
    write_davis(tmp_path, {"bear": 11})
    clips = opened(tmp_path, frames=4, clips_per_video=0)
    assert shown(clips) == [[0, 1, 2, 3], [4, 5, 6, 7], [7, 8, 9, 10]]
    assert (clips[2].masks == np.stack([square(number, 1) for number in (7, 8, 9, 10)])).all()
    assert shown(opened(tmp_path, frames=2, stride=3, clips_per_video=0)) == [[0, 5], [5, 10]]
    assert shown(opened(tmp_path, frames=6, stride=2, clips_per_video=0)) == [[0, 2, 4, 6, 8, 0]]


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


@pytest.mark.parametrize(("clips_per_video", "message"), [(-1, "clips_per_video is -1; allowed: 1 and more, or 0")])
def test_numbers_of_clips(tmp_path: Path, clips_per_video: int, message: str):
    with pytest.raises(InputError, match=message):
        opened(write_davis(tmp_path, {"bear": 3}), clips_per_video=clips_per_video)


# --- flow ----------------------------------------------------------------------------------------------------------


def write_flo(path: Path, vectors: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = vectors.shape
    path.write_bytes(b"PIEH" + np.array([width, height], "<i4").tobytes() + vectors.astype("<f4").tobytes())


def test_flow_of_a_folder(tmp_path: Path):
    write_davis(tmp_path / "set", {"bear": 4})
    for number in range(4):
        vectors = np.broadcast_to(np.float32([number + 1, 2]), (HEIGHT, WIDTH, 2))
        write_flo(tmp_path / "flow" / "bear" / f"{number:05d}.flo", vectors)
        write_png(tmp_path / "colours" / "bear" / f"{number:05d}.png", np.full((9, 9, 3), 10 * number, np.uint8))
    clip = opened(tmp_path / "set", frames=2, stride=2, flow=tmp_path / "flow")[0]
    assert (clip.flow.shape, clip.flow.dtype) == ((2, *SIZE, 2), np.float32)
    assert np.allclose(clip.flow[:, 5, 5], [[1 * SIZE[1] / WIDTH, 2 * SIZE[0] / HEIGHT], [4 * SIZE[1] / WIDTH, 1.5]])
    coded = opened(tmp_path / "set", frames=2, stride=2, flow=tmp_path / "colours")[0]
    assert (coded.flow.shape, coded.flow.dtype) == ((2, *SIZE, 3), np.uint8)
    assert coded.flow[:, 0, 0, 0].tolist() == [0, 30]
    assert len({clip.stamp, coded.stamp, opened(tmp_path / "set", frames=2, stride=2)[0].stamp}) == 3


def test_flow_that_is_missing_or_mixed(tmp_path: Path):
    write_davis(tmp_path / "set", {"bear": 4})
    write_flo(tmp_path / "flow" / "bear" / "00000.flo", np.zeros((4, 4, 2), np.float32))
    first, second, *_ = opened(tmp_path / "set", clips_per_video=0, flow=tmp_path / "flow")
    assert not first.flow.any()
    with pytest.raises(InputError, match=r"flow.bear.00001 has no flow \(\.flo .*\); add it"):
        _ = second.flow
    write_png(tmp_path / "flow" / "bear" / "00003.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"flow.bear has vectors for some images and pictures for others"):
        _ = opened(tmp_path / "set", frames=2, stride=2, flow=tmp_path / "flow")[0].flow
    with pytest.raises(InputError, match=r"flow is .*gone, which is no folder"):
        opened(tmp_path / "set", flow=tmp_path / "gone")


def write_pan(root: Path, length: int) -> None:
    """Write a video of a camera that pans 3 pixels an image over a texture."""
    import cv2

    texture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 160, 3), np.uint8), (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    (root / "JPEGImages" / "pan").mkdir(parents=True)
    for number in range(length):
        image = texture[:, 3 * number : 3 * number + 96]
        assert cv2.imwrite(str(root / "JPEGImages" / "pan" / f"{number:05d}.png"), image)
        write_png(root / "Annotations" / "pan" / f"{number:05d}.png", np.zeros((64, 96), np.uint8))


def test_estimated_flow(tmp_path: Path):
    write_pan(tmp_path, 4)
    clips = open_segmentation(tmp_path, frames=1, stride=1, size=(64, 48), clips_per_video=0)
    frames, flows = [clip.frames for clip in clips], [clip.flow for clip in clips]
    for number in range(3):
        assert np.array_equal(flows[number], estimate_flow(frames[number], frames[number + 1]))
    # Behind the last image, what led to it goes on.
    assert np.array_equal(flows[3], -estimate_flow(frames[3], frames[2]))
    for flow in flows:
        assert np.median(flow[..., 0]) == pytest.approx(-1.5, abs=0.15)
        assert np.median(flow[..., 1]) == pytest.approx(0, abs=0.15)
    (clip,) = open_segmentation(tmp_path, frames=2, stride=2, size=(64, 48))
    assert np.array_equal(clip.flow, np.concatenate([flows[0], flows[3]]))


def test_frames_and_flow_of_a_real_video(shared: Path, tmp_path: Path):
    import cv2

    frames = read_video(shared / "clips" / "bikes.mp4", Window(frames=3, stride=1), (272, 640))
    write_davis(tmp_path, {"bikes": 3})
    for number, frame in enumerate(frames):
        image = tmp_path / "JPEGImages" / "480p" / "bikes" / f"{number:05d}.jpg"
        assert cv2.imwrite(str(image), frame[..., ::-1])
        write_png(tmp_path / "Annotations" / "480p" / "bikes" / f"{number:05d}.png", np.zeros((272, 640), np.uint8))
    (clip,) = open_segmentation(tmp_path, frames=3, stride=1, size=(272, 640))
    assert np.abs(clip.frames.astype(int) - frames).mean() < 3
    assert clip.masks.shape == (3, 272, 640)
    moves = clip.flow
    assert np.abs(moves).mean() < 20
    shifted = [cv2.remap(frames[t + 1], *_grid(moves[t]), cv2.INTER_LINEAR) for t in range(2)]
    for t in range(2):
        error, still = (np.abs(other.astype(int) - frames[t]).mean() for other in (shifted[t], frames[t + 1]))
        assert error < 0.8 * still


def _grid(moves: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows, columns = np.indices(moves.shape[:2], np.float32)
    return columns + moves[..., 0], rows + moves[..., 1]


def test_flow_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_pan(tmp_path / "set", 3)
    clips = opened(tmp_path / "set", clips_per_video=0, cache=tmp_path / "kept")
    first = [clip.flow for clip in clips]
    assert np.allclose(first[0], opened(tmp_path / "set", clips_per_video=0)[0].flow, atol=0.01)
    monkeypatch.setattr(segmentation_clips, "estimate_flow", None)
    again = opened(tmp_path / "set", clips_per_video=0, cache=tmp_path / "kept")
    assert np.array_equal(first, [clip.flow for clip in again])
    larger = open_segmentation(tmp_path / "set", frames=1, stride=1, size=(64, 96), cache=tmp_path / "kept")
    with pytest.raises(TypeError):
        _ = larger[0].flow


def test_single_image_has_no_flow(tmp_path: Path):
    (clip,) = opened(write_davis(tmp_path, {"bear": 1}))
    assert shown([clip]) == [[0]]
    with pytest.raises(InputError, match="bear has a single image, which has no optical flow"):
        _ = clip.flow


# --- mistakes ------------------------------------------------------------------------------------------------------

MASK, IMAGE = Path("Annotations", "480p", "bear", "00001.png"), Path("JPEGImages", "480p", "bear", "00001.jpg")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / MASK).unlink(), r"00001\.png cannot be read"),
        (lambda root: (root / MASK).write_bytes(b"no picture"), r"00001\.png is damaged"),
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
    clips = opened(tmp_path, clips_per_video=0)
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
    for options in ({}, {"clips_per_video": 2}, {"clips_per_video": 0}):
        clips = opened(tmp_path, split=listed, **options)
        by_video = {clip.video: clip for clip in clips}
        assert shown([by_video.pop("eel")])
        assert len(ids(clips)) == len(set(ids(clips)))
        messages = {
            "bear": r"bear.00001 is annotated, but there is no such image",
            "camel": r"camel.00000 is annotated, but there is no such image",
            "dog": r"dog.00001 is there with two suffixes",
            "fox": r"list\.txt, line 4, lists fox, which is no annotated video below",
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


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("{", r"meta\.json cannot be read as JSON"),
        ([], r"meta\.json is \[\]; allowed: a record"),
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
        (box_xml(size=(10, 20)), r"000000\.xml annotates 10 × 20 pixels, and its image has 64 × 128"),
        (box_xml((254, 1, 2, 1, 2)), r"000000\.xml has object number 255; a mask holds the numbers 1 to 254"),
        (box_xml((0, 9, 2, 1, 2)), r"000000\.xml, object \[0\], ends before it begins, at 2, 2"),
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
        (vis_file([], [vis_object(1, 1, [])]), "lists no annotated video; give the file of a split"),
        (vis_file([VIDEO], None), "lists no annotated video"),
        (vis_file([VIDEO], []), "lists no annotated video"),
        (vis_file([VIDEO], {"a": 1}), r"list\.json has the annotations \{'a': 1\}; allowed: a list of objects"),
        (vis_file([VIDEO], [5]), r"list\.json, annotation \[0\], is 5; allowed: a record"),
        (vis_file([VIDEO], [{"id": 1}]), r"annotation \[0\], has no segmentations; allowed: a list"),
        (
            vis_file([VIDEO], [vis_object(1, 1, [])] * 2),
            r"annotation \[1\], has the id 1, as .*annotation \[0\]; remove",
        ),
        (vis_file([VIDEO], [vis_object("1", 1, [])]), r"annotation \[0\], has the id '1'; allowed: a whole number"),
        (vis_file([VIDEO], [vis_object(1, 7, [])]), r"annotation \[0\], is of video 7, which is not listed"),
        (vis_file([VIDEO], [vis_object(1, 1, [], category=None)]), r"annotation \[0\], has no category_id"),
        (vis_file([VIDEO], [vis_object(1, 1, [])], categories=None), r"list\.json has no categories; allowed: a list"),
        (vis_file([VIDEO], [vis_object(1, 1, [])], categories=[{"id": 1}]), r"category \[0\], has no name"),
        (vis_file([5], [vis_object(1, 1, [])]), r"video \[0\], is 5"),
        (vis_file([VIDEO, VIDEO], [vis_object(1, 1, [])]), r"video \[1\], has the id 1, as .*video \[0\]; remove one"),
        (
            vis_file([VIDEO, vis_video(2, "a")], [vis_object(1, 1, [])]),
            r"video \[1\], has images in a, as another video",
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
        ([None] * 3, r"annotation \[0\], has 3 segmentations, and its video 4 images"),
        ([5] * 4, r"annotation \[0\], frame 1, is 5"),
        ([{"counts": [1]}] * 4, HERE + r"no size; allowed: \[64, 128\], that of its image"),
        ([{"counts": [1], "size": [1, 1]}] * 4, HERE + r"the size \[1, 1\]"),
        ([{"size": [64, 128]}] * 4, HERE + "no counts"),
        ([{"size": [64, 128], "counts": {}}] * 4, HERE + r"the counts \{\}"),
        ([{"size": [64, 128], "counts": [5, 5]}] * 4, HERE + r"runs that do not add up to 64 × 128 pixels: \[5, 5\]"),
        ([{"size": [64, 128], "counts": [8193, -1]}] * 4, HERE + "runs that do not add up"),
        ([{"size": [64, 128], "counts": "!"}] * 4, HERE + "the counts '!', which are no run lengths"),
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
    with pytest.raises(InputError, match=r"video \[0\], has object number 255; a mask holds the numbers 1 to 254"):
        _ = clip.masks


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", r"annotations\.csv lists no box"),
        (via("/crab/00000.jpg", "[]"), "lists no box"),
        (via("/crab/00000.jpg", "[1,2,3]"), r"line 5, has the spatial_coordinates '\[1,2,3\]'; allowed: \[2, x, y,"),
        (via("/crab/00000.jpg", "[3,2,3,4,5]"), "line 5, has the spatial_coordinates"),
        (via("/crab/00000.jpg", "[2,2,3,4,NaN]"), "line 5, has the spatial_coordinates"),
        (via("/crab/00000.jpg", "[2,2,3,4,null]"), "line 5, has the spatial_coordinates"),
        (via("/crab/00000.jpg", "box"), "line 5, has the spatial_coordinates 'box'"),
        (via("", "[2,1,2,3,4]"), "line 5, has the file_list ''; allowed: one image"),
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
