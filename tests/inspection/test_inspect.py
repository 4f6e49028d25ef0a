"""inspect: the units of a real run, their exemplars, and maps whose means are the responses that the run kept."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import sdmetrics as sd
from sdmetrics.demo import demo_model
from sdmetrics.errors import Note
from sdmetrics.inspection.choice import strengths


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "a run"
    folder.mkdir()
    with demo_model("motion") as path:
        shutil.copy(path, folder / "model.onnx")
    sd.analyze(folder / "model.onnx", "world:60", out=folder, keep_responses=True)
    return folder


@pytest.fixture(scope="module")
def seen(run) -> sd.Inspection:
    return sd.inspect(run)


def test_units_are_the_most_typical_of_their_class(run, seen):
    results = sd.Results.load(run)
    rows = [row for row in results.units if row["layer"] == "stage4" and row["label"] == "dynamic"]
    best = max(rows, key=lambda row: row["dynamic"] - row["static"])
    assert seen.units[0].unit == best["unit"]
    for unit in seen.units:
        assert unit.label == next(r["label"] for r in results.units if (r["layer"], r["unit"]) == ("stage4", unit.unit))
    counts = [sum(unit.label == label for unit in seen.units) for label in ("dynamic", "static", "joint", "residual")]
    expected = results.layer("stage4")["counts"]
    assert counts == [
        min(2, expected[label] - (expected["dead"] if label == "residual" else 0))
        for label in ("dynamic", "static", "joint", "residual")
    ]


def test_exemplars_are_the_extremes(run, seen):
    responses = sd.Results.load(run).responses("stage4")
    assert seen.clips == responses.clips
    for unit in seen.units:
        np.testing.assert_array_equal(unit.responses, responses.array()[:, :, unit.unit])
        order = np.argsort(strengths(unit.responses, unit.label), kind="stable")
        assert [one.clip for one in unit.highest] == [seen.clips[place] for place in order[::-1][:3]]
        assert [one.clip for one in unit.lowest] == [seen.clips[place] for place in order[:3]]


def test_maps_average_to_the_responses_of_the_run(seen):
    """Eight frames at the layer's own eight steps of time: nothing is left out of the mean."""
    for unit in seen.units:
        for one in (*unit.highest, *unit.lowest):
            row = unit.responses[seen.clips.index(one.clip)]
            for view, response in zip(one.views, row, strict=True):
                assert view.where is not None
                assert view.response == response
                np.testing.assert_allclose(view.where.mean(), response, rtol=1e-4, atol=1e-5)


def test_the_third_view_shows_the_frames_in_the_order_that_was_fed(seen):
    first, _, third = seen.units[0].highest[0].views
    assert first.names == tuple("12345678")
    assert third.names != first.names
    places = [first.names.index(name) for name in third.names]
    np.testing.assert_array_equal(third.frames, first.frames[places])


def test_named_units_of_another_layer(run, tmp_path):
    found = sd.inspect(run, layers=["stage1"], units=[3, 0, 3], exemplars=1, out=tmp_path / "page.html")
    assert [(unit.layer, unit.unit) for unit in found.units] == [("stage1", 3), ("stage1", 0)]
    assert (tmp_path / "page.html").exists()


@pytest.mark.usefixtures("seen")
def test_the_report_links_to_the_page(run):
    assert '<a href="inspection.html">' in (run / "report.html").read_text(encoding="utf-8")
    elsewhere = run.parent / "report.html"
    sd.write_report([sd.Results.load(run)], elsewhere)
    assert '<a href="a%20run/inspection.html">' in elsewhere.read_text(encoding="utf-8")


def test_pages_become_small_and_say_so(run, tmp_path):
    with pytest.warns(Note, match="thumbnails are .* pixels high"):
        sd.inspect(run, out=tmp_path / "page.html", max_mb=1.2)
    assert (tmp_path / "page.html").stat().st_size <= 1.2e6
    assert "Reduced so that the page has at most 1.2 MB" in (tmp_path / "page.html").read_text(encoding="utf-8")
    with pytest.raises(sd.InputError, match="show fewer units, or allow more with --max-mb"):
        sd.inspect(run, out=tmp_path / "none.html", max_mb=0.5)
    assert not (tmp_path / "none.html").exists()


