"""measure_biases(): clips → views → runner → moments, shard by shard, and the biases computed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sdmetrics._files import writable_folder
from sdmetrics._temporary import remove_leftovers
from sdmetrics.analysis.batch import batch_of_run
from sdmetrics.analysis.identity import Identity
from sdmetrics.analysis.keeping import Measure, keep_lacking
from sdmetrics.analysis.measurement import Measurement
from sdmetrics.analysis.parallel.executors import RemoteModel, spread
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.responses import FOLDER
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.resume import resumed, say_passing
from sdmetrics.analysis.shards import Slice, check_parts, slices
from sdmetrics.analysis.total import Total
from sdmetrics.analysis.until import LEAST_ROUNDS, Until, ends_of_rounds
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.manipulations.further import chosen
from sdmetrics.clips.prefetch import check_any_usable
from sdmetrics.clips.render import check_styles
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import whole
from sdmetrics.metrics.bias import unit_bias
from sdmetrics.metrics.moments import PairMoments
from sdmetrics.probes.inputs import to_shuffle
from sdmetrics.runners.batch_size import BatchSize
from sdmetrics.runners.protocols import Runner, model_description

Beside = Callable[[Measure], Measure]
"""Takes what measures shards; what it returns does so, too, and something else with the clips of each."""


def measure_biases(
    runner: Runner,
    clips: Iterable[Clip],
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
    beside: Beside | None = None,
    progress: bool = True,
) -> Results:
    """Measure the static and dynamic bias of every layer and unit of a model (paper, Sec. 3).

    This is the measurement of `sdmetrics.analyze`, with the same arguments. Into `out` it writes finished shards,
    `results.json` and `units.csv`; the report and the source of the run are left to the caller. `beside` may do
    something else with the clips of each shard.

    Raises
    ------
    InputError
        See `sdmetrics.analyze`. Finished shards are kept.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.open import open_model
    >>> with demo_model("appearance") as path:
    ...     runner = open_model(path, provider="cpu")
    >>> results = measure_biases(runner, world_clips(40), batch=48)
    >>> results.layer("stage4")["counts"]["static"] > results.layer("stage4")["counts"]["dynamic"]
    True
    """
    threshold = unit_bias({"static": PairMoments(1)}, threshold=threshold, estimator=estimator).threshold
    goal = Until.of(until)
    prepared = prepare(
        runner, clips, seed=seed, out=out, batch=batch, styles=styles, also=also, keep_responses=keep_responses
    )
    total = Total()
    shards = spread if isinstance(runner, RemoteModel) else resumed
    rounds, reached = 0, False
    along = beside(shards) if beside else shards
    with closing(along(prepared.work, prepared.pieces, prepared.folder, progress=progress)) as measured:
        for (piece, shard), ends in zip(measured, ends_of_rounds(prepared.pieces), strict=False):
            total.add(piece.group, shard)
            rounds = piece.index + 1
            if goal and ends and rounds >= LEAST_ROUNDS:
                reached = goal.holds(total.groups, runner.layers, estimator, threshold)
                if reached:
                    break
    prepared.keep_lacking(shards, [piece for piece in prepared.pieces if piece.index < rounds], progress)
    check_any_usable(total.used, prepared.clips, total.skipped, least=2)
    say_passing(total.passing, stored=out is not None)
    settings = prepared.identity.document()
    stopped = goal.stopped(prepared.pieces, rounds, reached) if goal else None
    results = total.results(model_description(runner), runner.layers, settings, estimator, threshold, stopped)
    if out is not None:
        results.save(out)
    return results


def measure_part(
    runner: Runner,
    clips: Iterable[Clip],
    part: Part,
    *,
    out: str | Path,
    seed: int = 0,
    batch: BatchSize = "auto",
    styles: Mapping[str, Style] | None = None,
    also: Sequence[str] = (),
    keep_responses: bool = False,
    beside: Beside | None = None,
    progress: bool = True,
) -> Total:
    """Measure one part of a run: write its shards into the folder `out`, and nothing else; return their sum.

    The other arguments are those of `measure_biases`, which finishes the run once all parts are there.

    Raises
    ------
    InputError
        See `sdmetrics.analyze`. Finished shards are kept.
    """
    prepared = prepare(
        runner, clips, seed=seed, out=out, batch=batch, styles=styles, also=also, keep_responses=keep_responses
    )
    total, pieces = Total(), part.of(prepared.pieces)
    shards = spread if isinstance(runner, RemoteModel) else resumed
    along = beside(shards) if beside else shards
    for piece, shard in along(prepared.work, pieces, prepared.folder, progress=progress):
        total.add(piece.group, shard)
    prepared.keep_lacking(shards, pieces, progress)
    say_passing(total.passing, stored=True)
    return total


@dataclass(frozen=True)
class Prepared:
    """A run before anything is computed: its shards, how each is made, and the folder for them, if any.

    `clips` is the number of clips.
    """

    work: Measurement
    pieces: Sequence[Slice]
    identity: Identity
    folder: Path | None
    clips: int

    def keep_lacking(self, measure: Measure, pieces: Sequence[Slice], progress: bool) -> None:
        """Measure the responses that finished shards of these slices lack, if responses are kept."""
        if self.work.keep and self.folder is not None:
            keep_lacking(measure, self.work, pieces, self.folder, progress=progress)


def prepare(
    runner: Runner,
    clips: Iterable[Clip],
    *,
    seed: int = 0,
    out: str | Path | None = None,
    batch: BatchSize = "auto",
    styles: Mapping[str, Style] | None = None,
    also: Sequence[str] = (),
    keep_responses: bool = False,
) -> Prepared:
    """Validate the arguments of `measure_biases`, cut the clips into shards and claim the folder of the run.

    Raises
    ------
    InputError
        If an argument is not allowed, or `out` contains a run with different settings.
    """
    clips = list(clips)
    pieces = slices(clips)
    seed = whole("seed", seed, 0)
    _validate(runner, clips)
    if styles is not None:
        check_styles(styles, clips, runner.inputs)
    also = chosen(also, runner.inputs)
    identity = Identity.of_analysis(runner, clips, seed, styles, also)
    folder = None
    if out is not None:
        folder = writable_folder(Path(out) / "shards")
        identity.claim(folder)
        if keep_responses:
            kept = writable_folder(Path(out) / FOLDER)
            remove_leftovers(kept)
            check_parts(kept, identity.digest)
    elif keep_responses:
        raise InputError("responses are kept in the folder of the run; pass out (--out) with keep_responses")
    views = batch_of_run(batch, runner, pieces, folder)
    work = Measurement(runner, seed, views, styles, identity.digest, keep_responses, also)
    return Prepared(work, pieces, identity, folder, len(clips))


def _validate(runner: Runner, clips: Sequence[Clip]) -> None:
    """Validate the arguments early, before anything is computed."""
    if not clips:
        raise InputError("there are no clips; pass at least two")
    if not runner.layers:
        raise InputError("the model was opened without layers, so there is nothing to measure; name at least one")
    for model_input in to_shuffle(runner.inputs):
        if model_input.frames < 2:
            raise InputError(
                f"model input {model_input.name!r} reads a single frame, which cannot be shuffled, so it has no static "
                "pair; use a model that reads several frames, or one that also reads optical flow"
            )
