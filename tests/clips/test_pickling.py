"""Clips and styles of every kind are sent to other processes, where they show the same."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.generated.camouflage import camouflage_clips
from sdmetrics.clips.generated.world import Variant, world_clips
from sdmetrics.clips.render import render
from sdmetrics.clips.styles.built_in import STYLES, style_identity
from sdmetrics.clips.styles.networks import open_styles
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.requests import open_clips
from tests.helpers.segmentation_files import (
    VIA,
    box_xml,
    moving,
    opened,
    via,
    vis_file,
    vis_object,
    vis_video,
    write_davis,
    write_flo,
    write_imagenet_vid,
    write_images,
    write_moca,
    write_youtube_vos,
    written,
)
from tests.helpers.style_networks import network
from tests.helpers.videos import numbered, write_video

SIZE = (32, 64)


def again(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def opened_clips(path: Path, **more: object) -> list[Clip]:
    return open_clips(path, frames=4, stride=1, size=SIZE, **more)


def videos(root: Path) -> list[Clip]:
    write_video(root / "a.mp4", 12)
    return opened_clips(root, clips_per_video=2)


def manifest(root: Path) -> list[Clip]:
    write_video(root / "a.mp4", 12)
    write_images(root / "b", range(6))
    return opened_clips(written(root / "list.csv", "path,label,start,end\na.mp4,wave,0.1,0.4\nb,run,,\n"))


def labelled(root: Path) -> list[Clip]:
    write_video(root / "a.mp4", 12)
    with pytest.warns(match="are not there"):
        return opened_clips(written(root / "list.txt", "a.mp4 3\ngone.mp4 4\n"))


def annotated(root: Path) -> list[Clip]:
    write_video(root / "1.mp4", 12)
    return opened_clips(written(root / "list.json", [{"id": "1", "template": "Spinning [something]"}]))


def frames(root: Path) -> list[Clip]:
    write_images(root / "walk", range(8))
    return opened_clips(root, cache=root / "cache")


def frames_with_flow(root: Path) -> list[Clip]:
    write_images(root / "frames" / "walk", range(8))
    for number in range(8):
        write_flo(root / "flow" / "walk" / f"{number:05d}.flo", np.full((64, 128, 2), number, np.float32))
    return opened_clips(root / "frames", flow=root / "flow")


def frames_with_grey_flow(root: Path) -> list[Clip]:
    import cv2

    write_images(root / "walk", range(8), "img_{:05d}.jpg")
    for part, number in ((part, number) for part in "xy" for number in range(8)):
        cv2.imwrite(str(root / "walk" / f"{part}_{number:05d}.jpg"), np.full((64, 128), 120 + number, np.uint8))
    with pytest.warns(match="have optical flow in grey images"):
        return opened_clips(root, reads_flow=True)


def styled(root: Path) -> list[Clip]:
    pictures = np.stack([numbered(number) for number in range(6)])
    for name, style in STYLES.items():
        (root / f"style_{name}").mkdir()
        write_video(root / f"style_{name}" / "a.mp4", list(style(pictures)))
    (root / "unstyled").mkdir()
    write_video(root / "unstyled" / "a.mp4", list(pictures))
    return opened_clips(root)


def davis(root: Path) -> list[Clip]:
    return opened(write_davis(root, {"bear": 6}), frames=3)


def youtube_vos(root: Path) -> list[Clip]:
    return opened(write_youtube_vos(root, {"a": ["cat"]}), frames=3, cache=root / "cache")


def a_split(root: Path) -> list[Clip]:
    return opened(write_davis(root, {"bear": 6}), frames=3, split=written(root / "some.txt", "bear\ngone\n"))


def imagenet_vid(root: Path) -> list[Clip]:
    return opened(write_imagenet_vid(root, "train/a", [box_xml((0, 5, 30, 5, 20))] * 3), frames=2)


def moca(root: Path) -> list[Clip]:
    lines = VIA + "".join(via(f"/crab/{number:05d}.jpg", "[2,10,20,30,40]") for number in range(3))
    return opened(write_moca(root, lines, {"crab": 3}), frames=2)


def youtube_vis(root: Path) -> list[Clip]:
    write_images(root / "JPEGImages" / "a", range(4))
    content = vis_file([vis_video(1, "a")], [vis_object(1, 1, moving(255))])
    return opened(written(root / "train.json", json.loads(json.dumps(content))), frames=2)


def world(_: Path) -> list[Clip]:
    return world_clips(2, size=32, frames=4, variant=Variant(clutter=0.2, camera=0.2))


def camouflage(_: Path) -> list[Clip]:
    return [*camouflage_clips(2, frames=4), *camouflage_clips(2, frames=4, flow="estimated")]


KINDS = (
    videos, manifest, labelled, annotated, frames, frames_with_flow, frames_with_grey_flow, styled, davis, youtube_vos,
    a_split, imagenet_vid, moca, youtube_vis, world, camouflage,
)  # fmt: skip


def shown(clip: Clip) -> list[object]:
    """What a clip shows, or why it does not."""
    loaders = [clip.load, clip.load_flow, clip.load_masks, *clip.styled.values()]
    seen: list[object] = []
    for load in loaders:
        try:
            seen.append(None if load is None else load().tolist())
        except InputError as error:
            seen.append(str(error))
    return [*seen, clip.looped]


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_shows_the_same(kind: Callable[[Path], list[Clip]], tmp_path: Path):
    clips = kind(tmp_path)
    assert clips
    for clip, other in zip(clips, again(clips), strict=True):
        assert shown(clip) == shown(other)
        fields = {"load": None, "load_flow": None, "load_masks": None, "styled": {}}
        assert replace(clip, **fields) == replace(other, **fields)


def test_a_clip_of_a_set_does_not_carry_the_set(tmp_path: Path):
    few, many = write_davis(tmp_path / "few", {"a0": 2}), write_davis(tmp_path / "many", {f"a{n}": 2 for n in range(9)})
    assert len(pickle.dumps(opened(few)[0])) == pytest.approx(len(pickle.dumps(opened(many)[0])), rel=0.1)


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
def test_another_process_renders_the_same(tmp_path: Path):
    write_video(tmp_path / "a.mp4", 12)
    clips = opened_clips(tmp_path, clips_per_video=2)
    styles = open_styles(["ink", network(tmp_path, [("Sub", ["one", "x"], ["y"], {})], {"one": np.float32(1)})])
    inputs = [ModelInput("video", frames=4, stride=1, size=SIZE)]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for clip in clips:
            views, there = pool.submit(render, clip, 0, inputs, styles).result()
            _, here = render(clip, 0, inputs, styles)
            assert len(views) == 3
            assert all(np.array_equal(a["rgb"], b["rgb"]) for a, b in zip(there, here, strict=True))


def test_styles_keep_what_identifies_them(tmp_path: Path):
    path = network(tmp_path, [("Sub", ["one", "x"], ["y"], {})], {"one": np.float32(1)})
    styles = open_styles([*STYLES, path], threads=1)
    others = again(styles)
    assert [*map(style_identity, others.values())] == [*map(style_identity, styles.values())]
    data = pickle.dumps(styles)
    network(tmp_path, [("Sub", ["one", "x"], ["y"], {})], {"one": np.float32(0.9)})
    with pytest.raises(InputError, match="was changed while it was used"):
        pickle.loads(data)  # noqa: S301
