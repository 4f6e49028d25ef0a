"""Write RESULTS.md from the studies' JSON files: no number in it comes from anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.studies.figures import draw
from benchmarks.studies.study import Study, Table
from sdmetrics._files import replacing

INTRODUCTION = """# The paper's findings, repeated on the known-answer world

Written by `python -m benchmarks.studies` from the JSON files beside it: the studies below, and no others, were run.
Numbers are means over seeds ± the half width of their 95 % t-interval. A claim that something is larger *holds* where
the interval of the difference, paired by seed, lies above zero, *does not hold* where it lies below, and is *undecided*
between. Small networks on generated clips are not the paper's: a finding that does not hold here is not refuted there,
but it is no law either. Studies of remedies judge claims about this package's own losses instead, beside what we aim
at.
"""


def write_results(studies: Sequence[Study], folder: Path) -> Path:
    """Write RESULTS.md and the figures into a folder; return the page."""
    parts = [INTRODUCTION, _overview(studies)]
    for number, study in enumerate(studies, 1):
        figure = draw(study, folder / "figures")
        parts += [f"## {number}. {study.title}", study.setting, _findings(study)]
        parts += [f"![{study.title}]({figure.relative_to(folder).as_posix()})"]
        parts += [f"**{table.title}**\n\n{as_markdown(table)}" for table in study.tables]
    with replacing(folder / "RESULTS.md") as path:
        path.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    return folder / "RESULTS.md"


def _overview(studies: Sequence[Study]) -> str:
    """Return all findings with their verdicts."""
    rows = [(str(n), f.claim, f.verdict) for n, study in enumerate(studies, 1) for f in study.findings]
    return as_markdown(Table("", ("study", "claim", "here"), rows))


def _findings(study: Study) -> str:
    """Return the findings of one study."""
    rows = [(f.claim, f.number or "–", f.ours, f"**{f.verdict}**") for f in study.findings]
    columns = ("claim", "aim", "measured", "here") if study.ours else ("the paper finds", "its number", "ours", "here")
    return as_markdown(Table("", columns, rows))


def as_markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
