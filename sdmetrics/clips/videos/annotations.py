"""Published annotations: the lists of videos, labels and segments of well-known data sets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sdmetrics._reading import parsed_json, read_text
from sdmetrics._text import printable
from sdmetrics.clips.videos.records import as_record, list_of, text_of, wrong_field
from sdmetrics.errors import InputError

SUPPORTED = (
    "ActivityNet 1.3 (JSON with the key database), Something-Something v2 and SomethingElse (JSON list of records "
    "with id and template), Diving48 (JSON list of records with vid_name and label), Kinetics (columns youtube_id, "
    "time_start and time_end, or JSON by youtube_id)"
)

LONGEST = 10**9
"""Seconds; no video is longer."""


@dataclass(frozen=True)
class VideoFile:
    """A file that may contain an annotated video, and the segment of it in seconds (default: the whole file)."""

    name: str
    start: float | None = None
    end: float | None = None

    @property
    def stem(self) -> str:
        """The file's name without its suffix, which may differ from the published suffix."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Annotation:
    """One annotated video, in the first of `sources` that exists; `where` names the record for errors."""

    where: str
    label: str | None
    sources: tuple[VideoFile, ...]


def read_annotations(path: Path) -> list[Annotation] | None:
    """Read the published annotations of a data set, whose layout is inferred from the content, not the file's name.

    Supported are ActivityNet 1.3 (the first segment listed for every video; videos without a segment, as in the test
    set, are left out), Kinetics, Something-Something v2, the splits of SomethingElse, and Diving48 V2.

    Returns
    -------
    list of Annotation, or None
        The annotations in the file's order, or None for a file that is neither JSON nor from Kinetics.

    Raises
    ------
    InputError
        If the file has another layout, or a record is wrong; the message names file, record and field.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "validation.json")
    ...     _ = path.write_text('[{"id": "74225", "template": "Spinning [something]"}]')
    ...     (annotation,) = read_annotations(path)
    >>> annotation.label, annotation.sources[0].name
    ('Spinning something', '74225.webm')
    """
    text = read_text(path)
    shown = printable(path)
    is_json = text.lstrip().startswith(("{", "["))
    if path.suffix.lower() == ".json" or is_json:
        annotations = _json(shown, parsed_json(text, path)) if is_json else _table(shown, text)
        if annotations is None:
            raise _unknown(shown)
    else:
        annotations = _table(shown, text)
    if annotations is not None and not annotations:
        raise InputError(f"{shown} lists no annotated video; use the file of another split")
    return annotations


def _json(path: str, content: object) -> list[Annotation] | None:
    """Detect the layout of a JSON file and read its records; return None for an unknown layout."""
    if isinstance(content, dict) and isinstance(videos := content.get("database"), dict):
        return _activitynet(path, videos)
    if isinstance(content, dict) and content and all(_is_kinetics(record) for record in content.values()):
        return [_kinetics_record(name, record, f"{path}, record {name!r},") for name, record in content.items()]
    if isinstance(content, list):
        keys = {key for record in content if isinstance(record, dict) for key in record}
        read = _diving48 if "vid_name" in keys else _something if "id" in keys else None
        if read:
            records = [(f"{path}, record [{index}],", record) for index, record in enumerate(content)]
            return [read(as_record(record, where), where) for where, record in records]
    return None


def _activitynet(path: str, videos: Mapping[str, object]) -> list[Annotation]:
    """Read ActivityNet's database: the first segment of every video that has segments."""
    annotations = []
    for name, video in videos.items():
        where = f"{path}, record {name!r},"
        segments = list_of(as_record(video, where), "annotations", where, "segments with their labels")
        if not segments:
            continue
        first = as_record(segments[0], f"{where} annotations [0]")
        segment = first.get("segment")
        if not isinstance(segment, list) or len(segment) != 2:
            raise wrong_field(where, "segment", segment, "[start, end] in seconds")
        start, end = (_seconds(second, "segment", where) for second in segment)
        _check_order(start, end, "segment", where)
        sources = tuple(VideoFile(file, start, end) for file in (f"v_{name}.mp4", f"{name}.mp4"))
        annotations.append(Annotation(where, text_of(first, "label", where), sources))
    return annotations


