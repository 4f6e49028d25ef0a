"""The set-prediction loss of VisTR: predictions are matched to the objects of a clip, then compared with them.

Wang et al., CVPR 2021, with the weights of the authors' code. An object is matched in all its frames at once, to the
queries of one number, so that the number becomes the object's identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

Outputs = Mapping[str, Tensor]
"""The outputs of the model: `logits` (N, T, Q, classes + 1), `boxes` (N, T, Q, 4), maybe `masks` (N, T, Q, h, w)."""

CLASS, BOX, OVERLAP, MASK, DICE = 1.0, 5.0, 2.0, 1.0, 1.0
"""Weights of the parts of the loss; the first three are also used for matching."""
NOTHING = 0.1
"""Weight of the queries without an object, of which there are many."""
ALPHA, GAMMA = 0.25, 2.0
"""Parameters of the focal loss (Lin et al., ICCV 2017)."""


@dataclass(frozen=True)
class Objects:
    """The objects of one clip: labels (K,), masks (K, T, H, W) bool."""

    labels: Tensor
    masks: Tensor

    @classmethod
    def of(cls, annotated: Tensor, labels: Sequence[int]) -> Objects:
        """Read masks (T, H, W) in which `labels[k]` is the class of the object numbered k + 1."""
        numbers = torch.arange(1, len(labels) + 1)
        return cls(torch.tensor(labels, dtype=torch.int64), annotated == numbers[:, None, None, None])

    @property
    def visible(self) -> Tensor:
        """Which object is in which frame, (K, T)."""
        return self.masks.flatten(2).any(2)

    @property
    def boxes(self) -> Tensor:
        """Horizontal and vertical centre, width and height as shares of the frame, (K, T, 4); 0 where not visible."""
        ends = [_ends(self.masks.any(2)), _ends(self.masks.any(3))]
        (left, right), (top, bottom) = ends
        return torch.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], dim=2)


def _ends(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the first occupied pixel begins and the last ends in (K, T, length), as shares of the length."""
    length = occupied.shape[2]
    places = torch.arange(length)
    first = torch.where(occupied, places, length).amin(2)
    last = torch.where(occupied, places + 1, 0).amax(2)
    return torch.where(last > 0, first, 0) / length, last / length


def match(outputs: Outputs, clip: int, objects: Objects) -> tuple[Tensor, Tensor]:
    """Return which queries' numbers and which objects of a clip belong together, (M,) and (M,), at the least cost.

    The cost is the mean over the frames in which the object is visible of: the probability of its class, the distance
    of the boxes, and their generalised overlap.
    """
    with torch.no_grad():
        seen = objects.visible.float()
        share = seen / seen.sum(1, keepdim=True).clamp(min=1)
        likely = outputs["logits"][clip].softmax(-1)[..., objects.labels].permute(1, 2, 0)
        boxes, expected = outputs["boxes"][clip].transpose(0, 1)[:, None], objects.boxes[None]
        distance = (boxes - expected).abs().sum(-1)
        cost = -CLASS * likely + BOX * distance - OVERLAP * overlap(boxes, expected)
        queries, matched = linear_sum_assignment((cost * share).sum(-1).numpy())
    return torch.from_numpy(queries), torch.from_numpy(matched)


def overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the generalised intersection over union (Rezatofighi et al., CVPR 2019) of boxes (…, 4), -1 to 1."""
    (low, high), (other_low, other_high) = (
        (box[..., :2] - box[..., 2:] / 2, box[..., :2] + box[..., 2:] / 2) for box in (boxes, others)
    )
    shared = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0).prod(-1)
    union = boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - shared
    hull = (torch.maximum(high, other_high) - torch.minimum(low, other_low)).prod(-1)
    tiny = torch.finfo(boxes.dtype).eps
    return shared / (union + tiny) - (hull - union) / (hull + tiny)


def vistr_loss(outputs: Outputs, objects: Sequence[Objects]) -> Tensor:
    """Return the loss of the outputs for the objects of N clips."""
    logits = outputs["logits"]
    labels = torch.full(logits.shape[:3], logits.shape[3] - 1)
    total = max(1, sum(int(item.visible.sum()) for item in objects))
    drawn = torch.zeros(())
    for clip, item in enumerate(objects):
        queries, matched = match(outputs, clip, item)
        frames, which = item.visible[matched].T.nonzero(as_tuple=True)
        place = (clip, frames, queries[which])
        labels[place] = item.labels[matched[which]]
        boxes, right = outputs["boxes"][place], item.boxes[matched[which], frames]
        drawn = drawn + BOX * (boxes - right).abs().sum() + OVERLAP * (1 - overlap(boxes, right)).sum()
        if "masks" in outputs:
            drawn = drawn + _mask_loss(outputs["masks"][place], item.masks[matched[which], frames])
    weights = torch.ones(logits.shape[3])
    weights[-1] = NOTHING
    return CLASS * functional.cross_entropy(logits.flatten(0, 2), labels.flatten(), weights) + drawn / total


def _mask_loss(masks: Tensor, right: Tensor) -> Tensor:
    """Return the sum of the focal and the dice loss of predicted masks (M, h, w), compared with (M, H, W)."""
    if not len(masks):
        return masks.sum()
    logits = functional.interpolate(masks[:, None], right.shape[1:], mode="bilinear").flatten(1)
    truth = right.flatten(1).float()
    share = logits.sigmoid()
    unlikely = 1 - (share * truth + (1 - share) * (1 - truth))
    balance = ALPHA * truth + (1 - ALPHA) * (1 - truth)
    surprise = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    focal = (balance * unlikely**GAMMA * surprise).mean(1)
    dice = 1 - (2 * (share * truth).sum(1) + 1) / (share.sum(1) + truth.sum(1) + 1)
    return (MASK * focal + DICE * dice).sum()
