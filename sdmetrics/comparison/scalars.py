"""The numbers of runs by name and step, for training logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sdmetrics.analysis.results import Results
from sdmetrics.metrics.classes import FACTORS


def scalars(results: Results) -> dict[str, float]:
    """Return the numbers of a measurement for a training log, by name. Undefined numbers are left out.

    `dynamic/LAYER` and `static/LAYER` are the percents of Eq. 1, `units-CLASS/LAYER` the percents of the layer's units
    in each class of Eq. 3.

    Examples
    --------
    >>> layer = {"name": "stage4", "units": 8, "percent": {"dynamic": 30.0, "static": None}, "counts": {"joint": 2}}
    >>> scalars(Results({}, 0, "pearson", 0.5, {}, layers=[layer]))
    {'dynamic/stage4': 30.0, 'units-joint/stage4': 25.0}
    """
    values: dict[str, float] = {}
    for layer in results.layers:
        percents = {factor: layer["percent"][factor] for factor in FACTORS}
        shares = {f"units-{name}": 100 * count / layer["units"] for name, count in layer["counts"].items()}
        for name, value in (percents | shares).items():
            if value is not None:
                values[f"{name}/{layer['name']}"] = float(value)
    return values


def scalars_by_step(runs: Mapping[str, Sequence[tuple[int | None, Results]]]) -> dict[int, dict[str, float]]:
    """Return the numbers of runs by step, in order; see `scalars`.

    The names of several runs begin with the run's: `RUN/dynamic/LAYER`. A run that has no step counts as step 0.

    Parameters
    ----------
    runs
        The steps and results of each run, by the run's name.

    Examples
    --------
    >>> layer = {"name": "stage4", "units": 8, "percent": {"dynamic": 30.0, "static": None}, "counts": {}}
    >>> results = Results({}, 0, "pearson", 0.5, {}, layers=[layer])
    >>> scalars_by_step({"a": [(None, results)], "b": [(0, results), (9, results)]})
    {0: {'a/dynamic/stage4': 30.0, 'b/dynamic/stage4': 30.0}, 9: {'b/dynamic/stage4': 30.0}}
    """
    steps: dict[int, dict[str, float]] = {}
    for run, measured in runs.items():
        before = f"{run}/" if len(runs) > 1 else ""
        for step, results in measured:
            steps.setdefault(step or 0, {}).update({f"{before}{name}": v for name, v in scalars(results).items()})
    return dict(sorted(steps.items()))
