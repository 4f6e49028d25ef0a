"""Hostile input: each way in which a process may end is told apart, and a small campaign ends in nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hostile.kinds import KINDS
from benchmarks.hostile.mutations import spoiled_bytes, spoiled_json, spoiled_text
from benchmarks.hostile.sandbox import ERROR, OTHER, SUCCESS, tried
from sdmetrics.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def fail(error: BaseException) -> None:
    raise error


def print_and_exit(text: str, code: int) -> None:
    print(text)
    sys.exit(code)


@pytest.mark.parametrize(
    ("case", "verdict", "detail"),
    [
        (lambda: None, SUCCESS, "exit code 0"),
        (lambda: sys.exit(1), SUCCESS, "exit code 1"),
        (lambda: fail(InputError("x is 1; allowed: 2")), ERROR, "exit code 2\nerror: x is 1; allowed: 2"),
        (lambda: print_and_exit("a note\nerror: x", 2), ERROR, "error: x"),
        (lambda: fail(InputError("x\nis 1")), OTHER, "is 1"),
        (lambda: fail(ValueError("x")), OTHER, "Traceback"),
        (lambda: print_and_exit("Traceback (most recent call last)", 0), OTHER, "exit code 0"),
        (lambda: print_and_exit("no error said", 2), OTHER, "exit code 2"),
        (lambda: print_and_exit("error: a\nerror: b", 2), OTHER, "exit code 2"),
        (lambda: print_and_exit("layer \x1b[31m", 0), OTHER, "exit code 0"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), OTHER, "killed by SIGSEGV"),
        (lambda: time.sleep(60), OTHER, "time is over"),
        (lambda: np.ones(2**27).sum() + time.sleep(240), OTHER, "took too much memory"),
    ],
)
def test_endings_are_told_apart(case, verdict, detail):
    outcome = tried(case, seconds=3 if detail == "time is over" else 120, memory=2**29)
    assert outcome.verdict == verdict, outcome
    assert detail in outcome.detail


def test_a_seed_decides_every_mutation():
    for spoil, sound in [
        (spoiled_bytes, b"0123" * 30),
        (spoiled_text, "a,b\nc,d"),
        (spoiled_json, {"a": [1, {"b": 2}]}),
    ]:
        spoiled = [[spoil(sound, np.random.default_rng([seed, n])) for n in range(40)] for seed in (0, 0, 1)]
        assert spoiled[0] == spoiled[1] != spoiled[2]
        assert len(set(spoiled[0])) > 20


def test_the_campaign_has_two_thousand_cases():
    assert sum(kind.cases for kind in KINDS) >= 2000


def test_a_small_campaign_ends_in_nothing_but_success_and_one_line_errors():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.hostile", "--scale", "0.01", "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert next(row for row in run.stdout.splitlines() if row.startswith("| all |")).endswith("| 0 |")