def test_another_model_is_noticed(run, tmp_path):
    with demo_model("appearance") as path:
        other = shutil.copy(path, tmp_path / "other.onnx")
    with pytest.warns(Note, match="are not those that the run kept"):
        sd.inspect(run, model=other, out=tmp_path / "page.html")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layers": ["stage9"]}, "no layer 'stage9'"),
        ({"units": [48]}, "layer 'stage4' has no unit 48; it has 48: 0 to 47"),
        ({"typical": 0}, "typical is 0; expected a whole number, at least 1"),
        ({"clips": "world:4"}, "of the run is not among the 4 clips"),
        ({"model": "gone.onnx"}, "gone.onnx"),
        ({"styles": {"a": np.copy, "b": np.copy}}, "which is not among a, b; pass the run's styles"),
    ],
)
def test_what_is_wrong_is_one_line(run, wrong, message, tmp_path):
    with pytest.raises(sd.InputError, match=message) as error:
        sd.inspect(run, out=tmp_path / "page.html", **wrong)
    assert "\n" not in str(error.value)


def test_a_run_without_responses_says_how_to_keep_them(tmp_path):
    with demo_model("motion") as path:
        sd.analyze(path, "world:20", out=tmp_path / "run")
    with pytest.raises(sd.InputError, match="--keep-responses"):
        sd.inspect(tmp_path / "run")


def test_a_live_module(tmp_path):
    """The module's own code, which has to be named again; its maps average to the responses, too."""
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "code.py").write_text(
        "import torch\nfrom sdmetrics import ModelInput\n\n\ndef build():\n"
        "    torch.manual_seed(0)\n"
        "    net = torch.nn.Sequential(torch.nn.Conv3d(3, 6, 3, stride=2), torch.nn.ReLU())\n"
        "    return net, [ModelInput('video', frames=8, size=(40, 40))], ['0']\n",
        encoding="utf-8",
    )
    code = f"{tmp_path / 'code.py'}:build"
    sd.analyze(code, "world:20", out=tmp_path / "run", keep_responses=True)
    with pytest.raises(sd.InputError, match="runs only where you name it"):
        sd.inspect(tmp_path / "run")
    found = sd.inspect(tmp_path / "run", model=code, units=[0], exemplars=1)
    assert "time, height and width" in found.units[0].basis
    assert found.units[0].highest[0].views[0].where.shape == (8, 19, 19)


TOKENS = """
import torch
from sdmetrics import ModelInput


class Tokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cut = torch.nn.Conv3d(3, 6, (2, 10, 10), (2, 10, 10))
        self.block, self.mix = torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)

    def forward(self, video):
        tokens = self.cut(video).flatten(3).permute(0, 3, 2, 1).flatten(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1)
        tokens = self.block(tokens)
        return self.mix(tokens.mean(1, keepdim=True).expand_as(tokens))


def build():
    torch.manual_seed(0)
    return Tokens(), [ModelInput("video", frames=8, size=(40, 40))], ["block", "mix"]
"""


def test_tokens_are_laid_over_the_frames_or_the_page_says_why_not(tmp_path):
    """Class token, then time within each place, as TimeSformer's; the layer after holds the same everywhere."""
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "code.py").write_text(TOKENS, encoding="utf-8")
    code = f"{tmp_path / 'code.py'}:build"
    sd.analyze(code, "world:20", out=tmp_path / "run", keep_responses=True)
    found = sd.inspect(tmp_path / "run", model=code, layers=["block", "mix"], units=[0], exemplars=1)
    block, mix = found.units
    assert block.highest[0].views[0].where.shape == (8, 4, 4)
    assert mix.highest[0].views[0].where is None
    page = (tmp_path / "run" / "inspection.html").read_text(encoding="utf-8")
    assert "its 65 tokens are 4 × 4 × 4 parts of time, height and width, place by place" in page
    assert "Where it responds is not shown: what the layer’s 65 tokens stand for is not known" in page


def test_a_run_with_further_factors_shows_the_views_of_the_paper(tmp_path):
    with demo_model("motion") as path:
        shutil.copy(path, tmp_path / "model.onnx")
    sd.analyze(tmp_path / "model.onnx", "world:20", out=tmp_path, also=["reverse"], keep_responses=True)
    found = sd.inspect(tmp_path, layers=["stage4"], units=[0], exemplars=1, out=tmp_path / "page.html")
    assert found.units[0].responses.shape == (20, 3)
    assert len(found.units[0].highest[0].views) == 3


def test_a_page_of_earlier_results_is_not_linked(run, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(run, again)
    sd.inspect(again, typical=1)
    assert "inspection.html" in (again / "report.html").read_text(encoding="utf-8")
    os.utime(again / "inspection.html", ns=(0, 0))
    sd.write_report([sd.Results.load(again)], again / "report.html")
    assert "inspection.html" not in (again / "report.html").read_text(encoding="utf-8")
