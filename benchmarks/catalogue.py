"""Export, verify, probe and time every architecture of the catalogue at its full size, one line each.

    python -m benchmarks.catalogue [NAME ...] [--write docs/catalogue.md]

Each row runs in its own process and is saved to a file, so that a failure is one line of the table and an interrupted
run can be resumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import onnx

from benchmarks.machine import describe_machine
from benchmarks.readme import add_write_option, write_between
from sdmetrics.exporters import catalogue
from sdmetrics.exporters._assembly.assemble import MASK_NODE
from sdmetrics.exporters._assembly.finish import LAYER
from sdmetrics.exporters._graph.nodes import rename_uses
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.probes.session import open_session
from sdmetrics.runners.onnxruntime import OnnxRunner

FOLDER = Path("build/catalogue")
HEAD = (
    "| architecture | exported | largest error, batch 1 and 3 | layers | units | export, s | probe over plain |\n"
    "|---|---|---|---|---|---|---|"
)
PAIRS = 5


def measure(name: str) -> dict[str, Any]:
    """Export an architecture with random weights, build its probe, and compare its time with the plain model's."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        model = catalogue.export(name, Path(folder) / "model.onnx")
        seconds = time.perf_counter() - started
        declared = read_metadata(model)
        assert declared is not None
        runner = OnnxRunner(build_probe(model, Path(folder) / "probe.onnx"), provider="cpu")
        plain = open_session(without_layers(onnx.load(model)))
        feeds = random_feeds(runner.inputs, clips=1)
        arrays = prepare(feeds, runner.inputs)
        outputs = list(declared.outputs)
        ratio = paired_ratio(lambda: runner(feeds), lambda: plain.run(outputs, dict(arrays)))
        return {
            "error": declared.export_error,
            "layers": len(declared.layers),
            "units": sum(layer.units or 0 for layer in declared.layers),
            "seconds": seconds,
            "ratio": ratio,
        }


def without_layers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model as it would be exported without this package: without layers as outputs and without masks."""
    kept = [output for output in model.graph.output if not output.name.startswith(LAYER)]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    for node in [node for node in model.graph.node if node.name.startswith(MASK_NODE)]:
        rename_uses(model.graph, node.output[0], node.input[0])
        model.graph.node.remove(node)
    return model


def paired_ratio(one: Callable[[], object], other: Callable[[], object]) -> float:
    """Return the median ratio of times, each pair measured side by side, after a warm-up run."""
    one(), other()
    return median(_seconds(one) / _seconds(other) for _ in range(PAIRS))


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measured(name: str) -> dict[str, Any]:
    """Return the saved results of a row; if there are none, measure them in a separate process first."""
    file = FOLDER / f"{name}.json"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        process = subprocess.run(
            [sys.executable, "-m", "benchmarks.catalogue", "--row", name],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if process.returncode:
            reason = (process.stderr.strip().splitlines() or [f"exit {process.returncode}"])[-1]
            file.write_text(json.dumps({"failed": reason}), encoding="utf-8")
    row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return row


def line(name: str, row: dict[str, Any]) -> str:
    """Return the line of the table for one row."""
    if "failed" in row:
        return f"| {name} | no: {row['failed']} | | | | | |"
    return (
        f"| {name} | yes | {row['error']:.1e} | {row['layers']} | {row['units']} | {row['seconds']:.0f} "
        f"| {row['ratio']:.2f}× |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="Architectures to measure; default: all.")
    parser.add_argument("--row", help="Architecture to measure in this process and save.")
    add_write_option(parser, "catalogue")
    options = parser.parse_args(arguments)
    if options.row:
        (FOLDER / f"{options.row}.json").write_text(json.dumps(measure(options.row)), encoding="utf-8")
        return
    lines = [HEAD]
    for name in options.names or catalogue.ARCHITECTURES:
        lines.append(line(name, measured(name)))
        print(lines[-1], flush=True)
    about = describe_machine("torch", "onnxruntime", "torchvision", "transformers")
    lines.append(f"\nRandom weights, full size; times of one clip, median of {PAIRS} pairs; {about}.")
    if options.write:
        write_between(options.write, "catalogue", "\n".join(lines))


if __name__ == "__main__":
    main()
