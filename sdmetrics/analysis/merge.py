"""merge_runs(): the results of shards that several processes measured, of one run or of runs over different clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from sdmetrics._files import writable_folder, write_json
from sdmetrics._reading import read_json
from sdmetrics._text import printable
from sdmetrics.analysis.identity import SETTINGS, json_differences, sha256_of
from sdmetrics.analysis.responses import AGAIN, Kept, beside
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.shape import ANYTHING, COUNT, SEED, Shape, ShapeError, check_shape
from sdmetrics.analysis.shards import Shard, load_shard, save_shard, shard_files, shard_name, shard_sizes
from sdmetrics.analysis.total import Total
from sdmetrics.analysis.valid import check_settings
from sdmetrics.clips.manipulations.further import factors_with, further_of
from sdmetrics.clips.prefetch import check_any_usable
from sdmetrics.errors import InputError, note
from sdmetrics.metrics.bias import unit_bias
from sdmetrics.metrics.groups import GROUPS
from sdmetrics.metrics.moments import PairMoments

Settings = dict[str, Any]
Place = tuple[int, int]
"""The group of a shard and its index in the group."""

READ: dict[str, Shape] = {"model": {str: ANYTHING}, "layers": [str], "seed": SEED, "clips": {str: ANYTHING}}
CLIPS: dict[str, Shape] = {"count": COUNT, "groups": (COUNT,) * GROUPS, "first": str, "sha256": str}
"""The shapes of what is read of the settings, and of their clips."""

NAMED = 5
"""How many of many names a message lists."""


class MissingShardsError(InputError):
    """Not all shards of a run are there yet."""


def merge_runs(runs: Sequence[Path], out: Path, *, estimator: str = "pearson", threshold: float = 0.5) -> Results:
    """Add the shards of runs, and write the results into the folder `out`.

    Folders of one identity are parts of one run. Runs of different identities may differ in their clips only. A run
    that stopped as it was sure enough, by results of the same estimator and threshold, needs no later rounds.

    Raises
    ------
    InputError
        If shards are missing, the runs differ in more than their clips, or a clip is in two of them.
    """
    threshold = unit_bias({"static": PairMoments(1)}, threshold=threshold, estimator=estimator).threshold
    if not runs:
        raise InputError("there are no runs to merge; pass the folder of at least one")
    by_identity: dict[str, list[Path]] = {}
    settings: dict[str, Settings] = {}
    for run in dict.fromkeys(path.resolve() for path in runs):
        document = read_settings(run)
        settings[sha256_of(document)] = document
        by_identity.setdefault(sha256_of(document), []).append(run)
    parts = {digest: _stored(by_identity[digest], digest, settings[digest]) for digest in sorted(by_identity)}
    stopped = _stopped(parts, by_identity, estimator, threshold) if len(parts) == 1 else None
    for digest, measured in parts.items():
        _check_none_missing(measured, settings[digest]["clips"], by_identity[digest], stopped)
    _check_alike(settings, by_identity)
    _check_apart(parts, by_identity)
    merged = next(iter(settings.values())) if len(parts) == 1 else _sum_of(list(settings.values()))
    shards = next(iter(parts.values())) if len(parts) == 1 else _renumbered(parts.values())
    total = Total()
    for (group, _), found in shards.items():
        total.add(group, found.load())
    check_any_usable(total.used, merged["clips"]["count"], total.skipped, least=2)
    model = {"name": min(found.model for found in shards.values()), **merged["model"]}
    results = total.results(model, merged["layers"], merged, estimator, threshold, stopped)
    if list(map(Path.resolve, runs)) != [out.resolve()]:
        _write_shards(out, shards, merged)
    results.save(out)
    return results


@dataclass(frozen=True)
class _Found:
    """A shard in a file: its moments are read when they are added, so that memory does not grow with the run."""

    path: Path
    identity: str
    layers: Sequence[str]
    clips: tuple[str, ...]
    model: str
    copies: tuple[Path, ...]
    also: tuple[str, ...]

    def load(self) -> Shard:
        """Read the shard again."""
        shard = load_shard(self.path, self.identity, self.layers, factors_with(self.also))
        if shard is None:
            raise InputError(f"{printable(self.path)} was changed while it was merged; run the same again")
        return shard

    def responses(self) -> Kept | None:
        """Read the responses that belong to the shard, or to one of its copies in other folders of the run."""
        ids = self.load().ids
        files = (beside(path) for path in (self.path, *self.copies))
        loaded = (Kept.load(file, self.identity, self.layers, ids, self.also) for file in files)
        return next((kept for kept in loaded if kept), None)


def read_settings(run: Path) -> Settings:
    """Return the identity's document of the run in a folder.

    Raises
    ------
    InputError
        If the folder has none, or it is damaged.
    """
    path = run / "shards" / SETTINGS
    if not path.exists():
        wrong = "does not exist" if not run.exists() else f"has no shards/{SETTINGS}"
        raise InputError(f"{printable(run)} {wrong}; pass the folder that `sdmetrics analyze --out` wrote")
    settings = read_json(path)
    try:
        if not isinstance(settings, dict):
            raise ShapeError("it is no object")
        check_settings(settings)
        check_shape({name: settings.get(name) for name in READ}, READ, "settings")
        check_shape({name: settings["clips"].get(name) for name in CLIPS}, CLIPS, "settings.clips")
    except ShapeError as error:
        raise InputError(
            f"{printable(path)} is damaged ({error}); repeat the command `sdmetrics analyze` that wrote it"
        ) from None
    return settings


def _stored(runs: Sequence[Path], identity: str, settings: Settings) -> dict[Place, _Found]:
    """Return the shards of one run, from the folders that hold parts of it, in the order of their places."""
    also = further_of(settings)
    files: dict[Place, list[Path]] = {}
    for run in runs:
        for group, path in shard_files(run / "shards"):
            files.setdefault((group, int(path.stem.split("-")[1])), []).append(path)
    shards: dict[Place, _Found] = {}
    for place, paths in files.items():
        # Whichever machine measured it: the file that is chosen must not depend on the order of the folders.
        for path in sorted(paths, key=Path.read_bytes) if len(paths) > 1 else paths:
            shard = load_shard(path, identity, settings["layers"], factors_with(also))
            if shard is not None:
                ids = (*shard.ids, *(row["id"] for row in shard.skipped))
                shards[place] = _Found(path, identity, settings["layers"], ids, shard.model, tuple(paths), also)
                break
    return _in_order(shards)


def _stopped(
    parts: Mapping[str, Mapping[Place, _Found]], runs: Mapping[str, Sequence[Path]], estimator: str, threshold: float
) -> dict[str, Any] | None:
    """Return how the only run stopped as it was sure enough, unless later rounds were begun."""
    ((identity, shards),) = parts.items()
    for run in runs[identity]:
        try:
            results = Results.load(run)
        except InputError:  # as after parts: there are no results yet
            continue
        decided = (sha256_of(results.settings), results.estimator, results.threshold)
        if results.stopped and decided == (identity, estimator, threshold):
            begun = 1 + max((index for _, index in shards), default=0)
            return results.stopped if begun <= results.stopped["after_rounds"] else None
    return None


def _check_none_missing(
    shards: Mapping[Place, _Found], clips: Mapping[str, Any], runs: Sequence[Path], stopped: Mapping[str, Any] | None
) -> None:
    """Raise an `InputError` that names the shards that are not there, or not with all of their clips."""
    if "merged" in clips:
        if (count := sum(len(found.clips) for found in shards.values())) != clips["count"]:
            raise MissingShardsError(
                f"{_listed(map(printable, runs))} has {count} of {clips['count']} clips; merge again the runs that it "
                "was made of"
            )
        return
    expected = {
        (group, index): size
        for group, count in enumerate(clips["groups"])
        for index, size in enumerate(shard_sizes(count))
        if stopped is None or index < stopped["after_rounds"]
    }
    missing = [place for place, size in expected.items() if place not in shards or len(shards[place].clips) != size]
    if missing:
        count = sum(expected[place] for place in missing)
        raise MissingShardsError(
            f"{len(missing)} of {len(expected)} shards of {_listed(map(printable, runs))} are missing, with {count} of "
            f"{sum(expected.values())} clips: {_listed(shard_name(*place) for place in missing)}. Repeat the parts "
            "that measure them, or the command `sdmetrics analyze` without --part and --until, which measures what is "
            "missing"
        )
    if shards.keys() - expected.keys():
        raise InputError(
            f"{_listed(map(printable, runs))} has shards that its settings do not know: "
            f"{_listed(shard_name(*place) for place in sorted(shards.keys() - expected.keys()))}; remove them"
        )


def _check_alike(settings: Mapping[str, Settings], runs: Mapping[str, Sequence[Path]]) -> None:
    """Raise an `InputError` that names in what runs differ besides their clips."""
    (first, reference), *others = settings.items()
    for digest, document in others:
        differences = json_differences({**reference, "clips": None}, {**document, "clips": None})
        if differences:
            raise InputError(
                f"{printable(runs[first][0])} and {printable(runs[digest][0])} are not runs of one model over other "
                f"clips: {'; '.join(differences[:NAMED])}. Merge runs that differ in their clips only"
            )


def _check_apart(parts: Mapping[str, Mapping[Place, _Found]], runs: Mapping[str, Sequence[Path]]) -> None:
    """Raise an `InputError` that names the clips that are in two runs."""
    seen: dict[str, str] = {}
    for digest, shards in parts.items():
        ids = sorted(chain.from_iterable(found.clips for found in shards.values()))
        twice = [clip for clip in ids if clip in seen]
        if twice:
            one, other = runs[seen[twice[0]]][0], runs[digest][0]
            raise InputError(
                f"{len(twice)} clip(s) are in {printable(one)} and in {printable(other)}, and would "
                f"count twice: {_listed(map(printable, twice))}. Leave one of the runs out"
            )
        seen |= dict.fromkeys(ids, digest)


def _sum_of(settings: Sequence[Settings]) -> Settings:
    """Return the identity's document of the sum of runs."""
    clips = [document["clips"] for document in settings]
    merged = sorted(chain.from_iterable(one.get("merged", [one["sha256"]]) for one in clips))
    return {
        **settings[0],
        "clips": {
            "count": sum(one["count"] for one in clips),
            "groups": [sum(sizes) for sizes in zip(*(one["groups"] for one in clips), strict=True)],
            "first": min(one["first"] for one in clips),
            "sha256": sha256_of(merged),
            "merged": merged,
        },
    }


