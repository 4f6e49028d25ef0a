"""StaticDropout: dropout that prefers the channels which carry what a single frame shows (paper, Sec. 5.2)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from sdmetrics.errors import InputError
from sdmetrics.metrics.removal_mask import half_up
from sdmetrics.torch.training.moments import merge, merge_processes, no_moments, pair_moments, pearson

Per = Literal["sample", "batch"]


class StaticDropout(nn.Module):
    """Drops channels, static ones more often than others: it stands between the pooled features and the classifier.

    A channel's score S is Pearson's r (Eq. 2) between its values for videos and for the same videos with their
    frames shuffled; it is dropped with a probability that grows with p = softmax(S) (Eq. 4). `attach` puts this
    module into a model and makes the estimates; by hand, a training step is

    >>> dropout, classifier = StaticDropout(units=4, rate=0.5), nn.Linear(4, 2)
    >>> features, of_shuffled_frames = torch.randn(8, 4), torch.randn(8, 4)
    >>> if dropout.begin_step():  # in one step of 30
    ...     dropout.observe(features, of_shuffled_frames)
    >>> classifier(dropout(features)).shape
    torch.Size([8, 2])

    Parameters
    ----------
    units
        Channels of the features `(N, units)` or `(N, units, *)`; of the latter, whole channels are dropped, and the
        mean over the further axes is scored.
    rate
        `rate * units` channels are dropped in every draw, rounded half up; 0 to 1. The paper tries 0.1 to 0.7.
    every
        Training steps from one estimate to the next; 30 in the paper. A step is one forward in training: with
        gradients accumulated over k of them, multiply by k.
    batches
        Batches, of consecutive steps, that one estimate is made of. The error of r from n pairs is about 1 / √n, so
        that a softmax over r from 8 pairs is mostly noise: with small batches, take more of them. The pairs of all
        processes that train together count.
    replacement
        Whether the channels are drawn with replacement. By default they are not: `rate` is then the share that is
        dropped, as it is in the standard dropout that this one is compared with. With replacement, as InfoDropout
        draws, fewer distinct channels go: 1 - (1 - p)^k is the probability of each in k draws, in all about 39 % of
        the channels at a rate of 0.5.
    per
        One draw for each `"sample"`, by default, as in standard dropout: a batch then averages over many draws,
        which makes for less noise in the gradient than one draw for the whole `"batch"`.
    rescale
        Whether the channels that are kept are multiplied by units / kept, so that the sum of the factors is that
        without dropout in every draw. By default they are, as in standard dropout: the classifier meets features of
        one scale in training and in evaluation. InfoDropout does not, and relies on fine-tuning without dropout. That
        static channels are dropped more often than others is undone by neither.
    temperature
        p = softmax(S / temperature). At 1, which is Eq. 4, a channel of score 1 is at most e² = 7.4 times as likely
        to be drawn as one of score -1; the lower, the stricter.

    Attributes
    ----------
    scores : Tensor
        S of the last estimate, float64 `(units,)`. A channel without a score counts as 0: all of them before the
        first estimate, when p is uniform, later those that did not vary.
    estimates, step, collected : int
        Estimates made, training steps begun, and batches collected for the next estimate.
    active : bool
        Whether channels are dropped and estimates made in training; `finetune` switches it.

    Notes
    -----
    In evaluation it is the identity. Draws come from torch's global generator of the features' device, which
    activation checkpointing rewinds and which a checkpoint should hold; with it, `state_dict` resumes exactly, in the
    midst of an estimate, too. Moments and scores are float64 whatever the features' type, and stay so in
    `module.half()`. A batch with features that are not finite (an overflow in half precision) enters no estimate:
    there is a warning the first time, and training goes on with the probabilities at hand.

    Where `torch.distributed` is initialised, all processes must begin their steps and observe together; each then
    has the scores of all pairs. `forward` never waits for the device and is captured whole by `torch.compile`.

    Raises
    ------
    InputError
        If an argument is not allowed, or the features have another number of channels.

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
        self.register_buffer("moments", no_moments(units))

    @property
    def probabilities(self) -> Tensor:
        """The p of Eq. 4, float64 `(units,)`."""
        return (self.scores / self.temperature).softmax(0)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features with channels dropped; in evaluation, as they are."""
        if features.ndim < 2 or features.shape[1] != self.units:
            raise InputError(
                f"features have the shape {tuple(features.shape)}; needed: (N, {self.units}) or "
                f"(N, {self.units}, *). Give units={features.shape[1] if features.ndim > 1 else '…'}, or pool first"
            )
        if not (self.training and self.active):
            return features
        mask = self.draw(len(features) if self.per == "sample" else 1).to(features.dtype)
        return features * mask.reshape(*mask.shape, *[1] * (features.ndim - 2))

    def draw(self, rows: int) -> Tensor:
        """Return masks that multiply the features, float64 `(rows, units)`: 0 drops a channel."""
        kept = torch.ones(rows, self.units, dtype=torch.float64, device=self.scores.device)
        if self.dropped:
            kept = kept.scatter(1, self._chosen(kept), 0.0)
        return kept * (self.units / kept.sum(1, keepdim=True).clamp(min=1)) if self.rescale else kept

    def _chosen(self, like: Tensor) -> Tensor:
        """Return the channels to drop in every row of `like`, `(rows, dropped)`; with replacement, maybe the same."""
        if self.replacement:
            borders = self.probabilities.cumsum(0)
            drawn = torch.rand(len(like), self.dropped, dtype=like.dtype, device=like.device)
            return torch.searchsorted(borders, drawn, right=True).clamp(max=self.units - 1)
        # Gumbel's trick: the largest of log p plus such noise are a draw without replacement.
        noise = -torch.empty_like(like).exponential_().log()
        return (self.scores / self.temperature + noise).topk(self.dropped, dim=1, sorted=False).indices

    def begin_step(self) -> bool:
        """Begin a step of training; return whether its features and those of shuffled frames are to be observed."""
        if not self.active:
            return False
        self.renew()
        number, self.step = self.step, self.step + 1
        return number % self.every < self.batches

    def observe(self, z1: Tensor, z2: Tensor) -> None:
        """Add pairs; with the last of an estimate's `batches`, renew the probabilities.

        Parameters
        ----------
        z1, z2
            Features of a batch and of its frame-shuffled copy, row by row, `(N, units)` or `(N, units, *)` each, of
            any floating-point type.

        Raises
        ------
        InputError
            If the shapes do not fit, or the first estimate has fewer than two pairs.
        """
        self.collect(z1, z2)
        self.renew()

    @torch.no_grad()
    def collect(self, z1: Tensor, z2: Tensor) -> None:
        """Add pairs as `observe` does, and leave the probabilities to the next step (`begin_step`).

        Between a forward and its backward they must not change: activation checkpointing draws once more.
        """
        if z1.shape[:2] != z2.shape[:2] or z1.ndim < 2 or z1.shape[1] != self.units:
            raise InputError(
                f"z1 has the shape {tuple(z1.shape)}, z2 {tuple(z2.shape)}; needed: (N, {self.units}) or "
                f"(N, {self.units}, *), row i of both being pair i"
            )
        batch = merge_processes(pair_moments(z1, z2).to(self.moments.device))
        finite = bool(batch.isfinite().all())
        if finite:
            self.moments.copy_(merge(self.moments, batch))
        elif not self._warned:
            self._warned = True
            warnings.warn(
                "features that are not finite, or too large to be squared, are left out of StaticDropout's estimates; "
                "this is said once",
                stacklevel=2,
            )
        self.collected += 1
        pairs = int(self.moments[0, 0])
        if self.collected >= self.batches and pairs < 2 and not (self.estimates or self._warned):
            raise InputError(
                f"an estimate rests on {pairs} pair(s), from batches={self.batches}; needed: two at least. Give larger "
                "batches, or batches=8 or more"
            )

    @torch.no_grad()
    def renew(self) -> None:
        """Renew the probabilities if the batches of an estimate are complete; else do nothing.

        Where fewer than two pairs were left of them, the probabilities stay.
        """
        if self.collected < self.batches:
            return
        if int(self.moments[0, 0]) >= 2:
            self.scores.copy_(pearson(self.moments).nan_to_num(0.0))
            self.estimates += 1
        self.moments.zero_()
        self.collected = 0

    def get_extra_state(self) -> Tensor:
        """Return what is counted on the host, for `state_dict`."""
        return torch.tensor([self.step, self.collected, self.estimates, self.active])

    def set_extra_state(self, state: Tensor) -> None:
        """Take what `get_extra_state` gave."""
        self.step, self.collected, self.estimates, active = (int(number) for number in state)
        self.active = bool(active)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> StaticDropout:
        """Move to another device; but not to another type, which would round the moments."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            moved = self._buffers[name]
            if buffer is not None and moved is not None and moved.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(moved.device)
        return self

    def extra_repr(self) -> str:
        """Return the arguments, for printing."""
        names = ("rate", "every", "batches", "replacement", "per", "rescale", "temperature")
        return ", ".join([str(self.units), *(f"{name}={getattr(self, name)!r}" for name in names)])


