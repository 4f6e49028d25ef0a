"""The tutorials are notebooks as text: well formed, without outputs, of public names only; with --all they are run."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import shlex
import sys
import time
import warnings

import pytest

from tests.helpers.tutorials import ROOT, SHELL, TUTORIALS, cells_of, notebook_of, python_of
from tests.test_docs import LINK, all_commands

HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# """
TAGS = {"remove-cell", "hide-input"}
BROUGHT = {"altair", "cv2", "numpy", "onnx", "rich", "sdmetrics", "torch", "IPython"}
"""What tutorials may import besides the standard library: what `[cpu,torch]` brings, and the notebook."""

OFFLINE = """
import socket

def connect_here(own, address, connect=socket.socket.connect):
    if own.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
        raise OSError(f"a tutorial needs a network: {address}")
    return connect(own, address)

socket.socket.connect = connect_here
"""
"""A cell after which nothing reaches further than this machine."""

each = pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)


def test_there_are_six():
    assert len(TUTORIALS) == 6


def test_the_overview_lists_each_in_its_order():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert {page.name for page in TUTORIALS} == set(re.findall(r"\(tutorials/([\w-]+\.md)\)", text))


@each
def test_it_is_a_notebook_without_outputs(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith(HEADER)
    assert "\r" not in text
    cells = cells_of(page)
    fences = re.findall(r"^```.*$", text, re.MULTILINE)
    assert fences == ["```{code-cell} ipython3", "```"] * len(cells), "only code cells; outputs are not committed"
    assert not re.search(r"data:image|<img|!\[", text), "figures are drawn by the cells"
    for cell in cells:
        assert set(cell.tags) <= TAGS, f"{page.name}:{cell.line}"


@each
def test_other_readers_of_notebooks_see_the_same_cells(page):
    read = pytest.importorskip("myst_nb.core.read", reason="myst-nb is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Jupyter's own
        book = read.read_myst_markdown_notebook(page.read_text(encoding="utf-8"))
    seen = [
        (tuple(cell.metadata.get("tags", [])), cell.source.strip()) for cell in book.cells if cell.cell_type == "code"
    ]
    assert seen == [(cell.tags, cell.source.strip()) for cell in cells_of(page)]


@each
def test_it_says_what_for_and_what_next(page):
    text = page.read_text(encoding="utf-8")
    promise = text.split("\n\n")[2] if text.startswith(HEADER) else ""
    assert re.match(r"After this page you can ", promise)
    assert len(re.findall(r"[.!?](?:\s|$)", promise)) == 2, "two sentences"
    last = re.split(r"^## ", text, flags=re.MULTILINE)[-1]
    assert last.startswith("Next\n")
    assert len(LINK.findall(last)) >= 2


@each
def test_links_lead_somewhere(page):
    for file, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), file
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, f"{file}#{heading}"


@each
def test_its_python_compiles(page):
    for cell in cells_of(page):
        if not cell.source.startswith(SHELL):
            compile(cell.source, f"{page.name}:{cell.line}", "exec")


@each
def test_its_commands_exist(page):
    known = all_commands()
    for cell in cells_of(page):
        for line in cell.commands:
            words = shlex.split(line.partition(" || ")[0], comments=True)
            assert words[0] == "sdmetrics", line
            assert words[1] in known, line
            command = known[words[1]]
            options = {name for option in command.params for name in [*option.opts, *option.secondary_opts]}
            assert {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)} <= options, line


@each
def test_its_names_are_public(page):
    tree = ast.parse(python_of(page), page.name)
    for node in ast.walk(tree):
        where = f"{page.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            for alias in node.names:
                check_module(alias.name, where)
        elif isinstance(node, ast.ImportFrom):
            module = check_module(str(node.module), where)
            for alias in node.names:
                check_name(module, alias.name, where)
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), f"{where}: {node.attr}"
            if isinstance(node.value, ast.Name) and node.value.id == "sd":
                check_name(importlib.import_module("sdmetrics"), node.attr, where)


def check_module(name, where):
    """Check that a module is one that a tutorial may import; return it."""
    top, *inner = name.split(".")
    assert top in BROUGHT or top in sys.stdlib_module_names, f"{where}: {name}"
    assert not any(part.startswith("_") for part in inner), f"{where}: {name}"
    return importlib.import_module(name) if top == "sdmetrics" else None


def check_name(module, name, where):
    """Check that a name of this package is public, and documented."""
    assert not name.startswith("_"), f"{where}: {name}"
    if module is not None:
        assert name in getattr(module, "__all__", dir(module)), f"{where}: {module.__name__}.{name}"
        value = getattr(module, name)
        assert inspect.getdoc(value) if callable(value) else True, f"{where}: {module.__name__}.{name}"


@each
def test_readers_see_where_every_name_comes_from(page):
    """What they copy runs without the hidden cells."""
    bound, used = set(dir(builtins)), set()
    for cell in cells_of(page):
        if not cell.hidden and not cell.source.startswith(SHELL):
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Name):
                    (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
                elif isinstance(node, ast.alias):
                    bound.add((node.asname or node.name).partition(".")[0])
                elif isinstance(node, ast.FunctionDef):
                    bound.add(node.name)
                elif isinstance(node, ast.arg):
                    bound.add(node.arg)
    assert used <= bound, used - bound


@each
def test_what_its_words_claim_is_asserted(page):
    hidden = [cell.source for cell in cells_of(page) if cell.hidden]
    assert sum(source.count("assert ") for source in hidden) >= 3
    for cell in cells_of(page):
        assert cell.hidden or "assert " not in cell.source, "a reader sees what is shown, not what is checked"


@pytest.mark.all
@each
def test_it_runs(page, tmp_path, capsys):
    """In a process of its own and an empty folder; how long it took is printed, and not judged."""
    pytest.importorskip("torch", reason="the tutorials need torch")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Jupyter's own
        book = notebook_of(page, before=OFFLINE)
        started = time.perf_counter()
        resources = {"metadata": {"path": str(tmp_path)}}
        nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources=resources).execute()
    with capsys.disabled():
        print(f"\n{page.name}: {time.perf_counter() - started:.0f} s")
    assert not list(tmp_path.iterdir()), "what it writes is in a folder of its own"
    outputs = [output for cell in book.cells for output in cell.outputs]
    shown = [output.data for output in outputs if "data" in output]
    assert any("image/svg+xml" in data or "image/png" in data or "<img" in str(data) for data in shown), "no figure"
    assert not [data for data in shown if "<script" in str(data.get("text/html", ""))], "a script loads from a network"
    noise = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert not noise
