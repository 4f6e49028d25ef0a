"""The scores of one slice of the clips under every mask of a plan: measured, stored and read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import replacing
from sdmetrics.ablation.plan import Plan
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.prefetch import Unusable
from sdmetrics.clips.render import Feeds, Shown, feeds
from sdmetrics.clips.views import View
from sdmetrics.errors import InputError
from sdmetrics.runners.protocols import MaskedRunner, Outputs

Score = Callable[[Outputs, Sequence[Clip]], Any]
"""Takes the model's outputs by name and the `N` clips that they are of; returns `(N,)` numbers, higher is better."""


@dataclass
class Part:
    """What one slice of the clips came to.

    Parameters
    ----------
    values
        float64 `(clips, masks, scores)`.
    skipped
        `{"id", "reason"}` of the clips that could not be used.
    felt
        The layers without some units of which an output of the model was another one.
    """

    values: NDArray[np.float64]
    skipped: list[dict[str, str]] = field(default_factory=list)
    felt: set[str] = field(default_factory=set)


def measure_part(
    runner: MaskedRunner,
    clips: Sequence[Clip],
    rendered: Iterator[tuple[View, Shown] | Unusable],
    plan: Plan,
    scores: Mapping[str, Score],
    batch: int,
    advance: Callable[[int], None],
) -> Part:
    """Run batches of clips, each under every mask, and score them; `rendered` gives the clips one by one.

    Raises
    ------
    InputError
        If a score is not one finite number per clip.
    """
    part = Part(np.empty((0, len(plan.masks), len(scores))))
    for start in range(0, len(clips), batch):
        some = clips[start : start + batch]
        used, views = [], []
        for clip, outcome in zip(some, rendered, strict=False):
            if isinstance(outcome, Unusable):
                part.skipped.append({"id": clip.id, "reason": outcome.reason})
                advance(len(plan.masks))
            else:
                used.append(clip)
                views.append(outcome)
        if used:
            values = []
            for outputs in _outputs(runner, feeds(*zip(*views, strict=True)), plan, part.felt):
                values.append([_scored(name, score, outputs, used) for name, score in scores.items()])
                advance(len(used))
            part.values = np.concatenate([part.values, np.moveaxis(np.array(values), -1, 0)])
    return part


def _outputs(runner: MaskedRunner, fed: Feeds, plan: Plan, felt: set[str]) -> Iterator[Outputs]:
    """Yield the outputs under every mask; add to `felt` the layers whose units are missed."""
    whole: dict[str, bytes] = {}
    for masks in plan.masks:
        outputs = runner.run(fed, masks)
        if masks:
            felt.update(masks if _bits(outputs) != whole else ())
        else:
            whole = _bits(outputs)
        yield outputs
    for layer, units in plan.units.items():
        if layer not in felt and _bits(runner.run(fed, {layer: np.zeros(units)})) != whole:
            felt.add(layer)


def _bits(outputs: Outputs) -> dict[str, bytes]:
    """Return the outputs to the last bit."""
    return {name: np.asarray(array).tobytes() for name, array in outputs.items()}


def _scored(name: str, score: Score, outputs: Outputs, clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Return one score of every clip."""
    given = np.asarray(score(outputs, clips))
    if given.shape != (len(clips),) or given.dtype.kind not in "fiub":
        raise InputError(
            f"score {name!r} gives {given.dtype} of shape {given.shape} for {len(clips)} clip(s); needed: a number for "
            f"each, of shape ({len(clips)},)"
        )
    finite = np.isfinite(given)
    if not finite.all():
        first = int(np.argmin(finite))
        raise InputError(
            f"score {name!r} of clip {clips[first].id!r} is {given[first]}; a mean needs finite numbers. Check the "
            "score and the model's outputs without units, or leave the clip out"
        )
    return given.astype(np.float64)


def save_part(part: Part, path: Path) -> None:
    """Write a part to one `.npz` file; a reader meets the whole file or none."""
    header = json.dumps({"skipped": part.skipped, "felt": sorted(part.felt)})
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, header=np.frombuffer(header.encode(), np.uint8), values=part.values)


def load_part(path: Path) -> Part | None:
    """Read a part; `None` where there is no whole one, so that it is made anew."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            return Part(file["values"], header["skipped"], set(header["felt"]))
    except Exception:  # whatever is wrong with the file, the remedy is the same
        return None
