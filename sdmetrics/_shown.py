"""How results are shown where they are a value: in a notebook, and as a chart.

`sdmetrics.report`, which is above the results, registers what draws each type of them.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any


@singledispatch
def html(result: object) -> str:
    """Return a result as HTML for a notebook: a table and charts, without scripts."""
    raise NotImplementedError(type(result).__name__)


@singledispatch
def chart(result: object) -> Any:  # noqa: ANN401  Altair is optional
    """Return the chart of a result, of Altair."""
    raise NotImplementedError(type(result).__name__)
