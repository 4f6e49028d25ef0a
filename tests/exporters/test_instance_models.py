"""Video instance segmentation: VisTR and VidEoMT, on the same videos, side by side in one report (paper, Fig. 5)."""

from __future__ import annotations

import pytest
import torch

from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.catalogue import build_random, export_module, find_architecture
from tests.helpers.small_catalogue import reduced
from tests.helpers.videos import write_video

torch.set_num_threads(1)

LAYERS = {
    "vistr_r50": ["encoder.1", "encoder.2", "decoder.1", "decoder.2"],
    "videomt": ["block1", "block2"],
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The smallest forms of both, and a folder of videos."""
    folder = tmp_path_factory.mktemp("instances")
    for name in LAYERS:
        torch.manual_seed(0)
        row: Architecture = reduced(find_architecture(name))
        export_module(build_random(row), row, row.inputs, folder / f"{name}.onnx")
    (folder / "videos").mkdir()
    for number in range(3):
        write_video(folder / "videos" / f"{number}.mp4", 8 + number)
    return folder


@pytest.mark.all  # a minute; test_vistr.py exports VisTR, and test_per_frame.py a small module that runs like VidEoMT
def test_encoder_decoder_and_blocks_in_one_report(command, exported, tmp_path):
    for name in LAYERS:
        code, _, _ = command(
            "analyze", exported / f"{name}.onnx", exported / "videos", "--stride", 1, "-o", tmp_path / name
        )
        assert code == 0
    page, rows = tmp_path / "compare.html", tmp_path / "rows.csv"
    code, out, _ = command("compare", *(tmp_path / name for name in LAYERS), "-o", page, "--csv", rows)
    assert code == 0
    assert "vistr_r50 → videomt" in out
    listed = [line.split(",") for line in rows.read_text().splitlines()]
    run, layer = listed[0].index("run"), listed[0].index("layer")
    assert [(line[run], line[layer]) for line in listed[1:]] == [(n, layer) for n in LAYERS for layer in LAYERS[n]]
    text = page.read_text()
    assert all(layer in text for layers in LAYERS.values() for layer in layers)
