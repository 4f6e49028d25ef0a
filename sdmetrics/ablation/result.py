"""Ablation: the effect of removing units, as rows and curves, and as the files `ablation.json` and `ablation.csv`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import replacing
from sdmetrics._shown import html
from sdmetrics._text import printable
from sdmetrics.ablation.plan import BASELINES, Plan, Removal
from sdmetrics.ablation.valid import ABLATION, check_ablation
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.shape import ShapeError
from sdmetrics.analysis.stored import DamagedError, load_document, save_document
from sdmetrics.errors import InputError
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.intervals import jackknife, mean_replicates

SCHEMA = 3
FILE_NAME = "ablation.json"
AGAIN = "repeat `sdmetrics ablate` on the run: finished parts are kept"
ROW_COLUMNS = ("layer", "ranking", "fraction", "seed", "removed", "score", "mean")

Row = dict[str, Any]
Point = tuple[str, str, float]
"""Layer, ranking, fraction."""


@dataclass
class Ablation:
    """The scores of a model without some of its units.

    All intervals, `ci95`, are 95 % delete-one-group jackknife intervals over clips, groups by video, conditional on the
    drawn units; `[None, None]` below five groups. The spread over draws shows how much they matter. Intervals of 0/1
    scores are clipped to [0, 1].

    Parameters
    ----------
    model
        The model's name and the runner's identity: SHA-256, layers with their axes, precision.
    by, seed, repeats
        How units were ranked and drawn.
    clips
        `{"used": n, "looped": n, "skipped": [{"id", "reason"}]}`, see `Results`.
    scores
        Names of the scores; higher is better.
    estimator, threshold
        Those of the run whose scores ranked the units.
    units_sha256
        The digest of these scores, see `Results.units_sha256`.
    layers
        One row per layer: `name`, `units` and `dominant`, the factor that `"least"` avoids.
    ran_on
        Where and how the scores were computed: one row per distinct circumstance, with its number of `shards`.
    rows
        One row per removal and score: `layer`, `ranking` (a factor, `"random"` or `"least"`), `fraction`, `seed`
        (`None` where every draw removes the same units), `removed` units, `score`, and its `mean` over the clips.
    curves
        One row per point of a curve: as above without a seed, with `mean` over the `draws`, their `lowest` and
        `highest`, and `ci95`.
    differences
        Per `layer`, `factor`, `score` and `fraction` above 0 the `difference` that it makes to remove the units most
        biased to the factor instead of as many by the baseline `against`: paired by clip, with its `ci95`; and
        `draws_above`, how many of the baseline's draws, of `repeats`, score higher than without the factor's units.
    overall
        The same, averaged over the fractions.

    Examples
    --------
    >>> import tempfile
    >>> clips = {"used": 0, "looped": 0, "skipped": []}
    >>> nothing = Ablation({}, by="softmax", seed=0, repeats=5, clips=clips, scores=["top-1"])
    >>> with tempfile.TemporaryDirectory() as run:
    ...     Ablation.load(nothing.save(run)) == nothing
    True
    """

    model: dict[str, Any]
    by: str
    seed: int
    repeats: int
    clips: dict[str, Any]
    scores: list[str]
    estimator: str = "pearson"
    threshold: float = 0.5
    units_sha256: str = ""
    layers: list[Row] = field(default_factory=list)
    ran_on: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    curves: list[Row] = field(default_factory=list)
    differences: list[Row] = field(default_factory=list)
    overall: list[Row] = field(default_factory=list)

    def add(self, plan: Plan, values: Floats, groups: NDArray[np.int64]) -> None:
        """Fill in rows, curves and differences.

        Parameters
        ----------
        plan
            What was removed.
        values
            `(clips, masks, scores)`: the scores of every clip under every mask of the plan.
        groups
            `(clips,)`: the group of each clip.
        """
        points: dict[Point, list[Removal]] = {}
        for removal in plan.removals:
            points.setdefault((removal.layer, removal.ranking, removal.fraction), []).append(removal)
        drawn = {point: values[:, [r.mask for r in removals]] for point, removals in points.items()}
        is_share = np.asarray(np.isin(values, (0, 1)).all(axis=(0, 1)))
        for point, removals in points.items():
            self._add_point(point, removals, drawn[point], groups, is_share)
        factors = dict.fromkeys((layer, name) for layer, name, _ in points if name not in BASELINES)
        for (layer, factor), against in product(factors, BASELINES):
            self._add_differences(layer, factor, against, drawn, groups)

    def _add_point(
        self,
        point: Point,
        removals: Sequence[Removal],
        drawn: Floats,
        groups: NDArray[np.int64],
        is_share: NDArray[np.bool_],
    ) -> None:
        """Add the rows and the curves' points of one removal, `drawn` being `(clips, draws, scores)`."""
        place: Row = dict(zip(("layer", "ranking", "fraction"), point, strict=True))
        of_draws = drawn.mean(axis=0)
        for s, (score, mean, ci95) in enumerate(self._means(drawn.mean(axis=1), groups)):
            self.rows += [
                {**place, "seed": r.seed, "removed": r.removed, "score": score, "mean": float(one)}
                for r, one in zip(removals, of_draws[:, s], strict=True)
            ]
            within = [end if end is None or not is_share[s] else min(max(end, 0.0), 1.0) for end in ci95]
            spread = {"lowest": float(of_draws[:, s].min()), "highest": float(of_draws[:, s].max())}
            count = {"removed": removals[0].removed, "draws": len(removals)}
            self.curves.append({**place, **count, "score": score, "mean": mean, **spread, "ci95": within})

    def _add_differences(
        self, layer: str, factor: str, against: str, drawn: Mapping[Point, Floats], groups: NDArray[np.int64]
    ) -> None:
        """Add the differences between a factor and a baseline at every fraction above 0, and their average."""
        fractions = sorted({fraction for _, _, fraction in drawn if fraction > 0})
        # Where all draws agree there is only one: it is repeated, so that each draw is averaged over the fractions.
        whole = len(groups), self.repeats, len(self.scores)
        ours, theirs = (
            np.stack([np.broadcast_to(drawn[layer, ranking, fraction], whole) for fraction in fractions])
            for ranking in (factor, against)
        )
        place: Row = {"layer": layer, "factor": factor, "against": against}
        for fraction, one, other in zip(fractions, ours, theirs, strict=True):
            self.differences += self._compared({**place, "fraction": fraction}, one, other, groups)
        self.overall += self._compared(place, ours.mean(axis=0), theirs.mean(axis=0), groups)

    def _compared(self, place: Row, ours: Floats, theirs: Floats, groups: NDArray[np.int64]) -> list[Row]:
        """Return a row per score: the difference, and how many draws of the baseline are above the factor's mean."""
        our_mean, their_means = ours.mean(axis=(0, 1)), theirs.mean(axis=0)
        above = (their_means > our_mean) & ~np.isclose(their_means, our_mean, rtol=1e-9, atol=0)
        paired = self._means(ours.mean(axis=1) - theirs.mean(axis=1), groups)
        return [
            {**place, "score": score, "difference": mean, "ci95": ci95, "draws_above": int(count)}
            for (score, mean, ci95), count in zip(paired, above.sum(axis=0), strict=True)
        ]

    def _means(self, by_clip: Floats, groups: NDArray[np.int64]) -> list[tuple[str, float, list[float | None]]]:
        """Return for each score its name, mean over the clips, and 95 % interval."""
        replicates = mean_replicates(by_clip, groups)
        ends = np.stack(jackknife(replicates), axis=1).tolist()
        intervals = [[None if math.isnan(end) else end for end in pair] for pair in ends]
        return list(zip(self.scores, replicates[0].tolist(), intervals, strict=True))

    def _repr_html_(self) -> str:
        """Return the curves as tables and charts, for notebooks; it loads nothing from a network."""
        return html(self)

    def save(self, run: str | Path) -> Path:
        """Write `ablation.json` and `ablation.csv` (only the rows) into the folder `run` and return it."""
        run = Path(run)
        with replacing(run / "ablation.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ROW_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        save_document(run / FILE_NAME, SCHEMA, asdict(self))
        return run

    @classmethod
    def load(cls, run: str | Path) -> Ablation:
        """Read the ablation in the folder of a run.

        Raises
        ------
        DamagedError
            If the file is not as it was written.
        InputError
            If the folder has no ablation, or one of another schema.
        """
        path = Path(run) / FILE_NAME
        if not path.exists():
            raise InputError(
                f"{printable(path.parent)} has no {path.name}; create it with: sdmetrics ablate "
                f"{printable(path.parent)}"
            )
        document = load_document(path, SCHEMA, ABLATION, AGAIN)
        try:
            check_ablation(document)
        except ShapeError as error:
            raise DamagedError(f"{printable(path)} is damaged: {printable(error)}; {AGAIN}") from None
        return cls(**document)

    @classmethod
    def of_run(cls, run: str | Path, results: Results) -> Ablation | None:
        """Return the ablation in the folder of a run, if there is one.

        Raises
        ------
        InputError
            As for `load`, and if it ranked the units by other scores than those of the run.
        """
        path = Path(run) / FILE_NAME
        if not path.exists():
            return None
        ablation = cls.load(run)
        if ablation.units_sha256 != results.units_sha256:
            raise InputError(
                f"{printable(path)} ranked units by other scores than those of the run (of another run, or before it "
                f"was measured again); {AGAIN}"
            )
        return ablation
