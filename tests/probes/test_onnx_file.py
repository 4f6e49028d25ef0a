"""Weights in files of their own: inside the model's folder they are read, outside it they are not."""

import os
import socket

import onnx
import onnxruntime
import pytest

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.loading.open import open_model
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.probes.model_file import read_model_file
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.graphs import TWO, TWO_W, graph_model


def external(tmp_path, location="weights.bin"):
    """A model that keeps its weights in another file; return the folder's model path."""
    folder = tmp_path / "folder"
    folder.mkdir()
    model = onnx.load(graph_model(tmp_path, TWO, ["z"], TWO_W))
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def test_weights_beside_the_model_end_up_in_the_probe(tmp_path):
    path = external(tmp_path)
    probe = build_probe(path, tmp_path / "p.onnx", layers=["c"])
    first = read_metadata(probe).sha256
    (tmp_path / "folder").rename(tmp_path / "gone")
    runner = OnnxRunner(probe)
    assert runner(random_feeds(runner.inputs, 1))["c"].any()
    (tmp_path / "gone").rename(tmp_path / "folder")
    data = bytearray((tmp_path / "folder" / "weights.bin").read_bytes())
    data[3] ^= 1
    (tmp_path / "folder" / "weights.bin").write_bytes(data)
    assert read_metadata(build_probe(path, probe, layers=["c"])).sha256 != first


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "sub/../../weights.bin"])
def test_weights_outside_the_folder_are_not_followed(tmp_path, location):
    path = external(tmp_path, location)
    (path.parent / "weights.bin").rename(tmp_path / "weights.bin")
    with pytest.raises(InputError, match="outside its own folder"):
        build_probe(path, tmp_path / "p.onnx", layers=["c"])


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    path = external(tmp_path)
    (path.parent / "weights.bin").rename(tmp_path / "weights.bin")
    (path.parent / "weights.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(InputError, match="outside its own folder"):
        build_probe(path, tmp_path / "p.onnx", layers=["c"])


def test_missing_and_short_weights(tmp_path):
    path = external(tmp_path)
    (path.parent / "weights.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"weights that cannot be read: 'w' is at .*, which has 0 bytes"):
        build_probe(path, tmp_path / "p.onnx", layers=["c"])
    (path.parent / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"keeps weights in weights\.bin, which is missing"):
        build_probe(path, tmp_path / "p.onnx", layers=["c"])


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("a\0b", r"'a\\x00b', which is not a path \(embedded null byte\)"),
        ("circle", "'circle', which is not a path"),
        ("a" * 5000, "which is not a path"),
        ("", "is a folder, not a file"),
        (".", "is a folder, not a file"),
        ("pipe", "is a FIFO, not a file, and was not opened"),
        ("socket", "is a socket, not a file, and was not opened"),
        ("zero", "outside its own folder"),
        ("*/_ORT_MEM_ADDR_/*", "which is missing"),
    ],
)
def test_what_is_no_ordinary_file_is_not_opened(tmp_path, monkeypatch, location, message):
    path = external(tmp_path, location)
    (path.parent / "circle").symlink_to("circle")
    (path.parent / "zero").symlink_to("/dev/zero")
    os.mkfifo(path.parent / "pipe")
    monkeypatch.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        with pytest.raises(InputError, match=message):
            build_probe(path, tmp_path / "p.onnx", layers=["c"])


@pytest.mark.parametrize(
    "entries", [{"offset": "-8"}, {"offset": "1000"}, {"length": "1000000000000"}, {"offset": "eight"}]
)
def test_weights_that_are_not_inside_their_file(tmp_path, entries):
    path = external(tmp_path)
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"weights that cannot be read: 'w' is at .* of weights\.bin, which has"):
        build_probe(path, tmp_path / "p.onnx", layers=["c"])


def test_weights_of_constants_and_functions_are_found_too(tmp_path):
    path = external(tmp_path, "../weights.bin")
    model = onnx.load(path, load_external_data=False)
    weight = model.graph.initializer[0]
    constant = onnx.helper.make_node("Constant", [], ["w"], value=weight)
    function = onnx.helper.make_function("own", "f", [], ["w"], [constant], list(model.opset_import))
    for made, called in (([], constant), ([function], onnx.helper.make_node("f", [], ["w"], domain="own"))):
        other = onnx.ModelProto()
        other.CopyFrom(model)
        other.graph.initializer.remove(weight)
        other.graph.node.insert(0, called)
        other.functions.extend(made)
        other.opset_import.append(onnx.helper.make_opsetid("own", 1))
        path.write_bytes(other.SerializeToString())
        with pytest.raises(InputError, match="outside its own folder"):
            build_probe(path, tmp_path / "p.onnx", layers=["c"])


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "weights.bin"])
@pytest.mark.parametrize("opened", [OnnxRunner, lambda path: OnnxRunner(path.read_bytes()), open_model])
def test_a_probe_reads_files_of_its_folder_alone_and_its_bytes_none(tmp_path, monkeypatch, location, opened):
    plain = graph_model(tmp_path, TWO, ["z"], TWO_W)
    probe = onnx.load(build_probe(plain, tmp_path / "p.onnx", layers=["c"]))
    weight = next(tensor for tensor in probe.graph.initializer if tensor.name == "w")
    (tmp_path / "weights.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    (tmp_path / "p.onnx").write_bytes(probe.SerializeToString())
    monkeypatch.chdir(tmp_path)
    if location == "weights.bin" and opened in (OnnxRunner, open_model):
        runner = opened(tmp_path / "p.onnx")
        assert runner(random_feeds(runner.inputs, 1))["c"].any()
        return
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("a session was opened"))
    with pytest.raises(InputError, match="keeps weights"):
        opened(tmp_path / "p.onnx")


def test_a_model_that_is_no_ordinary_file(tmp_path):
    os.mkfifo(tmp_path / "m.onnx")
    for read in (read_model_file, OnnxRunner):
        with pytest.raises(InputError, match=r"m\.onnx is a FIFO, not a file, and was not opened"):
            read(tmp_path / "m.onnx")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").touch()
    with pytest.raises(InputError, match="run is the folder of a run; pass the path of an ONNX file"):
        read_model_file(tmp_path / "run")
    with pytest.raises(InputError, match="does not exist or is not a file"):
        read_model_file(tmp_path)
