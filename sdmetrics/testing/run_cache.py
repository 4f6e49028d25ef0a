"""RunCache: runs that are measured once, and again only if the model, the clips or the settings change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdmetrics._files import writable_folder
from sdmetrics._temporary import fcntl
from sdmetrics.analysis.measure import prepare
from sdmetrics.analysis.results import Results
from sdmetrics.clips.clip import Clip, listed_clips
from sdmetrics.errors import InputError
from sdmetrics.loading.model_source import ModelSource
from sdmetrics.loading.open import Clips, open_clips, open_model
from sdmetrics.run import FLOW_FOLDER, analyze
from sdmetrics.runners.opened import check_runner
from sdmetrics.runners.protocols import Runner

OWN = ("out", "progress", "executor")
"""Arguments of `analyze` that the cache decides itself."""

DECISIVE = ("seed", "styles", "also")
"""Arguments of `analyze` that are part of a run's identity, besides model and clips."""

NAME = 24
"""Characters of the digest of an identity that name the folder of a run: 96 bits."""


class RunCache:
    """Analyzes models into a folder. Each run has its own subfolder, named by all that decides its numbers.

    A second call with the same arguments returns the same results without opening the model. In a later process the
    run resumes from its folder, so that nothing is measured again; if the content of the model or of the clips, the
    seed, the styles or the further factors have changed, it is another run.

    Parameters
    ----------
    folder
        The folder of all runs. It is created if it is missing, and may be deleted at any time.

    Examples
    --------
    >>> import tempfile
    >>> from sdmetrics.demo import demo_model
    >>> with tempfile.TemporaryDirectory() as folder, demo_model("appearance") as model:
    ...     analyzed = RunCache(folder)
    ...     run = analyzed(model, "world:40", seed=1)
    ...     analyzed(model, "world:40", seed=1) is run
    True
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._results: dict[Hashable, Results] = {}
        # Objects are told apart by their ids, which are theirs only as long as they live.
        self._kept: list[object] = []

    def __call__(
        self,
        model: Runner | ModelSource | str | Path,
        clips: Iterable[Clip] | str | Path,
        **options: Any,  # noqa: ANN401
    ) -> Results:
        """Return the results of a model on some clips.

        Parameters
        ----------
        model, clips
            As for `analyze`: a path each, or a runner and a list of clips.
        options
            Other arguments of `analyze`, e.g. `seed`, `until` or `also`.

        Raises
        ------
        InputError
            As `analyze`; if an option is `out`, `progress` or `executor`, which the cache decides itself.
        """
        if own := [name for name in OWN if name in options]:
            raise InputError(
                f"{own[0]} is decided by the cache of runs; leave it out, or call sdmetrics.analyze for one of your own"
            )
        key = (_key(model), _key(clips), tuple((name, _key(value)) for name, value in sorted(options.items())))
        if key not in self._results:
            self._kept += [model, clips, options]
            self._results[key] = self._analyzed(model, clips, options)
        return self._results[key]

    def _analyzed(
        self,
        model: Runner | ModelSource | str | Path,
        clips: Iterable[Clip] | str | Path,
        options: Mapping[str, Any],
    ) -> Results:
        """Measure or resume a run in the folder that its identity names."""
        runner = _opened(model)
        if isinstance(clips, str | Path):
            # Estimated flow is keyed by its clip, and many models read that of the same clips.
            clips = open_clips(clips, runner, cache=self._folder / FLOW_FOLDER)
        listed = clips if isinstance(clips, Clips) else listed_clips(clips)
        decisive = {name: options[name] for name in DECISIVE if name in options}
        run = self._folder / prepare(runner, listed, batch=1, **decisive).identity.digest[:NAME]
        with _one_at_a_time(run):
            return analyze(runner, listed, out=run, progress=False, **options)


def _opened(model: Runner | ModelSource | str | Path) -> Runner:
    """Return the runner of a model."""
    runner = open_model(model) if isinstance(model, str | Path) else model
    if isinstance(runner, ModelSource):
        runner = runner.open()
    check_runner(runner)
    return runner


def _key(value: object) -> Hashable:
    """Return what tells arguments apart: a plain value, a path with the state of its file, else the object itself."""
    if isinstance(value, str | Path):
        try:
            status = os.stat(value)  # noqa: PTH116  any text may be passed, e.g. one with a null character
        except (OSError, ValueError):
            return str(value)
        return str(value), status.st_mtime_ns, status.st_size
    if isinstance(value, list | tuple):
        return tuple(map(_key, value))
    return value if value is None or isinstance(value, int | float) else id(value)


@contextmanager
def _one_at_a_time(run: Path) -> Iterator[None]:
    """Let one process at a time measure a run; those that waited find it finished.

    Where there are no such locks, each measures it, which takes longer and gives the same.
    """
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            file = stack.enter_context((writable_folder(run.parent) / f"{run.name}.lock").open("w"))
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
