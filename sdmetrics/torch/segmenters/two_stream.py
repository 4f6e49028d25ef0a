"""Two-stream video object segmentation from interchangeable parts (paper, Sec. 4.1.2 and 5.3)."""

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
    """Segments the moving objects of a frame, given the frame and the optical flow to the next one.

    Each input has its own stream, a ResNet-like backbone. Cross connections exchange features between the streams
    after some of their stages, fusions combine both streams for the decoder, and boundary refinement adds object
    boundaries to the features that the decoder reads.

    The layers that the paper measures are modules, and all later parts read what these modules return:
    `appearance.res2` to `appearance.res5` and `motion.res2` to `motion.res5` are a stream's features after a stage and
    its cross connection, if any; `fusion.res2` and so on are the fused features. `layers` holds these names.

    Parameters
    ----------
    appearance, motion
        The backbones of the frame and of the flow; see `backbones.take_apart`. Their parts become parts of the model.
        Both must have the same output shape after every stage.
    cross
        Kind of cross connections: `"none"`, `"motion_to_appearance"` or `"both_ways"` (co-attention), or
        `"reciprocal"` (RTNet's); see `sdmetrics.torch.segmenters.cross_connections`.
    fusion
        `"concatenation"`, `"gated"` or `"convex_gated"`; see `sdmetrics.torch.segmenters.fusion`.
    refinement
        Whether boundaries are predicted to refine the mask; see `sdmetrics.torch.segmenters.refinement`.
    fused_stages, crossed_stages
        Stages, from 2 to 5, after which the streams are fused and connected. Stage 5 is always fused.
    decoder, width
        `"refining"` or `"deeplab"`, and its number of channels; see `sdmetrics.torch.segmenters.decoders`.
    published
        Whether fusions and decoder follow the authors' code where it differs from the paper's equations; see
        there for the differences.

    Raises
    ------
    InputError
        If an argument is not allowed, a backbone lacks parts, or the backbones' shapes differ.

    Examples
    --------
    >>> import torch
    >>> from sdmetrics.torch.segmenters.backbones import small_resnet
    >>> model = TwoStream(small_resnet(), small_resnet(), cross="motion_to_appearance", refinement=True, width=16)
    >>> outputs = model(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64))
    >>> {name: tuple(logits.shape) for name, logits in outputs.items()}
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
            raise InputError(
                "appearance and motion are the same backbone; pass two, e.g. a copy made with copy.deepcopy"
            )
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
        """Names of the modules that are measured."""
        streams = [f"{stream}.res{stage}" for stream in ("appearance", "motion") for stage in STAGES]
        return (*streams, *(f"fusion.res{stage}" for stage in self.fused))

    def forward(self, image: Tensor, flow: Tensor) -> dict[str, Tensor]:
        """Segment frames.

        Parameters
        ----------
        image, flow
            Frames `(N, 3, H, W)`, and the flow to the next frames in the same size, as the motion backbone reads it:
            `(N, 3, H, W)` as an image or `(N, 2, H, W)` as vectors.

        Returns
        -------
        dict
            `"mask"`: logits `(N, 1, H, W)`. With refinement also `"boundaries"`: logits `(N, 1 + fused stages, H, W)`,
            of all stages combined and of each stage.
        """
        size = image.shape[2:]
        if flow.shape[2:] != size:
            raise InputError(
                f"the image is {tuple(size)} and the flow {tuple(flow.shape[2:])} pixels; expected: the same size"
            )
        features = self._fused(image, flow)
        boundaries = {}
        if self.refinement is not None:
            features, boundaries["boundaries"] = self.refinement(features, size)
        return {"mask": interpolate(self.decoder(features), size, mode="bilinear"), **boundaries}

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
    """A stream's features after a stage: relu(own + received) with a cross connection, else its own unchanged."""

    def forward(self, own: Tensor, received: Tensor | None = None) -> Tensor:
        """Return the features that all later parts read, `(N, channels, h, w)`."""
        return own if received is None else (own + received).relu()


def _streams(appearance: nn.Module, motion: nn.Module) -> tuple[dict[int, int], nn.ModuleDict, nn.ModuleDict]:
    """Return the channels of the stages, and both streams: stem, stages and the features after each stage."""
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
                f"{shapes[1][stage][1:]} in the motion backbone (channels, height, width); use two of one shape"
            )
    return {stage: shape[1] for stage, shape in shapes[0].items()}, streams[0], streams[1]


def _check_stages(fused: Collection[int], crossed: Collection[int], cross: Cross) -> None:
    """Check the numbers of the fused and crossed stages."""
    for name, stages in (("fused_stages", fused), ("crossed_stages", crossed)):
        if not set(stages) <= set(STAGES) or len(set(stages)) != len(stages):
            raise InputError(f"{name} are {tuple(stages)}; allowed: any of 2, 3, 4, 5, each once")
    if max(STAGES) not in fused:
        raise InputError(f"fused_stages are {tuple(fused)}; include 5, where the decoder begins")
    if cross != "none" and not crossed:
        raise InputError(
            f"cross is {cross!r} but crossed_stages is empty; name at least one stage, or pass cross='none'"
        )
