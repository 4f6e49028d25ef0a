"""Lets torchvision be imported beside a torch that its compiled operators were not built for; for the tests alone.

A torchvision whose operators do not load fails at its import, because it registers more about two of them than their
names. Naming those two first mends it; no video model runs them. `make` copies this file into the tests' environment,
where Python loads it at its start, so that the command and every worker find torchvision importable.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
kept: list[object] = []


class Importing(importlib.abc.MetaPathFinder):
    """Finds nothing; it is told when torchvision is about to be imported."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        """Name the operators before torchvision asks for them."""
        if name == "torchvision":
            sys.meta_path.remove(self)
            name_operators()


def name_operators() -> None:
    """Name the operators, unless torchvision's own library loads and does it."""
    import torch

    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return
    with contextlib.suppress(OSError):
        for compiled in Path(found.origin).parent.glob("_C*.so"):
            torch.ops.load_library(compiled)
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(operator + ARGUMENTS)
        kept.append(library)


sys.meta_path.insert(0, Importing())
