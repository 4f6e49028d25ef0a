"""What a model promises is tried within a budget of memory and time that grows with the model."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from onnx import TensorProto, helper

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters.layers import list_layers
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes import feeds, trial
from sdmetrics.probes.feeds import OverBudget, check_amount, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.runtime_errors import reason_of
from sdmetrics.probes.trial import open_trial, run_once
from tests.helpers.hostile_models import BASE, CONV, constant, endless, node, saved, with_mean_of

HUGE = 10**5

BOMBS = {
    "ConstantOfShape": (with_mean_of(node("ConstantOfShape", ["s"], ["r"])), [constant("s", [HUGE, HUGE])]),
    "Range": (
        with_mean_of(
            node("Range", ["zero", "end", "one"], ["i"]),
            node("Cast", ["i"], ["r"], to=TensorProto.FLOAT),
        ),
        [constant("zero", 0), constant("end", 10**13), constant("one", 1)],
    ),
    "Expand": (with_mean_of(node("Expand", ["c", "s"], ["r"])), [constant("s", [10**7, 1, 1, 1, 1, 1])]),
    "Pad": (with_mean_of(node("Pad", ["c", "s"], ["r"])), [constant("s", [0, 0, HUGE, HUGE, 0, 0, 0, 0, 0, 0])]),
    "Resize": (
        with_mean_of(node("Resize", ["c", "", "s"], ["r"])),
        [constant("s", [1, 1, 100, 100, 100], np.float32)],
    ),
    "MatMul": (
        with_mean_of(
            node("Reshape", ["c", "column"], ["left"]),
            node("Reshape", ["c", "row"], ["right"]),
            node("MatMul", ["left", "right"], ["r"]),
        ),
        [constant("column", [-1, 1]), constant("row", [1, -1])],
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_tensor_that_the_size_of_the_model_does_not_explain(tmp_path, kind):
    nodes, weights = BOMBS[kind]
    path = saved(tmp_path, nodes, *weights, shape=("n", 3, 16, 112, 112) if kind == "MatMul" else ("n", 3, 4, 16, 16))
    for attempt in (lambda: list_layers(path), lambda: build_probe(path, tmp_path / "p.onnx", layers=["c"])):
        with pytest.raises(InputError, match=rf"the model takes more than 1\.\d GiB.*\(operator \w*{kind}: "):
            attempt()


def test_a_loop_without_end_is_stopped_once(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0.2)
    with pytest.raises(InputError, match="was stopped after 0 s on a batch of 1 clip"):
        list_layers(endless(tmp_path))


def test_the_budget_grows_with_weights_and_inputs(tmp_path):
    model = saved(tmp_path).read_bytes()
    small, large = open_trial(model, 1), open_trial(model, 10**6)
    assert large.memory - small.memory == trial.MEMORY_PER_BYTE * 4 * trial.CLIPS * (10**6 - 1)
    assert open_trial(model, 10**15).memory == int(trial.SHARE * trial.machine_memory())


def test_the_budget_grows_with_the_batch_that_a_file_fixes_and_with_what_is_returned(tmp_path):
    model = saved(tmp_path).read_bytes()
    usual, fixed, few = (open_trial(model, 1000, batch=batch) for batch in (None, 64, 1))
    assert fixed.memory - usual.memory == trial.MEMORY_PER_BYTE * 4 * (64 - trial.CLIPS) * 1000
    assert few.memory == usual.memory
    assert open_trial(model, 1000, batch=64, returned=500).memory - fixed.memory == 4 * 64 * 500


def test_a_file_fixed_to_many_clips_is_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "MEMORY", 0)
    path = saved(tmp_path, shape=(200, 3, 4, 16, 16))
    with pytest.warns(Note, match=r"runs 200 clip\(s\) at a time"):
        assert build_probe(path, tmp_path / "p.onnx", layers=["c"]).is_file()


MEMORY_OF_A_TRIAL = """
import os, sys
from pathlib import Path

import numpy as np

from sdmetrics.probes.trial import open_trial, run_once

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

