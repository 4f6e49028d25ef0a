"""Assertions on a run, whose failures show what was measured and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.analysis.requirements import Requirement, measure_of
from sdmetrics.analysis.results import Results
from sdmetrics.errors import InputError, note
from sdmetrics.gate.check import check
from sdmetrics.gate.formats import outcome_in_words
from sdmetrics.gate.verdict import CANNOT_TELL
from sdmetrics.metrics.classes import FACTORS, UNIT_CLASSES
from sdmetrics.report.words import estimate, interval, number, whole_percent

# Frames with a local variable of the name __tracebackhide__ are left out of pytest's tracebacks.


def assert_bias(run: Results | str | Path, requirement: str, *, bound: bool = False) -> None:
    """Assert that a run meets a requirement, e.g. `"layer4.dynamic >= 25"`.

    The failure names the requirement, the measured value with its 95 % interval, and shows the table of the layers.

    Parameters
    ----------
    run
        The results, or the folder of a run.
    requirement
        See `Results.check`.
    bound
        Whether the least favourable bound of the 95 % interval is compared instead of the estimate.

    Raises
    ------
    AssertionError
        If the run does not meet it.
    InputError
        If the requirement cannot be parsed, or is of something that the run does not have.

    Examples
    --------
    >>> from sdmetrics.report.example import example_run
    >>> run = example_run()
    >>> assert_bias(run, "stage4.dynamic >= 25")
    >>> assert_bias(run, "stage4.dynamic >= 50")
    Traceback (most recent call last):
    AssertionError: stage4.dynamic >= 50 does not hold
      measured: 38.5 (percent of Eq. 1)
      run: net, 9 clips used, 0 skipped, seed 0
    <BLANKLINE>
      layer   units  dynamic %  static %  units: dynamic %  static %  joint %  residual %
    > stage4      1       38.5      17.3               100         0        0           0
    """
    __tracebackhide__ = True
    try:
        results = _loaded(run)
        holds, value = results.check(requirement, bound)
        if holds:
            return
        parsed = Requirement.parse(requirement)
        measured = _measured(results, parsed)
    except InputError as error:
        raise InputError(str(error)) from None
    compared = f"\n  compared: {number(value, _digits(parsed))}, the least favourable bound" if bound else ""
    raise AssertionError(f"{parsed} does not hold\n  measured: {measured}{compared}\n{_about(results, parsed.layer)}")


def assert_not_worse(
    run: Results | str | Path,
    measure: str,
    *,
    baseline: Results | str | Path,
    max_drop: float | None = None,
    max_rise: float | None = None,
    strict: bool = False,
) -> None:
    """Assert that a run is not worse than a baseline, e.g. `"layer4.dynamic"` by more than 5 points.

    The 95 % interval of the change decides, paired by clip where both runs used the same clips and seed, as in
    `sdmetrics.check`. If these clips cannot tell, a note says how many clips would.

    Parameters
    ----------
    run, baseline
        The results, or the folders, of two runs.
    measure
        `LAYER.dynamic`, `LAYER.units.dynamic`, `LAYER.score.dynamic` or, for runs with `analyze --evaluate`,
        `evaluation.top1`; see `sdmetrics.check`.
    max_drop, max_rise
        By how much it may be lower, or higher, than the baseline's: in points, or the difference of a score. Exactly
        one of them.
    strict
        Whether it is a failure, too, if these clips cannot tell.

    Raises
    ------
    AssertionError
        If the run is worse; with `strict`, also if these clips cannot tell.
    InputError
        If the measure or the limit is not allowed, or a run does not have what is compared.

    Examples
    --------
    >>> import sdmetrics as sd
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("motion") as path:
    ...     run = sd.analyze(path, "world:40", batch=48)
    >>> assert_not_worse(run, "stage4.dynamic", max_drop=60, baseline=run)
    """
    __tracebackhide__ = True
    if (max_drop is None) == (max_rise is None):
        given = "both are passed" if max_drop is not None else "neither is passed"
        raise InputError(f"expected one of max_drop and max_rise, and {given}; pass e.g. max_drop=5")
    limit = [f"{measure} {max_rise if max_drop is None else max_drop}"]
    try:
        results = _loaded(run)
        gate = check(
            results,
            baseline=baseline,
            max_drop=limit if max_rise is None else (),
            max_rise=limit if max_drop is None else (),
        )
    except InputError as error:
        raise InputError(str(error)) from None
    (outcome,) = gate.outcomes
    words = outcome_in_words(outcome)
    if not gate.status(strict):
        if outcome.verdict == CANNOT_TELL:
            note(words)
        return
    differing = "".join(f"\n  note: {warning}" for warning in gate.warnings)
    about = _about(results, measure_of(measure)[0])
    raise AssertionError(f"{words}\n  baseline: {gate.baseline}{differing}\n{about}")


def _loaded(run: Results | str | Path) -> Results:
    """Return the results."""
    return run if isinstance(run, Results) else Results.load(run)


def _digits(requirement: Requirement) -> int:
    """Return how many digits after the point tell values of this kind apart."""
    return 3 if requirement.of == "score" else 1


def _measured(results: Results, requirement: Requirement) -> str:
    """Return what was measured, with its interval where it has one."""
    layer = results.layer(requirement.layer)
    units = [unit for unit in results.units if unit["layer"] == requirement.layer]
    value = requirement.value(layer, units, results.threshold)
    try:
        ends = [
            replace(requirement, operator=operator).bound(layer, units, results.threshold) for operator in (">=", "<=")
        ]
        bounds: tuple[float, float] | None = (ends[0], ends[1])
    except InputError:  # too few clips for an interval
        bounds = None
    kind = {"percent": "percent of Eq. 1", "units": "percent of the layer's units, Eq. 3", "score": "score"}
    brackets = "those that surely and that possibly count" if requirement.of == "units" else "95 % interval"
    explained = f"; in brackets: {brackets}" if bounds else ""
    return f"{estimate(value, bounds, _digits(requirement))} ({kind[requirement.of]}{explained})"


def _about(results: Results, layer: str) -> str:
    """Return which run it is, and the table of its layers with a mark at one of them."""
    clips = results.clips
    name = printable(str(results.model.get("name") or "model"))
    lines = [f"  run: {name}, {clips['used']} clips used, {len(clips['skipped'])} skipped, seed {results.seed}"]
    if results.folder is not None:
        lines.append(f"  folder: {printable(results.folder)}")
    marks = [">" if row["name"] == layer else " " for row in results.layers]
    table = _layer_table(results)
    return "\n".join([*lines, "", f"  {table[0]}", *(f"{m} {row}" for m, row in zip(marks, table[1:], strict=True))])


def _layer_table(results: Results) -> list[str]:
    """Return the lines of the table of layers: percents (Eq. 1) with intervals, and shares of the classes (Eq. 3)."""
    first, *classes = UNIT_CLASSES
    head = ["layer", "units", *(f"{factor} %" for factor in FACTORS), f"units: {first} %", *(f"{c} %" for c in classes)]
    rows = [
        [
            printable(row["name"]),
            str(row["units"]),
            *(estimate(row["percent"][factor], interval(row, "percent", factor), 1) for factor in FACTORS),
            *(whole_percent(row["counts"][name], row["units"]) for name in UNIT_CLASSES),
        ]
        for row in results.layers
    ]
    return _aligned([head, *rows])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
