"""Analyze one network with the same weights from four sources, and print how far the results differ.

Needs the extras `torch`, `tensorflow` and `jax`. Run from the repository root: `python -m benchmarks.frameworks`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.models.same_weights import BARE, LAYERS, four_files, four_results, largest_difference
from benchmarks.readme import main
from sdmetrics.probes.metadata import read_metadata

CLASSES = ("static", "dynamic", "joint", "residual")
"""In the order in which the table lists them."""


def table(clips: int) -> str:
    """Return the table as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        files = four_files(Path(folder))
        versions = [metadata.framework for file in files.values() if (metadata := read_metadata(file))]
        results = four_results(files, clips)
    rows = [
        f"| framework | layers | largest difference of a unit's score | classes equal | {' / '.join(CLASSES)} units |",
        "|---|---|---|---|---|",
    ]
    expected = results["PyTorch"]
    labels = [unit["label"] for unit in expected.units]
    for name, result in results.items():
        own = [unit["label"] for unit in result.units]
        same = sum(label == other for label, other in zip(own, labels, strict=True))
        difference = "—" if result is expected else f"{largest_difference(result, expected):.2g}"
        counts = " / ".join(str(Counter(own)[kind]) for kind in CLASSES)
        rows.append(f"| {name} | {len(result.layers)} | {difference} | {same} of {len(own)} | {counts} |")
    setting = f"{clips} generated clips, layers {', '.join(LAYERS)}; {', '.join(versions)}; the {BARE} is PyTorch's."
    return "\n".join([*rows, "", setting])


if __name__ == "__main__":
    main("frameworks", __doc__, table, clips=60)
