"""What the catalogue knows of one architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from sdmetrics.clips.views import ModelInput
from sdmetrics.errors import InputError, require

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


def load_library(module: str) -> ModuleType:
    """Import a module of a library that builds architectures.

    Raises
    ------
    MissingExtra
        If the library is not installed.
    InputError
        If it does not load beside the torch that is installed.

    Examples
    --------
    >>> load_library("json").__name__
    'json'
    """
    try:
        return require(module, extra="catalogue")
    # torchvision says so, with this, when its compiled operators were built for another torch.
    except RuntimeError as error:
        torch = require("torch", extra="catalogue")
        reason = " ".join(str(error).split())
        raise InputError(
            f"{module} cannot be imported beside torch {torch.__version__} ({reason}). Install a torch and a "
            "torchvision that belong together, both from one place: pip install --force-reinstall torch torchvision"
        ) from None
