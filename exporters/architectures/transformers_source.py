"""How models of Transformers are built, fed and read, whatever their size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, load_library, note
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.torch_hooks import PER_FRAME

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class TransformersSource:
    """The place of a model in Transformers, and the names that Transformers uses.

    Parameters
    ----------
    package, model, processor
        The package, the class of the model, and the class of the processor that prepares its videos.
    frames, size
        The fields of its configuration that hold the number of frames and the size; `frames` is empty for a model that
        reads any number of frames.
    blocks
        The beginning of the layers' names by the path of a list of blocks in the encoder.
    options
        Options of the published weights that differ from the configuration's defaults.
    outputs
        Names of the outputs that the module returns.
    called
        Further arguments of every call.
    folded
        Whether it is given the frames of all clips as one batch of images, and returns its outputs so.
    time_major
        Whether the first axis of its outputs is frames x clips, in this order.
    per_frame
        For a model that runs its last blocks once for every frame: the list of blocks, and the field with their number.
    unused
        Parts that these calls do not use, and that are removed.
    part, renamed
        For a model that is part of a larger one: the field of the larger configuration with its own, and the names of
        its weights there as regular expressions, with what replaces them.
    strides
        The distance between frames by the number of frames, where its authors evaluate models that read different
        numbers and do not cover the same time.
    spread
        Number of classes of the data set for which its authors spread the frames over the whole video.
    """

    package: str
    model: str
    processor: str
    frames: str = "num_frames"
    size: str = "image_size"
    blocks: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("logits",)
    called: Mapping[str, Any] = field(default_factory=dict)
    folded: bool = False
    time_major: bool = False
    per_frame: tuple[str, str] | None = None
    unused: tuple[str, ...] = ()
    part: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    strides: Mapping[int, int] = field(default_factory=dict)
    spread: int = 0

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
    >>> vivit = TransformersSource("vivit", "VivitForVideoClassification", "VivitVideoProcessor")
    >>> small = dict(num_hidden_layers=1, hidden_size=8, num_attention_heads=1, intermediate_size=8)
    >>> video = ModelInput("video", frames=2, size=(16, 16), layout="NTCHW")
    >>> type(build(vivit, [video], classes=5, **small)).__name__
    'VivitForVideoClassification'
    """
    (video,) = inputs
    described = {source.size: video.size[0], **({source.frames: video.frames} if source.frames else {})}
    labels = {"num_labels": classes} if classes else {}
    model = source.load()
    config = model.config_class(**{**source.options, **described, **labels, **options})
    check_tokens(source, config, video)
    return as_video_model(source, model(config), video)


def fed_for(source: TransformersSource, video: ModelInput, classes: int, where: object) -> ModelInput:
    """Return how a model with so many classes is fed.

    Warns
    -----
    UserWarning
        If its classes are those for which its authors spread the frames over the whole video.

    Examples
    --------
    >>> videomae = TransformersSource("videomae", "VideoMAEModel", "VideoMAEVideoProcessor", spread=174)
    >>> fed_for(videomae, ModelInput("video"), 400, "folder").sampling
    'window'
    """
    if not classes or classes != source.spread:
        return video
    note(
        f"{where}: its {classes} classes are those of Something-Something, for which its authors spread frames over "
        "the whole video; if they are not, use --sampling window"
    )
    return replace(video, sampling="spread", fps=None)


def token_of(config: Any) -> tuple[int, int]:  # noqa: ANN401 (classes of Transformers)
    """Return the numbers of frames and pixels that one token covers.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> token_of(SimpleNamespace(tubelet_size=2, patch_size=16)), token_of(SimpleNamespace(tubelet_size=[1, 18, 18]))
    ((2, 16), (1, 18))
    """
    tubelet, patch = getattr(config, "tubelet_size", 1), getattr(config, "patch_size", 1)
    frames, *sides = tubelet if isinstance(tubelet, (list, tuple)) else (tubelet, patch)
    side = sides[0][0] if isinstance(sides[0], (list, tuple)) else sides[0]
    return max(int(frames), 1), max(int(side), 1)


def check_tokens(source: TransformersSource, config: Any, video: ModelInput) -> None:  # noqa: ANN401
    """Raise an `InputError` unless a clip can be split into whole tokens."""
    frames, pixels = token_of(config)
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

    def feed(
        _model: nn.Module, fed: tuple[Tensor, ...], named: dict[str, Any]
    ) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
        given = tuple(fed[0].shape[1:])
        if given != shape:
            raise InputError(
                f"{source.model} was made for clips of the shape {shape} and got {given}; its position embeddings "
                "require that number of frames and that size. Feed it such clips"
            )
        return ((fed[0].flatten(0, 1),) if source.folded else fed), {**named, **source.called}

    def select(_model: nn.Module, _fed: tuple[Tensor, ...], output: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        named = {name: output[name] for name in source.outputs}
        if source.folded:
            named = {name: value.reshape(-1, shape[0], *value.shape[1:]) for name, value in named.items()}
        if source.time_major:
            named = {
                name: value.reshape(shape[0], -1, *value.shape[1:]).swapaxes(0, 1) for name, value in named.items()
            }
        return named if len(named) > 1 else named.popitem()[1]

    for part in source.unused:
        setattr(model, part, None)
    if source.per_frame:
        path, field_name = source.per_frame
        blocks = [f"{path}.{name}" for name, _ in model.get_submodule(path).named_children()]
        setattr(model, PER_FRAME, blocks[-getattr(model.config, field_name) :])
    model.register_forward_pre_hook(feed, with_kwargs=True)
    model.register_forward_hook(select)
    return model


def block_layers(source: TransformersSource, model: nn.Module) -> dict[str, str]:
    """Return the blocks of a model as layers: the module's path by the name.

    Examples
    --------
    >>> from torch import nn
    >>> encoder = nn.ModuleDict({"layer": nn.ModuleList([nn.Identity(), nn.Identity()])})
    >>> source = TransformersSource("videomae", "VideoMAEModel", "VideoMAEVideoProcessor", blocks={"layer": "block"})
    >>> block_layers(source, nn.ModuleDict({"videomae": encoder}))
    {'block1': 'videomae.layer.0', 'block2': 'videomae.layer.1'}
    """
    layers: dict[str, str] = {}
    for ending, name in source.blocks.items():
        paths = [path for path, _ in model.named_modules() if f".{path}".endswith(f".{ending}")]
        # The encoder's own, where a head has blocks too, is the least deep.
        path = min(paths, key=lambda path: path.count("."))
        count = sum(1 for _ in model.get_submodule(path).children())
        layers |= {f"{name}{number + 1}": f"{path}.{number}" for number in range(count)}
    return layers
