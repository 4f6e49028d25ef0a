"""Architectures that Transformers builds.

`sdmetrics.exporters._weights.transformers_folder` opens their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.exporters.architectures.transformers_source import TransformersSource, block_layers, build
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from torch import nn

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GITHUB = "https://github.com/"
SOMETHING = 174
"""Classes of Something-Something."""


def _video(
    frames: int,
    stride: int,
    side: int,
    colours: tuple[Sequence[float], Sequence[float]],
    **chosen: Any,  # noqa: ANN401 (further fields)
) -> tuple[ModelInput, ...]:
    """Describe the only input."""
    (m1, m2, m3), (s1, s2, s3) = colours
    return (ModelInput("video", "rgb", frames, stride, (side, side), "NTCHW", (m1, m2, m3), (s1, s2, s3), **chosen),)


def _blocks(path: str, count: int, name: str = "block") -> dict[str, str]:
    """Return the layers for a list of transformer blocks."""
    return {f"{name}{number + 1}": f"{path}.{number}" for number in range(count)}


TOKENS = ("last_hidden_state",)
SOURCES = {
    "timesformer_8x32": TransformersSource(
        "timesformer",
        "TimesformerForVideoClassification",
        "TimesformerVideoProcessor",
        blocks={"encoder.layer": "block"},
        strides={96: 4},
        spread=SOMETHING,
    ),
    "videomae_b_16x4": TransformersSource(
        "videomae",
        "VideoMAEForVideoClassification",
        "VideoMAEVideoProcessor",
        blocks={"encoder.layer": "block"},
        spread=SOMETHING,
    ),
    "vivit_b_16x2": TransformersSource(
        "vivit", "VivitForVideoClassification", "VivitVideoProcessor", blocks={"layers": "block"}
    ),
    "vjepa2_vitl": TransformersSource(
        "vjepa2",
        "VJEPA2ForVideoClassification",
        "VJEPA2VideoProcessor",
        frames="frames_per_clip",
        size="crop_size",
        # Only the encoder's blocks; those after it are the head that was trained on its frozen tokens.
        blocks={"encoder.layer": "block"},
        strides={64: 2},
    ),
    # Its weights are published without a head, so it returns the tokens.
    "videoprism_b": TransformersSource(
        "videoprism",
        "VideoPrismVisionModel",
        "LlavaOnevisionVideoProcessor",
        blocks={"spatial_layers": "spatial_block", "temporal_layers": "temporal_block"},
        outputs=TOKENS,
    ),
    # The tower that reads frames. A token of every frame tells the others about it before each block.
    "xclip_b_32": TransformersSource(
        "x_clip",
        "XCLIPVisionModel",
        "VideoMAEVideoProcessor",
        blocks={"encoder.layers": "block"},
        outputs=("pooler_output",),
        folded=True,
    ),
    "videomt": TransformersSource(
        "videomt",
        "VideomtForUniversalSegmentation",
        "VideomtVideoProcessor",
        frames="",
        blocks={"layers": "block"},
        options={"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "num_blocks": 3},
        outputs=("class_queries_logits", "masks_queries_logits"),
        time_major=True,
        per_frame=("layers", "num_blocks"),
    ),
}
"""The places in Transformers by the architecture's name."""

WITHOUT_HEAD = {
    "timesformer_8x32": replace(SOURCES["timesformer_8x32"], model="TimesformerModel", outputs=TOKENS),
    "videomae_b_16x4": replace(SOURCES["videomae_b_16x4"], model="VideoMAEModel", outputs=TOKENS),
    "vivit_b_16x2": replace(SOURCES["vivit_b_16x2"], model="VivitModel", outputs=TOKENS),
    "vjepa2_vitl": replace(
        SOURCES["vjepa2_vitl"],
        model="VJEPA2Model",
        outputs=TOKENS,
        called={"skip_predictor": True},
        unused=("predictor",),
    ),
}
"""The places of the encoders alone, which return their tokens."""

VARIANTS = {
    **{source.model: source for source in WITHOUT_HEAD.values()},
    "VideoMAEForPreTraining": WITHOUT_HEAD["videomae_b_16x4"],
    "VideoPrismForVideoClassification": replace(
        SOURCES["videoprism_b"], model="VideoPrismForVideoClassification", outputs=("logits",)
    ),
    "VideoPrismClipModel": replace(
        SOURCES["videoprism_b"], part="vision_config", renamed={r"^video_model\.vision_model\.": ""}
    ),
    "XCLIPModel": replace(SOURCES["xclip_b_32"], part="vision_config", renamed={r"^vision_model\.": ""}),
}
"""How other classes are read that a folder may name, by their names in it."""


MODEL_TYPES = {
    "timesformer": "timesformer_8x32",
    "videomae": "videomae_b_16x4",
    "videomt": "videomt",
    "videoprism": "videoprism_b",
    "videoprism_vision_model": "videoprism_b",
    "vivit": "vivit_b_16x2",
    "vjepa2": "vjepa2_vitl",
    "xclip": "xclip_b_32",
    "xclip_vision_model": "xclip_b_32",
}
"""The architecture that is built and fed alike, by the type of model that a folder's configuration names."""


