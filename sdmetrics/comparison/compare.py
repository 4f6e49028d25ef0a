"""compare(): runs side by side, of checkpoints of one training (paper, Sec. 4.3) or of different models."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdmetrics._files import replacing
from sdmetrics._shown import html
from sdmetrics.analysis.results import Results
from sdmetrics.comparison.cautions import warnings
from sdmetrics.comparison.paired import Groups, difference, load_groups, unpaired_reason
from sdmetrics.comparison.scalars import scalars_by_step
from sdmetrics.comparison.step_folders import step_folders
from sdmetrics.errors import InputError
from sdmetrics.loggers.log import as_log, write_to_logs
from sdmetrics.metrics.classes import COUNTS, FACTORS

Row = dict[str, Any]
Run = Results | str | Path | Mapping[int, Results | str | Path]
"""A run or its folder, or several by their steps in one training; a folder may hold a `BiasTracker`'s steps."""


@dataclass(frozen=True)
class Point:
    """A run of a comparison; `step` is its step in a training, if any, and `folder` where it is stored, if it is."""

    run: str
    step: int | None
    results: Results
    folder: Path | None

    @property
    def name(self) -> str:
        """The name in tables."""
        return self.run if self.step is None else f"{self.run}, step {self.step}"


@dataclass(frozen=True)
class Comparison:
    """Runs side by side, with their differences.

    Attributes
    ----------
    series : dict
        The points of each run, by the name of the run, in the order of their steps. A run without steps is one point.
    rows : list of dict
        One row per point and layer: `run`, `step`, `layer`, `depth` (0 first layer, 1 last) and `layer_values`.
    differences : list of dict
        One row per two points and pair of their layers: `from`, `to`, `from_layer`, `to_layer`; by how much
        `score_FACTOR`, `percent_FACTOR` (with `_low` and `_high`, 95 %) and `share_CLASS` (percent of units) are
        higher in the second; `intervals`, empty or why there are none.
    warnings : list of str
        The settings in which the runs differ, and what that means for comparing them.
    """

    series: dict[str, tuple[Point, ...]]
    rows: list[Row]
    differences: list[Row]
    warnings: list[str]

    @property
    def finals(self) -> dict[str, Results]:
        """The last point of each run."""
        return {name: points[-1].results for name, points in self.series.items()}

    @property
    def trained(self) -> dict[str, tuple[Point, ...]]:
        """The runs with several points."""
        return {name: points for name, points in self.series.items() if len(points) > 1}

    def _repr_html_(self) -> str:
        """Return the rows and the charts, for notebooks; it loads nothing from a network."""
        return html(self)

    def save_csv(self, path: str | Path) -> Path:
        """Write the rows to a CSV file; undefined is empty."""
        path = Path(path)
        lossless = "backslashreplace"  # a folder's name may have bytes that are not UTF-8
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8", errors=lossless) as file:
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        return path

    def write(self, log: object, *more: object, page: str | Path | None = None) -> None:
        """Write the numbers of all points to experiment trackers, each at its step.

        Names are those of `scalars`, e.g. `static/LAYER`; those of several runs begin with the run's name. A run
        without steps is written at step 0. Where a tracker stores artifacts, it also gets the rows as a CSV file.

        Parameters
        ----------
        log, *more
            A `SummaryWriter`, a run of wandb, MLflow or trackio, or another log: see `sdmetrics.loggers.log.as_log`.
        page
            A page that `sdmetrics.report.comparison.write_comparison` wrote, to be stored with the rows.

        Raises
        ------
        InputError
            If a log cannot be written to, or the page does not exist.
        """
        logs = [as_log(each) for each in (log, *more)]
        if page is not None and not Path(page).is_file():
            raise InputError(f"{page} does not exist; write it first: sdmetrics.report.comparison.write_comparison")
        runs = {name: [(point.step, point.results) for point in points] for name, points in self.series.items()}
        with tempfile.TemporaryDirectory() as folder:
            rows = self.save_csv(Path(folder) / "rows.csv")
            write_to_logs(logs, scalars_by_step(runs), [rows] if page is None else [rows, Path(page)])


