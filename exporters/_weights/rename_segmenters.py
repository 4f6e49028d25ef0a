"""Rename the weights of FusionSeg and MATNet from their authors' names to those of `sdmetrics.torch.TwoStream`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from sdmetrics.exporters.architectures.architecture import State

Renames = Sequence[tuple[str, str]]
"""Regular expressions and their replacements, applied one after the other."""

FUSIONSEG: Renames = (
    (r"^backbone\.app_stream\.", "appearance."),
    (r"^backbone\.mot_stream\.", "motion."),
    (r"^(appearance|motion)\.conv1\.", r"\1.stem.0."),
    (r"^(appearance|motion)\.bn1\.", r"\1.stem.1."),
    *((rf"^(appearance|motion)\.layer{stage - 1}\.", rf"\1.stage{stage}.") for stage in (2, 3, 4, 5)),
    (r"^backbone\.sensor_fusion\.layer1\.", "fusion.res2.mix."),
    (r"^backbone\.sensor_fusion\.layer4\.", "fusion.res5.mix."),
    (r"^classifier\.project\.", "decoder.project."),
    (r"^classifier\.aspp\.convs\.4\.1\.", "decoder.pyramid.4.1.0."),
    (r"^classifier\.aspp\.convs\.4\.2\.", "decoder.pyramid.4.1.1."),
    (r"^classifier\.aspp\.convs\.", "decoder.pyramid."),
    (r"^classifier\.aspp\.project\.", "decoder.join.0."),
    (r"^classifier\.classifier\.([01])\.", r"decoder.smooth.\1."),
    (r"^classifier\.classifier\.3\.", "decoder.mask."),
)
"""Names in the repository of the paper, github.com/YorkUCVIL/Static-Dynamic-Interpretability."""

MATNET: Renames = (
    *((rf"^encoder\.conv1_{number}\.", rf"{stream}.stem.0.") for number, stream in ((1, "appearance"), (2, "motion"))),
    *((rf"^encoder\.bn1_{number}\.", rf"{stream}.stem.1.") for number, stream in ((1, "appearance"), (2, "motion"))),
    (r"^encoder\.res(\d)_1\.", r"appearance.stage\1."),
    (r"^encoder\.res(\d)_2\.", r"motion.stage\1."),
    (r"^encoder\.coa_(res\d)\.proja\.", r"cross.\1.project_appearance."),
    (r"^encoder\.coa_(res\d)\.projb\.", r"cross.\1.project_motion."),
    (r"^encoder\.coa_(res\d)\.proj1\.", r"cross.\1.attend_appearance."),
    (r"^encoder\.coa_(res\d)\.proj2\.", r"cross.\1.attend_motion."),
    (r"^encoder\.coa_(res\d)\.rgating\.conv\.0\.", r"cross.\1.gate."),
    (r"^encoder\.gated_(res\d)\.excitation_1\.0\.", r"fusion.\1.channel.reduce."),
    (r"^encoder\.gated_(res\d)\.excitation_2\.0\.", r"fusion.\1.channel.expand."),
    (r"^encoder\.gated_(res\d)\.global_attention\.0\.", r"fusion.\1.overall."),
    (r"^encoder\.gated_(res\d)\.spatial\.conv\.", r"fusion.\1.spatial."),
    (r"^encoder\.gated_(res\d)\.spatial\.bn\.", r"fusion.\1.norm."),
    (r"^decoder\.bdry(\d)\.bn1\.", r"refinement.heads.res\1.0."),
    (r"^decoder\.bdry(\d)\.conv1\.", r"refinement.heads.res\1.1."),
    (r"^decoder\.bdry(\d)\.bn2\.", r"refinement.heads.res\1.3."),
    (r"^decoder\.bdry(\d)\.conv2\.", r"refinement.heads.res\1.4."),
    (r"^decoder\.bdry(\d)\.conv3\.", r"refinement.heads.res\1.6."),
    (r"^decoder\.concat\.", "refinement.combine."),
    (r"^decoder\.GC\.conv_l1\.", "decoder.context.tall_first.0."),
    (r"^decoder\.GC\.conv_l2\.", "decoder.context.tall_first.1."),
    (r"^decoder\.GC\.conv_r1\.", "decoder.context.flat_first.0."),
    (r"^decoder\.GC\.conv_r2\.", "decoder.context.flat_first.1."),
    (r"^decoder\.convG1\.", "decoder.smooth.1."),
    (r"^decoder\.convG2\.", "decoder.smooth.3."),
    (r"^decoder\.RF(\d)\.pdc\.block0\.", r"decoder.refine.res\1.plain."),
    (r"^decoder\.RF(\d)\.pdc\.block1\.conv\.", r"decoder.refine.res\1.dilated.0."),
    (r"^decoder\.RF(\d)\.pdc\.block2\.conv\.", r"decoder.refine.res\1.dilated.1."),
    (r"^decoder\.RF(\d)\.pdc\.block3\.conv\.", r"decoder.refine.res\1.dilated.2."),
    (r"^decoder\.RF(\d)\.pdc\.bn\.", r"decoder.refine.res\1.norm."),
    (r"^decoder\.RF(\d)\.convFS2\.", r"decoder.refine.res\1.smooth_stage.1."),
    (r"^decoder\.RF(\d)\.convFS3\.", r"decoder.refine.res\1.smooth_stage.3."),
    (r"^decoder\.RF(\d)\.convMM1\.", r"decoder.refine.res\1.smooth.1."),
    (r"^decoder\.RF(\d)\.convMM2\.", r"decoder.refine.res\1.smooth.3."),
    (r"^decoder\.pred2\.", "decoder.mask."),
)
"""Names in github.com/tfzhou/MATNet and for the paper's variants in github.com/MSiam/MATNet_FusionCrossConStudy."""

