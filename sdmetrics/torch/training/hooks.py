"""Hooks of a model that torch.compile leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

Hook = TypeVar("Hook", bound=Callable[..., None])


def not_compiled(hook: Hook) -> Hook:
    """Exclude a hook of the model from compilation: it counts steps and may run the model again."""
    reason = "for fullgraph=True call sdmetrics.torch.attach after torch.compile, on what torch.compile returned"
    uncompiled: Hook = torch.compiler.disable(hook, reason=reason)  # type: ignore[no-untyped-call]
    return uncompiled
