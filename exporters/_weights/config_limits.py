"""Limits on what a configuration may ask for, checked before a model of it is built."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics._reading import read_json
from sdmetrics._text import printable
from sdmetrics.errors import InputError, one_line
from sdmetrics.exporters.architectures.transformers_source import token_of
from sdmetrics.probes.quiet import quiet

if TYPE_CHECKING:
    from sdmetrics.exporters.architectures.transformers_source import TransformersSource
    from sdmetrics.probes.inputs import ModelInput

LAYERS = 1000
"""Of one kind. The deepest model of the catalogue has 40."""

POSITIONS = 2**26
"""Numbers in a table of positions: patches of all frames × width. The largest model of the catalogue has 5.2e7."""

LABELS = 100_000

SMALL = 2**24
"""Numbers of a model that is built whatever the size of the weights, which then tell what is wrong with them."""

LARGEST = 10_000
"""Frames of a clip, and pixels of a side."""


def check_config(folder: Path, source: TransformersSource, config: Any, video: ModelInput) -> None:  # noqa: ANN401
    """Check that a folder's configuration describes a model of about the size of the folder's weights.

    The model is built without memory for its weights, and its numbers are counted: a wrong width would otherwise be
    built, with gigabytes, before the first weight is compared.

    Raises
    ------
    InputError
        If it asks for too many layers, tokens or numbers, or describes no model.
    """
    import torch

    where = folder / "config.json"
    for name, value in _numbers(config.to_dict()):
        if ("layers" in name or "depth" in name or "blocks" in name) and value > LAYERS:
            raise InputError(f"{where} has {printable(name)} {value:,}; expected at most {LAYERS:,}. Copy it again")
    _, pixels = token_of(config)
    tokens = video.frames * prod(max(side // pixels, 1) for side in video.size)
    width = max((value for name, value in _numbers(config.to_dict()) if name == "hidden_size"), default=1)
    if tokens * width > POSITIONS:
        raise InputError(
            f"{where} describes clips of {video.frames:,} frames of {video.size[0]:,} × {video.size[1]:,} pixels, "
            f"{tokens:,} patches of {width:,} numbers; expected at most {POSITIONS:,} numbers. Copy it again"
        )
    try:
        with quiet("transformers"), torch.device("meta"):
            model = source.load()(config)
    except Exception as error:
        raise InputError(f"{where} describes no model: {printable(one_line(error))}. Copy it again") from None
    numbers = sum(weight.numel() for weight in model.parameters())
    size = sum(path.stat().st_size for pattern in ("*.safetensors", "*.bin") for path in folder.glob(pattern))
    if numbers > size + SMALL:
        raise InputError(
            f"{where} describes a model of {numbers:,} numbers, and the folder's weights have {size:,} bytes, so they "
            "do not belong together. Copy the folder again"
        )


def check_labels(where: Path, content: dict[str, Any]) -> None:
    """Raise an `InputError` for more labels than any model has: Transformers would write a name for each.

    Examples
    --------
    >>> check_labels(Path("config.json"), {"num_labels": 10**9})
    Traceback (most recent call last):
    sdmetrics.errors.InputError: config.json has num_labels 1,000,000,000; expected at most 100,000. Copy it again
    """
    for name, value in _numbers(content):
        if name == "num_labels" and value > LABELS:
            raise InputError(f"{where} has {name} {value:,}; expected at most {LABELS:,}. Copy it again")


def check_clip(where: Path, frames: object, side: object) -> tuple[int, int, int]:
    """Return the frames, height and width that a configuration describes; `side` is one number or two.

    Raises
    ------
    InputError
        If they are not whole numbers up to 10,000.

    Examples
    --------
    >>> check_clip(Path("config.json"), 16, [224, 224])
    (16, 224, 224)
    """
    values = (frames, *(side if isinstance(side, (list, tuple)) else (side, side)))
    whole = [value for value in values if type(value) is int and 0 < value <= LARGEST]
    if len(whole) == len(values) == 3:
        return whole[0], whole[1], whole[2]
    raise InputError(
        f"{where} describes clips of {printable(frames)} frames and the size {printable(side)}; expected whole numbers "
        f"from 1 to {LARGEST:,}. Copy it again"
    )


def check_processor(path: Path) -> None:
    """Raise an `InputError` where a preprocessor would make images of an unusual size."""
    content = read_json(path)
    for name, value in _numbers(content) if isinstance(content, dict) else ():
        if value > LARGEST:
            raise InputError(f"{path} has {printable(name)} {value:,}; expected at most {LARGEST:,}. Copy it again")


def _numbers(config: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the whole numbers of a configuration and of those within it."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield str(name), value
