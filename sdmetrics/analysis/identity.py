"""Identity: all that decides the numbers of a run. What is not part of it must not change a number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdmetrics._files import write_json
from sdmetrics._reading import UnreadableError, read_json
from sdmetrics._temporary import remove_leftovers
from sdmetrics.analysis.shards import check_parts, group_sizes
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.estimate import estimator
from sdmetrics.clips.manipulations.further import settings_of
from sdmetrics.clips.styles.built_in import STYLES, Style, style_identity
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput, reads_flow
from sdmetrics.runners.protocols import MaskedRunner, Runner

Document = dict[str, Any]

SETTINGS = "settings.json"
"""The file of the identity, beside the shards."""

METHOD = 4
"""Version of how clips are cut into shards, pairs drawn, frames sampled and shuffled, flow jittered and dead units
told; raised when that changes a number."""


@dataclass(frozen=True)
class Identity:
    """All that decides the numbers of a run. It identifies the run and every shard of it.

    How the numbers are computed (threads, provider, batch size, versions, machine) is not part of it: see
    `circumstance`. Numbers of one identity agree within 1e-5 wherever they are computed.

    Parameters
    ----------
    model
        The runner's identity: the content of the model, its layers with their axes, its precision.
    layers
        The layers that are measured, in order.
    inputs
        How the model is fed.
    clips
        Number, numbers by group, first and SHA-256 of the clips, by id, video and content stamp.
    extra
        What else decides: styles and seed of an analysis; masks, scores and labels of an ablation; the estimator of
        optical flow where it is read; the version of the method.
    """

    model: Document
    layers: tuple[str, ...]
    inputs: tuple[Document, ...]
    clips: Document
    extra: Document = field(default_factory=dict)

    @classmethod
    def of_analysis(
        cls,
        runner: Runner,
        clips: Sequence[Clip],
        seed: int,
        styles: Mapping[str, Style] | None,
        also: Sequence[str] = (),
    ) -> Identity:
        """Return the identity of an analysis; further factors are part of it where there are any."""
        return cls._of(runner, clips, {"seed": seed, "styles": _styles(clips, styles), **settings_of(also)})

    @classmethod
    def of_ablation(cls, runner: MaskedRunner, clips: Sequence[Clip], extra: Document) -> Identity:
        """Return the identity of an ablation; labels and segmentation masks of the clips decide, too."""
        truth = sha256_of(sorted([clip.id, clip.label, clip.mask_stamp] for clip in clips))
        return cls._of(runner, clips, {**extra, "truth": truth})

    @classmethod
    def _of(cls, runner: Runner, clips: Sequence[Clip], extra: Document) -> Identity:
        first = min(clips, key=lambda clip: clip.id)
        flow = {"flow": estimator()} if reads_flow(runner.inputs) else {}
        return cls(
            model=dict(runner.identity),
            layers=tuple(runner.layers),
            inputs=tuple(item.document() for item in runner.inputs),
            clips={
                "count": len(clips),
                "groups": group_sizes(clips),
                "first": f"{first.id}: {first.stamp}",
                "sha256": clips_digest(clips),
            },
            extra={**extra, **flow, "method": METHOD},
        )

    def document(self) -> Document:
        """Return everything as a JSON document."""
        parts = {"model": self.model, "layers": self.layers, "inputs": self.inputs, "clips": self.clips, **self.extra}
        document: Document = json.loads(json.dumps(parts))
        return document

    @property
    def digest(self) -> str:
        """The SHA-256 of the document."""
        return sha256_of(self.document())

    def claim(self, folder: Path) -> None:
        """Write the document into the folder of a new run; check that an existing run has the same.

        Where the document is lost or damaged, the run is recognised by its shards, which know the identity, too.

        Raises
        ------
        InputError
            If it differs, and the message names every difference; or if a shard belongs to another run.
        """
        remove_leftovers(folder)
        path = folder / SETTINGS
        before = _stored(path)
        changes = [] if before is None else json_differences(before, self.document())
        if changes:
            hint = " (clips are cut otherwise, or a file was changed, or copied without its time of modification)"
            changed = hint if any(change.startswith("clips.sha256") for change in changes) else ""
            if any(change.startswith("method ") for change in changes):
                raise InputError(
                    f"{folder.parent} contains a run that another version of this package measured, by another method; "
                    "use another output folder, or delete this one"
                )
            raise InputError(
                f"{folder.parent} already contains a run with different settings: {'; '.join(changes)}{changed}. Use "
                "another output folder, or the original settings to resume"
            )
        check_parts(folder, self.digest)
        if before is None:
            write_json(path, self.document())


def _stored(path: Path) -> Document | None:
    """Return the stored document, or `None` where there is none that can be read."""
    try:
        document = read_json(path) if path.exists() else None
    except UnreadableError:
        raise
    except InputError:
        return None
    return document if isinstance(document, dict) else None


def sha256_of(document: object) -> str:
    """Return the SHA-256 of a JSON document, whatever the order of its keys.

    Examples
    --------
    >>> sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def input_differences(before: Sequence[Document], inputs: Sequence[ModelInput]) -> list[str]:
    """Describe where model inputs are fed differently than those of a stored identity.

    Examples
    --------
    >>> stored = json.loads(json.dumps([ModelInput("video", stride=8).document()]))
    >>> input_differences(stored, [ModelInput("video", stride=4)])
    ['inputs.video.stride was 8, is 4']
    """
    now = json.loads(json.dumps([item.document() for item in inputs]))
    stored, fed = ({item["name"]: item for item in items} for items in (before, now))
    return json_differences(stored, fed, "inputs")


def clips_digest(clips: Sequence[Clip]) -> str:
    """Return a hash of the clips and their content: that of a JSON list, which is long for a million clips."""
    digest = hashlib.sha256(b"[")
    for place, c in enumerate(sorted(clips, key=lambda clip: clip.id)):
        row = json.dumps((c.id, c.content, c.stamp, sorted(c.styled)))
        digest.update(f"{', ' if place else ''}{row}".encode())
    digest.update(b"]")
    return digest.hexdigest()


def _styles(clips: Sequence[Clip], styles: Mapping[str, Style] | None) -> Document:
    """Describe the styles that clips come in, and those that the other clips are rendered in."""
    with_clips = {name: {"given": "with the clips"} for clip in clips for name in clip.styled}
    rendered = {} if all(clip.styled for clip in clips) else STYLES if styles is None else styles
    return with_clips | {name: style_identity(style) for name, style in rendered.items()}


def json_differences(before: object, now: object, name: str = "") -> list[str]:
    """Describe where two JSON values differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [d for key in keys for d in json_differences(before.get(key), now.get(key), f"{name}.{key}".lstrip("."))]
    return [] if before == now else [f"{name} was {json.dumps(before)}, is {json.dumps(now)}"]
