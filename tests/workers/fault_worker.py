"""Disturb analyze, ablate, evaluate and the tracker at one file operation, run them again, and print what happened.

A process that has imported everything, and has started no thread, forks for every run. In the fork an audit hook counts
the operations on files below a folder; at one of them it kills the process, or lets the operation fail.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

import sdmetrics as sd
import sdmetrics.run
from sdmetrics._files import replacing
from sdmetrics.analysis.shards import FILE_NAME
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch import BiasTracker
from tests.helpers.fakes import NumpyRunner, changes, colours, noise_clip
from tests.helpers.removable import CLASS_INDICES, Linear, clips_of, results_of

EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.scandir", "os.listdir", "os.fsync"})
WRITES = frozenset({"os.rename", "os.mkdir", "os.fsync"})
MODES = ("kill", "fail", "full")
"""Kill the process; let one operation fail with EIO; let all that write fail with ENOSPC from then on."""
CLIPS = [noise_clip(number, video=f"video {number % 7}") for number in range(14)]
LABELLED = clips_of(12, videos=6)


def written_page(runs: Mapping[str, sd.Results], path: Path, **_: object) -> None:
    """Write a page as `write_report` does, which takes seconds to draw the charts."""
    with replacing(path) as temporary:
        temporary.write_text(str(runs))


def analyze(folder: Path) -> None:
    """Analyze a few clips."""
    sd.analyze(NumpyRunner({"colours": colours, "changes": changes}), CLIPS, out=folder, progress=False)


def ablate(folder: Path) -> None:
    """Remove units of a small model."""
    results = results_of()
    settings = {"classes": CLASS_INDICES, "fractions": (0.5,), "repeats": 2, "progress": False}
    sd.ablate(Linear(noise=1), LABELLED, results, out=folder, **settings)


def evaluate(folder: Path) -> None:
    """Score a small model."""
    sd.evaluate(Linear(noise=1), LABELLED, CLASS_INDICES, progress=False).save(folder / "evaluation.json")


def track(folder: Path) -> None:
    """Measure two steps of a training, the second twice with other weights."""
    model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    tracker = BiasTracker(
        model, [ModelInput("video", frames=6, stride=1, size=(16, 16))], ["1"], CLIPS[:8], batch=24, out=folder
    )
    before = json.loads(done.read_text()) if (done := folder.with_suffix(".done")).exists() else []
    assert set(before) <= tracker.results.keys(), f"steps {before} were stored, and {[*tracker.results]} are left"
    for seed, step in enumerate((0, 1, 1)):
        torch.manual_seed(seed)
        for weights in model.parameters():
            nn.init.normal_(weights)
        tracker.measure(step)
        done.write_text(json.dumps(sorted({*before, *range(step + 1)})))


VERBS: dict[str, Callable[[Path], None]] = {
    "analyze": analyze,
    "resume": analyze,
    "ablate": ablate,
    "evaluate": evaluate,
    "track": track,
}


class Fault:
    """Counts the operations on files below a folder, and disturbs one of them."""

    def __init__(self, folder: Path, at: int, mode: str) -> None:
        self.folder, self.at, self.mode, self.count = str(folder), at, mode, 0
        fsync = os.fsync

        def audited(descriptor: int) -> None:
            sys.audit("os.fsync", self.folder)
            fsync(descriptor)

        os.fsync = audited
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in EVENTS or not self._is_inside(arguments[0]):
            return
        self.count += 1
        if self.mode == "kill" and self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "fail" and self.count == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        writes = event in WRITES or (event == "open" and int(arguments[2]) & (os.O_WRONLY | os.O_RDWR))
        if self.mode == "full" and self.count >= self.at and writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_inside(self, path: object) -> bool:
        """Return whether a path is below the folder. `rmtree` names files relative to open folders."""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        name = os.fsdecode(path)
        return name.startswith(self.folder) or not name.startswith("/")


def forked(verb: str, folder: Path, at: int = 0, mode: str = "") -> tuple[int, int, str]:
    """Run a verb in a fork; return its exit status, its number of operations, and its error."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        warnings.simplefilter("ignore")
        fault, code, message = Fault(folder, at, mode), 0, ""
        try:
            VERBS[verb](folder)
        except (sd.InputError, OSError) as error:
            code, message = 2, str(error)
        except BaseException:
            code, message = 3, traceback.format_exc()
        os.write(writer, json.dumps([fault.count, message]).encode())
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    count, message = json.loads(answer) if answer else (0, "")
    return os.waitstatus_to_exitcode(status), count, message


