"""ONNX files of one small network whose inputs are unlike the usual video: other axes, other types, more inputs.

All have the same weights, so what they return for a clip is known from the file `plain`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FRAMES, SIZE, CHANNELS = 4, 16, 4
VIDEO = ["n", 3, FRAMES, SIZE, SIZE]
RNG = np.random.default_rng(7)
WEIGHTS = {
    "kernel": RNG.normal(size=(CHANNELS, 3, 3, 3, 3)).astype(np.float32) / 9,
    "flat_kernel": RNG.normal(size=(CHANNELS, 3, 3, 3)).astype(np.float32) / 5,
    "head": RNG.normal(size=(CHANNELS, 5)).astype(np.float32),
    "words": RNG.normal(size=(50, CHANNELS)).astype(np.float32),
    "scale": np.float32(1 / 255),
}


@dataclass
class File:
    """A file: its inputs, the nodes that make the network's own video `x` of them, and what follows."""

    inputs: dict[str, list[int | str] | None]
    front: list[tuple] = field(default_factory=list)
    body: str = "video"
    tail: list[tuple] = field(default_factory=list)
    outputs: tuple[str, ...] = ("logits",)
    types: dict[str, int] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    opset: int = 17


BODIES: dict[str, list[tuple]] = {
    "video": [
        ("Conv", ["x", "kernel"], ["conv"], {"pads": [1] * 6, "strides": [1, 2, 2]}),
        ("Relu", ["conv"], ["act"], {}),
        ("ReduceMean", ["act"], ["features"], {"axes": [2, 3, 4], "keepdims": 0}),
        ("MatMul", ["features", "head"], ["scores"], {}),
    ],
    "images": [
        ("Conv", ["x", "flat_kernel"], ["conv"], {"pads": [1] * 4, "strides": [2, 2]}),
        ("Relu", ["conv"], ["act"], {}),
        ("ReduceMean", ["act"], ["features"], {"axes": [2, 3], "keepdims": 0}),
        ("MatMul", ["features", "head"], ["scores"], {}),
    ],
}
SAME = [("Identity", ["scores"], ["logits"], {})]
CONSENSUS = [
    ("Reshape", ["scores", "by_clip"], ["of_frames"], {}),
    ("ReduceMean", ["of_frames"], ["logits"], {"axes": [1], "keepdims": 0}),
]
BY_CLIP = {"by_clip": np.array([-1, FRAMES, 5])}


def _moved(perm: list[int], source: str = "video") -> list[tuple]:
    return [("Transpose", [source], ["x"], {"perm": perm})]


def _plain(shape: list[int | str] | None = None, **changes: object) -> File:
    return File(
        {"video": VIDEO if shape is None else shape}, [("Identity", ["video"], ["x"], {})], tail=SAME, **changes
    )


def _typed(kind: int) -> File:
    front = [
        ("Transpose", ["video"], ["moved"], {"perm": [0, 4, 1, 2, 3]}),
        ("Cast", ["moved"], ["cast"], {"to": TensorProto.FLOAT}),
        ("Mul", ["cast", "scale"], ["x"], {}),
    ]
    return File({"video": ["n", FRAMES, SIZE, SIZE, 3]}, front, tail=SAME, types={"video": kind})


