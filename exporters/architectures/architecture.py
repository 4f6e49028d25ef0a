"""What the catalogue knows of one architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdmetrics.probes.inputs import ModelInput

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
        The layers to measure: the name that the paper or the field uses, and the module's path.
    weights
        Where its published weights are: a URL of a checkpoint, the name of torchvision's weights
        (`"S3D_Weights.KINETICS400_V1"`) or of a Transformers repository (`"MCG-NJU/videomae-base-finetuned-kinetics"`);
        empty where there are none.
    """

    name: str
    family: str
    inputs: tuple[ModelInput, ...]
    labels: str
    classes: int
    build: Callable[[Sequence[ModelInput], int], nn.Module]
    layers: Mapping[str, str]
    weights: str = ""
