"""Files that frameworks' own exporters made, bare of all metadata: layers and channel axes against the truth."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._assembly.verify import place_and_pool
from sdmetrics.exporters._graph.ask_inputs import infer_inputs
from sdmetrics.exporters._graph.find_layers import candidates
from sdmetrics.exporters._graph.tensor_shapes import known_shapes
from sdmetrics.exporters.layers import list_layers
from sdmetrics.exporters.probe import build_probe, describe_feeding
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.placement import relative_error
from sdmetrics.probes.trial import open_trial, run, values_in_clip
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.graphs import FRAMES, TWO, TWO_W, graph_model
from tests.helpers.graphs import SIZE as GRAPH_SIZE
from tests.helpers.plain_files import NETWORKS, half_file, quantised_file, stripped, torch_file, torch_truth
from tests.helpers.plain_heavy import flax_file, keras_file, tensorflow_file
from tests.helpers.plain_networks import CLIPS

CLOSE = 1e-4

pytestmark = pytest.mark.filterwarnings("ignore:.* clip.s. at a time:sdmetrics.errors.Note")


def close(found, expected):
    return relative_error(found, expected) < CLOSE


def values_of(model, inputs):
    """Every floating-point tensor of a graph."""
    tapped = onnx.load_from_string(model.SerializeToString())
    have = {output.name for output in tapped.graph.output}
    names = list(dict.fromkeys(name for node in tapped.graph.node for name in node.output if name))
    tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in have)
    trial = open_trial(tapped.SerializeToString(), values_in_clip(inputs), optimise=False)
    values = run(trial, prepare(random_feeds(inputs, CLIPS), inputs), names)
    return {name: value for name, value in values.items() if value.dtype.kind == "f"}


def units_of(model, layers, inputs):
    """The layers' pooled units by tensor, with their axes as they are proposed."""
    units = place_and_pool(model, layers, inputs)[1]
    return {layer.tensor: units[layer.name] for layer in layers}


def hold_against_truth(tmp_path, data, truths, complete=True):
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
        assert index in matched or not exists or not complete, exists
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


@pytest.mark.parametrize("network", ["convolutions", "tokens, norm first"])
def test_modules_of_torchs_files_are_the_true_ones(tmp_path, network):
    data = torch_file(network, 18, dynamo=True)
    hold_against_truth(tmp_path, data, torch_truth(network), complete=False)
    named = [layer.module for layer in list_layers(tmp_path / "model.onnx")]
    assert None not in named
    assert {"fc", "head"} & set(named)


def probe_of(tmp_path, data, layers=None, **options):
    """A probe, and the layers proposed."""
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    layers = layers or [layer.name for layer in list_layers(path)]
    return OnnxRunner(build_probe(path, tmp_path / "probe.onnx", layers=layers, **options), provider="cpu")


@pytest.mark.parametrize(
    ("dynamo", "batch"), [(False, 1), (False, 3), (True, 3), pytest.param(True, 1, marks=pytest.mark.all)]
)
@pytest.mark.parametrize("network", ["convolutions", "frames, time first", "tokens, norm first"])
def test_a_fixed_batch_takes_any_number_of_clips(tmp_path, network, dynamo, batch):
    data = stripped(torch_file(network, 18 if dynamo else 17, dynamo, batch=batch))
    runner = probe_of(tmp_path, data, masks=True)
    probe = onnx.load(tmp_path / "probe.onnx")
    assert probe.graph.input[0].type.tensor_type.shape.dim[0].dim_value == batch
    feeds = random_feeds(runner.inputs, CLIPS)
    truths = torch_truth(network)
    found = runner(feeds)
    for layer, units in found.items():
        assert units.shape[0] == CLIPS
        assert any(close(units, true.units) for true in truths), layer
    own = runner.run(feeds)
    (name,) = own
    assert close(own[name], truths[-1].values)
    first = next(iter(found))
    removed = runner.run(feeds, {first: np.zeros(found[first].shape[1])})[name]
    assert not np.allclose(removed, own[name])
    seven = {name: np.concatenate([array] * 4)[:7] for name, array in feeds.items()}
    for layer, units in runner(seven).items():
        np.testing.assert_array_equal(units, np.concatenate([found[layer]] * 4)[:7])


