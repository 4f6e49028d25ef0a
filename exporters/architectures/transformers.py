"""Architectures that Transformers builds.

`sdmetrics.exporters._weights.transformers_folder` opens their weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, load_library
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.torch_hooks import PER_FRAME

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class TransformersSource:
    """The place of an architecture in Transformers, and the names that Transformers uses.

    Parameters
    ----------
    package, model, processor
        The package, the class of the model, and the class of the processor that prepares its videos.
    frames, size
        The fields of its configuration that hold the number of frames and the size; `frames` is empty for a model that
        reads any number of frames.
    token
        Numbers of frames and pixels that one token covers.
    options
        Options of the published weights that differ from the configuration's defaults.
    outputs
        Names of the outputs that the module returns.
    time_major
        Whether the first axis of its outputs is frames x clips, in this order.
    per_frame
        For a model that runs its last blocks once for every frame: the list of blocks, and the field with their number.
    """

    package: str
    model: str
    processor: str
    frames: str = "num_frames"
    size: str = "image_size"
    token: tuple[int, int] = (1, 16)
    options: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("logits",)
    time_major: bool = False
    per_frame: tuple[str, str] | None = None

    def load(self) -> Any:  # noqa: ANN401 (Transformers is imported late)
        """Return the model's class, whose `config_class` is the class of its configuration."""
        return getattr(load_library(f"transformers.models.{self.package}.modeling_{self.package}"), self.model)


def build(source: TransformersSource, inputs: Sequence[ModelInput], classes: int, **options: object) -> nn.Module:
    """Build a model with random weights that reads `inputs`. `options` override the published configuration.

    Raises
    ------
    InputError
        If the frames or the size are not a whole number of tokens.

    Examples
    --------
    >>> small = dict(num_hidden_layers=1, hidden_size=8, num_attention_heads=1, intermediate_size=8)
    >>> video = ModelInput("video", frames=2, size=(16, 16), layout="NTCHW")
    >>> type(build(SOURCES["vivit_b_16x2"], [video], classes=5, **small)).__name__
    'VivitForVideoClassification'
    """
    (video,) = inputs
    check_tokens(source, video)
    described = {source.size: video.size[0], **({source.frames: video.frames} if source.frames else {})}
    labels = {"num_labels": classes} if classes else {}
    model = source.load()
    return as_video_model(
        source, model(model.config_class(**{**source.options, **described, **labels, **options})), video
    )


def check_tokens(source: TransformersSource, video: ModelInput) -> None:
    """Raise an `InputError` unless a clip can be split into whole tokens."""
    frames, pixels = source.token
    height, width = video.size
    if video.layout != "NTCHW" or height != width or height % pixels or video.frames % frames:
        raise InputError(
            f"{source.model} cannot read {video.frames} frames of {height} x {width} in the layout {video.layout}; it "
            f"reads square frames in the layout NTCHW, their side a multiple of {pixels}, their number of {frames}"
        )


