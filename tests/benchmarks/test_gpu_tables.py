"""The tables of parity and of clips per second: the code that makes a row, without a GPU too."""

import numpy as np
import pytest

from benchmarks import parity as parity_table
from benchmarks import speed as speed_table
from benchmarks.machine import describe_machine
from benchmarks.parity import _compare, parity
from benchmarks.readme import write_between
from sdmetrics.analysis.results import Results
from sdmetrics.demo import demo_model
from sdmetrics.exporters.catalogue import find_architecture
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.runners.onnxruntime import CUDA, OnnxRunner, loadable_providers
from tests.helpers.torch_models import CASES, hooked, probed


def test_a_model_is_compared_in_every_setting_that_loads(tmp_path):
    with demo_model("motion") as path:
        rows = parity(path, clips=8)
    settings = [row.setting for row in rows]
    assert settings[:2] == ["CPU, float16 weights", "CPU, float16 as a GPU stores it"]
    assert ("CUDA, TF32" in settings) == (CUDA in loadable_providers())
    for row in rows[:2]:
        assert 0 < row.median < row.largest < 1e-2
        assert 0 < row.layer_score <= row.unit_score < 1e-2
        assert row.units == 136
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- parity: begin -->\nolder\n<!-- parity: end -->\nafter\n")
    write_between(page, "parity", parity_table.table(rows, ["x3d_l: too large"], clips=8))
    text = page.read_text()
    assert all(str(row) in text for row in rows)
    assert "* x3d_l: too large" in text
    assert "older" not in text
    assert ("There are no rows for CUDA" in text) == (CUDA not in loadable_providers())
    assert describe_machine("onnxruntime") in text


def results(dynamic, label):
    unit = {"layer": "a", "unit": 0, "dynamic": dynamic, "static": 0.5, "label": label}
    layer = {"name": "a", "scores": {"dynamic": dynamic, "static": 0.5}, "percent": {"dynamic": 30, "static": 30}}
    made = Results(
        model={}, seed=0, estimator="pearson", threshold=0.5, clips={"used": 2, "looped": 0, "skipped": []}, settings={}
    )
    made.layers.append(layer)
    made.units.append(unit)
    return made


def test_differences_are_those_of_the_values():
    units = np.array([[1.0], [-4.0], [2.0]], np.float32)
    row = _compare(
        "m",
        "s",
        results(0.25, "static"),
        {"a": units},
        results(0.75, "joint"),
        {"a": units + np.array([[0], [1], [2]])},
    )
    assert (row.largest, row.median) == (0.5, 0.25)
    assert (row.layer_score, row.layer_percent, row.unit_score) == (0.5, 0, 0.5)
    assert (row.moved, row.dead, row.units) == (1, 0, 1)


def test_a_unit_that_is_dead_on_one_side_is_counted_and_not_compared():
    units = {"a": np.ones((3, 1), np.float32)}
    row = _compare("m", "s", results(0.25, "static"), units, results(None, "residual"), units)
    assert (row.dead, row.moved, row.unit_score) == (1, 1, 0)
    assert _compare("m", "s", results(None, "residual"), units, results(None, "residual"), units).dead == 0


def test_a_row_at_another_size_keeps_all_else():
    row = find_architecture("slowfast_r18_8x8")
    smaller = parity_table.at_side(row, 64)
    assert [item.size for item in smaller.inputs] == [(64, 64)] * 2
    assert [item.frames for item in smaller.inputs] == [item.frames for item in row.inputs]
    assert parity_table.at_side(row, None) is row


def test_rates_and_ratio_are_medians_over_rounds(monkeypatch):
    turns = []
    times = {
        "probe": iter([1.0, 2.0, 8.0]),
        speed_table.COMPILED: iter([4.0, 2.0, 4.0]),
        "eager": iter([8.0, 9.0, 10.0]),
    }
    contenders = {name: lambda name=name: turns.append(name) for name in times}

    def seconds(run):
        run()
        return next(times[turns[-1]])

    monkeypatch.setattr(speed_table, "seconds", seconds)
    rates, ratio = speed_table.measure(contenders, batch=4, rounds=3)
    assert rates == {"probe": 2.0, speed_table.COMPILED: 1.0, "eager": 4 / 9}
    assert ratio == 1.0  # of 4, 1 and 1/2
    assert turns[6:] == [*times] * 3
    row = speed_table.Row("m", "float32", 4, rates, ratio)
    assert str(row) == "| m | float32 | 4 | 2.0 | 1.0 | 0.4 | 1.00× |"
    text = speed_table.table([row], rounds=3)
    assert "| model | precision | batch | probe, clips/s | compiled forward, clips/s | eager, clips/s |" in text
    assert describe_machine("onnxruntime", "onnxruntime-gpu", "torch") in text


@pytest.mark.parametrize("half", [False, True])
def test_the_contenders_compute_the_same(half):
    runner = OnnxRunner(probed("resnet"), provider="cpu")
    contenders = speed_table.line_up(CASES["resnet"].make().eval(), runner, batch=2, half=half, backend="eager")
    feeds = random_feeds(runner.inputs, 2)
    expected, _ = hooked(CASES["resnet"].make(), [], list(prepare(feeds, runner.inputs).values()))
    for name in (speed_table.COMPILED, "eager forward"):
        np.testing.assert_allclose(contenders[name]().numpy(), expected, rtol=0, atol=2e-2 if half else 1e-5)
    np.testing.assert_array_equal(contenders["probe"]()["fc"], runner(feeds)["fc"])
