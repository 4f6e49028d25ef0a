"""A model in two halves: `cut` against graphs followed by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from sdmetrics.probes.session import open_session
from sdmetrics.runners.cut import cut
from sdmetrics.runners.trunk import open_halves

WIDTH, CLIPS = 3, 2


def model_of(nodes, outputs, inputs=("x",)):
    """A model of (kind, reads, writes, attributes), with the mask `m`, by default ones, and the weights `w`."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in inputs]
    values.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, [WIDTH]))
    weights = {"m": np.ones(WIDTH), "w": np.array([0.5, -2, 3])}
    graph = helper.make_graph(
        [helper.make_node(kind, reads, writes, **attributes) for kind, reads, writes, attributes in nodes],
        "g",
        values,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def branch(name, kind, reads):
    """A graph without inputs that reads from outside."""
    value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node(kind, reads, [name])], name, [], [value])


def choice(reads, writes, yes, no):
    """An If on one tensor, with a branch of one node each way."""
    return ("If", [reads], [writes], {"then_branch": branch("t", *yes), "else_branch": branch("e", *no)})


POSITIVE = [("ReduceMax", ["x"], ["top"], {"keepdims": 0}), ("Cast", ["top"], ["sign"], {"to": TensorProto.BOOL})]

MODELS = {
    "residual": (
        [
            ("Relu", ["x"], ["a"], {}),
            ("Mul", ["a", "m"], ["b"], {}),
            ("Add", ["b", "a"], ["c"], {}),
            ("Add", ["c", "x"], ["y"], {}),
        ],
        ["y"],
    ),
    "two inputs": (
        [("Add", ["x", "z"], ["a"], {}), ("Mul", ["a", "m"], ["b"], {}), ("Sub", ["b", "z"], ["y"], {})],
        ["y"],
        ("x", "z"),
    ),
    "an output that is a layer": (
        [
            ("Neg", ["x"], ["a"], {}),
            ("Exp", ["x"], ["other"], {}),
            ("Mul", ["a", "m"], ["b"], {}),
            ("Relu", ["b"], ["y"], {}),
        ],
        ["y", "a", "b", "other"],
    ),
    "parallel streams": (
        [
            ("Relu", ["x"], ["slow"], {}),
            ("Neg", ["x"], ["fast"], {}),
            ("Mul", ["slow", "m"], ["masked"], {}),
            ("Exp", ["fast"], ["faster"], {}),
            ("Mul", ["masked", "faster"], ["y"], {}),
        ],
        ["y"],
    ),
    "inner graphs read across the cut": (
        [
            *POSITIVE,
            ("Relu", ["x"], ["a"], {}),
            ("Mul", ["a", "m"], ["b"], {}),
            choice("sign", "c", ("Add", ["a", "b"]), ("Sub", ["b", "x"])),
            ("Neg", ["c"], ["y"], {}),
        ],
        ["y"],
    ),
    "inner graphs before the cut": (
        [*POSITIVE, choice("sign", "c", ("Neg", ["x"]), ("Exp", ["x"])), ("Mul", ["c", "m"], ["y"], {})],
        ["y"],
    ),
    "what is constant is in both halves": (
        [
            ("Exp", ["w"], ["k"], {}),
            ("Mul", ["x", "k"], ["a"], {}),
            ("Mul", ["a", "m"], ["b"], {}),
            ("Mul", ["b", "k"], ["y"], {}),
        ],
        ["y"],
    ),
}


def reads_of(node):
    """What a node reads, also in the branches of an If."""
    inner = [each for attribute in node.attribute for each in attribute.g.node]
    return {*node.input, *(name for each in inner for name in each.input)}


def leads(graph, name, source):
    """Whether a tensor depends on another: every way back is walked."""
    makers = [node for node in graph.node if name in node.output]
    return name == source or any(leads(graph, read, source) for node in makers for read in reads_of(node))


