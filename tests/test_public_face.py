"""Every public name is documented with an example that runs, and the README's own code runs."""

import inspect
import re
from pathlib import Path

import pytest

import sdmetrics as sd
from sdmetrics.comparison.compare import compare
from sdmetrics.demo import demo_model
from sdmetrics.exporters.layers import list_layers
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.report import write_figures, write_report
from sdmetrics.report.comparison import write_comparison, write_comparison_figures
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.torch import (
    BiasTracker,
    ShuffledFrames,
    StaticDropout,
    TwoStream,
    VisTR,
    attach,
    finetune,
    fusionseg,
    matnet,
    rtnet,
    small_resnet,
)
from tests.helpers.torch_models import ResNet3d, seeded
from tests.helpers.videos import write_video

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
ROOMS = [
    *(list_layers, build_probe, export, write_figures, write_report, OnnxRunner, TorchRunner),
    *(compare, write_comparison, write_comparison_figures),
    *(BiasTracker, ShuffledFrames, StaticDropout, attach, finetune),
    *(TwoStream, VisTR, fusionseg, matnet, rtnet, small_resnet),
]
RESULT_CLASSES = {
    *(sd.Evaluation, sd.SegmentationEvaluation, sd.LayerBias, sd.UnitBias, sd.Runner, sd.MissingExtra),
    *(sd.CentreBias, sd.Comparison),
}
"""Made by functions whose examples show them."""


@pytest.mark.parametrize("name", [name for name in sd.__all__ if name != "__version__"])
def test_every_public_name_is_there_and_documented(name):
    item = getattr(sd, name)
    assert inspect.getdoc(item)
    if item not in RESULT_CLASSES:
        assert ">>>" in inspect.getdoc(item), f"{name} has no example"


@pytest.mark.parametrize("item", ROOMS, ids=lambda item: item.__name__)
def test_what_the_rooms_offer_has_an_example(item):
    assert ">>>" in inspect.getdoc(item)


def test_all_names_are_sorted_and_nothing_else_is_public():
    assert sorted(sd.__all__) == list(sd.__all__)
    public = {n for n, v in vars(sd).items() if not n.startswith("_") and not inspect.ismodule(v)}
    assert public == set(sd.__all__) - {"__version__"}


def test_the_code_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write_video(Path(f"videos-{number}.mp4"), 20 + number)
    videos = Path("videos")
    videos.mkdir()
    for path in Path().glob("*.mp4"):
        path.rename(videos / path.name)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 4
    exporting, analysing, dropping, metric = blocks
    exec(exporting, {"model": seeded(ResNet3d)})
    assert [layer.name for layer in list_layers(Path("model.onnx"))] == ["layer1", "layer4"]
    with demo_model("motion") as small:
        Path("model.onnx").write_bytes(small.read_bytes())
    exec(analysing, {})
    assert "identical" in capsys.readouterr().out
    exec(dropping, names := {})
    dropout = names["attached"].dropout
    assert (dropout.estimates, dropout.active) == (1, False)
    assert "tensor" in capsys.readouterr().out
    exec(metric, {})
    assert "residual" in capsys.readouterr().out


def test_every_command_of_the_readme_exists():
    from typer.main import get_command

    from sdmetrics.cli import app

    used = set(re.findall(r"(?:\$ |`)sdmetrics ([a-z-]+)", README))
    assert used
    assert used <= set(get_command(app).commands)
