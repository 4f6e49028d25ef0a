"""The pages run: every Python block, and every `sdmetrics` command that needs nothing beyond small data."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.main import get_command

from sdmetrics.cli import app
from sdmetrics.demo import demo_model, run_demo
from tests.helpers.offline import kept_offline
from tests.helpers.segmentation_files import write_davis
from tests.helpers.videos import write_video

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *WRITTEN]
FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.*?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
FIRST_LINES = 6
"""How far down the first example of a page may begin."""
LINK = re.compile(r"\[[^]]*\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")

PREPARED = {
    "README.md": "videos demo",
    "acting.md": "demo",
    "ci.md": "demo",
    "cli.md": "model.onnx",
    "cluster.md": "model.onnx",
    "coverage.md": "model.onnx",
    "clips.md": "videos DAVIS model.onnx",
    "integrations.md": "demo",
    "lists.md": "videos model.onnx",
    "gate.md": "demo",
    "inspect.md": "demo",
    "manipulations.md": "demo",
    "numbers.md": "demo model.onnx",
    "onnx.md": "plain.onnx",
    "responses.md": "model.onnx",
    "segmentation.md": "DAVIS",
    "styles.md": "videos",
    "training.md": "demo",
}
"""What a page's examples need in their folder, by page."""

RUN_BY_ALL = {"keras.md", "flax.md"}
"""Pages whose examples need TensorFlow or JAX: `make test-all` runs them."""


class Block(NamedTuple):
    kind: str
    text: str
    not_run: str | None


def blocks(page: Path) -> list[Block]:
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(fence["kind"], fence["text"], fence["reason"]) for fence in found]


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the commands of a console block as words, without comments."""
    for line in block.text.splitlines():
        if line.startswith("$ "):
            yield shlex.split(line[2:], comments=True)


def consoles(page: Path) -> list[list[str]]:
    return [words for block in blocks(page) if block.kind == "console" for words in commands(block)]


def all_commands() -> dict[str, object]:
    """Return the commands by name, those of a group by the group's name and their own."""
    known: dict[str, object] = {}
    for name, found in get_command(app).commands.items():
        within = getattr(found, "commands", None)
        known |= {f"{name} {inner}": one for inner, one in within.items()} if within else {name: found}
    return known


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Small files of every kind that the examples read."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "videos").mkdir()
    for number in range(3):
        write_video(folder / "videos" / f"{number}.mp4", 20 + number)
    write_davis(folder / "DAVIS", {"bear": 4, "swan": 4})
    (folder / "DAVIS" / "ImageSets" / "480p").mkdir(parents=True)
    (folder / "DAVIS" / "ImageSets" / "480p" / "val.txt").write_text("bear\n")
    with demo_model("motion") as path:
        shutil.copy(path, folder / "model.onnx")
        write_plain(path, folder / "plain.onnx")
    run_demo(folder / "demo", clips=40)
    return folder


def write_plain(model: Path, path: Path) -> None:
    """Write an exported model without all that its exporter added."""
    import onnx

    plain = onnx.load(model)
    del plain.metadata_props[:]
    own = [output for output in plain.graph.output if not output.name.startswith("layer/")]
    del plain.graph.output[:]
    plain.graph.output.extend(own)
    onnx.save(plain, path)


@pytest.fixture
def quiet_trackers(page, monkeypatch, tmp_path):
    """Keep the experiment trackers of a page from the network."""
    with kept_offline(monkeypatch, tmp_path) if page.name == "integrations.md" else nullcontext():
        yield


@pytest.mark.usefixtures("quiet_trackers")
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.all] if page.name in RUN_BY_ALL else []) for page in PAGES],
    ids=lambda page: page.name,
)
# Keras's own, while it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_the_examples_of_a_page_run_in_order(page, prepared, tmp_path, monkeypatch, command):
    todo = [block for block in blocks(page) if block.not_run is None]
    names: dict[str, object] = {}
    if any(re.search(r"torch", block.text) for block in todo if block.kind == "python"):
        pytest.importorskip("torch", reason="the examples of this page need torch")
        from tests.helpers.torch_models import ResNet3d, seeded

        names["model"] = seeded(ResNet3d)
    for name in PREPARED.get(page.name, "").split():
        copy = shutil.copytree if (prepared / name).is_dir() else shutil.copy
        copy(prepared / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for block in todo:
        if block.kind == "python":
            if file := re.match(r"# (\w+\.py)\n", block.text):
                (tmp_path / file[1]).write_text(block.text, encoding="utf-8")
            exec(compile(block.text, str(page), "exec"), names)
        elif block.kind == "console":
            for words in commands(block):
                if words[0] == "sdmetrics":
                    code, out, err = command(*words[1:])
                    assert code == 0, f"{shlex.join(words)}\n{out}{err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page):
    known = all_commands()
    for words in consoles(page):
        if words[0] == "sdmetrics":
            name = next((name for name in (" ".join(words[1:3]), words[1]) if name in known), None)
            assert name, shlex.join(words)
            options = {name for option in known[name].params for name in [*option.opts, *option.secondary_opts]}
            used = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
            assert used <= options, shlex.join(words)
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), words
        elif words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]), words
        else:
            assert words[:2] == ["pip", "install"], words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_has_a_reason(page):
    for block in blocks(page):
        assert block.not_run is None or block.not_run.startswith("needs "), block


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_a_page_begins_with_an_example(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    first = FENCE.search(text)
    assert first
    assert first["kind"] in ("python", "console")
    assert text[: first.start()].count("\n") < FIRST_LINES


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for file, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), file
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, f"{file}#{heading}"


def test_the_page_of_commands_names_every_option():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([a-z -]+)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    known = all_commands()
    assert sections.keys() == known.keys()
    for name, section in sections.items():
        options = {o for p in known[name].params for o in [*p.opts, *p.secondary_opts] if o.startswith("-")}
        assert set(re.findall(r"`(--?[a-z][a-z0-9-]*)`", section)) == options - {"--help"}, name


def test_every_page_is_listed():
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        text = page.read_text(encoding="utf-8")
        for other in (ROOT / "docs").glob("*.md"):
            assert other == page or f"{other.name})" in text, f"{page.name} does not list {other.name}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_tables_are_where_the_benchmarks_write_them():
    made = re.findall(r"benchmarks\.(\w+) --write (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert ("coverage", "docs/coverage.md") in made
    assert ("ratios", "docs/speed.md") in made
    for name, page in [*made, ("frameworks", "docs/speed.md")]:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert text.count(f"<!-- {name}: begin -->") == text.count(f"<!-- {name}: end -->") == 1, name
