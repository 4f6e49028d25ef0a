"""Results of an analysis, as rows, and as the files `results.json` and `units.csv`."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdmetrics._files import replacing
from sdmetrics._reading import UnreadableError, read_bytes, read_json
from sdmetrics._shown import chart, html
from sdmetrics._tables import table
from sdmetrics._text import printable
from sdmetrics.analysis.identity import SETTINGS, sha256_of
from sdmetrics.analysis.requirements import Requirement
from sdmetrics.analysis.responses import Responses, open_responses
from sdmetrics.analysis.shape import ShapeError, check_shape
from sdmetrics.analysis.stored import DamagedError, load_document, save_document
from sdmetrics.analysis.tidy import LAYERS, layer_rows, unit_columns
from sdmetrics.analysis.valid import RESULTS, check_results, check_settings, unit_shape
from sdmetrics.clips.manipulations.further import columns_of, further_of
from sdmetrics.errors import InputError

SCHEMA = 4
AGAIN = "repeat the command `sdmetrics analyze` that wrote it: finished shards are kept, so it takes seconds"
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
        `{"used": n, "looped": n, "skipped": [{"id", "reason"}]}`: the clips used, how many of them repeat frames since
        their video is too short, and the others.
    layers
        One row per layer: `name`, `units`, `pairs`, `scores`, `percent`, `ci95`, `counts`; with further factors also
        `also`: for each its `pairs`, `score` and `ci95`. Undefined is `None`.
    units
        One row per unit: `layer`, `unit`, the scores with their 95 % intervals, `label`. Undefined is `None`.
    settings
        All that decides the numbers, see `sdmetrics.analysis.identity.Identity`.
    ran_on
        Where and how they were computed: one row per distinct circumstance, with its number of `shards`.
    stopped
        Of a run with a goal (`until`): `{"after_rounds", "of_rounds", "clips", "of_clips", "until", "until_units",
        "reached", "widening"}`: how many rounds of shards, and clips, of how many it used, whether it was sure enough
        then, and by what factor its intervals are wider for that. Else `None`.
    folder
        The folder of the run that they were loaded from or saved into.

    Examples
    --------
    >>> clips = {"used": 0, "looped": 0, "skipped": []}
    >>> results = Results(model={}, seed=0, estimator="pearson", threshold=0.5, clips=clips)
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
    stopped: dict[str, Any] | None = None
    folder: Path | None = field(default=None, compare=False, repr=False)

    @property
    def rounds(self) -> int | None:
        """After how many rounds of its shards a run stopped; `None` if it used all of its clips."""
        stopped = self.stopped
        return stopped["after_rounds"] if stopped and stopped["after_rounds"] < stopped["of_rounds"] else None

    @property
    def unit_columns(self) -> tuple[str, ...]:
        """The columns of `units.csv`."""
        return UNIT_COLUMNS + columns_of(further_of(self.layers[0]) if self.layers else ())

    @property
    def units_sha256(self) -> str:
        """The SHA-256 of `units.csv`: of all scores of units, and their classes."""
        return hashlib.sha256(self._units_csv()).hexdigest()

    def save(self, run: str | Path) -> Path:
        """Write `results.json` and `units.csv` into the folder `run`; return it."""
        run = Path(run)
        content = self._units_csv()
        with replacing(run / "units.csv") as path:
            path.write_bytes(content)
        document = {
            "model": self.model,
            "seed": self.seed,
            "estimator": self.estimator,
            "threshold": self.threshold,
            "clips": self.clips,
            "stopped": self.stopped,
            "ran_on": self.ran_on,
            "layers": self.layers,
            "identity": sha256_of(self.settings),
            "units": {"rows": len(self.units), "sha256": hashlib.sha256(content).hexdigest()},
        }
        save_document(run / "results.json", SCHEMA, document)
        self.folder = run
        return run

    @classmethod
    def load(cls, run: str | Path) -> Results:
        """Read results from the folder of a run.

        Raises
        ------
        DamagedError
            If a file is not as it was written, or the files do not belong together.
        InputError
            If the folder has no results, or results of another schema.
        """
        run = Path(run)
        path = run / "results.json"
        if not path.exists():
            wrong = "does not exist" if not run.exists() else f"has no {path.name}" if run.is_dir() else "is a file"
            raise InputError(f"{printable(run)} {wrong}; pass the folder that `sdmetrics analyze --out` wrote")
        document = load_document(path, SCHEMA, RESULTS, AGAIN)
        identity, counted = document.pop("identity"), document.pop("units")
        try:
            also = further_of(document["layers"][0]) if document["layers"] else ()
            units = _read_units(run / "units.csv", counted, also)
            check_results(document, units)
            settings = _read_settings(run / "shards" / SETTINGS, identity)
        except (ShapeError, RecursionError) as error:
            raise DamagedError(f"the run {printable(run)} is damaged: {printable(error)}; {AGAIN}") from None
        return cls(**document, units=units, settings=settings, folder=run)

    def _units_csv(self) -> bytes:
        """Return the content of `units.csv`."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.unit_columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.units)
        return text.getvalue().encode()

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

    def responses(self, layer: str) -> Responses:
        """Return the responses of a layer to the views of every clip, of a run with `keep_responses`.

        They are read when they are used, one shard at a time.

        Raises
        ------
        InputError
            If there is no such layer, or the run has no folder or no responses; it says how to measure them.
        """
        units = self.layer(layer)["units"]
        if self.folder is None or not self.settings:
            wrong = f"{printable(self.folder)} has no shards" if self.folder else "these results are in no folder"
            raise InputError(f"{wrong}; responses are kept by analyze(..., out=FOLDER, keep_responses=True)")
        return open_responses(self.folder, self.settings, layer, units, self.clips["used"], self.rounds)

    def to_frame(self, of: str = "layers", backend: str = "pandas") -> Any:  # noqa: ANN401  the libraries are optional
        """Return the numbers as a data frame, long and tidy.

        Parameters
        ----------
        of
            `"layers"`: one row per layer and factor, with `units`, `pairs`, `score` and `percent` (Eq. 1) with the ends
            of their 95 % intervals, `_low` and `_high`, the units that encode the factor, `units_encoding`, those of
            its class alone, `units_of_class` (Eq. 3), and the layer's joint, residual and dead units. A further factor
            (`also`) has neither percent nor class. `"units"`: one row per unit, with the columns of `units.csv`.
        backend
            `"pandas"`, `"polars"` or `"pyarrow"`. Undefined is NaN in pandas, null in the others.

        Raises
        ------
        InputError
            If `of` or `backend` is another.
        MissingExtra
            If the library is not installed: there is an extra of its name.

        Examples
        --------
        >>> from sdmetrics.report.example import example_run
        >>> run = example_run()
        >>> run.to_frame("layers").query("factor == 'dynamic'")["percent"].item()
        38.5
        >>> run.to_frame("units", backend="polars")["label"].to_list()
        ['dynamic']
        >>> run.to_frame("layers", backend="pyarrow").select(["factor", "score"]).to_pylist()
        [{'factor': 'dynamic', 'score': 0.9}, {'factor': 'static', 'score': 0.1}]
        """
        if of == "layers":
            return table(layer_rows(self.layers, self.units, self.threshold), LAYERS, backend)
        if of == "units":
            return table(self.units, unit_columns(self.unit_columns), backend)
        raise InputError(f"of is {of!r:.60}; allowed: layers, units")

    def plot(self) -> Any:  # noqa: ANN401  Altair is optional
        """Return the report's chart of the layers, an `altair.LayerChart`: percents (Eq. 1) with 95 % intervals.

        Raises
        ------
        MissingExtra
            Without Altair.
        InputError
            If the results have no layers.

        Examples
        --------
        >>> from sdmetrics.report.example import example_run
        >>> type(example_run().plot()).__name__
        'LayerChart'
        """
        return chart(self)

    def _repr_html_(self) -> str:
        """Return the table and the chart of the layers, for notebooks; it loads nothing from a network."""
        return html(self)

    def check(self, requirement: str, bound: bool = False) -> tuple[bool, float]:
        """Return whether a requirement, e.g. `"stage4.dynamic >= 30"`, is met, and the value that it was compared with.

        With `bound`, the least favourable bound of the 95 % interval is compared instead of the estimate.

        Raises
        ------
        InputError
            If the requirement cannot be parsed, its layer or factor is not in the run, or its value is undefined.

        Examples
        --------
        >>> layer = {"name": "stage4", "units": 8, "counts": {"dynamic": 2}}
        >>> run = Results({}, 0, "pearson", 0.5, {"used": 9, "looped": 0, "skipped": []}, layers=[layer])
        >>> run.check("stage4.units.dynamic >= 30")
        (False, 25.0)
        """
        parsed = Requirement.parse(requirement)
        layer = self.layer(parsed.layer)
        units = [unit for unit in self.units if unit["layer"] == parsed.layer]
        value = (parsed.bound if bound else parsed.value)(layer, units, self.threshold)
        return parsed.holds(value), value


