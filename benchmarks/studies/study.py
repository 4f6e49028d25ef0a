"""A study: what the paper found, what we find and whether it holds, and the file that this is saved in."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.studies.bank import Bank, Recipe
from benchmarks.studies.means import Mean
from benchmarks.studies.models.recipe import STANDARD, Budget
from sdmetrics._files import replacing

HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class Scale:
    """The size of the studies.

    Parameters
    ----------
    seeds, budget
        Of the trained models.
    removed, draws
        Shares of a layer's units that are removed, and random draws of as many units.
    few
        Whether arms that a look at a study does not need are left out.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    budget: Budget = STANDARD
    removed: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
    draws: int = 3
    few: bool = False


@dataclass(frozen=True)
class Finding:
    """One claim beside what we find; `number` is the paper's, if it has one, or what a study of ours aims at."""

    claim: str
    ours: str
    verdict: str
    number: str = "–"


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers below a title."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass(frozen=True)
class Study:
    """The results of one study.

    Parameters
    ----------
    name, title, setting
        What it is called, what it asks, and how.
    findings, tables
        What it found.
    points
        The numbers that its figure, or a page, shows.
    ours
        Whether the claims are about remedies of this package, not the paper's.
    """

    name: str
    title: str
    setting: str
    findings: list[Finding]
    tables: list[Table]
    points: list[dict[str, Any]] = field(default_factory=list)
    ours: bool = False

    def save(self, folder: Path) -> Path:
        """Write `<name>.json`; RESULTS.md and the figures are made from it."""
        with replacing(folder / f"{self.name}.json") as path:
            path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return folder / f"{self.name}.json"

    @classmethod
    def load(cls, path: Path) -> Study:
        """Read what `save` wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        findings = [Finding(**row) for row in document["findings"]]
        tables = [Table(t["title"], tuple(t["columns"]), [tuple(row) for row in t["rows"]]) for t in document["tables"]]
        named = [document[name] for name in ("name", "title", "setting")]
        return cls(*named, findings, tables, document["points"], document.get("ours", False))


@dataclass(frozen=True)
class Plan:
    """The steps of a study.

    Parameters
    ----------
    name
        Name of the study.
    recipes
        Returns the recipes of its models.
    conclude
        Returns the study, made from the trained models.
    further
        Returns more recipes, which depend on the results of `recipes`.
    measure
        Takes one more measurement of each model: of the further models if there are any, else of all.
    """

    name: str
    recipes: Callable[[Scale], Sequence[Recipe]]
    conclude: Callable[[Bank, Scale], Study]
    further: Callable[[Bank, Scale], Sequence[Recipe]] | None = None
    measure: Callable[[Any, Path, Scale], None] | None = None


def larger(*differences: Mean) -> str:
    """Judge a claim that something is larger, everywhere, by the intervals of the differences."""
    if all(difference.above for difference in differences):
        return HOLDS
    return FAILS if any(difference.below for difference in differences) else OPEN


def smaller(*differences: Mean) -> str:
    """Judge a claim that something is smaller everywhere."""
    return larger(*(Mean(-difference.value, difference.half, difference.seeds) for difference in differences))


def similar(within: float, *differences: Mean) -> str:
    """Judge a claim that things are similar: it holds if all intervals are within so many points of zero."""
    ends = [(d.value - d.half, d.value + d.half) for d in differences if d.half is not None]
    if any(low > within or high < -within for low, high in ends):
        return FAILS
    return HOLDS if len(ends) == len(differences) and all(-within <= a and b <= within for a, b in ends) else OPEN


def listed(differences: Collection[tuple[str, Mean]]) -> str:
    """Return differences as text."""
    return "; ".join(f"{name}: {mean}" for name, mean in differences)
