"""Labels: which class of a model is the right one for a clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError, note
from sdmetrics.evaluation.class_files import DIGITS

SHOWN = 5
"""The number of allowed names that an error lists."""

SPLITS = ("train", "training", "val", "validation", "test", "testing")
"""Folders that may lie around those of the classes."""

COUNTED = "pass a file of the classes whose lines begin with these numbers, as classInd.txt"


def class_indices(clips: Iterable[Clip], classes: Mapping[str, int] | None = None) -> NDArray[np.int64]:
    """Return the index of the right model output for each clip, int64 `(clips,)`.

    Parameters
    ----------
    clips
        Clips with labels.
    classes
        As returned by `read_classes`. A label is the class of that name, else the class of the name that differs in
        case, spaces and punctuation only, which is noted. A label of several parts, e.g. `"right/stripes"` of the
        generated world or the folders of a video, is the class that one of its parts names. A label that is a number is
        counted as in the file of the classes. Without `classes`, every label must be an index.

    Raises
    ------
    InputError
        If a clip has no label, or its label is not a class; or if the numbers do not fit the videos' folders.

    Examples
    --------
    >>> clip = Clip("wave", lambda: np.zeros((8, 32, 32, 3), np.uint8), label="right/stripes")
    >>> class_indices([clip], {"left": 0, "right": 1})
    array([1])
    """
    clips = list(clips)
    names = _Names(classes) if classes is not None else None
    known: dict[str | None, int | None] = {}
    for label in dict.fromkeys(clip.label for clip in clips):
        known[label] = None if label is None else names.index(label) if names else _number(label)
    if wrong := [clip for clip in clips if known[clip.label] is None]:
        raise _without_class(wrong, len(clips), classes)
    indices = np.array([known[clip.label] for clip in clips], np.int64)
    if names:
        names.say()
        _check_folders(clips, indices, names)
    numbered = all(_number(label or "") is not None and (not names or label not in names.classes) for label in known)
    if len(indices) and numbered and indices.min() == 1 and (not names or names.first == 0):
        note(
            f"the labels are numbers from 1 to {indices.max()}, none is 0, and output 0 is the first class; if they "
            f"are counted from 1, as UCF101's, {COUNTED}"
        )
    return indices


def class_indices_if_known(clips: Sequence[Clip], classes: Mapping[str, int] | None = None) -> NDArray[np.int64] | None:
    """Return what `class_indices` does, or `None` where the clips do not tell a model's classes.

    That is where no classes are passed and a clip has no label, or one that is not a number; labels that are left out
    are noted.

    Examples
    --------
    >>> clip = Clip("wave", lambda: np.zeros((8, 32, 32, 3), np.uint8))
    >>> class_indices_if_known([clip]) is None
    True
    """
    if classes is not None or all(_number(clip.label or "") is not None for clip in clips):
        return class_indices(clips, classes)
    labelled = sum(clip.label is not None for clip in clips)
    if labelled:
        note(
            f"{labelled} of {len(clips)} clips have labels, not all of them are numbers, and no list of the model's "
            "classes was passed, so accuracy is left out; --labels (in Python, classes) adds it"
        )
    return None


def check_count(classes: Mapping[str, int] | None, scores: int, output: str) -> None:
    """Check that there are as many names as a model's output has class scores.

    Raises
    ------
    InputError
        If there are more or fewer; the message has both numbers.

    Examples
    --------
    >>> check_count({"left": 0, "right": 1}, 3, "logits")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: the labels name 2 classes, and output 'logits' has 3 scores; pass one name per score, \
