"""Every architecture reads the pixels and frames that its owner's own code gives it, within what interpolation allows.

Frames are of a smooth moving picture, on which kinds of interpolation differ by less than a grey level, and a crop that
is off by one pixel by several.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from sdmetrics.clips.fit import Fit
from sdmetrics.clips.open import list_clips
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape, spread_windows
from sdmetrics.exporters.architectures import pytorchvideo, torchvision, two_stream
from sdmetrics.exporters.catalogue import find_architecture
from sdmetrics.probes.feeds import order_name, prepare

FRAMES = 2
LEVELS = 0.5
"""Mean difference, of 255 grey levels, that interpolation may make."""
SIZES = {"wide": (360, 634), "hd": (360, 640), "old": (240, 320), "tall": (480, 240), "square": (320, 320)}
WHOLE = ("wide", "tall", "square")
"""Sizes of which all crops lie at whole pixels. Owners round half a pixel in their own ways."""
FED_ALIKE = {row.inputs: row for row in pytorchvideo.ROWS}.values()
"""A row of each kind of inputs."""


def picture(height: int, width: int, time: int) -> np.ndarray:
    """Waves of another direction in every colour."""
    y, x = np.mgrid[:height, :width] * (5 / min(height, width))
    waves = [2 * x + y + 0.3 * time, x - 2 * y + 1 + 0.2 * time, 1.5 * x + 1.5 * y + 2 - 0.4 * time]
    return np.stack([128 + 100 * np.sin(2 * np.pi * wave / 2.5) for wave in waves], -1).round().astype(np.uint8)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A lossless video of each size, and its frames."""
    folder, made = tmp_path_factory.mktemp("videos"), {}
    for name, size in SIZES.items():
        frames = np.stack([picture(*size, time) for time in range(FRAMES)])
        with av.open(str(folder / f"{name}.mkv"), "w") as file:
            stream = file.add_stream("ffv1", rate=25)
            stream.height, stream.width, stream.pix_fmt = *size, "bgr0"
            for frame in frames:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode(None))
        made[name] = folder / f"{name}.mkv", frames
    return made


def read(path, item):
    """Return two frames as a model reads them by this input, `(T, C, H, W)`."""
    layout = item.layout if "T" in item.layout else "NTCHW"
    item = replace(item, frames=FRAMES, stride=1, sampling="window", fps=None, layout=layout, source="rgb")
    (clip,) = list_clips(ClipRequest(path), ClipShape.read_by([item]))
    feeds = {"rgb": clip.frames[None], order_name(item): np.arange(FRAMES)[None]}
    (array,) = prepare(feeds, [item])[item.name]
    return array if item.layout == "NTCHW" else array.swapaxes(0, 1)


def difference(one, other, item):
    """Return the mean difference in grey levels."""
    return float(np.abs((one - other) * np.array(item.std)[:, None, None] * 255).mean())


def check(path, expected, item):
    """Check the pixels of an input, and that others would be noticed: cropped, scaled or coloured otherwise."""
    expected = np.asarray(expected, np.float64)
    assert expected.shape == (FRAMES, 3, *item.size)
    found = read(path, item)
    assert difference(found, expected, item) < LEVELS
    for axis in (-1, -2):
        assert difference(np.roll(found, 1, axis), expected, item) > 2 * LEVELS
    assert difference(found[:, ::-1], expected, item) > 10 * LEVELS
    assert difference(found[::-1], expected, item) > 4 * LEVELS
    shift = replace(item, mean=tuple(mean + 0.03 for mean in item.mean))
    assert difference(read(path, shift), expected, item) > 4 * LEVELS
    for resize in (None, item.size, tuple(round(side * 1.04) for side in item.size)):
        other = replace(item, resize=resize)
        if scaled(path, other) != scaled(path, item):
            assert difference(read(path, other), expected, item) > 2 * LEVELS


def scaled(path, item):
    """Return the size to which a video is scaled."""
    return Fit(item.size, item.resize).scaled(SIZES[path.stem], path)


def tensor(frames):
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


@pytest.mark.parametrize("size", ["hd", "old", "tall"])
@pytest.mark.parametrize("row", torchvision.ROWS, ids=lambda row: row.name)
def test_pixels_are_torchvisions(row, size, videos):
    from torchvision.models import get_weight

    path, frames = videos[size]
    expected = get_weight(row.weights).transforms()(tensor(frames)).permute(1, 0, 2, 3)
    check(path, expected, row.inputs[0])


HALF, IMAGENET = ((0.5,) * 3, (0.5,) * 3), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# The preprocessor configurations of the repositories in the catalogue, with the numbers of the owners' evaluation where
# the repository was converted by others: ViViT's and X-CLIP's say 224 for the shorter side, and ViViT's shifts twice.
PROCESSORS = {
    "timesformer_8x32": ("Timesformer", {"shortest_edge": 224}, 224, ((0.45,) * 3, (0.225,) * 3)),
    "videomae_b_16x4": ("VideoMAE", {"shortest_edge": 224}, 224, IMAGENET),
    "vivit_b_16x2": ("Vivit", {"shortest_edge": 256}, 224, None),
    "vjepa2_vitl": ("VJEPA2", {"shortest_edge": 292}, 256, IMAGENET),
    "xclip_b_32": ("VideoMAE", {"shortest_edge": 256}, 224, IMAGENET),
    "videomt": ("Videomt", {"height": 640, "width": 640}, None, IMAGENET),
}


