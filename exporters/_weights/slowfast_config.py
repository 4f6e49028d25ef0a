"""What the configuration that SlowFast stores beside the weights says about how its network is fed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from sdmetrics.errors import InputError, note
from sdmetrics.probes.inputs import ModelInput

IMAGES = ("ssv2", "charades")
"""The data sets whose frames SlowFast reads from images, with OpenCV, as BGR and at the rate of the images."""


def fed_as_stated(content: object, inputs: Sequence[ModelInput], source: str) -> tuple[ModelInput, ...]:
    r"""Return how the network in a file is fed: as its catalogue row says, but for what its configuration says.

    The distance between frames, their rate, mean and deviation are those of the configuration. For
    Something-Something, SlowFast spreads the frames over the whole video. Frames that it reads as BGR and those of
    videos, which are RGB, are turned around under `REVERSE_INPUT_CHANNEL`; all of its own configurations end in RGB.

    Warns
    -----
    UserWarning
        If the configuration is for another number of frames.

    Examples
    --------
    >>> config = "DATA:\n  MEAN:\n  - 0.5\n  - 0.5\n  - 0.5\n  REVERSE_INPUT_CHANNEL: true\nTRAIN:\n  DATASET: ssv2\n"
    >>> (video,) = fed_as_stated({"cfg": config}, [ModelInput("video", fps=30)], "my.pyth")
    >>> video.mean, video.colours, video.sampling, video.fps
    ((0.5, 0.5, 0.5), 'rgb', 'spread', None)
    """
    config = content.get("cfg") if isinstance(content, Mapping) else None
    if not isinstance(config, str) or not re.search(r"^DATA:$", config, re.M):
        return tuple(inputs)
    data = _section(config, "DATA")
    name = _section(config, "TRAIN").get("DATASET", "")
    reverse = data.get("REVERSE_INPUT_CHANNEL", "").lower() == "true"
    stated: dict[str, Any] = {"colours": "bgr" if (name in IMAGES) != reverse else "rgb"}
    for field in ("mean", "std"):
        numbers = _numbers(data.get(field.upper(), ""))
        if len(numbers) == 3 and (field == "mean" or min(numbers) > 0):
            stated[field] = numbers
    if name == "ssv2":
        stated |= {"sampling": "spread", "fps": None}
    else:
        rate = _numbers(data.get("TARGET_FPS", ""))
        stated |= {"sampling": "window"}
        stated |= {"fps": None} if name in IMAGES else {"fps": rate[0]} if rate else {}
    most = max(item.frames for item in inputs)
    frames, stride = (int(*_numbers(data.get(field, ""))[:1]) for field in ("NUM_FRAMES", "SAMPLING_RATE"))
    if frames and frames != most:
        note(
            f"{source}: its configuration feeds {frames} frames, this architecture reads {most}; choose the one that "
            "reads as many, if there is one"
        )
    try:
        return tuple(
            replace(item, **stated, stride=stride * most // item.frames if stride else item.stride) for item in inputs
        )
    except InputError as error:
        raise InputError(f"the configuration in {source} cannot be followed: {error}") from None


def _section(config: str, name: str) -> dict[str, str]:
    """Return the entries of a section of YAML with two levels; those of a list in one text."""
    found = re.search(rf"^{name}:\n((?:  .*\n?)*)", config, re.M)
    entries: dict[str, str] = {}
    key = ""
    for line in found[1].splitlines() if found else ():
        entry = re.fullmatch(r"  (\w+):\s*(.*)", line)
        if entry:
            key = entry[1]
            entries[key] = entry[2]
        elif key:
            entries[key] += f" {line.strip(' -')}"
    return entries


def _numbers(text: str) -> tuple[float, ...]:
    """Return the numbers in a text, or none if there is anything else."""
    try:
        numbers = tuple(float(part) for part in re.split(r"[\s,\[\]]+", text) if part)
    except ValueError:
        return ()
    return numbers if all(map(isfinite, numbers)) else ()
