"""A file is opened as a probe: it is parsed once, a probe is made if needed, and what a probe lacks is an error."""

import dataclasses
import hashlib
import tempfile

import onnx
import pytest

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe, describe_feeding, make_probe, open_probe
from sdmetrics.loading.open import open_model
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.model_file import read_model_file
from sdmetrics.probes.onnx_file import file_sha256, load_model
from tests.helpers.graphs import TWO, TWO_W, described, graph_model
from tests.helpers.torch_models import CASES, exported, probed


@pytest.fixture
def parses(monkeypatch):
    """The files that onnx parses, one entry for each time."""
    parsed = []
    original = onnx.load

    def load(file, *args, **kwargs):
        parsed.append(getattr(file, "name", file))
        return original(file, *args, **kwargs)

    for name in ("load", "load_model"):
        monkeypatch.setattr(onnx, name, load)
    return parsed


@pytest.fixture
def files(tmp_path):
    """A file of each kind."""
    (tmp_path / "exported.onnx").write_bytes(exported("framewise"))
    (tmp_path / "probe.onnx").write_bytes(probed("framewise"))
    return {
        "plain": graph_model(tmp_path, TWO, ["z"], TWO_W),
        "exported": tmp_path / "exported.onnx",
        "probe": tmp_path / "probe.onnx",
    }


@pytest.mark.parametrize("kind", ["plain", "exported", "probe"])
def test_a_model_file_is_parsed_once(files, parses, kind):
    runner = open_model(files[kind], layers=["c"] if kind == "plain" else None, provider="cpu", threads=1)
    assert parses == [str(files[kind])]
    assert runner.layers


@pytest.mark.parametrize("kind", ["plain", "exported"])
def test_nothing_is_written_on_the_way_to_the_runner(files, monkeypatch, kind):
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *_args: pytest.fail("a folder was made"))
    monkeypatch.setattr(tempfile, "mkstemp", lambda *_args: pytest.fail("a file was made"))
    open_model(files[kind], layers=["c"] if kind == "plain" else None, provider="cpu", threads=1)


@pytest.mark.parametrize("kind", ["plain", "exported"])
def test_the_command_probe_parses_its_model_once(files, parses, command, tmp_path, kind):
    options = ["-l", "c"] if kind == "plain" else []
    assert command("probe", files[kind], "-o", tmp_path / "p.onnx", "--stride", 2, *options)[0] == 0
    assert parses == [str(files[kind])]
    assert {item.stride for item in read_model_file(tmp_path / "p.onnx").metadata.inputs} == {2}


def test_the_probe_in_memory_is_the_one_that_is_written(files, tmp_path):
    written = build_probe(files["exported"], tmp_path / "p.onnx", masks=True).read_bytes()
    for file in (files["exported"], read_model_file(files["exported"])):
        probe = make_probe(file, masks=True)
        assert probe.model.SerializeToString() == written
        assert (probe.is_probe, probe.sha256) == (True, hashlib.sha256(written).hexdigest())
    runner = open_model(files["exported"], masks=True, provider="cpu", threads=1)
    assert runner.circumstance["probe_sha256"] == hashlib.sha256(written).hexdigest()
    assert runner.identity["model_sha256"] == file_sha256(files["exported"])
    assert runner.metadata.name == "exported"


def test_a_file_is_read_with_its_hash_metadata_and_kind(files):
    for kind, path in files.items():
        file = read_model_file(str(path))
        assert file.sha256 == file_sha256(path)
        assert (file.metadata is None) == (kind == "plain")
        assert file.is_probe == (kind == "probe")
    assert read_model_file(files["plain"]).model == load_model(files["plain"])


def test_a_probe_that_has_what_is_requested_is_opened_as_it_is(files):
    file, inputs = read_model_file(files["probe"]), CASES["framewise"].inputs
    assert open_probe(file) is open_probe(file, layers=(), masks=True) is file
    assert open_probe(file, layers=["deep"], inputs=list(inputs), masks=True) is file


def test_a_channel_axis_that_is_counted_from_the_end(files):
    layer = read_model_file(files["probe"]).metadata.layers[0]
    assert (layer.name, layer.channel_axis, len(layer.shape)) == ("conv", 1, 4)
    for axis in (1, -3, None):
        assert open_probe(files["probe"], layers={"conv": axis})
    for axis in (0, -1, -2, -4, 5):
        with pytest.raises(InputError, match="with the channels of layer 'conv' in axis 1; for another axis"):
            open_probe(files["probe"], layers={"conv": axis})


def test_a_probe_that_lacks_what_is_requested_is_an_error(files, tmp_path):
    unmasked = build_probe(files["exported"], tmp_path / "unmasked.onnx")
    inputs = [dataclasses.replace(item, stride=9) for item in CASES["framewise"].inputs]
    with pytest.raises(InputError, match="a probe without the layer 'deeper'; it has conv, act, deep, fc"):
        open_model(files["probe"], layers=["conv", "deeper"])
    with pytest.raises(InputError, match=r"is a probe and has no masks; use the model .* --masks -o PROBE"):
        open_model(unmasked, masks=True)
    with pytest.raises(InputError, match="is a probe and fed in another way; use the model that it was made from"):
        open_model(files["probe"], inputs=inputs)


def test_fields_go_before_what_the_file_says(files):
    (declared,) = describe_feeding(files["exported"], {"video": {"stride": 3}}, stride=2, mean=(0.5, 0.5, 0.5))
    assert (declared.stride, declared.mean) == (3, (0.5, 0.5, 0.5))
    assert declared.std == CASES["framewise"].inputs[0].std
    (inferred,) = describe_feeding(files["plain"], {"x": {"stride": 3}}, stride=2)
    assert isinstance(inferred, ModelInput)
    assert inferred.stride == 3
    assert inferred.layout == described().layout
    for path in files.values():
        with pytest.raises(InputError, match="the model has no input 'y'"):
            describe_feeding(path, {"y": {"stride": 3}})