BAKED = [
    ("Conv", ["x", "w"], ["c"], {}),
    ("Reshape", ["c", "one"], ["r"], {}),
    ("Relu", ["r"], ["y"], {}),
    ("ReduceMean", ["y", "axes"], ["z"], {"keepdims": 0}),
]


def test_a_batch_baked_into_a_reshape_is_found(tmp_path):
    weights = [*TWO_W, ("one", np.array([4, 5, FRAMES * GRAPH_SIZE, GRAPH_SIZE]))]
    weights[1] = ("axes", np.array([2, 3]))
    path = graph_model(tmp_path, BAKED, ["z"], weights)
    assert [layer.name for layer in list_layers(path)] == ["c", "y"]
    runner = OnnxRunner(build_probe(path, tmp_path / "p.onnx", layers=["c", "y"]), provider="cpu")
    feeds = random_feeds(runner.inputs, 6)
    np.testing.assert_allclose(runner(feeds)["y"], runner.run(feeds)["z"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2])
def test_what_does_not_hold_the_clips_of_a_fixed_batch_is_an_error(tmp_path, batch):
    nodes = [*TWO, ("ReduceMean", ["y", "first"], ["over"], {}), ("Mul", ["c", "zero"], ["none"], {})]
    weights = [*TWO_W, ("first", np.array([0])), ("zero", np.float32(0))]
    path = graph_model(tmp_path, nodes, ["z", "over"], weights, shape=[batch, 3, FRAMES, GRAPH_SIZE, GRAPH_SIZE])
    build_probe(path, tmp_path / "p.onnx", layers=["c", "y", "z"])
    for layer in ["none", *(["over"] if batch > 1 else [])]:
        with pytest.raises(InputError, match=rf"does not hold the {batch} clip\(s\) of the model's fixed batch"):
            build_probe(path, tmp_path / "p.onnx", layers={layer: 1})


def nearest(units, truths):
    """The layers whose units differ least from these, and by how much."""
    fitting = [index for index, true in enumerate(truths) if true.units.shape == units.shape]
    errors = {index: relative_error(units, truths[index].units) for index in fitting}
    return min(errors, key=errors.get), min(errors.values())


QUANTISED = ["convolutions", "tokens, norm first", "mobile", "frames, time first"]


