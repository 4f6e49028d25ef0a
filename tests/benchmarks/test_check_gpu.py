"""`make check-gpu` without a card, and with what a card would give in its place."""

import json
import sys

import pytest
import torch

from benchmarks.gpu import __main__ as check
from benchmarks.gpu import pipeline, steps
from benchmarks.gpu.parity_row import Row
from benchmarks.gpu.records import add_record, left_out, parity_records, read_records
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners import onnxruntime as module


def row(setting, largest):
    return Row("x3d", setting, largest, 0, 0, 0, 0, 0, 0, 384)


@pytest.fixture
def docs(tmp_path):
    for page in ("parity", "speed"):
        (tmp_path / f"{page}.md").write_text(f"a\n<!-- {page}-cuda: begin -->\nolder\n<!-- {page}-cuda: end -->\nb\n")
    return tmp_path


def test_where_there_is_no_card_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(check, "graphics_card", lambda: "no GPU")
    assert check.main([]) == 0
    assert capsys.readouterr().out == (
        "check-gpu: there is no NVIDIA card here (nvidia-smi shows none), so nothing was checked\n"
    )


@pytest.mark.parametrize(("largest", "code"), [(9e-5, 0), (2e-4, 1), (float("nan"), 1)])
def test_a_breach_of_parity_is_the_exit_code_and_tables_are_written(monkeypatch, capsys, docs, largest, code):
    rates = {"kind": "pipeline", "model": "slow", "precision": "float16", "batch": 8, "text": "…"}
    found = {
        "torch-parity": parity_records(row("CUDA, torch, float32", largest)),
        "slowfast": [
            {**rates, "analysis": 90.0, "eager": 95.0, "compiled": None},
            {**rates, "analysis": 90.0, "eager": 95.0, "compiled": 100.0},
            {**rates, "batch": 1, "analysis": 9.0, "eager": 10.0, "compiled": None},
        ],
        "speed": [left_out("ONNX Runtime's speed", "onnxruntime-gpu is not installed")],
    }
    monkeypatch.setattr(check, "graphics_card", lambda: "NVIDIA T4")
    monkeypatch.setattr(check, "run_step", lambda name, *_: found.get(name, []))
    assert check.main(["--docs", str(docs)]) == code
    printed = capsys.readouterr().out
    assert ("BREACH: x3d, CUDA, torch, float32" in printed) == bool(code)
    assert "speed: not run: onnxruntime-gpu is not installed" in printed
    parity, speed = ((docs / f"{page}.md").read_text() for page in ("parity", "speed"))
    assert "| x3d | CUDA, torch, float32 |" in parity
    assert "| slow | float16 | 8 | 90.0 | 100.0 | 95.0 | 0.90× |" in speed
    assert "| slow | float16 | 1 | 9.0 | – | 10.0 | 0.90× (eager) |" in speed
    assert "* ONNX Runtime's speed: not run: onnxruntime-gpu is not installed" in speed
    assert "older" not in parity + speed


def test_half_precision_may_differ_more():
    kinds = [[r["kind"] for r in parity_records(row(f"ONNX, CUDA, {p}", 2e-3))] for p in ("float32", "TF32", "float16")]
    assert kinds == [["parity", "breach"], ["parity"], ["parity"]]


WORKER = """
import sys, time
with open(sys.argv[2], "a") as file:
    file.write('{"kind": "speed", "text": "first"}\\n{"kind": "cut')
{end}
"""


@pytest.mark.parametrize(
    ("end", "why"), [("time.sleep(60)", "the rest: 5 seconds were over"), ("raise OSError('no driver')", "no driver")]
)
def test_a_step_that_hangs_or_fails_keeps_what_it_found(end, why):
    command = (sys.executable, "-c", WORKER.replace("{end}", end))
    first, rest = check.run_step("speed", 5, ["json"], command)
    assert first["text"] == "first"
    assert (rest["kind"], why in rest["text"]) == ("left out", True)


def test_what_is_not_installed_or_has_no_time_is_not_started():
    assert (
        check.run_step("speed", 60, ["json", "no_such_package"])[0]["text"] == "not run: no_such_package not installed"
    )
    assert check.run_step("speed", 1, ["json"])[0]["text"] == "not run: no time is left"


def test_without_the_gpu_build_onnx_runtime_is_left_out(monkeypatch):
    found = []
    monkeypatch.setattr(module, "available_providers", lambda: [module.CPU])
    steps.onnx_parity(found.append)
    steps.speed(found.append)
    assert [record["text"] for record in found] == ["not run: onnxruntime-gpu is not installed"] * 2
    monkeypatch.setattr(module, "available_providers", lambda: [module.CUDA, module.CPU])
    monkeypatch.setattr(module, "loadable_providers", lambda: [module.CPU])
    assert "does not load CUDA or cuDNN" in steps.without_onnx_on_cuda()


def test_records_are_json(tmp_path):
    add_record(tmp_path / "file", {"kind": "speed", "text": "é"})
    assert read_records(tmp_path / "file") == [{"kind": "speed", "text": "é"}]
    assert json.loads((tmp_path / "file").read_text())["text"] == "é"


def test_the_pipeline_is_measured_first_without_the_compiled_forward(monkeypatch):
    monkeypatch.setattr(pipeline, "BATCHES", (4,))
    found = []
    video = ModelInput("video", frames=2, stride=1, size=(8, 8))

    def build():
        return torch.nn.Sequential(torch.nn.Conv3d(3, 4, 1))

    pipeline.measure("small", build, [video], ["0"], found.append, "cpu", clips=4, backend="eager")
    assert [(record["precision"], bool(record["compiled"])) for record in found] == [
        ("float32", False),
        ("float16", False),
        ("float32", True),
        ("float16", True),
    ]
    found.clear()
    pipeline.measure("small", build, [video], ["0"], found.append, "cpu", clips=4, backend="no such backend")
    assert [record["kind"] for record in found] == ["pipeline", "pipeline", "left out"]
