"""The steps, each run as `python -m benchmarks.gpu.steps NAME FILE`: it adds what it finds to the file."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.gpu.records import add_record, left_out, parity_records

PARITY = ("x3d_xs", "slowfast_r18_4x16")
CUDA_TESTS = ("tests/torch/training/test_cuda.py", "tests/torch/training/test_cuda_training.py")
CLIPS = 40
Found = Callable[[dict[str, object]], None]


def torch_parity(found: Found) -> None:
    """Compare a live module on the card with itself on the CPU."""
    import torch

    from benchmarks.models.vit import video_transformer
    from benchmarks.parity import _compare, _run, at_side
    from sdmetrics.exporters.catalogue import build_random, find_architecture
    from sdmetrics.probes.inputs import ModelInput
    from sdmetrics.runners.torch import TorchRunner

    small = ModelInput("video", frames=4, stride=1, size=(64, 64))
    cases = {"transformer, 2 blocks": (lambda: video_transformer(2, 128, small), (small,), ["blocks.0", "blocks.1"])}
    for name in PARITY:
        row = at_side(find_architecture(name), 64)
        cases[f"{name} at 64²"] = (lambda row=row: build_random(row).eval(), row.inputs, list(row.layers.values()))
    for name, (build, inputs, layers) in cases.items():
        expected = _run(TorchRunner(build(), inputs, layers), CLIPS, 12)
        for precision, allowed in (("float32", "highest"), ("float32", "high"), ("float16", "highest")):
            torch.set_float32_matmul_precision(allowed)
            module = build().half() if precision == "float16" else build()
            # A live module is not rounded to TF32 where the process allows it.
            setting = f"CUDA, torch{', TF32 allowed' if allowed == 'high' else ''}, {precision}"
            row = _compare(name, setting, *expected, *_run(TorchRunner(module, inputs, layers, "cuda"), CLIPS, 12))
            for record in parity_records(row):
                found(record)


def onnx_parity(found: Found) -> None:
    """Compare probes on the card with themselves on the CPU."""
    from benchmarks.parity import export_row, parity
    from sdmetrics.demo import demo_model

    if why := without_onnx_on_cuda():
        found(left_out("ONNX Runtime's parity", why))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("motion", "appearance", "x3d_xs"):
            if name == "x3d_xs":
                rows = parity(export_row(name, 64, Path(folder)), CLIPS)
            else:
                with demo_model(name) as path:
                    rows = parity(path, CLIPS)
            for row in rows:
                if row.setting.startswith("CUDA"):
                    for record in parity_records(dataclasses.replace(row, setting=f"ONNX, {row.setting}")):
                        found(record)


def without_onnx_on_cuda() -> str:
    """Return why ONNX Runtime does not run on CUDA here, or nothing if it does."""
    from sdmetrics.runners.onnxruntime import CUDA, available_providers, loadable_providers

    if CUDA not in available_providers():
        return "onnxruntime-gpu is not installed"
    return "" if CUDA in loadable_providers() else "onnxruntime-gpu does not load CUDA or cuDNN here"


def training(found: Found) -> None:
    """Run the tests of training on the card: StaticDropout, the tracker, GradScaler, NCCL, torch.compile."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", *CUDA_TESTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    summary = lines[-1] if lines else done.stderr[-300:]
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            found({"kind": "breach", "text": f"BREACH: {line}"})
    if done.returncode and not any(line.startswith(("FAILED", "ERROR")) for line in lines):
        found(left_out("training", summary))
    else:
        found({"kind": "tests", "text": f"training: {summary}"})


def speed(found: Found) -> None:
    """Compare whole probes with the framework's forward."""
    from benchmarks.speed import speed as measured
    from sdmetrics.exporters.catalogue import find_architecture

    if why := without_onnx_on_cuda():
        found(left_out("ONNX Runtime's speed", why))
        return
    for row in measured(find_architecture("x3d_m"), [8], [False, True], rounds=5):
        found({"kind": "speed", "text": str(row)})


def slowfast(found: Found) -> None:
    """Measure the pipeline with SlowFast-R50."""
    from benchmarks.gpu.pipeline import measure
    from sdmetrics.exporters.catalogue import build_random, find_architecture

    row = find_architecture("slowfast_r50_8x8")
    measure(row.name, lambda: build_random(row).eval(), row.inputs, list(row.layers.values()), found)


def videomae(found: Found) -> None:
    """Measure the pipeline with a transformer of VideoMAE-B's size."""
    from benchmarks.gpu.pipeline import measure
    from benchmarks.models.vit import INPUT, video_transformer

    measure("size of VideoMAE-B", video_transformer, (INPUT,), [f"blocks.{block}" for block in range(12)], found)


STEPS = {
    "torch-parity": torch_parity,
    "onnx-parity": onnx_parity,
    "training": training,
    "slowfast": slowfast,
    "videomae": videomae,
    "speed": speed,
}

if __name__ == "__main__":
    name, path = sys.argv[1:]
    STEPS[name](lambda record: add_record(Path(path), record))
