"""Records kept in the repository: what was measured of the models of the studies that take hours to train.

With them these studies are concluded again, or continued, without training: python -m benchmarks.studies --keep
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdmetrics._files import replacing

KEPT = Path(__file__).resolve().parent / "records.jsonl"
DIGITS = 9
"""Significant digits of what is kept; a percent is printed with three."""


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the records by the keys of their recipes; none if there is no file."""
    if not path.exists():
        return {}
    return dict(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def write(path: Path, records: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the records, a line each, in the order of their keys."""
    lines = [json.dumps([key, shortened(records[key])], separators=(",", ":")) for key in sorted(records)]
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def shortened(value: Any) -> Any:  # noqa: ANN401
    """Return a JSON document whose numbers have no more digits than are kept."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: shortened(inner) for key, inner in value.items()}
    return [shortened(inner) for inner in value] if isinstance(value, list | tuple) else value
