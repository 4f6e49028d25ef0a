"""Settings: all that decides the numbers of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdmetrics._files import replacing
from sdmetrics._version import __version__, installed_version
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.styles.built_in import STYLES, Style, style_identity
from sdmetrics.errors import InputError
from sdmetrics.runners.protocols import Runner


def clips_digest(clips: Sequence[Clip]) -> str:
    """Return a hash of which clips, of which content, are analysed."""
    rows = sorted((c.id, c.video, c.stamp, sorted(c.styled)) for c in clips)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def agree_on_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a new run; of an existing run, insist that they are the same.

    Raises
    ------
    InputError
        If they differ; the message says in what.
    """
    path = folder / "settings.json"
    text = json.dumps(settings, indent=1, sort_keys=True)
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); remove the folder {folder.parent} or give another"
        ) from None
    changes = list(_differences(before, json.loads(text)))
    if changes:
        raise InputError(
            f"{folder.parent} holds a run with other settings: {'; '.join(changes)}. "
            "Give another output folder, or the settings of before to resume"
        )


def _differences(before: object, now: object, name: str = "") -> list[str]:
    """Say in words where two JSON values differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [d for key in keys for d in _differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))]
    return [] if before == now else [f"{name} was {json.dumps(before)}, is {json.dumps(now)}"]


DECIDING = ("numpy", "numba", "av", "opencv-python-headless")
"""Packages whose version may change the last bits of a result."""


def _settings(
    runner: Runner, clips: Sequence[Clip], seed: int, batch: int, styles: Mapping[str, Style] | None
) -> dict[str, Any]:
    """Return all that must be equal for shards to belong to one run."""
    first = min(clips, key=lambda clip: clip.id)
    return {
        "runner": dict(runner.identity),
        "inputs": [{**vars(i), "size": list(i.size), "mean": list(i.mean), "std": list(i.std)} for i in runner.inputs],
        "seed": seed,
        "batch": batch,
        "styles": _styles(clips, styles),
        "clips": {"count": len(clips), "first": f"{first.id}: {first.stamp}", "sha256": clips_digest(clips)},
        "versions": {"sdmetrics": __version__} | {name: installed_version(name) for name in DECIDING},
    }


def _styles(clips: Sequence[Clip], styles: Mapping[str, Style] | None) -> dict[str, Any]:
    """Say of each style what it is: those that clips come in, and those that the others are restyled with."""
    given = {name: {"given": "with the clips"} for clip in clips for name in clip.styled}
    restyled = {} if all(clip.styled for clip in clips) else STYLES if styles is None else styles
    return given | {name: style_identity(style) for name, style in restyled.items()}
