"""List the layers of an ONNX file that a probe can be built for, and describe its inputs."""

from __future__ import annotations

from pathlib import Path

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.batch_size import with_working_batch
from sdmetrics.exporters._graph.describe_inputs import infer_inputs
from sdmetrics.exporters._graph.find_layers import candidates
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.probes.metadata import Layer
from sdmetrics.probes.model_file import ModelFile, read_model_file
from sdmetrics.probes.session import fixed_batch


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
    if file.metadata is None:
        try:
            inputs = infer_inputs(file.model)
        except InputError:
            return candidates(file.model)
        loaded = with_working_batch(file.model, inputs)
        return candidates(loaded, {item.name: item.layout for item in inputs}, known=known_shapes(loaded, inputs))
    if file.probe is not None:
        names = ", ".join(layer.name for layer in file.metadata.layers)
        raise InputError(f"{file.path} is a probe already; its layers are {names}")
    return list(file.metadata.layers)


def understood_inputs(model: str | Path | ModelFile) -> list[str]:
    """Return a line for every input of an ONNX file: how it is fed, or what has to be specified for that."""
    file = read_model_file(model)
    declared = file.metadata
    try:
        inputs = declared.inputs if declared else infer_inputs(file.model)
    except InputError as error:
        return [str(error)]
    batch = fixed_batch(file.model)
    return [
        f"input {item.name}: {item.frames} frame(s) of {item.size[0]} × {item.size[1]} as {item.layout}"
        + ("" if item.source == "rgb" else f" from {item.source}")
        + (f", {batch} clip(s) at once" if batch else "")
        + ("" if declared else "; if this is wrong, pass --layout, --frames, --size, --mean, --std to sdmetrics probe")
        + ("" if declared or len(inputs) == 1 else f", or --input '{item.name} source=flow …' for this input")
        for item in inputs
    ]
