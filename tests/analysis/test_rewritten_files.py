"""Files that are rewritten between two runs, with other content of the same size, are never taken for the old ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.ablation.ablate import ablate
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.fakes import NumpyRunner, changes, colours
from tests.helpers.removable import Linear, results_of
from tests.helpers.requests import open_clips
from tests.helpers.segmentation_files import HEIGHT, WIDTH, write_davis, write_flo, write_png
from tests.helpers.videos import write_video

SHAPE = {"frames": 6, "stride": 1, "size": (16, 16)}


class FlowRunner(NumpyRunner):
    """Reads the mean of the flow, too."""

    def __init__(self):
        super().__init__({"flow": np.asarray})
        self.inputs.append(ModelInput("flow", "flow_vectors", frames=6, stride=1, size=(16, 16)))

    def __call__(self, feeds):
        self.batches.append(len(feeds["rgb"]))
        rgb, flow = (feeds[name].astype(np.float64).mean(axis=(1, 2, 3)) for name in ("rgb", "flow_vectors"))
        return {"flow": np.concatenate([rgb, flow], axis=1).astype(np.float32)}


def write_frames(folder: Path, seed: int) -> None:
    for number, frame in enumerate(np.random.default_rng(seed).integers(0, 256, (8, HEIGHT, WIDTH, 3), np.uint8)):
        write_png(folder / f"{number:03d}.png", frame)


def video_files(root: Path):
    for number in range(2):
        frames = np.random.default_rng(number).integers(0, 256, (8, 64, 64, 3), np.uint8)
        write_video(root / f"{number}.mp4", list(frames))
    return root / "1.mp4", {}


def frame_folders(root: Path):
    for number in range(2):
        write_frames(root / str(number), number)
    return root / "1" / "004.png", {}


def style_folders(root: Path):
    for seed, style in enumerate(("style_a", "style_b")):
        for number in range(2):
            write_frames(root / style / str(number), 10 * seed + number)
    return root / "style_b" / "1" / "004.png", {}


def annotated_images(root: Path):
    write_davis(root, {"bear": 8, "camel": 8})
    return root / "JPEGImages" / "480p" / "camel" / "00004.jpg", {}


def given_flow(root: Path):
    frame_folders(root)
    flow = root.parent / "flow"
    for number in range(2):
        for image in range(8):
            vectors = np.random.default_rng(image).normal(size=(HEIGHT, WIDTH, 2)).astype(np.float32)
            write_flo(flow / str(number) / f"{image:03d}.flo", vectors)
    return flow / "1" / "004.flo", {"flow": flow}


def flow_of_annotated_images(root: Path):
    annotated_images(root)
    flow = root.parent / "flow"
    for video in ("bear", "camel"):
        for image in range(8):
            vectors = np.random.default_rng(image).normal(size=(HEIGHT, WIDTH, 2)).astype(np.float32)
            write_flo(flow / video / f"{image:05d}.flo", vectors)
    return flow / "camel" / "00004.flo", {"flow": flow}


def rewrite(path: Path) -> None:
    """Write other content of the same size."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-40:-20] = bytes(255 - byte for byte in content[-40:-20])
    path.write_bytes(content)
    # A coarse clock may give a file that is rewritten at once its old time.
    if path.stat().st_mtime_ns == before.st_mtime_ns:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize(
    ("kind", "runner"),
    [
        (video_files, NumpyRunner({"colours": colours, "changes": changes})),
        (frame_folders, NumpyRunner({"colours": colours})),
        (style_folders, NumpyRunner({"colours": colours})),
        (annotated_images, NumpyRunner({"colours": colours})),
        (given_flow, FlowRunner()),
        (flow_of_annotated_images, FlowRunner()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_rewritten_with_equal_size_is_not_taken_for_the_old_one(tmp_path, kind, runner):
    (tmp_path / "clips").mkdir()
    path, options = kind(tmp_path / "clips")

    def analysed():
        clips = open_clips(tmp_path / "clips", **SHAPE, **options)
        assert len(clips) == 2
        return measure_biases(runner, clips, out=tmp_path / "run", progress=False)

    first = analysed()
    assert first.clips == {"used": 2, "looped": 0, "skipped": []}
    batches = len(runner.batches)
    assert analysed() == first
    assert len(runner.batches) == batches, "files that did not change are not decoded again"
    rewrite(path)
    with pytest.raises(InputError, match=r"already contains a run with different settings: .*clips\.sha256 was"):
        analysed()
    assert len(runner.batches) == batches


def test_frames_that_a_window_does_not_read_do_not_matter(tmp_path):
    frame_folders(tmp_path / "clips")
    runner = NumpyRunner({"colours": colours})

    def analysed():
        clips = open_clips(tmp_path / "clips", frames=6, stride=1, size=(16, 16))
        return measure_biases(runner, clips, out=tmp_path / "run", progress=False)

    first = analysed()
    rewrite(tmp_path / "clips" / "1" / "000.png")
    assert analysed() == first


def test_rewritten_masks_are_scored_again_and_not_mixed_with_the_old_ones(tmp_path):
    write_davis(tmp_path / "set", {"bear": 3, "camel": 3})

    def covered(_outputs, clips):
        return [float((clip.masks > 0).mean()) for clip in clips]

    def ablated():
        clips = open_clips(tmp_path / "set", frames=2, stride=1, size=(4, 4))
        arguments = {"score": covered, "fractions": [0.5], "repeats": 1, "progress": False, "out": tmp_path / "run"}
        return ablate(Linear(noise=1), clips, results_of(), **arguments)

    first = ablated()
    assert ablated() == first
    for path in (tmp_path / "set" / "Annotations").rglob("*.png"):
        before = path.stat()
        write_png(path, np.zeros((HEIGHT, WIDTH), np.uint8))
        assert path.stat().st_mtime_ns != before.st_mtime_ns or path.stat().st_size != before.st_size
    assert first.curves[0]["mean"] > 0 == ablated().curves[0]["mean"]
    assert len(list((tmp_path / "run" / "ablation").iterdir())) == 2


def test_a_skipped_clip_whose_frame_was_repaired_is_not_taken_for_the_old_one(tmp_path: Path):
    """Neither does the run end with the clip skipped, nor is another frame than the first overlooked."""
    for number in range(4):
        write_frames(tmp_path / "set" / str(number), number)
    path = tmp_path / "set" / "1" / "004.png"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    runner = NumpyRunner({"colours": colours})

    def measured(out: str):
        return measure_biases(runner, open_clips(tmp_path / "set", **SHAPE), out=tmp_path / out).clips

    clips = measured("run")
    assert (clips["used"], [row["id"] for row in clips["skipped"]]) == (3, ["1"])
    path.write_bytes(whole)
    with pytest.raises(InputError, match="or a file was changed"):
        measured("run")
    assert measured("again") == {"used": 4, "looped": 0, "skipped": []}