def finetune(model: nn.Module, on: bool = True) -> None:
    """Switch every StaticDropout in a model off for fine-tuning, or on again.

    The paper ends its training so, without any dropout, at a learning rate of 1e-5: for two epochs on
    Something-Something-v2, for five on Diving48 (Sec. 5.2). While it is off, nothing is dropped, no step is counted
    and no estimate made. `state_dict` keeps it.

    Parameters
    ----------
    model
        A model with StaticDropout in it.
    on
        Whether to fine-tune; `False` goes back to dropping.

    Raises
    ------
    InputError
        If there is no StaticDropout in the model.

    Examples
    --------
    >>> model = nn.Sequential(StaticDropout(4, rate=0.5), nn.Linear(4, 2))
    >>> finetune(model)
    >>> model[0].active
    False
    """
    found = [part for part in model.modules() if isinstance(part, StaticDropout)]
    if not found:
        raise InputError(f"{type(model).__name__} has no StaticDropout; put one in with sdmetrics.torch.attach")
    for part in found:
        part.active = not on


def _check(units: int, rate: float, every: int, batches: int, per: Any, temperature: float) -> None:  # noqa: ANN401
    """Say which argument cannot be used."""
    if units < 1:
        raise InputError(f"units is {units}; allowed: 1 and above. Give the number of channels of the features")
    if not 0 <= rate <= 1:
        raise InputError(f"rate is {rate}; allowed: 0 to 1. To drop 30 % of the channels give 0.3")
    if not 1 <= batches <= every:
        raise InputError(
            f"batches is {batches} and every is {every}; allowed: 1 or more batches, every at least as many steps"
        )
    if per not in get_args(Per):
        raise InputError(f"per is {per!r}; allowed: {', '.join(get_args(Per))}")
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}; allowed: above 0. Eq. 4 has 1")
