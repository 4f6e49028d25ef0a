"""Small video networks of every kind, and the ONNX files that their frameworks' own exporters make of them.

A network calls `seen` on every tensor that people would call a layer, with the meaning of its axes: that is the truth
that the layers proposed for its bare file are held against.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.plain_networks import (
    CLIPS,
    FRAMES,
    SIZE,
    ChannelsLast,
    ConvNet,
    Divided,
    Frames,
    Mobile,
    Tokens,
    Truth,
    Windows,
    noting,
    truth,
)


@dataclass(frozen=True)
class Network:
    """A torch network and the layout that it reads."""

    make: Callable[[], nn.Module]
    layout: str = "NCTHW"


NETWORKS = {
    "convolutions": Network(ConvNet),
    "channels last": Network(ChannelsLast, "NTHWC"),
    "tokens, norm first": Network(Tokens),
    "tokens, norm last": Network(lambda: Tokens(first=False)),
    "frames": Network(Frames, "NTCHW"),
    "frames, time first": Network(lambda: Frames(time_major=True), "NTCHW"),
    "divided attention": Network(Divided, "NTCHW"),
    "mobile": Network(Mobile),
    "windows": Network(Windows),
}


def video_input(layout: str) -> ModelInput:
    """What the networks read."""
    return ModelInput("video", frames=FRAMES, size=(SIZE, SIZE), layout=layout)


def clips(layout: str) -> NDArray[np.float32]:
    """The clips that truth and file are compared on, as the network reads them."""
    item = video_input(layout)
    return prepare(random_feeds([item], CLIPS), [item])["video"]


@functools.cache
def network(name: str) -> nn.Module:
    """A network with fixed random weights, norms and their statistics included."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = NETWORKS[name].make()
        for part in model.modules():
            if isinstance(part, (nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)):
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias)
            if isinstance(part, nn.BatchNorm3d):
                nn.init.normal_(part.running_mean)
                nn.init.uniform_(part.running_var, 0.5, 1.5)
    return model.eval()


def torch_truth(name: str) -> list[Truth]:
    """The layers of a torch network, as torch computes them."""
    with noting() as notes, torch.no_grad():
        network(name)(torch.from_numpy(clips(NETWORKS[name].layout)))
    return truth(notes)


@functools.cache
def torch_file(name: str, opset: int, dynamo: bool, batch: int | None = None) -> bytes:
    """The file that torch's newer (`dynamo`) or older exporter makes of a network; `batch` fixes its batch size."""
    example = torch.from_numpy(clips(NETWORKS[name].layout))
    example = example if batch is None else torch.cat([example] * batch)[:batch]
    options: dict[str, Any] = {"input_names": ["video"], "opset_version": opset, "verbose": False}
    with _quiet():
        if dynamo:
            shapes = None if batch else ({0: torch.export.Dim("batch")},)
            program = torch.onnx.export(network(name), (example,), dynamo=True, dynamic_shapes=shapes, **options)
            return program.model_proto.SerializeToString()
        file = io.BytesIO()
        axes = None if batch else {"video": {0: "n"}}
        torch.onnx.export(network(name), (example,), file, dynamo=False, dynamic_axes=axes, **options)
        return file.getvalue()


def quantised_file(name: str, kind: str, folder: Path) -> bytes:
    """A torch network's file with integer weights: `"per tensor"` or `"per channel"` (QDQ), or `"dynamic"`."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static

    class Clips(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = list(clips(NETWORKS[name].layout)[:, None])

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return {"video": self.left.pop()} if self.left else None

    # Sums of products of a matrix overflow on processors without VNNI.
    reduced = "tokens" in name
    source, target = folder / "float.onnx", folder / "quantised.onnx"
    source.write_bytes(torch_file(name, 17, False))
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        if kind == "dynamic":
            quantize_dynamic(source, target, reduce_range=reduced)
        else:
            quantize_static(source, target, Clips(), per_channel=kind == "per channel", reduce_range=reduced)
    finally:
        logging.getLogger().setLevel(level)
    return target.read_bytes()


def half_file(name: str, keep_io_types: bool) -> bytes:
    """A torch network's file in float16, all of it or all but its ends."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load_from_string(torch_file(name, 17, False))
    return convert_float_to_float16(model, keep_io_types=keep_io_types).SerializeToString()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporters from warning of their own deprecations, constant folding and missing packages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def stripped(data: bytes) -> bytes:
    """The file without what it says of where it came from: only names and numbers are left."""
    model = onnx.load_from_string(data)
    graph = model.graph
    parts = [graph.node, graph.input, graph.output, graph.value_info, graph.initializer]
    for part in [model, graph, *(item for group in parts for item in group)]:
        del part.metadata_props[:]
        part.doc_string = ""
    model.producer_name = model.producer_version = ""
    return model.SerializeToString()
