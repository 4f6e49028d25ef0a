"""Every command meets names that steer a terminal or mean something to its tables, and shows them as text."""

from __future__ import annotations

import json
import shutil
import unicodedata

import onnx
import pytest

from sdmetrics._text import HIDDEN, printable
from sdmetrics.clips.generated.world import MOTIONS
from sdmetrics.demo import demo_model
from tests.cli.test_commands import failed
from tests.helpers.videos import write_video

NAME = "[/][red]exp[lr=0.1][/red] :smile:\x1b[31m\x1b]0;title\x07\x9b2J\u202e\r\nholds"
"""Markup, an emoji's code, colours, a window's title, a cleared screen, right-to-left, and a line of its own."""
FILE = NAME.replace("/", "|")
LAST = ("--provider", "cpu", "--threads", 1)


def shows(outcome, *names, code=0, lines=False):
    """Return whether a command printed names as text, and nothing that is no text."""
    left, out, err = outcome
    assert left == code, err
    for text in (out, err):
        assert not {sign for sign in text if unicodedata.category(sign) in HIDDEN} - {"\n"}
        assert "holds\n" not in text.splitlines(keepends=True)
    # A table folds long cells; what is printed is compared without blanks and lines.
    printed = "".join(f"{out}{err}".split()) if lines else out + err
    for name in names:
        shown = "".join(printable(name).split()) if lines else printable(name)
        assert shown in printed, (shown, printed)
    return True


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The demo's model, whose file, last layer and output have the name."""
    with demo_model("motion") as path:
        made = onnx.load(path)
    renamed = {"layer/stage4": f"layer/{NAME}", "output": NAME}
    for node in made.graph.node:
        node.output[:] = [renamed.get(name, name) for name in node.output]
        node.input[:] = [renamed.get(name, name) for name in node.input]
    for output in made.graph.output:
        output.name = renamed.get(output.name, output.name)
    for prop in made.metadata_props:
        if prop.key == "sdmetrics":
            described = json.loads(prop.value)
            described["layers"][-1] |= {"name": NAME, "tensor": f"layer/{NAME}"}
            prop.value = json.dumps(described)
    target = tmp_path_factory.mktemp("model") / f"{FILE}.onnx"
    onnx.save(made, target)
    return target


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos, and one with the name that cannot be read."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(2):
        write_video(folder / f"{number}.mp4", 20)
    (folder / f"{FILE}.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory, model):
    """A run in a folder of the name."""
    import sdmetrics as sd

    folder = tmp_path_factory.mktemp("runs") / FILE
    sd.analyze(sd.open_model(model, provider="cpu", threads=1), "world:24", out=folder, batch=24)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / FILE)


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(MOTIONS))
    return tmp_path / "classes.txt"


def test_layers(command, model):
    assert shows(command("layers", model), NAME, str(model), lines=True)


def test_probe(command, model, tmp_path):
    target = tmp_path / FILE / "[/].onnx"
    assert shows(command("probe", model, "-l", NAME, "-o", target), str(target))
    assert failed(command("probe", model, "-l", f"{NAME}!", "-o", target))
    assert shows(command("probe", model, "-l", f"{NAME}!", "-o", target), code=2)


def test_sample(command, tmp_path):
    target = tmp_path / f"{FILE}.png"
    assert shows(command("sample", "world:2", "--size", 40, "--count", 1, "-o", target), str(target))
    assert shows(command("sample", tmp_path / FILE / "gone", "-o", target), code=2)


def test_analyze_and_what_it_skips(command, model, videos, tmp_path):
    run = tmp_path / FILE
    assert shows(command("analyze", model, videos, "-o", run, *LAST), f"skipped {FILE}.mp4", str(run / "report.html"))
    assert shows(command("analyze", model, videos, "-o", run, "-l", "[/]", *LAST), "'[/]'", code=2)


def test_report_with_figures(command, run, tmp_path):
    figures = tmp_path / "[red]figures[|red]\x1b"
    page = tmp_path / "[/]" / "page.html"
    outcome = command("report", run, "-o", page, "--figures", figures)
    assert shows(outcome, str(page), str(figures / "unit-scatter.svg"))
    assert printable(NAME)[:20] in (figures / "unit-wise.svg").read_text()


def test_compare_with_figures(command, run, tmp_path):
    other = shutil.copytree(run, tmp_path / "|red]")
    figures = tmp_path / "[bold]"
    outcome = command(
        "compare", run, other, "-o", tmp_path / "c.html", "--figures", figures, "--csv", tmp_path / "[/].csv"
    )
    # Cells of several columns share lines, so that only the start of a name is in one piece.
    assert shows(outcome, "[red]", "[|][red]", "|red]", str(figures / "layers.png"))


def test_check(command, run):
    requirement = f"{NAME}.dynamic >= 1"
    assert shows(command("check", run, "--require", requirement), f"holds: {requirement}")
    assert shows(command("check", run, "--require", f"{NAME}.dynamic >= 99"), "breach: ", NAME, code=1)
    assert shows(command("check", run, "--require", f"[/]{NAME}.dynamic >= 1"), code=2)
    assert shows(command("check", run.parent / f"{FILE}!", "--require", requirement), code=2)


def test_evaluate(command, model, labels, tmp_path):
    target = tmp_path / "[/]"
    options = ("--labels", labels, "--model-output", NAME, "-o", target, *LAST)
    assert shows(command("evaluate", model, "world:8", *options), str(target))
    assert shows(command("evaluate", model, "world:8", *options, "--model-output", "[/]"), "'[/]'", code=2)
    labels.write_text(NAME.splitlines()[0])
    assert shows(command("evaluate", model, "world:8", *options), code=2)


def test_ablate(command, run, labels):
    options = ("--labels", labels, "--fraction", 0.5, "--repeats", 1, *LAST)
    assert shows(command("ablate", run, *options), NAME, str(run / "report.html"), lines=True)
    assert shows(command("ablate", run, *options, "--layer", "[/]"), "'[/]'", code=2)


@pytest.mark.parametrize("words", [(NAME,), ("layers", f"--{NAME}"), ("layers", "a", NAME), ("demo", "--clips", NAME)])
def test_a_call_that_is_wrong_is_one_line(command, words):
    assert shows(command(*words), code=2)
    assert failed(command(*words), "--help")


def test_names_whose_bytes_are_not_utf8(command, finished, tmp_path):
    named = shutil.copytree(finished, tmp_path / "run\udcff")
    table = tmp_path / "all\udcff.csv"
    assert shows(command("compare", named, finished, "-o", tmp_path / "c\udcff.html", "--csv", table), "run\udcff")
    assert "run\\udcff," in table.read_text()
    assert shows(command("report", named), str(named / "report.html"))
