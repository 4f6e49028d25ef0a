"""Run one case in a process of its own, with a limit of memory and time, and say how it ended."""

from __future__ import annotations

import faulthandler
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sdmetrics.errors import InputError

SECONDS = 60
MEMORY = 2560 * 2**20
"""Bytes that a case may hold at once, besides what its parent holds. (A limit of the address space would stop the chart
renderer, which reserves far more than it uses.)"""
POLL = 0.01
SUCCESS, ERROR, OTHER = "success", "one-line error", "other"
KEPT = 4000
"""Characters of output that are kept of a case, from its end."""
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Outcome:
    """How a case ended: `verdict` is one of `SUCCESS`, `ERROR` and `OTHER`, `detail` the last of what it printed."""

    verdict: str
    detail: str


def tried(case: Callable[[], object], seconds: int = SECONDS, memory: int = MEMORY) -> Outcome:
    """Run a case in a child process.

    A case succeeds if it returns, or exits with 0 or 1 (a requirement that does not hold, clips that were all skipped).
    It ends in an error if it raises `InputError`, or exits with 2, after one line. Whatever else happens is other: a
    traceback, a signal, the end of the time or of the memory, control characters on the terminal.
    """
    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if not child:
            _run(case, seconds, printed.fileno())
        status, stopped = _ended(child, _resident(os.getpid()) + memory)
        printed.seek(0)
        text = printed.read().decode("utf-8", "replace")
    verdict = OTHER if stopped else _verdict(status, text)
    return Outcome(verdict, f"{stopped or _ending(status)}\n{text[-KEPT:]}".strip())


def command(arguments: Sequence[object]) -> None:
    """Run `sdmetrics` with these arguments in this process."""
    from sdmetrics.__main__ import main

    sys.argv = ["sdmetrics", *map(str, arguments)]
    main()


def _ended(child: int, memory: int) -> tuple[int, str]:
    """Wait for a process; return its status, and why it was stopped if it was."""
    stopped = ""
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status, stopped
        if _resident(child) > memory and not stopped:
            stopped = "took too much memory"
            os.kill(child, signal.SIGKILL)
        time.sleep(POLL)


def _resident(process: int) -> int:
    """Return the bytes of memory that a process holds."""
    pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def _run(case: Callable[[], object], seconds: int, output: int) -> None:
    """Run the case and end this process; all that it prints goes to a file."""
    code = 70
    try:
        faulthandler.disable()
        for stream in (1, 2):
            os.dup2(output, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", encoding="utf-8", closefd=False) for stream in (1, 2))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        code = _code_of(case)
    finally:
        os._exit(code)


def _code_of(case: Callable[[], object]) -> int:
    """Return the exit code of a case."""
    try:
        case()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _ending(status: int) -> str:
    """Say how a process ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "time is over" if number == signal.SIGALRM else f"killed by {signal.Signals(number).name}"
    return f"exit code {os.WEXITSTATUS(status)}"


def _verdict(status: int, text: str) -> str:
    """Judge a process by its status and by what it printed."""
    if os.WIFSIGNALED(status) or "Traceback (most recent call last)" in text or CONTROLS.search(text):
        return OTHER
    code = os.WEXITSTATUS(status)
    if code in (0, 1):
        return SUCCESS
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    return ERROR if code == 2 and len(errors) == 1 and text.rstrip().endswith(errors[0]) else OTHER
