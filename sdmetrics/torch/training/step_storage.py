"""Where a tracker's measurements are stored, so that a training killed at any moment resumes with all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from sdmetrics._files import folder_on_disk
from sdmetrics._reading import UnreadableError
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.stored import DamagedError
from sdmetrics.comparison.step_folders import step_folder, step_folders
from sdmetrics.errors import InputError, note


class StepStorage:
    """The folder of a training's measurements.

    Parameters
    ----------
    folder
        The folder; every measurement becomes a run in it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     StepStorage(Path(folder)).recovered()
    {}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unfinished = folder / ".unfinished"
        self._replaced = folder / ".replaced"

    def clear(self) -> None:
        """Remove what is left of a measurement that was not finished."""
        shutil.rmtree(self.unfinished, ignore_errors=True)

    def finish(self, results: Results, step: int) -> None:
        """Give the unfinished run its place, instead of an earlier run of the same step if there is one."""
        results.save(self.unfinished)
        self._place(self.unfinished, step_folder(self.folder, step))

    def loaded(self, set_aside: bool = False) -> dict[int, Results]:
        """Return the measurements by step, without damaged ones, which are renamed if they are to be set aside."""
        found = {}
        for step, folder in step_folders(self.folder).items():
            try:
                found[step] = Results.load(folder)
            except InputError as error:
                # The other processes of a training may look while the first one sets runs aside.
                if set_aside and not isinstance(error, DamagedError):
                    raise
                if set_aside:
                    _set_aside(folder, error)
        return found

    def recovered(self) -> dict[int, Results]:
        """Return the measurements by step, after finishing or removing what a killed process left.

        A damaged run, e.g. after a power loss, is renamed to `step-000300.damaged`, and a `Note` says so.
        """
        for left in (self.unfinished, self._replaced):
            if (step := _step_of(left)) is not None and (left is self.unfinished or not self._has(step)):
                self._place(left, step_folder(self.folder, step))
            shutil.rmtree(left, ignore_errors=True)
        return self.loaded(set_aside=True)

    def _has(self, step: int) -> bool:
        """Return whether there is a measurement of a step."""
        return step_folder(self.folder, step).exists()

    def _place(self, run: Path, place: Path) -> None:
        """Rename a whole run to its place; at any moment either the old one or the new one is whole."""
        if run != self._replaced:
            shutil.rmtree(self._replaced, ignore_errors=True)
            if place.exists():
                place.rename(self._replaced)
        run.rename(place)
        folder_on_disk(self.folder)
        shutil.rmtree(self._replaced, ignore_errors=True)


def _set_aside(run: Path, error: InputError) -> None:
    """Rename a damaged run, so that its step can be measured again."""
    aside = run.with_name(f"{run.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    run.rename(aside)
    note(f"the measurement {run.name} is not used and was renamed to {aside.name}: {error}")


def _step_of(run: Path) -> int | None:
    """Return the step of a whole run, or `None` where there is none."""
    try:
        step: int | None = Results.load(run).model.get("step")
    except UnreadableError:
        raise
    except InputError:
        return None
    return step
