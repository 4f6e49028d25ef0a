"""Small sound files of every kind that the package reads; the cases spoil copies of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from benchmarks.hostile.sandbox import command
from sdmetrics.clips.generated.world import MOTIONS
from sdmetrics.demo import demo_model

SIZE, FRAMES, CLASSES = 32, 8, 3
CODECS = {
    "a.mp4": ("mpeg4", "yuv420p"),
    "a.mkv": ("ffv1", "yuv420p"),
    "a.webm": ("libvpx", "yuv420p"),
    "a.avi": ("mjpeg", "yuvj420p"),
    "a.gif": ("gif", "rgb8"),
    "a.ts": ("mpeg2video", "yuv420p"),
    "b.mov": ("png", "rgb24"),
}
PICTURES = ("png", "jpg", "webp", "bmp")
LABELS = {
    "names.txt": "\n".join(MOTIONS),
    "numbered.txt": "\n".join(f"{number} {name}" for number, name in enumerate(MOTIONS, 1)),
    "labels.json": json.dumps({name: number for number, name in enumerate(MOTIONS)}),
    "config.json": json.dumps({"id2label": {str(number): name for number, name in enumerate(MOTIONS)}}),
}


def write_all(folder: Path) -> None:
    """Write the sound files into a folder."""
    with demo_model("motion") as path:
        shutil.copy(path, folder / "world.onnx")
    onnx.save(classifier(), str(folder / "model.onnx"))
    onnx.save(segmenter(), str(folder / "segmenter.onnx"))
    onnx.save(style_network(), str(folder / "style.onnx"))
    for name, (codec, pixels) in CODECS.items():
        write_video(folder / "videos" / name, codec, pixels)
    for suffix in PICTURES:
        write_pictures(folder / suffix / "v", suffix)
    write_davis(folder / "davis")
    write_flow(folder / "flow")
    write_lists(folder / "lists")
    for name, text in LABELS.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_weights(folder)
    command_ok("probe", folder / "model.onnx", "-l", "act", "--stride", 1, "-o", folder / "probe.onnx")
    command_ok("analyze", folder / "probe.onnx", "world:24", "--out", folder / "run")
    shutil.copytree(folder / "run", folder / "run2")


def command_ok(*arguments: object) -> None:
    """Run `sdmetrics` and go on."""
    try:
        command(arguments)
    except SystemExit as leaving:
        if leaving.code:
            raise


def classifier() -> onnx.ModelProto:
    """Return a network with one convolution over space and time: `(N, 3, T, H, W)` to `(N, classes)`."""
    nodes = [
        helper.make_node("Conv", ["video", "kernel"], ["conv"], kernel_shape=[3, 3, 3], pads=[1] * 6),
        helper.make_node("Relu", ["conv"], ["act"]),
        helper.make_node("GlobalAveragePool", ["act"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["logits"]),
    ]
    weights = {"kernel": noise(4, 3, 3, 3, 3), "head": noise(4, CLASSES)}
    return model(nodes, ("video", ["N", 3, FRAMES, SIZE, SIZE]), ("logits", ["N", CLASSES]), weights)


def segmenter() -> onnx.ModelProto:
    """Return a network with one convolution: `(N, 3, H, W)` to a map of probabilities `(N, 1, H, W)`."""
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["conv"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Sigmoid", ["conv"], ["map"]),
    ]
    shape = ["N", 1, SIZE, SIZE]
    return model(nodes, ("image", ["N", 3, SIZE, SIZE]), ("map", shape), {"kernel": noise(1, 3, 3, 3)})


def style_network() -> onnx.ModelProto:
    """Return a network that inverts colours of 0 to 1."""
    nodes = [helper.make_node("Sub", ["one", "image"], ["styled"])]
    shape = ["N", 3, "H", "W"]
    return model(nodes, ("image", shape), ("styled", shape), {"one": np.ones((1, 1, 1, 1), np.float32)})


def model(
    nodes: Sequence[onnx.NodeProto],
    given: tuple[str, list[str | int]],
    answer: tuple[str, list[str | int]],
    weights: dict[str, NDArray[np.float32]],
) -> onnx.ModelProto:
    """Return a model of these nodes."""
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(given[0], kind, given[1])],
        [helper.make_tensor_value_info(answer[0], kind, answer[1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def noise(*shape: int) -> NDArray[np.float32]:
    """Return weights."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def picture(number: int) -> NDArray[np.uint8]:
    """Return a frame of a square that moves over noise, uint8 `(48, 64, 3)`."""
    frame = np.random.default_rng(0).integers(0, 128, (48, 64, 3), np.uint8)
    frame[10:26, 2 * number : 2 * number + 16] = 255
    return frame


