import numpy as np
import pytest

from benchmarks.models.same_weights import BARE, LAYERS, WIDTHS, four_files, four_results, largest_difference
from sdmetrics.probes.metadata import read_metadata

pytestmark = pytest.mark.all

CLIPS = 60
OTHERS = ("Keras", "Flax", BARE)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return four_files(tmp_path_factory.mktemp("four"))


@pytest.fixture(scope="module")
def results(files):
    return four_results(files, CLIPS)


def test_the_files_come_from_four_places(files):
    metadata = {name: read_metadata(path) for name, path in files.items()}
    assert metadata.pop(BARE) is None
    assert [one.framework.split()[0] for one in metadata.values()] == ["torch", "keras", "flax"]
    assert all(one.export_error < 1e-5 for one in metadata.values())
    axes = {
        name: {layer.channel_axis for layer in one.layers if len(layer.shape) == 5} for name, one in metadata.items()
    }
    assert axes == {"PyTorch": {1}, "Keras": {4}, "Flax": {4}}


def test_there_are_units_to_tell_apart(results):
    labels = [unit["label"] for unit in results["PyTorch"].units]
    assert set(labels) == {"dynamic", "static", "joint", "residual"}
    scores = np.array([[unit["dynamic"], unit["static"]] for unit in results["PyTorch"].units])
    assert scores.std(0).min() > 0.1
    assert [layer["units"] for layer in results["PyTorch"].layers][:-1] == list(WIDTHS.values())


@pytest.mark.parametrize("framework", OTHERS)
def test_the_same_weights_give_the_same_answer(results, framework):
    expected, found = results["PyTorch"], results[framework]
    assert [layer["name"].removeprefix("layer/") for layer in found.layers] == list(LAYERS)
    assert largest_difference(found, expected) < 1e-4
    assert [unit["label"] for unit in found.units] == [unit["label"] for unit in expected.units]
    assert [layer["counts"] for layer in found.layers] == [layer["counts"] for layer in expected.layers]
    for layer, other in zip(found.layers, expected.layers, strict=True):
        assert layer["percent"] == pytest.approx(other["percent"], abs=1e-3)
