"""PairMoments: the sufficient statistics of the pairs of one factor in one layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdmetrics.errors import InputError, one_line
from sdmetrics.metrics._arguments import as_array, between, whole
from sdmetrics.metrics._kernels import advance
from sdmetrics.metrics.arrays import Floats

MOMENTS = ("mean1", "mean2", "m11", "m22", "m12")

EPS = {2: 2.0**-10, 4: 2.0**-23, 8: 2.0**-52}
"""Machine epsilon of a float by its size in bytes."""


class NonFinite(InputError):
    """An activation is NaN, infinite or too large to be squared. `unit` and `row` are its position."""

    def __init__(self, unit: int, row: int, value: float) -> None:
        self.unit, self.row, self.value = unit, row, value
        super().__init__(
            f"unit {unit} is {value:g} in pair {row} of this batch; expected: finite values whose squares are "
            "finite. Look for an overflow in the model (half precision?), or rescale the activations"
        )


class PairMoments:
    r"""Sufficient statistics of the pairs of one factor in one layer: exact, mergeable, of constant size.

    Parameters
    ----------
    units
        Number of units of the layer. New moments have no pairs.

    Attributes
    ----------
    n : int
        Number of pairs.
    mean1, mean2 : ndarray
        Means of the pairs' first and second members, float64 `(units,)`.
    m11, m22, m12 : ndarray
        Centred second moments and cross moment, float64 `(units,)`: sums over the pairs of `(z1 - mean1)**2`,
        `(z2 - mean2)**2` and `(z1 - mean1) * (z2 - mean2)`, not divided by `n`.
    eps : float
        Machine epsilon of the coarsest input dtype so far, the relative precision of the values; 0 before the first
        pair.

    Raises
    ------
    InputError
        If `units` is below 1.

    Notes
    -----
    All estimators of Eqs. 1–3 (paper, Sec. 3.2) can be computed from these. Merging is Chan, Golub and LeVeque's
    update ("Updating formulae and a pairwise algorithm for computing sample variances", 1979): for two parts `a` and
    `b` with the differences of their means :math:`\delta_1` and :math:`\delta_2`,

    .. math:: m_{12} = m_{12,a} + m_{12,b} + \delta_1 \delta_2 \, \frac{n_a n_b}{n_a + n_b}

    Examples
    --------
    >>> moments = PairMoments(units=1)
    >>> moments.update([[1.0], [2.0]], [[2.0], [4.0]])
    >>> moments.update([[3.0]], [[6.0]])
    >>> moments.n, moments.mean2.tolist(), moments.m12.tolist()
    (3, [4.0], [4.0])
    """

    __slots__ = ("_moments", "eps", "n")
    __hash__ = None  # type: ignore[assignment]  # mutable

    def __init__(self, units: int) -> None:
        self.n = 0
        self.eps = 0.0
        self._moments: Floats = np.zeros((len(MOMENTS), whole("units", units, least=1)))

    @classmethod
    def from_arrays(cls, z1: ArrayLike, z2: ArrayLike, eps: float = 0.0) -> PairMoments:
        """Return the moments of pairs in memory.

        Parameters
        ----------
        z1, z2, eps
            The pairs' first and second members, `(pairs, units)` each, and their precision; see `update`.

        Examples
        --------
        >>> PairMoments.from_arrays([[0.0, 1.0], [2.0, 1.0]], [[0.0, 1.0], [4.0, 2.0]]).m22.tolist()
        [8.0, 0.5]
        """
        z1, z2, eps = _members(z1, z2, eps)
        moments = cls(z1.shape[1])
        moments.update(z1, z2, eps)
        return moments

    def update(self, z1: ArrayLike, z2: ArrayLike, eps: float = 0.0) -> None:
        """Add a batch of pairs in place. If an error is raised, the moments are unchanged.

        Parameters
        ----------
        z1, z2
            The pairs' first and second members, `(pairs, units)` each: float16, float32 or float64, any
            strides; or tensors of torch, bfloat16 too.
        eps
            Machine epsilon of the precision in which the values were computed, if it is coarser than their type:
            2**-10 for activations of a float16 model that come as float32. What varies less is rounding noise.

        Raises
        ------
        NonFinite
            If a value is NaN, infinite or too large to be squared in float64.
        InputError
            If the shapes do not match, the arrays do not contain floats or have masked values, or `eps` is not 0 to
            0.5.
        """
        z1, z2, eps = _members(z1, z2, eps)
        rows, units = z1.shape
        if units != self.units:
            raise InputError(
                f"the batch has {units} units, these moments {self.units}; use separate moments for each layer"
            )
        if not rows:
            return
        eps = max(self.eps, eps, EPS[z1.itemsize], EPS[z2.itemsize])
        dtype = np.float64 if 8 in (z1.itemsize, z2.itemsize) else np.float32
        z1, z2 = np.ascontiguousarray(z1, dtype), np.ascontiguousarray(z2, dtype)
        moments = advance(z1, z2, self.n, self._moments)
        if moments is None:
            raise _first_bad_value(z1, z2)
        self._moments, self.n, self.eps = moments, self.n + rows, eps

    def merge(self, other: PairMoments) -> PairMoments:
        """Return the moments of the union of both sets of pairs. Neither operand is changed.

        Merging the same parts in the same order gives the same bits.

        Raises
        ------
        InputError
            If the numbers of units differ.

        Examples
        --------
        >>> first, rest = PairMoments.from_arrays([[0.0]], [[1.0]]), PairMoments.from_arrays([[2.0]], [[5.0]])
        >>> first.merge(rest) == PairMoments.from_arrays([[0.0], [2.0]], [[1.0], [5.0]])
        True
        """
        if not isinstance(other, PairMoments):
            raise InputError(f"other is a {type(other).__name__}; expected: a PairMoments")
        if other.units != self.units:
            raise InputError(
                f"moments of {self.units} and {other.units} units cannot be merged; merge moments of the same layer"
            )
        merged = PairMoments(self.units)
        merged.n = self.n + other.n
        merged.eps = max(self.eps, other.eps)
        if self.n and other.n:
            step = other._moments[:2] - self._moments[:2]
            spread = self.n * (other.n / merged.n)
            merged._moments[:2] = self._moments[:2] + step * (other.n / merged.n)
            merged._moments[2:] = self._moments[2:] + other._moments[2:]
            merged._moments[2:4] += spread * step * step
            merged._moments[4] += spread * step[0] * step[1]
        else:
            merged._moments[:] = self._moments if self.n else other._moments
        return merged

    def to_arrays(self) -> dict[str, Floats]:
        """Return the complete state as arrays for `numpy.savez`. `from_state` restores it bit for bit.

        Examples
        --------
        >>> moments = PairMoments.from_arrays([[0.0, 1.0]], [[1.0, 3.0]])
        >>> PairMoments.from_state(moments.to_arrays()) == moments
        True
        """
        return {"n": np.array(float(self.n)), "eps": np.array(self.eps), "moments": self._moments.copy()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PairMoments:
        """Return moments from the result of `to_arrays`.

        Raises
        ------
        InputError
            If the arrays are not a valid result of `to_arrays`.
        """
        try:
            n, eps = float(state["n"]), float(state["eps"])
            values = np.array(state["moments"], np.float64, order="C")
        except Exception as error:  # anything may have been stored
            raise InputError(f"these are not stored moments ({one_line(error)}); compute them again") from None
        if (
            values.ndim != 2
            or values.shape[0] != len(MOMENTS)
            or not np.isfinite(values).all()
            or (values[2:4] < 0).any()
            or not (n >= 0 and n.is_integer() and 0 <= eps < 1)
        ):
            raise InputError(
                f"stored moments of shape {values.shape}, n = {n:g}, eps = {eps:g} are damaged; expected: "
                f"({len(MOMENTS)}, units), finite, no negative second moments. Compute them again"
            )
        moments = cls(values.shape[1])
        moments.n, moments.eps, moments._moments = int(n), eps, values
        return moments

    @property
    def units(self) -> int:
        """Number of units of the layer."""
        return int(self._moments.shape[1])

    @property
    def mean1(self) -> Floats:
        """Mean of the first members, `(units,)`."""
        return self._row(0)

    @property
    def mean2(self) -> Floats:
        """Mean of the second members, `(units,)`."""
        return self._row(1)

    @property
    def m11(self) -> Floats:
        """Centred second moment of the first members, `(units,)`."""
        return self._row(2)

    @property
    def m22(self) -> Floats:
        """Centred second moment of the second members, `(units,)`."""
        return self._row(3)

    @property
    def m12(self) -> Floats:
        """Centred cross moment of the two members, `(units,)`."""
        return self._row(4)

    def _row(self, number: int) -> Floats:
        """Return one row of the moments, `(units,)`."""
        row: Floats = self._moments[number]
        return row

    def __eq__(self, other: object) -> bool:
        """Return whether both contain the same numbers, bit for bit."""
        if not isinstance(other, PairMoments):
            return NotImplemented
        return (self.n, self.eps) == (other.n, other.eps) and np.array_equal(self._moments, other._moments)

    def __repr__(self) -> str:
        return f"PairMoments(n={self.n}, units={self.units})"


def _members(z1: ArrayLike, z2: ArrayLike, eps: float) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Return both members as float arrays of the same shape `(pairs, units)`, and their precision, all validated."""
    eps = between("eps", eps, 0, 0.5, "float16 has 2**-10")
    (a, eps1), (b, eps2) = as_array("z1", z1), as_array("z2", z2)
    for name, z in (("z1", a), ("z2", b)):
        if z.dtype.kind != "f" or z.itemsize not in EPS:
            raise InputError(
                f"{name} has dtype {z.dtype}; expected: float16, float32 or float64. Convert it, e.g. astype('float32')"
            )
        if z.ndim != 2:
            raise InputError(f"{name} has shape {z.shape}; expected: (pairs, units). Pool all other axes first")
    if a.shape != b.shape:
        raise InputError(f"z1 has shape {a.shape}, z2 {b.shape}; expected: equal shapes, where row i of both is pair i")
    return a, b, max(eps, eps1, eps2)


def _first_bad_value(z1: NDArray[Any], z2: NDArray[Any]) -> NonFinite:
    """Return an error that names the first value that is not finite, or whose square is not."""
    for z in (z1, z2):
        bad = np.argwhere(~np.isfinite(z))
        if len(bad):
            row, unit = (int(i) for i in bad[0])
            return NonFinite(unit, row, float(z[row, unit]))
    largest = max((z1, z2), key=lambda z: float(np.abs(z).max()))
    row, unit = (int(i) for i in np.unravel_index(np.abs(largest).argmax(), largest.shape))
    return NonFinite(unit, row, float(largest[row, unit]))
