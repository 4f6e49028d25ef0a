"""Two-stream video object segmentation, made of parts that combine freely (paper, Sec. 4.1.2 and 5.3)."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn
from torch.nn.functional import interpolate

from sdmetrics.errors import InputError
from sdmetrics.torch.segmenters.backbones import STAGES, stage_shapes, take_apart
from sdmetrics.torch.segmenters.cross_connections import Cross, make_cross
from sdmetrics.torch.segmenters.decoders import Decoder, make_decoder
from sdmetrics.torch.segmenters.fusion import Fusion, make_fusion
from sdmetrics.torch.segmenters.refinement import BoundaryRefinement


class TwoStream(nn.Module):
    """Finds the moving objects of a frame from the frame itself and from the optical flow to the next one.

    Each input has a stream of its own, a ResNet-like backbone. Cross connections join the streams after some of their
    stages, fusions make one of the two for the decoder, and boundary refinement tells the decoder where objects end.

    The layers that the paper measures are modules, and all that comes after a layer reads what its module returns:
    `appearance.res2` to `appearance.res5` and `motion.res2` to `motion.res5` are a stream's features after a stage and
    after its cross connection, if any, `fusion.res2` and so on the fused ones. `layers` holds these names.

    Parameters
    ----------
    appearance, motion
        The backbones of the frame and of the flow; see `backbones.take_apart`. Their parts become the model's; they
        must have the same number of channels after every stage.
    cross
        Which way cross connections go: `"none"`, `"motion_to_appearance"` or `"both_ways"` by co-attention, or
        `"reciprocal"`, RTNet's own; see `sdmetrics.torch.segmenters.cross_connections`.
    fusion
        `"concatenation"`, `"gated"` or `"convex_gated"`; see `sdmetrics.torch.segmenters.fusion`.
    refinement
        Whether boundaries are drawn and refine the mask; see `sdmetrics.torch.segmenters.refinement`.
    fused_stages, crossed_stages
        After which stages, of 2 to 5, the streams are fused and connected. Stage 5 is always fused.
    decoder, width
        `"refining"` or `"deeplab"`, and its number of channels; see `sdmetrics.torch.segmenters.decoders`.
    published
        Whether fusions and decoder compute what the authors' code does, where that is not what the paper's equations
        say; what differs stands there.

    Raises
    ------
    InputError
        If an argument is not allowed, a backbone lacks parts, or the two do not fit each other.

    Examples
    --------
    >>> import torch
    >>> from sdmetrics.torch.segmenters.backbones import small_resnet
    >>> model = TwoStream(small_resnet(), small_resnet(), cross="motion_to_appearance", refinement=True, width=16)
    >>> found = model(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64))
    >>> {name: tuple(logits.shape) for name, logits in found.items()}
    {'mask': (2, 1, 64, 64), 'boundaries': (2, 5, 64, 64)}
    >>> model.layers[:4]
    ('appearance.res2', 'appearance.res3', 'appearance.res4', 'appearance.res5')
    """

    def __init__(
        self,
        appearance: nn.Module,
        motion: nn.Module,
        *,
        cross: Cross = "none",
        fusion: Fusion = "gated",
        refinement: bool = False,
        fused_stages: Collection[int] = STAGES,
        crossed_stages: Collection[int] = (3, 4, 5),
        decoder: Decoder = "refining",
        width: int = 256,
        published: bool = False,
    ) -> None:
        super().__init__()
        _check_stages(fused_stages, crossed_stages, cross)
        if appearance is motion:
            raise InputError("appearance and motion are one and the same backbone; give two, such as copy.deepcopy's")
        self.fused = sorted(fused_stages)
        self.crossed = sorted(crossed_stages) if cross != "none" else []
        channels, self.appearance, self.motion = _streams(appearance, motion)
        self.cross = nn.ModuleDict({f"res{stage}": make_cross(cross, channels[stage], stage) for stage in self.crossed})
        fusions = {stage: make_fusion(fusion, channels[stage], published=published) for stage in self.fused}
        self.fusion = nn.ModuleDict({f"res{stage}": part for stage, part in fusions.items()})
        widths = {stage: part.channels for stage, part in fusions.items()}
        self.refinement = BoundaryRefinement(widths, width=width // 4) if refinement else None
        self.decoder = make_decoder(
            decoder, self.refinement.channels if self.refinement else widths, width, published=published
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the modules that are measured."""
        streams = [f"{stream}.res{stage}" for stream in ("appearance", "motion") for stage in STAGES]
        return (*streams, *(f"fusion.res{stage}" for stage in self.fused))

    def forward(self, image: Tensor, flow: Tensor) -> dict[str, Tensor]:
        """Segment frames.

        Parameters
        ----------
        image, flow
            A frame each, `(N, 3, H, W)`, and the flow to the next one in the same size, `(N, 3, H, W)` as a picture or
            `(N, 2, H, W)` as vectors, as the motion backbone reads it.

        Returns
        -------
        dict
            `"mask"`: logits `(N, 1, H, W)`. With refinement also `"boundaries"`: logits `(N, 1 + fused stages, H, W)`,
            of all stages together and of each.
        """
        size = image.shape[2:]
        if flow.shape[2:] != size:
            raise InputError(
                f"the image is {tuple(size)} and the flow {tuple(flow.shape[2:])} pixels; both are read in one size"
            )
        features = self._fused(image, flow)
        found = {}
        if self.refinement is not None:
            features, found["boundaries"] = self.refinement(features, size)
        return {"mask": interpolate(self.decoder(features), size, mode="bilinear"), **found}

    def _fused(self, image: Tensor, flow: Tensor) -> dict[int, Tensor]:
        """Return the fused features by stage."""
        features = {}
        appearance, motion = self.appearance["stem"](image), self.motion["stem"](flow)
        for stage in STAGES:
            name = f"res{stage}"
            appearance, motion = self.appearance[f"stage{stage}"](appearance), self.motion[f"stage{stage}"](motion)
            received = self.cross[name](appearance, motion) if stage in self.crossed else (None, None)
            appearance = self.appearance[name](appearance, received[0])
            motion = self.motion[name](motion, received[1])
            if stage in self.fused:
                features[stage] = self.fusion[name](appearance, motion)
        return features


