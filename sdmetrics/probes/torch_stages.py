"""Find the stages of a torch model by the structure of its modules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, suggest

if TYPE_CHECKING:
    from torch import nn

NUMBERED = re.compile(r"(layer|stage|res|block|s)_?(\d+)")


def find_stages(module: nn.Module) -> list[str]:
    """Return the names of a network's stem and stages, or of a transformer's blocks, in order.

    Children called `layer1`, `layer2`, … (or stage, res, block) are stages, and the child before them is the stem.
    Otherwise the largest list of modules of one kind holds the stages, without a classification head at its end.

    Raises
    ------
    InputError
        If there are no such modules, with names to choose from.

    Examples
    --------
    >>> from torch import nn
    >>> blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4)) for _ in range(2))
    >>> find_stages(nn.ModuleDict({"embed": nn.Linear(4, 4), "blocks": blocks}))
    ['blocks.0', 'blocks.1']
    """
    found = [group for name, inner in module.named_modules() if (group := _numbered(name, inner))]
    found = found or [group for name, inner in module.named_modules() if (group := _listed(name, inner))]
    if not found:
        known = [name for name, _ in module.named_modules() if name]
        raise InputError(
            f"{type(module).__name__} has no stages that can be recognised by its modules' names. {suggest('', known)}"
        )
    # Among equal groups the first, which is the outermost.
    return max(found, key=lambda names: sum(_size(module.get_submodule(name)) for name in names))


def _numbered(name: str, module: nn.Module) -> list[str]:
    """Return the children called `layer1` and so on, and the child before them."""
    children = [child for child, _ in module.named_children()]
    stages = [child for child in children if NUMBERED.fullmatch(child)]
    if len(stages) < 2:
        return []
    first = children.index(stages[0])
    return [_joined(name, child) for child in children[max(first - 1, 0) : first] + stages]


def _listed(name: str, module: nn.Module) -> list[str]:
    """Return the elements of a list of modules if at least two of them are of one kind and have children."""
    children = list(module.named_children())
    kinds = [type(child) for _, child in children if any(child.children())]
    if not all(child.isdigit() for child, _ in children) or len(kinds) - len(set(kinds)) < 1:
        return []
    if "head" in type(children[-1][1]).__name__.lower():
        children.pop()
    return [_joined(name, child) for child, _ in children]


def _joined(name: str, child: str) -> str:
    return f"{name}.{child}" if name else child


def _size(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
