"""Measure how far other processors and precisions are from the CPU's float32, per architecture, in units and scores.

    python -m benchmarks.parity x3d_xs timesformer_8x32 model.onnx --write docs/parity.md

takes names in the catalogue, with random weights, and ONNX files. Settings that need CUDA are measured if CUDA loads.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.gpu.parity_row import HEAD, Row
from benchmarks.machine import describe_machine
from benchmarks.readme import add_write_option, write_between
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.errors import InputError
from sdmetrics.exporters._assembly.half import rounded
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.catalogue import build_random, export_module, find_architecture
from sdmetrics.exporters.probe import build_probe
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.runners.onnxruntime import CUDA, OnnxRunner, loadable_providers


@dataclass
class Recorder:
    """A runner that records the units it returned."""

    runner: OnnxRunner
    units: list[Mapping[str, NDArray[np.float32]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the runner has)
        return getattr(self.runner, name)

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[np.float32]]:
        self.units.append(self.runner(feeds))
        return self.units[-1]


def parity(model: Path, clips: int, batch: int = 12) -> list[Row]:
    """Return the rows of one ONNX model, measured on generated clips of the size it reads.

    Raises
    ------
    InputError
        If the model cannot be probed, or is out of the range of float16.
    """
    with tempfile.TemporaryDirectory() as name:
        full = build_probe(model, Path(name) / "full.onnx")
        half = build_probe(model, Path(name) / "half.onnx", half=True)
        reference, *others = _settings(full, half)
        expected, units = _run(reference[1], clips, batch)
        return [_compare(model.stem, setting, expected, units, *_run(other, clips, batch)) for setting, other in others]


def _settings(full: Path, half: Path) -> Iterator[tuple[str, OnnxRunner]]:
    """Yield the settings that are compared; the first is the reference."""
    yield "CPU, float32", OnnxRunner(full, provider="cpu")
    yield "CPU, float16 weights", OnnxRunner(half, provider="cpu")
    yield "CPU, float16 as a GPU stores it", OnnxRunner(rounded(onnx.load(half)).SerializeToString(), provider="cpu")
    if CUDA in loadable_providers():
        yield "CUDA, float32", OnnxRunner(full, provider="cuda")
        yield "CUDA, TF32", OnnxRunner(full, provider="cuda", allow_tf32=True)
        yield "CUDA, float16", OnnxRunner(half, provider="cuda")


def _run(runner: OnnxRunner, clips: int, batch: int) -> tuple[Results, dict[str, NDArray[np.float32]]]:
    """Return the results on generated clips, and the units of every layer for every view."""
    recorder = Recorder(runner)
    frames = max(item.frames for item in runner.inputs)
    height, width = runner.inputs[0].size
    if height != width:
        raise InputError(f"{runner.metadata.name} reads {height} × {width} pixels; generated clips are square")
    results = measure_biases(recorder, world_clips(clips, frames=frames, size=height), batch=batch, progress=False)
    return results, {layer: np.concatenate([units[layer] for units in recorder.units]) for layer in runner.layers}


def _compare(
    model: str,
    setting: str,
    expected: Results,
    expected_units: Mapping[str, NDArray[np.float32]],
    results: Results,
    results_units: Mapping[str, NDArray[np.float32]],
) -> Row:
    """Return how far one setting is from the reference."""
    differences = np.concatenate(
        [np.ravel(np.abs(results_units[k] - units) / (np.abs(units).max() or 1)) for k, units in expected_units.items()]
    )
    layers = list(zip(results.layers, expected.layers, strict=True))
    units = list(zip(results.units, expected.units, strict=True))
    return Row(
        model=model,
        setting=setting,
        largest=float(differences.max()),
        median=float(np.median(differences)),
        layer_score=_largest((a["scores"][f], b["scores"][f]) for a, b in layers for f in FACTORS),
        layer_percent=_largest((a["percent"][f], b["percent"][f]) for a, b in layers for f in FACTORS),
        unit_score=_largest((a[f], b[f]) for a, b in units for f in FACTORS),
        moved=sum(a["label"] != b["label"] for a, b in units),
        dead=sum((a[FACTORS[0]] is None) != (b[FACTORS[0]] is None) for a, b in units),
        units=len(units),
    )


def _largest(pairs: Iterable[tuple[float | None, float | None]]) -> float:
    """Return the largest difference between values that both sides have."""
    return max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0)


def at_side(architecture: Architecture, side: int | None) -> Architecture:
    """Return an architecture that reads smaller frames, or the same one."""
    if side is None:
        return architecture
    inputs = tuple(dataclasses.replace(item, size=(side, side)) for item in architecture.inputs)
    return dataclasses.replace(architecture, inputs=inputs)


def export_row(name: str, side: int | None, folder: Path) -> Path:
    """Export a row of the catalogue, and return the ONNX file; return `name` itself if it is a file."""
    if name.endswith(".onnx"):
        return Path(name)
    row = at_side(find_architecture(name), side)
    path = folder / (f"{name} at {side}².onnx" if side else f"{name}.onnx")
    return export_module(build_random(row), row, row.inputs, path)


def table(rows: Sequence[Row], failed: Sequence[str], clips: int) -> str:
    """Return the rows as Markdown, and what is missing and why."""
    notes = [
        f"Largest over {clips} generated clips, against the CPU's float32; "
        f"{describe_machine('onnxruntime', 'onnxruntime-gpu', 'torch')}."
    ]
    if not any(row.setting.startswith("CUDA") for row in rows):
        notes.append("There are no rows for CUDA: it does not load on this machine.")
    return "\n".join([HEAD, *map(str, rows), "", *notes, *(f"* {reason}" for reason in failed)])


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="names in the catalogue, or ONNX files")
    parser.add_argument("--clips", type=int, default=60, help="number of generated clips")
    parser.add_argument("--side", type=int, help="height and width of the frames, instead of the catalogue's")
    add_write_option(parser, "parity")
    arguments = parser.parse_args()
    rows: list[Row] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            try:
                rows += parity(export_row(name, arguments.side, Path(folder)), arguments.clips)
            except InputError as error:
                failed.append(f"{Path(name).stem}: {error}")
            text = table(rows, failed, arguments.clips)
            # Written after every model: one that needs more memory than there is ends the process.
            if arguments.write:
                write_between(arguments.write, "parity", text)
    print(text)


if __name__ == "__main__":
    main()
