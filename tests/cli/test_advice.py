"""What `layers` and `probe` print as the next command works when it is run, or one line says why it cannot."""

import re
import shlex

import pytest

from tests.helpers.unlike_inputs import FILES, save_file

NOT_MEASURED = {
    "one image": "it reads a single frame, which shows no motion",
    "unknown operator": "ONNX Runtime",
}
"""Files that cannot be measured, and how the advice ends."""


def following(command, printed):
    """Run the command that was printed as the next one, on fewer clips; return what it prints."""
    (line,) = re.findall(r"^next: sdmetrics (.*)$", printed, re.MULTILINE)
    words = [word.replace(":40", ":6") for word in shlex.split(line)]
    code, out, err = command(*words)
    assert (code, err) == (0, ""), (words, err)
    return out


@pytest.mark.parametrize("name", sorted(FILES.keys() - NOT_MEASURED.keys()))
def test_the_advice_works(command, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    save_file(name, "model file.onnx")
    code, listed, err = command("layers", "model file.onnx")
    assert (code, err) == (0, "")
    analyzed = following(command, following(command, listed))
    assert "report: runs/probe/report.html" in analyzed


@pytest.mark.parametrize("name", NOT_MEASURED)
def test_what_cannot_be_measured_is_said_in_one_line(command, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    save_file(name, "model.onnx")
    code, listed, err = command("layers", "model.onnx")
    last = following(command, listed).splitlines()[-1] if code == 0 else err.rstrip("\n")
    assert NOT_MEASURED[name] in last
    assert "\n" not in last


def test_the_advice_names_every_input(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, options in {
        "text": "--input 'video source=rgb' --input 'input_ids constant=0' --input 'attention_mask constant=1'",
        "audio of the images' size": "--input 'video source=rgb' --input 'audio constant=0'",
        "image and flow": "--input 'image source=rgb' --input 'flow source=flow'",
        "open sizes": "--frames 8 --size 224 224",
        "images": "--layout NT,C,H,W --frames 8",
    }.items():
        save_file(name, "model.onnx")
        assert options in command("layers", "model.onnx")[1].splitlines()[-1]