def build_sized(name: str, inputs: Sequence[ModelInput], classes: int, **options: object) -> nn.Module:
    """Build an architecture of Transformers, or its encoder alone if there are no classes."""
    return build(SOURCES[name] if classes else WITHOUT_HEAD.get(name, SOURCES[name]), inputs, classes, **options)


def layers_of(architecture: Architecture, module: nn.Module) -> Mapping[str, str]:
    """Return the layers of a module that an architecture built: of models of Transformers as many as it has."""
    source = SOURCES.get(architecture.name)
    return block_layers(source, module) if source else architecture.layers


ROWS = (
    Architecture(
        name="timesformer_8x32",
        family="TimeSformer",
        # Of three crops, as large as the short side, the one in the middle.
        inputs=_video(8, 32, 224, ((0.45,) * 3, (0.225,) * 3), resize=224, fps=30.0),
        labels="Kinetics-400",
        classes=400,
        build=partial(build_sized, "timesformer_8x32"),
        layers=_blocks("timesformer.encoder.layer", 12),
        weights="facebook/timesformer-base-finetuned-k400",
        source=f"{GITHUB}facebookresearch/TimeSformer/blob/main/configs/Kinetics/TimeSformer_divST_8x32_224.yaml",
    ),
    Architecture(
        name="videomae_b_16x4",
        family="VideoMAE",
        inputs=_video(16, 4, 224, IMAGENET, resize=224),
        labels="Kinetics-400",
        classes=400,
        build=partial(build_sized, "videomae_b_16x4"),
        layers=_blocks("videomae.encoder.layer", 12),
        weights="MCG-NJU/videomae-base-finetuned-kinetics",
        source=f"{GITHUB}MCG-NJU/VideoMAE/blob/main/scripts/kinetics/"
        "videomae_vit_base_patch16_224_tubemasking_ratio_0.9_epoch_1600/finetune.sh",
    ),
    Architecture(
        name="vivit_b_16x2",
        family="ViViT",
        # Its authors' Kinetics has 250 frames in ten seconds.
        inputs=_video(32, 2, 224, ((0.5,) * 3, (0.5,) * 3), resize=256, fps=25.0),
        labels="Kinetics-400",
        classes=400,
        build=partial(build_sized, "vivit_b_16x2"),
        layers=_blocks("vivit.layers", 12),
        weights="google/vivit-b-16x2-kinetics400",
        source=f"{GITHUB}google-research/scenic/blob/main/scenic/projects/vivit/configs/kinetics400/vivit_base_k400.py",
    ),
    Architecture(
        name="vjepa2_vitl",
        family="V-JEPA 2",
        inputs=_video(16, 4, 256, IMAGENET, resize=292),
        labels="Something-Something v2",
        classes=174,
        build=partial(build_sized, "vjepa2_vitl"),
        # Only the encoder's blocks; the four blocks after it are the head that was trained on its frozen tokens.
        layers=_blocks("vjepa2.encoder.layer", 24),
        weights="facebook/vjepa2-vitl-fpc16-256-ssv2",
        # For frames and stride; what a single crop is scaled to is in evals/video_classification_frozen/utils.py.
        source=f"{GITHUB}facebookresearch/vjepa2/blob/main/configs/eval/vitl/ssv2.yaml",
    ),
    Architecture(
        name="videoprism_b",
        family="VideoPrism",
        inputs=_video(16, 16, 288, ((0.0,) * 3, (1.0,) * 3), sampling="spread"),
        labels="",
        classes=0,
        build=partial(build_sized, "videoprism_b"),
        layers=_blocks("spatial_layers", 12, "spatial_block") | _blocks("temporal_layers", 4, "temporal_block"),
        weights="google/videoprism-base-f16r288",
        source=f"{GITHUB}google-deepmind/videoprism/blob/main/videoprism/colabs/videoprism_video_encoder_demo.ipynb",
    ),
    Architecture(
        name="xclip_b_32",
        family="X-CLIP",
        # Its authors take a frame from each of eight parts of the video.
        inputs=_video(8, 8, 224, IMAGENET, resize=256, sampling="spread"),
        labels="",
        classes=0,
        build=partial(build_sized, "xclip_b_32"),
        layers=_blocks("encoder.layers", 12),
        weights="microsoft/xclip-base-patch32",
        source=f"{GITHUB}microsoft/VideoX/blob/master/X-CLIP/datasets/build.py",
    ),
    Architecture(
        name="videomt",
        family="VidEoMT",
        # As many frames as it was trained on, and those that YouTube-VIS annotates: every fifth of 30 in a second. Its
        # authors put frames of any shape into the corner of the square, Transformers stretches them.
        inputs=_video(5, 1, 640, IMAGENET, resize=(640, 640), fps=6.0),
        labels="YouTube-VIS 2019",
        classes=40,
        build=partial(build_sized, "videomt"),
        layers=_blocks("layers", 12),
        weights="tue-mps/videomt-dinov2-small-ytvis2019",
        source=f"{GITHUB}huggingface/transformers/blob/main/src/transformers/models/videomt/video_processing_videomt.py",
    ),
)
