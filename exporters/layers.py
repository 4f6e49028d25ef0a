"""List the layers of an ONNX file that a probe can be built for, and describe its inputs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.adapt import adapt, clips_at_once
from sdmetrics.exporters._assembly.batch_size import with_working_batch
from sdmetrics.exporters._assembly.opset import with_newer_opset
from sdmetrics.exporters._graph.ask_inputs import infer_inputs, options_of, suggested_inputs
from sdmetrics.exporters._graph.describe_inputs import EXAMPLES, UNSCALED, check_inputs, raw_inputs
from sdmetrics.exporters._graph.find_layers import candidates
from sdmetrics.exporters._graph.guess_layout import SINGLE_FRAMES
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import ModelInput, cut_in_words, reads_flow
from sdmetrics.probes.metadata import Layer
from sdmetrics.probes.model_file import ModelFile, read_model_file


class Presumed(NamedTuple):
    """The inputs of a file, the options that the command line needs for them, and why they are not certain."""

    inputs: Sequence[ModelInput | HeldInput]
    options: str = ""
    reason: str = ""


def list_layers(model: str | Path | ModelFile) -> list[Layer]:
    """List the layers of an ONNX file that can be probed, in the order in which they are computed.

    A file of `sdmetrics.exporters.torch.export` declares its layers. In other files of torch's newer exporter
    they are the modules whose output is certain. In all other files they are the outputs of activations, sums and
    convolutions, which have only a tensor's name and no module path.

    Raises
    ------
    InputError
        If the file is missing, not ONNX, or itself a probe.

    Examples
    --------
    >>> import tempfile
    >>> from onnx import TensorProto, helper
    >>> def value(name):
    ...     return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 8, 32, 32])
    >>> node = helper.make_node("Relu", ["video"], ["act"])
    >>> graph = helper.make_graph([node], "g", [value("video")], [value("act")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.onnx"
    ...     _ = path.write_bytes(helper.make_model(graph).SerializeToString())
    ...     print([(layer.name, layer.shape, layer.channel_axis, layer.units) for layer in list_layers(path)])
    [('act', ('n', 3, 8, 32, 32), 1, 3)]
    """
    file = read_model_file(model)
    return layers_of(file, presume(file))


def layers_of(file: ModelFile, presumed: Presumed) -> list[Layer]:
    """Return what `list_layers` returns, for what `presume` returned."""
    if file.metadata is None:
        return _found_layers(file, presumed)
    if file.is_probe:
        names = ", ".join(layer.name for layer in file.metadata.layers)
        raise InputError(f"{file.path} is a probe already; its layers are {names}")
    return list(file.metadata.layers)


def _found_layers(file: ModelFile, presumed: Presumed) -> list[Layer]:
    """Return the layers of a file that declares none, for the inputs that are certain or else likely."""
    try:
        check_inputs(file.model, presumed.inputs)
        adapted = adapt(with_newer_opset(file.model), presumed.inputs)
    except InputError:
        return candidates(file.model)
    try:
        loaded = with_working_batch(adapted.model, adapted.inputs)
    except InputError:
        if presumed.reason:
            return candidates(file.model)
        raise
    layouts = {item.name: item.layout for item in adapted.inputs}
    return candidates(loaded, layouts, known=known_shapes(loaded, adapted.inputs))


def presume(file: ModelFile) -> Presumed:
    """Return the inputs of a file that are certain or else likely; the model may be run for that."""
    if file.metadata is not None:
        return Presumed(file.metadata.inputs)
    try:
        return Presumed(infer_inputs(file.model))
    except InputError as error:
        advice = suggested_inputs(file.model)
        try:
            return Presumed(infer_inputs(file.model, advice), options_of(advice), str(error))
        except InputError:
            return Presumed((), options_of(advice), str(error))


def understood_inputs(file: ModelFile, presumed: Presumed) -> list[str]:
    """Return a line for every input of an ONNX file: how it is fed, or what has to be specified for that."""
    if file.metadata is not None:
        return [*map(fed_line, file.metadata.inputs), *(f"input {held}" for held in file.metadata.held)]
    if presumed.reason:
        return [presumed.reason]
    video = [item for item in presumed.inputs if isinstance(item, ModelInput)]
    lines = [
        f"{fed_line(item, clips_at_once(item, raw_inputs(file.model)[item.name].shape))}; if this is wrong, pass "
        "--layout, --frames, --size, --mean, --std to sdmetrics probe"
        for item in video
    ]
    if _single_images(video):
        lines.append("it reads single images, which hold no motion; the frames of a clip can be fed to it one by one")
    return lines


def probe_command(file: ModelFile, presumed: Presumed, layer: str) -> str:
    """Return the command that builds a probe for a layer, with the options that the file needs."""
    options = presumed.options
    video = [item for item in presumed.inputs if isinstance(item, ModelInput)]
    if _single_images(video) and clips_at_once(video[0], raw_inputs(file.model)[video[0].name].shape) is None:
        by_frame = replace(video[0], layout=SINGLE_FRAMES[video[0].layout][0], frames=EXAMPLES["frames"])
        options = f"{options} --layout {by_frame.layout} --frames {by_frame.frames}".strip()
    words = ["sdmetrics probe", shlex.quote(str(file.path)), "-l", shlex.quote(layer), options, "-o probe.onnx"]
    return " ".join(filter(None, words))


def _single_images(video: Sequence[ModelInput]) -> bool:
    """Return whether a model reads one image at a time and nothing that moves."""
    return len(video) == 1 and video[0].layout in SINGLE_FRAMES and not reads_flow(video)


def fed_line(item: ModelInput, batch: int | None = None) -> str:
    """Return how an input is fed."""
    return (
        f"input {item.name}: {item.frames} frame(s) of {item.size[0]} × {item.size[1]} as {item.layout}"
        + ("" if item.source == "rgb" else f" from {item.source}")
        + ("" if item.colours == "rgb" else f" in {item.colours}")
        + ("" if item.limit is None else f" up to ±{item.limit:g} pixels")
        + (f", {cut}" if (cut := cut_in_words(item)) else "")
        + (", fed 0 to 255" if (item.mean, item.std) == (UNSCALED["mean"], UNSCALED["std"]) else "")
        + (f", {batch} clip(s) at once" if batch else "")
    )
