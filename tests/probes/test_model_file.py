"""A probe's description is checked against its graph before a session is opened."""

import json

import onnx
import onnxruntime
import pytest

from sdmetrics.errors import InputError
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.torch_models import probed


def forged(change):
    """Return the bytes of a probe whose metadata `change` has changed."""
    model = onnx.load_from_string(probed("framewise"))
    entry = next(entry for entry in model.metadata_props if entry.key == "sdmetrics")
    data = json.loads(entry.value)
    change(data)
    entry.value = json.dumps(data)
    return model.SerializeToString()


@pytest.fixture
def no_session(monkeypatch):
    """Fail if a session is opened, once the probe is made."""
    probed("framewise")
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("a session was opened"))


CHANGES = {
    "no input": lambda data: data.update(inputs=[]),
    "frames": lambda data: data["inputs"][0].update(frames=10**9),
    "size": lambda data: data["inputs"][0].update(size=[60000, 60000]),
    "source": lambda data: data["inputs"][0].update(source="flow_vectors"),
    "name": lambda data: data["inputs"][0].update(name="other"),
    "twice": lambda data: data["inputs"].append({**data["inputs"][0], "name": "second"}),
    "layer": lambda data: data["layers"][0].update(name="absent"),
    "units": lambda data: data["layers"][0].update(units=7),
    "output": lambda data: data.update(outputs=["absent"]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.usefixtures("no_session")
def test_what_the_graph_contradicts(change):
    with pytest.raises(InputError, match=r"^the probe carries sdmetrics metadata that (do not fit|cannot be read)"):
        OnnxRunner(forged(CHANGES[change]))


@pytest.mark.usefixtures("no_session")
def test_the_message_says_both():
    with pytest.raises(InputError, match=r"input 'mask/conv' is float \(8\), described as float \(7\)\. Make"):
        OnnxRunner(forged(CHANGES["units"]))


@pytest.mark.usefixtures("no_session")
def test_a_graph_that_agrees_with_a_huge_input(monkeypatch):
    monkeypatch.setattr("sdmetrics.probes.feeds.MOST_VALUES", 10)
    with pytest.raises(InputError, match="at most 10 are tried"):
        OnnxRunner(probed("framewise"))


def test_an_unchanged_probe_runs():
    assert OnnxRunner(forged(dict.copy), provider="cpu").layers
