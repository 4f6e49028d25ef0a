"""Results as frames of three libraries: the same rows, types that do not depend on the values, one line if absent."""

import math
import sys

import numpy as np
import pytest

import sdmetrics as sd
from sdmetrics.analysis.results import UNIT_COLUMNS
from sdmetrics.analysis.tidy import LAYERS
from tests.helpers import runs

BACKENDS = ("pandas", "polars", "pyarrow")


def rows_of(frame, backend):
    rows = frame.to_dict("records") if backend == "pandas" else frame.to_dicts() if backend == "polars" else None
    rows = frame.to_pylist() if rows is None else rows
    return [{k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()} for row in rows]


def names_of(frame):
    return list(frame.column_names if hasattr(frame, "column_names") else frame.columns)


@pytest.mark.parametrize("backend", BACKENDS)
def test_units_are_the_rows_of_the_run(backend):
    results = runs.run(dead=3)
    frame = results.to_frame("units", backend=backend)
    assert names_of(frame) == list(UNIT_COLUMNS)
    assert rows_of(frame, backend) == results.units


@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_are_long_and_tidy(backend):
    results = runs.run()
    frame = results.to_frame("layers", backend=backend)
    assert names_of(frame) == list(LAYERS)
    rows = rows_of(frame, backend)
    assert [(row["layer"], row["factor"]) for row in rows] == [
        (layer["name"], factor) for layer in results.layers for factor in ("dynamic", "static")
    ]
    layer, row = results.layers[-1], rows[-1]
    assert (row["score"], row["percent"]) == (layer["scores"]["static"], layer["percent"]["static"])
    assert [row["percent_low"], row["percent_high"]] == layer["ci95"]["percent"]["static"]
    assert [row["score_low"], row["score_high"]] == layer["ci95"]["scores"]["static"]
    assert (row["pairs"], row["units"]) == (300, 64)
    assert row["units_of_class"] == layer["counts"]["static"]
    assert all(row["units_encoding"] == row["units_of_class"] + row["units_joint"] for row in rows)
    assert {row[f"units_{label}"] for row in rows[-2:] for label in ("joint",)} == {layer["counts"]["joint"]}


@pytest.mark.parametrize("backend", BACKENDS)
def test_further_factors_have_rows_without_percent_or_class(backend):
    results = runs.run()
    for layer in results.layers:
        layer["also"] = {"reverse": {"pairs": 299, "score": 0.4, "ci95": [0.3, 0.5]}}
    for number, unit in enumerate(results.units):
        unit |= {"reverse": None if number % 4 == 0 else 0.3 * (number % 4), "reverse_low": None, "reverse_high": None}
    rows = rows_of(results.to_frame("layers", backend=backend), backend)
    assert [row["factor"] for row in rows] == ["dynamic", "static", "reverse"] * len(results.layers)
    assert rows[2] == {
        "layer": "stage1", "factor": "reverse", "units": 64, "pairs": 299,
        "score": 0.4, "score_low": 0.3, "score_high": 0.5,
        "percent": None, "percent_low": None, "percent_high": None,
        "units_encoding": 32, "units_of_class": None,
        **{f"units_{label}": results.layers[0]["counts"][label] for label in ("joint", "residual", "dead")},
    }  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("of", ["layers", "units"])
def test_types_do_not_depend_on_the_values(backend, of):
    """A run of one pair has no score at all, and a run without layers has no rows."""
    defined, undefined = runs.run().to_frame(of, backend=backend), runs.run(pairs=1).to_frame(of, backend=backend)
    empty = sd.Results({}, 0, "pearson", 0.5, {"used": 0, "looped": 0, "skipped": []}).to_frame(of, backend=backend)
    types = [list(f.schema.types if backend == "pyarrow" else f.dtypes) for f in (defined, undefined, empty)]
    assert types[0] == types[1] == types[2]
    values = undefined["score" if of == "layers" else "static"]
    assert np.isnan(values.to_numpy()).all()
    assert len(empty) == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_library_that_is_absent_is_one_line_with_its_extra(backend, monkeypatch):
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(sd.MissingExtra, match=rf"pip install 'static-dynamic-metrics\[{backend}\]'"):
        runs.run().to_frame(backend=backend)


def test_other_words_are_errors():
    with pytest.raises(sd.InputError, match="of is 'clips'; allowed: layers, units"):
        runs.run().to_frame("clips")
    with pytest.raises(sd.InputError, match="backend is 'dask'; allowed: pandas, polars, pyarrow"):
        runs.run().to_frame(backend="dask")
