"""The scores of one slice of the clips under every mask of a plan: computed, stored and loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.ablation.plan import Plan
from sdmetrics.analysis.circumstance import Circumstance, circumstance
from sdmetrics.analysis.shape import ANYTHING, COUNT, SKIPPED, ShapeError, check_shape
from sdmetrics.analysis.shards import Slice, adds_up, load_part, save_part
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.prefetch import Unusable
from sdmetrics.clips.render import Feeds, Shown, feeds, plain
from sdmetrics.clips.views import View
from sdmetrics.errors import InputError
from sdmetrics.runners.protocols import MaskedRunner, Outputs, UnitMasks

Score = Callable[[Outputs, Sequence[Clip]], Any]
"""Takes the model's outputs by name and the `N` clips that they belong to; returns `(N,)` numbers, higher is better.

If it has an attribute `check`, that is called with every clip first, and raises an `InputError` for one to skip; an
attribute `identity` is JSON that tells it from other scores of its name.
"""

Rendered = tuple[View, Shown]

PART = {"looped": COUNT, "skipped": SKIPPED, "effective": [str], "ran_on": {str: ANYTHING}}
"""The shape of what a part's header says besides its ablation and its file."""


@dataclass
class Part:
    """The result of one slice of the clips.

    Parameters
    ----------
    values
        float64 `(clips, masks, scores)`.
    skipped
        `{"id", "reason"}` of the clips that could not be used.
    effective
        The layers whose removal, in whole or in part, changed an output of the model.
    ran_on
        Where and how it was computed.
    passing
        The skipped clips that may be readable another time; a part with any is not stored.
    looped
        How many of the clips used repeat frames since their videos are shorter than a clip.
    """

    values: NDArray[np.float64]
    skipped: list[dict[str, str]] = field(default_factory=list)
    effective: set[str] = field(default_factory=set)
    ran_on: Circumstance = field(default_factory=dict)
    passing: list[dict[str, str]] = field(default_factory=list)
    looped: int = 0


@dataclass(frozen=True)
class Scoring:
    """How the parts of an ablation are computed and stored: every clip is decoded once and runs under every mask."""

    runner: MaskedRunner
    plan: Plan
    scores: Mapping[str, Score]
    batch: int
    identity: str

    def render(self, clip: Clip) -> Rendered:
        """Return a clip as it is, if it can be scored."""
        for score in self.scores.values():
            if check := getattr(score, "check", None):
                check(clip)
        return plain(clip, self.runner.inputs)

    def make(
        self, rendered: Iterator[tuple[Clip, Rendered | Unusable]], clips: int, advance: Callable[[int], None]
    ) -> Part:
        """Run batches of clips, each under every mask, and score them.

        Raises
        ------
        InputError
            If a score is not one finite number per clip.
        """
        masks = len(self.plan.masks)
        part = Part(np.empty((0, masks, len(self.scores))), ran_on=circumstance(self.runner, self.batch))
        while batch := list(islice(rendered, self.batch)):
            used, views = [], []
            for clip, outcome in batch:
                if isinstance(outcome, Unusable):
                    part.skipped.append({"id": clip.id, "reason": outcome.reason})
                    part.passing += part.skipped[-1:] if outcome.transient else []
                    advance(masks)
                else:
                    used.append(clip)
                    part.looped += clip.looped
                    views.append(outcome)
            if used:
                values = []
                for outputs in self._outputs(feeds(*zip(*views, strict=True)), part.effective):
                    values.append([_scored(name, score, outputs, used) for name, score in self.scores.items()])
                    advance(len(used))
                part.values = np.concatenate([part.values, np.moveaxis(np.array(values), -1, 0)])
        if len(part.values) + len(part.skipped) != clips:
            raise AssertionError(f"{len(part.values)} used and {len(part.skipped)} skipped clips are not {clips}")
        return part

    def _outputs(self, fed: Feeds, effective: set[str]) -> Iterator[Outputs]:
        """Yield the outputs under every mask; add to `effective` the layers whose removal changes one."""
        together = getattr(self.runner, "run_masks", None)
        whole_model: list[Outputs] = []

        def without_and_under(masks: Sequence[UnitMasks]) -> Iterator[Outputs]:
            if together is not None:
                # Compared to the last bit is only what runs in the same way.
                return iter(together(fed, [{}, *masks]))
            if not whole_model:
                whole_model.append(self.runner.run(fed, {}))
            return chain(whole_model, (self.runner.run(fed, mask) for mask in masks))

        for index, (layer, units) in enumerate(self.plan.units.items()):
            outputs = without_and_under([masks for masks in self.plan.masks if layer in masks])
            first = next(outputs)
            whole = _bits(first)
            if index == 0:
                yield first
            for each in outputs:
                if layer not in effective and _bits(each) != whole:
                    effective.add(layer)
                yield each
            if layer not in effective:
                first, removed = without_and_under([{layer: np.zeros(units)}])
                if _bits(first) != _bits(removed):
                    effective.add(layer)

    def load(self, path: Path, piece: Slice) -> Part | None:
        """Read a part of this ablation, or return `None` if the file is missing or damaged."""
        stored = load_part(path, self.identity)
        if stored is None:
            return None
        header, arrays = stored
        try:
            check_shape({name: header[name] for name in PART}, PART, "header")
            part = Part(arrays["values"], header["skipped"], set(header["effective"]), header["ran_on"])
            part.looped = header["looped"]
        except (KeyError, ShapeError):
            return None
        of_a_clip = (len(self.plan.masks), len(self.scores))
        if part.values.ndim != 3 or part.values.shape[1:] != of_a_clip or part.values.dtype != np.float64:
            return None
        known = part.effective <= self.plan.units.keys() and np.isfinite(part.values).all()
        possible = part.looped <= len(part.values)
        return part if known and possible and adds_up(piece.clips, len(part.values), part.skipped) else None

    def save(self, part: Part, path: Path) -> None:
        """Store a part of this ablation, unless a clip is to be tried again."""
        if part.passing:
            return
        header = {name: getattr(part, name) for name in PART} | {"effective": sorted(part.effective)}
        save_part(path, self.identity, header, {"values": part.values})


def _bits(outputs: Outputs) -> dict[str, bytes]:
    """Return the outputs to the last bit."""
    return {name: np.asarray(array).tobytes() for name, array in outputs.items()}


def _scored(name: str, score: Score, outputs: Outputs, clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Return the score of every clip."""
    values = np.asarray(score(outputs, clips))
    if values.shape != (len(clips),) or values.dtype.kind not in "fiub":
        raise InputError(
            f"score {name!r} returns {values.dtype} of shape {values.shape} for {len(clips)} clip(s); expected a "
            f"number for each, of shape ({len(clips)},)"
        )
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.argmin(finite))
        raise InputError(
            f"score {name!r} of clip {clips[first].id!r} is {values[first]}; a mean needs finite numbers. Check the "
            "score and the model's outputs without units, or leave the clip out"
        )
    return values.astype(np.float64)
