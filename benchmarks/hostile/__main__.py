"""Try thousands of mutated inputs, each in a process of its own with a limit of memory and time, and count the endings.

    python -m benchmarks.hostile                        # the whole campaign; prints the table
    python -m benchmarks.hostile --write SECURITY.md    # and puts it into the page
    python -m benchmarks.hostile --only videos --case 17   # shows how one case ends

A case ends in success, in a one-line error, or otherwise (a traceback, a signal, no memory or no time left); the last
kind must not occur, and each is printed. The exit code is then 1.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
import tempfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.hostile.kinds import KINDS, Kind
from benchmarks.hostile.material import write_all
from benchmarks.hostile.sandbox import ERROR, MEMORY, OTHER, SECONDS, SUCCESS, Outcome, tried
from benchmarks.readme import add_write_option, write_between

LIBRARIES = (
    "altair",
    "av",
    "cv2",
    "jinja2",
    "numba",
    "onnxruntime",
    "safetensors.torch",
    "sdmetrics.cli",
    "sdmetrics.loading.open",
    "sdmetrics.metrics._kernels",
    "torch",
)


def load_libraries() -> None:
    """Import once what every case needs; no library starts a thread by it, so a child process may use all of them."""
    for name in LIBRARIES:
        importlib.import_module(name)


def one(kind: Kind, number: int, seed: int, material: Path) -> Outcome:
    """Make and try one case; the same numbers give the same case."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), number])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        return tried(lambda: kind.make(material, Path(folder), rng)())


def campaign(kinds: tuple[Kind, ...], scale: float, seed: int, material: Path) -> dict[str, list[Outcome]]:
    """Return the outcomes of every kind; the cases of a kind run side by side."""
    outcomes = {}
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        for kind in kinds:
            numbers = range(max(1, round(kind.cases * scale)))
            print(f"{kind.name}: {len(numbers)} cases", file=sys.stderr, flush=True)
            outcomes[kind.name] = list(pool.map(partial(one, kind, seed=seed, material=material), numbers))
            for number, outcome in enumerate(outcomes[kind.name]):
                if outcome.verdict == OTHER:
                    print(f"--- {kind.name}, case {number}\n{outcome.detail}\n", file=sys.stderr)
    return outcomes


def table(outcomes: dict[str, list[Outcome]]) -> str:
    """Return the counts as Markdown."""
    rows = ["| input | cases | success | one-line error | other |", "|---|---|---|---|---|"]
    counts = {
        name: [sum(o.verdict == v for o in found) for v in (SUCCESS, ERROR, OTHER)] for name, found in outcomes.items()
    }
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    rows += [f"| {name} | {sum(row)} | {' | '.join(map(str, row))} |" for name, row in counts.items()]
    limits = f"Limits of a case: {MEMORY // 2**20} MiB of memory, {SECONDS} seconds."
    return "\n".join([*rows, "", limits])


def main() -> int:
    """Run the campaign, or show one case, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="Share of the cases; default: 1.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of all cases; default: 0.")
    parser.add_argument("--only", choices=[kind.name for kind in KINDS], help="Kind of input; default: all.")
    parser.add_argument("--case", type=int, help="Number of one case of this kind to show.")
    add_write_option(parser, "hostile")
    arguments = parser.parse_args()
    if arguments.write and (arguments.only or arguments.scale != 1):
        parser.error("--write needs the whole campaign")
    if arguments.case is not None and not arguments.only:
        parser.error("--case needs --only")
    kinds = tuple(kind for kind in KINDS if arguments.only in (None, kind.name))
    write = arguments.write and arguments.write.resolve()
    load_libraries()
    with tempfile.TemporaryDirectory() as folder:
        made = tried(partial(write_all, Path(folder)), seconds=300)
        assert made.verdict == SUCCESS, made.detail
        if arguments.case is not None:
            outcome = one(kinds[0], arguments.case, arguments.seed, Path(folder))
            print(f"{outcome.verdict}\n{outcome.detail}")
            return int(outcome.verdict == OTHER)
        outcomes = campaign(kinds, arguments.scale, arguments.seed, Path(folder))
    text = table(outcomes)
    print(text)
    if write:
        write_between(write, "hostile", text)
    return int(any(outcome.verdict == OTHER for found in outcomes.values() for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
