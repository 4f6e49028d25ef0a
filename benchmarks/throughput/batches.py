"""Measure how many views a second a model answers, against the batch size, on the device that an analysis would use.

    python -m benchmarks.throughput.batches

On the CPU larger batches gain little, which is why the batch size `auto` is a fixed number there. On CUDA the last
column is the number that `auto` takes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.machine import describe_machine
from benchmarks.moments import seconds
from benchmarks.parity import at_side
from benchmarks.readme import main
from sdmetrics.exporters.catalogue import build_random, export_module, find_architecture
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.runners.batch_size import MOST_VIEWS, VIEWS, batch_size
from sdmetrics.runners.onnxruntime import OnnxRunner

MODELS = ("slowonly_r18_8x8", "videomae_b_16x4")
"""A convolutional model and a transformer."""

BATCHES = (1, VIEWS, 2 * VIEWS, 4 * VIEWS, MOST_VIEWS)


def rates(runner: OnnxRunner, batches: Sequence[int], rounds: int) -> list[float]:
    """Return the views a second in batches of each size: medians of rounds in which the sizes take turns."""
    feeds = [random_feeds(runner.inputs, batch) for batch in batches]
    times: list[list[float]] = [[] for _ in batches]
    for number in range(rounds + 1):
        for taken, fed in zip(times, feeds, strict=True):
            passed = seconds(lambda fed=fed: runner(fed))
            if number:  # the first round warms up
                taken.append(passed)
    return [batch / median(taken) for batch, taken in zip(batches, times, strict=True)]


def table(side: int, rounds: int) -> str:
    """Return a row per model as Markdown."""
    rows, provider = [], ""
    for name in MODELS:
        architecture = at_side(find_architecture(name), side)
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model.onnx"
            exported = export_module(build_random(architecture), architecture, architecture.inputs, model)
            runner = OnnxRunner(build_probe(exported, Path(folder) / "probe.onnx"))
            provider = str(runner.circumstance["provider"])
            measured = " | ".join(f"{rate:.2f}" for rate in rates(runner, BATCHES, rounds))
            rows.append(f"| {name} | {measured} | {batch_size('auto', runner, runner)} |")
    columns = " | ".join(f"batch {batch}" for batch in BATCHES)
    head = f"| views/s | {columns} | `auto` |\n{'|---' * (len(BATCHES) + 2)}|"
    note = f"Frames of {side} × {side} on {provider}; {describe_machine('onnxruntime', 'onnxruntime-gpu')}."
    return "\n".join([head, *rows, "", note])


if __name__ == "__main__":
    main("batches", __doc__, table, side=32, rounds=2)
