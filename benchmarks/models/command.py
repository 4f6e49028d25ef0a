"""The command that trains the models that are in the repository: its options, and what it prints."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

Make = Callable[[str, int, int, Path], tuple[Path, str]]
"""Trains the model of a name with so many items per epoch and so many epochs; returns its file and how good it is."""


def main(description: str | None, names: Sequence[str], make: Make, items: str, count: int, out: Path) -> None:
    """Train, test and export models.

    Parameters
    ----------
    description
        Description of the command.
    names
        Names of the models.
    make
        Trains, tests and exports one model into a folder.
    items, count
        What an epoch consists of, and how many by default.
    out
        Default folder of the models.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(f"--{items}", type=int, default=count, help=f"Number of {items} per epoch; default: {count}.")
    parser.add_argument("--epochs", type=int, default=10, help="Number of epochs; default: 10.")
    parser.add_argument("--out", type=Path, default=out, help=f"Folder to write the models to; default: {out}.")
    options = vars(parser.parse_args())
    torch.set_num_threads(2)
    for name in names:
        start = time.perf_counter()
        path, quality = make(name, options[items], options["epochs"], options["out"])
        seconds = time.perf_counter() - start
        print(f"{path.name}: {quality}, {seconds:.0f} s, {path.stat().st_size / 1e3:.0f} kB", flush=True)
