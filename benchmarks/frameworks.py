"""Analyse one network with the same weights from four places, and print how far the answers lie apart.

Needs the extras `torch`, `tensorflow` and `jax`. Run from the repository root: `python -m benchmarks.frameworks`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.models.same_weights import BARE, LAYERS, four_files, four_results, largest_difference
from benchmarks.readme import write_between
from sdmetrics.probes.metadata import read_metadata

CLASSES = ("static", "dynamic", "joint", "residual")


def table(clips: int) -> str:
    """Return the table as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        files = four_files(Path(folder))
        versions = [found.framework for file in files.values() if (found := read_metadata(file))]
        results = four_results(files, clips)
    rows = [
        f"| framework | layers | largest difference of a unit's score | classes equal | {' / '.join(CLASSES)} units |",
        "|---|---|---|---|---|",
    ]
    expected = results["PyTorch"]
    labels = [unit["label"] for unit in expected.units]
    for name, found in results.items():
        own = [unit["label"] for unit in found.units]
        same = sum(label == other for label, other in zip(own, labels, strict=True))
        difference = "—" if found is expected else f"{largest_difference(found, expected):.2g}"
        counts = " / ".join(str(Counter(own)[kind]) for kind in CLASSES)
        rows.append(f"| {name} | {len(found.layers)} | {difference} | {same} of {len(own)} | {counts} |")
    setting = f"{clips} generated clips, layers {', '.join(LAYERS)}; {', '.join(versions)}; the {BARE} is PyTorch's."
    return "\n".join([*rows, "", setting])


def main() -> None:
    """Print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--write", type=Path, help="put the table between the markers of this file")
    arguments = parser.parse_args()
    text = table(arguments.clips)
    print(text)
    if arguments.write:
        write_between(arguments.write, "frameworks", text)


if __name__ == "__main__":
    main()
