"""check(): requirements on a run, and limits on how far it may fall behind a baseline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdmetrics._text import printable
from sdmetrics.analysis.results import Results
from sdmetrics.comparison.cautions import warnings
from sdmetrics.errors import InputError
from sdmetrics.gate.change import Changes
from sdmetrics.gate.limit import Limit
from sdmetrics.gate.verdict import CANNOT_TELL, WORSE, clips_it_would_take, verdict_of
from sdmetrics.report.words import caution

HOLDS, BREACH = "holds", "breach"
FAILING = (BREACH, WORSE)
UNSURE_STATUS = 3


@dataclass(frozen=True)
class Outcome:
    """What became of one requirement or limit.

    Attributes
    ----------
    text
        The requirement or limit.
    verdict
        `"holds"` or `"breach"` of a requirement; `"worse"`, `"not worse"` or `"cannot tell"` of a limit.
    value
        The value in the run: what a requirement was compared with, the estimate or the bound.
    digits
        How many digits after the point are worth showing.
    bound
        Whether the value is the least favourable bound of the interval.
    baseline, low, high
        Of a limit: the value in the baseline, and the ends of the 95 % interval of the change, run − baseline; `None`
        where undefined.
    clips
        Of a limit: the number of clips that the change was estimated from, of each run.
    note
        Why the interval is not paired or is undefined, and how many clips would tell.
    """

    text: str
    verdict: str
    value: float
    digits: int = 1
    bound: bool = False
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    clips: int | None = None
    note: str = ""

    @property
    def change(self) -> float | None:
        """The value minus the baseline's."""
        return None if self.baseline is None else self.value - self.baseline