def as_video_model(source: TransformersSource, model: nn.Module, video: ModelInput) -> nn.Module:
    """Make a model of Transformers read one tensor `(N, T, C, H, W)` and return its main outputs, clips first.

    The model and the names of its parts stay the same, so its published weights fit.
    """
    shape = (video.frames, 3, *video.size)

    def check(_model: nn.Module, fed: tuple[Tensor, ...]) -> None:
        given = tuple(fed[0].shape[1:])
        if given != shape:
            raise InputError(
                f"{source.model} was made for clips of the shape {shape} and got {given}; its position embeddings "
                "require that number of frames and that size. Feed it such clips"
            )

    def select(_model: nn.Module, _fed: tuple[Tensor, ...], output: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        named = {name: output[name] for name in source.outputs}
        if source.time_major:
            named = {
                name: value.reshape(shape[0], -1, *value.shape[1:]).swapaxes(0, 1) for name, value in named.items()
            }
        return named if len(named) > 1 else named.popitem()[1]

    if source.per_frame:
        path, field_name = source.per_frame
        blocks = [f"{path}.{name}" for name, _ in model.get_submodule(path).named_children()]
        setattr(model, PER_FRAME, blocks[-getattr(model.config, field_name) :])
    model.register_forward_pre_hook(check)
    model.register_forward_hook(select)
    return model


def _video(frames: int, stride: int, side: int, mean: Sequence[float], std: Sequence[float]) -> tuple[ModelInput, ...]:
    """Describe the only input."""
    (m1, m2, m3), (s1, s2, s3) = mean, std
    return (ModelInput("video", "rgb", frames, stride, (side, side), "NTCHW", (m1, m2, m3), (s1, s2, s3)),)


def _blocks(path: str, count: int, name: str = "block") -> dict[str, str]:
    """Return the layers for a list of transformer blocks."""
    return {f"{name}{number + 1}": f"{path}.{number}" for number in range(count)}


SOURCES = {
    "timesformer_8x32": TransformersSource(
        "timesformer", "TimesformerForVideoClassification", "TimesformerVideoProcessor"
    ),
    "videomae_b_16x4": TransformersSource(
        "videomae", "VideoMAEForVideoClassification", "VideoMAEVideoProcessor", token=(2, 16)
    ),
    "vivit_b_16x2": TransformersSource("vivit", "VivitForVideoClassification", "VivitVideoProcessor", token=(2, 16)),
    "vjepa2_vitl": TransformersSource(
        "vjepa2",
        "VJEPA2ForVideoClassification",
        "VJEPA2VideoProcessor",
        frames="frames_per_clip",
        size="crop_size",
        token=(2, 16),
    ),
    # Its weights are published without a head, so it returns the tokens.
    "videoprism_b": TransformersSource(
        "videoprism",
        "VideoPrismVisionModel",
        "LlavaOnevisionVideoProcessor",
        token=(1, 18),
        outputs=("last_hidden_state",),
    ),
    "videomt": TransformersSource(
        "videomt",
        "VideomtForUniversalSegmentation",
        "VideomtVideoProcessor",
        frames="",
        options={"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "num_blocks": 3},
        outputs=("class_queries_logits", "masks_queries_logits"),
        time_major=True,
        per_frame=("layers", "num_blocks"),
    ),
}
"""The places in Transformers by the architecture's name."""

ROWS = (
    Architecture(
        name="timesformer_8x32",
        family="TimeSformer",
        inputs=_video(8, 32, 224, (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
        labels="Kinetics-400",
        classes=400,
        build=partial(build, SOURCES["timesformer_8x32"]),
        layers=_blocks("timesformer.encoder.layer", 12),
        weights="facebook/timesformer-base-finetuned-k400",
    ),
    Architecture(
        name="videomae_b_16x4",
        family="VideoMAE",
        inputs=_video(16, 4, 224, IMAGENET_MEAN, IMAGENET_STD),
        labels="Kinetics-400",
        classes=400,
        build=partial(build, SOURCES["videomae_b_16x4"]),
        layers=_blocks("videomae.encoder.layer", 12),
        weights="MCG-NJU/videomae-base-finetuned-kinetics",
    ),
    Architecture(
        name="vivit_b_16x2",
        family="ViViT",
        inputs=_video(32, 2, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        labels="Kinetics-400",
        classes=400,
        build=partial(build, SOURCES["vivit_b_16x2"]),
        layers=_blocks("vivit.layers", 12),
        weights="google/vivit-b-16x2-kinetics400",
    ),
    Architecture(
        name="vjepa2_vitl",
        family="V-JEPA 2",
        inputs=_video(16, 4, 256, IMAGENET_MEAN, IMAGENET_STD),
        labels="Something-Something v2",
        classes=174,
        build=partial(build, SOURCES["vjepa2_vitl"]),
        # Only the encoder's blocks; the four blocks after it are the head that was trained on its frozen tokens.
        layers=_blocks("vjepa2.encoder.layer", 24),
        weights="facebook/vjepa2-vitl-fpc16-256-ssv2",
    ),
    Architecture(
        name="videoprism_b",
        family="VideoPrism",
        # Sixteen frames spread over the whole video, which in Kinetics lasts ten seconds.
        inputs=_video(16, 16, 288, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        labels="",
        classes=0,
        build=partial(build, SOURCES["videoprism_b"]),
        layers=_blocks("spatial_layers", 12, "spatial_block") | _blocks("temporal_layers", 4, "temporal_block"),
        weights="google/videoprism-base-f16r288",
    ),
    Architecture(
        name="videomt",
        family="VidEoMT",
        # The clips that it was trained on: every fifth frame, as YouTube-VIS annotates them.
        inputs=_video(5, 5, 640, IMAGENET_MEAN, IMAGENET_STD),
        labels="YouTube-VIS 2019",
        classes=40,
        build=partial(build, SOURCES["videomt"]),
        layers=_blocks("layers", 12),
        weights="tue-mps/videomt-dinov2-small-ytvis2019",
    ),
)
