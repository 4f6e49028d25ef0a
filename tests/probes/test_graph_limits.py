"""A graph is refused for what it is, before it is written out, inferred or run."""

import onnx
import pytest
from onnx import TensorProto, helper

from sdmetrics.errors import InputError
from sdmetrics.exporters.layers import list_layers
from sdmetrics.probes import graph_limits
from sdmetrics.probes.model_file import read_model_file
from tests.helpers.hostile_models import BASE, CONV, constant, doubled, node, saved


def test_functions_are_counted_as_if_they_were_written_out(tmp_path):
    assert [layer.name for layer in list_layers(doubled(tmp_path, 3))] == ["c"]
    for times, count in ((17, "131,073"), (60, "1,152,921,504,606,846,977")):
        with pytest.raises(InputError, match=rf"has {count}.* nodes with its functions written out; at most 50,000"):
            read_model_file(doubled(tmp_path, times))


def test_a_function_that_calls_itself(tmp_path):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    again = helper.make_function("own", "f", ["a"], ["b"], [node("f", ["a"], ["b"], domain="own")], opsets)
    with pytest.raises(InputError, match="its function f calls itself; export it again"):
        read_model_file(saved(tmp_path, [CONV, node("f", ["c"], ["y"], domain="own")], functions=[again]))


def test_nodes_in_sub_graphs_count(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_limits, "NODES", 20)

    def branch(name, count):
        nodes = [node("Neg", ["c"], [f"{name}{index}"]) for index in range(count)]
        last = helper.make_tensor_value_info(f"{name}{count - 1}", TensorProto.FLOAT, None)
        return helper.make_graph(nodes, name, [], [last])

    def model(count):
        choice = node("If", ["yes"], ["y"], then_branch=branch("a", count), else_branch=branch("b", count))
        return saved(tmp_path, [CONV, choice], constant("yes", True, bool))

    assert read_model_file(model(9)).model.graph.node
    with pytest.raises(InputError, match="has 22 nodes"):
        read_model_file(model(10))


@pytest.mark.parametrize(
    ("limit", "what"), [("PARTS", "names, attributes and weights"), ("INPUTS", "inputs"), ("NODES", "nodes")]
)
def test_too_much_of_anything(tmp_path, monkeypatch, limit, what):
    monkeypatch.setattr(graph_limits, limit, 0)
    with pytest.raises(InputError, match=rf"m\.onnx has [\d,]+ {what}.*; at most 0 are read. Simplify it"):
        read_model_file(saved(tmp_path))


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_one_that_is_not_fixed(tmp_path, size):
    (layer,) = list_layers(saved(tmp_path, shape=[size, 3, 4, 16, 16]))[:1]
    assert layer.shape[1:] == (4, 4, 16, 16)
    assert isinstance(layer.shape[0], str)


def test_types_and_axes_that_do_not_exist(tmp_path):
    with pytest.raises(InputError, match="its tensor 'x' has the type 99"):
        read_model_file(saved(tmp_path, dtype=99))
    with pytest.raises(InputError, match="and 2000 axes"):
        read_model_file(saved(tmp_path, shape=[1] * 2000))


def test_inputs_that_are_not_tensors(tmp_path):
    model = onnx.load(str(saved(tmp_path, [node("SequenceAt", ["s", "zero"], ["x"]), *BASE], constant("zero", 0))))
    model.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"the input 's' of the kind sequence; only tensors can be fed"):
        read_model_file(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_type": 99}, "the type 99, which ONNX does not have"),
        ({"dims": [4, 3, -1, 1, 1]}, r"the shape \(4, 3, -1, 1, 1\)"),
        ({"dims": [4, 3, 2**31, 2**31, 1]}, r"the shape \(4, 3, 2147483648, 2147483648, 1\) and only 0 bytes"),
    ],
)
@pytest.mark.parametrize("held", [False, True])
def test_a_weight_that_is_not_what_it_claims(tmp_path, changes, message, held):
    claimed = TensorProto(name="w", **{"data_type": TensorProto.FLOAT, "dims": [4, 3, 1, 1, 1], **changes})
    nodes = [node("Constant", [], ["w"], value=claimed), *BASE] if held else BASE
    with pytest.raises(InputError, match=f"its weight 'w' has {message}"):
        read_model_file(saved(tmp_path, nodes, weights=[] if held else [claimed]))


def test_nodes_that_read_each_other_in_a_circle(tmp_path):
    circle = [CONV, node("Add", ["c", "b"], ["a"]), node("Neg", ["a"], ["b"]), node("Relu", ["a"], ["y"])]
    with pytest.raises(InputError, match="its nodes are in a cycle; export it again"):
        read_model_file(saved(tmp_path, circle))


@pytest.mark.parametrize("text", ["[" * 5000, "-" * 50_000 + "1", "['a'" + "+'a'" * 50_000 + "]", "['a\0', {}, 1]"])
def test_scopes_that_no_exporter_writes_are_no_scopes(tmp_path, text):
    model = onnx.load(str(saved(tmp_path)))
    model.graph.node[1].metadata_props.add(key="pkg.torch.onnx.name_scopes", value=text)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert list_layers(tmp_path / "m.onnx")
