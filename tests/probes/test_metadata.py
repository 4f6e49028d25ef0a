"""Metadata are read completely, or reading them is an error."""

import functools
import json

import hypothesis.strategies as st
import onnx
import pytest
from hypothesis import given

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.metadata import Metadata
from tests.helpers.torch_models import exported, probed


@functools.cache
def metadata_text():
    model = onnx.load_from_string(probed("framewise"))
    return next(entry.value for entry in model.metadata_props if entry.key == "sdmetrics")


def test_metadata_survives_the_round_trip():
    text = metadata_text()
    assert Metadata.from_json(text, "file").to_json() == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=3)
    | st.just("NCTHW"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def places(data, path=()):
    """Every place in a JSON value that can be replaced."""
    yield path
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(inner, (*path, key))


@given(st.data())
def test_broken_metadata_is_an_input_error_and_nothing_else(data):
    broken = json.loads(metadata_text())
    path = data.draw(st.sampled_from([place for place in places(broken) if place]))
    holder = broken
    for key in path[:-1]:
        holder = holder[key]
    if isinstance(holder, dict) and data.draw(st.booleans()):
        del holder[path[-1]]
    else:
        holder[path[-1]] = data.draw(JSON)
    try:
        read = Metadata.from_json(json.dumps(broken), "probe.onnx")
    except InputError as error:
        assert str(error).startswith("probe.onnx carries sdmetrics metadata")  # noqa: PT017
    else:
        assert Metadata.from_json(read.to_json(), "probe.onnx") == read


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{}", "no json", "[" * 9999, '{"schema": 2}', '"schema"'])
def test_what_is_no_metadata_at_all(text):
    with pytest.raises(InputError, match=r"^probe\.onnx carries sdmetrics metadata"):
        Metadata.from_json(text, "probe.onnx")


HELD = {"name": "state", "value": 3.0, "dtype": "int32", "shape": ["N", 0, 6], "sha256": "0"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("dtype", "nonsense", "'nonsense' is not one of"),
        ("dtype", "object", "'object' is not one of"),
        ("shape", ["n", 6], "'n' is not of type int"),
        ("shape", [-1, 6], "-1 is not a size"),
        ("shape", [True, 6], "True is not of type int"),
    ],
)
def test_what_an_input_cannot_be_held_at(field, value, reason):
    data = json.loads(metadata_text()) | {"held": [HELD]}
    assert Metadata.from_json(json.dumps(data), "probe.onnx").held[0].shape == ("N", 0, 6)
    with pytest.raises(InputError, match=rf"^probe\.onnx carries sdmetrics metadata that cannot be read: {reason}"):
        Metadata.from_json(json.dumps(data | {"held": [HELD | {field: value}]}), "probe.onnx")


def test_metadata_that_the_graph_belies_is_an_error(tmp_path):
    model = onnx.load_from_string(exported("framewise"))
    entry = next(entry for entry in model.metadata_props if entry.key == "sdmetrics")
    entry.value = entry.value.replace("layer/conv", "layer/absent")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="cannot load the model"):
        build_probe(tmp_path / "m.onnx", tmp_path / "p.onnx")
