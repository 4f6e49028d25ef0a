"""Count the clips that the demo's models need until the percents of their layers are sure.

python -m benchmarks.throughput.clips_needed --write README.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.readme import write_between
from sdmetrics.analysis.measure import prepare
from sdmetrics.analysis.resume import resumed
from sdmetrics.analysis.total import Total
from sdmetrics.analysis.until import LEAST_ROUNDS, WIDENING, ends_of_rounds
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.demo import demo_model
from sdmetrics.loading.open import open_model

POINTS = (3.0, 2.0, 1.0)
ALL = "all layers"


def half_widths(name: str, clips: int) -> list[tuple[int, dict[str, float]]]:
    """Return the clips and half of each layer's widest interval, after each round that may be the last."""
    with demo_model(name) as path:
        runner = open_model(path, provider="cpu")
    prepared = prepare(runner, world_clips(clips), batch=48)
    total, seen = Total(), []
    shards = resumed(prepared.work, prepared.pieces, None, progress=False)
    for (piece, shard), ends in zip(shards, ends_of_rounds(prepared.pieces), strict=True):
        total.add(piece.group, shard)
        if ends and piece.index + 1 >= LEAST_ROUNDS:
            widths = {}
            for layer in runner.layers:
                row, _ = total.rows(layer, "pearson", 0.5)
                widths[layer] = WIDENING * max(high - low for low, high in row["ci95"]["percent"].values()) / 2
            seen.append((total.used, {**widths, ALL: max(widths.values())}))
    return seen


def needed(clips: int) -> dict[str, dict[str, list[str]]]:
    """Return by model and layer the clips that are needed for each number of points."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in ("appearance", "motion"):
        seen = half_widths(name, clips)
        found[name] = {
            layer: [next((str(used) for used, of in seen if of[layer] <= points), f"> {clips}") for points in POINTS]
            for layer in seen[0][1]
        }
    return found


def tables(clips: int) -> tuple[str, str]:
    """Return the table of whole models, and that of all layers, as Markdown."""
    points, rule = " | ".join(f"± {points:g}" for points in POINTS), "---|" * len(POINTS)
    whole = [f"| clips needed for | {points} points |", f"|---|{rule}"]
    layers = [f"| model | layer | {points} |", f"|---|---|{rule}"]
    for name, rows in needed(clips).items():
        whole.append(f"| the model of {name} | {' | '.join(rows[ALL])} |")
        layers += [f"| {name} | {layer} | {' | '.join(counts)} |" for layer, counts in rows.items()]
    return "\n".join(whole), "\n".join(
        [*layers, "", f"Up to {clips} generated clips, in rounds, at least {LEAST_ROUNDS}."]
    )


def main() -> None:
    """Print both tables and, if asked for, write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=2000, help="Number of clips; default: 2000.")
    parser.add_argument("--write", action="store_true", help="Write README.md and docs/coverage.md.")
    arguments = parser.parse_args()
    whole, layers = tables(arguments.clips)
    print(f"{whole}\n\n{layers}")
    if arguments.write:
        write_between(Path("README.md"), "clips needed", whole)
        write_between(Path("docs/coverage.md"), "clips needed", layers)


if __name__ == "__main__":
    main()
