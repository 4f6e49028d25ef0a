"""Prints the scores of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics.cli.app import console, print_skipped
from sdmetrics.cli.console.manipulations import manipulation_table, percent
from sdmetrics.cli.console.tables import Estimate, clips_in_words, plain_table

if TYPE_CHECKING:
    from sdmetrics.evaluation.class_results import Evaluation
    from sdmetrics.evaluation.segmentation import SegmentationEvaluation

ROWS = {"in_order": "in order", "shuffled": "shuffled", "ratio": "shuffled / in order"}
SEGMENTATION_ROWS = {"miou": "mean IoU", "success_mean": "success, mean"}


def print_scores(name: str, evaluation: Evaluation | SegmentationEvaluation, out: Path | None) -> None:
    """Print the scores of a model with this name, the skipped clips, and where the evaluation is written."""
    from sdmetrics.evaluation.segmentation import SegmentationEvaluation

    if isinstance(evaluation, SegmentationEvaluation):
        rows = [(_segmentation_row(score), percent(value)) for score, value in evaluation.scores.items()]
        _print(name, evaluation, ("score", "%"), rows)
    else:
        by_order = [(ROWS[order], *map(percent, scores.values())) for order, scores in evaluation.scores.items()]
        by_order += _subtracted(evaluation.counterfactual)
        if by_order:
            _print(name, evaluation, ("frames", "top-1 %", "top-5 %"), by_order)
        else:
            console.print(f"{name}: {_counted(evaluation)}", soft_wrap=True)
            print_skipped(evaluation.skipped)
    if evaluation.manipulated:
        console.print(manipulation_table(evaluation.manipulated))
    if not isinstance(evaluation, SegmentationEvaluation):
        console.print(_scored(**evaluation.scored), soft_wrap=True)
    if out:
        console.print(f"evaluation: {out}", soft_wrap=True)


def _print(
    name: str,
    evaluation: Evaluation | SegmentationEvaluation,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Print the scores and the skipped clips."""
    title = f"{name}: {_counted(evaluation)}"
    table = plain_table(title, columns, rows)
    table.min_width = min(len(title), console.width)
    console.print(table)
    print_skipped(evaluation.skipped)


def _counted(evaluation: Evaluation | SegmentationEvaluation) -> str:
    """Return how many clips were used."""
    return clips_in_words(len(evaluation.clips), len(evaluation.skipped), evaluation.looped)


def _subtracted(counterfactual: Mapping[str, Any]) -> list[tuple[str | Estimate, ...]]:
    """Return the rows of the scores from which shuffled predictions are subtracted, and of the gain in points."""
    if not counterfactual:
        return []
    name = f"in order − {counterfactual['alpha']:g} · shuffled"
    return [
        (name, *(percent(counterfactual[top]) for top in ("top1", "top5"))),
        ("gain, points", *(percent(counterfactual["gain"][top]) for top in ("top1", "top5"))),
    ]


def _scored(output: str, classes: int, frames: int, scores: str = "") -> str:
    """Describe the scores that were read."""
    mean = f", mean over {frames} frames" if frames > 1 else ""
    return f"scores: output {output}, {classes} classes{mean}{scores and f', read as {scores}'}"


def _segmentation_row(name: str) -> str:
    """Return the name of a segmentation score."""
    return SEGMENTATION_ROWS.get(name, f"success, IoU > {name.removeprefix('success_')}")
