"""The bank of trained models: every recipe is trained once, kept on disk, and shared by all studies."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from benchmarks.studies import records
from benchmarks.studies.trainers import TRAINERS
from sdmetrics._files import replacing
from sdmetrics._progress import progress_bar


class Recipe(Protocol):
    """Everything that determines a trained model: a frozen dataclass, whose trainer is in `TRAINERS`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> str:
        """A name that differs where anything differs."""


class Bank:
    """A folder of trained models, with one weights file and one record for each recipe.

    A training that was interrupted starts again from the beginning; a finished training is never repeated. The names of
    the files change with anything in the recipe. A record in the file `kept` counts as one in the folder, although its
    weights are not at hand.
    """

    def __init__(self, folder: str | Path = "build/studies", kept: Path | None = None) -> None:
        self.folder = Path(folder)
        self._kept = records.read(kept) if kept else {}

    def record(self, recipe: Recipe) -> dict[str, Any]:
        """Return what was measured of a trained model."""
        if recipe.key in self._kept and not self._record(recipe).exists():
            return self._kept[recipe.key]
        record: dict[str, Any] = json.loads(self._record(recipe).read_text(encoding="utf-8"))
        return record

    def has_record(self, recipe: Recipe) -> bool:
        """Return whether a model was trained and measured, here or in an earlier run whose records were kept."""
        return recipe.key in self._kept or self._record(recipe).exists()

    def model(self, recipe: Recipe) -> nn.Module:
        """Return a trained model, in evaluation mode, without its dropout."""
        model = TRAINERS[type(recipe)].build(recipe)
        weights = torch.load(self._weights(recipe), weights_only=True)
        model.load_state_dict({name: value for name, value in weights.items() if not name.startswith("dropout.")})
        return model.eval()

    def fill(self, recipes: Iterable[Recipe], processes: int | None = None) -> None:
        """Train what is missing, one model on one core each."""
        unique = {recipe.key: recipe for recipe in recipes}
        missing = [recipe for recipe in unique.values() if not self.has_record(recipe)]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.each(_train, missing, "models trained", processes)

    def each(
        self, work: Callable[[Any, Path], None], recipes: Sequence[Recipe], title: str, processes: int | None = None
    ) -> None:
        """Call `work` with each recipe and this folder, in separate processes, one core each."""
        if not recipes:
            return
        processes = min(processes or len(os.sched_getaffinity(0)), len(recipes))
        with (
            ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool,
            progress_bar(title, len(recipes)) as advance,
        ):
            try:
                for done in as_completed([pool.submit(work, recipe, self.folder) for recipe in recipes]):
                    done.result()
                    advance(1)
            finally:
                pool.shutdown(cancel_futures=True)

    def _record(self, recipe: Recipe) -> Path:
        return self.folder / f"{recipe.key}.json"

    def _weights(self, recipe: Recipe) -> Path:
        return self.folder / f"{recipe.key}.pt"


def _train(recipe: Recipe, folder: Path) -> None:
    """Train one model and save it. The record is written last: where it exists, the weights do too."""
    model, record = TRAINERS[type(recipe)].train(recipe)
    with replacing(folder / f"{recipe.key}.pt") as path:
        torch.save(model.state_dict(), path)
    with replacing(folder / f"{recipe.key}.json") as path:
        path.write_text(json.dumps({"recipe": asdict(recipe), **record}) + "\n", encoding="utf-8")