def compare(runs: Mapping[str, Run]) -> Comparison:
    """Compare runs.

    Differences are computed between the first and the last step of each training, and between the last points of the
    first run and of each other run. Layers are matched by name, else by relative depth; the last layers are always
    compared. If both runs are on disk and used the same clips and seed, intervals are paired.

    Parameters
    ----------
    runs
        The runs, by their names in the comparison.

    Raises
    ------
    InputError
        If there are no runs, a run is not one, a run has no layers, or a folder has neither a run nor steps.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> from sdmetrics.analysis.measure import measure_biases
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.open import open_model
    >>> runs = {}
    >>> for name in ("motion", "appearance"):
    ...     with demo_model(name) as path:
    ...         runs[name] = measure_biases(open_model(path, provider="cpu"), world_clips(30), batch=45)
    >>> comparison = compare(runs)
    >>> last = comparison.differences[-1]
    >>> last["from"], last["to"], last["to_layer"], last["percent_static"] > 0, last["intervals"]
    ('motion', 'appearance', 'stage4', True, 'motion was not read from a folder')
    """
    if not isinstance(runs, Mapping):
        raise InputError(f"runs is a {type(runs).__name__}; expected runs by name, e.g. {{'a': RUN, 'b': RUN}}")
    if not runs:
        raise InputError("there are no runs; pass at least one")
    series = {name: tuple(_points(name, run)) for name, run in runs.items()}
    points = [point for of_run in series.values() for point in of_run]
    for point in points:
        if not point.results.layers:
            raise InputError(f"run {point.name!r} has no layers; analyze the model again")
    read = _Reader()
    first = next(iter(series.values()))[-1]
    ends = [(of_run[0], of_run[-1]) for of_run in series.values() if len(of_run) > 1]
    ends += [(first, of_run[-1]) for of_run in series.values() if of_run[-1] is not first]
    return Comparison(
        series=series,
        rows=[row for point in points for row in _rows(point)],
        differences=[row for one, other in ends for row in _differences(one, other, read)],
        warnings=warnings({point.name: point.results for point in points}),
    )


def layer_values(layer: Mapping[str, Any]) -> Row:
    """Return the numbers of a layer's row side by side, ready for a data frame.

    `units`; `score_FACTOR` and `percent_FACTOR` (Eq. 1), each with the ends of its 95 % interval, `_low` and `_high`;
    and the counts of Eq. 3, `units_CLASS`. Undefined is `None`.

    Examples
    --------
    >>> layer = {"units": 4, "scores": {"dynamic": 0.1, "static": 0.9}, "percent": {"dynamic": 18.0, "static": 39.0},
    ...          "ci95": {}, "counts": {"dynamic": 0, "static": 3, "joint": 0, "residual": 1, "dead": 0}}
    >>> layer_values(layer)["percent_static"], layer_values(layer)["units_static"]
    (39.0, 3)
    """
    values: Row = {"units": layer["units"]}
    for quantity, name in (("scores", "score"), ("percent", "percent")):
        for factor in FACTORS:
            low, high = layer["ci95"].get(quantity, {}).get(factor, (None, None))
            values |= {
                f"{name}_{factor}": layer[quantity][factor],
                f"{name}_{factor}_low": low,
                f"{name}_{factor}_high": high,
            }
    return values | {f"units_{label}": layer["counts"][label] for label in COUNTS}


def depths(results: Results) -> list[float]:
    """Return the relative depth of each layer: 0 the first, 1 the last, in equal steps.

    Examples
    --------
    >>> depths(Results({}, 0, "pearson", 0.5, {}, layers=[{"name": "a"}, {"name": "b"}, {"name": "c"}]))
    [0.0, 0.5, 1.0]
    """
    deepest = len(results.layers) - 1
    return [place / deepest if deepest else 1.0 for place in range(deepest + 1)]


