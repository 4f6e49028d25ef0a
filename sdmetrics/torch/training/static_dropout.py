"""StaticDropout: dropout that prefers static channels, which encode single frames (paper, Sec. 5.2)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import between, one_of, whole
from sdmetrics.metrics.removal_mask import half_up
from sdmetrics.probes.torch_hooks import check_module
from sdmetrics.torch.training.moments import empty_moments, merge, merge_processes, pair_moments, pearson

Per = Literal["sample", "batch"]


class StaticDropout(nn.Module):
    r"""Drops channels of the pooled features before the classifier, static channels more often than others.

    A channel's score S is Pearson's r (Eq. 2) between its values for videos and for the same videos with their
    frames shuffled; the channel is dropped with a probability that grows with p = softmax(S) (Eq. 4). `attach` adds
    this module to a model and estimates the scores. Without `attach`, a training step is

    >>> dropout, classifier = StaticDropout(units=4, rate=0.5), nn.Linear(4, 2)
    >>> features, of_shuffled_frames = torch.randn(8, 4), torch.randn(8, 4)
    >>> if dropout.begin_step():  # in one step of 30
    ...     dropout.observe(features, of_shuffled_frames)
    >>> classifier(dropout(features)).shape
    torch.Size([8, 2])

    Parameters
    ----------
    units
        Number of channels of the features, `(N, units)` or `(N, units, *)`. In the latter case whole channels are
        dropped, and scores are computed from the mean over the trailing axes.
    rate
        Share of channels to drop, 0 to 1: every draw drops `rate * units` channels, rounded half up. The paper tries
        0.1 to 0.7.
    every
        Training steps per estimate; 30 in the paper. A step is one forward in training: if gradients are accumulated
        over k forwards, multiply by k.
    batches
        Number of batches per estimate, from consecutive steps. The error of r from n pairs is about 1 / √n, so a
        softmax over r from 8 pairs is mostly noise: use several batches if they are small. The pairs of all training
        processes count.
    replacement
        Whether channels are drawn with replacement. Default: without, so that `rate` is the share of channels
        dropped, as in standard dropout. With replacement, as in InfoDropout, fewer distinct channels are dropped: the
        probability of each is 1 - (1 - p)^k in k draws, which makes about 39 % of the channels at a rate of 0.5.
    per
        One draw per `"sample"` (default, as in standard dropout) or per `"batch"`. One draw per sample means less
        noise in the gradient, as a batch averages over many draws.
    rescale
        Whether the remaining channels are multiplied by units / remaining, so that in every draw the factors have the
        same sum as without dropout. Default: true, as in standard dropout, so that the features have the same scale
        in training and in evaluation. InfoDropout does not rescale and relies on fine-tuning without dropout.
        Neither setting compensates for static channels being dropped more often.
    temperature
        p = softmax(S / temperature). At 1, which is Eq. 4, a channel of score 1 is at most e² = 7.4 times as likely
        to be drawn as a channel of score -1. Lower values sharpen the distribution.

    Attributes
    ----------
    scores : Tensor
        S of the last estimate, float64 `(units,)`. Undefined scores are 0: those of all channels before the first
        estimate, so that p is uniform, and later those of channels that did not vary.
    estimates, step, collected : int
        Numbers of estimates made, training steps begun, and batches collected for the next estimate.
    active : bool
        Whether channels are dropped and scores estimated in training. `finetune` switches it.

    Notes
    -----
    The probability of channel :math:`i` in a draw, with the temperature :math:`\tau`, is

    .. math:: p_i = \frac{\exp(S_i / \tau)}{\sum_j \exp(S_j / \tau)}

    In evaluation the module is the identity. Draws use torch's global generator on the features' device, which
    activation checkpointing rewinds. If a checkpoint includes the generator's state, `state_dict` resumes exactly,
    even in the middle of an estimate. Moments and scores are float64 for any type of features, also after
    `module.half()`. A batch with non-finite features (e.g. an overflow in half precision) is excluded from the
    estimate: the first one causes a warning, and training continues with the current probabilities.

    If `torch.distributed` is initialised, all processes must call `begin_step` and `observe` together; each process
    then has the scores of all pairs. `forward` never synchronises with the device, and `torch.compile` captures it
    without a graph break.

    Raises
    ------
    InputError
        If an argument is not allowed, or the features have a different number of channels.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> dropout = StaticDropout(units=3, rate=1 / 3)
    >>> z = torch.randn(100, 3)
    >>> dropout.observe(z, torch.stack([z[:, 0], torch.randn(100), -z[:, 2]], dim=1))
    >>> [round(score, 2) for score in dropout.scores.tolist()]
    [1.0, 0.03, -1.0]
    >>> dropped = dropout(torch.ones(1000, 3)) == 0
    >>> dropped.sum(1).unique().item(), dropped.sum(0).tolist()
    (1, [667, 225, 108])
    """

    scores: Tensor
    moments: Tensor

    def __init__(
        self,
        units: int,
        rate: float,
        every: int = 30,
        *,
        batches: int = 1,
        replacement: bool = False,
        per: Per = "sample",
        rescale: bool = True,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        _check(units, rate, every, batches, per, temperature)
        self.units, self.rate, self.every, self.batches = units, rate, every, batches
        self.replacement, self.per, self.rescale, self.temperature = replacement, per, rescale, temperature
        self.dropped = half_up(rate * units)
        self.active = True
        self.step = self.collected = self.estimates = 0
        self._warned = False
        self.register_buffer("scores", torch.zeros(units, dtype=torch.float64))
        self.register_buffer("moments", empty_moments(units))

    @property
    def probabilities(self) -> Tensor:
        """The probabilities p of Eq. 4, float64 `(units,)`."""
        return (self.scores / self.temperature).softmax(0)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features with channels dropped; in evaluation, return them unchanged."""
        _check_tensor("features", features)
        if features.ndim < 2 or features.shape[1] != self.units:
            raise InputError(
                f"features have shape {tuple(features.shape)}; expected: (N, {self.units}) or "
                f"(N, {self.units}, *). Pass units={features.shape[1] if features.ndim > 1 else '…'}, or pool first"
            )
        if not (self.training and self.active):
            return features
        mask = self.draw(len(features) if self.per == "sample" else 1).to(features.dtype)
        return features * mask.reshape(*mask.shape, *[1] * (features.ndim - 2))

    def draw(self, rows: int) -> Tensor:
        """Return factors for the features, float64 `(rows, units)`: 0 drops a channel."""
        mask = torch.ones(rows, self.units, dtype=torch.float64, device=self.scores.device)
        if self.dropped:
            mask = mask.scatter(1, self._drawn_channels(mask), 0.0)
        return mask * (self.units / mask.sum(1, keepdim=True).clamp(min=1)) if self.rescale else mask

    def _drawn_channels(self, like: Tensor) -> Tensor:
        """Return the channels to drop in every row of `like`, `(rows, dropped)`; with replacement, they may repeat."""
        if self.replacement:
            borders = self.probabilities.cumsum(0)
            drawn = torch.rand(len(like), self.dropped, dtype=like.dtype, device=like.device)
            return torch.searchsorted(borders, drawn, right=True).clamp(max=self.units - 1)
        # Gumbel top-k trick: the largest values of log p plus Gumbel noise are a draw without replacement.
        noise = -torch.empty_like(like).exponential_().log()
        return (self.scores / self.temperature + noise).topk(self.dropped, dim=1, sorted=False).indices

    def begin_step(self) -> bool:
        """Begin a training step, and return whether `observe` is to be called in it."""
        if not self.active:
            return False
        self.renew()
        number, self.step = self.step, self.step + 1
        return number % self.every < self.batches

    def observe(self, z1: Tensor, z2: Tensor) -> None:
        """Add a batch of pairs. If it is the last of an estimate's `batches`, update the probabilities.

        Parameters
        ----------
        z1, z2
            Features of a batch and of its frame-shuffled copy, row by row, `(N, units)` or `(N, units, *)` each, of
            any floating-point type.

        Raises
        ------
        InputError
            If the shapes do not match, or the first estimate has fewer than two pairs.
        """
        self.collect(z1, z2)
        self.renew()

    @torch.no_grad()
    def collect(self, z1: Tensor, z2: Tensor) -> None:
        """Add a batch of pairs like `observe`, but do not update the probabilities before the next `begin_step`.

        They must not change between a forward and its backward, as activation checkpointing repeats the draw.
        """
        _check_tensor("z1", z1)
        _check_tensor("z2", z2)
        if z1.shape[:2] != z2.shape[:2] or z1.ndim < 2 or z1.shape[1] != self.units:
            raise InputError(
                f"z1 has shape {tuple(z1.shape)}, z2 {tuple(z2.shape)}; expected: (N, {self.units}) or "
                f"(N, {self.units}, *), where row i of both is pair i"
            )
        batch = merge_processes(pair_moments(z1, z2).to(self.moments.device))
        finite = bool(batch.isfinite().all())
        if finite:
            self.moments.copy_(merge(self.moments, batch))
        elif not self._warned:
            self._warned = True
            warnings.warn(
                "features that are not finite, or too large to be squared, are left out of StaticDropout's estimates "
                "(this warning is shown once)",
                stacklevel=2,
            )
        self.collected += 1
        pairs = int(self.moments[0, 0])
        if self.collected >= self.batches and pairs < 2 and not (self.estimates or self._warned):
            raise InputError(
                f"an estimate has {pairs} pair(s), from batches={self.batches}; expected at least two. "
                "Use larger batches, or pass batches=8 or more"
            )

    @torch.no_grad()
    def renew(self) -> None:
        """Update the probabilities if the batches of an estimate are complete; otherwise do nothing.

        If fewer than two of their pairs were finite, the probabilities do not change.
        """
        if self.collected < self.batches:
            return
        if int(self.moments[0, 0]) >= 2:
            self.scores.copy_(pearson(self.moments).nan_to_num(0.0))
            self.estimates += 1
        self.moments.zero_()
        self.collected = 0

    def get_extra_state(self) -> Tensor:
        """Return the counters, which are kept on the host, for `state_dict`."""
        return torch.tensor([self.step, self.collected, self.estimates, self.active])

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the result of `get_extra_state`."""
        self.step, self.collected, self.estimates, active = (int(number) for number in state)
        self.active = bool(active)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> StaticDropout:
        """Move the buffers to another device, but do not convert their type, which would round the moments."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            moved = self._buffers[name]
            if buffer is not None and moved is not None and moved.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(moved.device)
        return self

    def extra_repr(self) -> str:
        """Return the arguments for `repr`."""
        names = ("rate", "every", "batches", "replacement", "per", "rescale", "temperature")
        return ", ".join([str(self.units), *(f"{name}={getattr(self, name)!r}" for name in names)])


