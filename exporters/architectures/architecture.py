"""Architecture: one entry of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import Tensor, nn

State = Mapping[str, "Tensor"]
"""Weights by name."""

Build = Callable[[Sequence[ModelInput], int], "nn.Module"]
"""Builds a module with random weights for model inputs and a number of classes."""


@dataclass(frozen=True)
class Architecture:
    """A named architecture: how it is built, fed and tapped.

    Parameters
    ----------
    name
        Name on the command line.
    family
        The name that variants of the architecture share.
    inputs
        How it is fed, as its authors evaluate it.
    labels, classes
        The label set of its published weights, and the number of its classes.
    build
        Builds the module with random weights for these inputs and a number of classes. The module is called with one
        tensor per input and returns the logits.
    layers
        The layers to measure: the module's path by the name that the paper or the field uses.
    weights
        Where its published weights are: a URL of a checkpoint, the name of torchvision's weights
        (`"S3D_Weights.KINETICS400_V1"`) or of a Transformers repository (`"MCG-NJU/videomae-base-finetuned-kinetics"`);
        empty if there are none.
    source
        URL of the owner's file, or of one beside it, that says how the owner evaluates it.
    """

    name: str
    family: str
    inputs: tuple[ModelInput, ...]
    labels: str
    classes: int
    build: Build
    layers: Mapping[str, str]
    weights: str = ""
    source: str = ""
