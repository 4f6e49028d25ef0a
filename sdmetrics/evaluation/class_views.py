"""What a classifier answers to each view of a clip: as it is, and manipulated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.analysis.identity import Document
from sdmetrics.analysis.shape import COUNT, OneOf
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.manipulations.manipulate import manipulated_view
from sdmetrics.clips.render import Shown, feeds, plain
from sdmetrics.clips.views import View
from sdmetrics.errors import InputError
from sdmetrics.evaluation.class_scores import ScoreReader
from sdmetrics.evaluation.counterfactual import SHUFFLE, Counterfactual, shuffle_number
from sdmetrics.evaluation.ranks import TOPS, check_defined, check_labels, top_k
from sdmetrics.evaluation.slicewise import Arrays, Outcomes
from sdmetrics.runners.protocols import OutputRunner

UNTOUCHED = "in_order"

Rendered = list[tuple[View, Shown]]


@dataclass(frozen=True)
class ClassViews:
    """Runs a classifier on the views of clips.

    Parameters
    ----------
    runner
        Runs the model.
    read
        Reads the class scores.
    manipulations
        What is done to a clip in each view after the first.
    compared
        The manipulations whose outputs are compared with those of the first view, and kept for that.
    seed
        Random seed of the manipulations.
    batch
        Batch size, in views.
    labels
        The index of each clip's class, by its id; empty if there are no labels.
    counterfactual
        How shuffled predictions are subtracted, for which the scores of its views are kept.
    """

    runner: OutputRunner
    read: ScoreReader
    manipulations: Sequence[str]
    compared: Sequence[str]
    seed: int
    batch: int
    labels: Mapping[str, int]
    counterfactual: Counterfactual | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all views."""
        return UNTOUCHED, *self.manipulations

    @property
    def kept(self) -> tuple[str, ...]:
        """The views beside the first whose outputs are kept."""
        return tuple(dict.fromkeys((*self.compared, *(self.counterfactual.views if self.counterfactual else ()))))

    @property
    def shape(self) -> dict[str, Any]:
        """The shape of a clip's row, and of what is read of the model."""
        right = dict.fromkeys(self.names if self.labels else (), dict.fromkeys(TOPS, bool))
        agrees = dict.fromkeys(self.compared, OneOf((True, False, None)))
        read = {"output": str, "classes": COUNT, "frames": COUNT}
        if self.counterfactual:
            read["scores"] = OneOf(("logits", "probabilities"))
        return {"row": {"id": str, "right": right, "agrees": agrees}, "read": read}

    def render(self, clip: Clip) -> Rendered:
        """Return all views of a clip, which is decoded once."""
        frames = clip.frames
        decoded = replace(clip, load=lambda: frames)
        inputs = self.runner.inputs
        view = plain(decoded, inputs)

        def manipulated(name: str) -> tuple[View, Shown]:
            number = shuffle_number(name)
            how = (name, self.seed) if number is None else (SHUFFLE, self.seed + number)
            return manipulated_view(how[0], decoded, *view, how[1], inputs)

        return [view, *map(manipulated, self.manipulations)]

    def score(self, usable: Iterator[tuple[Clip, Rendered]]) -> tuple[list[Document], Arrays]:
        """Return a row for each clip, and `outputs`, float32 `(clips, 1 + kept, classes)`, if any are kept.

        A row has for each view whether the label's class is among the highest (`right`), and for each compared one
        whether it agrees with the first on the highest class (`agrees`), `None` if there is one class only.
        """
        used: list[str] = []

        def views() -> Iterator[tuple[str, View, Shown]]:
            for clip, rendered in usable:
                used.append(clip.id)
                yield from ((clip.id, *view) for view in rendered)

        right, highest, outputs = [], [], []
        waiting = views()
        while of_batch := list(islice(waiting, self.batch)):
            ids, in_view, shown = zip(*of_batch, strict=True)
            values = self.read(self.runner.run(feeds(in_view, shown)), len(of_batch))
            check_defined(values, ids)
            if self.labels:
                check_labels(np.array(list(self.labels.values())), values)
                expected = np.array([self.labels[name] for name in ids])
                right.append(np.stack([top_k(values, expected, k, ids) for k in TOPS.values()], axis=1))
            self._settle(values)
            if self.kept:
                highest.append(values.argmax(axis=1))
                outputs.append(values.astype(np.float32))
        if not used:
            return [], {}
        kept = self._kept(outputs, len(used))
        rights, agreements = self._right(right, len(used)), self._agreements(highest, kept, len(used))
        rows = zip(used, rights, agreements, strict=True)
        return [{"id": name, "right": tops, "agrees": agrees} for name, tops, agrees in rows], kept

    def accepts(self, found: Outcomes) -> bool:
        """Return whether stored outcomes read the same output, and have all that is compared."""
        if found.read and not self.read.read:
            self.read.read |= found.read
        if not found.read or found.read != self.read.read:
            return not found.read
        outputs = found.arrays.get("outputs")
        if outputs is None or not self.kept:
            return outputs is None and not self.kept
        expected = len(found.rows), 1 + len(self.kept), found.read["classes"]
        return outputs.dtype == np.float32 and outputs.shape == expected

    def _settle(self, values: NDArray[Any]) -> None:
        """Settle whether scores are logits or probabilities, if that matters."""
        if self.counterfactual is None:
            return
        kind = self.counterfactual.read_as(values)
        if self.read.read.setdefault("scores", kind) != kind:
            raise InputError(
                "the scores of some clips are probabilities and those of others logits; specify which they are: "
                "logits=True or logits=False, on the command line --logits or --probabilities"
            )

    def _right(self, of_batches: Sequence[NDArray[np.bool_]], clips: int) -> list[Document]:
        """Return for each clip and view by which measures it is right."""
        if not self.labels:
            return [{}] * clips
        by_clip = np.concatenate(of_batches).reshape(clips, len(self.names), len(TOPS)).tolist()
        return [
            dict(zip(self.names, (dict(zip(TOPS, tops, strict=True)) for tops in row), strict=True)) for row in by_clip
        ]

    def _kept(self, of_batches: Sequence[NDArray[np.float32]], clips: int) -> dict[str, NDArray[np.float32]]:
        """Return the outputs that are kept."""
        if not self.kept:
            return {}
        by_clip = np.concatenate(of_batches).reshape(clips, len(self.names), -1)
        return {"outputs": by_clip[:, [0, *map(self.names.index, self.kept)]]}

    def _agreements(
        self, of_batches: Sequence[NDArray[np.int64]], kept: Mapping[str, NDArray[np.float32]], clips: int
    ) -> list[Document]:
        """Return for each clip which compared views agree with the first."""
        if not self.compared:
            return [{}] * clips
        by_clip = np.concatenate(of_batches).reshape(clips, len(self.names))
        same = (by_clip[:, [*map(self.names.index, self.compared)]] == by_clip[:, :1]).tolist()
        undefined = kept["outputs"].shape[-1] < 2
        return [
            dict.fromkeys(self.compared) if undefined else dict(zip(self.compared, row, strict=True)) for row in same
        ]
