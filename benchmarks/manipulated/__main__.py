"""Measure what the demo's models, and really trained networks where they are there, keep of manipulated clips.

python -m benchmarks.manipulated [--clips N] [--real FOLDER] [--write docs/manipulations.md]

Where a trained network or the real videos are absent, their table stays as it is in the file; the reason is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sdmetrics as sd
from benchmarks.readme import add_write_option, write_between
from benchmarks.real.tables import table
from benchmarks.real.videos import SETS, list_videos, missing_videos
from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS
from sdmetrics.clips.manipulations.manipulate import MANIPULATIONS
from sdmetrics.demo import demo_model
from sdmetrics.report.words import estimate, known

ROOT = Path(__file__).resolve().parents[2]
REAL = {
    "PhysNet, PURE": ("physnet-pure", None),
    "PhysNet, UBFC-rPPG": ("physnet-ubfc-rppg", None),
    "TransNetV2, published": ("transnetv2-published", "output_0"),
}
"""Exports of `make real`, each with the output that is compared: the pulse, and the score of a cut."""


def main() -> None:
    """Print the tables and, with `--write FILE`, write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=320, help="Number of generated clips.")
    parser.add_argument("--real", type=Path, default=ROOT / "build" / "real", help="Folder that `make real` fills.")
    add_write_option(parser, "manipulated")
    arguments = parser.parse_args()
    text = "\n\n".join(_demo(arguments.clips))
    print(text)
    if arguments.write:
        write_between(arguments.write, "manipulated", text)
    absent = _absent(arguments.real)
    if absent:
        print(f"\nThe table of really trained networks is not measured, and stays as it is: {absent}.")
        return
    text = _real(arguments.real)
    print(f"\n{text}")
    if arguments.write:
        write_between(arguments.write, "manipulated-real", text)


def _demo(clips: int) -> Iterator[str]:
    """Yield a table for each model of the demo."""
    for name, labels in (("motion", MOTIONS), ("appearance", APPEARANCES)):
        with demo_model(name) as path:
            runner = sd.open_model(path, layers=(), provider="cpu")
        classes = {label: index for index, label in enumerate(labels)}
        listed = sd.open_clips(f"world:{clips}", runner)
        found = sd.evaluate(runner, listed, classes, manipulate=MANIPULATIONS, batch=48, progress=False)
        in_order = found.scores["in_order"]["top1"]
        yield (
            f"Trained to classify {name}s, {len(found.clips)} clips of `world:{clips}`; top-1 on the clips as they "
            f"are: {_percent(in_order)} %, chance {100 / len(labels):.1f} %."
        )
        head = ("clips", "top-1, %", "relative to untouched, %", "same prediction, %", "correlation of scores")
        yield table(head, [_row(name, scores) for name, scores in found.manipulated.items()])


def _row(name: str, scores: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    shares = (_percent(scores[score]) for score in ("top1", "top1_ratio", "agreement"))
    return name, *shares, _correlation(scores["correlation"])


def _absent(folder: Path) -> str | None:
    """Return why really trained networks cannot be measured, if they cannot."""
    lacking = [title for title, (file, _) in REAL.items() if not (folder / f"{file}.onnx").is_file()]
    return missing_videos() or (f"{folder}, which `make real` fills, lacks {'; '.join(lacking)}" if lacking else None)


def _real(folder: Path) -> str:
    """Return the table of really trained networks."""
    columns = {}
    for title, (file, output) in REAL.items():
        runner = sd.open_model(folder / f"{file}.onnx", layers=(), provider="cpu")
        clips = sd.open_clips(list_videos(folder, tuple(SETS)), runner)
        found = sd.evaluate(runner, clips, manipulate=MANIPULATIONS, output=output, batch=1, progress=False)
        columns[f"{title}, {len(found.clips)} clips"] = found.manipulated
    rows = [(name, *(_correlation(one[name]["correlation"]) for one in columns.values())) for name in MANIPULATIONS]
    return table(("correlation with untouched", *columns), rows)


def _percent(score: Mapping[str, Any]) -> str:
    bounds = known(score["ci95"])
    value = None if score["value"] is None else 100 * score["value"]
    return estimate(value, bounds and (100 * bounds[0], 100 * bounds[1]), 1)


def _correlation(score: Mapping[str, Any]) -> str:
    return estimate(score["value"], known(score["ci95"]), 2)


if __name__ == "__main__":
    main()
