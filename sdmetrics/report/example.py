"""A made-up run, for the examples in docstrings."""

from __future__ import annotations

from sdmetrics.analysis.results import Results


def example_run() -> Results:
    """Return a run of one layer with one dynamic unit.

    Examples
    --------
    >>> example_run().layers[-1]["counts"]["dynamic"]
    1
    """
    layer = {
        "name": "stage4",
        "units": 1,
        "pairs": {"dynamic": 9, "static": 9},
        "scores": {"dynamic": 0.9, "static": 0.1},
        "ci95": {},
        "percent": {"dynamic": 38.5, "static": 17.3, "identical": 44.2},
        "counts": {"dynamic": 1, "static": 0, "joint": 0, "residual": 0, "dead": 0},
    }
    scores = {"dynamic": 0.9, "dynamic_low": None, "dynamic_high": None, "static": 0.1}
    unit = {"layer": "stage4", "unit": 0, **scores, "static_low": None, "static_high": None, "label": "dynamic"}
    return Results({"name": "net"}, 0, "pearson", 0.5, {"used": 9, "looped": 0, "skipped": []}, [layer], [unit])
