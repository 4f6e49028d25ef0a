"""Turn any ONNX model into a probe: video bytes in, pooled units out, and on request a mask for every layer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sdmetrics.errors import InputError, note
from sdmetrics.exporters._assembly.adapt import adapt
from sdmetrics.exporters._assembly.assemble import assemble
from sdmetrics.exporters._assembly.batch_size import with_working_batch
from sdmetrics.exporters._assembly.half import check_half, halve, precision
from sdmetrics.exporters._assembly.opset import with_newer_opset
from sdmetrics.exporters._assembly.verify import place_and_pool, verify_conversion, verify_probe
from sdmetrics.exporters._graph.ask_inputs import held_input, infer_inputs
from sdmetrics.exporters._graph.describe_inputs import check_inputs, check_known
from sdmetrics.exporters._graph.find_layers import candidates, find_layers
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.probes.held_inputs import HeldInput, HeldValue
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.kept_weights import named_alike
from sdmetrics.probes.metadata import Layer, Metadata
from sdmetrics.probes.model_file import ModelFile, read_model_file
from sdmetrics.probes.onnx_file import check_model, write_model
from sdmetrics.probes.session import fixed_batch

if TYPE_CHECKING:
    from onnx import ModelProto


def build_probe(
    model: str | Path | ModelFile,
    path: str | Path,
    *,
    layers: Sequence[str] | Mapping[str, int | None] | None = None,
    inputs: Sequence[ModelInput | HeldInput] | None = None,
    masks: bool = False,
    half: bool = False,
) -> Path:
    """Turn an ONNX model into a probe, verify it, and write it to `path`.

    The probe reads `rgb`, uint8 `(N, T, H, W, 3)`, and for each model input `<input>/order`, int64 `(N, T')`. It
    returns `units/<layer>`, float32 `(N, units)`, pooled over all axes but clips and channels (paper, Sec. 3.2), and
    the model's own outputs. With `masks` it also reads `mask/<layer>`, float32 `(units,)`, by default ones, and
    multiplies it into what the layer's consumers read; `units/<layer>` is taken before the mask.

    Parameters
    ----------
    model
        An ONNX file, from `sdmetrics.exporters.torch.export` or from any other exporter.
    path
        Where the probe is written; it holds all weights. Those of a model beyond 2 GiB are written to a second file of
        this name and `.data`, which has to stay beside it.
    layers
        Names that `list_layers` returns, or tensors of the file. A mapping also specifies their channel axes, for files
        in which they are not certain. Default: all that the model declares. If empty (`[]`), the probe has only the
        model's own outputs.
    inputs
        How the model is fed: a `ModelInput` per input that is video, a `HeldInput` per input that is not and is held
        still. Default: as the model declares, else inferred from its shapes with the usual mean and deviation.
    masks
        Whether units can be removed.
    half
        Whether the model's body is converted from float32 to float16. Scaling the frames and pooling the units stay in
        float32.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If the model or an argument cannot be used, or a check fails: the probe against the untapped model, clips
        alone against clips in a batch, that every mask affects at least one output, and half precision against the
        float32 model.

    Examples
    --------
    >>> import tempfile
    >>> from onnx import TensorProto, helper
    >>> video = helper.make_tensor_value_info("video", TensorProto.FLOAT, ["n", 3, 4, 16, 16])
    >>> act = helper.make_tensor_value_info("act", TensorProto.FLOAT, ["n", 3, 4, 16, 16])
    >>> nodes = [helper.make_node("Relu", ["video"], ["act"])]
    >>> graph = helper.make_graph(nodes, "g", [video], [act])
    >>> made = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "model.onnx").write_bytes(made.SerializeToString())
    ...     build_probe(Path(folder) / "model.onnx", Path(folder) / "probe.onnx", layers=["act"]).name
    'probe.onnx'
    """
    probe = make_probe(model, layers=layers, inputs=inputs, masks=masks, half=half)
    return write_model(probe.model, Path(path))


def make_probe(
    model: str | Path | ModelFile,
    *,
    layers: Sequence[str] | Mapping[str, int | None] | None = None,
    inputs: Sequence[ModelInput | HeldInput] | None = None,
    masks: bool = False,
    half: bool = False,
) -> ModelFile:
    """Return the probe that `build_probe` writes, for the same arguments. Its path is the model's.

    A file that is already read can be passed as a `ModelFile`, so that it is not parsed again.

    Raises
    ------
    InputError
        See `build_probe`.
    """
    file = read_model_file(model)
    loaded, declared = file.model, file.metadata
    if file.is_probe:
        raise InputError(f"{file.path} is a probe already; use the model that it was made from")
    described = tuple(inputs) if inputs else describe_feeding(file)
    check_inputs(loaded, described)
    newer = with_newer_opset(loaded)
    adapted = adapt(newer, described)
    loaded, fed = adapted.model, adapted.inputs
    if declared is None:
        loaded = with_working_batch(loaded, fed)
    if (batch := fixed_batch(loaded)) is not None:
        note(
            f"{file.path.name} runs {batch} clip(s) at a time: it reads no other number, or what it returns for a "
            "clip depends on the others"
        )
    requested = _choose(loaded, declared, fed, layers, str(file.path))
    if newer is not file.model:
        verify_conversion(file.model, loaded, described, adapted.held, requested)
    placed, units = place_and_pool(loaded, requested, fed)
    body = halve(loaded, file.path.name) if half else loaded
    raw = {layer.tensor for layer in declared.layers} if declared else set()
    outputs = [output.name for output in loaded.graph.output if output.name not in raw]
    producer = f"{loaded.producer_name} {loaded.producer_version}".strip()
    metadata = Metadata(
        kind="probe",
        name=file.path.stem,
        inputs=tuple(item for item in described if isinstance(item, ModelInput)),
        layers=tuple(placed),
        outputs=tuple(outputs),
        framework=declared.framework if declared else producer,
        sha256=file.sha256,
        export_error=declared.export_error if declared else None,
        masks=masks,
        precision=precision(body),
        held=adapted.held,
        trained_on_shuffled=declared.trained_on_shuffled if declared else (),
    )
    probe = assemble(body, metadata)
    check_model(probe, file.path.name)
    if half:
        check_half(probe, units, fed)
    verify_probe(probe, loaded, fed, outputs, units, masks, half)
    return ModelFile(file.path, probe, metadata, hashlib.sha256(named_alike(probe)).hexdigest())


def open_probe(
    model: str | Path | ModelFile,
    *,
    layers: Sequence[str] | Mapping[str, int | None] | None = None,
    inputs: Sequence[ModelInput | HeldInput] | None = None,
    masks: bool = False,
    half: bool = False,
) -> ModelFile:
    """Return a probe for a file: the file if it is a probe that has what is requested, else a new one.

    Raises
    ------
    InputError
        If the file is a probe that lacks something requested; otherwise see `build_probe`.
    """
    file = read_model_file(model)
    if not file.is_probe:
        return make_probe(file, layers=layers, inputs=inputs, masks=masks, half=half)
    assert file.metadata is not None
    lacking = _lacking(file.metadata, layers or (), inputs, masks, half)
    if lacking:
        raise InputError(f"{file.path} is a probe {lacking}")
    return file


def describe_feeding(
    model: str | Path | ModelFile,
    by_input: Mapping[str, Mapping[str, Any]] | None = None,
    **fields: Any,  # noqa: ANN401 (fields of ModelInput)
) -> tuple[ModelInput | HeldInput, ...]:
    """Return how a model is fed: as its file declares, else inferred from its shapes with the usual mean and deviation.

    Parameters
    ----------
    model
        An ONNX file, or one that is already read.
    by_input
        Fields of `ModelInput` by the name of an input; they take precedence over `fields`. With `constant`, a number or
        an array, and perhaps `shape`, the input is held still (`HeldInput`).
    **fields
        Fields of `ModelInput` for all inputs; they take precedence over the file.

    Raises
    ------
    InputError
        If it is not certain how an input is fed, or the model has no input of a name in `by_input`.
    """
    file = read_model_file(model)
    if file.metadata is None:
        return infer_inputs(file.model, by_input, **fields)
    by_input = by_input or {}
    check_known(by_input, [item.name for item in file.metadata.inputs])
    return tuple(_redescribed(item, fields, by_input.get(item.name, {})) for item in file.metadata.inputs)


def _redescribed(item: ModelInput, fields: Mapping[str, Any], own: Mapping[str, Any]) -> ModelInput | HeldInput:
    """Return how a declared input is fed with some fields changed."""
    if "constant" in own:
        return held_input(item.name, own)
    changed = {**fields, **own}
    # Mean and deviation belong to the source.
    scale = {"mean": (), "std": ()} if changed.get("source", item.source) != item.source else {}
    rate = {"fps": None} if changed.get("sampling") == "spread" else {}
    return replace(item, **{**scale, **rate, **changed})


def _lacking(
    probe: Metadata,
    layers: Sequence[str] | Mapping[str, int | None],
    inputs: Sequence[ModelInput | HeldInput] | None,
    masks: bool,
    half: bool,
) -> str | None:
    """Return in words what a probe lacks of what is requested, and the remedy; None if it lacks nothing."""
    remedy = "use the model that it was made from"
    axes = {layer.name: layer.channel_axis for layer in probe.layers}
    missing = [layer for layer in layers if layer not in axes]
    if missing:
        return f"without the layer {missing[0]!r}; it has {', '.join(axes)}. For other layers {remedy}"
    ranks = {layer.name: len(layer.shape) for layer in probe.layers}
    for name, axis in layers.items() if isinstance(layers, Mapping) else ():
        if axis is not None and axes[name] not in (axis, axis + ranks[name]):
            return f"with the channels of layer {name!r} in axis {axes[name]}; for another axis {remedy}"
    if masks and not probe.masks:
        return f"and has no masks; {remedy}, or build one with masks: sdmetrics probe MODEL --masks -o PROBE"
    if half and probe.precision != "float16":
        return f"and not in half precision; {remedy}"
    return f"and fed in another way; {remedy}" if inputs and not _fed_so(probe, inputs) else None


def _fed_so(probe: Metadata, inputs: Sequence[ModelInput | HeldInput]) -> bool:
    """Return whether a probe is fed as described; inputs that it holds need no description."""
    video = tuple(item for item in inputs if isinstance(item, ModelInput))
    still = {item.name: item for item in inputs if isinstance(item, HeldInput)}
    records = {record.name: record for record in probe.held}
    return (
        video == probe.inputs
        and still.keys() <= records.keys()
        and all(_held_so(item, records[name]) for name, item in still.items())
    )


def _held_so(item: HeldInput, record: HeldValue) -> bool:
    """Return whether a probe holds an input at the values described."""
    return item.described(np.dtype(record.dtype), record.shape) == record


def _choose(
    model: ModelProto,
    declared: Metadata | None,
    inputs: Sequence[ModelInput],
    layers: Sequence[str] | Mapping[str, int | None] | None,
    file: str,
) -> list[Layer]:
    """Return the layers that are requested."""
    if layers is not None and not layers:
        return []
    if declared is not None:
        return find_layers(layers or [layer.name for layer in declared.layers], declared.layers, file)
    layouts = {item.name: item.layout for item in inputs}
    known = known_shapes(model, inputs)
    offered = candidates(model, layouts, known=known)
    if layers is None:
        names = ", ".join(layer.name for layer in offered[:8])
        raise InputError(f"{file} does not declare its layers; name some: {names}, … (sdmetrics layers lists them)")
    return find_layers(layers, [*offered, *candidates(model, layouts, every=True, known=known)], file)
