"""Checks that options fit the clips: some need segmentation masks, others need clips without them."""

from __future__ import annotations

from collections.abc import Mapping

from sdmetrics.errors import InputError


def check_conflicts(
    masks: bool, for_masks: Mapping[str, object], for_labels: Mapping[str, object] | None = None
) -> None:
    """Check that no option was passed that has no meaning for the clips.

    Parameters
    ----------
    masks
        Whether the clips have segmentation masks.
    for_masks, for_labels
        The options for clips with segmentation masks, and those for labelled clips, by name. `None` and `False` mean
        that the option was not passed.

    Raises
    ------
    InputError
        If an option for the other kind of clips was passed.

    Examples
    --------
    >>> check_conflicts(False, {"--flip": True, "--threshold": None})
    Traceback (most recent call last):
    sdmetrics.errors.InputError: --flip requires clips with segmentation masks; drop the option or pass an annotated \
data set
    """
    useless = (for_labels or {}) if masks else for_masks
    passed = [name for name, value in useless.items() if value is not None and value is not False]
    if not passed:
        return
    kind, remedy = ("without", "labelled videos") if masks else ("with", "an annotated data set")
    requires, option = ("requires", "the option") if len(passed) == 1 else ("require", "the options")
    raise InputError(f"{', '.join(passed)} {requires} clips {kind} segmentation masks; drop {option} or pass {remedy}")
