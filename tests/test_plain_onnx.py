"""Files that frameworks' own exporters made, bare of all metadata: layers and channel axes against the truth."""

import numpy as np
import onnx
import pytest

from sdmetrics.exporters.feeds import infer_inputs, prepare, random_feeds
from sdmetrics.exporters.layers import candidates, list_layers
from sdmetrics.exporters.measured import known_shapes
from sdmetrics.exporters.session import open_session
from sdmetrics.exporters.verify import measure, relative_error, run
from tests.plain_files import CLIPS, NETWORKS, stripped, torch_file, torch_truth

CLOSE = 1e-4


def close(found, expected):
    return relative_error(found, expected) < CLOSE


def values_of(model, inputs):
    """Every floating-point tensor of a graph."""
    tapped = onnx.load_from_string(model.SerializeToString())
    have = {output.name for output in tapped.graph.output}
    names = list(dict.fromkeys(name for node in tapped.graph.node for name in node.output if name))
    tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in have)
    session = open_session(tapped.SerializeToString(), optimise=False)
    values = run(session, prepare(random_feeds(inputs, CLIPS), inputs), names)
    return {name: value for name, value in values.items() if value.dtype.kind == "f"}


def units_of(model, layers, inputs):
    """The layers' pooled units by tensor, with their axes as they are proposed."""
    units = measure(model, layers, inputs)[1]
    return {layer.tensor: units[layer.name] for layer in layers}


def hold_against_truth(tmp_path, data, truths):
    """Every layer proposed is a true one, by the axis proposed, and once; every true one that exists is proposed."""
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    model = onnx.load_from_string(data)
    inputs = infer_inputs(model)
    layers = list_layers(path)
    values, units = values_of(model, inputs), units_of(model, layers, inputs)
    matches = {
        layer.tensor: [index for index, true in enumerate(truths) if close(units[layer.tensor], true.units)]
        for layer in layers
    }
    assert [tensor for tensor, found in matches.items() if not found] == []
    matched = [index for found in matches.values() for index in found]
    assert sorted(matched) == sorted(set(matched))
    sorted_values = {name: np.sort(value, None) for name, value in values.items()}
    for index, true in enumerate(truths):
        exists = [name for name, value in sorted_values.items() if close(value, np.sort(true.values, None))]
        assert index in matched or not exists, exists
    assert matched
    hold_axes_against_truth(model, inputs, truths, sorted_values)


def hold_axes_against_truth(model, inputs, truths, sorted_values):
    """No tensor, proposed or not, that holds a true layer's values has its channels in a wrong axis."""
    every = candidates(
        model, {item.name: item.layout for item in inputs}, every=True, known=known_shapes(model, inputs)
    )
    true = {
        layer: [each for each in truths if close(sorted_values[layer.tensor], np.sort(each.values, None))]
        for layer in every
        if layer.channel_axis is not None and layer.name == layer.tensor in sorted_values
    }
    certain = [layer for layer, found in true.items() if found]
    units = units_of(model, certain, inputs)
    for layer in certain:
        assert any(close(units[layer.tensor], each.units) for each in true[layer]), layer


NEWEST = pytest.param(23, True, marks=pytest.mark.all)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("opset", "dynamo"), [(12, False), (17, False), (18, True), NEWEST])
def test_layers_and_axes_of_torchs_files_are_the_true_ones(tmp_path, network, opset, dynamo):
    hold_against_truth(tmp_path, stripped(torch_file(network, opset, dynamo)), torch_truth(network))
