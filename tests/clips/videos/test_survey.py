"""Folders that hold more than frames: flow, masks, videos and other files are used as what they are, or named."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError, Note
from tests.helpers.requests import open_clips
from tests.helpers.segmentation_files import HEIGHT, WIDTH, write_images
from tests.helpers.videos import numbers_of, write_video

FRAMES = range(1, 13)
SIZE = (HEIGHT // 2, WIDTH // 2)
READ = [3, 5, 7, 10]
"""The numbers of the frames that the clip in the middle of the video reads."""


def opened(path: Path, **more: object) -> tuple[list[Clip], list[str]]:
    """Return the clips of a folder, and what is said about it."""
    with warnings.catch_warnings(record=True, action="always", category=Note) as said:
        clips = open_clips(path, frames=4, stride=2, size=SIZE, **more)
    return clips, [str(note.message) for note in said]


def write_flow(folder: Path, name: str, base: int) -> None:
    """Write one part of the flow of all frames but the last: the level of a frame is `base` and its number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in FRAMES[:-1]:
        cv2.imwrite(str(folder / name.format(number)), np.full((HEIGHT, WIDTH), base + number, np.uint8))


def in_one_folder(frames: str, x: str, y: str) -> Callable[[Path], str]:
    def write(root: Path) -> str:
        folder = root / "class" / "v"
        write_images(folder, FRAMES, frames)
        write_flow(folder, x, 128)
        write_flow(folder, y, 100)
        return "class/v"

    return write


def in_folders(frames: str, x: str, y: str, name: str = "{:05d}.jpg") -> Callable[[Path], str]:
    def write(root: Path) -> str:
        write_images(root / frames, FRAMES, name)
        write_flow(root / x, name, 128)
        write_flow(root / y, name, 100)
        return frames

    return write


LAYOUTS = {
    "TSN, mmaction2": in_one_folder("img_{:05d}.jpg", "x_{:05d}.jpg", "y_{:05d}.jpg"),
    "denseflow": in_one_folder("img_{:05d}.jpg", "flow_x_{:05d}.jpg", "flow_y_{:05d}.jpg"),
    "plain numbers": in_one_folder("{:05d}.jpg", "x_{:05d}.jpg", "y_{:05d}.jpg"),
    "v/i": in_folders("v/i", "v/x", "v/y"),
    "v/img": in_folders("v/img", "v/flow_x", "v/flow_y"),
    "v/u": in_folders("v", "v/u", "v/v", "frame{:06d}.jpg"),
    "UCF101": in_folders("jpegs_256/v_a", "tvl1_flow/u/v_a", "tvl1_flow/v/v_a", "frame{:06d}.jpg"),
    "UCF101, flow beside frames": in_folders("all/v_a", "u/v_a", "v/v_a", "frame{:06d}.jpg"),
}


@pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_frames_are_read_and_flow_is_said_not_to_be(tmp_path: Path, write: Callable[[Path], str]):
    name = write(tmp_path)
    (clip,), said = opened(tmp_path)
    assert clip.id == name
    assert numbers_of(clip.frames) == READ
    assert len(said) == 1
    assert f"{tmp_path}: 1 of 1 videos have optical flow in grey images (22 images), which is not read: " in said[0]


@pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_images_are_the_flow_of_models_that_read_flow(tmp_path: Path, write: Callable[[Path], str]):
    write(tmp_path)
    (clip,), said = opened(tmp_path, reads_flow=True)
    assert numbers_of(clip.frames) == READ
    # A level is 40/255 pixels; frames are half as large as the images.
    x = [number * 40 / 255 / 2 for number in READ]
    y = [(number - 28) * 40 / 255 / 2 for number in READ]
    assert np.ptp(clip.flow, axis=(1, 2)).max() == 0
    assert clip.flow[:, 0, 0] == pytest.approx(np.stack([x, y], axis=1), rel=1e-3)
    assert len(said) == 1
    assert "1 of 1 videos have optical flow in grey images (22 images), which is read (level 128 as no m" in said[0]
    assert "0 and 255 as -20 and 20 pixels): " in said[0]


def test_the_last_frame_has_the_flow_that_led_to_it(tmp_path: Path):
    LAYOUTS["denseflow"](tmp_path)
    with pytest.warns(Note):
        (clip,) = open_clips(tmp_path, frames=12, stride=1, size=SIZE, reads_flow=True)
    levels = np.rint(clip.flow[:, 0, 0, 0].astype(float) * 2 * 255 / 40)
    assert levels.tolist() == [*FRAMES[:-1], 11]