def check(model, outputs, inputs=("x",)):
    """Compare the halves with the whole, and what each holds with what depends on the mask."""
    halves = cut(model, "m", outputs)
    depends = {name: leads(model.graph, name, "m") for node in model.graph.node for name in node.output}
    constant = {name for name in depends if not any(leads(model.graph, name, each) for each in (*inputs, "m"))}
    in_trunk = {name for node in halves.trunk.graph.node for name in node.output}
    in_head = {name for node in halves.head.graph.node for name in node.output}
    assert not any(depends[name] for name in in_trunk)
    assert all(depends[name] for name in in_head - constant)
    assert in_trunk & in_head <= constant
    assert set(halves.crossing) == {
        name for node in halves.head.graph.node for name in reads_of(node) if name in in_trunk - in_head
    }
    rng = np.random.default_rng(0)
    feeds = {name: rng.normal(size=(CLIPS, WIDTH)).astype(np.float32) for name in inputs}
    whole = open_session(model, threads=1, optimise=False)
    opened = open_halves(model, "m", outputs, lambda half: open_session(half, threads=1, optimise=False))
    head = opened.start(feeds)
    for mask in ([1, 1, 1], [1, 0, 1], [0, 0, 0]):
        mask = np.array(mask, np.float32)
        found, expected = head(mask), whole.run(outputs, {**feeds, "m": mask})
        assert list(found) == list(outputs)
        for name, value in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(found[name], value, err_msg=f"{name} {mask}")


@pytest.mark.parametrize("case", MODELS)
def test_the_halves_do_what_the_whole_does(case):
    nodes, outputs, *inputs = MODELS[case]
    check(model_of(nodes, outputs, *inputs), outputs, *inputs)


@settings(max_examples=40)
@given(st.data())
def test_any_graph_is_cut_where_it_depends_on_the_mask(data):
    made, nodes = ["x", "z", "w", "m"], []
    for index in range(data.draw(st.integers(2, 9))):
        kind, count = data.draw(st.sampled_from([("Add", 2), ("Sub", 2), ("Neg", 1), ("Relu", 1)]))
        nodes.append((kind, [data.draw(st.sampled_from(made)) for _ in range(count)], [f"t{index}"], {}))
        made.append(f"t{index}")
    outputs = data.draw(st.lists(st.sampled_from(made[4:]), min_size=1, max_size=3, unique=True))
    nodes += [
        ("Add", ["x", "z"], ["first"], {}),
        ("Mul", ["first", "m"], ["second"], {}),
        ("Add", ["second", made[-1]], ["y"], {}),
    ]
    outputs = [*outputs, "y"]
    check(model_of(nodes, outputs, ("x", "z")), outputs, ("x", "z"))


def test_what_is_returned_may_be_written_to():
    nodes, outputs = MODELS["an output that is a layer"]
    model = model_of(nodes, outputs)
    head = open_halves(model, "m", outputs, open_session).start({"x": np.ones((1, WIDTH), np.float32)})
    ones = np.ones(WIDTH, np.float32)
    first = head(ones)
    kept = {name: value.copy() for name, value in first.items()}
    for value in first.values():
        value += 9
    for name, value in head(ones).items():
        np.testing.assert_array_equal(value, kept[name])


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([("Mul", ["x", "m"], ["a"], {}), ("Neg", ["x"], ["y"], {})], ["y"]),
        ([("Mul", ["x", "m"], ["y"], {})], ["y"]),
        ([("Mul", ["w", "m"], ["y"], {})], ["y"]),
    ],
    ids=["no output depends on the mask", "the mask is first", "no output depends on the clips"],
)
def test_where_there_are_no_halves(nodes, outputs):
    with pytest.raises(ValueError, match="depends on both m and the clips"):
        cut(model_of(nodes, outputs), "m", outputs)


def test_what_crosses_must_be_a_tensor():
    nodes = [
        ("Relu", ["x"], ["a"], {}),
        ("SequenceConstruct", ["a", "x"], ["both"], {}),
        ("Mul", ["a", "m"], ["b"], {}),
        ("SequenceInsert", ["both", "b"], ["three"], {}),
        ("ConcatFromSequence", ["three"], ["y"], {"axis": 0}),
    ]
    with pytest.raises(ValueError, match=r"it would have to pass on both, a seq\(tensor\(float\)\)"):
        open_halves(model_of(nodes, ["y"]), "m", ["y"], open_session)
