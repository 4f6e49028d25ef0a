"""The verdict on a change: worse than a limit allows, not worse, or that these clips cannot tell."""

from __future__ import annotations

import math

from sdmetrics.gate.change import Change
from sdmetrics.gate.limit import Limit

WORSE, NOT_WORSE, CANNOT_TELL = "worse", "not worse", "cannot tell"

MOST_CLIPS = 1_000_000
"""More clips than anyone has: the change is as good as at the limit."""


def verdict_of(change: Change, limit: Limit) -> str:
    """Return whether a change is worse than a limit allows: only if its whole 95 % interval is.

    Examples
    --------
    >>> limit = Limit.parse("layer4.dynamic 5", drop=True)
    >>> [verdict_of(Change(40, 30, low, high, "", "", 300), limit) for low, high in ((-13, -7), (-13, -4), (-4, 1))]
    ['worse', 'cannot tell', 'not worse']
    """
    if change.low is None or change.high is None:
        return CANNOT_TELL
    least, largest = _loss(change, limit)[1:]
    return WORSE if least > limit.most else NOT_WORSE if largest <= limit.most else CANNOT_TELL


def clips_it_would_take(change: Change, limit: Limit) -> int | None:
    """Return about how many clips would tell, if the change stays as it is; `None` if no number of clips would.

    Intervals narrow with the square root of the number of clips.

    Examples
    --------
    >>> clips_it_would_take(Change(40, 30, -16, -4, "", "", 300), Limit.parse("layer4.dynamic 8", drop=True))
    2700
    """
    if change.low is None or change.high is None:
        return None
    loss, least, largest = _loss(change, limit)
    half = loss - least if loss > limit.most else largest - loss
    apart = abs(loss - limit.most)
    if half >= apart * math.sqrt(MOST_CLIPS / change.clips):
        return None
    needed = math.ceil(change.clips * (half / apart) ** 2)
    return math.ceil(needed / 10 ** (len(str(needed)) - 2)) * 10 ** (len(str(needed)) - 2) if needed > 99 else needed


def _loss(change: Change, limit: Limit) -> tuple[float, float, float]:
    """Return by how much the run is worse, and the ends of the interval of that."""
    assert change.low is not None
    assert change.high is not None
    if limit.drop:
        return -change.value, -change.high, -change.low
    return change.value, change.low, change.high
