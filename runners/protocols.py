"""What analysis, evaluation and ablation need of a runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdmetrics.probes.inputs import ModelInput

UnitMasks = Mapping[str, NDArray[np.float64]]
"""For some layers a mask `(units,)`; 0 removes a unit."""

Outputs = Mapping[str, NDArray[Any]]
"""The model's own outputs by name."""

COARSE = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Machine epsilon of the precisions that are coarser than the float32 in which units come out."""

CAUTION = (
    "the model was trained with {losses} on shuffled clips, which this metric compares, too, so more dynamic units "
    "alone prove nothing; judge by what it was not trained on: accuracy where appearance does not tell the class, or "
    "on appearance-free clips (sdmetrics evaluate --manipulate appearance-free)"
)
"""Of a model whose training optimised what is measured."""

TF32 = 2.0**-10
"""Machine epsilon of TF32, in which a GPU may multiply float32."""


class ModelRunner(Protocol):
    """What all runners have in common.

    A runner may also have a `name`, what reports call its model, and a `circumstance`: where and how it runs (provider,
    threads, versions), which is recorded but never decides whether numbers belong together.
    """

    @property
    def inputs(self) -> Sequence[ModelInput]:
        """The model's inputs."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All about the model that decides its numbers: its content, its layers with their axes, its precision."""


class Runner(ModelRunner, Protocol):
    """Runs a probe."""

    @property
    def layers(self) -> Sequence[str]:
        """The layers whose units come out."""

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[np.floating[Any]]]:
        """Return for each layer the pooled units `(N, units)` of `N` views."""


class OutputRunner(ModelRunner, Protocol):
    """Runs a model for its own outputs: class scores, or maps of the foreground."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Outputs:
        """Return the model's own outputs by name."""


class MaskedRunner(Runner, Protocol):
    """Runs a probe that has unit masks.

    It may also have a method `run_masks`, which takes feeds and several masks and yields what `run` returns under each;
    an ablation then calls that, with the masks of one layer at a time.
    """

    def run(self, feeds: Mapping[str, NDArray[Any]], masks: UnitMasks | None = None) -> Outputs:
        """Return the model's own outputs; a layer's mask `(units,)` multiplies what the layer's consumers read."""


class TensorRunner(Runner, Protocol):
    """Runs a model for what its layers hold before it is pooled."""

    def tensors(self, feeds: Mapping[str, NDArray[Any]], layers: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        """Return for each of some layers what it holds for one view, `(rows, units, …)`; rows are folded time."""


def noted(losses: Sequence[str]) -> dict[str, Any]:
    """Return the part of a model's identity about the losses on shuffled clips that it was trained with, if any."""
    return {"trained_on_shuffled": list(losses)} if losses else {}


def model_description(runner: ModelRunner) -> dict[str, Any]:
    """Return what results record of a runner's model: its name and its identity, and a caution where one applies.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model_description(SimpleNamespace(name="slowfast", identity={"precision": "float32"}, inputs=[]))
    {'name': 'slowfast', 'precision': 'float32'}
    """
    named = {"name": str(getattr(runner, "name", type(runner).__name__)), **runner.identity}
    losses = runner.identity.get("trained_on_shuffled")
    return {**named, "caution": CAUTION.format(losses=" and ".join(losses))} if losses else named


def rounding_of(runner: ModelRunner) -> float:
    """Return the machine epsilon of the precision that a runner's model computes in; 0 if it is at least float32.

    Units come out as float32, which does not tell.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> rounding_of(SimpleNamespace(identity={"precision": "float16"}, inputs=[]))
    0.0009765625
    """
    return max(COARSE.get(str(runner.identity.get("precision")), 0.0), TF32 if runner.identity.get("tf32") else 0.0)


def circumstance_of(runner: ModelRunner) -> dict[str, Any]:
    """Return where and how a runner runs, as far as it describes it."""
    return dict(getattr(runner, "circumstance", {}))
