"""Compare whole probes with the framework's own forward, compiled and eager, in clips per second on the same device.

    python -m benchmarks.speed x3d_m timesformer_8x32 --batch 1 8 --half

takes names of the catalogue, with random weights. The probe reads frames as bytes in memory and returns the pooled
units of all layers as arrays in memory. The framework reads inputs that are already scaled and on its device, pools no
layer and leaves its output on the device. TF32 is off for all.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from benchmarks.machine import describe_machine
from benchmarks.moments import seconds
from benchmarks.parity import at_side
from sdmetrics.exporters.catalogue import build_random, export_module, find_architecture
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.runners.onnxruntime import CUDA, OnnxRunner, loadable_providers
from sdmetrics.runners.torch_precision import computing

if TYPE_CHECKING:
    from torch import nn

    from sdmetrics.exporters.architectures.architecture import Architecture

Contenders = Mapping[str, Callable[[], object]]

COMPILED = "compiled forward"


@dataclass(frozen=True)
class Row:
    """Clips per second of each contender, and the probe's over the compiled forward's in the same precision."""

    model: str
    precision: str
    batch: int
    rates: Mapping[str, float]
    ratio: float

    def __str__(self) -> str:
        rates = " | ".join(f"{rate:.1f}" for rate in self.rates.values())
        return f"| {self.model} | {self.precision} | {self.batch} | {rates} | {self.ratio:.2f}× |"


def measure(contenders: Contenders, batch: int, rounds: int) -> tuple[dict[str, float], float]:
    """Return clips per second of each, and the first one's speed over that of the compiled forward.

    The contenders take turns. A rate is the median over the rounds; the ratio is the median of the rounds' ratios.
    """
    for run in contenders.values():
        run()
        run()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            times[name].append(seconds(run))
    first = next(iter(contenders))
    rates = {name: batch / median(values) for name, values in times.items()}
    return rates, median(b / a for a, b in zip(times[first], times[COMPILED], strict=True))


def line_up(module: nn.Module, runner: OnnxRunner, batch: int, half: bool, backend: str = "inductor") -> Contenders:
    """Return functions that run a batch: the probe, the compiled module, the module; all on the probe's device."""
    feeds = random_feeds(runner.inputs, batch)
    device = runner.circumstance["provider"]
    dtype = torch.float16 if half else torch.float32
    module = module.to(device, dtype)
    compiled = torch.compile(module, backend=backend)
    tensors = [torch.from_numpy(array).to(device, dtype) for array in prepare(feeds, runner.inputs).values()]

    def forward(model: Callable[..., object]) -> Callable[[], object]:
        def run() -> object:
            with computing(torch.device(device), None), torch.inference_mode():
                output = model(*tensors)
                if device == "cuda":
                    torch.cuda.synchronize()
            return output

        return run

    return {"probe": lambda: runner(feeds), COMPILED: forward(compiled), "eager forward": forward(module)}


def speed(architecture: Architecture, batches: Sequence[int], halves: Sequence[bool], rounds: int) -> list[Row]:
    """Return the rows of an architecture: one per precision and batch."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        exported = export_module(
            build_random(architecture), architecture, architecture.inputs, Path(name) / f"{architecture.name}.onnx"
        )
        for half in halves:
            runner = OnnxRunner(build_probe(exported, Path(name) / "probe.onnx", half=half))
            for batch in batches:
                torch.compiler.reset()
                contenders = line_up(build_random(architecture), runner, batch, half)
                rates, ratio = measure(contenders, batch, rounds)
                rows.append(Row(architecture.name, "float16" if half else "float32", batch, rates, ratio))
    return rows


def table(rows: Sequence[Row], rounds: int) -> str:
    """Return the rows as Markdown, with the machine they were measured on."""
    names = list(rows[0].rates)
    columns = ["model", "precision", "batch", *(f"{name}, clips/s" for name in names), "probe over compiled"]
    device = "CUDA" if CUDA in loadable_providers() else "the CPU"
    note = (
        f"Medians of {rounds} rounds side by side on {device}; "
        f"{describe_machine('onnxruntime', 'onnxruntime-gpu', 'torch')}."
    )
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *map(str, rows), "", note])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="names in the catalogue")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="batch sizes, in clips")
    parser.add_argument("--half", action="store_true", help="measure in float16 too, which is meant for GPUs")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each, taken in turn")
    parser.add_argument("--side", type=int, help="height and width of the frames, instead of the catalogue's")
    arguments = parser.parse_args()
    halves = [False, True] if arguments.half else [False]
    rows: list[Row] = []
    for name in arguments.models:
        rows += speed(at_side(find_architecture(name), arguments.side), arguments.batch, halves, arguments.rounds)
    print(table(rows, arguments.rounds))


if __name__ == "__main__":
    main()