in their order (also for a background class), or the model output that scores these classes
    """
    if classes is not None and len(classes) != scores:
        raise InputError(
            f"the labels name {len(classes)} classes, and output {output!r} has {scores} scores; pass one name per "
            "score, in their order (also for a background class), or the model output that scores these classes"
        )


@dataclass
class _Names:
    """The classes by name, exact or but for case, spaces and punctuation."""

    classes: Mapping[str, int]
    similar: dict[str, set[str]] = field(init=False, default_factory=dict)
    guessed: dict[str, str] = field(init=False, default_factory=dict)
    """The labels that are a class only but for case, spaces and punctuation."""

    def __post_init__(self) -> None:
        for name in self.classes:
            self.similar.setdefault(_plain(name), set()).add(name)

    @property
    def first(self) -> int:
        """The number of output 0 in the file of the classes."""
        return int(getattr(self.classes, "first", 0))

    def index(self, label: str) -> int | None:
        """Return the index of a label's class, or None where it has none.

        Raises
        ------
        InputError
            If several classes fit, or a number is not that of a class.
        """
        name = self.name(label)
        if name is not None:
            return self.classes[name]
        number = _number(label)
        if number is None:
            return None
        if not 0 <= number - self.first < len(self.classes):
            raise InputError(
                f"a label is class {number}, and the labels name {len(self.classes)} classes, {self.first} to "
                f"{self.first + len(self.classes) - 1}; use the classes that the clips are labelled with (if "
                f"the labels are counted from 1, {COUNTED})"
            )
        return number - self.first

    def name(self, label: str) -> str | None:
        """Return the only class that a label or one of its parts names."""
        parts = [label, *label.split("/")]
        exact = [part for part in parts if part in self.classes]
        if label in self.classes:
            return label
        named = set(exact) or self._similar(label) or set().union(*map(self._similar, parts))
        if len(named) > 1:
            raise InputError(
                f"the label {label!r} has several parts or readings, in which {' and '.join(map(repr, sorted(named)))} "
                "are classes; expected exactly one. Correct the label or the classes"
            )
        found = next(iter(named), None)
        if found is not None and not exact:
            self.guessed[label] = found
        return found

    def say(self) -> None:
        """Tell which labels were not found by their exact names."""
        if self.guessed:
            label, name = next(iter(self.guessed.items()))
            note(
                f"{len(self.guessed)} label(s) differ from a class in case, spaces or punctuation only and are taken "
                f"for it, e.g. {label!r} for {name!r}"
            )

    def _similar(self, label: str) -> set[str]:
        """Return the classes whose names are a label but for case, spaces and punctuation."""
        plain = _plain(label)
        return self.similar.get(plain, set()) if plain else set()


def _plain(name: str) -> str:
    """Return the letters and digits of a name: `riding_a_bike` is `Riding a bike`, `[something]` is `something`."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _number(label: str) -> int | None:
    """Return a label as a number, also in the folder of a split, as `val/3`; None where it is none."""
    *folders, last = label.split("/")
    known = all(folder.casefold() in SPLITS for folder in folders)
    return int(last) if known and last.isdecimal() and len(last) <= DIGITS else None


def _check_folders(clips: Sequence[Clip], indices: NDArray[np.int64], names: _Names) -> None:
    """Compare labels that are numbers with folders that are named after classes.

    A list that counts from 1 and classes that are counted from 0 would give wrong accuracies without any other sign.
    """
    compared, wrong = 0, []
    for clip, index in zip(clips, indices.tolist(), strict=True):
        if clip.label is None or not clip.label.isdecimal() or clip.label in names.classes:
            continue
        folders = {part for part in clip.id.split("/")[:-1] if part in names.classes}
        if len(folders) == 1:
            compared += 1
            if names.classes[folder := folders.pop()] != index:
                wrong.append((clip, index, folder))
    if not wrong:
        return
    clip, index, folder = wrong[0]
    is_called = next(name for name, place in names.classes.items() if place == index)
    message = (
        f"{len(wrong)} of {compared} labels do not fit the folder of their video, e.g. clip {clip.id!r} has the label "
        f"{clip.label}, which is class {is_called!r} of the classes counted from {names.first}, and is in the folder "
        f"{folder!r}"
    )
    if len(wrong) == compared:
        raise InputError(f"{message}; use the file of classes that the list counts by")
    note(message)


def _without_class(wrong: Sequence[Clip], clips: int, classes: Mapping[str, int] | None) -> InputError:
    """Return the error for clips whose label is missing or not a class."""
    first = wrong[0]
    unlabelled = sum(clip.label is None for clip in wrong)
    count = f" ({len(wrong)} of {clips} clips have {'none' if unlabelled == len(wrong) else 'no such label'})"
    if clips == 1:
        count = ""
    if first.label is None:
        return InputError(
            f"clip {first.id!r} has no label{count}; use a folder per class, a list of paths and labels, a CSV file "
            "with the columns path,label or published annotations"
        )
    if classes is None:
        return InputError(
            f"clip {first.id!r} has the label {first.label!r}; without a list of classes only numbers are "
            f"allowed{count}. Pass the model's classes, one per line in the order of its outputs"
        )
    shown = ", ".join(map(repr, list(classes)[:SHOWN])) + (", …" if len(classes) > SHOWN else "")
    return InputError(
        f"clip {first.id!r} has the label {first.label!r}, which is not one of the {len(classes)} classes: "
        f"{shown}{count}. Pass the classes that the clips are labelled with"
    )
