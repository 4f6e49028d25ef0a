"""How the authors of FusionSeg, MATNet and VisTR name the weights of their video segmenters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdmetrics.exporters._weights.layouts.layout import Layout, Remake, Rename, thirds

if TYPE_CHECKING:
    from torch import Tensor


def _difference(logits: Tensor) -> Sequence[Tensor]:
    """Replace the logits of background and object by their difference, whose sigmoid equals the softmax of both."""
    return (logits.diff(dim=0) if len(logits) == 2 else logits,)


TWO_STREAM = r"appearance\.stem\.0\.weight"
FUSIONSEG: tuple[Rename | Remake, ...] = (
    Remake((r"classifier\.classifier\.3\.(weight|bias)",), (r"decoder.mask.\1",), _difference),
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
)

MATNET: tuple[Rename, ...] = (
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

VISTR: tuple[Rename | Remake, ...] = (
    (r"^vistr\.", ""),
    (r"^backbone\.0\.body\.", "backbone."),
    (r"^input_proj\.", "projection."),
    # Its layers are counted from 0, ours from 1.
    *((rf"^transformer\.(en|de)coder\.layers\.{n}\.", rf"\1coder.{n + 1}.") for n in range(6)),
    (r"^transformer\.decoder\.norm\.", "norm."),
    (r"\.self_attn\.", ".attention."),
    (r"\.multihead_attn\.", ".cross_attention."),
    (r"\.out_proj\.", ".out."),
    (r"\.linear1\.", ".feedforward.0."),
    (r"\.linear2\.", ".feedforward.3."),
    (r"^query_embed\.", "queries."),
    *((rf"^bbox_embed\.layers\.{n}\.", f"boxes.{2 * n}.") for n in range(3)),
    (r"^class_embed\.", "classes."),
    Remake((r"(.*)\.in_proj_(weight|bias)",), (r"\1.query.\2", r"\1.key.\2", r"\1.value.\2"), thirds),
)

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "github.com/YorkUCVIL/Static-Dynamic-Interpretability, FusionSeg",
        r"backbone\.app_stream\..*",
        TWO_STREAM,
        FUSIONSEG,
        unused=r"^backbone\.sensor_fusion\.layer[23]\.",
    ),
    # Also of the paper's variants, in github.com/MSiam/MATNet_FusionCrossConStudy.
    Layout(
        "github.com/tfzhou/MATNet",
        r"encoder\.conv1_[12]\.weight",
        TWO_STREAM,
        MATNET,
        unused=r"^encoder\.coa_res\d\.(bottolneck\d|bn[ab])\.|^decoder\.(RF\d\.convFS1|pred[345])\.",
    ),
    Layout(
        "RTNet as published",
        r"STTransformer.*",
        TWO_STREAM,
        refusal="these are weights of RTNet as published, which reads two frames and the flow forwards and backwards; "
        "this architecture reads one frame and one flow, so they do not fit. Train it with sdmetrics.torch.rtnet",
    ),
    Layout(
        "github.com/Epiphqny/VisTR",
        r"(vistr\.)?query_embed\.weight",
        r"queries\.weight",
        VISTR,
        left_out=(
            r"^(bbox_attention|mask_head|insmask_head)\.",
            "of VisTR's mask head are left out: its deformable convolutions are not exported. Layers, classes and "
            "boxes are those of the checkpoint",
        ),
    ),
)
