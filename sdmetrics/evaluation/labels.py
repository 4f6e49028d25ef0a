"""Labels: which class of a model is the right one for a clip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError

SHOWN = 5
"""The number of allowed names that an error lists."""


def read_classes(path: str | Path) -> dict[str, int]:
    r"""Read the classes of a model: the index of the output by name.

    Parameters
    ----------
    path
        A text file with one name per line, in the order of the outputs; or a `.json` file with a list of names in that
        order, or an object that maps names to indices (numbers, or numbers as text, as in Something-Something v2).

    Raises
    ------
    InputError
        If the file cannot be read or is empty, a name is empty or not unique, or the indices are not 0, 1, 2, …, each
        once.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "classes.txt")
    ...     _ = path.write_text("jumping\nsitting down\n")
    ...     read_classes(path)
    {'jumping': 0, 'sitting down': 1}
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        is_json = path.suffix.lower() == ".json"
        # As pairs: a dict would keep only one of two equal names.
        content = json.loads(text, object_pairs_hook=_Pairs) if is_json else text.rstrip().splitlines()
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"the labels {path} cannot be read ({error}); expected a text file or JSON in UTF-8") from None
    if isinstance(content, _Pairs):
        pairs = [(name, _index(index, name, path)) for name, index in content]
    elif isinstance(content, list):
        pairs = [(name, index) for index, name in enumerate(content)]
    else:
        raise InputError(
            f"the labels {path} are {shortened(content)}; expected a list of names, or an object of names and indices"
        )
    if not pairs:
        raise InputError(
            f"the labels {path} are empty; expected one name per line, in the order of the model's outputs"
        )
    classes: dict[str, int] = {}
    for given, index in pairs:
        name = _name(given, index, path)
        if name in classes:
            raise InputError(f"the labels {path} have {name!r} twice; every class needs a unique name")
        classes[name] = index
    if missing := sorted(set(range(len(classes))) - set(classes.values())):
        raise InputError(
            f"the labels {path} have {len(classes)} names, but none has the index {missing[0]}; expected every "
            f"index from 0 to {len(classes) - 1} once"
        )
    return classes


def class_indices(clips: Iterable[Clip], classes: Mapping[str, int] | None = None) -> NDArray[np.int64]:
    """Return the index of the right model output for each clip, int64 `(clips,)`.

    Parameters
    ----------
    clips
        Clips with labels.
    classes
        As returned by `read_classes`. A label of several parts, e.g. `"right/stripes"` of the generated world, is the
        class that one of its parts names. Without `classes`, every label must be an index.

    Raises
    ------
    InputError
        If a clip has no label, or its label is not a class.

    Examples
    --------
    >>> clip = Clip("wave", lambda: np.zeros((8, 32, 32, 3), np.uint8), label="right/stripes")
    >>> class_indices([clip], {"left": 0, "right": 1})
    array([1])
    """
    return np.array([_class_index(clip, classes) for clip in clips], np.int64)


class _Pairs(list[tuple[str, object]]):
    """The items of a JSON object, in order, with duplicates."""


def _index(index: object, name: str, path: Path) -> int:
    """Return the index of a name in a JSON object."""
    is_number = isinstance(index, int) and not isinstance(index, bool)
    if is_number or (isinstance(index, str) and index.isdecimal()):
        number = int(str(index))
        if number >= 0:
            return number
    raise InputError(f"the labels {path} map {name!r} to {shortened(index)}; expected a whole number of at least 0")


def _name(name: object, index: int, path: Path) -> str:
    """Return a name without quotes, which PyTorchVideo's list of Kinetics has around names of several words."""
    text = name.strip().strip('"') if isinstance(name, str) else ""
    if not text:
        raise InputError(
            f"the labels {path} name class {index} {shortened(name)}; expected a name for every output, in their order"
        )
    return text


def _class_index(clip: Clip, classes: Mapping[str, int] | None) -> int:
    """Return the class of one clip."""
    if clip.label is None:
        raise InputError(
            f"clip {clip.id!r} has no label; use a CSV file with the columns path,label or published annotations"
        )
    if classes is None:
        if clip.label.isdecimal():
            return int(clip.label)
        raise InputError(
            f"clip {clip.id!r} has the label {clip.label!r}; without a list of classes only numbers are allowed. Pass "
            "the model's classes, one per line in the order of its outputs"
        )
    named = [clip.label] if clip.label in classes else [part for part in clip.label.split("/") if part in classes]
    if len(set(named)) == 1:
        return classes[named[0]]
    if named:
        raise InputError(
            f"clip {clip.id!r} has the label {clip.label!r}, in which {' and '.join(map(repr, named))} are classes; "
            "expected exactly one"
        )
    shown = ", ".join(map(repr, list(classes)[:SHOWN])) + (", …" if len(classes) > SHOWN else "")
    raise InputError(
        f"clip {clip.id!r} has the label {clip.label!r}, which is not one of the {len(classes)} classes: {shown}. Pass "
        "the classes that the clips are labelled with"
    )
