"""VisTR, video instance segmentation with a transformer (Wang et al., CVPR 2021)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from sdmetrics.errors import InputError
from sdmetrics.torch.segmenters.instance_masks import InstanceMasks
from sdmetrics.torch.segmenters.transformer import DecoderLayer, EncoderLayer, sine_positions


class VisTR(nn.Module):
    """Video instance segmentation: detects objects and keeps their identity across frames.

    A backbone processes each frame separately. An encoder attends from every pixel to the pixels of all frames, and a
    decoder detects objects with a fixed number of queries per frame: the i-th queries of all frames detect the i-th
    object.

    The layers are modules that return one tensor `(N, tokens, channels)`, numbered as in the paper: `encoder.1`,
    `encoder.2`, … of all pixels, then `decoder.1`, … of all queries, frame by frame.

    Parameters
    ----------
    backbone
        Turns frames `(M, 3, H, W)` into features `(M, features, h, w)`, e.g. a ResNet without its pooling and
        classifier.
    features
        Number of channels that the backbone returns.
    frames
        Number of frames of a clip.
    classes
        Number of object classes. The last logit, in addition to these, is that of "no object".
    channels, heads, hidden, dropout
        Dimensions of the transformer; see `EncoderLayer`. As published: 384, 8, 2048 and, in training, 0.1.
    layers
        Number of layers of the encoder and of the decoder.
    queries
        Number of queries per frame, the largest number of objects that can be detected.
    masks
        Whether to predict masks in addition to classes and boxes; see `InstanceMasks`. The published model has a
        different mask head, with deformable convolutions.

    Raises
    ------
    InputError
        If the channels cannot be split among the heads, a number is below 1, or a clip has other than `frames` frames.

    Examples
    --------
    >>> backbone = nn.Conv2d(3, 16, kernel_size=8, stride=8)
    >>> model = VisTR(backbone, 16, frames=4, classes=3, channels=24, heads=2, layers=(2, 2), hidden=32, queries=5)
    >>> outputs = model(torch.zeros(2, 4, 3, 48, 48))
    >>> {name: tuple(value.shape) for name, value in outputs.items()}
    {'logits': (2, 4, 5, 4), 'boxes': (2, 4, 5, 4)}
    >>> [name for name, _ in model.named_modules() if name.count(".") == 1][:4]
    ['encoder.1', 'encoder.2', 'decoder.1', 'decoder.2']
    """

    def __init__(
        self,
        backbone: nn.Module,
        features: int,
        *,
        frames: int,
        classes: int,
        channels: int = 384,
        heads: int = 8,
        layers: tuple[int, int] = (6, 6),
        hidden: int = 2048,
        queries: int = 10,
        dropout: float = 0.1,
        masks: bool = False,
    ) -> None:
        super().__init__()
        if min(features, frames, classes, channels, heads, *layers, hidden, queries) < 1 or channels % heads:
            raise InputError(
                f"VisTR cannot have {channels} channels in {heads} heads, {layers} layers, {hidden} hidden units, "
                f"{features} features, {frames} frames, {queries} queries and {classes} classes; expected: each at "
                "least 1, and the channels a multiple of the heads"
            )
        self.frames = frames
        self.backbone = backbone
        self.projection = nn.Conv2d(features, channels, 1)
        encoders, decoders = layers
        settings = (channels, heads, hidden, dropout)
        self.encoder = nn.ModuleDict({str(number + 1): EncoderLayer(*settings) for number in range(encoders)})
        self.decoder = nn.ModuleDict({str(number + 1): DecoderLayer(*settings) for number in range(decoders)})
        self.norm = nn.LayerNorm(channels)
        self.queries = nn.Embedding(frames * queries, channels)
        self.boxes = _perceptron(channels, channels, channels, 4)
        self.masks = InstanceMasks(channels, heads) if masks else None
        self.classes = nn.Linear(channels, classes + 1)

    def forward(self, video: Tensor) -> dict[str, Tensor]:
        """Return the detections of every query in every frame.

        Parameters
        ----------
        video
            `(N, T, 3, H, W)`.

        Returns
        -------
        dict
            `logits` `(N, T, queries, classes + 1)`; `boxes` `(N, T, queries, 4)`: horizontal and vertical centre, width
            and height relative to the frame; with a mask head also `masks` `(N, T, queries, 4 h, 4 w)`, logits.
        """
        if video.ndim != 5 or video.shape[1] != self.frames:
            raise InputError(
                f"video has shape {tuple(video.shape)}; expected: (N, {self.frames}, 3, H, W), as the queries "
                "are for that number of frames. Pass such clips, or build VisTR with other frames"
            )
        features = self.projection(self.backbone(video.flatten(0, 1)))
        channels, height, width = features.shape[1:]
        pixels = features.unflatten(0, (-1, self.frames)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        positions = sine_positions(self.frames, height, width, channels).to(pixels)
        for encode in self.encoder.values():
            pixels = encode(pixels, positions)
        queries = self.queries.weight
        found = torch.zeros_like(queries).expand(pixels.shape[0], -1, -1)
        for decode in self.decoder.values():
            found = decode(found, pixels, positions, queries)
        found = self.norm(found).unflatten(1, (self.frames, -1))
        outputs = {"logits": self.classes(found), "boxes": self.boxes(found).sigmoid()}
        if self.masks is not None:
            outputs["masks"] = self.masks(found, pixels.unflatten(1, (self.frames, height, width)))
        return outputs


def _perceptron(*widths: int) -> nn.Module:
    """Return linear layers from each width to the next, with ReLU between them."""
    layers: list[nn.Module] = []
    for read, returned in pairwise(widths):
        layers += [nn.Linear(read, returned), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
