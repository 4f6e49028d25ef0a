"""The file that is copied into old environments, as a program: here, and with the oldest torch that can be had."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sdmetrics as sd
from sdmetrics.exporters import anywhere
from sdmetrics.exporters.anywhere import ExportError
from tests.exporters.test_anywhere import check_units

ROOT = Path(__file__).resolve().parents[2]
# The oldest torch of PyPI for each Python, from 1.10 on, and what it works with.
OLDEST = {"3.8": "1.10.0", "3.9": "1.10.0", "3.10": "1.11.0", "3.11": "2.0.0", "3.12": "2.2.0"}

CODE = """
import torch
from torch import nn

from anywhere import ModelInput


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.mix, self.out = nn.LayerNorm(10), nn.Linear(10, 30), nn.Linear(10, 10)

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = self.mix(self.norm(x)).reshape(n, length, 3, width).permute(2, 0, 1, 3)
        return x + self.out((q @ k.transpose(1, 2)).softmax(-1) @ v)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 6, (1, 3, 3), (1, 2, 2), bias=False)
        self.norm = nn.BatchNorm3d(6)
        self.act = nn.ReLU(inplace=True)
        self.embed = nn.Conv3d(6, 10, (2, 3, 3), (2, 3, 3))
        self.block = Block()
        self.head = nn.Linear(10, 5)

    def forward(self, x):
        x = self.embed(self.act(self.norm(self.conv(x))))
        return {"logits": self.head(self.block(x.flatten(2).transpose(1, 2)).mean(1))}


def build():
    module = Net()
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(1.1 + torch.cos(torch.arange(value.numel()) * 7.0).reshape(value.shape))
    video = ModelInput("video", frames=4, stride=2, size=(24, 24), resize=26, sampling="spread", colours="bgr")
    return module, [video], ["conv", "norm", "act", "embed", "block", "head"]
"""


def run_program(python, folder, *arguments):
    """Run the copied file as a program in its folder; return its exit status, output and errors."""
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "anywhere.py", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def copied(tmp_path):
    """A folder with the file and code that builds a model."""
    shutil.copy(anywhere.__file__, tmp_path)
    (tmp_path / "my_code.py").write_text(CODE)
    return tmp_path


def check_copied(folder, monkeypatch):
    """Check `model.onnx` against the module, built here."""
    monkeypatch.syspath_prepend(folder)
    spec = importlib.util.spec_from_file_location("code_to_compare", folder / "my_code.py")
    code = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "anywhere", anywhere)
    spec.loader.exec_module(code)
    module, inputs, layers = code.build()
    return check_units(folder / "model.onnx", module, inputs, layers)


def test_it_is_a_program(copied, monkeypatch):
    assert run_program(sys.executable, copied, "my_code.py:build", "model.onnx") == (0, "model: model.onnx\n", "")
    runner = check_copied(copied, monkeypatch)
    assert runner.identity["framework"] == f"torch {torch.__version__}"


def test_a_wrong_input_in_the_code_is_one_line(copied):
    (copied / "my_code.py").write_text("import anywhere\ndef build():\n    anywhere.ModelInput('v', frames=0)\n")
    code, out, err = run_program(sys.executable, copied, "my_code.py:build", "model.onnx")
    assert (code, out, err) == (1, "", "error: input 'v' has the frames 0; expected a whole number from 1\n")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("none.py:build", "none.py:build is not the FILE.py:FUNCTION of a file that exists"),
        ("my_code.py", "my_code.py is not the FILE.py:FUNCTION of a file that exists"),
        ("my_code.py:biuld", "my_code.py has no function 'biuld'"),
        ("my_code:biuld", "my_code has no function 'biuld'"),
        ("my_code.py:build", "build of my_code.py returns a NoneType; expected (module, inputs, layers)"),
    ],
)
def test_a_wrong_call_is_one_line(model, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_code", raising=False)
    (tmp_path / "my_code.py").write_text("def build(): ...")
    with pytest.raises(ExportError, match=f"^{re.escape(words)}$"):
        anywhere.main(model, "out.onnx")
    sys.modules.pop("my_code", None)


@pytest.fixture(scope="module")
def old_python():
    """An interpreter with the oldest torch that it can have, in an environment that is made once."""
    homes = [Path(home) for home in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv") if home]
    for version, release in OLDEST.items():
        found = [path for home in homes for path in sorted(home.glob(f"versions/{version}.*/bin/python"))]
        python = next(iter(found), shutil.which(f"python{version}"))
        made = ROOT / "build" / f"anywhere-{version}"
        if python is None or subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode:
            continue
        inside = made / "bin" / "python"
        if not (made / "complete").exists():
            packages = [f"torch=={release}", "numpy<2", "onnx", "onnxruntime"]
            venv = [python, "-m", "venv", "--clear", made]
            pip = [inside, "-m", "pip", "--quiet", "install", "--only-binary", ":all:", *packages]
            if any(subprocess.run(step, check=False, capture_output=True).returncode for step in (venv, pip)):
                pytest.skip(f"torch {release} for Python {version} cannot be installed from the package index")
            (made / "complete").touch()
        return inside, release
    pytest.skip(f"none of Python {', '.join(OLDEST)} is installed")


@pytest.mark.all
def test_it_works_with_the_oldest_torch_that_can_be_had(old_python, copied, monkeypatch):
    python, release = old_python
    code, out, err = run_program(python, copied, "my_code.py:build", "model.onnx")
    assert (code, out, err) == (0, "model: model.onnx\n", "")
    runner = check_copied(copied, monkeypatch)
    assert runner.identity["framework"].startswith(f"torch {release}")
    assert runner.identity["export_error"] < 1e-5
    results = sd.analyze(runner, sd.open_clips("world:8", runner))
    assert [layer["units"] for layer in results.layers] == [6, 6, 6, 10, 10, 5]
