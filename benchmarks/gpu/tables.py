"""The tables of CUDA in the pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.parity_row import HEAD, Row
from benchmarks.gpu.records import Record
from benchmarks.machine import describe_machine
from benchmarks.readme import write_between

PIPELINE = (
    "| model | precision | batch | analysis, views/s | compiled forward, views/s | eager forward, views/s "
    "| analysis over forward |\n|---|---|---|---|---|---|---|"
)


def write_tables(records: Sequence[Record], docs: Path) -> None:
    """Write the rows found so far; a table without a row keeps what it has."""
    machine = describe_machine("onnxruntime", "onnxruntime-gpu", "torch")
    missing = [f"* {record['what']}: {record['text']}" for record in records if record["kind"] == "left out"]
    parity = [str(Row(**record["row"])) for record in records if record["kind"] == "parity"]
    if parity:
        text = "\n".join([HEAD, *parity, "", f"Against the CPU's float32; {machine}.", *missing])
        write_between(docs / "parity.md", "parity-cuda", text)
    rates = {(r["model"], r["precision"], r["batch"]): r for r in records if r["kind"] == "pipeline"}
    speed = [record["text"] for record in records if record["kind"] == "speed"]
    if rates or speed:
        lines = [PIPELINE, *map(pipeline_row, rates.values()), "", *speed, f"{machine}.", *missing]
        write_between(docs / "speed.md", "speed-cuda", "\n".join(lines))


def pipeline_row(record: Record) -> str:
    """Return a row; the ratio is over the compiled forward, or over the eager one where that was not compiled."""
    compiled = record["compiled"]
    forward = compiled or record["eager"]
    shown = f"{compiled:.1f}" if compiled else "–"
    ratio = f"{record['analysis'] / forward:.2f}×" + ("" if compiled else " (eager)")
    return (
        f"| {record['model']} | {record['precision']} | {record['batch']} | {record['analysis']:.1f} | {shown} "
        f"| {record['eager']:.1f} | {ratio} |"
    )
