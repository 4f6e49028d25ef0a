"""ShuffleEntropy: a prediction for shuffled frames that says nothing about the class."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdmetrics.errors import InputError
from sdmetrics.probes.torch_hooks import named_tensors
from sdmetrics.torch.training.processes import sum_over_processes
from sdmetrics.torch.training.schedule import Schedule

LEAST = -1e4
"""The logarithm of an impossible class, whose product with its probability, 0, is then defined."""


class ShuffleEntropy:
    """A loss that is 0 where the prediction for frame-shuffled clips is uniform, and grows as it prefers classes.

    It is weight · (1 − H / log K): the entropy H of the predicted probabilities of K classes, as a share of its
    maximum, mean over the clips. `sdmetrics.torch.attach` makes the second forward and shares it with `StaticPenalty`.
    By hand it takes the logits of shuffled clips:

    >>> ShuffleEntropy()(torch.tensor([[0.0, 0.0], [0.0, 50.0]])).item()
    0.5

    Parameters
    ----------
    weight
        λ.
    every
        `attach` makes the second forward in one of so many training steps.
    warmup
        Number of training steps over which `attach` lets the weight grow from 0.

    Notes
    -----
    A network may learn to recognise shuffled clips, so that a low accuracy on them proves little afterwards. Where
    frames may be shuffled without a change of the label, the loss contradicts the label: use `every`, or a low weight.

    With `torch.distributed` it is the mean over all processes' clips, and with `DistributedDataParallel` the gradient
    is that of the joint batch.

    Raises
    ------
    InputError
        If an argument is not allowed, or there are not at least two classes.
    """

    def __init__(self, weight: float = 1.0, *, every: int = 1, warmup: int = 0) -> None:
        self.schedule = Schedule(weight, every, warmup)

    def __call__(self, logits: Tensor) -> Tensor:
        """Return the loss of a batch, given the logits of its frame-shuffled clips, `(N, classes)`."""
        return self.schedule.weight * self.unweighted(logits)

    def unweighted(self, logits: Tensor) -> Tensor:
        """Return the mean over the clips of 1 − H / log K."""
        if not are_logits(logits):
            raise InputError(
                f"the logits are {logits.dtype} of shape {tuple(logits.shape)}; expected: floating-point numbers, "
                "(N, classes), of two classes or more"
            )
        with torch.autocast(logits.device.type, enabled=False):
            values = logits if logits.dtype == torch.float64 else logits.float()
            log_p = values.log_softmax(1)
            certain = 1 + (log_p.exp() * log_p.clamp(min=LEAST)).sum(1) / math.log(logits.shape[1])
            total, clips = sum_over_processes(torch.stack([certain.sum(), certain.new_tensor(len(certain))]))
            mean: Tensor = total / clips
        return mean


def logits_of(output: object) -> Tensor:
    """Return the logits among what a model returns: `logits` of a dict, or the only tensor that may be logits.

    Raises
    ------
    InputError
        If no tensor may be logits, or several may be and none is named so.

    Examples
    --------
    >>> logits_of({"loss": torch.tensor(0.5), "logits": torch.zeros(4, 2)}).shape
    torch.Size([4, 2])
    """
    tensors = named_tensors(output)
    fit = {name: tensor for name, tensor in tensors.items() if are_logits(tensor)}
    if "logits" in fit:
        return fit["logits"]
    if len(fit) != 1:
        listed = ", ".join(f"{name} {tensor.dtype} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise InputError(
            f"the model returns {listed}; expected: one tensor of logits, floating-point numbers (N, classes) of two "
            "classes or more. If there are several, return a dict with the entry 'logits'"
        )
    return next(iter(fit.values()))


def are_logits(tensor: Tensor) -> bool:
    """Return whether a tensor may be the logits of two classes or more, `(N, classes)`.

    Examples
    --------
    >>> are_logits(torch.zeros(4, 2)), are_logits(torch.zeros(4, 8, 2))
    (True, False)
    """
    return tensor.ndim == 2 and tensor.shape[1] > 1 and tensor.is_floating_point()
