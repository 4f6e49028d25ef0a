"""Write tables between a pair of markers in Markdown files, so that none of their numbers is written by hand."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def write_between(path: Path, name: str, text: str) -> None:
    """Replace the text between `<!-- NAME: begin -->` and `<!-- NAME: end -->` in a file."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def add_write_option(parser: argparse.ArgumentParser, name: str) -> None:
    """Add `--write FILE` to the options of a command that makes the table `name`."""
    markers = f"<!-- {name}: begin --> and <!-- {name}: end -->"
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help=f"Markdown file to put the table in, between {markers}."
    )


def main(name: str, description: str | None, table: Callable[..., str], **numbers: int) -> None:
    """Print a table and, with `--write FILE`, write it to a file.

    Parameters
    ----------
    name
        Name of the markers.
    description
        Description of the command.
    table
        Return the table as Markdown.
    numbers
        Defaults of the arguments of `table`; each is an option.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in numbers.items():
        parser.add_argument(f"--{option}", type=int, default=default, help=f"Number of {option}; default: {default}.")
    add_write_option(parser, name)
    arguments = vars(parser.parse_args())
    path = arguments.pop("write")
    text = table(**arguments)
    print(text)
    if path:
        write_between(path, name, text)
