"""Miniature data sets of video segmentation in the layouts they are published in; and broken ones."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip
from tests.helpers.requests import open_segmentation
from tests.helpers.videos import numbered, numbers_of

HEIGHT, WIDTH = 64, 128
"""Of the images that are written."""
SIZE = (48, 40)
"""That clips are opened in."""


def write_png(path: Path, pixels: NDArray[np.uint8], palette: bool = False) -> Path:
    """Write a PNG: grey `(h, w)`, colours `(h, w, 3)`, 16 bits for uint16, or the indices of a palette."""
    depth = 8 * pixels.dtype.itemsize
    kind = 3 if palette else {2: 0, 3: 2}[pixels.ndim]
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in pixels)
    colours = np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes()
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, kind, 0, 0, 0)),
        *([(b"PLTE", colours)] if palette else []),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in chunks
        )
    )
    return path


def write_images(folder: Path, numbers: Sequence[int], name: str = "{:05d}.jpg") -> None:
    """Write images that show their numbers and are named after them; JPEGs of two folders differ by a comment."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    remark = "/".join(folder.parts[-2:]).encode()
    for number in numbers:
        path = folder / name.format(number)
        assert cv2.imwrite(str(path), numbered(number, HEIGHT, WIDTH))
        content = path.read_bytes()
        if content.startswith(b"\xff\xd8"):
            path.write_bytes(b"\xff\xd8\xff\xfe" + struct.pack(">H", 2 + len(remark)) + remark + content[2:])


def write_flo(path: Path, vectors: NDArray[np.float32]) -> None:
    """Write flow as Middlebury's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = vectors.shape
    path.write_bytes(b"PIEH" + np.array([width, height], "<i4").tobytes() + vectors.astype("<f4").tobytes())


def square(number: int, *values: int) -> NDArray[np.uint8]:
    """Draw the objects of an image: one square each, which moves with the image's number."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for place, value in enumerate(values):
        mask[4 + 20 * place : 16 + 20 * place, 4 + number : 24 + number] = value
    return mask


def write_davis(root: Path, videos: Mapping[str, int], resolution: str = "480p") -> Path:
    """Write DAVIS: every image has a mask of one object, 0 and 255."""
    for video, length in videos.items():
        write_images(root / "JPEGImages" / resolution / video, range(length))
        for number in range(length):
            write_png(root / "Annotations" / resolution / video / f"{number:05d}.png", square(number, 255))
    return root


def write_youtube_vos(root: Path, videos: Mapping[str, Sequence[str]], length: int = 11) -> Path:
    """Write a split of YouTube-VOS: every fifth image has a mask, with the indices of a palette."""
    meta = {}
    for video, categories in videos.items():
        write_images(root / "JPEGImages" / video, range(length))
        for number in range(0, length, 5):
            values = range(1, len(categories) + 1)
            write_png(root / "Annotations" / video / f"{number:05d}.png", square(number, *values), palette=True)
        objects = {str(i): {"category": name, "frames": ["00000"]} for i, name in enumerate(categories, 1)}
        meta[video] = {"objects": objects}
    (root / "meta.json").write_text(json.dumps({"videos": meta}))
    return root


def box_xml(*objects: tuple[int, int, int, int, int], size: tuple[int, int] = (HEIGHT, WIDTH)) -> str:
    """Return a file of ImageNet VID: track, first and last column, first and last row of every object."""
    items = "".join(
        f"<object><trackid>{track}</trackid><name>n02503517</name><bndbox><xmax>{right}</xmax><xmin>{left}</xmin>"
        f"<ymax>{bottom}</ymax><ymin>{top}</ymin></bndbox><occluded>0</occluded><generated>0</generated></object>"
        for track, left, right, top, bottom in objects
    )
    return (
        "<annotation><folder>a</folder><filename>000000</filename><source><database>ILSVRC_2015</database></source>"
        f"<size><width>{size[1]}</width><height>{size[0]}</height></size>{items}</annotation>"
    )


def write_imagenet_vid(root: Path, video: str, frames: Sequence[str]) -> Path:
    """Write a video of ImageNet VID."""
    write_images(root / "Data" / "VID" / video, range(len(frames)), "{:06d}.JPEG")
    for number, text in enumerate(frames):
        path = root / "Annotations" / "VID" / video / f"{number:06d}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def runs(mask: NDArray[np.bool_]) -> dict[str, object]:
    """Return a mask as COCO's run lengths, pixel by pixel."""
    counts, before = [0], False
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            if bool(mask[row, column]) != before:
                counts.append(0)
                before = not before
            counts[-1] += 1
    return {"counts": counts, "size": list(mask.shape)}


def compressed(counts: Sequence[int]) -> str:
    """Return run lengths as COCO's text, digit by digit."""
    text = ""
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        while True:
            digit, rest = rest & 31, rest >> 5
            ends = rest == (-1 if digit & 16 else 0)
            text += chr(48 + digit + (0 if ends else 32))
            if ends:
                break
    return text


def vis_video(number: int, name: str, length: int = 4, **more: object) -> dict[str, object]:
    """Return the record of a video of YouTube-VIS."""
    files = [f"{name}/{frame:05d}.jpg" for frame in range(length)]
    return {"id": number, "height": HEIGHT, "width": WIDTH, "length": length, "file_names": files} | more


def vis_object(
    number: int, video: int, segmentations: Sequence[object], category: int = 1, **more: object
) -> dict[str, object]:
    """Return the record of an object of YouTube-VIS."""
    return {
        "id": number, "video_id": video, "category_id": category, "segmentations": segmentations, "iscrowd": 0
    } | more  # fmt: skip


def vis_file(videos: Sequence[object], objects: object, **more: object) -> dict[str, object]:
    """Return a file of YouTube-VIS."""
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    return {"info": {}, "licenses": [], "videos": videos, "annotations": objects, "categories": categories} | more


VIA = (
    "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)\n"
    "# Notes:\n"
    '# SHAPE_ID = {"POINT":1,"RECTANGLE":2,"CIRCLE":3}\n'
    "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata\n"
)
"""How a file of the VGG Image Annotator begins."""


def via(name: str, shape: str) -> str:
    """Return a line of the VGG Image Annotator."""
    return f'"1_aBcDeFgH",{name},0,"[]","{shape}","{{""1"":""0""}}"\n'


def write_moca(root: Path, lines: str, videos: Mapping[str, int]) -> Path:
    """Write MoCA."""
    for video, length in videos.items():
        write_images(root / "JPEGImages" / video, range(length))
    (root / "Annotations").mkdir(parents=True)
    (root / "Annotations" / "annotations.csv").write_text(lines)
    return root


def opened(path: Path, frames: int = 1, stride: int = 1, **more: object) -> list[Clip]:
    """Open a data set with masks."""
    clips = open_segmentation(path, frames=frames, stride=stride, size=SIZE, **more)
    assert clips is not None
    return clips


def ids(clips: Sequence[Clip]) -> list[str]:
    """Return the clips' ids."""
    return [clip.id for clip in clips]


def shown(clips: Sequence[Clip]) -> list[list[int]]:
    """Return the numbers that the frames of each clip carry."""
    return [numbers_of(clip.frames) for clip in clips]


def written(path: Path, content: object) -> Path:
    """Write text, or anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def moving(*values: int, length: int = 4) -> list[dict[str, object]]:
    """Return the masks of objects that move, one entry a frame, as YouTube-VIS writes them."""
    return [runs(square(number, *values) > 0) for number in range(length)]
