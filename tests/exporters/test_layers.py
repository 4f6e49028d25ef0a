import functools
import io
import warnings

import hypothesis.strategies as st
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from onnx import TensorProto, helper
from torch import nn

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._graph.axes import axis_of, label_axes
from sdmetrics.exporters._graph.axis_factors import label_of, reshaped, whole_axis
from sdmetrics.exporters._graph.nodes import shapes
from sdmetrics.exporters.layers import list_layers, presume, understood_inputs
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.model_file import read_model_file
from tests.helpers.graphs import graph_model
from tests.helpers.torch_models import CASES, exported, hooked, probed, video_input


@functools.cache
def foreign(case, dynamo=True):
    """A file that torch's own exporter wrote, without this package."""
    model = CASES[case].make().eval()
    (item,) = CASES[case].inputs
    x = torch.zeros([2, *({"C": 3, "T": 4, "H": 32, "W": 32}[axis] for axis in item.layout[1:])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            batch = torch.export.Dim("batch")
            program = torch.onnx.export(
                model, (x,), dynamo=True, input_names=["video"], dynamic_shapes=({0: batch},), verbose=False
            )
            return program.model_proto.SerializeToString()
        file = io.BytesIO()
        axes = {"video": {0: "n"}}
        torch.onnx.export(model, (x,), file, dynamo=False, opset_version=17, input_names=["video"], dynamic_axes=axes)
        return file.getvalue()


def written(tmp_path, data):
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    return path


def test_an_exported_file_lists_the_layers_it_declares(tmp_path):
    layers = list_layers(written(tmp_path, exported("resnet")))
    assert [layer.name for layer in layers] == list(CASES["resnet"].layers)
    assert [(layer.shape, layer.units, layer.module) for layer in layers][-1] == (("batch", 5), 5, "fc")


@pytest.mark.parametrize("case", ["resnet", "transformer", "framewise"])
def test_modules_found_in_a_foreign_file_are_what_hooks_read(tmp_path, case):
    path = written(tmp_path, foreign(case))
    layers = list_layers(path)
    names = [layer.module for layer in layers]
    expected = {"resnet": {"stem", "layer1", "layer4", "fc"}, "transformer": {"blocks.0", "blocks.1", "norm"}}
    assert expected.get(case, {"conv", "act", "deep"}) <= set(names)
    arrays = prepare(random_feeds(CASES[case].inputs, 2), CASES[case].inputs)
    _, taps = hooked(CASES[case].make(), names, list(arrays.values()))
    model = onnx.load(path)
    have = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=layer.tensor) for layer in layers if layer.tensor not in have)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run([layer.tensor for layer in layers], arrays)
    for layer, value in zip(layers, values, strict=True):
        expected_value = taps[layer.module]
        np.testing.assert_allclose(
            value, expected_value, rtol=0, atol=1e-5 * np.abs(expected_value).max(), err_msg=layer.name
        )
        assert value.shape[layer.channel_axis] == layer.units


def test_a_convolution_that_swallowed_a_batch_norm_is_not_listed_as_itself(tmp_path):
    names = [layer.name for layer in list_layers(written(tmp_path, foreign("resnet")))]
    assert "layer1.0.bn1" in names
    assert not [name for name in names if "conv" in name or name == "stem.0"]


def test_a_container_whose_convolution_holds_a_later_batch_norm_is_not_listed(tmp_path):
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.ReLU(), nn.Conv3d(3, 4, 1, bias=False))
            self.norm = nn.BatchNorm3d(4)

        def forward(self, x):
            return self.norm(self.inner(x))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(Late().eval(), (torch.zeros(2, 3, 4, 8, 8),), dynamo=True, verbose=False)
    path = written(tmp_path, program.model_proto.SerializeToString())
    # Without the guard the ReLU, made in `inner` and read outside of it, would pass for the output of `inner`.
    assert {layer.name for layer in list_layers(path)} == {"inner.0", "norm"}


@pytest.mark.parametrize("case", ["resnet", "transformer", "framewise"])
def test_a_legacy_file_lists_tensors_and_claims_no_module(tmp_path, case):
    layers = list_layers(written(tmp_path, foreign(case, dynamo=False)))
    assert layers
    assert all(layer.module is None and layer.name == layer.tensor for layer in layers)
    axes = {(len(layer.shape), layer.channel_axis) for layer in layers}
    assert (
        axes
        <= {"resnet": {(5, 1), (2, 1)}, "transformer": {(5, 1), (3, 2), (2, 1)}, "framewise": {(4, 1), (2, 1)}}[case]
    )
    assert all(isinstance(layer.units, int) for layer in layers)


