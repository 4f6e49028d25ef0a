"""analyze(): a whole run, from clips to a folder with everything that later commands need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sdmetrics._text import printable
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.measure import measure_biases, measure_part
from sdmetrics.analysis.merge import merge_runs
from sdmetrics.analysis.parallel.executors import RemoteModel
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.total import Total
from sdmetrics.analysis.until import Until
from sdmetrics.clips.clip import Clip, listed_clips
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.errors import InputError, MissingExtra, note
from sdmetrics.evaluation.classification import Evaluator
from sdmetrics.loading.model_source import ModelSource
from sdmetrics.loading.open import Clips, open_clips, open_model
from sdmetrics.loading.run_source import RunSource
from sdmetrics.report.page import write_report
from sdmetrics.runners.batch_size import BatchSize
from sdmetrics.runners.opened import check_runner
from sdmetrics.runners.protocols import Runner

FLOW_FOLDER = "flow"
"""Subfolder of a run for the estimated optical flow."""


def analyze(
    runner: Runner | ModelSource | str | Path,
    clips: Iterable[Clip] | str | Path,
    *,
    seed: int = 0,
    out: str | Path | None = None,
    estimator: str = "pearson",
    threshold: float = 0.5,
    batch: BatchSize = "auto",
    styles: Mapping[str, Style] | None = None,
    until: float | Until | None = None,
    also: Sequence[str] = (),
    keep_responses: bool = False,
    evaluator: Evaluator | None = None,
    executor: Any = None,  # noqa: ANN401  Dask's client is optional
    progress: bool = True,
) -> Results:
    """Measure the static and dynamic bias of every layer and unit of a model (paper, Sec. 3).

    Parameters
    ----------
    runner
        Runs the model, see `open_model`; or the path of a model to open, or a `ModelSource`.
    clips
        The clips, see `open_clips`; or a path of clips to open. A clip that cannot be decoded is skipped, and listed in
        the results with the reason.
    seed
        Random seed for style pairs and shuffles. The same seed and clip give the same views.
    out
        A folder for the run: `report.html`, `results.json`, `units.csv`, finished shards, and `source.json`, which
        names the model and the clips for `sdmetrics ablate RUN`. Calling again with the same arguments resumes. Without
        it everything stays in memory.
    estimator
        `"pearson"`, `"icc"` or `"reference"`, see `layer_bias`.
    threshold
        A unit encodes a factor if its score is above the threshold (λ of Eq. 3).
    batch
        Batch size, in views; `"auto"`: 6 on the CPU, where more gain little; on a graphics card as many as make it
        faster and fit its memory, at most 48. It may change the last bits of a number.
    styles
        At least two by name, each a deterministic function of frames, uint8 `(T, H, W, 3)`, to the same shape, see
        `open_styles`. Other callables are identified by name only. Default: the styles that the clips come in, else the
        four built-in ones.
    until
        Stop when the 95 % interval of each percent of each layer is at most ± that many points, or as an `Until` says;
        see [How sure](coverage.md). Looked at after each round of shards, from the fifth on. The same clips stop at the
        same place, and a run without `until` continues from there. Default: all clips.
    also
        Further factors, by the name of a manipulation: `"shuffle"`, `"reverse"`, `"freeze"`, `"loop"` or
        `"appearance-free"`. Each is the pair of a clip's first view and its manipulated twin, and costs one view a
        clip. Its scores are in `also` of the layers' rows and in further columns of the units; percents (Eq. 1) and
        classes (Eq. 3) stay those of the two factors. A clip in which a manipulation changes nothing is skipped.
    keep_responses
        Whether the pooled responses to all views are stored, too, under `out`: 12 bytes per clip and unit, see
        `Results.responses`. If a run was measured without them, only they are measured.
    evaluator
        Scores the same clips on the way, so that each is decoded once; its `evaluation()` is that of `evaluate`, to the
        last bit. It runs a model of its own, which may be `runner`.
    executor
        Where the shards are measured: an executor of processes, e.g. `concurrent.futures.ProcessPoolExecutor`, of loky
        or of MPI, or a client of Dask. Each worker opens the model, so `runner` is a `ModelSource` or a path. The
        results are the same, bit for bit, for the same batch size, threads and versions.
    progress
        Show a progress bar if standard error is a terminal.

    Raises
    ------
    InputError
        If fewer than two clips can be used, an activation is not finite, `styles` are passed for clips that come in
        styles, a manipulation of `also` is not possible for the model, `evaluator` has other clips or is passed with an
        executor, or `out` cannot be written to or contains a run with different settings; if a worker opened another
        model or ended. Finished shards are kept.

    Examples
    --------
    >>> import sdmetrics as sd
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("appearance") as path:
    ...     results = sd.analyze(path, "world:40", batch=48)
    >>> results.layer("stage4")["counts"]["static"] > results.layer("stage4")["counts"]["dynamic"]
    True
    """
    if evaluator is not None and executor is not None:
        raise InputError(
            "evaluator goes with no executor, whose workers decode the clips; drop one of them, and evaluate separately"
        )
    opened = _opened(runner, executor)
    listed = _listed(clips, opened, out)
    results = measure_biases(
        opened,
        listed,
        seed=seed,
        out=out,
        estimator=estimator,
        threshold=threshold,
        batch=batch,
        styles=styles,
        until=until,
        also=also,
        keep_responses=keep_responses,
        beside=None if evaluator is None else evaluator.beside,
        progress=progress,
    )
    if out is not None:
        _save_source(opened, listed, out)
        write_run_report(out, results)
    return results


def _opened(runner: Runner | ModelSource | str | Path, executor: Any) -> Runner:  # noqa: ANN401
    """Return what runs the model: here, or in the workers of an executor."""
    if executor is None:
        opened = open_model(runner) if isinstance(runner, str | Path) else runner
        if isinstance(opened, ModelSource):
            opened = opened.open()
        check_runner(opened)
        return opened
    source = ModelSource(runner) if isinstance(runner, str | Path) else runner
    if not isinstance(source, ModelSource):
        raise InputError(
            f"runner is a {type(runner).__name__}, which is open in this process only, and every worker of an executor "
            'opens the model itself; pass ModelSource("model.onnx") in its place'
        )
    return RemoteModel(source, executor)


def analyze_part(
    runner: Runner | ModelSource | str | Path,
    clips: Iterable[Clip] | str | Path,
    part: str | Part,
    *,
    out: str | Path,
    seed: int = 0,
    batch: BatchSize = "auto",
    styles: Mapping[str, Style] | None = None,
    also: Sequence[str] = (),
    keep_responses: bool = False,
    evaluator: Evaluator | None = None,
    progress: bool = True,
) -> Total:
    """Measure one part of a run, as one of several processes, on one machine or on many that share the folder `out`.

    Only finished shards and `source.json` are written. Once all parts are there, `analyze` with the same arguments, or
    `merge`, computes the results, equal to those of an undivided run.

    Parameters
    ----------
    part
        `"3/8"`, the third of eight parts; or `"auto"`, the part that a scheduler gave this process: Slurm, torchrun
        or an indexed Kubernetes job, see `sdmetrics.analysis.parallel.parts.Part.parse`.
    runner, clips, out, seed, batch, styles, also, keep_responses, evaluator, progress
        See `analyze`.

    Returns
    -------
    Total
        `used`, `looped` and `skipped` of the part's clips.

    Raises
    ------
    InputError
        As `analyze`, or if the part is not allowed or not known.

    Examples
    --------
    >>> import tempfile
    >>> import sdmetrics as sd
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("appearance") as path, tempfile.TemporaryDirectory() as run:
    ...     used = [sd.analyze_part(path, "world:40", f"{i}/2", out=run).used for i in (1, 2)]
    ...     results = sd.merge([run])
    >>> sum(used), results.clips["used"]
    (40, 40)
    """
    share = Part.parse(part)
    opened = _opened(runner, None)
    listed = _listed(clips, opened, out)
    _save_source(opened, listed, out)
    return measure_part(
        opened,
        listed,
        share,
        out=out,
        seed=seed,
        batch=batch,
        styles=styles,
        also=also,
        keep_responses=keep_responses,
        beside=None if evaluator is None else evaluator.beside,
        progress=progress,
    )


def merge(
    runs: Sequence[str | Path], *, out: str | Path | None = None, estimator: str = "pearson", threshold: float = 0.5
) -> Results:
    """Compute the results of a run whose parts are all there, or add runs of one model over different clips.

    Neither the model nor the clips are needed. Results, report, shards and `source.json` are written as by `analyze`;
    the `source.json` of runs over different clips names the model only. A run that stopped by `until` stays as it is.

    Parameters
    ----------
    runs
        Folders of runs. Several may be parts of one run that were measured on machines that share no disk, and runs of
        one model, seed and feeding over different clips. Their order does not matter.
    out
        The folder of the sum. Default: the folder, where there is one only.
    estimator, threshold
        See `analyze`.

    Raises
    ------
    InputError
        If shards are missing (they are named), the runs differ in more than their clips, or a clip is in two of them.

    Examples
    --------
    >>> import tempfile
    >>> import sdmetrics as sd
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> from sdmetrics.demo import demo_model
    >>> clips = world_clips(40)
    >>> with demo_model("appearance") as path, tempfile.TemporaryDirectory() as runs:
    ...     for name, half in (("a", clips[:20]), ("b", clips[20:])):
    ...         _ = sd.analyze(path, half, out=f"{runs}/{name}")
    ...     sd.merge([f"{runs}/a", f"{runs}/b"], out=f"{runs}/both").clips["used"]
    40
    """
    folders = [Path(run) for run in runs]
    if len(folders) == 1:
        target = folders[0] if out is None else Path(out)
    elif out is None:
        raise InputError(f"{len(folders)} runs are to be merged; pass out (--out), the folder of their sum")
    else:
        target = Path(out)
    results = merge_runs(folders, target, estimator=estimator, threshold=threshold)
    if target.resolve() not in map(Path.resolve, folders):
        _keep_source(folders, target, results)
    write_run_report(target, results)
    return results


def _listed(clips: Iterable[Clip] | str | Path, runner: Runner, out: str | Path | None) -> list[Clip]:
    """Open the clips where they are a path."""
    if isinstance(clips, str | Path):
        clips = open_clips(clips, runner, cache=None if out is None else Path(out) / FLOW_FOLDER)
    return clips if isinstance(clips, Clips) else listed_clips(clips)


def _save_source(runner: Runner, clips: Sequence[Clip], out: str | Path) -> None:
    """Write which model and clips a run is made from, into its folder."""
    file = getattr(runner, "file", None)
    RunSource(None if file is None else str(file), clips.request if isinstance(clips, Clips) else None).save(out)


def _keep_source(runs: Iterable[Path], out: Path, results: Results) -> None:
    """Write which model and clips the sum of runs is made from, into its folder."""
    try:
        source = RunSource.of_sum(runs, one_run="merged" not in results.settings["clips"])
    except InputError as error:
        note(f"{printable(out)} has no source.json: {error}")
        return
    if source:
        source.save(out)


def write_run_report(run: str | Path, results: Results) -> None:
    """Write the report of a run, with the curves of its ablation where there is one of the same results."""
    name = results.model["name"]
    ablation = _kept_ablation(run, results)
    try:
        write_report({name: results}, Path(run) / "report.html", ablations={name: ablation} if ablation else None)
    except MissingExtra as error:
        note(f"the run has no report.html: {error}")


def _kept_ablation(run: str | Path, results: Results) -> Ablation | None:
    """Return the ablation that was made of the same results, to keep its curves in the report."""
    try:
        return Ablation.of_run(run, results)
    except InputError as error:
        note(f"the report is written without the curves of the ablation: {error}")
        return None
