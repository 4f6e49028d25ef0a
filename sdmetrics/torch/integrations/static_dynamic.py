"""StaticDynamic: the metric of one layer for torchmetrics, with the bits of `PairMoments`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sdmetrics.errors import InputError, require
from sdmetrics.metrics._arguments import between, one_of, whole
from sdmetrics.metrics.bias import layer_bias, unit_bias
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.metrics.estimators import ESTIMATORS
from sdmetrics.metrics.moments import MOMENTS, PairMoments
from sdmetrics.torch.training.moments import pooled

if TYPE_CHECKING:
    from torchmetrics import Metric
else:
    Metric = require("torchmetrics", extra="tracking").Metric

ROWS = 2 + len(MOMENTS)
"""Rows of a state: the number of pairs, their precision, and the moments."""

Pair = Tensor | Sequence[Tensor]
"""Both members of a batch of pairs: two tensors, or one of shape `(2, pairs, units, *)`."""


class StaticDynamic(Metric):  # type: ignore[misc]  # mypy skips its package
    """Static and dynamic bias of one layer (Eqs. 1–3), accumulated over batches and processes.

    The states are those of `PairMoments`, in float64. `update` and `forward` have the bits of `PairMoments.update`;
    `merge_state`, and the merging of processes by rank, have those of `PairMoments.merge`.

    `compute` returns percents by name: `dynamic`, `static` and `identical` of Eq. 1, and `units-CLASS`, the share of
    units of Eq. 3 that are `dynamic`, `static`, `joint`, `residual` or `dead`. Undefined percents are NaN.

    Parameters
    ----------
    units
        Number of units (channels) of the layer.
    estimator, threshold
        As for `layer_bias` and `unit_bias`.
    **arguments
        Those of `torchmetrics.Metric`, e.g. `process_group`.

    Attributes
    ----------
    moments : dict of PairMoments
        The moments of each factor's pairs; of all processes within `sync_context()`.

    Raises
    ------
    InputError
        If an argument is not allowed, or the tensors are not pairs of features of this layer.

    Notes
    -----
    The numbers are computed on the CPU. Each update copies its features there, and so waits for a GPU.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> content, noise, other = torch.randn(3, 500, 4)
    >>> metric = StaticDynamic(units=4)
    >>> metric.update(dynamic=(content, other), static=(content, content + noise))
    >>> {name: round(float(percent)) for name, percent in metric.compute().items() if percent}
    {'dynamic': 17, 'static': 36, 'identical': 47, 'units-static': 100}
    """

    is_differentiable = False
    higher_is_better = None
    # So that `forward` adds a batch as `update` does, not by merging, which differs in the last bits.
    full_state_update = True

    def __init__(self, units: int, estimator: str = "pearson", threshold: float = 0.5, **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(**arguments)
        self.units = whole("units", units, least=1)
        one_of("estimator", estimator, tuple(ESTIMATORS))
        self.estimator = estimator
        self.threshold = between("threshold", threshold, -1, 1, "The paper uses 0.5")
        for factor in FACTORS:
            self.add_state(factor, _state(PairMoments(self.units)), dist_reduce_fx=_merged)

    def update(self, dynamic: Pair, static: Pair) -> None:
        """Add a batch of pairs. If an error is raised, the moments are unchanged.

        Parameters
        ----------
        dynamic
            Features of clips and of the same clips in another style, `(pairs, units)` each, of any floating-point
            type; trailing axes are averaged in float64.
        static
            Features of clips and of the same clips with their frames shuffled.
        """
        moments = self.moments
        for name, pair in zip(FACTORS, (dynamic, static), strict=True):
            z1, z2, eps = _members(name, pair)
            moments[name].update(z1, z2, eps)
        self._keep(moments)

    def compute(self) -> dict[str, Tensor]:
        """Return the percents by name, float64."""
        moments = self.moments
        layer = layer_bias(moments, self.estimator)
        counts = unit_bias(moments, self.threshold, self.estimator).counts
        percents = layer.percent | {f"units-{name}": 100 * count / self.units for name, count in counts.items()}
        return {name: torch.tensor(value, dtype=torch.float64, device=self.device) for name, value in percents.items()}

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the pairs of another metric, or of its states by name: exactly `PairMoments.merge`.

        Raises
        ------
        InputError
            If it is not such a metric, or of another number of units.
        """
        if isinstance(incoming_state, StaticDynamic):
            others, updates = incoming_state.moments, incoming_state._update_count
        elif isinstance(incoming_state, dict) and incoming_state.keys() >= set(FACTORS):
            others, updates = {factor: _moments(incoming_state[factor]) for factor in FACTORS}, 1
        else:
            raise InputError(
                f"incoming_state is a {type(incoming_state).__name__}; expected: a StaticDynamic, or its metric_state"
            )
        self._keep({factor: own.merge(others[factor]) for factor, own in self.moments.items()})
        self._update_count += updates
        self._computed = None

    @property
    def moments(self) -> dict[str, PairMoments]:
        """The moments of each factor's pairs, by the factor's name."""
        return {factor: _moments(getattr(self, factor)) for factor in FACTORS}

    def _keep(self, moments: dict[str, PairMoments]) -> None:
        """Store moments as states, on the device of the metric."""
        for factor in FACTORS:
            setattr(self, factor, _state(moments[factor]).to(getattr(self, factor).device))


def _state(moments: PairMoments) -> Tensor:
    """Return moments as one tensor, float64 `(ROWS, units)`, so that processes exchange them in a single message."""
    stored = moments.to_arrays()
    known = np.broadcast_to([[stored["n"]], [stored["eps"]]], (2, moments.units))
    return torch.from_numpy(np.concatenate([known, stored["moments"]]))


def _moments(state: Tensor) -> PairMoments:
    """Return the moments that a state holds."""
    values = state.detach().cpu().numpy()
    return PairMoments.from_state({"n": values[0, 0], "eps": values[1, 0], "moments": values[2:]})


def _merged(states: Tensor) -> Tensor:
    """Return the state of the union of all processes' pairs, merged by rank; `(processes, ROWS, units)`."""
    return _state(reduce(PairMoments.merge, map(_moments, states))).to(states.device)


def _members(name: str, pair: Pair) -> tuple[Tensor, Tensor, float]:
    """Return both members of pairs as `PairMoments.update` takes them, and the precision of their values."""
    members = list(pair) if isinstance(pair, Tensor | Sequence) else []
    if len(members) != 2 or not all(isinstance(z, Tensor) and z.is_floating_point() and z.ndim > 1 for z in members):
        raise InputError(
            f"{name} is not a pair; expected: two tensors of floats, (pairs, units), e.g. "
            f"{name}=(features, other_features)"
        )
    eps = max(torch.finfo(z.dtype).eps for z in members)
    z1, z2 = (pooled(z) if z.ndim > 2 else z.detach() for z in members)
    return z1, z2, eps