def test_a_clip_is_another_where_its_flow_is(tmp_path: Path):
    LAYOUTS["denseflow"](tmp_path)
    (before,), _ = opened(tmp_path, reads_flow=True)
    (frames_only,), _ = opened(tmp_path)
    cv2.imwrite(str(tmp_path / "class" / "v" / "flow_x_00005.jpg"), np.full((HEIGHT, WIDTH), 7, np.uint8))
    (after,), _ = opened(tmp_path, reads_flow=True)
    assert before.stamp != after.stamp
    assert frames_only.stamp == opened(tmp_path)[0][0].stamp


def test_a_given_folder_of_flow_goes_before_images(tmp_path: Path):
    LAYOUTS["TSN, mmaction2"](tmp_path / "set")
    for number in FRAMES:
        write_images(tmp_path / "flow" / "class" / "v", [number], "img_{:05d}.png")
    (clip,), said = opened(tmp_path / "set", reads_flow=True, flow=tmp_path / "flow")
    assert clip.flow.dtype == np.uint8
    assert "not read" in said[0]


@pytest.mark.parametrize("line", ["class/v 12 0", "class/v 0"])
def test_listed_folders_have_their_flow_too(tmp_path: Path, line: str):
    LAYOUTS["TSN, mmaction2"](tmp_path)
    (tmp_path / "list.txt").write_text(line)
    (clip,), said = opened(tmp_path / "list.txt")
    assert numbers_of(clip.frames) == READ
    assert said[0].endswith("1 of 1 entries have images of optical flow among their frames, which are not read")
    (clip,), said = opened(tmp_path / "list.txt", reads_flow=True)
    assert clip.flow[:, 0, 0, 0] == pytest.approx([number * 40 / 255 / 2 for number in READ], rel=1e-3)
    assert "have grey images of optical flow among their frames, which are read (level 128 as no motion" in said[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: (v / "x_00005.jpg").unlink(), r"img_00005\.jpg has no images of flow of its number"),
        (lambda v: write_images(v, [5], "y_{:05d}.jpg"), None),
        (
            lambda v: cv2.imwrite(str(v / "x_00005.jpg"), np.full((HEIGHT, WIDTH, 3), (9, 99, 200), np.uint8)),
            "in colour",
        ),
        (lambda v: cv2.imwrite(str(v / "x_00005.jpg"), np.zeros((9, 9), np.uint8)), "x_00005.* 9 × 9 .*need one size"),
        (lambda v: (v / "x_00005.jpg").write_bytes(b"none"), r"x_00005\.jpg"),
    ],
)
def test_flow_that_cannot_be_used(tmp_path: Path, change: Callable[[Path], object], message: str | None):
    LAYOUTS["TSN, mmaction2"](tmp_path)
    change(tmp_path / "class" / "v")
    (clip,), _ = opened(tmp_path, reads_flow=True)
    if message is None:  # grey levels in an image that is stored in colour
        assert clip.flow.shape == (4, *SIZE, 2)
        return
    with pytest.raises(InputError, match=message):
        _ = clip.flow


def test_other_images_among_frames_are_refused_by_pattern(tmp_path: Path):
    write_images(tmp_path / "v", FRAMES)
    write_images(tmp_path / "v", FRAMES[:5], "{:05d}_mask.png")
    (clip,), said = opened(tmp_path)
    assert not said
    with pytest.raises(InputError, match=r"v has images of 2 patterns of names \(#\.jpg: 12, #_mask\.png: 5\), and"):
        _ = clip.frames


def test_the_same_number_with_two_suffixes(tmp_path: Path):
    write_images(tmp_path / "v", FRAMES)
    write_images(tmp_path / "v", FRAMES[:5], "{:05d}.png")
    (clip,), _ = opened(tmp_path)
    with pytest.raises(InputError, match=r"\(#\.jpg: 12, #\.png: 5\)"):
        _ = clip.frames
    write_images(tmp_path / "w", FRAMES[:6])
    write_images(tmp_path / "w", FRAMES[6:], "{:05d}.png")
    assert numbers_of(opened(tmp_path)[0][1].frames) == READ


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([f"{number:05d}.jpg" for number in range(0, 60, 5)], False),
        ([f"{number:05d}.jpg" for number in (*range(6), *range(20, 26))], True),
        ([f"v{video}_{number}.jpg" for video in (1, 2) for number in range(6)], True),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_frames_whose_numbers_jump_are_read_in_order_and_said(
    tmp_path: Path, names: list[str], said: bool, listed: bool
):
    write_images(tmp_path / "v", range(12))
    for number, name in enumerate(names):
        (tmp_path / "v" / f"{number:05d}.jpg").rename(tmp_path / "v" / f"_{name}")
    (tmp_path / "list.txt").write_text("v a\n")
    clips, notes = opened(tmp_path / "list.txt" if listed else tmp_path / "v")
    assert numbers_of(clips[0].frames) == [2, 4, 6, 9]
    unequal = [note for note in notes if "numbers" in note and "rise in unequal steps" in note]
    assert [("1 of 1 entries" if listed else "12 images in 1 folder") in note for note in unequal] == [True] * said