class StreamFeatures(nn.Module):
    """A stream's features after a stage: with a cross connection relu(own + received), else its own as they are."""

    def forward(self, own: Tensor, received: Tensor | None = None) -> Tensor:
        """Return the features that all later parts read, `(N, channels, h, w)`."""
        return own if received is None else (own + received).relu()


def _streams(appearance: nn.Module, motion: nn.Module) -> tuple[dict[int, int], nn.ModuleDict, nn.ModuleDict]:
    """Return the channels of the stages, and the two streams: stem, stages and the features after each."""
    streams, shapes = [], []
    for backbone in (appearance, motion):
        stem, stages = take_apart(backbone)
        shapes.append(stage_shapes(stem, stages))
        parts = {f"stage{stage}": part for stage, part in stages.items()}
        measured = {f"res{stage}": StreamFeatures() for stage in stages}
        streams.append(nn.ModuleDict({"stem": stem, **parts, **measured}))
    for stage in STAGES:
        if shapes[0][stage] != shapes[1][stage]:
            raise InputError(
                f"after stage {stage}, 64 × 64 pixels are {shapes[0][stage][1:]} in the appearance backbone and "
                f"{shapes[1][stage][1:]} in that of motion (channels, height, width); give backbones of one shape"
            )
    return {stage: shape[1] for stage, shape in shapes[0].items()}, streams[0], streams[1]


def _check_stages(fused: Collection[int], crossed: Collection[int], cross: Cross) -> None:
    """Say which stages cannot be used."""
    for name, stages in (("fused_stages", fused), ("crossed_stages", crossed)):
        if not set(stages) <= set(STAGES) or len(set(stages)) != len(stages):
            raise InputError(f"{name} are {tuple(stages)}; allowed: any of 2, 3, 4, 5, each once")
    if max(STAGES) not in fused:
        raise InputError(f"fused_stages are {tuple(fused)}; 5 has to be one of them, as the decoder begins there")
    if cross != "none" and not crossed:
        raise InputError(f"cross is {cross!r} and crossed_stages are none; name at least one, or give cross='none'")
