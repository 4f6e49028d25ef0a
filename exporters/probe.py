"""Any ONNX model to a probe: bytes of video in, pooled units out, and a mask for every layer on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.assemble import assemble
from sdmetrics.exporters._assembly.batch_size import with_working_batch
from sdmetrics.exporters._assembly.half import check_half, halve, precision
from sdmetrics.exporters._assembly.verify import measure, verify_probe
from sdmetrics.exporters._graph.describe_inputs import check_inputs, infer_inputs
from sdmetrics.exporters._graph.find_layers import candidates, find_layers
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import Layer, Metadata, metadata_of
from sdmetrics.probes.onnx_file import (
    check_model,
    file_sha256,
    load_model,
    save_model,
)

if TYPE_CHECKING:
    from onnx import ModelProto


def build_probe(
    model: Path,
    path: Path,
    *,
    layers: Sequence[str] | Mapping[str, int] | None = None,
    inputs: Sequence[ModelInput] | None = None,
    masks: bool = False,
    half: bool = False,
) -> Path:
    """Turn an ONNX model into a probe, prove that it is right, and write it to `path`.

    The probe reads `rgb`, uint8 `(N, T, H, W, 3)`, and per model input `<input>/order`, int64 `(N, T')`; it
    gives `units/<layer>`, float32 `(N, units)`, pooled over all but clips and channels (paper, Sec. 3.2), and
    the model's own outputs. With `masks` it also reads `mask/<layer>`, float32 `(units,)`, by default ones,
    and multiplies it into what the layer's consumers read; `units/<layer>` is taken before.

    Parameters
    ----------
    model
        An ONNX file, made by `sdmetrics.exporters.torch.export` or by anything else.
    path
        Where the probe goes; it holds all weights.
    layers
        Names that `list_layers` gives, or tensors of the file. A mapping gives their channel axes too, for
        files in which they are not certain. Default: all that the model declares. Without any (`[]`), the probe
        gives the model's own outputs alone.
    inputs
        How the model is fed. Default: as the model declares, else inferred from its shapes with the usual
        mean and deviation.
    masks
        Whether units can be removed.
    half
        Whether the model's body is turned from float32 to float16. How frames are scaled and how units are pooled stays
        float32.

    Raises
    ------
    InputError
        If the model or an argument cannot be used, or a check fails: the probe against the untapped model,
        clips alone against clips in a batch, every mask against its having no effect, and half precision against the
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
    model = Path(model)
    loaded = load_model(model)
    declared = metadata_of(loaded, str(model))
    if declared is not None and declared.kind == "probe":
        raise InputError(f"{model} is a probe already; give the model it was made from")
    described = tuple(inputs) if inputs else declared.inputs if declared else infer_inputs(loaded)
    check_inputs(loaded, described)
    if declared is None:
        loaded = with_working_batch(loaded, described)
    wanted = _choose(loaded, declared, described, layers, str(model))
    chosen, units = measure(loaded, wanted, described)
    body = halve(loaded, model.name) if half else loaded
    raw = {layer.tensor for layer in declared.layers} if declared else set()
    outputs = [output.name for output in loaded.graph.output if output.name not in raw]
    producer = f"{loaded.producer_name} {loaded.producer_version}".strip()
    metadata = Metadata(
        kind="probe",
        name=model.stem,
        inputs=described,
        layers=tuple(chosen),
        outputs=tuple(outputs),
        framework=declared.framework if declared else producer,
        sha256=file_sha256(model),
        export_error=declared.export_error if declared else None,
        masks=masks,
        precision=precision(body),
    )
    probe = assemble(body, metadata)
    check_model(probe, model.name)
    if half:
        check_half(probe, units, described)
    verify_probe(probe.SerializeToString(), loaded, described, outputs, units, masks, half)
    return save_model(probe, Path(path))


def _choose(
    model: ModelProto,
    declared: Metadata | None,
    inputs: Sequence[ModelInput],
    layers: Sequence[str] | Mapping[str, int] | None,
    file: str,
) -> list[Layer]:
    """Return the layers that are asked for."""
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
