"""Weights in files of their own: inside the model's folder they are read, outside it they are not."""

import onnx
import pytest

from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.probes.metadata import read_metadata
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
    with pytest.raises(InputError, match="weights that cannot be read"):
        build_probe(path, tmp_path / "p.onnx", layers=["c"])
    (path.parent / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"keeps weights in weights\.bin, which is missing"):
        build_probe(path, tmp_path / "p.onnx", layers=["c"])
