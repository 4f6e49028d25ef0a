"""Facts: how and where a run was made, as terms and values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdmetrics.analysis.results import Results

UNDEFINED = "–"

Facts = list[tuple[str, str]]


def facts(run: Results) -> Facts:
    """Return how and where a run was made as terms and values, nested ones as `outer · inner`."""
    # The layers have a table of their own.
    model = {key: value for key, value in run.model.items() if key != "layers"}
    return [*_flat(model, "model"), *_made(run), *_ran_on(run)]


def differences(runs: Mapping[str, Results]) -> list[str]:
    """Return the terms that decide numbers, except those of the model, in which the runs differ."""
    return _differing(runs, _made)


def circumstances(runs: Mapping[str, Results]) -> list[str]:
    """Return the terms of where and how the runs were computed in which they differ.

    The probe's hash is left out: models have probes of their own.
    """
    return [term for term in _differing(runs, _ran_on) if not term.endswith("probe_sha256")]


def _made(run: Results) -> Facts:
    """Return what decides the numbers, except the model."""
    own = {
        "seed": run.seed,
        "estimator": run.estimator,
        "threshold λ": run.threshold,
        "clips used": run.clips["used"],
        "clips looped": run.clips.get("looped", 0),
        "clips skipped": len(run.clips["skipped"]),
    }
    settings = {key: value for key, value in run.settings.items() if key not in ("model", "layers", *own)}
    return [*_flat(own), *_flat(settings)]


def _ran_on(run: Results) -> Facts:
    """Return where and how the numbers were computed; several circumstances with their numbers of shards."""
    if len(run.ran_on) == 1:
        return [*_flat({key: value for key, value in run.ran_on[0].items() if key != "shards"}, "ran on")]
    return [
        (f"ran on {number} · {term}", value) for number, row in enumerate(run.ran_on, 1) for term, value in _flat(row)
    ]


def _differing(runs: Mapping[str, Results], facts_of: Callable[[Results], Facts]) -> list[str]:
    """Return the terms whose values differ between runs."""
    by_run = [dict(facts_of(run)) for run in runs.values()]
    terms = dict.fromkeys(term for of_run in by_run for term in of_run)
    return [term for term in terms if len({of_run.get(term) for of_run in by_run}) > 1]


def _flat(value: object, term: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings and of lists of mappings."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        value = {item.get("name", index): item for index, item in enumerate(value)}
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{term} · {key}" if term else str(key))
    elif isinstance(value, list | tuple):
        yield term, ", ".join(map(str, value)) or UNDEFINED
    else:
        yield term, UNDEFINED if value is None or value == "" else str(value)
