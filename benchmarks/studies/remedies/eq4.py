"""Why StaticDropout is mild: how likely Eq. 4 drops each channel, for the static scores of trained models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

import numpy as np
import torch

from benchmarks.studies.study import Table
from sdmetrics.torch import StaticDropout

DRAWS = 5_000
LOW, HIGH = 0.1, 0.9
"""Quantiles over channels."""

CASES = {
    "Eq. 4": 1.0,
    "temperature 0.25": 0.25,
    "temperature 0.03": 0.03,
    "the hardest channels": 1e-4,
}
"""Temperatures; the last one is so low that the channels of the highest scores are dropped, whatever is drawn."""

RATES = (0.1, 0.5)

Numbers = dict[str, float]


def chances(scores: np.ndarray[Any, np.dtype[np.float64]], rate: float, temperature: float) -> Numbers:
    """Return quantiles of the channels' probability to be dropped, and how many channels are as good as in the draw.

    Examples
    --------
    >>> found = chances(np.zeros(10), 0.5, 1.0)
    >>> round(found["low"], 1), round(found["high"], 1), round(found["effective"], 3)
    (0.5, 0.5, 100.0)
    """
    dropout = StaticDropout(len(scores), rate, temperature=temperature, rescale=False)
    dropout.scores.copy_(torch.from_numpy(scores))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = (dropout.draw(DRAWS) == 0).double().mean(0).numpy()
    p = dropout.probabilities.numpy()
    entropy = -(p * np.log(np.clip(p, np.finfo(float).tiny, None))).sum()
    low, high = np.quantile(dropped, [LOW, HIGH])
    return {"low": low, "high": high, "effective": 100 * np.exp(entropy) / len(p)}


def probabilities(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the chances under every temperature and rate, means over models trained without a remedy."""
    measured = [_scores(record) for record in records]
    points: list[dict[str, Any]] = [
        {
            "about": "scores",
            "low": fmean(float(np.quantile(scores, LOW)) for scores in measured),
            "high": fmean(float(np.quantile(scores, HIGH)) for scores in measured),
        }
    ]
    for name, temperature in CASES.items():
        for rate in RATES:
            found = [chances(scores, rate, temperature) for scores in measured]
            means = {key: fmean(one[key] for one in found) for key in found[0]}
            points.append({"about": "chances", "case": name, "rate": rate, **means})
    return points


def estimate_error(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how far the scores that StaticDropout draws by are from those measured after training, and their spread.

    The first is the root of the mean squared difference; the second the deviation of the measured scores.
    """
    errors, spreads = [], []
    for record in records:
        scores = _scores(record)
        errors.append(float(np.sqrt(np.mean((np.array(record["drawn_by"]) - scores) ** 2))))
        spreads.append(float(scores.std()))
    return {"about": "estimate", "error": fmean(errors), "spread": fmean(spreads)}


def table(points: Iterable[Mapping[str, Any]]) -> Table:
    """Return the chances as a table."""
    rows = [
        (p["case"], f"{p['rate']:g}", f"{p['low']:.3f}", f"{p['high']:.3f}", f"{p['effective']:.0f}")
        for p in points
        if p.get("about") == "chances"
    ]
    title = "How likely StaticDropout drops a channel, for the static scores of models trained without a remedy"
    columns = ("selection", "rate", "10 % of channels: below", "10 %: above", "effective channels, %")
    return Table(title, columns, rows)


def _scores(record: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the static scores of a model's units; undefined ones are 0, as in StaticDropout."""
    return np.array([0.0 if score is None else score for score in record["static_scores"]])