def _renumbered(runs: Iterable[Mapping[Place, _Found]]) -> dict[Place, _Found]:
    """Return the shards of all runs under places of their own, in an order that their clips alone decide.

    So the last bits of a sum depend neither on the order of the runs, nor on whether some were added before.
    """
    groups: list[list[_Found]] = [[] for _ in range(GROUPS)]
    for run in runs:
        for (group, _), found in run.items():
            groups[group].append(found)
    by_place = {
        (group, index): found
        for group, shards in enumerate(groups)
        for index, found in enumerate(sorted(shards, key=lambda found: sha256_of(sorted(found.clips))))
    }
    return _in_order(by_place)


def _in_order(shards: Mapping[Place, _Found]) -> dict[Place, _Found]:
    """Return shards round by round, as an undivided run adds them."""
    return dict(sorted(shards.items(), key=lambda item: (item[0][1], item[0][0])))


def _write_shards(out: Path, shards: Mapping[Place, _Found], settings: Settings) -> None:
    """Write the shards of a sum into its folder."""
    folder = writable_folder(out / "shards")
    identity = sha256_of(settings)
    path = folder / SETTINGS
    if shard_files(folder) and (not path.exists() or sha256_of(read_settings(out)) != identity):
        raise InputError(f"{printable(out)} already contains another run; use another output folder")
    write_json(path, settings)
    for place, found in shards.items():
        save_shard(found.load(), folder / shard_name(*place), identity)
    have = [found.responses() is not None for found in shards.values()]
    if not all(have) and any(have):
        note(f"{have.count(False)} of {len(have)} shards have no responses, so none are kept of the sum; {AGAIN}")
    for place, found in shards.items() if all(have) else ():
        kept = found.responses()
        assert kept is not None
        kept.save(beside(folder / shard_name(*place)), identity)


def _listed(names: Iterable[str]) -> str:
    """Return the first names and the number of the others."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
