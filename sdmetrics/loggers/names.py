"""Names under which measurements are stored."""

from __future__ import annotations

import re
from collections.abc import Iterable

ARTIFACT = "static-dynamic-comparison"
ARTIFACT_TYPE = "comparison"
"""Name and type of the artifact that holds the files of a comparison."""

LONGEST = 240
"""Characters; MLflow accepts 250."""


def mlflow_names(names: Iterable[str]) -> dict[str, str]:
    """Return the names that MLflow accepts for metrics, by the original names.

    MLflow accepts letters, digits and `_-. /` in paths without empty parts. Other characters become `_`; names that
    would then be equal are numbered.

    Examples
    --------
    >>> mlflow_names(["static/layer4", "static//body/Conv:0", "static/a*", "static/a+"])["static//body/Conv:0"]
    'static/body/Conv_0'
    >>> list(mlflow_names(["static/a*", "static/a+"]).values())
    ['static/a_', 'static/a_2']
    """
    accepted: dict[str, str] = {}
    for name in names:
        clean = re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)
        clean = "/".join(part for part in clean.split("/") if part.strip(" .")) or "_"
        unique, number = clean[:LONGEST], 1
        while unique in accepted.values():
            number += 1
            unique = f"{clean[:LONGEST]}{number}"
        accepted[name] = unique
    return accepted
