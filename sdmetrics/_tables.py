"""Rows as a data frame of pandas or Polars, or as a table of Arrow; the library is imported when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sdmetrics.errors import InputError, require

Columns = Mapping[str, type[str] | type[int] | type[float]]
"""The columns of a table in order, each with the type of its values; undefined is `None`, in floats only."""


def table(rows: Sequence[Mapping[str, Any]], columns: Columns, backend: str) -> Any:  # noqa: ANN401 (of three libraries)
    """Return rows as a `pandas.DataFrame`, a `polars.DataFrame` or a `pyarrow.Table`.

    Types do not depend on the values: a column of floats stays one if all of it is undefined. Undefined is NaN in
    pandas, and null in Polars and Arrow.

    Raises
    ------
    InputError
        If the backend is another.
    MissingExtra
        If the library is not installed.

    Examples
    --------
    >>> table([{"unit": 0, "score": None}], {"unit": int, "score": float}, "polars").null_count().row(0)
    (0, 1)
    """
    if backend not in MADE:
        raise InputError(f"backend is {backend!r:.60}; allowed: {', '.join(MADE)}")
    values = {name: [row[name] for row in rows] for name in columns}
    return MADE[backend](values, columns)


def _pandas(values: Mapping[str, list[Any]], columns: Columns) -> Any:  # noqa: ANN401
    pandas = require("pandas", extra="pandas")
    types = {str: "str", int: "int64", float: "float64"}
    filled = {
        name: [math.nan if value is None else value for value in values[name]] if kind is float else values[name]
        for name, kind in columns.items()
    }
    return pandas.DataFrame({name: pandas.Series(filled[name], dtype=types[kind]) for name, kind in columns.items()})


def _polars(values: Mapping[str, list[Any]], columns: Columns) -> Any:  # noqa: ANN401
    polars = require("polars", extra="polars")
    types = {str: polars.String, int: polars.Int64, float: polars.Float64}
    return polars.DataFrame(values, schema={name: types[kind] for name, kind in columns.items()})


def _pyarrow(values: Mapping[str, list[Any]], columns: Columns) -> Any:  # noqa: ANN401
    pyarrow = require("pyarrow", extra="pyarrow")
    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    return pyarrow.table(values, schema=schema)


MADE: Mapping[str, Callable[[Mapping[str, list[Any]], Columns], Any]] = {
    "pandas": _pandas,
    "polars": _polars,
    "pyarrow": _pyarrow,
}
"""What makes a table, by the name of the library."""
