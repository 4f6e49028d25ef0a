"""ONNX's shape inference follows the values of shapes, but not of more than a shape can have."""

import pytest

from sdmetrics.exporters._graph.nodes import shapes
from sdmetrics.exporters._graph.value_lengths import values_can_be_followed
from sdmetrics.probes.model_file import read_model_file
from tests.helpers.hostile_models import CONV, constant, node, saved


def parsed(folder, *nodes, **numbers):
    weights = [constant(name, value) for name, value in numbers.items()]
    return read_model_file(saved(folder, [CONV, *nodes, node("Relu", ["c"], ["y"])], *weights)).model


def ranging(folder, end):
    return parsed(folder, node("Range", ["zero", "end", "one"], ["r"]), zero=0, one=1, end=end)


def test_short_ranges_are_followed_and_long_ones_not(tmp_path):
    assert values_can_be_followed(ranging(tmp_path, 1000))
    for end in (10**6, 10**13):
        assert not values_can_be_followed(ranging(tmp_path, end))
        assert shapes(ranging(tmp_path, end))["c"] == ("n", 4, 4, 16, 16)


@pytest.mark.parametrize("wide", [False, True])
def test_a_range_whose_end_is_computed_is_not_followed(tmp_path, wide):
    end = [node("Mul", ["large", "large"], ["end"])] if wide else [node("Shape", ["c"], ["end"])]
    model = parsed(tmp_path, *end, node("Range", ["zero", "end", "one"], ["r"]), zero=0, one=1, large=10**6)
    assert not values_can_be_followed(model)


def test_lists_that_double_are_not_followed(tmp_path):
    def doubling(times):
        nodes = [node("Concat", [f"i{index}"] * 2, [f"i{index + 1}"], axis=0) for index in range(times)]
        return parsed(tmp_path, *nodes, i0=[1, 2])

    assert values_can_be_followed(doubling(10))
    assert not values_can_be_followed(doubling(40))
    assert shapes(doubling(40))["i40"] == (2**41,)


def test_the_shape_of_a_reshape_is_followed(tmp_path):
    made = [
        node("Shape", ["c"], ["s"]),
        node("Gather", ["s", "first"], ["n"]),
        node("Concat", ["n", "rest"], ["to"], axis=0),
        node("Reshape", ["c", "to"], ["flat"]),
    ]
    model = parsed(tmp_path, *made, first=[0], rest=[-1])
    assert values_can_be_followed(model)
    assert shapes(model)["flat"][0] == "n"
