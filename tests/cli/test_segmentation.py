"""A segmenter from file to curves, as a person meets it: analysed, scored, ablated, drawn."""

import json

import cv2
import numpy as np
import pytest
import torch

from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.results import Results
from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch.segmenters.backbones import small_resnet
from sdmetrics.torch.segmenters.two_stream import TwoStream
from tests.helpers.segmentation_files import write_flo, write_png

CLIPS = "camouflage:24"
SIZE = (48, 48)
CROSS = {"cross": "motion_to_appearance", "crossed_stages": (5,)}
ON_CPU = ("--provider", "cpu", "--threads", 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small segmenter as it is before any training."""
    torch.manual_seed(0)
    module = TwoStream(small_resnet((8, 8, 8, 8)), small_resnet((8, 8, 8, 8)), width=8, fused_stages=(2, 5), **CROSS)
    inputs = [
        ModelInput("image", frames=1, stride=1, size=SIZE, layout="NCHW"),
        ModelInput("flow", "flow", frames=1, stride=1, size=SIZE, layout="NCHW"),
    ]
    layers = ["appearance.res2", "appearance.res5", "motion.res2", "motion.res5", "fusion.res2", "fusion.res5"]
    return export(module, inputs, layers, tmp_path_factory.mktemp("model") / "segmenter.onnx")


@pytest.fixture
def run(command, model, tmp_path):
    run = tmp_path / "run"
    code, out, error = command("analyze", model, CLIPS, "--out", run, *ON_CPU)
    assert code == 0, error
    assert "fusion.res5" in out
    return run


def test_streams_and_fusions_stand_in_one_report(run):
    results = Results.load(run)
    assert results.clips["used"] == 24
    by_name = {row["name"]: row["scores"] for row in results.layers}
    assert by_name["appearance.res2"]["static"] == pytest.approx(1, abs=1e-5)
    assert by_name["motion.res5"]["dynamic"] == pytest.approx(1, abs=1e-5)
    assert by_name["appearance.res5"]["static"] < 1 - 1e-4, "its cross connection brings it motion"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in by_name)


def test_masks_are_what_units_are_missed_by(command, run):
    options = ("-l", "fusion.res5", "--fraction", 0.5, "--repeats", 2, *ON_CPU)
    code, out, error = command("ablate", run, *options)
    assert code == 0, error
    assert "fusion.res5, IoU: 24 clips used" in out
    assert Ablation.load(run).scores == ["iou"]
    code, out, _ = command("ablate", run, *options, "--protocol", "moca")
    assert code == 0
    assert "fusion.res5, box IoU" in out


def test_options_that_do_not_go_with_masks(command, run, tmp_path):
    classes = tmp_path / "classes.txt"
    classes.write_text("camouflaged\nvisible\n")
    code, _, error = command("ablate", run, "--labels", classes)
    assert code == 2
    assert "--labels requires clips without segmentation masks" in error
    code, _, error = command("ablate", run, "--protocol", "davis", *ON_CPU)
    assert code == 2
    assert "protocol is 'davis'; allowed: region, moca" in error


def test_it_is_scored(command, model, tmp_path):
    path = tmp_path / "scores.json"
    code, out, error = command("evaluate", model, CLIPS, "--flip", "--model-output", "mask", "-o", path, *ON_CPU)
    assert code == 0, error
    assert "24 clips used" in out
    assert 0 <= json.loads(path.read_text())["scores"]["miou"]["value"] <= 1


def test_styles_and_their_flow_that_were_made_elsewhere(command, model, tmp_path):
    rng, styles, flow, run = np.random.default_rng(0), tmp_path / "styles", tmp_path / "flow", tmp_path / "run"
    for video in ("a", "b", "c"):
        for style in ("style_1", "style_2", "style_3"):
            write_png(styles / style / video / "0.png", rng.integers(0, 256, (*SIZE, 3), np.uint8))
        write_flo(flow / video / "0.flo", rng.normal(size=(*SIZE, 2)).astype(np.float32))
    code, _, error = command("analyze", model, styles, "--out", tmp_path / "none", *ON_CPU)
    assert code == 2
    assert "has no optical flow, which the model reads; pass a folder of flow" in error
    code, _, error = command("analyze", model, styles, "--flow", flow, "--out", run, *ON_CPU)
    assert code == 0, error
    results = Results.load(run)
    assert results.clips["used"] == 3
    by_name = {row["name"]: row["scores"] for row in results.layers}
    assert by_name["appearance.res2"]["static"] == pytest.approx(1, abs=1e-5)
    assert by_name["motion.res5"]["dynamic"] == pytest.approx(1, abs=1e-5)


def test_a_sample_shows_frames_and_flow(command, tmp_path):
    code, _, error = command("sample", CLIPS, "--with-flow", "--size", 48, "--count", 2, "-o", tmp_path / "pairs.png")
    assert code == 0, error
    picture = cv2.imread(str(tmp_path / "pairs.png"))
    assert picture.shape[0] > 2 * 3 * 100
