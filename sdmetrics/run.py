"""analyze(): a whole run, from clips to a folder with everything that later commands need."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.errors import InputError, MissingExtra, note
from sdmetrics.loading.open import Clips
from sdmetrics.loading.run_source import RunSource
from sdmetrics.report.page import write_report
from sdmetrics.runners.protocols import Runner, model_description


def analyze(
    runner: Runner,
    clips: Iterable[Clip],
    *,
    seed: int = 0,
    out: str | Path | None = None,
    estimator: str = "pearson",
    threshold: float = 0.5,
    batch: int = 6,
    styles: Mapping[str, Style] | None = None,
    progress: bool = True,
) -> Results:
    """Measure the static and dynamic bias of every layer and unit of a model (paper, Sec. 3).

    Parameters
    ----------
    runner
        Runs the model, see `open_model`.
    clips
        The clips, see `open_clips`. A clip that cannot be decoded is skipped, and listed in the results with the
        reason.
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
        Batch size, in views.
    styles
        At least two by name, each a deterministic function of frames, uint8 `(T, H, W, 3)`, to the same shape, see
        `open_styles`. Other callables are identified by name only. Default: the styles that the clips come in, else the
        four built-in ones.
    progress
        Show a progress bar if standard error is a terminal.

    Raises
    ------
    InputError
        If fewer than two clips can be used, an activation is not finite, `styles` are passed for clips that come in
        styles, or `out` cannot be written to or contains a run with different settings. Finished shards are kept.

    Examples
    --------
    >>> import sdmetrics as sd
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("appearance") as path:
    ...     runner = sd.open_model(path, provider="cpu")
    >>> results = sd.analyze(runner, sd.open_clips("world:40", runner), batch=48)
    >>> results.layer("stage4")["counts"]["static"] > results.layer("stage4")["counts"]["dynamic"]
    True
    """
    listed = clips if isinstance(clips, Clips) else list(clips)
    results = measure_biases(
        runner,
        listed,
        seed=seed,
        out=out,
        estimator=estimator,
        threshold=threshold,
        batch=batch,
        styles=styles,
        progress=progress,
    )
    if out is not None:
        file = getattr(runner, "file", None)
        request = listed.request if isinstance(listed, Clips) else None
        RunSource(None if file is None else str(file), request).save(out)
        name = model_description(runner)["name"]
        ablation = _kept_ablation(out, results)
        try:
            write_report({name: results}, Path(out) / "report.html", ablations={name: ablation} if ablation else None)
        except MissingExtra as error:
            warnings.warn(f"the run has no report.html: {error}", stacklevel=2)
    return results


def _kept_ablation(run: str | Path, results: Results) -> Ablation | None:
    """Return the ablation that was made of the same results, to keep its curves in the report."""
    try:
        return Ablation.of_run(run, results)
    except InputError as error:
        note(f"the report is written without the curves of the ablation: {error}")
        return None