def _beside(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> File:
    axes = list(range(1, len(shape)))
    tail = [
        ("Cast", [name], ["beside"], {"to": TensorProto.FLOAT}),
        ("ReduceMean", ["beside"], ["added"], {"axes": axes, "keepdims": 0}),
        ("Reshape", ["added", "one_each"], ["column"], {}),
        ("Add", ["scores", "column"], ["logits"], {}),
    ]
    front = [("Identity", ["video"], ["x"], {})]
    return File(
        {"video": VIDEO, name: shape}, front, tail=tail, types={name: kind}, constants={"one_each": np.array([-1, 1])}
    )


SQUEEZED = {"zero": np.array([0])}
FILES: dict[str, Callable[[], File]] = {
    "plain": _plain,
    "six axes": lambda: File(
        {"video": ["n", "clips", 3, FRAMES, SIZE, SIZE]},
        [("Reshape", ["video", "five"], ["x"], {})],
        tail=SAME,
        constants={"five": np.array([-1, 3, FRAMES, SIZE, SIZE])},
    ),
    "six axes, one clip": lambda: File(
        {"video": [1, 1, 3, FRAMES, SIZE, SIZE]},
        [("Reshape", ["video", "five"], ["x"], {})],
        tail=SAME,
        constants={"five": np.array([-1, 3, FRAMES, SIZE, SIZE])},
    ),
    "no batch": lambda: File(
        {"video": [3, FRAMES, SIZE, SIZE]},
        [("Unsqueeze", ["video", "zero"], ["x"], {})],
        tail=[("Squeeze", ["scores", "zero"], ["logits"], {})],
        constants=SQUEEZED,
    ),
    "no batch, frames first": lambda: File(
        {"video": [FRAMES, 3, SIZE, SIZE]},
        [("Unsqueeze", ["video", "zero"], ["one"], {}), *_moved([0, 2, 1, 3, 4], "one")],
        tail=[("Squeeze", ["scores", "zero"], ["logits"], {})],
        constants=SQUEEZED,
    ),
    "frames before clips": lambda: File({"video": [FRAMES, "n", 3, SIZE, SIZE]}, _moved([1, 2, 0, 3, 4]), tail=SAME),
    "frames as channels": lambda: File(
        {"video": ["n", 3 * FRAMES, SIZE, SIZE]},
        [("Reshape", ["video", "five"], ["five_axes"], {}), *_moved([0, 2, 1, 3, 4], "five_axes")],
        tail=SAME,
        constants={"five": np.array([-1, FRAMES, 3, SIZE, SIZE])},
    ),
    "images": lambda: File({"video": ["n", 3, SIZE, SIZE]}, [("Identity", ["video"], ["x"], {})], "images", SAME),
    "one image": lambda: File({"video": [1, 3, SIZE, SIZE]}, [("Identity", ["video"], ["x"], {})], "images", SAME),
    "segments": lambda: File(
        {"video": ["frames", 3, SIZE, SIZE]},
        [("Identity", ["video"], ["x"], {})],
        "images",
        CONSENSUS,
        constants=BY_CLIP,
    ),
    "segments of one clip": lambda: File(
        {"video": [FRAMES, 3, SIZE, SIZE]}, [("Identity", ["video"], ["x"], {})], "images", CONSENSUS, constants=BY_CLIP
    ),
    "uint8": lambda: _typed(TensorProto.UINT8),
    "int64": lambda: _typed(TensorProto.INT64),
    "float16": lambda: _typed(TensorProto.FLOAT16),
    "double": lambda: _typed(TensorProto.DOUBLE),
    "open sizes": lambda: _plain(["n", 3, "t", "h", "w"]),
    "open sizes of one name": lambda: _plain(["n", 3, "n", "n", "n"]),
    "no shape": lambda: File({"video": None}, [("Identity", ["video"], ["x"], {})], tail=SAME),
    "audio": lambda: _beside("audio", ["n", 1, 8, 12]),
    "audio like an image": lambda: _beside("audio", ["n", 3, 8, 12]),
    "audio of the images' size": lambda: _beside("audio", ["n", 3, SIZE, SIZE]),
    "state": lambda: _beside("state", [1, 6], TensorProto.INT32),
    "text": lambda: File(
        {"video": ["batch", *VIDEO[1:]], "input_ids": ["texts", "length"], "attention_mask": ["texts", "length"]},
        [("Identity", ["video"], ["x"], {})],
        tail=[
            ("Gather", ["words", "input_ids"], ["embedded"], {}),
            ("ReduceMean", ["embedded"], ["text"], {"axes": [1], "keepdims": 0}),
            ("Gemm", ["features", "text"], ["logits"], {"transB": 1}),
        ],
        types={"input_ids": TensorProto.INT64, "attention_mask": TensorProto.INT64},
    ),
    "image and flow": lambda: File(
        {"image": ["n", 3, SIZE, SIZE], "flow": ["n", 3, SIZE, SIZE]},
        [("Add", ["image", "flow"], ["x"], {})],
        "images",
        SAME,
    ),
    "a sequence beside": lambda: File(
        {"video": VIDEO},
        [("Identity", ["video"], ["x"], {})],
        tail=[*SAME, ("SplitToSequence", ["act"], ["parts"], {"axis": 2})],
        outputs=("logits", "parts"),
    ),
    "old": lambda: File(
        {"video": VIDEO},
        [
            # Every second pixel of a video of twice the size, as opsets before 11 enlarge it, is a pixel of the video.
            ("Upsample", ["video"], ["large"], {"mode": "linear", "scales": [1.0, 1.0, 1.0, 2.0, 2.0]}),
            ("MaxPool", ["large"], ["x"], {"kernel_shape": [1, 1, 1], "strides": [1, 2, 2]}),
        ],
        tail=SAME,
        opset=7,
    ),
    "unknown operator": lambda: File(
        {"video": VIDEO},
        [("Identity", ["video"], ["x"], {})],
        tail=[("Shift", ["scores"], ["logits"], {"domain": "x"})],
    ),
}


def save_file(name: str, path: object, opset: int | None = None) -> None:
    """Write one of the files, on request for another opset than its own."""
    file = FILES[name]()
    nodes = [*file.front, *BODIES[file.body], *file.tail]
    read = {each for _, inputs, _, _ in nodes for each in inputs}
    made = [helper.make_node(kind, inputs, outputs, **changes) for kind, inputs, outputs, changes in nodes]
    inputs = [
        helper.make_tensor_value_info(each, file.types.get(each, TensorProto.FLOAT), shape)
        for each, shape in file.inputs.items()
    ]
    outputs = [
        helper.make_tensor_sequence_value_info(each, TensorProto.FLOAT, None)
        if each == "parts"
        else helper.make_tensor_value_info(each, TensorProto.FLOAT, None)
        for each in file.outputs
    ]
    weights = [
        numpy_helper.from_array(value, key) for key, value in {**WEIGHTS, **file.constants}.items() if key in read
    ]
    domains = [helper.make_opsetid("", opset or file.opset), helper.make_opsetid("x", 1)]
    model = helper.make_model(
        helper.make_graph(made, "g", inputs, outputs, weights), opset_imports=domains, ir_version=8
    )
    onnx.save(model, str(path))