NEVER_RUN = re.compile(
    r"^backbone\.sensor_fusion\.layer[23]\."
    r"|^encoder\.coa_res\d\.(bottolneck\d|bn[ab])\."
    r"|^decoder\.(RF\d\.convFS1|pred[345])\."
)
"""Weights that the authors' code creates and saves but does not use."""


def translated(state: State) -> dict[str, Tensor]:
    """Return the weights of the authors' checkpoint under the names of `TwoStream`. Other weights keep their names.

    FusionSeg's logits of background and object are replaced by their difference, whose sigmoid equals the softmax of
    both.

    Raises
    ------
    InputError
        If the weights are those of RTNet, which is another network.

    Examples
    --------
    >>> import torch
    >>> list(translated({"encoder.conv1_2.weight": torch.ones(1), "encoder.coa_res3.bna.bias": torch.ones(1)}))
    ['motion.stem.0.weight']
    >>> names = ["backbone.app_stream.bn1.bias", "classifier.classifier.3.bias"]
    >>> translated(dict.fromkeys(names, torch.tensor([1.0, 3.0])))["decoder.mask.bias"]
    tensor([2.])
    """
    if any(name.startswith("STTransformer") for name in state):
        raise InputError(
            "these are weights of RTNet as published, which reads two frames and the flow forwards and backwards; this "
            "architecture reads one frame and one flow, so they do not fit. Train it with sdmetrics.torch.rtnet"
        )
    renames = FUSIONSEG if any(name.startswith("backbone.app_stream.") for name in state) else MATNET
    named = {}
    for name, tensor in state.items():
        if not NEVER_RUN.search(name):
            for pattern, replacement in renames:
                name = re.sub(pattern, replacement, name)
            named[name] = tensor
    for name in ("decoder.mask.weight", "decoder.mask.bias"):
        if name in named and named[name].ndim and len(named[name]) == 2:
            background, mask = named[name].chunk(2)
            named[name] = mask - background
    return named
