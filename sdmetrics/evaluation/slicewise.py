"""Evaluations slice by slice: what all of them store of a slice of the clips, so that they resume and come in parts.

Clips are cut in the order of their ids, or as for an analysis, so neither the order in which they are listed nor the
number of parts decides which clips share a batch, or in which order anything is added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from sdmetrics._files import check_is_file, writable_folder
from sdmetrics.analysis.circumstance import Circumstance
from sdmetrics.analysis.circumstance import ran_on as distinct
from sdmetrics.analysis.identity import METHOD, Document, Identity, clips_digest, sha256_of
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.resume import resumed, say_passing
from sdmetrics.analysis.shape import ANYTHING, COUNT, SKIPPED, Shape, check_shape
from sdmetrics.analysis.shards import Slice, by_id, load_part, save_part
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.estimate import estimator
from sdmetrics.clips.prefetch import Unusable
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import reads_flow
from sdmetrics.runners.protocols import ModelRunner

CLIPS_PER_SLICE = 16

HEADER: Document = {"looped": COUNT, "skipped": SKIPPED, "ran_on": {str: ANYTHING}}
"""The shape of what a stored slice says besides its rows and what was read of the model."""

Arrays = Mapping[str, NDArray[Any]]
NOTHING: Mapping[str, Any] = {}
Rendered = TypeVar("Rendered")


@dataclass
class Outcomes:
    """The result of one slice of the clips.

    Parameters
    ----------
    rows
        One per clip that was used, each with its `id`.
    read
        What was settled about the model's output.
    looped
        How many of the clips used repeat frames.
    skipped
        `{"id", "reason"}` of the other clips.
    ran_on
        Where and how it was computed.
    arrays
        Sums over the slice.
    passing
        The skipped clips that may be readable another time; a slice with any is not stored.
    """

    rows: list[Document] = field(default_factory=list)
    read: Document = field(default_factory=dict)
    looped: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    ran_on: Circumstance = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)
    passing: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluating(Generic[Rendered]):
    """How the slices of an evaluation are computed and stored.

    Parameters
    ----------
    runner
        Runs the model.
    ran_on
        Where and how.
    render
        Returns what is needed of a clip; runs in threads.
    score
        Takes the clips of a slice that can be used; returns their rows, in order, and the arrays of the slice.
    shape
        The shape of a row and of what was read of the model.
    reads
        Returns what is settled about the model's output so far.
    accepts
        Returns whether stored outcomes are whole and agree with what is settled; settles it where it is not.
    identity
        The digest of the evaluation's identity.
    """

    runner: ModelRunner
    ran_on: Circumstance
    render: Callable[[Clip], Rendered]
    score: Callable[[Iterator[tuple[Clip, Rendered]]], tuple[list[Document], Arrays]]
    shape: Mapping[str, Shape]
    reads: Callable[[], Document]
    accepts: Callable[[Outcomes], bool]
    identity: str = ""

    def make(
        self, rendered: Iterator[tuple[Clip, Rendered | Unusable]], clips: int, advance: Callable[[int], None]
    ) -> Outcomes:
        """Score the clips of one slice."""
        made = Outcomes(ran_on=self.ran_on)

        def usable() -> Iterator[tuple[Clip, Rendered]]:
            for clip, outcome in rendered:
                if isinstance(outcome, Unusable):
                    made.skipped.append({"id": clip.id, "reason": outcome.reason})
                    made.passing += made.skipped[-1:] if outcome.transient else []
                else:
                    made.looped += clip.looped
                    yield clip, outcome
                advance(1)

        made.rows, made.arrays = self.score(usable())
        made.read = dict(self.reads()) if made.rows else {}
        if len(made.rows) + len(made.skipped) != clips:
            raise AssertionError(f"{len(made.rows)} used and {len(made.skipped)} skipped clips are not {clips}")
        return made

    def load(self, path: Path, piece: Slice) -> Outcomes | None:
        """Read a slice, or return `None` if it is missing, damaged, or read the model's output in another way."""
        stored = load_part(path, self.identity)
        if stored is None:
            return None
        header, arrays = stored
        try:
            read = self.shape["read"] if header["rows"] else {}
            shape = {**HEADER, "rows": [self.shape["row"]], "read": read}
            check_shape({name: header[name] for name in shape}, shape, "header")
            found = Outcomes(**{name: header[name] for name in shape}, arrays=arrays)
            ids = sorted(row["id"] for row in [*found.rows, *found.skipped])
            whole = ids == sorted(clip.id for clip in piece.clips) and found.looped <= len(found.rows)
            return found if whole and self.accepts(found) else None
        except Exception:  # whatever is wrong with the file, the remedy is the same
            return None

    def save(self, part: Outcomes, path: Path) -> None:
        """Store a slice, unless a clip is to be tried again."""
        if not part.passing:
            header = asdict(part)
            del header["arrays"], header["passing"]
            save_part(path, self.identity, header, part.arrays)


