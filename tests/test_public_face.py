"""Every public name is documented with an example that runs."""

import inspect

import pytest

import sdmetrics as sd
from sdmetrics.comparison.compare import compare
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

ROOMS = [
    *(list_layers, build_probe, export, write_figures, write_report, OnnxRunner, TorchRunner),
    *(compare, write_comparison, write_comparison_figures),
    *(BiasTracker, ShuffledFrames, StaticDropout, attach, finetune),
    *(TwoStream, VisTR, fusionseg, matnet, rtnet, small_resnet),
]
RESULT_CLASSES = {
    *(sd.Evaluation, sd.SegmentationEvaluation, sd.LayerBias, sd.UnitBias, sd.Runner, sd.MissingExtra),
    *(sd.CentreBias, sd.Comparison, sd.Inspection),
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
