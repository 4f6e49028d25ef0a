"""What the catalogue knows of one architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdmetrics.views import ModelInput

if TYPE_CHECKING:
    from torch import Tensor, nn

State = Mapping[str, "Tensor"]
"""Weights by name."""


@dataclass(frozen=True)
class Architecture:
    """A named architecture: how it is built, fed and tapped.

    Parameters
    ----------
    name
        Its name on the command line.
    family
        The name that its variants share.
    inputs
        How it is fed, as its authors evaluate it.
    labels, classes
        The label set of its published weights, and how many classes that has.
    build
        Makes the module with random weights for the given inputs and number of classes; the module is called with
        one tensor per input and returns the logits.
    layers
        Gives, for a built module, the layers to measure: the name that the paper or the field uses, and the
        module's path.
    """

    name: str
    family: str
    inputs: tuple[ModelInput, ...]
    labels: str
    classes: int
    build: Callable[[Sequence[ModelInput], int], nn.Module]
    layers: Callable[[nn.Module], Mapping[str, str]]