def test_what_lies_beside_videos_is_named(tmp_path: Path):
    write_video(tmp_path / "a.mp4", 20)
    write_video(tmp_path / "b.mp4", 21)
    write_images(tmp_path / "walk", FRAMES)
    write_images(tmp_path / "run", FRAMES)
    for name in ("notes.txt", "d.md", "c.xml", "e.yaml"):
        (tmp_path / name).touch()
    clips, said = opened(tmp_path)
    assert [clip.id for clip in clips] == ["a.mp4", "b.mp4"]
    assert said == [
        f"{tmp_path}: 4 files left out (no clips): c.xml, d.md, e.yaml, …",
        f"{tmp_path}: 24 images in 2 folders left out (beside 2 videos): run, walk",
    ]


def test_masks_beside_frames_are_no_videos(tmp_path: Path):
    for video in ("a", "b"):
        write_images(tmp_path / video / "rgb", FRAMES)
        write_images(tmp_path / video / "mask", FRAMES, "{:05d}.png")
    clips, said = opened(tmp_path)
    assert [clip.id for clip in clips] == ["a/rgb", "b/rgb"]
    assert said == [
        f"{tmp_path}: 24 images in 2 folders left out (taken for masks of the frames beside them): a/mask, b/mask"
    ]


def test_flow_without_frames_is_left_out_and_said(tmp_path: Path):
    write_images(tmp_path / "a", FRAMES)
    for part in ("flow_x", "flow_y"):
        write_flow(tmp_path / "b" / part, "{:05d}.jpg", 128)
    clips, said = opened(tmp_path)
    assert [clip.id for clip in clips] == ["a"]
    assert "22 images in 2 folders left out (taken for optical flow, without frames beside them)" in said[0]


def test_classes_named_like_flow_stay_videos_and_that_is_said(tmp_path: Path):
    for letter in "tuvwxyz":
        write_images(tmp_path / letter / "001", FRAMES)
    clips, said = opened(tmp_path)
    assert [clip.id for clip in clips] == [f"{letter}/001" for letter in "tuvwxyz"]
    assert len(said) == 1
    assert "48 images in 4 folders read as videos (no frames beside them): u/001, v/001, x/001, …" in said[0]


def test_frames_and_a_folder_of_the_same_name(tmp_path: Path):
    write_images(tmp_path / "v", FRAMES)
    write_images(tmp_path / "v" / "v", FRAMES)
    with pytest.raises(InputError, match="holds frames and a folder v with frames"):
        opened(tmp_path / "v")


@pytest.mark.parametrize("flow", ["set", ".", "set/../set"])
def test_flow_must_not_be_the_frames(tmp_path: Path, flow: str):
    write_images(tmp_path / "set" / "walk", FRAMES)
    with pytest.raises(InputError, match=r"flow is .*, which holds the frames themselves .*walk.*; pass a folder with"):
        opened(tmp_path / "set", flow=tmp_path / flow)


def test_flow_must_not_be_all_that_there_is(tmp_path: Path):
    write_images(tmp_path / "set" / "walk", FRAMES)
    with pytest.raises(InputError, match=r"holds no video .* beside the flow in walk; use another folder"):
        opened(tmp_path / "set", flow=tmp_path / "set" / "walk")


def test_flow_inside_the_folder_of_the_frames_is_no_video(tmp_path: Path):
    write_images(tmp_path / "walk", FRAMES)
    write_images(tmp_path / "flow" / "walk", FRAMES, "{:05d}.png")
    (clip,), said = opened(tmp_path, flow=tmp_path / "flow", reads_flow=True)
    assert clip.id == "walk"
    assert not said
    assert clip.flow.dtype == np.uint8


@pytest.mark.parametrize("real", ["elsewhere", "set/real"])
def test_flow_behind_a_link_inside_the_folder_of_the_frames_is_no_video(tmp_path: Path, real: str):
    write_images(tmp_path / "set" / "walk", FRAMES)
    write_images(tmp_path / real / "walk", FRAMES, "{:05d}.png")
    (tmp_path / "set" / "flow").symlink_to(tmp_path / real)
    (clip,), said = opened(tmp_path / "set", flow=tmp_path / "set" / "flow", reads_flow=True)
    assert clip.id == "walk"
    assert not said
    assert clip.flow.dtype == np.uint8