@pytest.mark.parametrize("kind", ["per tensor", "per channel", "dynamic"])
@pytest.mark.parametrize("network", QUANTISED)
def test_a_quantised_model_is_measured_where_it_has_floats(tmp_path, network, kind):
    runner = probe_of(tmp_path, quantised_file(network, kind, tmp_path), masks=True)
    feeds, truths = random_feeds(runner.inputs, CLIPS), torch_truth(network)
    found = runner(feeds)
    near = {layer: nearest(units, truths) for layer, units in found.items()}
    assert max(error for _, error in near.values()) < 0.2, near
    assert len({index for index, _ in near.values()}) == len(near)
    # Activations that an integer type clips by itself, and BatchNorms, are not separate tensors any more.
    assert len(near) >= (len(truths) if "tokens" in network else len(truths) // 2 - 1)
    alone = runner({name: array[1:] for name, array in feeds.items()})
    for layer, units in alone.items():
        np.testing.assert_allclose(units[0], found[layer][1], rtol=0, atol=1e-5 * np.abs(found[layer]).max())


@pytest.mark.parametrize("keep_io_types", [True, False])
@pytest.mark.parametrize("network", QUANTISED)
def test_a_half_precision_model_is_measured_as_it_is(tmp_path, network, keep_io_types):
    runner = probe_of(tmp_path, half_file(network, keep_io_types), masks=True)
    truths = torch_truth(network)
    found = runner(random_feeds(runner.inputs, CLIPS))
    near = {layer: nearest(units, truths) for layer, units in found.items()}
    assert max(error for _, error in near.values()) < 1e-2, near
    names = [layer.name for layer in list_layers(Path(tmp_path) / "model.onnx")]
    assert list(near) == names
    (tmp_path / "exact").mkdir()
    assert len(names) == len(probe_of(tmp_path / "exact", torch_file(network, 17, False)).layers)


@pytest.mark.all
@pytest.mark.parametrize("network", ["convolutions", "tokens", "frames"])
def test_layers_and_axes_of_kerass_files_are_the_true_ones(tmp_path, network):
    data, truths = keras_file(network)
    hold_against_truth(tmp_path, stripped(data), truths)


@pytest.mark.all
@pytest.mark.parametrize("opset", [13, 15, 18])
def test_layers_and_axes_of_tf2onnxs_files_are_the_true_ones(tmp_path, opset):
    data, truths = tensorflow_file(opset)
    hold_against_truth(tmp_path, stripped(data), truths)


@pytest.mark.all
@pytest.mark.parametrize("network", ["convolutions", "tokens"])
def test_layers_and_axes_of_jax2onnxs_files_are_the_true_ones(tmp_path, network):
    data, truths = flax_file(network)
    hold_against_truth(tmp_path, stripped(data), truths)


IMAGES = ["n", 3, 8, 8]
DETECTORS = {
    "nothing in black images": (
        [
            ("NonZero", ["x"], ["found"], {}),
            ("Transpose", ["found"], ["places"], {}),
            ("Cast", ["places"], ["z"], {"to": onnx.TensorProto.FLOAT}),
        ],
        [],
    ),
    "one in all black images": (
        [
            ("ReduceMax", ["x"], ["most"], {"keepdims": 1}),
            ("Cos", ["most"], ["bright"], {}),
            ("NonZero", ["bright"], ["found"], {}),
            ("Shape", ["found"], ["size"], {}),
            ("Slice", ["size", "one", "two"], ["count"], {}),
            ("Concat", ["count", "four"], ["shape"], {"axis": 0}),
            ("Expand", ["box", "shape"], ["z"], {}),
        ],
        [
            ("one", np.array([1])),
            ("two", np.array([2])),
            ("four", np.array([4])),
            ("box", np.zeros((1, 4), np.float32)),
        ],
    ),
    "no row at all": (
        [("Flatten", ["x"], ["flat"], {}), ("Slice", ["flat", "zero", "zero"], ["z"], {})],
        [("zero", np.array([0]))],
    ),
}


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("images", ["n", 4])
def test_what_is_found_in_images_is_not_taken_for_frames_joined(tmp_path, kind, images):
    nodes, weights = DETECTORS[kind]
    path = graph_model(tmp_path, nodes, ["z"], weights, shape=[images, *IMAGES[1:]])
    (item,) = describe_feeding(path)
    assert (item.layout, item.frames) == ("NCHW", 1)


def test_a_model_that_reads_no_batch_says_why_and_not_that_large_batches_are_too_much(tmp_path, monkeypatch):
    nodes = [("Reshape", ["x", "wrong"], ["y"], {}), ("ReduceMean", ["y"], ["z"], {"keepdims": 0})]
    path = graph_model(tmp_path, nodes, ["z"], [("wrong", np.array([-1, 7]))])
    monkeypatch.setattr("sdmetrics.probes.feeds.MOST_VALUES", 4 * 3 * 2 * 8 * 8)
    with (
        pytest.warns(Note, match="the model cannot be run"),
        pytest.raises(InputError, match=r"fails on a batch of 1 clip\(s\): operator Reshape"),
    ):
        build_probe(path, tmp_path / "p.onnx", layers={"y": 1})
