"""`sdmetrics check`: exit statuses, and what it prints and writes."""

import json
from xml.etree import ElementTree

import pytest

from sdmetrics.analysis.measure import measure_biases
from tests.cli.test_commands import failed
from tests.helpers.fakes import NumpyRunner, changes, colours, noise_clip

CLIPS = [noise_clip(seed) for seed in range(40)]


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """The runs of a moving and of a still model on the same clips."""
    folder = tmp_path_factory.mktemp("runs")
    for name, layer in (("moving", changes), ("still", colours)):
        measure_biases(NumpyRunner({"deep|er": layer}), CLIPS, out=folder / name, progress=False)
    return folder


def test_worse(command, analysed, tmp_path):
    junit, table = tmp_path / "out" / "junit.xml", tmp_path / "summary.md"
    table.write_text("# Before\n")
    options = ("--baseline", analysed / "moving", "--max-drop", "deep|er.dynamic 5", "--require", "deep|er.static > 1")
    code, out, err = command("check", analysed / "still", *options, "--junit", junit, "--markdown", table)
    assert (code, err) == (1, "")
    assert "holds: deep|er.static > 1 (measured: " in out
    assert "worse: deep|er.dynamic at most 5 lower (" in out
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    assert suite[1].find("failure").get("message").startswith("worse: deep|er.dynamic")
    text = table.read_text()
    assert text.startswith("# Before\n### worse: ")
    assert "| **worse** | deep\\|er.dynamic at most 5 lower | " in text


def test_not_worse(command, analysed):
    options = ("--baseline", analysed / "moving", "--max-drop", "deep|er.dynamic 0", "--strict")
    code, out, _ = command("check", analysed / "moving", *options)
    assert code == 0
    assert "not worse: deep|er.dynamic at most 0 lower" in out


def test_cannot_tell_fails_only_if_strict(command, tmp_path):
    for strict, status in (((), 0), (("--strict",), 3)):
        for run in ("still", "moving"):
            few = tmp_path / f"{run}{status}"
            layer = {"still": colours, "moving": changes}[run]
            measure_biases(NumpyRunner({"deep": layer}), CLIPS[:4], out=few, progress=False)
        options = ("--baseline", tmp_path / f"moving{status}", "--max-drop", "deep.dynamic 5", "--json", *strict)
        junit = tmp_path / f"{status}.xml"
        code, out, _ = command("check", tmp_path / f"still{status}", *options, "--junit", junit)
        assert code == status
        (outcome,) = json.loads(out)["outcomes"]
        assert outcome["verdict"] == "cannot tell"
        assert outcome["change"] == pytest.approx(outcome["value"] - outcome["baseline"])
        assert "fewer than 5 of the 20 groups" in outcome["note"]
        kind = "failure" if strict else "skipped"
        assert ElementTree.parse(junit).getroot()[0][0].find(kind) is not None


def test_misuse_is_one_line(command, analysed):
    still = analysed / "still"
    assert failed(command("check", still), "--require", "--max-drop")
    assert failed(command("check", still, "--max-drop", "deep|er.dynamic 5"), "--baseline")
    assert failed(command("check", still, "--baseline", still), "--max-drop")
    assert failed(command("check", still, "--baseline", still, "--max-drop", "nonsense"), "nonsense", "LAYER.MEASURE")
    limits = ("--baseline", still, "--max-drop", "deep|er.dynamic 5")
    assert failed(command("check", still, *limits, "--bound"), "--bound")
    assert failed(command("check", still, "--baseline", still / "none", "--max-drop", "a.dynamic 5"), "none")
    assert failed(command("check", still, *limits, "--junit", still), "is a folder")
    assert failed(command("check", still, *limits, "--markdown", still), "is a folder")


def test_numbers_are_written_without_a_false_sign(command, analysed):
    options = ("--baseline", analysed / "moving", "--max-rise", "deep|er.score.static 0.5")
    _, out, _ = command("check", analysed / "moving", *options)
    assert ": 0.000 [0.000, 0.000])" in out
