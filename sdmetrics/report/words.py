"""Numbers as text: the one notation of values, intervals and verdicts for reports and the terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.analysis.facts import UNDEFINED
from sdmetrics.analysis.until import stopped_in_words as stopped_in_words
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from sdmetrics.ablation.result import Ablation
    from sdmetrics.analysis.results import Results

BAR_ORDER = ("dynamic", "joint", "static", "residual", "dead")
"""The segments of a bar, in drawing order. Dead units are drawn apart, although `residual` counts them too."""

SCORE_NAMES = {"top1": "top-1", "top5": "top-5", "iou": "IoU", "box_iou": "box IoU"}
"""Display names of the built-in scores of an ablation."""

_THIN = "\N{NARROW NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


def named_runs(runs: Mapping[str, Results] | Sequence[Results]) -> dict[str, Results]:
    """Return the runs by name: the mapping's keys, else the names of the models.

    Raises
    ------
    InputError
        If there are no runs, or a run has no layers.
    """
    if not runs:
        raise InputError("there are no runs; a report needs at least one")
    if isinstance(runs, Mapping):
        named = dict(runs)
    else:
        named = {}
        for run in runs:
            name = str(run.model.get("name") or "model")
            same = sum(other.model.get("name") == run.model.get("name") for other in named.values())
            named[f"{name} ({same + 1})" if same else name] = run
    for name, run in named.items():
        if not run.layers:
            raise InputError(f"run {name!r} has no layers; a report needs at least one. Analyze the model again")
    return named


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with a true minus sign (U+2212), or a dash if it is undefined.

    Examples
    --------
    >>> number(-0.126), number(None)
    ('−0.13', '–')
    """
    if value is None:
        return UNDEFINED
    text = f"{value:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else _MINUS)


def rounded(value: float, digits: int = 3) -> str:
    """Return a number of any size with so many significant digits and a true minus sign.

    Examples
    --------
    >>> rounded(-0.26), rounded(1234.5), rounded(0.00001234)
    ('−0.260', '1.23e+03', '1.23e−05')
    """
    return f"{value:#.{digits}g}".removesuffix(".").replace("-", _MINUS)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a percent, or a dash if it is undefined."""
    return UNDEFINED if value is None else number(value, digits) + _THIN + "%"


def share(count: int, units: int) -> str:
    r"""Return the share of units in whole percents, halves rounded up, but never a false 0 or 100.

    Examples
    --------
    >>> share(1, 8), share(1, 1000), share(999, 1000), share(0, 7)
    ('13\u202f%', '<1\u202f%', '>99\u202f%', '0\u202f%')
    """
    return whole_percent(count, units) + _THIN + "%"


def whole_percent(count: int, units: int) -> str:
    """Return `share` without the sign, for columns that have it in their head."""
    if 0 < count < units / 200:
        return "<1"
    if units > count > units * 199 / 200:
        return ">99"
    return str(math.floor(100 * count / units + 0.5))


def interval(layer: Mapping[str, Any], quantity: str, factor: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a layer's `scores` or `percent`, or None if it is undefined."""
    return known(((layer.get("ci95") or {}).get(quantity) or {}).get(factor) or (None, None))


def interval_text(bounds: tuple[float, float] | None, digits: int = 2) -> str:
    """Return an interval in brackets, or a dash if it is undefined.

    Examples
    --------
    >>> interval_text((-0.19, 0.01)), interval_text(None)
    ('[−0.19, 0.01]', '–')
    """
    return UNDEFINED if bounds is None else f"[{number(bounds[0], digits)}, {number(bounds[1], digits)}]"


def estimate(value: float | None, bounds: tuple[float, float] | None, digits: int = 2) -> str:
    """Return a number and its interval, if defined; an undefined number is a dash.

    Examples
    --------
    >>> estimate(-0.07, (-0.19, 0.01)), estimate(10.6, None, 1), estimate(None, None)
    ('−0.07 [−0.19, 0.01]', '10.6', '–')
    """
    text = number(value, digits)
    return text if value is None or bounds is None else f"{text} {interval_text(bounds, digits)}"


def known(ci95: Sequence[float | None]) -> tuple[float, float] | None:
    """Return a stored interval, or None if it is undefined."""
    low, high = ci95
    return None if low is None or high is None else (low, high)


def measurable(layer: Mapping[str, Any]) -> bool:
    """Return whether the layer has at least two pairs of each factor, which every score needs."""
    return all(pairs >= 2 for pairs in layer["pairs"].values())


def streams(names: Sequence[str]) -> dict[str, str]:
    """Return each layer's stream: the prefix before the first dot, if there are several streams of several layers.

    Layers of one stream are in sequence, and the streams run in parallel. Without streams the value is "".

    Examples
    --------
    >>> streams(["slow.res2", "slow.res3", "fast.res2", "fast.res3"])["fast.res2"]
    'fast'
    >>> streams(["layer1.0", "layer2.0"])["layer2.0"]
    ''
    """
    prefixes = {name: name.partition(".")[0] if "." in name else "" for name in names}
    sizes = Counter(prefixes.values())
    several = len(sizes) > 1 and min(sizes.values()) > 1 and "" not in sizes
    return prefixes if several else dict.fromkeys(names, "")


