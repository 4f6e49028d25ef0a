"""The layers of an ONNX file: what a probe can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.batch_size import with_working_batch
from sdmetrics.exporters._graph.describe_inputs import infer_inputs
from sdmetrics.exporters._graph.find_layers import candidates
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.probes.metadata import Layer, metadata_of
from sdmetrics.probes.onnx_file import load_graph, load_model
from sdmetrics.probes.session import fixed_batch

if TYPE_CHECKING:
    pass


def list_layers(model: Path) -> list[Layer]:
    """List the layers of an ONNX file that can be probed, in the order in which they are computed.

    A file of `sdmetrics.exporters.torch.export` declares its layers. In other files of torch's newer exporter
    they are the modules whose output is certain; elsewhere the outputs of activations, sums and convolutions,
    which have no module path, only a tensor's name.

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
    loaded = load_model(Path(model))
    declared = metadata_of(loaded, str(model))
    if declared is None:
        try:
            inputs = infer_inputs(loaded)
        except InputError:
            return candidates(loaded)
        loaded = with_working_batch(loaded, inputs)
        return candidates(loaded, {item.name: item.layout for item in inputs}, known=known_shapes(loaded, inputs))
    if declared.kind == "probe":
        raise InputError(
            f"{model} is a probe already; its layers are {', '.join(layer.name for layer in declared.layers)}"
        )
    return list(declared.layers)


def understood_inputs(model: Path) -> list[str]:
    """Return a line for every input of an ONNX file: how it is fed, or what has to be said for that."""
    loaded = load_graph(Path(model))
    declared = metadata_of(loaded, str(model))
    try:
        inputs = declared.inputs if declared else infer_inputs(loaded)
    except InputError as error:
        return [str(error)]
    batch = fixed_batch(loaded)
    return [
        f"input {item.name}: {item.frames} frame(s) of {item.size[0]} × {item.size[1]} as {item.layout}"
        + ("" if item.source == "rgb" else f" from {item.source}")
        + (f", {batch} clip(s) at once" if batch else "")
        + ("" if declared else "; not so? say --layout, --frames, --size, --mean and --std to sdmetrics probe")
        + ("" if declared or len(inputs) == 1 else f", or --input '{item.name} source=flow …' for this one")
        for item in inputs
    ]
