"""Check the names of the layers that a user requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sdmetrics.errors import InputError, suggest


def check_layer_names(layers: Iterable[str], known: Sequence[str], owner: str, kind: str = "module") -> list[str]:
    """Return the requested names as a list.

    Parameters
    ----------
    layers
        The requested names.
    known
        The names that exist.
    owner, kind
        What errors call the model, and that which has a name.

    Raises
    ------
    InputError
        If there is no name, one does not exist (with the nearest names), or one is requested twice.

    Examples
    --------
    >>> check_layer_names(["layer4"], ["layer1", "layer2"], "ResNet")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: ResNet has no module 'layer4'. The nearest names: layer2, layer1
    """
    if isinstance(layers, str):
        raise InputError(f"layers is {layers!r}; expected a list of {kind} names. {suggest(layers, known)}")
    names = list(layers) if isinstance(layers, Iterable) else [layers]
    if strange := [name for name in names if not isinstance(name, str)]:
        raise InputError(f"layers has {strange[0]!r:.60}; expected a list of {kind} names. {suggest('', known)}")
    for name in names:
        if name not in known:
            raise InputError(f"{owner} has no {kind} {name!r}. {suggest(name, known)}")
    if not names or len(set(names)) < len(names):
        raise InputError(f"layers are {names}; name at least one {kind}, each once. {suggest('', known)}")
    return names
