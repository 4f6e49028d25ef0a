"""The file that is copied into old environments: what it finds out before and while it exports."""

from __future__ import annotations

import pytest
from torch import nn

from sdmetrics.exporters import anywhere
from sdmetrics.exporters.anywhere import ExportError, export
from sdmetrics.probes.metadata import read_metadata
from tests.exporters.test_anywhere import SMALL, check_units


class Branching(nn.Module):
    """Takes a path that depends on what it is shown: dark clips are answered otherwise."""

    def __init__(self, at):
        super().__init__()
        self.conv, self.at = nn.Conv3d(3, 5, 1), at

    def forward(self, x):
        return {"answer": self.conv(x) * 2 if x.mean() > self.at else self.conv(x)}


def test_a_path_that_depends_on_the_clips_is_said(tmp_path, capsys):
    export(Branching(-1e9), SMALL, ["conv"], tmp_path / "model.onnx")
    line = Branching.forward.__code__.co_firstlineno + 1
    assert f"note: the path of the code was fixed as for random clips at {__file__}:{line}" in capsys.readouterr().err


def test_a_path_that_random_clips_take_differently_is_found(tmp_path):
    means = [float(next(iter(anywhere._fed([SMALL], range(3), seed).values())).mean()) for seed in (0, 1)]
    with pytest.raises(ExportError, match="the ONNX model's answer differs from the module's"):
        export(Branching(sum(means) / 2), SMALL, ["conv"], tmp_path / "model.onnx")


def test_attention_of_torch_is_exported(tmp_path):
    module = nn.Sequential(
        nn.Flatten(2), nn.Linear(16 * 24 * 4, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    )
    check_units(export(module, SMALL, ["1", "2"], tmp_path / "model.onnx"), module, [SMALL], ["1", "2"])


@pytest.mark.parametrize("path", ["nowhere/model.onnx", "."])
def test_a_path_that_cannot_be_written_is_told_first(path, tmp_path):
    with pytest.raises(ExportError, match="cannot be written; pass a file's name in a folder that exists"):
        export(nn.Sequential(nn.Conv3d(3, 5, 1)), SMALL, ["0"], tmp_path / path)


def test_weights_beyond_one_file_are_told_first(tmp_path):
    module = nn.Sequential(nn.Linear(2**15, 2**14, device="meta"))
    with pytest.raises(ExportError, match=r"has 2\.0 GiB of weights; this file writes models of less than 2 GiB"):
        export(module, SMALL, ["0"], tmp_path / "model.onnx")


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_layer_may_take_its_size_from_its_first_clip(tmp_path):
    path = export(nn.Sequential(nn.LazyConv3d(5, 1), nn.ReLU()), SMALL, ["0"], tmp_path / "model.onnx")
    assert read_metadata(path).layers[0].units == 5


def test_inputs_have_different_names(tmp_path):
    with pytest.raises(ExportError, match=r"the inputs are \['video', 'video'\]; give each a name of its own"):
        export(nn.Sequential(nn.Conv3d(3, 5, 1)), [SMALL, SMALL], ["0"], tmp_path / "model.onnx")