opened = open_trial(Path(sys.argv[1]).read_bytes(), 1, fold=False)
run_once(opened, {"x": np.zeros((1, 3, 4, 16, 16), np.float32)}, ["y"])
during = resident()
del opened
print(during - resident())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs Linux's /proc")
def test_a_trial_that_is_over_gives_its_memory_back(tmp_path):
    """In a process of its own: one that has freed much before gives that to the trial, and keeps it afterwards."""
    nodes, _ = BOMBS["ConstantOfShape"]
    model = saved(tmp_path, nodes, constant("s", [1024, 1024, 64]))
    command = [sys.executable, "-c", MEMORY_OF_A_TRIAL, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 200 * 2**20


def test_each_trial_keeps_its_own_budget(tmp_path, monkeypatch):
    nodes, _ = BOMBS["ConstantOfShape"]
    model = saved(tmp_path, nodes, constant("s", [1024, 1024, 16])).read_bytes()
    feeds = {"x": np.zeros((1, 3, 4, 16, 16), np.float32)}
    enough = open_trial(model, 1, fold=False)
    monkeypatch.setattr(trial, "MEMORY", 2**24)
    short = open_trial(model, 1, fold=False)
    assert run_once(enough, feeds, ["y"])["y"].shape == (1, 4, 4, 16, 16)
    with pytest.raises(OverBudget, match=r"takes more than 0\.0 GiB"):
        run_once(short, feeds, ["y"])


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
@pytest.mark.parametrize(
    "shape", [(100_000, 3, 4, 16, 16), (2**62, 3, 4, 16, 16), ("n", 3, 2**31, 16, 16), ("n", 3, 4, 16, 2**62)]
)
def test_an_input_that_is_too_large_is_not_made(tmp_path, shape, monkeypatch):
    monkeypatch.setattr(feeds, "MOST_VALUES", 150_000_000)
    with pytest.raises(InputError, match=r"values; at most 150,000,000 are tried\. Check its frames and size"):
        build_probe(saved(tmp_path, shape=shape), tmp_path / "p.onnx", layers=["c"])


def test_clips_are_counted_before_they_are_drawn(monkeypatch):
    monkeypatch.setattr(feeds, "MOST_VALUES", 150_000_000)
    video = ModelInput("video", frames=8, size=(1080, 1920))
    check_amount([video], 3)
    with pytest.raises(OverBudget, match="reads 4 clip"):
        random_feeds([video], 4)


@pytest.mark.parametrize(("gibibytes", "frames"), [(8, 24), (64, 172)])
def test_what_a_machine_has_memory_for_is_tried(gibibytes, frames):
    """The limit is found as the module is loaded; frames are those of one clip in full HD."""
    pages = {"SC_PHYS_PAGES": gibibytes * 2**18, "SC_PAGE_SIZE": 4096}
    with mock.patch.object(os, "sysconf", pages.get):
        loaded = runpy.run_path(feeds.__file__)
    most = loaded["check_amount"]
    most([ModelInput("video", frames=frames, size=(1080, 1920))], 1)
    with pytest.raises(InputError, match="values; at most"):
        most([ModelInput("video", frames=frames + 1, size=(1080, 1920))], 1)


def test_an_error_names_the_operator_and_its_node(tmp_path):
    nodes = [CONV, helper.make_node("Reshape", ["c", "s"], ["y"], name="fold")]
    path = saved(tmp_path, nodes, constant("s", [7, -1]), shape=("n", 3, "t", 16, 16))
    fed = {"x": np.zeros((1, 3, 4, 16, 16), np.float32)}
    with pytest.raises(InputError, match=r"on a batch of 1 clip\(s\): operator Reshape \(node 'fold'\): ") as caught:
        run_once(open_trial(path.read_bytes(), 1), fed, ["y"])
    assert "onnxruntime_src" not in str(caught.value)


def test_nothing_is_logged_of_what_fails(tmp_path, capfd):
    nodes = [CONV, helper.make_node("Reshape", ["c", "s"], ["y"])]
    path = saved(tmp_path, nodes, constant("s", [7, -1]), shape=("n", 3, "t", 16, 16))
    with pytest.raises(InputError):
        run_once(open_trial(path.read_bytes(), 1), {"x": np.zeros((1, 3, 4, 16, 16), np.float32)}, ["y"])
    assert capfd.readouterr() == ("", "")


def test_outputs_that_are_not_tensors_are_left_out(tmp_path):
    nodes = [*BASE, node("SequenceConstruct", ["c", "y"], ["features"])]
    features = helper.make_tensor_sequence_value_info("features", TensorProto.FLOAT, None)
    path = saved(tmp_path, nodes, outputs=[features])
    with pytest.warns(Note, match="1 output.* left out because they are not tensors: features"):
        assert next(layer.name for layer in list_layers(path)) == "c"
    with pytest.warns(Note, match="features"):
        assert build_probe(path, tmp_path / "p.onnx", layers=["c"]).is_file()


def test_what_leads_to_no_output_is_neither_listed_nor_run(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "MEMORY", 2**24)
    dead = [node("Expand", ["c", "s"], [f"dead{index}"]) for index in range(20)]
    path = saved(tmp_path, [*BASE, *dead], constant("s", [64, 1, 1, 1, 1, 1]))
    assert [layer.name for layer in list_layers(path)] == ["c", "y"]
    assert build_probe(path, tmp_path / "p.onnx", layers=["c"]).is_file()


def test_a_message_of_any_length_is_cut_before_it_is_read():
    assert reason_of(RuntimeError("/" * 10 + "a" * 10**6)) == "/" * 10 + "a" * 290
