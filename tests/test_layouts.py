"""Every layout and list that the page says is read has a test that reads it, and the page links it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "lists.md"
LINK = re.compile(r"\[`(test_\w+)`\]\((\S+)\)")


def rows() -> Iterator[str]:
    """Yield the rows of the page's tables, without their heads."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    heads = {index for index, line in enumerate(lines[1:]) if re.fullmatch(r"\|(---\|)+", line)}
    for index, line in enumerate(lines):
        if line.startswith("| ") and index not in heads:
            yield line


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row.split("|")[1].strip())
def test_a_row_links_a_test_that_exists(row: str):
    links = LINK.findall(row)
    assert len(links) == 1, row
    name, file = links[0]
    path = (PAGE.parent / file).resolve()
    functions = [node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(node, "name")]
    assert name in functions, f"{path.name} has no {name}"


def test_the_page_has_rows():
    assert len(list(rows())) >= 20