def content(folder: Path) -> dict[str, bytes]:
    """Return the content of every file."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def finished(folder: Path) -> dict[str, int]:
    """Return the finished shards with their inodes: a shard that is measured again has another."""
    found = (
        path for path in folder.rglob("*.npz") if FILE_NAME.fullmatch(path.name) and ".unfinished" not in path.parts
    )
    return {str(path.relative_to(folder)): path.stat().st_ino for path in found}


def begin(verb: str, folder: Path) -> dict[str, int]:
    """Make the folder in which a verb starts; return the shards that are finished there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".done").unlink(missing_ok=True)
    if verb != "resume":
        folder.mkdir()
        return {}
    start = folder.with_name("start")
    if not start.exists():
        start.mkdir()
        assert forked("analyze", start)[0] == 0
        for path in (start / "results.json", *list(start.glob("shards/*.npz"))[::3]):
            path.unlink()
    shutil.copytree(start, folder)
    return finished(folder)


def problems(verb: str, folder: Path, whole: dict[str, bytes], at: int, mode: str) -> Iterator[str]:
    """Disturb a verb at one operation, run it again, and yield whatever is wrong then."""
    before = begin(verb, folder)
    code, _, message = forked(verb, folder, at, mode)
    expected = {-signal.SIGKILL} if mode == "kill" else {0, 2}
    if code not in expected or "\n" in message:
        yield f"ended with {code}: {message}"
    kept = finished(folder) if verb != "track" else {}
    if mode == "kill":
        kept |= before
    code, _, message = forked(verb, folder)
    if code:
        yield f"the second run ended with {code}: {message}"
    after = content(folder)
    if after != whole:
        differing = sorted(name for name in {*after, *whole} if after.get(name) != whole.get(name))
        yield f"differs in {', '.join(differing)}"
    if lost := [name for name, inode in kept.items() if finished(folder).get(name) != inode]:
        yield f"finished, and measured again: {', '.join(lost)}"


def campaign(root: Path, verb: str, points: int) -> dict[str, object]:
    """Disturb a verb at evenly spaced operations, in every mode in turn; return how often, and what was wrong."""
    folder = root / verb
    begin(verb, folder)
    code, operations, message = forked(verb, folder)
    assert code == 0, message
    whole = content(folder)
    places = np.unique(np.linspace(1, operations, min(points, operations)).astype(int)).tolist()
    # Every third is no kill; where there are fewer operations than points, each is disturbed in several ways.
    disturbed = [(at, MODES[number % 3] if number % 2 else "kill") for number, at in enumerate(places)]
    disturbed += [(at, mode) for mode in MODES for at in places][: points - len(places)]
    wrong = [
        f"{verb}, {mode} at operation {at} of {operations}: {problem}"
        for at, mode in disturbed
        for problem in problems(verb, folder, whole, at, mode)
    ]
    return {"points": len(disturbed), "operations": operations, "wrong": wrong}


if __name__ == "__main__":
    sdmetrics.run.write_report = written_page
    torch.set_num_threads(1)
    sd.PairMoments.from_arrays(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))  # compiled once
    wanted = (argument.split("=") for argument in sys.argv[2:])
    print(json.dumps({verb: campaign(Path(sys.argv[1]), verb, int(points)) for verb, points in wanted}))
