"""Facts: how a run was made, as terms and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdmetrics.analysis.results import Results


UNDEFINED = "–"


def facts(run: Results) -> list[tuple[str, str]]:
    """Return how a run was made as terms and values, nested ones as `outer · inner`."""
    own = {
        "seed": run.seed,
        "estimator": run.estimator,
        "threshold λ": run.threshold,
        "clips used": run.clips["used"],
        "clips skipped": len(run.clips["skipped"]),
    }
    # The runner's identity and the seed are settings too; once is enough.
    settings = {key: value for key, value in run.settings.items() if value != run.model and key not in own}
    return [*_flat(run.model, "model"), *_flat(own), *_flat(settings)]


def differences(runs: Mapping[str, Results]) -> list[str]:
    """Return the terms, the model's aside, in which the runs were made differently."""
    made = [dict(fact for fact in facts(run) if not fact[0].startswith("model")) for run in runs.values()]
    terms = dict.fromkeys(term for facts_of_run in made for term in facts_of_run)
    return [term for term in terms if len({facts_of_run.get(term) for facts_of_run in made}) > 1]


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