def bar_segments(layer: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of the segments of a layer's bar, with dead units apart from other residual units.

    Examples
    --------
    >>> bar_segments({"counts": {"dynamic": 1, "static": 2, "joint": 3, "residual": 4, "dead": 1}})
    {'dynamic': 1, 'joint': 3, 'static': 2, 'residual': 3, 'dead': 1}
    """
    counts = {name: layer["counts"][name] for name in BAR_ORDER}
    return {**counts, "residual": counts["residual"] - counts["dead"]}


def lean(layer: Mapping[str, Any]) -> str:
    """Return which way a layer leans: `dynamic`, `static`, `neither` (the intervals overlap) or `undefined`.

    If the intervals are undefined, only the two percents (Eq. 1) decide.
    """
    dynamic, static = layer["percent"]["dynamic"], layer["percent"]["static"]
    if dynamic is None or static is None:
        return "undefined"
    higher, lower = ("dynamic", "static") if dynamic > static else ("static", "dynamic")
    of_higher, of_lower = interval(layer, "percent", higher), interval(layer, "percent", lower)
    if dynamic == static or (of_higher and of_lower and of_higher[0] <= of_lower[1]):
        return "neither"
    return higher


def headline(runs: Mapping[str, Results]) -> str:
    """Return the answer in one line, for the deepest layer of each run."""
    if len(runs) > 3:
        return f"Static and dynamic bias of {len(runs)} runs"
    return "; ".join(f"{name} {_verdict(run.layers[-1])}" for name, run in runs.items())


def _verdict(layer: Mapping[str, Any]) -> str:
    """Describe which way a layer leans, and the class of most of its units if that is another."""
    leans = lean(layer)
    if leans == "undefined":
        return "is undefined"
    verdict = "leans neither way" if leans == "neither" else f"leans {leans}"
    for name in ("dynamic", "static", "joint", "residual"):
        if name != leans and layer["counts"][name] > layer["units"] / 2:
            return f"{verdict}, with most units {name}"
    return verdict


def score_name(score: str) -> str:
    """Return the display name of an ablation's score.

    Examples
    --------
    >>> score_name("top1"), score_name("my score")
    ('top-1', 'my score')
    """
    return SCORE_NAMES.get(score, score)


def removal_verdict(ablation: Ablation, layer: str, score: str) -> str:
    """Describe which factor's removal lowers a score most, relative to random removal, and whether significantly."""
    key = (layer, score, "random")
    rows = [row for row in ablation.overall if (row["layer"], row["score"], row["against"]) == key]
    rows.sort(key=lambda row: float(row["difference"]))
    first, name = rows[0], score_name(score)
    if first["difference"] < 0:
        bounds = known(first["ci95"])
        doubt = ", but not significantly" if bounds is not None and bounds[0] <= 0 <= bounds[1] else ""
        text = f"Removing the most {first['factor']} units lowers {name} most{doubt} ({_evidence(first, ablation)})."
        others = rows[1:]
    else:
        text, others = f"No factor’s removal lowers {name} more than random removal.", rows
    for row in others:
        text += f" Most {row['factor']} units: {_evidence(row, ablation)}."
    return f"{text} Differences are relative to removing as many random units, averaged over the fractions."


def _evidence(row: Mapping[str, Any], ablation: Ablation) -> str:
    """Format a difference to random removal, its interval, and how many random draws score higher."""
    bounds = known(row["ci95"])
    ci = "no confidence interval" if bounds is None else f"95{_THIN}% CI {interval_text(bounds, 3)}"
    draws = f"random draws that score higher: {row['draws_above']} of {ablation.repeats}"
    return f"difference {number(row['difference'], 3)}, {ci}; {draws}"


def removal_charts(ablation: Ablation) -> list[tuple[Ablation, str, str]]:
    """Return the contents of each chart of an ablation: the ablation, a layer and a score."""
    return [(ablation, layer["name"], score) for layer in ablation.layers for score in ablation.scores]


def removal_table(ablation: Ablation, layer: str, score: str) -> list[dict[str, Any]]:
    """Return one row per fraction: `fraction`, `removed` units, `curves` by ranking, and `differences`.

    Differences are by factor and baseline, `differences["static"]["random"]`. There are none at fraction 0.
    """
    rows: dict[float, dict[str, Any]] = {}
    for point in ablation.curves:
        if (point["layer"], point["score"]) == (layer, score):
            new = {"fraction": point["fraction"], "removed": point["removed"], "curves": {}, "differences": {}}
            rows.setdefault(point["fraction"], new)["curves"][point["ranking"]] = point
    for row in ablation.differences:
        if (row["layer"], row["score"]) == (layer, score):
            rows[row["fraction"]]["differences"].setdefault(row["factor"], {})[row["against"]] = row
    return list(rows.values())


def caution(run: Results) -> str:
    """Return what is to be kept in mind of a run's model, if anything.

    Examples
    --------
    >>> from sdmetrics.report.example import example_run
    >>> caution(example_run())
    ''
    """
    return str(run.model.get("caution", ""))


def footnotes(run: Results) -> list[str]:
    """Return the reasons for undefined values (dashes) in a run's table."""
    measured = [layer for layer in run.layers if measurable(layer)]
    scored = [layer for layer in measured if layer["scores"]["dynamic"] is not None]
    notes = []
    if len(measured) < len(run.layers):
        notes.append("A score needs at least two pairs of each factor.")
    if len(scored) < len(measured):
        notes.append("A layer whose units are all dead has no score.")
    if not all(interval(layer, "scores", "dynamic") for layer in scored):
        notes.append("An interval needs clips in at least 5 of the 20 groups that videos are divided into.")
    return notes
