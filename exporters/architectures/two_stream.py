"""Two-stream video object segmenters on torchvision's ResNets; see `sdmetrics.torch.segmenters.published`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.architectures.torchvision import IMAGENET
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import nn

STAGES = (2, 3, 4, 5)


def build(
    name: str,
    inputs: Sequence[ModelInput],  # noqa: ARG001 (all sizes are read)
    classes: int,  # noqa: ARG001 (there is one, the object)
    **options: Any,  # noqa: ANN401 (of the segmenter)
) -> nn.Module:
    """Build a segmenter with random weights.

    Parameters
    ----------
    name
        Name of a function in `sdmetrics.torch.segmenters.published`.
    inputs, classes
        Not used: a segmenter takes any size, and always has one class.
    options
        Arguments of the function.

    Examples
    --------
    >>> build("matnet", ROWS[1].inputs, 1, backbone="resnet18", refinement=False).layers[0]
    'appearance.res2'
    """
    from sdmetrics.torch.segmenters import published as segmenters

    module: nn.Module = getattr(segmenters, name)(**options)
    return module


def _row(
    name: str,
    family: str,
    size: tuple[int, int],
    source: str,
    fused: Sequence[int] = STAGES,
    **options: Any,  # noqa: ANN401 (of the segmenter)
) -> Architecture:
    """Return the row of a segmenter that reads a frame and its flow, as an image, both stretched to one size."""
    mean, std = IMAGENET
    streams = [f"{stream}.res{stage}" for stream in ("appearance", "motion") for stage in STAGES]
    return Architecture(
        name=name,
        family=family,
        inputs=tuple(
            ModelInput(name, shown, frames=1, stride=1, size=size, layout="NCHW", mean=mean, std=std, resize=size)
            for name, shown in (("image", "rgb"), ("flow", "flow"))
        ),
        # Its only label: the object that moves.
        labels="DAVIS 2016",
        classes=1,
        build=partial(build, family.lower(), **options),
        layers={layer: layer for layer in (*streams, *(f"fusion.res{stage}" for stage in fused))},
        source=f"https://github.com/{source}",
    )


PAPER = "YorkUCVIL/Static-Dynamic-Interpretability/blob/master/configs/twostreamv3plus_davis.json"
MATNET = "tfzhou/MATNet/blob/master/test_MATNet.py"

ROWS: tuple[Architecture, ...] = (
    _row("fusionseg", "FusionSeg", (480, 854), PAPER, fused=(2, 5)),
    # Built as in their authors' code, so that the authors' weights fit.
    _row("matnet", "MATNet", (473, 473), MATNET, published=True),
    _row("matnet_both_ways", "MATNet", (473, 473), MATNET, cross="both_ways", published=True),
    _row("rtnet", "RTNet", (384, 672), "OliverRensu/RTNet/blob/master/test.py"),
)
