"""`sdmetrics export` as a person meets it."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from rich.cells import cell_len

from sdmetrics.cli.app import console
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.catalogue import ARCHITECTURES, build_random, fed_in_words
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.probes.torch_hooks import weights_sha256


def build(_inputs, classes):
    nn = torch.nn
    return nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, classes))


TINY = Architecture(
    name="tiny",
    family="Tiny",
    inputs=(ModelInput("video", frames=4, stride=2, size=(16, 16)),),
    labels="Three",
    classes=3,
    build=build,
    layers={"stem": "0", "res2": "1"},
)


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    """Run in an empty folder, with a tiny architecture in the catalogue."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ARCHITECTURES, "tiny", TINY)


def test_the_list_names_every_architecture_how_it_is_fed_and_where_its_weights_are(command):
    code, out, _ = command("export", "--list")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    for name, row in ARCHITECTURES.items():
        assert row.labels in lines[name]
    line = lines["slowfast_r50_8x8"]
    assert "8×8 + 32×2 at 30 fps, 256²" in line
    assert "10: slow.stem … fast.res5" in line
    assert "Kinetics-400" in line
    assert "PyTorchVideo" in line
    assert "16 + 64 spread, 256²" in lines["slowfast_r50_16x8"]
    assert "128×171→112²" in lines["mc3_18"]
    assert "--pretrained" in out


def test_the_list_is_legible_in_100_columns(command, monkeypatch):
    monkeypatch.setattr(console, "_width", 100)
    _, out, _ = command("export", "--list")
    assert max(cell_len(line) for line in out.splitlines()) <= 100
    broken = {word for row in ARCHITECTURES.values() for word in fed_in_words(row.inputs).split()} - set(out.split())
    assert not broken


def test_the_list_loads_no_framework():
    code = (
        "import sys; from sdmetrics.__main__ import main; sys.argv = ['sdmetrics', 'export', '--list']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'torchvision', 'transformers', 'pytorchvideo', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_random_weights_are_allowed_and_said_clearly(command, tmp_path):
    code, out, err = command("export", "tiny")
    assert (code, err) == (0, "")
    assert "the weights of tiny are random" in out
    assert "model: tiny.onnx" in out
    metadata = read_metadata(tmp_path / "tiny.onnx")
    assert [layer.name for layer in metadata.layers] == ["stem", "res2"]
    assert metadata.inputs == TINY.inputs


def test_a_checkpoints_weights_and_its_number_of_classes_are_taken(command, tmp_path):
    trained = dataclasses.replace(TINY, classes=7)
    module = build_random(trained)
    torch.nn.init.ones_(module[4].weight)
    torch.save({"model_state": module.state_dict()}, tmp_path / "trained.pyth")
    code, out, err = command("export", "tiny", "--checkpoint", "trained.pyth", "-o", "out/mine.onnx")
    assert (code, err) == (0, "")
    assert "random" not in out
    assert read_metadata(tmp_path / "out" / "mine.onnx").sha256 == weights_sha256(module)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "expected an architecture or a saved model; see sdmetrics export --list"),
        (["slowfast"], "the catalogue has no architecture 'slowfast'. The nearest names: slowfast_r"),
        (["tiny", "--pretrained"], "tiny has no published weights"),
        (["tiny", "--checkpoint", "nowhere.pth"], "nowhere.pth does not exist"),
        (["tiny", "--checkpoint", "a.pth", "--pretrained"], "both --checkpoint a.pth and --pretrained"),
    ],
)
def test_what_cannot_be_done_is_one_line_on_standard_error(command, tmp_path, arguments, reason):
    code, out, err = command("export", *arguments)
    assert (code, out) == (2, "")
    assert reason in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_transformers_needs_no_name(command, tmp_path):
    videomae = pytest.importorskip("transformers.models.videomae.modeling_videomae")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = videomae.VideoMAEConfig(**sizes, num_frames=2, image_size=16, use_mean_pooling=False)
    videomae.VideoMAEModel(config).save_pretrained(tmp_path / "mae")
    code, out, _ = command("export", "mae")
    assert code == 0
    assert "model: mae.onnx" in out
    assert "random" not in out
    metadata = read_metadata(tmp_path / "mae.onnx")
    assert [layer.name for layer in metadata.layers] == ["block1"]
    assert [(item.frames, item.size) for item in metadata.inputs] == [(2, (16, 16))]
    code, _, err = command("export", "mae", "--pretrained")
    assert code == 2
    assert "mae contains its own weights; drop " in err


def test_what_is_no_architecture_may_be_a_repository(command, monkeypatch):
    asked = []

    def offline(name):
        asked.append(name)
        raise OSError("no network")

    monkeypatch.setattr("sdmetrics.exporters._weights.transformers_folder._download", offline)
    code, _, err = command("export", "MCG-NJU/videomae-base")
    assert code == 2
    assert "MCG-NJU/videomae-base cannot be downloaded (no network)" in err
    assert asked == ["MCG-NJU/videomae-base"]