def test_a_sum_inside_an_activation_is_not_listed(tmp_path):
    names = [layer.name for layer in list_layers(written(tmp_path, foreign("transformer", dynamo=False)))]
    assert "/blocks.0/Add_1_output_0" in names
    assert "/blocks.0/mlp/mlp.1/Add_output_0" not in names


def test_what_is_no_model_says_so_in_one_line(tmp_path):
    (tmp_path / "notes.onnx").write_text("these are notes\n" * 9)
    (tmp_path / "empty.onnx").touch()
    for name, message in [
        ("absent.onnx", "absent.onnx does not exist"),
        (".", "is not a file"),
        ("notes.onnx", "notes.onnx is not an ONNX file"),
        ("empty.onnx", "empty.onnx is not an ONNX file"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            list_layers(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_probe_has_no_layers_to_list(tmp_path):
    with pytest.raises(InputError, match="is a probe already; its layers are conv, act, deep, fc"):
        list_layers(written(tmp_path, probed("framewise")))


@given(st.data())
def test_a_reshape_keeps_only_labels_that_it_proves(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    flat = int(np.prod(sizes))
    after = []
    while flat > 1:
        after.append(data.draw(st.sampled_from([n for n in range(2, flat + 1) if flat % n == 0])))
        flat //= after[-1]
    for _ in range(data.draw(st.integers(0, 2))):
        after.insert(data.draw(st.integers(0, len(after))), 1)
    labels = tuple(f"axis {i}" for i in range(len(sizes)))
    axes = tuple(whole_axis(label, size) for label, size in zip(labels, sizes, strict=True))
    moved = reshaped(axes, tuple(sizes), tuple(after))
    found = [label_of(axis) for axis in moved]
    assert len(found) == len(after)
    for axis, label in enumerate(found):
        if label is not None and after[axis] > 1:
            before = labels.index(label)
            index = np.indices(sizes)[before].reshape(after)
            assert after[axis] == sizes[before]
            np.testing.assert_array_equal(index, np.indices(after)[axis])
    back = [label_of(axis) for axis in reshaped(moved, tuple(after), tuple(sizes))]
    lost = any(part.label is None for axis in moved for part in axis)
    for label, size, restored in zip(labels, sizes, back, strict=True):
        assert restored == (label if size > 1 else None) or (lost and restored is None)


def labelled(nodes, output, shape=("n", 3, 4, 8, 8), weights=(), layout="NCTHW"):
    """Follow the axes of a small graph from its input `x` to `output`."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, reads, [writes], **attributes) for kind, reads, writes, attributes in nodes],
        "g",
        [value("x", TensorProto.FLOAT, shape)],
        [value(output, TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("elsewhere", 1)])
    return label_axes(model, shapes(model), {"x": layout})[output]


F32 = functools.partial(np.ones, dtype=np.float32)
CONV = [("Conv", ["x", "w"], "y", {})]
CONV_W = [("w", F32((6, 3, 1, 1, 1)))]
TOKENS = [*CONV, ("Reshape", ["y", "flat"], "t", {}), ("Transpose", ["t"], "z", {"perm": [0, 2, 1]})]
TOKENS_W = [*CONV_W, ("flat", [0, 6, 256])]


@pytest.mark.parametrize(
    ("nodes", "weights", "labels"),
    [
        (CONV, CONV_W, "NCTHW"),
        ([*CONV, ("MaxPool", ["y"], "z", {"kernel_shape": [1, 2, 2]})], CONV_W, "NCTHW"),
        ([*CONV, ("Transpose", ["y"], "z", {"perm": [0, 2, 3, 4, 1]})], CONV_W, "NTHWC"),
        (TOKENS, TOKENS_W, "N.C"),
        ([*TOKENS, ("Add", ["z", "pos"], "q", {})], [*TOKENS_W, ("pos", F32((1, 256, 6)))], "N.C"),
        ([*TOKENS, ("MatMul", ["z", "m"], "q", {})], [*TOKENS_W, ("m", F32((6, 9)))], "N.C"),
        ([*TOKENS, ("MatMul", ["z", "t"], "q", {})], TOKENS_W, "N.."),
        ([*TOKENS, ("Softmax", ["z"], "q", {}), ("MatMul", ["t", "q"], "r", {})], TOKENS_W, "NCC"),
        ([*TOKENS, ("Gather", ["z", "first"], "q", {"axis": 1})], [*TOKENS_W, ("first", np.array(0))], "NC"),
        ([*TOKENS, ("Gather", ["z", "some"], "q", {"axis": 1})], [*TOKENS_W, ("some", np.array([0, 2]))], "N.C"),
        ([*TOKENS, ("Concat", ["z", "z"], "q", {"axis": 1})], TOKENS_W, "N.C"),
        ([*TOKENS, ("Slice", ["z", "a", "b", "a"], "q", {})], [*TOKENS_W, ("a", [1]), ("b", [9])], "N.C"),
        ([*CONV, ("ReduceMean", ["y", "hw"], "z", {"keepdims": 0})], [*CONV_W, ("hw", [-2, -1])], "NCT"),
        ([*CONV, ("ReduceMean", ["y", "hw"], "z", {})], [*CONV_W, ("hw", [3, 4])], "NCTHW"),
        ([*CONV, ("Reshape", ["y", "s"], "z", {})], [*CONV_W, ("s", [-1, 2, 3, 4, 8, 8])], "...THW"),
        ([("LayerNormalization", ["x", "w"], "y", {"axis": -1})], [("w", F32(8))], "NCTHW"),
        ([*TOKENS, ("Unknown", ["z"], "q", {"domain": "elsewhere"})], TOKENS_W, None),
    ],
)
def test_axes_are_followed_through_the_graph(nodes, weights, labels):
    if labels is None:
        with pytest.raises(KeyError):
            labelled(nodes, nodes[-1][2], weights=weights)
    else:
        found = labelled(nodes, nodes[-1][2], weights=weights)
        assert "".join(label or "." for label in found) == labels


def test_a_graph_of_undeclared_operators_is_not_valid(tmp_path):
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Unknown", ["x"], ["y"], domain="undeclared"), helper.make_node("Relu", ["y"], ["z"])]
    ends = [value(name, TensorProto.FLOAT, ["n", 3, 4, 8, 8]) for name in "xz"]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))
    with pytest.raises(InputError, match=r"not valid ONNX: .*undeclared"):
        list_layers(written(tmp_path, model.SerializeToString()))


def test_channels_last_follow_from_layer_norm():
    nodes = [("LayerNormalization", ["x", "w"], "y", {"axis": -1})]
    found = labelled(nodes, "y", ("n", 4, 8, 8, 6), [("w", F32(6))], layout="")
    assert axis_of(found, "C") == 4


def test_the_input_of_a_model_is_not_a_layer(tmp_path):
    path = written(tmp_path, foreign("framewise"))
    assert video_input().name not in [layer.tensor for layer in list_layers(path)]


def understood(path):
    file = read_model_file(path)
    return understood_inputs(file, presume(file))


def test_how_an_input_is_understood(tmp_path):
    relu = [("Relu", ["x"], ["y"], {})]
    shapes = {
        "one": (["n", 3, 4, 8, 8], "input x: 4 frame(s) of 8 × 8 as NCTHW; if this is wrong, pass --layout"),
        "two": ([2, 4, 8, 8, 3], "input x: 4 frame(s) of 8 × 8 as NTHWC, 2 clip(s) at once; if this is wrong"),
        "three": (
            ["n", 3, "t", "h", "w"],
            "model input 'x' has shape ('n', 3, 't', 'h', 'w'), so frames, size cannot be inferred",
        ),
    }
    for shape, line in shapes.values():
        (found,) = understood(graph_model(tmp_path, relu, ["y"], shape=shape))
        assert found.startswith(line)
    (line,) = understood(written(tmp_path, exported("resnet")))
    assert line == "input video: 4 frame(s) of 32 × 32 as NCTHW"


def test_layers_of_an_old_file_that_reads_whole_numbers(tmp_path):
    nodes = [("Cast", ["x"], ["c"], {"to": TensorProto.FLOAT}), ("Relu", ["c"], ["y"], {})]
    path = graph_model(tmp_path, nodes, ["c"], opset=9)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.output[0].name = "y"
    onnx.save(model, path)
    with pytest.warns(Note, match="uses ONNX opset 9 and is converted to 11"):
        layers = list_layers(path)
    assert [(layer.name, layer.channel_axis, layer.units) for layer in layers] == [("y", 1, 3)]


def test_a_file_is_asked_once_how_it_is_fed(tmp_path, monkeypatch, command):
    """Whether its batch of images holds the frames of a clip is found out by running it."""
    from sdmetrics.exporters._graph import guess_layout

    opened = []
    run = guess_layout.open_trial
    monkeypatch.setattr(guess_layout, "open_trial", lambda *args, **kwargs: opened.append(1) or run(*args, **kwargs))
    path = graph_model(tmp_path, [("Relu", ["x"], ["y"], {})], ["y"], layout="NCHW")
    assert command("layers", path)[0] == 0
    assert len(opened) == 1
