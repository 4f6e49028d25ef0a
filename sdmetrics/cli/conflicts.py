"""What the commands say where options and clips, with masks or without, do not go together."""

from __future__ import annotations

from collections.abc import Mapping

from sdmetrics.errors import InputError

WITH_MASKS = "come with masks, and are for models that segment"
WITHOUT_MASKS = "come without masks to compare a segmentation with"


def refuse(whether: bool, options: Mapping[str, object], why: str) -> None:
    """Refuse options that have no meaning for these clips.

    Examples
    --------
    >>> refuse(True, {"--flip": True, "--threshold": None}, WITHOUT_MASKS)
    Traceback (most recent call last):
    sdmetrics.errors.InputError: --flip cannot be asked for: the clips come without masks to compare a segmentation \
with. Leave it out, or give other clips
    """
    given = [name for name, value in options.items() if value is not None and value is not False]
    if whether and given:
        raise InputError(f"{', '.join(given)} cannot be asked for: the clips {why}. Leave it out, or give other clips")
