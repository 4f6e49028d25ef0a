"""Ways to spoil the structure of an ONNX file, which stays a readable protobuf."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import onnx
from numpy.random import Generator
from onnx import helper

from benchmarks.hostile.mutations import ESCAPE, VALUES, spoiled_json

SIZES = (-1, 0, 1, 7, 100_000, 2**31, 2**62)
OPERATORS = (
    "Identity",
    "Loop",
    "Range",
    "Tile",
    "Expand",
    "Resize",
    "MatMul",
    "Einsum",
    "NoSuch",
    "Conv",
    "SplitToSequence",
)
METADATA = "sdmetrics"


def spoiled_graph(model: onnx.ModelProto, rng: Generator) -> onnx.ModelProto:
    """Return a copy of a model with one to three spoiled places."""
    spoiled = onnx.ModelProto()
    spoiled.CopyFrom(model)
    for _ in range(int(rng.integers(1, 4))):
        _pick(rng, _WAYS)(spoiled, rng)
    return spoiled


def spoiled_metadata(probe: onnx.ModelProto, rng: Generator) -> onnx.ModelProto:
    """Return a copy of a probe whose metadata are spoiled."""
    spoiled = onnx.ModelProto()
    spoiled.CopyFrom(probe)
    for entry in spoiled.metadata_props:
        if entry.key == METADATA:
            entry.value = spoiled_json(json.loads(entry.value), rng).decode("utf-8", "replace")
    return spoiled


def _pick(rng: Generator, choices: Any) -> Any:  # noqa: ANN401
    """Return one of several things."""
    return choices[int(rng.integers(len(choices)))]


def _shape(model: onnx.ModelProto, rng: Generator) -> None:
    """Change a dimension of an input or an output."""
    value = _pick(rng, [*model.graph.input, *model.graph.output])
    dimensions = value.type.tensor_type.shape.dim
    if dimensions and rng.random() < 0.8:
        dimension = _pick(rng, dimensions)
        if rng.random() < 0.2:
            dimension.dim_param = str(_pick(rng, ("", "N", "T", ESCAPE)))
        else:
            dimension.dim_value = int(_pick(rng, SIZES))
    elif dimensions:
        dimensions.pop()


def _type(model: onnx.ModelProto, rng: Generator) -> None:
    """Change a type of elements."""
    value = _pick(rng, [*model.graph.input, *model.graph.output])
    value.type.tensor_type.elem_type = int(_pick(rng, (0, 2, 7, 8, 9, 10, 16, 99)))


def _kind(model: onnx.ModelProto, rng: Generator) -> None:
    """Make an output a sequence."""
    name = _pick(rng, model.graph.output).name
    model.graph.output.append(helper.make_tensor_sequence_value_info(name + "s", 1, None))
    model.graph.node.append(helper.make_node("SequenceConstruct", [name], [name + "s"]))


def _wire(model: onnx.ModelProto, rng: Generator) -> None:
    """Connect a node otherwise, perhaps in a circle."""
    node = _pick(rng, model.graph.node)
    names = [name for other in model.graph.node for name in (*other.input, *other.output)]
    if node.input:
        node.input[int(rng.integers(len(node.input)))] = str(_pick(rng, [*names, "", "nothing"]))


def _operator(model: onnx.ModelProto, rng: Generator) -> None:
    """Change a node's operator or domain."""
    node = _pick(rng, model.graph.node)
    node.op_type = str(_pick(rng, OPERATORS))
    if rng.random() < 0.2:
        node.domain = str(_pick(rng, ("com.microsoft", "mine", ESCAPE)))


def _attribute(model: onnx.ModelProto, rng: Generator) -> None:
    """Change an attribute."""
    node = _pick(rng, model.graph.node)
    if node.attribute:
        attribute = _pick(rng, node.attribute)
        number = int(_pick(rng, (*SIZES, -(2**62))))
        attribute.CopyFrom(helper.make_attribute(attribute.name, [number] * 3 if rng.random() < 0.5 else number))


def _name(model: onnx.ModelProto, rng: Generator) -> None:
    """Rename what a node returns wherever it is read."""
    old = str(_pick(rng, _pick(rng, model.graph.node).output))
    new = str(_pick(rng, (ESCAPE, "[/]", "[red]x[/red]", "a/../../b", "", "units/act", "a" * 5000, "é日本")))
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in model.graph.output:
        value.name = new if value.name == old else value.name


def _weights(model: onnx.ModelProto, rng: Generator) -> None:
    """Change the shape or the place of an initializer."""
    tensor = _pick(rng, model.graph.initializer)
    if rng.random() < 0.5:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = int(_pick(rng, SIZES))
    else:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {
            "location": _pick(rng, ("../w", "/etc/passwd", "w\0", "", ".", "/dev/zero")),
            "offset": "-1",
        }.items():
            tensor.external_data.add(key=key, value=value)


def _grow(model: onnx.ModelProto, rng: Generator) -> None:
    """Append a node whose answer is huge."""
    size = int(_pick(rng, (10**6, 10**9, 10**13)))
    shape = helper.make_tensor("grow_shape", onnx.TensorProto.INT64, [1], [size])
    model.graph.node.append(helper.make_node("Constant", [], ["grow"], value=shape))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["grow"], ["grown"]))
    model.graph.output.append(helper.make_tensor_value_info("grown", onnx.TensorProto.FLOAT, None))


def _versions(model: onnx.ModelProto, rng: Generator) -> None:
    """Change the versions of the file and of its operators."""
    model.ir_version = int(_pick(rng, (0, 3, 8, 99)))
    model.opset_import[0].version = int(_pick(rng, (0, 1, 7, 17, 99)))


def _many(model: onnx.ModelProto, rng: Generator) -> None:
    """Add many nodes that nothing reads."""
    name = str(model.graph.input[0].name)
    for number in range(int(_pick(rng, (10, 1000, 5000)))):
        model.graph.node.append(helper.make_node("Relu", [name], [f"dead{number}"]))


def _text(model: onnx.ModelProto, rng: Generator) -> None:
    """Add metadata that look like a probe's."""
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, str(_pick(rng, VALUES))


_WAYS: tuple[Callable[[onnx.ModelProto, Generator], None], ...] = (
    _shape, _shape, _type, _kind, _wire, _operator, _attribute, _name, _weights, _grow, _versions, _many, _text,
)  # fmt: skip
