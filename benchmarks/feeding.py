"""Write how every architecture of the catalogue is fed, and which file of its owner says so.

python -m benchmarks.feeding [--write docs/catalogue.md]
"""

from __future__ import annotations

from benchmarks.readme import main
from sdmetrics.exporters import catalogue
from sdmetrics.exporters.architectures.architecture import Architecture

HEAD = "| architecture | fed | mean; deviation | labels | weights | evaluated in |\n|---|---|---|---|---|---|"


def table() -> str:
    """Return the table as Markdown."""
    return "\n".join([HEAD, *(line(row) for row in catalogue.ARCHITECTURES.values())])


def line(row: Architecture) -> str:
    """Return the line of one architecture."""
    item = row.inputs[0]
    owner, _, file = row.source.removeprefix("https://github.com/").partition("/blob/")
    name = file.rpartition("/")[2]
    weights = row.weights.rpartition("/")[2] if "://" in row.weights else row.weights or "–"
    return (
        f"| {row.name} | {catalogue.fed_in_words(row.inputs)} | {numbers(item.mean)}; {numbers(item.std)} "
        f"| {row.labels or '–'} | {weights} | [{owner}, {name}]({row.source}) |"
    )


def numbers(values: tuple[float, ...]) -> str:
    """Return one number if all are equal."""
    return ", ".join(f"{value:.4g}" for value in (values if len({*values}) > 1 else values[:1]))


if __name__ == "__main__":
    main("fed", __doc__, table)
