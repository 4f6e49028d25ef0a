"""The tutorials, docs/tutorials/*.md: their cells, and a notebook of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))

CELL = re.compile(
    r"^```\{code-cell\} ipython3\n(?P<options>(?::[^\n]*\n)*)\n?(?P<source>.*?)^```$", re.DOTALL | re.MULTILINE
)
SHELL = "%%sh\n"
"""First line of a cell whose other lines are commands."""


class Cell(NamedTuple):
    """A code cell and where it begins."""

    line: int
    tags: tuple[str, ...]
    source: str

    @property
    def hidden(self) -> bool:
        """Whether readers do not see it."""
        return "remove-cell" in self.tags

    @property
    def commands(self) -> list[str]:
        """The lines of a cell of commands; those that end with a backslash continue."""
        whole = self.source.removeprefix(SHELL).replace("\\\n", " ")
        return whole.splitlines() if self.source.startswith(SHELL) else []


def cells_of(page: Path) -> list[Cell]:
    """Return the code cells of a tutorial in order."""
    text = page.read_text(encoding="utf-8")
    cells = []
    for found in CELL.finditer(text):
        tags = re.search(r":tags: \[(.*)\]", found["options"])
        names = tuple(name.strip() for name in tags[1].split(",")) if tags else ()
        cells.append(Cell(text.count("\n", 0, found.start()) + 1, names, found["source"]))
    return cells


def python_of(page: Path) -> str:
    """Return all Python of a tutorial as one text, with a line for a line of the page."""
    lines = [""] * page.read_text(encoding="utf-8").count("\n")
    text = page.read_text(encoding="utf-8")
    for found in CELL.finditer(text):
        if not found["source"].startswith(SHELL):
            first = text.count("\n", 0, found.start("source"))
            source = found["source"].splitlines()
            lines[first : first + len(source)] = source
    return "\n".join(lines) + "\n"


def notebook_of(page: Path, before: str = "") -> NotebookNode:
    """Return a tutorial's code as a notebook without outputs, `before` it a cell of other code."""
    import nbformat

    sources = [before, *(cell.source for cell in cells_of(page))]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources if source])
