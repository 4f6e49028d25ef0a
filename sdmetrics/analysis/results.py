"""Results of an analysis, as rows, and as the files `results.json` and `units.csv`."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdmetrics._files import replacing, write_json
from sdmetrics.analysis.requirements import Requirement
from sdmetrics.errors import InputError

SCHEMA = 1
UNIT_COLUMNS = (
    "layer", "unit", "dynamic", "dynamic_low", "dynamic_high", "static", "static_low", "static_high", "label",
)  # fmt: skip
_TEXT_COLUMNS = ("layer", "label")


@dataclass
class Results:
    """The biases of a model, by layer and unit.

    Parameters
    ----------
    model
        The model's name and the runner's identity: SHA-256, layers with their axes, precision.
    seed, estimator, threshold
        How pairs were drawn and correlated, and units classified.
    clips
        `{"used": n, "skipped": [{"id", "reason"}]}`.
    layers
        One row per layer: `name`, `units`, `pairs`, `scores`, `percent`, `ci95`, `counts`. Undefined is `None`.
    units
        One row per unit: `layer`, `unit`, the scores with their 95 % intervals, `label`. Undefined is `None`.
    settings
        All that decides the numbers, see `sdmetrics.analysis.identity.Identity`.
    ran_on
        Where and how they were computed: one row per distinct circumstance, with its number of `shards`.

    Examples
    --------
    >>> results = Results(model={}, seed=0, estimator="pearson", threshold=0.5, clips={"used": 0, "skipped": []})
    >>> results.layers
    []
    """

    model: dict[str, Any]
    seed: int
    estimator: str
    threshold: float
    clips: dict[str, Any]
    layers: list[dict[str, Any]] = field(default_factory=list)
    units: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    ran_on: list[dict[str, Any]] = field(default_factory=list)

    def save(self, run: str | Path) -> Path:
        """Write `results.json` and `units.csv` into the folder `run`; return it."""
        run = Path(run)
        document = {
            "schema": SCHEMA,
            "model": self.model,
            "seed": self.seed,
            "estimator": self.estimator,
            "threshold": self.threshold,
            "clips": self.clips,
            "ran_on": self.ran_on,
            "layers": self.layers,
        }
        with replacing(run / "units.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, UNIT_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.units)
        write_json(run / "results.json", document)
        return run

    @classmethod
    def load(cls, run: str | Path) -> Results:
        """Read results from the folder of a run.

        Raises
        ------
        InputError
            If the folder has no results, or they are damaged or of another schema.
        """
        run = Path(run)
        document = _read_json(run / "results.json")
        if document.get("schema") != SCHEMA:
            raise InputError(
                f"{run / 'results.json'} has schema {document.get('schema')!r}; this version reads schema {SCHEMA}. "
                "Analyze again, or install the version that wrote it"
            )
        settings = run / "shards" / "settings.json"
        try:
            with (run / "units.csv").open(newline="", encoding="utf-8") as file:
                units = [_unit_row(row) for row in csv.DictReader(file)]
            return cls(
                **{key: document[key] for key in ("model", "seed", "estimator", "threshold", "clips", "layers")},
                ran_on=document.get("ran_on", []),
                units=units,
                settings=_read_json(settings) if settings.exists() else {},
            )
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"the run {run} is damaged ({error!r}); run the analysis again to rewrite it") from None

    def layer(self, name: str) -> dict[str, Any]:
        """Return the row of one layer.

        Raises
        ------
        InputError
            If there is no such layer.
        """
        for row in self.layers:
            if row["name"] == name:
                return row
        raise InputError(f"no layer {name!r} in the results; allowed: {', '.join(r['name'] for r in self.layers)}")

    def check(self, requirement: str, bound: bool = False) -> tuple[bool, float]:
        """Return whether a requirement, e.g. `"stage4.dynamic >= 30"`, is met, and the value that it was compared with.

        With `bound`, the least favourable bound of the 95 % interval is compared instead of the estimate.

        Raises
        ------
        InputError
            If the requirement cannot be parsed, its layer is not in the run, or its value is undefined.

        Examples
        --------
        >>> layer = {"name": "stage4", "units": 8, "counts": {"dynamic": 2}}
        >>> run = Results({}, 0, "pearson", 0.5, {"used": 9, "skipped": []}, layers=[layer])
        >>> run.check("stage4.units.dynamic >= 30")
        (False, 25.0)
        """
        parsed = Requirement.parse(requirement)
        layer = self.layer(parsed.layer)
        if bound:
            units = [unit for unit in self.units if unit["layer"] == parsed.layer]
            value = parsed.bound(layer, units, self.threshold)
        else:
            value = parsed.value(layer)
        return parsed.holds(value), value


def _unit_row(row: Mapping[str, str]) -> dict[str, Any]:
    """Parse a line of `units.csv`."""
    return {
        column: row[column]
        if column in _TEXT_COLUMNS
        else int(row[column])
        if column == "unit"
        else float(row[column])
        if row[column]
        else None
        for column in UNIT_COLUMNS
    }


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path.parent} has no {path.name}; pass the folder that `sdmetrics analyze --out` wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the analysis again to rewrite it") from None
    if not isinstance(document, dict):
        raise InputError(f"{path} is not a JSON object; run the analysis again to rewrite it")
    return document
