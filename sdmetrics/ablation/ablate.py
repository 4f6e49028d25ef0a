"""ablate(): what a model loses without the units that carry a factor (paper, Sec. 5.1, Fig. 11)."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import writable_folder
from sdmetrics.ablation.plan import Plan, plan_removals, stored_scores
from sdmetrics.ablation.result import Ablation
from sdmetrics.ablation.scoring import Score, Scoring
from sdmetrics.analysis.circumstance import ran_on
from sdmetrics.analysis.identity import Document, Identity, input_differences, sha256_of
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.resume import resumed, say_passing
from sdmetrics.analysis.shards import CLIPS_PER_SHARD, slices
from sdmetrics.clips.clip import Clip, listed_clips
from sdmetrics.clips.prefetch import check_any_usable
from sdmetrics.errors import InputError
from sdmetrics.evaluation.class_scores import ScoreReader
from sdmetrics.evaluation.labels import class_indices
from sdmetrics.evaluation.ranks import TOPS, top_k
from sdmetrics.metrics._arguments import between, whole
from sdmetrics.metrics.bias import UnitBias
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.metrics.removal_mask import dominant_factor
from sdmetrics.runners.batch_size import BatchSize, batch_size
from sdmetrics.runners.opened import check_runner
from sdmetrics.runners.protocols import MaskedRunner, Outputs, model_description

FRACTIONS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def ablate(
    runner: MaskedRunner,
    clips: Iterable[Clip],
    results: Results,
    *,
    classes: Mapping[str, int] | None = None,
    output: str | None = None,
    score: Score | Mapping[str, Score] | None = None,
    layers: Sequence[str] | None = None,
    factors: Sequence[str] = FACTORS,
    fractions: Sequence[float] = FRACTIONS,
    repeats: int = 5,
    by: str = "softmax",
    seed: int = 0,
    batch: BatchSize = "auto",
    out: str | Path | None = None,
    part: str | Part | None = None,
    progress: bool = True,
) -> Ablation:
    """Remove the units most biased to each factor, and random ones, and score the model without them (Sec. 5.1).

    Each clip is decoded once, in its own style and order, and runs under every mask. Both baselines of the paper are
    measured: any units (`"random"`), and units drawn from those least biased to the layer's dominant factor
    (`"least"`, see `removal_mask`).

    Parameters
    ----------
    runner
        Runs a probe that has masks: `open_model(MODEL, masks=True)`, or a `TorchRunner`.
    clips
        Labelled clips. A clip that cannot be decoded is skipped, and listed with the reason.
    results
        The run of the same model, whose unit scores rank the units.
    classes
        The index of the model's output for each class name, see `read_classes`. Default: labels are indices.
    output
        Name of the model output that holds the class scores. Default: as for `evaluate`.
    score
        What to measure instead of top-1 and top-5: a function of the model's outputs by name and of the `N` clips that
        they belong to, which returns `(N,)` numbers, higher is better; or several by name.
    layers
        The layers to ablate, one at a time. Default: the last of the run, as in the paper.
    factors
        The factors to rank by.
    fractions
        Shares of a layer's units to remove; 0 is always measured.
    repeats, seed
        Each removal is drawn with the seeds `seed`, …, `seed + repeats - 1`. In the ranking by a factor a seed only
        breaks ties; where it makes no difference there is one draw.
    by
        Ranking criterion: the `"softmax"` over a unit's factors, as the authors do, or the `"score"`.
    batch
        Maximum batch size, in clips; `"auto"`: 16, all those of a shard.
    out
        The folder of the run, for `ablation.json` and `ablation.csv`. Finished slices of the clips are stored in its
        folder `ablation/`; calling again with the same arguments resumes. Custom scores are identified by name and,
        if they have one, by their attribute `identity`.
    part
        `"3/8"` or `"auto"`, see `sdmetrics.analyze_part`: only this part of the clips is scored and stored in `out`,
        and what is returned counts its clips and has no curves. A call without it adds the parts up.
    progress
        Show a progress bar if standard error is a terminal.

    Raises
    ------
    InputError
        If the runner has no masks or runs another model than the run's, an argument is not allowed, no clip can be
        used, a score is not finite, `part` is passed without `out`, or masking an entire layer leaves every output
        unchanged.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import MOTIONS, world_clips
    >>> from sdmetrics.analysis.measure import measure_biases
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.open import open_model
    >>> with demo_model("motion") as path:
    ...     runner = open_model(path, provider="cpu", masks=True)
    >>> clips = world_clips(40)
    >>> results = measure_biases(runner, clips, batch=48)
    >>> classes = {name: index for index, name in enumerate(MOTIONS)}
    >>> ablation = ablate(runner, clips, results, classes=classes, fractions=[0.5], repeats=2)
    >>> [(row["factor"], row["difference"] < 0) for row in ablation.overall if row["against"] == "random"][:1]
    [('dynamic', True)]
    """
    check_runner(runner)
    clips = listed_clips(clips)
    if part is not None and out is None:
        raise InputError("part is passed without out, the folder that the parts are kept in; pass out, too")
    share = None if part is None else Part.parse(part)
    pieces = slices(clips) if share is None else share.of(slices(clips))
    repeats, seed = whole("repeats", repeats, 1), whole("seed", seed, 0)
    batch = batch_size(batch, runner, runner.run, least=CLIPS_PER_SHARD, most=CLIPS_PER_SHARD)
    _validate(runner, clips, results, factors, fractions)
    ranked = _ranked(runner, results, layers)
    fractions = sorted({0.0, *map(float, fractions)})
    plan = plan_removals(ranked, factors=factors, fractions=fractions, repeats=repeats, by=by, seed=seed)
    scores = _accuracy(runner, clips, classes, output) if score is None else _named(score)
    identity = Identity.of_ablation(runner, clips, _extra(plan, scores, classes, output))
    folder = None
    if out is not None:
        folder = writable_folder(Path(out) / "ablation" / identity.digest[:16])
        identity.claim(folder)
    work = Scoring(runner, plan, scores, batch, identity.digest)
    steps = len(plan.masks)
    scored = resumed(work, pieces, folder, title="clips × masks", steps=steps, progress=progress)
    # The order of sums is that of the groups: where a part ends depends on clips that may turn out to be damaged.
    by_group = sorted(scored, key=lambda item: (item[0].group, item[0].index))
    done = [scores_of_slice for _, scores_of_slice in by_group]
    values = np.concatenate([np.empty((0, steps, len(scores))), *(one.values for one in done)])
    skipped = [clip for one in done for clip in one.skipped]
    say_passing([clip for one in done for clip in one.passing], stored=out is not None)
    if share is None:
        check_any_usable(len(values), len(clips), skipped)
        _check_effective(ranked, {layer for one in done for layer in one.effective}, len(values))
    ablation = Ablation(
        model=model_description(runner),
        by=by,
        seed=seed,
        repeats=repeats,
        clips={"used": len(values), "looped": sum(one.looped for one in done), "skipped": skipped},
        scores=list(scores),
        estimator=results.estimator,
        threshold=results.threshold,
        units_sha256=results.units_sha256,
        layers=[
            {"name": name, "units": len(units.labels), "dominant": dominant_factor(units)}
            for name, units in ranked.items()
        ],
        ran_on=ran_on(one.ran_on for one in done),
    )
    if share is not None:
        return ablation
    groups = np.repeat([piece.group for piece, _ in by_group], [len(one.values) for one in done])
    ablation.add(plan, values, groups)
    if out is not None:
        ablation.save(out)
    return ablation


def _accuracy(
    runner: MaskedRunner, clips: Sequence[Clip], classes: Mapping[str, int] | None, output: str | None
) -> dict[str, Score]:
    """Return top-1 and, where there are more than five classes, top-5."""
    read = ScoreReader(output, classes, {model_input.frames for model_input in runner.inputs})
    labels = dict(zip((clip.id for clip in clips), class_indices(clips, classes), strict=True))

    def right(outputs: Outputs, batch: Sequence[Clip], k: int) -> NDArray[np.bool_]:
        ids = [clip.id for clip in batch]
        return top_k(read(outputs, len(ids)), np.array([labels[i] for i in ids]), k, ids)

    return {top: partial(right, k=k) for top, k in TOPS.items() if k == 1 or classes is None or k < len(classes)}


def _named(score: Score | Mapping[str, Score]) -> dict[str, Score]:
    """Return a user's scores by name."""
    if not isinstance(score, Mapping):
        return {getattr(score, "__name__", type(score).__name__): score}
    if not score:
        raise InputError("score is empty; pass a function of the outputs and clips, or several by name")
    return dict(score)