def _something(record: Mapping[str, object], where: str) -> Annotation:
    """Read a record of Something-Something v2 or SomethingElse; records of the test set have only an id."""
    source = VideoFile(f"{text_of(record, 'id', where)}.webm")
    if record.keys() == {"id"}:
        return Annotation(where, None, (source,))
    field = "label" if "label" in record and "template" not in record else "template"
    return Annotation(where, text_of(record, field, where).replace("[", "").replace("]", ""), (source,))


def _diving48(record: Mapping[str, object], where: str) -> Annotation:
    """Read a record of Diving48, whose videos are cut to one dive each."""
    label = record.get("label")
    if not isinstance(label, int) or isinstance(label, bool):
        raise wrong_field(where, "label", label, "the number of a class")
    return Annotation(where, str(label), (VideoFile(f"{text_of(record, 'vid_name', where)}.mp4"),))


def _table(path: str, text: str) -> list[Annotation] | None:
    """Read the lines of a file of Kinetics with commas or tabs; labels may be missing in the test set."""
    first = text.partition("\n")[0]
    separator = "\t" if "\t" in first else ","
    try:
        # Of lists of another kind, whose quotes may stand anywhere, only the first line is looked at.
        columns = next(csv.reader([first], delimiter=separator), [])
        if "youtube_id" not in columns:
            return None
        reader = csv.DictReader(io.StringIO(text), delimiter=separator, strict=True)
        return [_kinetics(row, f"{path}, line {reader.line_num},", columns) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as annotations ({error}); correct the quotes") from None


def _kinetics(row: Mapping[str, str | None], where: str, columns: Sequence[str]) -> Annotation:
    """Read a line of Kinetics, for a video that was cut to its segment and named after it or for the whole video."""
    name = text_of(row, "youtube_id", where)
    start, end = (_seconds(_number(row.get(field)), field, where) for field in ("time_start", "time_end"))
    _check_order(start, end, "time_end", where)
    label = text_of(row, "label", where) if "label" in columns else None
    return _cut_or_whole(name, start, end, label, where)


def _is_kinetics(record: object) -> bool:
    """Return whether a value of a JSON object is a record of Kinetics."""
    return isinstance(record, dict) and "subset" in record and "url" in record


def _kinetics_record(name: str, record: Mapping[str, object], where: str) -> Annotation:
    """Read a record of Kinetics; those of the test set have no label."""
    content = as_record(record.get("annotations"), f"{where} annotations")
    segment = content.get("segment")
    if not isinstance(segment, list) or len(segment) != 2:
        raise wrong_field(where, "segment", segment, "[start, end] in seconds")
    start, end = (_seconds(second, "segment", where) for second in segment)
    _check_order(start, end, "segment", where)
    return _cut_or_whole(name, start, end, text_of(content, "label", where) if "label" in content else None, where)


def _cut_or_whole(name: str, start: float, end: float, label: str | None, where: str) -> Annotation:
    """Return a video that was cut to its segment and named after it, or the whole video."""
    return Annotation(
        where, label, (VideoFile(f"{name}_{int(start):06d}_{int(end):06d}.mp4"), VideoFile(f"{name}.mp4", start, end))
    )


def _number(value: str | None) -> object:
    """Return a number that is written as text; return any other value unchanged."""
    try:
        return float(value or "")
    except ValueError:
        return value


def _seconds(value: object, field: str, where: str) -> float:
    """Return a time in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LONGEST:
        raise wrong_field(where, field, value, f"seconds from 0 to {LONGEST:,}")
    return value


def _check_order(start: float, end: float, field: str, where: str) -> None:
    """Check that a segment does not end before it starts; an empty segment fails when its clip is loaded."""
    if end < start:
        raise wrong_field(where, field, [start, end], "an end that is later than the start")


def _unknown(path: str) -> InputError:
    """Return the error for a file with another layout."""
    return InputError(f"{path} has no supported annotations; allowed: {SUPPORTED}")