def write_video(path: Path, codec: str, pixels: str) -> None:
    """Encode twelve frames."""
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        stream.time_base = Fraction(1, 25)
        for number in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode())


def write_pictures(folder: Path, suffix: str, count: int = 10) -> None:
    """Write frames as pictures."""
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:05d}.{suffix}"), picture(number))


def write_davis(folder: Path) -> None:
    """Write two annotated videos in DAVIS's layout."""
    for name in ("bear", "swan"):
        write_pictures(folder / "JPEGImages" / "480p" / name, "jpg", 3)
        masks = folder / "Annotations" / "480p" / name
        masks.mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(masks / f"{number:05d}.png"), np.asarray(picture(number)[..., 0] == 255, np.uint8))


def write_flow(folder: Path) -> None:
    """Write one flow field in each of the three formats."""
    folder.mkdir()
    field = np.full((48, 64, 2), 2, "<f4")
    (folder / "a.flo").write_bytes(b"PIEH" + np.array([64, 48], "<i4").tobytes() + field.tobytes())
    sixteen = np.dstack([np.ones((48, 64)), field * 64 + 2**15]).astype(np.uint16)
    cv2.imwrite(str(folder / "kitti.png"), sixteen)
    cv2.imwrite(str(folder / "wheel.png"), picture(0))


def write_weights(folder: Path) -> None:
    """Write the weights of a layer in two formats."""
    import torch
    from safetensors.torch import save_file

    weights = {"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}
    torch.save({"state_dict": weights, "epoch": 3}, folder / "weights.pth")
    save_file(weights, folder / "weights.safetensors")


def write_lists(folder: Path) -> None:
    """Write two videos, and lists of them in several forms."""
    folder.mkdir()
    for name in ("a", "b"):
        write_video(folder / f"{name}.mp4", "mpeg4", "yuv420p")
    write_pictures(folder / "frames", "jpg")
    write_pictures(folder / "JPEGImages" / "crab", "jpg", 3)
    vis = {
        "videos": [{"id": 1, "width": 64, "height": 48, "file_names": [f"frames/{n:05d}.jpg" for n in range(3)]}],
        "annotations": [
            {
                "id": 1,
                "video_id": 1,
                "category_id": 1,
                "segmentations": [[[2, 2, 20, 2, 20, 20]], None, [[2, 2, 9, 2, 9, 20]]],
            }
        ],
        "categories": [{"id": 1, "name": "bear"}],
    }
    texts = {
        "manifest.csv": "path,label,start,end\na.mp4,up,,\nb.mp4,down,0.1,0.4\nframes,up,,\n",
        "kinetics.csv": "label,youtube_id,time_start,time_end,split\nup,a,0,10,val\ndown,b,0,10,val\n",
        "headerless.txt": "a.mp4 0\nb.mp4 1\n",
        "frames.txt": "frames 10 2\n",
        "something.json": json.dumps([{"id": "a", "template": "up"}, {"id": "b", "template": "down"}]),
        "diving.json": json.dumps([{"vid_name": "a", "label": 0}, {"vid_name": "b", "label": 1}]),
        "activitynet.json": json.dumps(
            {"database": {"a": {"subset": "validation", "annotations": [{"label": "up", "segment": [0, 0.4]}]}}}
        ),
        "vis.json": json.dumps(vis),
        "moca.csv": 'file_list,spatial_coordinates\n/crab/00000.jpg,"[2,2,2,10,10]"\n/crab/00001.jpg,"[2,4,2,9,9]"\n',
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
