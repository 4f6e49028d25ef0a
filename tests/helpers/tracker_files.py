"""What experiment trackers wrote, read from their local files: numbers by name and step, and files by name."""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Numbers = dict[str, dict[int, float]]


def tensorboard_numbers(folder: Path) -> Numbers:
    """Return the numbers that torch's writer or TensorBoard's own wrote."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    read = EventAccumulator(str(folder))
    read.Reload()
    tags = read.Tags()
    return {
        **{name: {event.step: event.value for event in read.Scalars(name)} for name in tags["scalars"]},
        **{name: {e.step: make_ndarray(e.tensor_proto).item() for e in read.Tensors(name)} for name in tags["tensors"]},
    }


def wandb_records(folder: Path) -> list[Any]:
    """Return the records of the only offline run in a folder."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # its service writes the last bytes when it ends
    (path,) = folder.rglob("run-*.wandb")
    return [Record.FromString(data) for data in log_records(path.read_bytes())]


def log_records(content: bytes) -> Iterator[bytes]:
    """Yield the records of a log in LevelDB's format, of which Weights & Biases puts seven bytes in front.

    Blocks of 32 KiB hold pieces, each with a checksum, a length and a type: whole, first, middle or last.
    """
    place, record = 7, b""
    while place + 7 <= len(content):
        if (left := -place % 32768) and left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def wandb_numbers(folder: Path) -> Numbers:
    """Return the numbers by the step that was written with them."""
    numbers: Numbers = defaultdict(dict)
    for record in wandb_records(folder):
        row = {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        step = row.pop("sdmetrics/step", None)
        for name, value in row.items():
            if step is not None and not name.startswith("_"):
                numbers[name][step] = value
    return numbers


def mlflow_numbers(client: object, run_id: str) -> Numbers:
    names = client.get_run(run_id).data.metrics
    return {name: {metric.step: metric.value for metric in client.get_metric_history(run_id, name)} for name in names}


def trackio_numbers(project: str, run: str) -> Numbers:
    from trackio.sqlite_storage import SQLiteStorage

    numbers: Numbers = defaultdict(dict)
    for row in SQLiteStorage.get_logs(project, run):
        for name, value in row.items():
            if "/" in name:
                numbers[name][row["step"]] = value
    return numbers
