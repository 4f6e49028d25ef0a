"""The outcomes of an evaluation beside a run (`analyze --evaluate`), clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._reading import read_json
from sdmetrics._text import printable
from sdmetrics.analysis.results import Results
from sdmetrics.errors import InputError
from sdmetrics.evaluation.class_results import FILE, SCHEMA
from sdmetrics.evaluation.ranks import TOPS as BY_NAME
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import mean_replicates

TOPS = tuple(BY_NAME)


@dataclass(frozen=True)
class AccuracyRows:
    """Which clips are right: `in_order` and `shuffled` are bool, `(clips, 2)`, for top-1 and top-5.

    `shuffled` is `None` where no frames were shuffled; the rows are in the order of `ids`.
    """

    where: str
    seed: object
    ids: Sequence[str]
    videos: Sequence[str]
    in_order: NDArray[np.bool_]
    shuffled: NDArray[np.bool_] | None

    def replicates(self, name: str) -> Floats:
        """Return the replicates of `top1`, `top5` or `shuffle` in percent: of all clips, then without each group."""
        groups = np.array([group_of(video) for video in self.videos])
        if name in TOPS:
            return 100 * mean_replicates(self.in_order[:, TOPS.index(name)], groups)
        if self.shuffled is None:
            raise InputError(
                f"evaluation.{name} is not known: no frames were shuffled for {self.where}. Evaluate again with "
                "analyze --evaluate"
            )
        return 100 * mean_replicates(self.in_order[:, 0].astype(float) - self.shuffled[:, 0], groups)


def accuracy_rows(results: Results) -> AccuracyRows:
    """Return the outcomes that are stored with a run.

    Raises
    ------
    InputError
        If there are none, or they are not what `analyze --evaluate` writes.
    """
    folder = results.folder
    if folder is None or not (folder / FILE).exists():
        where = printable(folder) if folder else "a run that is in no folder"
        raise InputError(
            f"{where} has no {FILE}, which limits on evaluation.… need; write it with sdmetrics analyze --evaluate"
        )
    path = folder / FILE
    document = read_json(path)
    try:
        if not isinstance(document, dict) or document["schema"] != SCHEMA:
            raise ValueError
        evaluated, analyzed = document["model"].get("model_sha256"), results.model.get("model_sha256")
        rows = sorted(document["clips"], key=lambda row: str(row["id"]))
        shuffled = _right(rows, "shuffled") if rows and "shuffled" in rows[0] else None
        ids, videos = ([_text(row[key]) for row in rows] for key in ("id", "video"))
        if not rows or len(set(ids)) < len(ids):
            raise ValueError
        found = AccuracyRows(printable(path), document["seed"], ids, videos, _right(rows, "in_order"), shuffled)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(
            f"{printable(path)} has no outcomes of labelled clips as this version writes them; write it again with "
            "sdmetrics analyze --evaluate"
        ) from None
    if evaluated != analyzed:
        raise InputError(
            f"{found.where} is of another model than the run beside it; write it again with "
            "sdmetrics analyze --evaluate"
        )
    return found


def unpaired_rows_reason(one: AccuracyRows, other: AccuracyRows, name: str) -> str:
    """Return why two evaluations cannot be compared clip by clip; an empty text if they can."""
    if one.ids != other.ids or one.videos != other.videos:
        return "other clips"
    return "other seeds" if name == "shuffle" and one.seed != other.seed else ""


def _right(rows: Sequence[dict[str, Any]], order: str) -> NDArray[np.bool_]:
    """Return whether each clip is right in an order of its frames."""
    right = [[row[order][top] for top in TOPS] for row in rows]
    if any(type(value) is not bool for of_clip in right for value in of_clip):
        raise ValueError
    return np.array(right)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value