@pytest.mark.parametrize("size", WHOLE)
@pytest.mark.parametrize("name", PROCESSORS)
def test_pixels_are_those_of_transformers(name, size, videos):
    import transformers

    kind, scaled, crop, colours = PROCESSORS[name]
    said = {"size": scaled}
    said |= {"crop_size": {"height": crop, "width": crop}} if crop else {}
    said |= {"image_mean": colours[0], "image_std": colours[1]} if colours else {"do_normalize": False}
    processor = getattr(transformers, f"{kind}VideoProcessor")(**said)
    path, frames = videos[size]
    made = processor([frames], return_tensors="np")[processor.model_input_names[0]][0]
    check(path, made, find_architecture(name).inputs[0])


@pytest.mark.parametrize("size", WHOLE)
@pytest.mark.parametrize("row", FED_ALIKE, ids=lambda row: row.name)
def test_pixels_are_slowfasts(row, size, videos):
    """It scales the shorter side, with the longer one rounded down, then crops the middle."""
    path, frames = videos[size]
    height, width = frames.shape[1:3]
    (short,), (side,) = {item.resize for item in row.inputs}, {item.size[0] for item in row.inputs}
    longer = math.floor(max(height, width) / min(height, width) * short)
    sides = (longer, short) if height > width else (short, longer)
    whole = interpolate(tensor(frames).float(), size=sides, mode="bilinear", align_corners=False)
    top, left = (math.ceil((long - side) / 2) for long in sides)
    expected = (whole[:, :, top : top + side, left : left + side] / 255 - 0.45) / 0.225
    for item in row.inputs:
        check(path, expected, item)


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_videoprisms(size, videos):
    """Its authors scale until a square is covered, and crop the middle, rounded down; Transformers stretches."""
    import transformers

    path, frames = videos[size]
    scale = max(288 / side for side in frames.shape[1:3])
    sides = tuple(round(side * scale) for side in frames.shape[1:3])
    whole = interpolate(tensor(frames).float(), size=sides, mode="bicubic", antialias=True)
    top, left = ((long - 288) // 2 for long in sides)
    (item,) = find_architecture("videoprism_b").inputs
    check(path, whole[:, :, top : top + 288, left : left + 288] / 255, item)
    if size == "square":
        processor = transformers.LlavaOnevisionVideoProcessor(size={"height": 288, "width": 288}, do_normalize=False)
        check(path, processor([frames], return_tensors="np")["pixel_values_videos"][0], item)


def test_pixels_are_vistrs(videos):
    """Its frames have 300 rows, whole: of 16:9, as most of YouTube-VIS."""
    path, frames = videos["hd"]
    whole = interpolate(tensor(frames).float(), size=(300, int(300 * 640 / 360)), mode="bilinear", antialias=True) / 255
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in IMAGENET)
    check(path, (whole - mean) / std, find_architecture("vistr_r50").inputs[0])


@pytest.mark.parametrize("size", WHOLE)
@pytest.mark.parametrize("row", two_stream.ROWS, ids=lambda row: row.name)
def test_pixels_are_those_of_the_two_stream_segmenters(row, size, videos):
    """Frames of any shape are stretched."""
    path, frames = videos[size]
    whole = interpolate(tensor(frames).float(), size=row.inputs[0].size, mode="bilinear", antialias=True) / 255
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in IMAGENET)
    check(path, (whole - mean) / std, row.inputs[0])


@pytest.mark.parametrize("own", [24.0, 25.0, 30.0, 50.0])
@pytest.mark.parametrize("row", torchvision.ROWS, ids=lambda row: row.name)
def test_frames_are_torchvisions(row, own):
    """A clip is one of `VideoClips`' at the row's rate: the one in the middle, and with many the first and the last."""
    from torchvision.datasets.video_utils import VideoClips

    (item,) = row.inputs
    pts = torch.arange(int(own * 20))
    _, chosen = VideoClips.compute_clips_for_video(pts, item.frames, 1, own, item.fps)
    # A rate that divides the video's own is a slice for all clips.
    theirs = pts[chosen[0]].unfold(0, item.frames, 1) if isinstance(chosen, list) else chosen
    stamps = np.arange(len(pts)) / own
    (middle,) = spread_windows(ClipShape.read_by([item]), 1)
    many = spread_windows(ClipShape.read_by([item]), 2)
    assert middle.indices(stamps).tolist() == theirs[(len(theirs) - 1) // 2].tolist()
    assert [window.indices(stamps).tolist() for window in many] == [theirs[0].tolist(), theirs[-1].tolist()]


@pytest.mark.parametrize("own", [15.0, 24.0, 25.0, 30.0, 60.0])
@pytest.mark.parametrize("row", [row for row in FED_ALIKE if row.inputs[0].fps], ids=lambda row: row.name)
def test_frames_are_slowfasts(row, own):
    """It takes `frames` places, rounded down, of `frames * stride / 30` seconds in the video's own frames."""
    item = row.inputs[-1]
    (window,) = spread_windows(ClipShape.read_by(row.inputs), 1)
    length, span = int(own * 10), item.frames * item.stride / 30 * own
    begin = math.floor((length - span) / 2)
    theirs = np.linspace(begin, begin + span - 1, item.frames).clip(0, length - 1).astype(int)
    found = window.indices(np.arange(length) / own)
    # A clip is placed at whole frames of 30 per second here, and at those of the video there.
    assert np.abs(found - found[0] - (theirs - theirs[0])).max() <= max(1, own / 30)
    if own == 30:
        # Places just before a frame, by a thirtieth of one, show that frame here: time stamps may be late.
        assert np.mean(found != theirs) < 0.02


def test_frames_of_something_something_are_spread():
    row = find_architecture("slowfast_r50_16x8")
    (window,) = spread_windows(ClipShape.read_by(row.inputs), 1)
    for length in (64, 100, 117):
        ends = [round(edge * (length - 1) / 64) for edge in range(65)]
        theirs = [(one + other) // 2 for one, other in pairwise(ends)]
        assert np.abs(window.indices(np.arange(length) / 12) - theirs).max() <= 1
