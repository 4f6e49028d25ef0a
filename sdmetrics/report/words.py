"""What a run's numbers say, in plain words: the one place where the report turns numbers into text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.analysis.facts import UNDEFINED
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from sdmetrics.ablation.result import Ablation
    from sdmetrics.analysis.results import Results

BAR_ORDER = ("dynamic", "joint", "static", "residual", "dead")
"""The parts of a bar, in the order drawn; `dead` is cut out of `residual`, which counts it too."""

_THIN = "\N{NARROW NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


def named_runs(runs: Mapping[str, Results] | Sequence[Results]) -> dict[str, Results]:
    """Return the runs by the name that the report gives them: theirs in the mapping, else the model's.

    Raises
    ------
    InputError
        If there is no run, or a run without a layer.
    """
    if not runs:
        raise InputError("no run is given; a report needs at least one")
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
            raise InputError(f"run {name!r} has no layer; a report needs at least one. Analyse the model again")
    return named


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with a true minus sign; undefined is a dash.

    Examples
    --------
    >>> number(-0.126), number(None)
    ('−0.13', '–')
    """
    if value is None:
        return UNDEFINED
    text = f"{value:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else _MINUS)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a percent; undefined is a dash."""
    return UNDEFINED if value is None else number(value, digits) + _THIN + "%"


def share(count: int, units: int) -> str:
    r"""Return what part of the units `count` is, in whole percents, halves up, but never a false 0 or 100.

    Examples
    --------
    >>> share(1, 8), share(1, 1000), share(999, 1000), share(0, 7)
    ('13\u202f%', '<1\u202f%', '>99\u202f%', '0\u202f%')
    """
    if 0 < count < units / 200:
        return f"<1{_THIN}%"
    if units > count > units * 199 / 200:
        return f">99{_THIN}%"
    return f"{math.floor(100 * count / units + 0.5)}{_THIN}%"


def interval(layer: Mapping[str, Any], quantity: str, factor: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a layer's `scores` or `percent`, or None where it is undefined."""
    return known(((layer.get("ci95") or {}).get(quantity) or {}).get(factor) or (None, None))


def interval_text(bounds: tuple[float, float] | None, digits: int = 2) -> str:
    """Return an interval in brackets; an undefined one is a dash."""
    return UNDEFINED if bounds is None else f"[{number(bounds[0], digits)}, {number(bounds[1], digits)}]"


def known(ci95: Sequence[float | None]) -> tuple[float, float] | None:
    """Return a stored interval, or None where it is undefined."""
    low, high = ci95
    return None if low is None or high is None else (low, high)


def measurable(layer: Mapping[str, Any]) -> bool:
    """Tell whether the layer has the two pairs of each factor that any score needs."""
    return all(pairs >= 2 for pairs in layer["pairs"].values())


def streams(names: Sequence[str]) -> dict[str, str]:
    """Return each layer's stream: what stands before its first dot, where there are several streams of several layers.

    Layers of one stream follow on each other; those of different streams stand side by side. Without streams it is "".

    Examples
    --------
    >>> streams(["slow.res2", "slow.res3", "fast.res2", "fast.res3"])["fast.res2"]
    'fast'
    >>> streams(["layer1.0", "layer2.0"])["layer2.0"]
    ''
    """
    found = {name: name.partition(".")[0] if "." in name else "" for name in names}
    sizes = Counter(found.values())
    several = len(sizes) > 1 and min(sizes.values()) > 1 and "" not in sizes
    return found if several else dict.fromkeys(names, "")


def parts(layer: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of the parts of a layer's bar: dead units apart from the other residual ones.

    Examples
    --------
    >>> parts({"counts": {"dynamic": 1, "static": 2, "joint": 3, "residual": 4, "dead": 1}})
    {'dynamic': 1, 'joint': 3, 'static': 2, 'residual': 3, 'dead': 1}
    """
    counts = {name: layer["counts"][name] for name in BAR_ORDER}
    return {**counts, "residual": counts["residual"] - counts["dead"]}


def lean(layer: Mapping[str, Any]) -> str:
    """Return what a layer leans to: `dynamic`, `static`, `neither` (the intervals overlap) or `undefined`.

    Where the intervals are undefined the two percents (Eq. 1) alone decide.
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
    """Return the answer in one line, from the deepest layer of each run."""
    if len(runs) > 3:
        return f"Static and dynamic bias of {len(runs)} runs"
    return "; ".join(f"{name} {_verdict(run.layers[-1])}" for name, run in runs.items())


def _verdict(layer: Mapping[str, Any]) -> str:
    """Say what a layer leans to; where most of its units are of another class, say that too."""
    leans = lean(layer)
    if leans == "undefined":
        return "is undefined"
    verdict = "leans neither way" if leans == "neither" else f"leans {leans}"
    for name in ("dynamic", "static", "joint", "residual"):
        if name != leans and layer["counts"][name] > layer["units"] / 2:
            return f"{verdict}, with most units {name}"
    return verdict


def removal_verdict(ablation: Ablation, layer: str, score: str) -> str:
    """Say which factor's units a score misses most, against as many random ones, and how sure that is."""
    wanted = (layer, score, "random")
    found = [row for row in ablation.overall if (row["layer"], row["score"], row["against"]) == wanted]
    found.sort(key=lambda row: float(row["difference"]))
    said = [_against_random(row, ablation.repeats) for row in found]
    most = f"The most {found[0]['factor']} units are missed most"
    lead = most if found[0]["difference"] < 0 else "No factor’s units are missed more than random ones"
    return f"{lead}: averaged over the fractions, {'; '.join(said)}."


def _against_random(row: Mapping[str, Any], draws: int) -> str:
    """Compare a score without a factor's units with the score without random ones."""
    size = number(abs(row["difference"]), 3)
    compared = "as high as" if float(size) == 0 else f"{size} {'lower' if row['difference'] < 0 else 'higher'} than"
    said = f"without the most {row['factor']} units {row['score']} is {compared} without as many random ones"
    bounds, above = known(row["ci95"]), f"{row['draws_above']} of {draws} random draws are higher"
    if bounds is None:
        return f"{said} (no interval; {above})"
    verdict = "includes" if bounds[0] <= 0 <= bounds[1] else "excludes"
    return f"{said} (95{_THIN}% interval of the difference {interval_text(bounds, 3)}, which {verdict} 0; {above})"


def removal_charts(ablation: Ablation) -> list[tuple[Ablation, str, str]]:
    """Return what each chart of an ablation shows: it, a layer and a score."""
    return [(ablation, layer["name"], score) for layer in ablation.layers for score in ablation.scores]


def removal_table(ablation: Ablation, layer: str, score: str) -> list[dict[str, Any]]:
    """Return one row per fraction: it, `removed` units, and under `curves` and `differences` those of each ranking.

    Differences are by factor and baseline, `differences["static"]["random"]`; there is none at fraction 0.
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


def footnotes(run: Results) -> list[str]:
    """Return why the dashes of a run's table are dashes: only the reasons that apply to it."""
    measured = [layer for layer in run.layers if measurable(layer)]
    scored = [layer for layer in measured if layer["scores"]["dynamic"] is not None]
    notes = []
    if len(measured) < len(run.layers):
        notes.append("A score needs at least two pairs of each factor.")
    if len(scored) < len(measured):
        notes.append("A layer whose units are all dead has no score.")
    if not all(interval(layer, "scores", "dynamic") for layer in scored):
        notes.append("An interval needs clips in at least 5 of the 20 groups that videos are dealt to.")
    return notes
