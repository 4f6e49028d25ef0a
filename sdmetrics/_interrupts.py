"""Ctrl-C and SIGTERM end the command in one line, also while it is still being imported: a traceback helps nobody.

While a shard is measured, SIGTERM lets it be finished; SIGUSR1, which schedulers send before a job's time
is over, does so whenever it comes.

`sdmetrics` imports this module before anything else. In a process that is not the command it does nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

WORDS = {signal.SIGINT: b"Interrupted.\n", signal.SIGTERM: b"Terminated. What was finished is kept.\n"}

FINISHING = b"The shard that is being measured is finished first.\n"
WARNING: signal.Signals | None = getattr(signal, "SIGUSR1", None)
"""What schedulers send ahead of the end; Windows has none."""

_asked: list[int] = []


class Stopped(Exception):
    """A signal asked for the end between two shards; `left` of `count` are missing."""

    def __init__(self, left: int, count: int) -> None:
        super().__init__(left, count)
        self.left, self.count = left, count


def stop_if_asked(paths: Sequence[Path | None]) -> None:
    """Raise `Stopped` if a signal asked for the end, before the next of the shards at `paths` is measured.

    Where they are kept in no files, there is nothing to resume from, and the work is finished.
    """
    if _asked and None not in paths:
        raise Stopped(sum(path is not None and not path.exists() for path in paths), len(paths))


@contextmanager
def finishing() -> Iterator[None]:
    """Let SIGTERM ask for the end between two shards inside the block; a second one ends the process."""
    before = signal.getsignal(signal.SIGTERM)
    _handle(signal.SIGTERM, _ask)
    try:
        yield
    finally:
        _handle(signal.SIGTERM, before)


def leave_at_once() -> None:
    """Let both signals end the process with a line, and without a traceback: there is nothing to clean up."""
    for number in WORDS:
        _handle(number, _leave)
    if WARNING is not None:
        _handle(WARNING, _ask)


@contextmanager
def raised() -> Iterator[None]:
    """Let both signals raise an exception inside the block, so that temporary files are removed on the way out."""
    before = {number: signal.getsignal(number) for number in (*WORDS, WARNING) if number is not None}
    _handle(signal.SIGINT, signal.default_int_handler)
    _handle(signal.SIGTERM, _raise)
    if WARNING is not None:
        _handle(WARNING, _ask)
    try:
        yield
    finally:
        _asked.clear()
        for number, handler in before.items():
            _handle(number, handler)


def _handle(number: signal.Signals, handler: signal.Handlers | object) -> None:
    """Install a handler, unless the signal is ignored, as by `nohup`, or is none of Python's."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(number) not in (signal.SIG_IGN, None):
        signal.signal(number, handler)  # type: ignore[arg-type]


def _leave(number: int, _: FrameType | None) -> None:
    """Print a line and end the process."""
    # A second signal, or one that came while a line was printed, must not raise anything here.
    os.write(2, WORDS[signal.Signals(number)])
    os._exit(128 + number)


def _raise(number: int, _: FrameType | None) -> None:
    """Print a line and end the command; a second signal ends the process."""
    signal.signal(number, signal.SIG_DFL)
    os.write(2, WORDS[signal.Signals(number)])
    raise SystemExit(128 + number)


def _ask(number: int, _: FrameType | None) -> None:
    """Remember that the end was asked for."""
    if number == signal.SIGTERM:
        signal.signal(number, _leave)
    os.write(2, FINISHING)
    _asked.append(number)


def _is_command() -> bool:
    """Return whether this process runs the command `sdmetrics`, or `python -m sdmetrics`, or is a process of one."""
    path = Path(sys.argv[0]) if sys.argv else Path()
    program = path.name
    # Processes that the second form starts are told the file that it runs.
    if path.parts[-2:] == ("sdmetrics", "__main__.py"):
        return True
    return program in ("sdmetrics", "sdmetrics.exe") or (program == "-m" and "sdmetrics" in sys.orig_argv)


if _is_command() and multiprocessing.parent_process() is not None:
    # The command ends its workers; what each would print of Ctrl-C helps nobody.
    _handle(signal.SIGINT, signal.SIG_IGN)
elif _is_command():
    leave_at_once()