def _extra(plan: Plan, scores: Mapping[str, Score], classes: Mapping[str, int] | None, output: str | None) -> Document:
    """Return what decides the scores besides model and clips: masks, names of the scores, classes, output."""
    masks = hashlib.sha256()
    for mask in plan.masks:
        for layer, values in mask.items():
            masks.update(layer.encode() + values.tobytes())
    return {
        "masks": {"count": len(plan.masks), "sha256": masks.hexdigest()},
        "scores": {name: getattr(score, "identity", None) for name, score in scores.items()},
        "output": output,
        "classes": sha256_of([getattr(classes, "first", 0), sorted((classes or {}).items())]),
    }


def _check_effective(layers: Iterable[str], effective: Container[str], clips: int) -> None:
    """Raise an `InputError` for a layer whose removal cannot be distinguished from no removal."""
    for layer in layers:
        if layer not in effective:
            raise InputError(
                f"zeroing all units of layer {layer!r} does not change any output for {clips} clip(s) (bitwise): its "
                "mask reaches no output, or its units are 0 for all these clips. Choose another layer"
            )


def _validate(
    runner: MaskedRunner,
    clips: Sequence[Clip],
    results: Results,
    factors: Sequence[str],
    fractions: Sequence[float],
) -> None:
    """Validate the arguments early, before anything is computed."""
    metadata = getattr(runner, "metadata", None)
    if not hasattr(runner, "run") or (metadata is not None and not metadata.masks):
        raise InputError(
            "the runner's probe has no masks, so no unit can be removed; open the model with open_model(MODEL, "
            "masks=True), or make a probe that has masks: sdmetrics probe MODEL --masks -o PROBE"
        )
    ours, theirs = (identity.get("model_sha256") for identity in (runner.identity, results.model))
    if ours != theirs:
        raise InputError(
            f"the run is of the model {results.model.get('name')!r} with model_sha256 {str(theirs)[:12]}…, and the "
            f"runner runs {model_description(runner)['name']!r} with {str(ours)[:12]}…; use the model that was "
            "analyzed, or analyze this one"
        )
    if changes := input_differences(results.settings.get("inputs", []), runner.inputs) if results.settings else []:
        raise InputError(
            f"the run fed the model differently: {'; '.join(changes)}. Open the model with the run's inputs, or use a "
            "probe that was made with them and with masks"
        )
    if not clips:
        raise InputError("there are no clips; pass at least one with a label")
    if not factors or not set(factors) <= set(FACTORS) or len(set(factors)) < len(factors):
        raise InputError(f"factors are {list(factors)}; allowed: {', '.join(FACTORS)}, each once")
    for fraction in fractions:
        between("fraction", fraction, 0, 1, "For 10 % pass 0.1")
    if not any(fraction > 0 for fraction in fractions):
        raise InputError(f"fractions are {list(fractions)}; expected at least one above 0")


def _ranked(runner: MaskedRunner, results: Results, layers: Sequence[str] | None) -> dict[str, UnitBias]:
    """Return the unit scores of the requested layers from the run."""
    measured = [row["name"] for row in results.layers if row["name"] in runner.layers]
    if not measured:
        raise InputError(
            f"the run measured {', '.join(row['name'] for row in results.layers) or 'no layer'}, and the runner's "
            f"probe has {', '.join(runner.layers)}; make the probe with layers of the run"
        )
    ranked = {}
    for name in dict.fromkeys(measured[-1:] if layers is None else layers):
        if name not in measured:
            raise InputError(f"there is no layer {name!r} in both run and probe; allowed: {', '.join(measured)}")
        rows = (row for row in results.units if row["layer"] == name)
        ranked[name] = stored_scores(rows, results.threshold, results.estimator)
        if np.isnan(list(ranked[name].scores.values())).any(axis=0).all():
            raise InputError(
                f"no unit of layer {name!r} has a score to rank by: all are dead, or a factor has fewer than two "
                "pairs. Choose another layer, or analyze more clips"
            )
    if not ranked:
        raise InputError(f"layers is empty; allowed: {', '.join(measured)}")
    return ranked