def slices(clips: Sequence[Clip]) -> list[Slice]:
    """Return the slices of the clips, which do not depend on the order of `clips`.

    Raises
    ------
    InputError
        If two clips have the same id.
    """
    ordered = by_id(clips)
    starts = range(0, len(ordered), CLIPS_PER_SLICE)
    return [Slice(0, i, tuple(ordered[start : start + CLIPS_PER_SLICE])) for i, start in enumerate(starts)]


def identity_of(runner: ModelRunner, clips: Sequence[Clip], truth: Iterable[object], extra: Document) -> Identity:
    """Return all that decides an evaluation; `truth` is what each clip, in order, is compared with."""
    ordered = sorted(zip((clip.id for clip in clips), truth, strict=True), key=lambda item: item[0])
    first = min(clips, key=lambda clip: clip.id)
    return Identity(
        model=dict(runner.identity),
        layers=(),
        inputs=tuple(item.document() for item in runner.inputs),
        clips={"count": len(clips), "first": f"{first.id}: {first.stamp}", "sha256": clips_digest(clips)},
        extra={
            **extra,
            **({"flow": estimator()} if reads_flow(runner.inputs) else {}),
            "truth": sha256_of(ordered),
            "slice": CLIPS_PER_SLICE,
            "method": METHOD,
        },
    )


def check_out(out: str | Path | None, part: str | Part | None) -> Part | None:
    """Validate where an evaluation is written and which part it is, before anything is computed.

    Raises
    ------
    InputError
        If the part is not allowed, or has no place.
    """
    share = None if part is None else Part.parse(part)
    if share is not None and out is None:
        raise InputError(
            f"part is {share}, and parts are stored beside the output; pass out (--out), one for all parts"
        )
    return share


def parts_beside(file: str | Path | None) -> Path | None:
    """Return the folder of the parts of an output file."""
    if file is None:
        return None
    check_is_file(Path(file))
    return Path(f"{file}.parts")


def claimed(folder: Path | None, identity: Callable[[], Identity]) -> tuple[Path | None, str]:
    """Return the folder in `folder` for the slices of one identity, checked, and the digest; nothing without one."""
    if folder is None:
        return None, ""
    known = identity()
    own = writable_folder(folder / known.digest[:16])
    known.claim(own)
    return own, known.digest


@dataclass(frozen=True)
class Evaluated:
    """All outcomes, in the order of the slices. `rows` and `skipped` are in the order of the clips as listed."""

    parts: Sequence[Outcomes]
    rows: Sequence[Document]
    skipped: list[dict[str, str]]

    @property
    def looped(self) -> int:
        """The number of clips that repeat frames."""
        return sum(part.looped for part in self.parts)

    @property
    def ran_on(self) -> Circumstance:
        """Where and how the slices were computed: one circumstance, or those of all under `"several"`."""
        rows = distinct(part.ran_on for part in self.parts)
        if len(rows) > 1:
            return {"several": rows}
        return dict(self.parts[0].ran_on) if self.parts else {}

    @property
    def read(self) -> Document:
        """What was settled about the model's output."""
        return next((part.read for part in self.parts if part.read), {})


def evaluated(
    work: Evaluating[Rendered],
    clips: Sequence[Clip],
    folder: Path | None,
    part: Part | None,
    *,
    pieces: Sequence[Slice] | None = None,
    made: Mapping[str, Outcomes] = NOTHING,
    threads: int | None = None,
    progress: bool = True,
) -> Evaluated:
    """Return the outcomes of all slices, or of those of a part; see `resumed`.

    `pieces` are the slices, by default `slices(clips)`; `made` are outcomes that are there, by the names of their
    slices.
    """
    pieces = slices(clips) if pieces is None else pieces
    chosen = pieces if part is None else part.of(pieces)
    lacking = [piece for piece in chosen if piece.file_name not in made]
    found = {
        piece.file_name: of_piece
        for piece, of_piece in resumed(work, lacking, folder, threads=threads, progress=progress)
    }
    parts = [made.get(piece.file_name) or found[piece.file_name] for piece in chosen]
    say_passing([row for outcomes in parts for row in outcomes.passing], stored=folder is not None)
    place = {clip.id: number for number, clip in enumerate(clips)}
    rows = sorted((row for outcomes in parts for row in outcomes.rows), key=lambda row: place[row["id"]])
    skipped = sorted((row for outcomes in parts for row in outcomes.skipped), key=lambda row: place[row["id"]])
    return Evaluated(parts, rows, skipped)
