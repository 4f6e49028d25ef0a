"""Labels: which of a model's outputs is the right one for a clip."""

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
"""So many allowed names an error lists."""


def read_classes(path: str | Path) -> dict[str, int]:
    r"""Read the classes of a model: for each name the index of its output.

    Parameters
    ----------
    path
        A text file with one name per line, in the order of the outputs; or a `.json` file that holds a list of names in
        that order, or an object of names with their indices (numbers, or numbers as text as Something-Something v2 has
        them).

    Raises
    ------
    InputError
        If the file cannot be read or is empty, a name is empty or there twice, or the indices are not 0, 1, 2, … each
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
        # As pairs: of a name that is there twice, a dict would keep one.
        content = json.loads(text, object_pairs_hook=_Pairs) if is_json else text.rstrip().splitlines()
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"the labels {path} cannot be read ({error}); give a text file or JSON, as UTF-8") from None
    if isinstance(content, _Pairs):
        pairs = [(name, _index(index, name, path)) for name, index in content]
    elif isinstance(content, list):
        pairs = [(name, index) for index, name in enumerate(content)]
    else:
        raise InputError(
            f"the labels {path} hold {shortened(content)}; allowed: a list of names, or an object of names and indices"
        )
    if not pairs:
        raise InputError(f"the labels {path} hold no name; write one per line, in the order of the model's outputs")
    classes: dict[str, int] = {}
    for given, index in pairs:
        name = _name(given, index, path)
        if name in classes:
            raise InputError(f"the labels {path} hold {name!r} twice; every class needs a name of its own")
        classes[name] = index
    if missing := sorted(set(range(len(classes))) - set(classes.values())):
        raise InputError(
            f"the labels {path} have {len(classes)} names and none of the index {missing[0]}; needed: every index from "
            f"0 to {len(classes) - 1} once"
        )
    return classes


def class_indices(clips: Iterable[Clip], classes: Mapping[str, int] | None = None) -> NDArray[np.int64]:
    """Return for each clip the index of the model's output that is right, int64 `(clips,)`.

    Parameters
    ----------
    clips
        Clips with labels.
    classes
        As `read_classes` gives them. A label of several parts, such as the generated world's `"right/stripes"`, counts
        by the one part that is a class. Without `classes`, every label must be the index itself.

    Raises
    ------
    InputError
        If a clip has no label, or one that is no class.

    Examples
    --------
    >>> clip = Clip("wave", lambda: np.zeros((8, 32, 32, 3), np.uint8), label="right/stripes")
    >>> class_indices([clip], {"left": 0, "right": 1})
    array([1])
    """
    return np.array([_class_index(clip, classes) for clip in clips], np.int64)


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it is written."""


def _index(index: object, name: str, path: Path) -> int:
    """Return the index that a JSON object gives a name."""
    is_number = isinstance(index, int) and not isinstance(index, bool)
    if is_number or (isinstance(index, str) and index.isdecimal()):
        number = int(str(index))
        if number >= 0:
            return number
    raise InputError(f"the labels {path} give {name!r} the index {shortened(index)}; allowed: whole numbers from 0 on")


def _name(name: object, index: int, path: Path) -> str:
    """Return a name; PyTorchVideo's list of Kinetics puts those of several words into quotes of their own."""
    text = name.strip().strip('"') if isinstance(name, str) else ""
    if not text:
        raise InputError(
            f"the labels {path} name class {index} {shortened(name)}; needed: a name for every output, in their order"
        )
    return text


def _class_index(clip: Clip, classes: Mapping[str, int] | None) -> int:
    """Return the class of one clip."""
    if clip.label is None:
        raise InputError(
            f"clip {clip.id!r} has no label; give a CSV file with the columns path,label or published annotations"
        )
    if classes is None:
        if clip.label.isdecimal():
            return int(clip.label)
        raise InputError(
            f"clip {clip.id!r} has the label {clip.label!r}; without a list of classes only numbers are allowed. Give "
            "the model's classes, one per line in the order of its outputs"
        )
    named = [clip.label] if clip.label in classes else [part for part in clip.label.split("/") if part in classes]
    if len(set(named)) == 1:
        return classes[named[0]]
    if named:
        raise InputError(
            f"clip {clip.id!r} has the label {clip.label!r}, in which {' and '.join(map(repr, named))} are classes; "
            "one must be"
        )
    some = ", ".join(map(repr, list(classes)[:SHOWN])) + (", …" if len(classes) > SHOWN else "")
    raise InputError(
        f"clip {clip.id!r} has the label {clip.label!r}, which is none of the {len(classes)} classes: {some}. Give the "
        "classes that the clips are labelled with"
    )
