"""What the configuration that mmaction2 stores beside the weights says about how its network is fed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sdmetrics.errors import InputError, note

NUMBERS = r"\b{field}=[\[(]([\d.,\s]+)[\])]"
CHANNELS = 3
WHITE = 255

BACKBONES = {"c2d_r50_8x8x1": "C2D", "c2d_r50_nopool_8x8x1": "ResNet", "tsn_r50_1x1x8": "ResNet"}
"""What mmaction2 calls the backbones of architectures whose weights have the same names and shapes."""


def normalisation(content: object) -> dict[str, tuple[float, ...]]:
    """Return the mean and deviation with which mmaction2 trained the weights in a file, as fields of `ModelInput`.

    Nothing for files of others, for flow, and where the configuration has several.

    Examples
    --------
    >>> config = "model = dict(data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[51, 51, 51]))"
    >>> normalisation({"meta": {"cfg": config}, "state_dict": {}})
    {'mean': (0.5, 0.5, 0.5), 'std': (0.2, 0.2, 0.2)}
    """
    config = _config(content)
    try:
        read = {field: _numbers(config, field) for field in ("mean", "std")}
    except ValueError:
        return {}
    return read if all(map(len, read.values())) and min(read["std"]) > 0 else {}


def check_backbone(content: object, name: str) -> None:
    """Raise an `InputError` if the configuration beside weights of C2D or TSN builds the other one.

    Examples
    --------
    >>> check_backbone({"meta": {"cfg": "backbone=dict(depth=50, type='C2D')"}}, "tsn_r50_1x1x8")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: the configuration beside the weights has the backbone C2D, and this architecture is \
mmaction2's ResNet; their weights have the same names and shapes. Choose c2d_r50_8x8x1
    """
    config, expected = _config(content), BACKBONES.get(name, "")
    others = {kind: row for row, kind in BACKBONES.items() if kind != expected and f"type='{kind}'" in config}
    if expected and others and f"type='{expected}'" not in config:
        kind, row = others.popitem()
        raise InputError(
            f"the configuration beside the weights has the backbone {kind}, and this architecture is mmaction2's "
            f"{expected}; their weights have the same names and shapes. Choose {row}"
        )


def note_alike(content: object, name: str, source: str) -> None:
    """Tell that a file was opened as the architecture `name`, where nothing in it says which of several it is.

    Examples
    --------
    >>> note_alike({"meta": {"cfg": "backbone=dict(depth=50, type='C2D')"}}, "c2d_r50_8x8x1", "my.pth")
    """
    expected = BACKBONES.get(name)
    if expected and f"type='{expected}'" not in _config(content):
        note(
            f"{source}: opened as {name}; weights of {', '.join(BACKBONES)} have the same names and shapes, and the "
            "file does not tell which of them it is"
        )


def _config(content: object) -> str:
    """Return the configuration in a file, or nothing."""
    meta = content.get("meta") if isinstance(content, Mapping) else None
    # Its name before version 1.
    config = (meta.get("cfg") or meta.get("config")) if isinstance(meta, Mapping) else None
    return config if isinstance(config, str) else ""


def _numbers(config: str, field: str) -> tuple[float, ...]:
    """Return the only numbers of three channels that a field has, from 0 to 1; empty if there are none, or others."""
    found = {re.sub(r"\s", "", numbers).strip(",") for numbers in re.findall(NUMBERS.format(field=field), config)}
    numbers = tuple(round(float(number) / WHITE, 6) for number in found.pop().split(",")) if len(found) == 1 else ()
    return numbers if len(numbers) == CHANNELS else ()