def finetune(model: nn.Module, on: bool = True) -> None:
    """Switch off every StaticDropout in a model for fine-tuning, or switch it on again.

    The paper's training ends with fine-tuning without dropout, at a learning rate of 1e-5: two epochs on
    Something-Something-v2, five on Diving48 (Sec. 5.2). While switched off, a StaticDropout drops nothing, counts no
    steps and estimates no scores. The setting is part of the `state_dict`.

    Parameters
    ----------
    model
        A model that contains StaticDropout.
    on
        Whether to fine-tune; `False` switches dropping on again.

    Raises
    ------
    InputError
        If the model contains no StaticDropout.

    Examples
    --------
    >>> model = nn.Sequential(StaticDropout(4, rate=0.5), nn.Linear(4, 2))
    >>> finetune(model)
    >>> model[0].active
    False
    """
    check_module(model)
    found = [part for part in model.modules() if isinstance(part, StaticDropout)]
    if not found:
        raise InputError(f"{type(model).__name__} has no StaticDropout; add it with sdmetrics.torch.attach")
    for dropout in found:
        dropout.active = not on


def _check_tensor(name: str, value: object) -> None:
    """Check that features are a tensor of floats."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        what = f"a tensor of {value.dtype}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise InputError(f"{name} is {what}; expected: a tensor of floating-point numbers")


def _check(units: int, rate: float, every: int, batches: int, per: Any, temperature: float) -> None:  # noqa: ANN401
    """Check the arguments of StaticDropout."""
    whole("units", units, least=1)
    between("rate", rate, 0, 1, "To drop 30 % of the channels pass 0.3")
    if not 1 <= whole("batches", batches, least=0) <= whole("every", every, least=0):
        raise InputError(f"batches is {batches} and every is {every}; expected at least 1 batch and as many steps")
    one_of("per", per, get_args(Per))
    if not between("temperature", temperature, 0, math.inf, "Eq. 4 has 1"):
        raise InputError(f"temperature is {temperature}; expected: above 0. Eq. 4 has 1")