def _read_units(path: Path, counted: Mapping[str, Any], also: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of `units.csv`; raise a `ShapeError` unless they are those that `results.json` counted."""
    try:
        content = read_bytes(path)
    except UnreadableError:
        raise
    except InputError as error:
        raise ShapeError(str(error)) from None
    if hashlib.sha256(content).hexdigest() != counted["sha256"]:
        raise ShapeError(f"{path.name} is not the file that belongs to results.json")
    try:
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""))
        columns = UNIT_COLUMNS + columns_of(also)
        units = [_unit_row(row, columns) for row in reader] if tuple(reader.fieldnames or ()) == columns else []
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise ShapeError(f"{path.name} cannot be read ({error})") from None
    if len(units) != counted["rows"]:
        raise ShapeError(f"{path.name} has {len(units)} rows, and results.json counts {counted['rows']}")
    check_shape(units, [unit_shape(also)], path.name)
    return units


def _unit_row(row: Mapping[str, str], columns: Sequence[str]) -> dict[str, Any]:
    """Parse a line of `units.csv`."""
    return {
        column: row[column]
        if column in _TEXT_COLUMNS
        else int(row[column])
        if column == "unit"
        else float(row[column])
        if row[column]
        else None
        for column in columns
    }


def _read_settings(path: Path, identity: str) -> dict[str, Any]:
    """Return the settings of the run with this identity; none where the run was copied without its shards."""
    if not path.exists():
        return {}
    try:
        settings = read_json(path)
    except UnreadableError:
        raise
    except InputError as error:
        raise ShapeError(str(error)) from None
    if not isinstance(settings, dict) or sha256_of(settings) != identity:
        raise ShapeError(f"shards/{path.name} does not belong to results.json")
    check_settings(settings)
    return settings
