"""Cautions: the settings in which runs differ, in words, and what that means for comparing the runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sdmetrics.analysis.facts import circumstances, differences
from sdmetrics.analysis.results import Results

UNKNOWN = "unknown"


def warnings(runs: Mapping[str, Results]) -> list[str]:
    """Return a sentence for each setting, except the model, in which the runs, by name, differ.

    Examples
    --------
    >>> made = {"clips": {"sha256": "9f2c"}, "styles": ["ink", "oil"]}
    >>> one, other = (Results({}, 0, "pearson", t, {"used": 9, "skipped": []}, settings=made) for t in (0.5, 0.6))
    >>> warnings({"a": one, "b": other})
    ['The thresholds differ: 0.5 (a), 0.6 (b). Their unit classes are counted by different rules.']
    """
    sentences = []
    for (things, consequence), value_of in _DECISIVE.items():
        values: dict[str, list[str]] = {}
        for name, run in runs.items():
            values.setdefault(value_of(run), []).append(name)
        if len(values) > 1:
            by_value = ", ".join(f"{value} ({_listed(names)})" for value, names in values.items())
            sentences.append(f"The {things} differ: {by_value}. {consequence}.")
        elif UNKNOWN in values and len(runs) > 1:
            sentences.append(f"The {things} are not known: the runs do not record them. {consequence}.")
    named = ("seed", "estimator", "threshold", "clips", "styles")
    others = [term for term in differences(runs) if not term.startswith(named)]
    if others:
        sentences.append(f"Also made differently: {', '.join(others)}.")
    computed = circumstances(runs)
    if computed:
        sentences.append(f"Computed differently, which changes numbers by less than 1e-5: {', '.join(computed)}.")
    return sentences


def _clips(run: Results) -> str:
    """Describe which clips a run used."""
    digest = run.settings.get("clips", {}).get("sha256")
    return f"{run.clips['used']} used, {len(run.clips['skipped'])} skipped, list {digest[:8]}" if digest else UNKNOWN


def _styles(run: Results) -> str:
    """Describe which styles a run used."""
    styles = run.settings.get("styles", {})
    if not isinstance(styles, Mapping):
        return ", ".join(styles)
    return (
        ", ".join(f"{name} ({' '.join(map(str, what.values()))})" for name, what in sorted(styles.items())) or UNKNOWN
    )


def _listed(names: list[str]) -> str:
    """Name the runs; only the first and the last of many."""
    return ", ".join(names if len(names) < 4 else [names[0], "…", names[-1]])


_DECISIVE: Mapping[tuple[str, str], Callable[[Results], str]] = {
    ("estimators", "Their scores and percents are not on one scale"): lambda run: run.estimator,
    ("thresholds", "Their unit classes are counted by different rules"): lambda run: f"{run.threshold:g}",
    ("seeds", "They saw different styles and different orders of frames"): lambda run: str(run.seed),
    ("clips", "Part of a difference may be the clips'"): _clips,
    ("styles", "The styles define the factors"): _styles,
}
"""The settings that decide whether numbers can be compared, the reason, and where a run records them."""
