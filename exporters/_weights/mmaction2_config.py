"""What the configuration that mmaction2 stores beside the weights says about how its network is fed."""

from __future__ import annotations

import re
from collections.abc import Mapping

NUMBERS = r"\b{field}=[\[(]([\d.,\s]+)[\])]"
CHANNELS = 3
WHITE = 255


def normalisation(content: object) -> dict[str, tuple[float, ...]]:
    """Return the mean and deviation with which mmaction2 trained the weights in a file, as fields of `ModelInput`.

    Nothing for files of others, for flow, and where the configuration has several.

    Examples
    --------
    >>> config = "model = dict(data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[51, 51, 51]))"
    >>> normalisation({"meta": {"cfg": config}, "state_dict": {}})
    {'mean': (0.5, 0.5, 0.5), 'std': (0.2, 0.2, 0.2)}
    """
    meta = content.get("meta") if isinstance(content, Mapping) else None
    # Its name before version 1.
    config = (meta.get("cfg") or meta.get("config")) if isinstance(meta, Mapping) else None
    if not isinstance(config, str):
        return {}
    try:
        read = {field: _numbers(config, field) for field in ("mean", "std")}
    except ValueError:
        return {}
    return read if all(map(len, read.values())) and min(read["std"]) > 0 else {}


def _numbers(config: str, field: str) -> tuple[float, ...]:
    """Return the only numbers of three channels that a field has, from 0 to 1; empty if there are none, or others."""
    found = {re.sub(r"\s", "", numbers).strip(",") for numbers in re.findall(NUMBERS.format(field=field), config)}
    numbers = tuple(round(float(number) / WHITE, 6) for number in found.pop().split(",")) if len(found) == 1 else ()
    return numbers if len(numbers) == CHANNELS else ()
