"""Top-1 and top-5 accuracy of a classifier, on clips as they are and manipulated (paper, Sec. 4.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sdmetrics.analysis.identity import sha256_of
from sdmetrics.analysis.keeping import Measure
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.shards import slices
from sdmetrics.clips.clip import Clip, listed_clips
from sdmetrics.clips.manipulations.manipulate import check_manipulations, identity_of_manipulations
from sdmetrics.clips.prefetch import check_any_usable
from sdmetrics.errors import InputError
from sdmetrics.evaluation.beside import beside
from sdmetrics.evaluation.class_results import (
    Evaluation,
    manipulated_of,
    means_of,
    outcome_of,
    scores_of,
    subtracted_of,
)
from sdmetrics.evaluation.class_scores import ScoreReader
from sdmetrics.evaluation.class_views import ClassViews
from sdmetrics.evaluation.counterfactual import SHUFFLE, Counterfactual
from sdmetrics.evaluation.labels import class_indices, class_indices_if_known
from sdmetrics.evaluation.slicewise import (
    Evaluating,
    Outcomes,
    check_out,
    claimed,
    evaluated,
    identity_of,
    parts_beside,
)
from sdmetrics.metrics._arguments import whole
from sdmetrics.metrics.groups import group_of
from sdmetrics.runners.batch_size import WORTH, BatchSize, batch_size
from sdmetrics.runners.opened import check_runner
from sdmetrics.runners.protocols import OutputRunner, circumstance_of, model_description, rounding_of


def evaluate(
    runner: OutputRunner,
    clips: Iterable[Clip],
    classes: Mapping[str, int] | None = None,
    *,
    shuffle: bool = False,
    manipulate: Iterable[str] = (),
    counterfactual: float | Counterfactual | None = None,
    seed: int = 0,
    batch: BatchSize = "auto",
    output: str | None = None,
    out: str | Path | None = None,
    part: str | Part | None = None,
    progress: bool = True,
) -> Evaluation:
    """Return top-1 and top-5 accuracy, optionally also on shuffled frames and under other manipulations.

    The ratio of both is the paper's relative top-1 (Sec. 4.2.1, where the models were also trained on shuffled frames).
    It is 1 for a model that is blind to the order of frames. A model that needs the order keeps only the accuracy that
    is possible without it.

    For manipulations the agreement of the predictions and the correlation of the scores are compared, too. Clips then
    need no labels: without any, or with names and no `classes`, only these are returned.

    Parameters
    ----------
    runner
        Runs the model: `OnnxRunner` or `TorchRunner`.
    clips
        Clips with labels. A clip that cannot be decoded, or that a requested shuffle or other manipulation does not
        change (a still clip), is skipped in all views, and listed with the reason.
    classes
        The index of the model's output for each class name, see `read_classes`. Default: labels are indices.
    shuffle
        Whether every clip is also shown with its frames shuffled, independently for every input.
    manipulate
        What else is done to every clip: any of `"shuffle"`, `"reverse"` (backwards), `"freeze"` (one frame all the
        time), `"loop"` (the first half twice) and `"appearance-free"` (noise that moves as the clip does), see
        `sdmetrics.clips.manipulations`.
    counterfactual
        The weight α with which predictions on shuffled frames are subtracted, log p(v) − α · log p(shuffled v), as
        the mean over 3 shuffles; a `Counterfactual` says how many. Clips need labels.
    seed
        Random seed of shuffles and noise. The same seed and clip give the same.
    batch
        Batch size, in views; `"auto"` as in `sdmetrics.analyze`.
    output
        Name of the model output that holds the class scores, `(N, classes)`, `(N, classes, 1, 1, 1)` or, as the mean
        over frames, `(N, frames, classes)`. Default: the only one with two axes, else the only one of the other shapes.
    out
        A JSON file for everything. Finished slices of the clips are stored beside it, in `FILE.parts/`, which may be
        deleted afterwards; calling again with the same arguments resumes.
    part
        `"3/8"` or `"auto"`, see `sdmetrics.analyze_part`: only this part of the clips is scored and stored, and what is
        returned has its clips and no scores. A call without it, with the same `out`, adds the parts up.
    progress
        Show a progress bar if standard error is a terminal.

    Returns
    -------
    Evaluation
        Intervals are 95 % delete-one-group jackknife intervals, those of the ratio from both means without the same
        group; undefined below five groups of videos. If every clip is correct the interval collapses to 1.

    Raises
    ------
    InputError
        If no clip can be used, a label is not a class or has no output, there are not as many classes as scores, a
        manipulation is not known or has no place in what the model reads, or the model returns NaN.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import APPEARANCES, world_clips
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.open import open_model
    >>> with demo_model("appearance") as path:
    ...     runner = open_model(path, provider="cpu")
    >>> classes = {name: index for index, name in enumerate(APPEARANCES)}
    >>> found = evaluate(runner, world_clips(40), classes, shuffle=True, manipulate=["freeze"], batch=48)
    >>> found.scores["in_order"]["top1"]["value"] > 0.9, found.scores["ratio"]["top1"]["value"] > 0.8
    (True, True)
    >>> found.manipulated["freeze"]["agreement"]["value"] > 0.8
    True
    """
    evaluator = Evaluator(
        runner,
        clips,
        classes,
        shuffle=shuffle,
        manipulate=manipulate,
        counterfactual=counterfactual,
        seed=seed,
        batch=batch,
        output=output,
        out=out,
        part=part,
    )
    return evaluator.evaluation(progress=progress)


class Evaluator:
    """What `evaluate` does, in two steps, so that an analysis of the same clips may go along: see `sdmetrics.analyze`.

    Parameters
    ----------
    runner, clips, classes, shuffle, manipulate, counterfactual, seed, batch, output, out, part
        See `evaluate`.

    Raises
    ------
    InputError
        If an argument is not allowed.

    Examples
    --------
    >>> import sdmetrics as sd
    >>> from sdmetrics.clips.generated.world import APPEARANCES, world_clips
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("appearance") as path:
    ...     runner = sd.open_model(path, provider="cpu")
    >>> clips, classes = world_clips(40), {name: index for index, name in enumerate(APPEARANCES)}
    >>> evaluator = Evaluator(runner, clips, classes, shuffle=True)
    >>> results = sd.analyze(runner, clips, evaluator=evaluator)
    >>> evaluator.evaluation() == sd.evaluate(runner, clips, classes, shuffle=True)
    True
    """

    def __init__(
        self,
        runner: OutputRunner,
        clips: Iterable[Clip],
        classes: Mapping[str, int] | None = None,
        *,
        shuffle: bool = False,
        manipulate: Iterable[str] = (),
        counterfactual: float | Counterfactual | None = None,
        seed: int = 0,
        batch: BatchSize = "auto",
        output: str | None = None,
        out: str | Path | None = None,
        part: str | Part | None = None,
    ) -> None:
        check_runner(runner)
        clips = listed_clips(clips)
        asked = check_manipulations(manipulate, runner.inputs)
        shuffled = check_manipulations([SHUFFLE] if shuffle else [], runner.inputs)
        if counterfactual is not None and not isinstance(counterfactual, Counterfactual):
            counterfactual = Counterfactual(counterfactual)
        orders = check_manipulations([SHUFFLE], runner.inputs) and counterfactual.views if counterfactual else ()
        optional = asked and not counterfactual
        labels = class_indices_if_known(clips, classes) if optional else class_indices(clips, classes)
        seed = whole("seed", seed, 0)
        if not clips:
            raise InputError("there are no clips; pass at least one")
        batch = batch_size(batch, runner, runner.run, most=len(clips) // WORTH)
        self._share = check_out(out, part)
        parts = parts_beside(out)
        truth = [None] * len(clips) if labels is None else labels.tolist()
        self._label_of = {} if labels is None else dict(zip((clip.id for clip in clips), truth, strict=True))
        read = ScoreReader(output, classes, {model_input.frames for model_input in runner.inputs})
        done_to = tuple(dict.fromkeys((*shuffled, *asked, *orders)))
        self._views = views = ClassViews(runner, read, done_to, asked, seed, batch, self._label_of, counterfactual)
        decides = {
            "evaluation": "classification",
            "seed": seed if done_to else None,
            "output": output,
            "classes": sha256_of([getattr(classes, "first", 0), sorted((classes or {}).items())]),
            **({"shuffle": shuffle, "manipulate": identity_of_manipulations(asked)} if asked else {}),
            # Not the weight: scores are kept, so that another one costs nothing.
            **({"shuffles": [shuffle, counterfactual.shuffles, counterfactual.logits]} if counterfactual else {}),
        }
        self._folder, digest = claimed(parts, lambda: identity_of(runner, clips, truth, decides))
        ran_on = circumstance_of(runner) | {"batch": batch}
        self._work = Evaluating(
            runner, ran_on, views.render, views.score, views.shape, lambda: read.read, views.accepts, digest
        )
        self._runner, self._clips, self._shuffle, self._asked, self._out = runner, clips, shuffle, asked, out
        self._seed = seed if done_to else None
        # Those of an analysis, which may go along.
        self._pieces = slices(clips)
        self._made: dict[str, Outcomes] = {}

    def beside(self, measure: Measure) -> Measure:
        """Return a function that measures shards as `measure` does, and evaluates the clips of each on the way."""
        return beside(measure, self._work, self._pieces, self._folder, self._made)

    def evaluation(self, *, progress: bool = True) -> Evaluation:
        """Return the evaluation; what no analysis went along with is evaluated first.

        Raises
        ------
        InputError
            See `evaluate`.
        """
        clips, runner, shuffle, asked = self._clips, self._runner, self._shuffle, self._asked
        done = evaluated(
            self._work, clips, self._folder, self._share, pieces=self._pieces, made=self._made, progress=progress
        )
        evaluation = Evaluation(model_description(runner), self._seed, ran_on=done.ran_on)
        evaluation.skipped, evaluation.scored, evaluation.looped = done.skipped, done.read, done.looped
        video_of = {clip.id: clip.video for clip in clips}
        for row in done.rows:
            name = row["id"]
            known = {"id": name, "video": video_of[name], "label": self._label_of.get(name)}
            evaluation.clips.append(known | outcome_of(row, shuffle, asked))
        if self._share is not None:
            return evaluation
        check_any_usable(len(done.rows), len(clips), done.skipped)
        group = {clip.id: group_of(clip.content) for clip in clips}
        means = means_of(done.rows, self._views.names, group) if self._label_of else {}
        evaluation.scores = scores_of(means, shuffle)
        evaluation.manipulated = manipulated_of(done, asked, means, group, rounding_of(runner))
        evaluation.counterfactual = subtracted_of(done, self._views, group)
        if self._out is not None:
            evaluation.save(self._out)
        return evaluation