def matched(one: Results, other: Results) -> list[tuple[str, str]]:
    """Return the pairs of layers that are compared: those of the same name, else those nearest in relative depth.

    Examples
    --------
    >>> def run(names):
    ...     return Results({}, 0, "pearson", 0.5, {}, layers=[{"name": name} for name in names])
    >>> matched(run("abcde"), run("xyz"))
    [('a', 'x'), ('c', 'y'), ('e', 'z')]
    """
    names, others = ([layer["name"] for layer in run.layers] for run in (one, other))
    pairs = [(name, name) for name in names if name in others]
    if not pairs:
        turned = len(others) > len(names)
        fewer, more = (one, other) if turned else (other, one)
        there = depths(more)
        for layer, depth in zip(fewer.layers, depths(fewer), strict=True):
            nearest = min(range(len(there)), key=lambda place: abs(there[place] - depth))
            pair = layer["name"], more.layers[nearest]["name"]
            pairs.append(pair if turned else pair[::-1])
    last = names[-1], others[-1]
    return pairs if last in pairs else [*pairs, last]


def _points(name: str, run: Run) -> list[Point]:
    """Return the points of one run."""
    if isinstance(run, Results):
        return [Point(name, run.model.get("step"), run, None)]
    if isinstance(run, Mapping):
        if not run:
            raise InputError(f"run {name!r} has no steps; pass at least one")
        loaded = [(step, *_loaded(each)) for step, each in sorted(run.items())]
        return [Point(name, step, results, folder) for step, results, folder in loaded]
    if not isinstance(run, str | Path):
        raise InputError(f"run {name!r} is a {type(run).__name__}; expected results, a folder, or either by step")
    steps = step_folders(Path(run))
    if steps and not (Path(run) / "results.json").exists():
        return _points(name, steps)
    results, folder = _loaded(run)
    return [Point(name, results.model.get("step"), results, folder)]


def _loaded(run: Results | str | Path) -> tuple[Results, Path | None]:
    """Return a run and its folder, if it has one."""
    return (run, None) if isinstance(run, Results) else (Results.load(run), Path(run))


def _rows(point: Point) -> list[Row]:
    """Return one row per layer."""
    return [
        {"run": point.run, "step": point.step, "layer": layer["name"], "depth": depth, **layer_values(layer)}
        for layer, depth in zip(point.results.layers, depths(point.results), strict=True)
    ]


class _Reader:
    """Reads the moments of runs, each once."""

    def __init__(self) -> None:
        self._known: dict[Path, Groups | None] = {}

    def both(self, one: Point, other: Point) -> tuple[Groups, Groups] | str:
        """Return the moments of two runs of the same clips, or the reason why there is no paired difference."""
        reason = unpaired_reason(one.results, other.results)
        if reason:
            return reason
        moments = []
        for point in (one, other):
            if point.folder is None:
                return f"{point.name} was not read from a folder"
            if point.folder not in self._known:
                self._known[point.folder] = load_groups(point.folder, point.results)
            groups = self._known[point.folder]
            if groups is None:
                return f"shards of {point.name} are missing"
            moments.append(groups)
        return moments[0], moments[1]


def _differences(one: Point, other: Point, read: _Reader) -> list[Row]:
    """Return one row per pair of layers of two points."""
    both = read.both(one, other)
    rows = []
    for names in matched(one.results, other.results):
        layers = one.results.layer(names[0]), other.results.layer(names[1])
        before, after = map(layer_values, layers)
        row: Row = {"from": one.name, "to": other.name, "from_layer": names[0], "to_layer": names[1]}
        changes = (
            {} if isinstance(both, str) else difference((both[0], names[0]), (both[1], names[1]), one.results.estimator)
        )
        for name in (f"{quantity}_{factor}" for quantity in ("score", "percent") for factor in FACTORS):
            defined = before[name] is not None and after[name] is not None
            row[name] = after[name] - before[name] if defined else None
            row[f"{name}_low"], row[f"{name}_high"] = _ends(changes.get(name))
        for label in COUNTS:
            shares = [100 * values[f"units_{label}"] / values["units"] for values in (before, after)]
            row[f"share_{label}"] = shares[1] - shares[0]
        rows.append({**row, "intervals": both if isinstance(both, str) else ""})
    return rows


def _ends(change: Sequence[float] | None) -> tuple[float | None, float | None]:
    """Return the ends of an interval, `None` where they are undefined."""
    low, high = (math.nan, math.nan) if change is None else change[1:]
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)
