"""What a step finds, as lines of JSON in a file, so that it outlives the step."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.parity_row import Row

Record = dict[str, Any]

LIMITS = {"float32": 1e-4, "TF32": 5e-3, "float16": 5e-3}
"""How far units may be from the CPU's float32, relative to the largest unit of their layer."""


def read_records(file: Path) -> list[Record]:
    """Return the records of a file; a line that the end of the process cut is left out."""
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def add_record(file: Path, record: Record) -> None:
    """Add a record to a file."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


def left_out(name: str, why: str) -> Record:
    """Return the record of what was not measured."""
    return {"kind": "left out", "what": name, "text": f"not run: {why}"}


def parity_records(row: Row) -> list[Record]:
    """Return the record of a row of the parity table, and another one if the row is out of its limit."""
    precision = row.setting.rsplit(" ", 1)[-1]
    limit = LIMITS[precision]
    records = [{"kind": "parity", "row": asdict(row), "text": str(row)}]
    if not row.largest <= limit:
        text = f"BREACH: {row.model}, {row.setting}: {row.largest:.1e} of the layer's scale; allowed: {limit:.0e}"
        records.append({"kind": "breach", "text": text})
    return records
