"""Descriptions of models, which other processes open."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

import sdmetrics as sd
from sdmetrics.demo import demo_model

CODE = """
import torch
from sdmetrics import ModelInput

def build():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv3d(3, 4, 3, stride=4), torch.nn.ReLU())
    return module, ModelInput("video", frames=8, stride=1, size=(40, 40)), ["0"]
"""


def test_a_pool_gives_the_run_of_one_process(tmp_path: Path):
    with demo_model("motion") as path, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        source = sd.ModelSource(path, layers=["stage4"], provider="cpu", threads=1)
        here = sd.analyze(source, "world:40", out=tmp_path / "here")
        there = sd.analyze(source, "world:40", out=tmp_path / "there", executor=pool)
    assert there == here
    for name in ("results.json", "units.csv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert (tmp_path / "there" / "report.html").exists()


def test_a_path_is_enough():
    with demo_model("motion") as path, ThreadPoolExecutor(1) as pool:
        assert sd.analyze(path, "world:20", executor=pool).clips["used"] == 20


def test_a_runner_cannot_be_sent():
    with (
        demo_model("motion") as path,
        pytest.raises(sd.InputError, match=r"runner is a OnnxRunner.*pass ModelSource\(.*\) in its place"),
    ):
        sd.analyze(sd.open_model(path, provider="cpu"), "world:20", executor=object())


def test_an_embedded_file_is_not_read_again(tmp_path: Path):
    with demo_model("motion") as path:
        file = tmp_path / "model.onnx"
        file.write_bytes(path.read_bytes())
        own = sd.open_model(file, provider="cpu")
    source = sd.ModelSource(file, provider="cpu").embedded()
    file.unlink()
    opened = pickle.loads(pickle.dumps(source)).open()  # noqa: S301
    assert (opened.name, opened.identity, opened.file) == (own.name, own.identity, own.file)
    assert len(repr(source)) < 500


def test_own_code_is_opened_by_path_and_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("torch", reason="the model is a torch module")
    (tmp_path / "my_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    source = sd.ModelSource("my_code.py:build", provider="cpu")
    monkeypatch.chdir("/")
    embedded = source.embedded()
    one = source.open()
    (tmp_path / "my_code.py").unlink()
    other = embedded.open()
    assert other.identity == one.identity
    assert (other.name, str(other.file)) == (one.name, str(one.file))


def test_code_that_needs_the_files_beside_it_is_named(tmp_path: Path):
    pytest.importorskip("torch", reason="the model is a torch module")
    (tmp_path / "beside_it.py").write_text("")
    code = tmp_path / "my_code.py"
    code.write_text("import beside_it" + CODE)
    with pytest.raises(sd.InputError) as raised:
        sd.ModelSource(f"{code}:build").embedded().open()
    assert str(code) in str(raised.value)
    assert str(raised.value).endswith("(the file was sent alone)")


@pytest.mark.parametrize("model", ["none.onnx", "none.py:build"])
def test_a_file_that_is_not_there(model: str):
    with pytest.raises(sd.InputError, match="does not exist"):
        sd.ModelSource(model).embedded()


def test_a_module_is_not_embedded():
    with pytest.raises(sd.InputError, match="is a module; install it where the workers run"):
        sd.ModelSource("package.module:build").embedded()