@dataclass(frozen=True)
class Gate:
    """The outcomes of a check.

    Attributes
    ----------
    run, baseline
        The folders or names of both; `baseline` is empty without one.
    outcomes
        One for each requirement, then one for each limit.
    warnings
        The run's caution, if its model was trained on shuffled clips; the settings in which run and baseline differ,
        and what that means for comparing them.

    Examples
    --------
    >>> gate = Gate("runs/new", "", (Outcome("stage4.dynamic >= 30", "breach", 24.0),))
    >>> gate.failed, gate.status()
    (True, 1)
    """

    run: str
    baseline: str
    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a requirement is breached, or the run is worse than a limit allows."""
        return any(outcome.verdict in FAILING for outcome in self.outcomes)

    @property
    def unsure(self) -> bool:
        """Whether these clips cannot tell if a limit is kept."""
        return any(outcome.verdict == CANNOT_TELL for outcome in self.outcomes)

    def status(self, strict: bool = False) -> int:
        """Return the exit status: 1 if it failed; with `strict`, 3 if it did not, but is unsure; else 0."""
        return 1 if self.failed else UNSURE_STATUS if strict and self.unsure else 0

    def as_document(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        outcomes = [asdict(outcome) | {"change": outcome.change} for outcome in self.outcomes]
        for outcome in outcomes:
            del outcome["digits"]
        return {
            "run": self.run,
            "baseline": self.baseline or None,
            "failed": self.failed,
            "unsure": self.unsure,
            "outcomes": outcomes,
            "warnings": list(self.warnings),
        }


def check(
    run: Results | str | Path,
    require: Iterable[str] = (),
    *,
    baseline: Results | str | Path | None = None,
    max_drop: Iterable[str] = (),
    max_rise: Iterable[str] = (),
    bound: bool = False,
) -> Gate:
    """Check requirements on a run, and by how much it is worse than a baseline.

    A limit such as `"layer4.dynamic 5"` is judged by the 95 % interval of the change, run − baseline. If both runs used
    the same clips and seed, the change is paired by clip, so that the clips' own spread cancels; otherwise both count
    as independent, and the outcome says so. The run is *worse* if the whole interval is beyond the limit, *not worse*
    if none of it is, and else these clips *cannot tell*. A limit of 0 asks whether there is any change for the worse.

    Parameters
    ----------
    run
        The results, or the folder of a run.
    require
        Requirements, see `Results.check`.
    baseline
        What the limits compare with, e.g. the run of the model that is in use.
    max_drop, max_rise
        By how much a number may be lower, or higher, than the baseline's: `LAYER.dynamic`, `static` or `identical`
        (percent of Eq. 1), `LAYER.units.CLASS` (percent of the units, Eq. 3), `LAYER.score.dynamic` or `static`, each
        with a number, in points or, for a score, its difference. If `analyze --evaluate` scored both: `evaluation.top1`
        and `top5`, and `evaluation.shuffle`, by how many points shuffled frames lower top-1.
    bound
        Whether requirements are compared with the least favourable bound of the 95 % interval.

    Raises
    ------
    InputError
        If a requirement or limit cannot be parsed or is of something that a run does not have, there is neither, limits
        come without a baseline, or both runs have other estimators or thresholds.

    Examples
    --------
    >>> import tempfile
    >>> import sdmetrics as sd
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("appearance") as path, tempfile.TemporaryDirectory() as folder:
    ...     runner = sd.open_model(path, provider="cpu")
    ...     run = sd.analyze(runner, world_clips(30), out=folder, progress=False)
    ...     gate = sd.check(run, baseline=folder, max_drop=["stage4.dynamic 5"])
    >>> gate.outcomes[0].verdict, gate.status()
    ('not worse', 0)
    """
    for name, given in (("require", require), ("max_drop", max_drop), ("max_rise", max_rise)):
        if isinstance(given, str):
            raise InputError(f"{name} is one text, {given!r:.60}; expected: a list of texts")
    require = [*require]
    limits = [*(Limit.parse(text, drop=True) for text in max_drop), *(Limit.parse(t, drop=False) for t in max_rise)]
    if not require and not limits:
        raise InputError("there is nothing to check; pass a requirement, or a baseline and a limit")
    if bool(limits) != (baseline is not None):
        missing = "a baseline to compare with" if limits else "no limit, e.g. max_drop=['layer4.dynamic 5']"
        raise InputError(f"limits need {missing}; pass both" if limits else f"the baseline has {missing}; pass both")
    results = _loaded(run)
    outcomes = [_required(results, text, bound) for text in require]
    cautions = [caution(results)] if caution(results) else []
    if baseline is not None:
        before = _loaded(baseline)
        changes = Changes(before, results)
        outcomes += [_limited(changes, limit) for limit in limits]
        cautions += warnings({"baseline": before, "run": results})
    return Gate(_named(run), "" if baseline is None else _named(baseline), tuple(outcomes), tuple(cautions))


def _required(results: Results, text: str, bound: bool) -> Outcome:
    """Check one requirement."""
    holds, value = results.check(text, bound)
    return Outcome(text, HOLDS if holds else BREACH, value, bound=bound)


def _limited(changes: Changes, limit: Limit) -> Outcome:
    """Check one limit."""
    change = changes.of(limit)
    verdict = verdict_of(change, limit)
    notes = [f"not paired: {change.unpaired}"] if change.unpaired else []
    if change.no_interval:
        notes.append(f"no interval: {change.no_interval}")
    elif verdict == CANNOT_TELL:
        needed = clips_it_would_take(change, limit)
        notes.append(
            "the change is at the limit, so that no number of clips would tell"
            if needed is None
            else f"about {needed:,} such clips would tell, if the change stays as it is; there are {change.clips:,}"
        )
    return Outcome(
        text=str(limit),
        verdict=verdict,
        value=change.run,
        digits=limit.digits,
        baseline=change.baseline,
        low=change.low,
        high=change.high,
        clips=change.clips,
        note="; ".join(notes),
    )


def _loaded(run: Results | str | Path) -> Results:
    """Return the results."""
    return run if isinstance(run, Results) else Results.load(run)


def _named(run: Results | str | Path) -> str:
    """Return how a run is called in what is printed."""
    if not isinstance(run, Results):
        return printable(run)
    return printable(run.folder) if run.folder else str(run.model.get("name", "run"))
